//! The record itself: touched on this host, and not reaching a place where it has to be.

use std::{fs, net::TcpListener};

use crate::{
    Alerted,
    agent_support::paper::Paper,
    outside_support::{Does, Receiver},
};

#[test]
fn a_record_that_is_touched_is_told() {
    let alerted = Alerted::start();
    alerted.told_of(&["ROSTER_SIGNED"]);
    fs::remove_file(alerted.host.path("audit/events.jsonl")).expect("removed");
    alerted.told_of(&["AUDIT_TAMPERED"]);
    let told = alerted.receiver.taken();
    assert_eq!(told.last().expect("told").body["data"]["severity"], "P0");
}

#[test]
fn evidence_that_is_degraded_is_told_by_the_sink_that_works_and_its_end_as_well() {
    let listener = TcpListener::bind("127.77.3.2:0").expect("bound");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let dead = format!(
        "[sinks.siem]\nkind = 'webhook'\nurl = 'http://{address}/x'\nsecret_file = 'secret'\ntimeout_seconds = 1\n"
    );
    let mut alerted = Alerted::prepare_with(Paper::new(), &dead);
    alerted.host.start_agent();
    alerted.told_of(&["ROSTER_SIGNED"]);
    alerted.host.ask();
    alerted.told_of(&["BREAK_GLASS_REQUESTED", "DEGRADED_EVIDENCE"]);
    let listener = TcpListener::bind(address).expect("the port is free");
    let back = Receiver::on(listener, Does::Takes);
    alerted.told_of(&["EVIDENCE_RESTORED"]);
    let requested = alerted
        .host
        .events_named("BREAK_GLASS_REQUESTED")
        .remove(0)
        .seq;
    let held = back.wait("the request", |got| {
        got.iter().any(|g| g.seq() == requested)
    });
    assert!(held.iter().all(|g| g.signed));
}
