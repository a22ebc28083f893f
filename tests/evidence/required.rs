//! Sinks that are required by this host's configuration.

use twotap::{ceremony::Stage, protocol::Code};

use crate::{
    agent_support::{ALICE, DANA, until},
    bench::{Receiver, prepared, whole},
};

#[test]
fn a_required_sink_holds_the_request_before_custodians_are_asked() {
    let mut host = prepared("", &[("siem", "required = true")]);
    host.start_agent();
    let host = &host;
    let (view, receiver) = std::thread::scope(|scope| {
        let asked = scope.spawn(|| host.ask());
        let mut seen = None;
        until("it is on record", || {
            seen = host.status(DANA).requests.pop();
            seen.is_some()
        });
        let view = seen.expect("seen");
        let waits = "the request waits for the record at siem: custodians are not asked yet";
        let bundle = host.get(ALICE, &format!("/v1/requests/{}/bundle", view.id));
        assert_eq!(bundle.problem().error, waits);
        assert_eq!(host.approve(&view, "alice").problem().error, waits);
        assert!(!asked.is_finished());
        let receiver = Receiver::start(host, "siem");
        (asked.join().expect("an answer"), receiver)
    });
    let requested = |r: &twotap::audit::event::Record| r.event_type == "BREAK_GLASS_REQUESTED";
    assert!(
        receiver.record().iter().any(requested),
        "it holds the request"
    );
    for who in ["alice", "bob"] {
        assert_eq!(host.approve(&view, who).status, 200);
    }
    host.reach(&view.id, Stage::Open);
    whole(host, &receiver);
}

#[test]
fn a_required_sink_that_is_dead_ends_the_request_and_says_so() {
    let mut host = prepared("acknowledge_seconds = 1", &[("siem", "required = true")]);
    host.start_agent();
    let problem = host.try_ask(DANA).problem();
    assert_eq!(problem.code, Code::Refused);
    let said = "sink siem has not acknowledged the request within 1 s: ";
    assert!(problem.error.starts_with(said), "{}", problem.error);
    let hint = problem.hint.as_deref();
    assert_eq!(
        hint,
        Some("see to the sink and ask again; nobody was asked to approve")
    );
    let view = host.status(DANA).requests.remove(0);
    assert_eq!(
        (view.stage, view.outcome),
        (Stage::Failed, Some(problem.error))
    );
}

#[test]
fn of_a_group_any_one_suffices_and_none_is_said_with_all_of_them() {
    let group = "required = true\ngroup = 'offsite'";
    let mut host = prepared("acknowledge_seconds = 1", &[("one", group), ("two", group)]);
    host.start_agent();
    let problem = host.try_ask(DANA).problem();
    let said =
        "none of the sinks one, two (group offsite) has acknowledged the request within 1 s: one: ";
    assert!(problem.error.starts_with(said), "{}", problem.error);
    assert!(problem.error.contains("; two: "), "{}", problem.error);

    let receiver = Receiver::start(&host, "two");
    whole(&host, &receiver);
    let view = host.ask();
    // The other one is not waited for, and is shown.
    let sinks: Vec<&str> = view.evidence.iter().map(|l| l.sink.as_str()).collect();
    assert_eq!(sinks, ["one"]);
    for who in ["alice", "bob"] {
        assert_eq!(host.approve(&view, who).status, 200);
    }
    host.reach(&view.id, Stage::Open);
}
