//! Runbook C: deployment override and break-glass accounts.
//!
//! A dedicated account in a vault, two people to open it, four hours at most unless said otherwise, rotated by itself after each use; and deadlines:
//! rotation within an hour of the resolution, the report within 24 h, the change board within 7 days, a review within 24 h or 48 h.

mod runbook_support;

use std::net::TcpListener;

use runbook_support::{
    BANNED, Checks, REFUSED, approved_by_two, asks, at_home, by, deadline, event, is_refused, json,
    lets_in, reviewed, says, seconds, site,
};
use serde_json::{Value, json as value};
use twotap_rig::site::Requested;

const POLICY: &str = r#"
[[scenario]]
name = "security-patch"
access = ["admin"]
default = "2h"
max = "4h"
review_hours = 24
needs = ["commander", "ticket"]
ticket = "(SEC|INC)-[0-9]+"
min_reason = 20

[[scenario]]
name = "system-failure"
access = ["admin"]
default = "4h"
max = "4h"
review_hours = 48
needs = ["commander", "ticket"]
ticket = "INC-[0-9]+"
min_reason = 20

[[scenario.checks]]
name = "control-plane"
required = true
"#;

/// Passes where nobody answers at the control plane's door.
fn is_it_down(port: u16) -> String {
    format!(
        "#!/bin/bash\nif (: < /dev/tcp/127.77.5.1/{port}) 2> /dev/null; then echo 'the control plane answers: use it'; exit 1; fi\necho 'the control plane does not answer'\n"
    )
}

fn declared<'a>(scenario: &'a str, incident: &'a str, reason: &'a str) -> Vec<&'a str> {
    vec![
        "--scenario",
        scenario,
        "--incident",
        incident,
        "--reason",
        reason,
        "--commander",
        "ivan",
        "--not-for",
        BANNED,
    ]
}

fn request_of(site: &twotap_rig::Site, request: &Requested) -> Value {
    event(site, request, "BREAK_GLASS_REQUESTED")["what"].clone()
}

