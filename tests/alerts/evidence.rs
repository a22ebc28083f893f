//! The record itself: touched on this host, and not reaching a place where it has to be.

use std::{fs, net::TcpListener};

use crate::{
    Alerted,
    agent_support::{DANA, Host, paper::Paper, until},
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

fn said_by_siem(host: &Host) -> String {
    let sinks = host.status(DANA).sinks;
    let siem = sinks.into_iter().find(|sink| sink.name == "siem");
    siem.and_then(|sink| sink.complaint).unwrap_or_default()
}

/// Why evidence is flawed at this sink, as often as it is on record.
fn flaws(host: &Host, sink: &str) -> Vec<String> {
    let told = host.events_named("EVIDENCE_FLAWED");
    let of = told.into_iter().filter(|event| event.what["sink"] == sink);
    of.map(|event| event.what["why"].as_str().expect("words").to_owned())
        .collect()
}

#[test]
fn what_a_sink_passed_over_is_told_once_even_where_it_passes_over_that_too() {
    let strict = Receiver::start(Does::RefusesText(422, "twotap.alert"));
    let sink = |name: &str, only: &str| {
        let url = strict.url();
        format!(
            "[sinks.{name}]\nkind = 'webhook'\nurl = '{url}'\nsecret_file = 'secret'\nonly = [{only}]\n"
        )
    };
    let more = format!(
        "degraded_seconds = 1\n{}{}",
        sink("siem", "'BREAK_GLASS_REQUESTED', 'EVIDENCE_FLAWED'"),
        sink("denials", "'BREAK_GLASS_DENIED'"),
    );
    let mut alerted = Alerted::prepare_with(Paper::new(), &more);
    alerted.host.start_agent();
    let view = alerted.host.ask();
    alerted.told_of(&["EVIDENCE_FLAWED"]);
    let requested = alerted.host.events_named("BREAK_GLASS_REQUESTED").remove(0);
    let why = flaws(&alerted.host, "siem");
    assert_eq!(why.len(), 1, "{why:?}");
    assert!(
        why[0].contains(&format!("does not take event {}", requested.seq)),
        "{why:?}"
    );
    // It passes over the event that tells of it, and another request: more to say, and the same event.
    until("it passes over what told of it", || {
        said_by_siem(&alerted.host).contains("the last of 2")
    });
    let second = alerted.host.ask();
    until("it passes over the next", || {
        said_by_siem(&alerted.host).contains("the last of 3")
    });
    // What another sink passes over from now on is found by a look that comes after that: by then the first was told of again, or will not be.
    alerted.host.deny(&second, "alice");
    until("the other sink's is told", || {
        !flaws(&alerted.host, "denials").is_empty()
    });
    assert_eq!(flaws(&alerted.host, "siem"), why);
    // Whoever reads of the request reads of it.
    let trail = alerted
        .host
        .get(DANA, &format!("/v1/requests/{}/events", view.id));
    let trail = String::from_utf8(trail.body).expect("lines");
    assert!(trail.contains("EVIDENCE_FLAWED"), "{trail}");
}

/// The agent is killed before it has looked at what its sinks say: what was passed over is told after the next start, and once.
#[test]
fn what_a_sink_passed_over_is_told_although_the_agent_was_killed() {
    let strict = Receiver::start(Does::RefusesText(422, "twotap.alert"));
    let sink = |name: &str, only: &str| {
        let url = strict.url();
        format!(
            "[sinks.{name}]\nkind = 'webhook'\nurl = '{url}'\nsecret_file = 'secret'\nonly = ['{only}']\n"
        )
    };
    let more = format!(
        "{}{}",
        sink("siem", "BREAK_GLASS_REQUESTED"),
        sink("touched", "AUDIT_TAMPERED"),
    );
    let mut alerted = Alerted::prepare_with(Paper::new(), &more);
    alerted.host.start_agent();
    alerted.host.ask();
    until("it is passed over", || {
        said_by_siem(&alerted.host).contains("a notice without its words")
    });
    alerted.host.kill_agent();
    alerted.host.start_agent();
    until("it is told", || !flaws(&alerted.host, "siem").is_empty());
    // What another sink passes over is found by a later look.
    fs::remove_file(alerted.host.path("audit/events.jsonl")).expect("removed");
    until("the other sink's is told", || {
        !flaws(&alerted.host, "touched").is_empty()
    });
    let seq = alerted
        .host
        .events_named("BREAK_GLASS_REQUESTED")
        .remove(0)
        .seq;
    let why = flaws(&alerted.host, "siem");
    assert_eq!(why.len(), 1, "{why:?}");
    assert!(
        why[0].contains(&format!("does not take event {seq}")),
        "{why:?}"
    );
}
