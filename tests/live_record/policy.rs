//! What follows: nothing new is opened where policy says so, until an officer has acknowledged it.

use std::fs;

use serde_json::json;
use twotap::{
    ceremony::Stage,
    protocol::{Code, evidence::Acknowledged},
};

use crate::{
    agent_support::{DANA, Host, SOFIA, paper},
    bench::{finds, host, what},
    people,
};

const REFUSE: &str = "refuse_when_tampered = true";
const PATH: &str = "/v1/audit/acknowledgement";

fn remove(host: &Host) -> u64 {
    finds(host, |file| fs::remove_file(file).expect("removed")).seq
}

#[test]
fn where_policy_says_so_nothing_is_opened_until_an_officer_has_acknowledged_it() {
    let host = host(REFUSE);
    let waiting = host.ask();
    assert_eq!(host.approve(&waiting, "alice").status, 200);
    let first = remove(&host);
    let second = remove(&host);
    // Neither a new request nor the approvals of one that waits; a denial is none.
    for refused in [host.try_ask(DANA), host.approve(&waiting, "bob")] {
        let problem = refused.problem();
        assert_eq!(problem.code, Code::Tampering);
        let said = format!(
            "something was done to the record on this host (event {second}), and nothing is opened until an officer has acknowledged it"
        );
        assert_eq!(problem.error, said);
        assert!(
            problem
                .hint
                .is_some_and(|h| h.contains("twotap audit acknowledge"))
        );
    }
    assert_eq!(host.worker.jobs("ceremony"), 1);
    // What closes is asked of the worker, whatever that comes to: here it offers something else.
    let mut closing = paper::ask();
    closing.close_only = Some(vec![waiting.id.clone()]);
    let asked = host.call(DANA, "POST", "/v1/requests", &closing).problem();
    assert_eq!(asked.error, "the worker offers what was not asked");
    assert_eq!(host.worker.jobs("ceremony"), 2);

    // An officer, and for what was seen.
    let said = json!({ "reason": "the log rotation of the host, taken out", "through": first });
    assert_eq!(
        host.call(DANA, "POST", PATH, &said).problem().code,
        Code::Refused
    );
    let done: Acknowledged = host.call(SOFIA, "POST", PATH, &said).json();
    assert_eq!((done.events, done.by.as_str()), (vec![first], "sofia"));
    assert_eq!(host.try_ask(DANA).problem().code, Code::Tampering);

    let empty = json!({ "reason": " " });
    assert_eq!(host.call(SOFIA, "POST", PATH, &empty).status, 400);
    let said = json!({ "reason": "the same again" });
    let words = ["audit", "acknowledge", "--reason", "the same again"];
    let shown = people::said(&people::twotap(&host, SOFIA, &words));
    let event = host
        .events_named("TAMPERING_ACKNOWLEDGED")
        .pop()
        .expect("one")
        .seq;
    assert_eq!(
        shown,
        format!("acknowledged by sofia as event {event}: event {second}\n")
    );
    let event = host
        .events_named("TAMPERING_ACKNOWLEDGED")
        .pop()
        .expect("one");
    assert_eq!(event.actor, "sofia");
    assert_eq!(event.justification.as_deref(), Some("the same again"));
    assert_eq!(*what(&event, "events"), json!([{ "seq": second }]));
    assert!(
        !host
            .status(DANA)
            .degraded
            .iter()
            .any(|l| l.contains("the record on this host"))
    );

    // What waited goes on.
    assert_eq!(host.approve(&waiting, "bob").status, 200);
    host.reach(&waiting.id, Stage::Open);
    let nothing = host.call(SOFIA, "POST", PATH, &said).problem();
    assert_eq!(nothing.error, "there is nothing to acknowledge");
}

#[test]
fn without_that_policy_an_emergency_goes_on_and_custodians_are_told() {
    let mut host = host("");
    remove(&host);
    let view = host.ask();
    let bundle = host.get(
        crate::agent_support::ALICE,
        &format!("/v1/requests/{}/bundle", view.id),
    );
    let says = bundle.value()["agent_says"].to_string();
    assert!(says.contains("the record on this host: found at"), "{says}");
    for who in ["alice", "bob"] {
        assert_eq!(host.approve(&view, who).status, 200);
    }
    host.reach(&view.id, Stage::Open);
    // A restart forgets nothing.
    host.kill_agent();
    host.start_agent();
    assert!(
        host.status(DANA)
            .degraded
            .iter()
            .any(|l| l.contains("the record on this host"))
    );
}