#[test]
fn a_patch_goes_out_past_the_pipeline_and_every_deadline_is_kept() {
    let control_plane = TcpListener::bind("127.77.5.1:0").expect("a port");
    let port = control_plane.local_addr().expect("an address").port();
    let checks = Checks::new();
    let site = site(POLICY, |options| {
        options.agent = checks.configured("control-plane", &is_it_down(port), "");
    });
    let first_key = site.world().first_key().clone();

    // Control plane down: verify that it is, first.
    let failure = declared(
        "system-failure",
        "INC-7",
        "no deployment gets through since 10:00",
    );
    let asked = [&["request", "prod"], &failure[..]].concat();
    is_refused(
        &site,
        "dana",
        &asked,
        REFUSED,
        "the control plane answers: use it",
    );
    drop(control_plane);
    let request = asks(&site, &failure);
    let what = request_of(&site, &request);
    assert_eq!(
        what["checks"][0]["output"],
        "the control plane does not answer"
    );
    // Four hours, and no more.
    let view = site.view(&request).expect("shown");
    assert!(view["stage"] == "requested", "{view}");
    let longer = [&asked[..], &["--duration", "5h"]].concat();
    is_refused(&site, "dana", &longer, REFUSED, "240 minutes");

    // A critical security patch: severity and justification are declared, for a ticket of the right kind.
    let why = "the fix for the parser hole has to be out before the pipeline is back";
    let wrong = [
        &["request", "prod"],
        &declared("security-patch", "CHG-9", why)[..],
    ]
    .concat();
    is_refused(&site, "dana", &wrong, REFUSED, "no ticket of scenario");
    let request = asks(&site, &declared("security-patch", "SEC-12", why));
    says(
        &site,
        "ivan",
        &["confirm", &request.id, "--yes", "--why", why],
    );

    // Two people open it; the account is a dedicated one.
    let session = approved_by_two(&site, &request);
    let opened = event(&site, &request, "BREAK_GLASS_ACCESS");
    assert_eq!(opened["actor"], "dana");
    assert_eq!(opened["incident_id"], "SEC-12");
    assert!(lets_in(&site, &session));

    // Rotated by itself after use: nobody asked for it.
    site.wait_for_step(&request, "rotated").expect("rotated");
    assert!(!site.world().key_works(&first_key).expect("an answer"));

    says(
        &site,
        "dana",
        &["note", "the fix is out, past the pipeline"],
    );

    // Resolved.
    site.close(&request).expect("closed");
    assert!(!lets_in(&site, &session));

    // Every access to the SIEM, every act to the event store: in exactly their fields, with reason and ticket.
    let access = exported(&site, &request, "siem", "BREAK_GLASS_ACCESS");
    assert_eq!(
        access,
        value!({
            "event_type": "BREAK_GLASS_ACCESS", "actor": "dana", "action": "access", "justification": why,
            "timestamp": to_the_second(&access["timestamp"]), "incident_id": "SEC-12",
        })
    );
    let act = exported(&site, &request, "eventstore", "BREAK_GLASS_ACTION");
    assert_eq!(
        act,
        value!({
            "correlation_id": request.id, "event_type": "BREAK_GLASS_ACTION",
            "event_data": { "action": "note", "justification": why, "incident_id": "SEC-12" },
            "actor": "dana", "created_at": to_the_second(&act["created_at"]),
        })
    );

    // The report, within 24 hours; then the change board, within 7 days. Before that they stand as due.
    let report = json(&site, "dana", &["report", &request.id]);
    let closed = report["review"]["closed"].clone();
    for (what, hours) in [
        ("sealed key replaced, the old one dead", 1),
        ("report handed in", 24),
        ("reviewed by an officer", 24),
        ("before the change board", 7 * 24),
    ] {
        assert_eq!(
            seconds(&closed, &deadline(&report, what)["due"]),
            hours * 3600,
            "{what}"
        );
    }
    assert_eq!(
        deadline(&report, "sealed key replaced, the old one dead")["kept"],
        "in_time"
    );
    assert_eq!(deadline(&report, "report handed in")["kept"], "ahead");
    let paper = at_home(&site, "dana", "report.txt");
    let written = json(&site, "dana", &["report", &request.id, "-o", &paper]);
    for (flag, reference) in [("--filed", "DOC-12"), ("--board", "CAB-2026-47")] {
        let args = [
            "report",
            request.id.as_str(),
            flag,
            reference,
            "--report",
            paper.as_str(),
        ];
        let filed = json(&site, "dana", &args);
        assert_eq!(filed["filed"]["sha256"], written["sha256"]);
    }
    let report = reviewed(&site, &request);
    let deadlines = report["deadlines"].as_array().expect("a list");
    assert!(
        deadlines.iter().all(|d| d["kept"] == "in_time"),
        "{deadlines:?}"
    );
    let filed = event_names(&site, &request);
    assert_eq!(
        filed.iter().filter(|name| *name == "REPORT_FILED").count(),
        2
    );

    // The next use needs no preparation: the vault holds the new key.
    let status = json(&site, "sofia", &["status"]);
    assert_eq!(status["vaults"][0]["rotation"], "done");
    assert_eq!(status["reviews"], Value::Null);
}

/// The only event of this kind, as it leaves in a shape.
fn exported(site: &twotap_rig::Site, request: &Requested, format: &str, name: &str) -> Value {
    let id = request.id.as_str();
    let args = [
        "audit",
        "export",
        "--format",
        format,
        "--request",
        id,
        "-o",
        "-",
    ];
    let done = by(site, "sofia", &args);
    assert_eq!(done.status, Some(0), "{}", done.stderr);
    let mut found = done
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("json"))
        .filter(|event| event["event_type"] == name);
    let event = found.next().unwrap_or_else(|| panic!("no {name}"));
    assert!(found.next().is_none(), "{name} twice");
    event
}

/// `2026-01-06T10:00:00Z`, and nothing else.
fn to_the_second(time: &Value) -> &str {
    let text = time.as_str().expect("text");
    let zulu = text.len() == 20 && text.ends_with('Z') && !text.contains('.');
    assert!(zulu && text.as_bytes()[10] == b'T', "{text}");
    text
}

fn event_names(site: &twotap_rig::Site, request: &Requested) -> Vec<String> {
    let events = runbook_support::events(site, request);
    let names = events.iter().filter_map(|e| e["event_type"].as_str());
    names.map(str::to_owned).collect()
}
