//! Sinks that a scenario names: they hold the request before custodians are asked, or nothing comes of it.

use std::{fs, os::unix::fs::PermissionsExt as _};

use twotap::{
    ceremony::Stage,
    protocol::{Code, socket::RequestView},
};

use crate::{
    agent_support::{ALICE, DANA, Host, until},
    asked::{ask, configure, host, outage, pii},
};

/// The file sink's folder, shut or open to the agent.
fn open(host: &Host, open: bool) {
    let mode = if open { 0o700 } else { 0o000 };
    fs::set_permissions(host.path("audit"), fs::Permissions::from_mode(mode)).expect("mode");
}

fn recorded(host: &Host, id: &str) -> bool {
    let text = fs::read_to_string(host.path("audit/events.jsonl")).unwrap_or_default();
    text.contains(id)
}

#[test]
fn custodians_are_asked_once_the_sink_holds_the_request() {
    let mut host = host(&[], &["file"]);
    open(&host, false);
    host.start_agent();
    let host = &host;
    let view = std::thread::scope(|scope| {
        let asked = scope.spawn(|| ask(host, &pii()).json::<RequestView>());
        let mut seen: Option<RequestView> = None;
        until("it is on record", || {
            seen = host.status(DANA).requests.pop();
            seen.is_some()
        });
        let view = seen.expect("seen");
        assert_eq!(view.stage, Stage::Requested);
        // No tap is asked for, and none counts.
        let waits = "the request waits for the record at file: custodians are not asked yet";
        let bundle = host.get(ALICE, &format!("/v1/requests/{}/bundle", view.id));
        assert_eq!(bundle.problem().error, waits);
        let approved = host.approve(&view, "alice").problem();
        assert_eq!(
            (approved.code, approved.error.as_str()),
            (Code::Approvals, waits)
        );
        assert!(!asked.is_finished());
        open(host, true);
        let view = asked.join().expect("an answer");
        assert!(recorded(host, &view.id));
        view
    });
    for who in ["alice", "bob"] {
        assert_eq!(host.approve(&view, who).status, 200);
    }
    host.reach(&view.id, Stage::Open);
}

#[test]
fn a_sink_that_does_not_acknowledge_ends_the_request() {
    let mut host = host(&[], &["file"]);
    configure(&host, "acknowledge_seconds = 1\n");
    host.start_agent();
    until("the sink works", || {
        fs::metadata(host.path("audit/events.jsonl")).is_ok()
    });
    open(&host, false);
    let problem = ask(&host, &pii()).problem();
    assert_eq!(problem.code, Code::Refused);
    let said = "sink file has not acknowledged the request within 1 s: ";
    assert!(problem.error.starts_with(said), "{}", problem.error);
    let view = host.status(DANA).requests.remove(0);
    assert_eq!(
        (view.stage, view.outcome),
        (Stage::Failed, Some(problem.error.clone()))
    );
    let events = host.events_of(&view.id);
    assert_eq!(events, ["BREAK_GLASS_REQUESTED", "REQUEST_FAILED"]);
    // A scenario that names none waits for none: an emergency is not blocked by a dead sink.
    let view: RequestView = ask(&host, &outage()).json();
    for who in ["alice", "bob"] {
        assert_eq!(host.approve(&view, who).status, 200);
    }
    host.reach(&view.id, Stage::Open);
}

#[test]
fn a_sink_that_this_host_does_not_have_is_said_at_once() {
    let mut host = host(&[], &["file", "siem"]);
    host.start_agent();
    let problem = ask(&host, &pii()).problem();
    assert_eq!(
        (problem.code, problem.error.as_str()),
        (
            Code::Refused,
            "the record has to be at sink siem first, which this host does not have"
        )
    );
    assert_eq!(host.worker.jobs("ceremony"), 0);
    assert_eq!(host.events_named("REQUEST_REFUSED").len(), 1);
    // And before anybody asks.
    let said = format!("vault prod: scenario pii-access: {}", problem.error);
    assert_eq!(host.status(DANA).degraded, [said]);
}
