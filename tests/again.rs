//! Sessions that continue others: the next time box of the same work, handed over without a gap.

mod agent_support;
#[path = "again/people.rs"]
mod people;

use std::fs;

use agent_support::{DANA, Host, SOFIA, paper, paper::Paper, until};
use twotap::{
    ceremony::Stage,
    protocol::{Code, job::Ask, socket::RequestView},
    trust::roster::Role,
};

/// A host on which the older session stays open beside the newer for so long.
fn host(overlap_seconds: u32) -> Host {
    let mut host = prepared(overlap_seconds);
    host.start_agent();
    host
}

fn prepared(overlap_seconds: u32) -> Host {
    let host = Host::prepare(Paper::of(&["alice", "bob"], |roster, _| {
        // Somebody else who may ask.
        let sofia = roster.people.iter_mut().find(|p| p.name == "sofia");
        sofia.expect("sofia").roles.push(Role::Operator);
        let mut other = roster.access[0].clone();
        other.name = "other".into();
        roster.access.push(other);
    }));
    overlap(&host, overlap_seconds);
    host
}

fn overlap(host: &Host, seconds: u32) {
    let path = host.path("agent.toml");
    let text = fs::read_to_string(&path).expect("a configuration");
    let text = text.split("[again]").next().expect("a beginning");
    fs::write(
        path,
        format!("{text}[again]\noverlap_seconds = {seconds}\n"),
    )
    .expect("written");
}

fn again(id: &str) -> Ask {
    Ask {
        follows: Some(id.to_owned()),
        ..paper::ask()
    }
}

fn ask(host: &Host, ask: &Ask) -> RequestView {
    host.call(DANA, "POST", "/v1/requests", ask).json()
}

fn opened(host: &Host, view: &RequestView) {
    for who in ["alice", "bob"] {
        assert_eq!(host.approve(view, who).status, 200);
    }
    host.reach(&view.id, Stage::Open);
}

/// The secret that a program gets which was given this session and goes on with what continues it.
fn onward(host: &Host, id: &str) -> String {
    let path = format!("/v1/requests/{id}/credentials?onward=true");
    host.get(DANA, &path)
        .credentials()
        .secret_access_key
        .to_string()
}

fn named(host: &Host, id: &str) -> String {
    host.credentials(DANA, id)
        .credentials()
        .secret_access_key
        .to_string()
}

#[test]
fn the_older_session_is_handed_over_and_closes_by_itself() {
    let host = host(0);
    let first = host.open();
    let key = named(&host, &first.id);
    let second = ask(&host, &again(&first.id));
    // Until it is open the first one goes on.
    assert_eq!(onward(&host, &first.id), key);
    assert_eq!(host.request(&first.id).stage, Stage::Open);
    opened(&host, &second);
    host.reach(&first.id, Stage::Closed);
    let next = named(&host, &second.id);
    assert_ne!(key, next);
    assert_eq!(onward(&host, &first.id), next);
    // Whoever names the first means the first.
    assert_eq!(
        host.credentials(DANA, &first.id).problem().code,
        Code::Refused
    );

    let events = host.events().into_iter();
    let closed = events
        .filter(|e| e.event_type == "SESSION_CLOSED")
        .collect::<Vec<_>>();
    assert_eq!(closed.len(), 1);
    assert_eq!(closed[0].correlation_id.as_deref(), Some(first.id.as_str()));
    assert_eq!(
        (closed[0].actor.as_str(), closed[0].action.as_str()),
        ("agent", "hand_over")
    );
    assert_eq!(closed[0].what["continued_by"], second.id);
    let asked = host.events_named("BREAK_GLASS_REQUESTED").remove(1);
    assert_eq!(asked.what["follows"], first.id);

    // And on: the third continues the second.
    let third = ask(&host, &again(&second.id));
    opened(&host, &third);
    host.reach(&second.id, Stage::Closed);
    assert_eq!(onward(&host, &first.id), named(&host, &third.id));
    // What the first could continue is over, and may still be continued by name.
    assert_eq!(host.status(DANA).degraded, [""; 0]);
}

#[test]
fn for_a_while_both_are_open_and_closing_the_newer_closes_both() {
    let host = host(900);
    let first = host.open();
    let second = ask(&host, &again(&first.id));
    opened(&host, &second);
    // A program that has read the first one's credentials keeps working.
    let view = host.request(&first.id);
    assert_eq!(view.stage, Stage::Open);
    let said = view.progress.iter().find(|p| p.step == "continued");
    assert_eq!(
        said.expect("a step").text,
        format!("{} continues it", second.id)
    );
    assert_ne!(named(&host, &first.id), named(&host, &second.id));
    assert_eq!(onward(&host, &first.id), named(&host, &second.id));
    // Nobody else continues it too.
    let problem = host
        .call(DANA, "POST", "/v1/requests", &again(&first.id))
        .problem();
    assert_eq!(problem.code, Code::Refused);
    assert!(
        problem
            .error
            .ends_with(&format!("{} continues it already", second.id))
    );

    assert_eq!(host.close(DANA, &second.id, false).status, 200);
    host.reach(&second.id, Stage::Closed);
    host.reach(&first.id, Stage::Closed);
}

#[test]
fn a_restart_forgets_no_handing_over() {
    let mut host = prepared(900);
    host.start_agent();
    let first = host.open();
    let second = ask(&host, &again(&first.id));
    opened(&host, &second);
    until("the key is replaced", || {
        host.events_of(&second.id)
            .contains(&"CREDENTIAL_ROTATED".to_owned())
    });
    host.kill_agent();
    overlap(&host, 0);
    host.start_agent();
    host.reach(&first.id, Stage::Closed);
    assert_eq!(host.request(&second.id).stage, Stage::Open);
    assert_eq!(onward(&host, &first.id), named(&host, &second.id));
}

#[test]
fn only_the_same_work_of_the_same_person_is_continued() {
    let host = host(900);
    let first = host.open();
    let refused = |who: u32, ask: &Ask, what: &str| {
        let problem = host.call(who, "POST", "/v1/requests", ask).problem();
        assert!(problem.error.contains(what), "{}", problem.error);
    };
    refused(SOFIA, &again(&first.id), "no session of yours");
    let elsewhere = "it was for something else";
    let with = |change: fn(&mut Ask)| {
        let mut ask = again(&first.id);
        change(&mut ask);
        ask
    };
    refused(DANA, &with(|ask| ask.access = "other".into()), elsewhere);
    refused(DANA, &with(|ask| ask.incident = "INC-43".into()), elsewhere);
    refused(
        DANA,
        &with(|ask| ask.subject = Some("user-1".into())),
        elsewhere,
    );
    refused(
        DANA,
        &with(|ask| ask.scenario = Some("outage".into())),
        elsewhere,
    );
    refused(
        DANA,
        &with(|ask| ask.drill = true),
        "it never came to a session",
    );
    refused(DANA, &again("r-aaaaaaaaaaaaa"), "there is no request");
    refused(DANA, &again("../../etc"), "there is no request");
    // Another reason, another commander and another length are the next request's own.
    let next = ask(
        &host,
        &with(|ask| {
            ask.reason = "the import is still running".into();
            ask.commander = None;
            ask.duration_seconds = Some(600);
        }),
    );
    // One that nobody has approved is no session.
    refused(DANA, &again(&next.id), "it never came to a session");
    assert_eq!(host.request(&first.id).stage, Stage::Open);
}
