//! Sinks that are not required: they delay nothing, and whoever relies on the record is told.

use std::time::{Duration, Instant};

use twotap::{audit::event::Record, ceremony::Stage};

use crate::{
    agent_support::{ALICE, DANA, Host, until},
    bench::{Receiver, count, prepared, whole},
    people,
};

fn says(host: &Host, id: &str) -> String {
    let bundle = host.get(ALICE, &format!("/v1/requests/{id}/bundle"));
    bundle.value()["agent_says"].to_string()
}

fn degraded(host: &Host, what: &str) -> bool {
    host.status(DANA).degraded.iter().any(|l| l.contains(what))
}

#[test]
fn a_dead_sink_delays_nothing_and_is_told_until_it_has_caught_up() {
    let mut host = prepared("", &[("siem", "")]);
    host.start_agent();
    until("it is seen to fail", || degraded(&host, "sink siem"));
    let began = Instant::now();
    let view = host.ask();
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    // The event is of the request, and says which sink and why.
    let events = host.events_named("DEGRADED_EVIDENCE");
    let [event] = events.as_slice() else {
        panic!("one: {events:?}")
    };
    assert_eq!(event.correlation_id.as_deref(), Some(view.id.as_str()));
    assert_eq!(event.what["sink"], "siem");
    assert!(event.what["behind"].as_u64() > Some(0), "{event:?}");
    // On the approving screen, in the session's view, in the status.
    assert!(says(&host, &view.id).contains("sink siem lacks events since"));
    assert_eq!(view.evidence.len(), 1);
    assert!(view.evidence[0].restored.is_none());
    assert!(degraded(&host, "sink siem lacks events since"));
    for who in ["alice", "bob"] {
        assert_eq!(host.approve(&view, who).status, 200);
    }
    host.reach(&view.id, Stage::Open);

    // In the words of the status and of the report.
    let status = people::said(&people::twotap(&host, DANA, &["status"]));
    assert!(
        status.contains("evidence") && status.contains("sink siem lacks events since"),
        "{status}"
    );
    let report = people::said(&people::twotap(&host, DANA, &["report", &view.id]));
    assert!(
        report.contains("sink siem did not hold the record"),
        "{report}"
    );

    let receiver = Receiver::start(&host, "siem");
    until("it is lifted", || count(&host, "EVIDENCE_RESTORED") == 1);
    whole(&host, &receiver);
    assert!(host.request(&view.id).evidence[0].restored.is_some());
    assert!(!degraded(&host, "sink siem"));
    assert_eq!(count(&host, "DEGRADED_EVIDENCE"), 1);
    // A request that is made now has nothing of it; what is said of the first one stays.
    let trail = host.get(DANA, &format!("/v1/requests/{}/events", view.id));
    let text = String::from_utf8(trail.body).expect("lines");
    for name in ["DEGRADED_EVIDENCE", "EVIDENCE_RESTORED"] {
        assert!(text.contains(name), "the report is made of it: {text}");
    }
    let report = people::said(&people::twotap(&host, DANA, &["report", &view.id]));
    assert!(
        report.contains("sink siem held the record again: it had not since"),
        "{report}"
    );
}

#[test]
fn a_sink_that_dies_in_a_session_is_told_after_the_stated_time_and_once() {
    let mut host = prepared("degraded_seconds = 1", &[("siem", "")]);
    let receiver = Receiver::start(&host, "siem");
    host.start_agent();
    whole(&host, &receiver);
    let view = host.open();
    assert!(view.evidence.is_empty());
    assert_eq!(count(&host, "DEGRADED_EVIDENCE"), 0);
    drop(receiver);
    // Something to lack.
    assert_eq!(host.credentials(DANA, &view.id).status, 200);
    until("it is told", || count(&host, "DEGRADED_EVIDENCE") == 1);
    let event: Record = host.events_named("DEGRADED_EVIDENCE").remove(0);
    assert_eq!(event.correlation_id, None);
    let lapses = host.request(&view.id).evidence;
    assert_eq!(lapses.len(), 1, "{lapses:?}");
    // A restart neither forgets it nor tells it again; a new request tells it of itself.
    host.kill_agent();
    host.start_agent();
    assert!(degraded(&host, "sink siem lacks events since"));
    let other = host.ask();
    assert_eq!(other.evidence.len(), 1);
    let told = host.events_named("DEGRADED_EVIDENCE");
    let about: Vec<Option<&str>> = told.iter().map(|e| e.correlation_id.as_deref()).collect();
    assert_eq!(about, [None, Some(other.id.as_str())]);
    let receiver = Receiver::start(&host, "siem");
    until("it is lifted", || count(&host, "EVIDENCE_RESTORED") == 1);
    whole(&host, &receiver);
    for id in [&view.id, &other.id] {
        let lapses = host.request(id).evidence;
        assert!(
            lapses.len() == 1 && lapses[0].restored.is_some(),
            "{lapses:?}"
        );
    }
}

#[test]
fn one_that_works_is_never_told() {
    let mut host = prepared("degraded_seconds = 4", &[("siem", ""), ("other", "")]);
    let receiver = Receiver::start(&host, "siem");
    let other = Receiver::start(&host, "other");
    host.start_agent();
    let view = host.open();
    assert!(view.evidence.is_empty());
    whole(&host, &receiver);
    whole(&host, &other);
    // Who finds that the other has died has looked at this one for as long.
    drop(other);
    assert_eq!(host.credentials(DANA, &view.id).status, 200);
    until("the other is told", || {
        count(&host, "DEGRADED_EVIDENCE") > 0
    });
    let told = host.events_named("DEGRADED_EVIDENCE");
    assert!(told.iter().all(|e| e.what["sink"] == "other"), "{told:?}");
    assert!(degraded(&host, "sink other"));
    assert!(!degraded(&host, "sink siem"));
}

#[test]
fn what_was_caught_up_after_a_restart_is_lifted_and_what_is_over_is_not_concerned() {
    let mut host = prepared("degraded_seconds = 1", &[("siem", "")]);
    let receiver = Receiver::start(&host, "siem");
    host.start_agent();
    let over = host.ask();
    assert_eq!(host.deny(&over, "alice").status, 200);
    host.reach(&over.id, Stage::Denied);
    whole(&host, &receiver);
    drop(receiver);
    let view = host.ask();
    until("it is told", || count(&host, "DEGRADED_EVIDENCE") > 0);
    until("it stands in the request", || {
        !host.request(&view.id).evidence.is_empty()
    });
    assert!(host.request(&over.id).evidence.is_empty());
    host.kill_agent();
    let _back = Receiver::start(&host, "siem");
    host.start_agent();
    until("it is lifted", || {
        count(&host, "EVIDENCE_RESTORED") == 1
            && host.request(&view.id).evidence[0].restored.is_some()
    });
}
