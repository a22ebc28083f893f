//! Reports, as people make them with the program: of one session, and of a quarter.

use std::{
    fs,
    os::unix::fs::chown,
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;
use twotap::{
    protocol::review::AccessRow,
    trust::{Digest, Timestamp},
};
use twotap_rig::tools;

use crate::{
    FINDINGS,
    agent_support::{ALICE, DANA, Host, SOFIA},
    closed,
};

/// `twotap ARGS` as somebody, in a folder of the own.
fn twotap(host: &Host, uid: u32, args: &[&str]) -> Output {
    let home = home(host, uid);
    // At a place where everybody may run it.
    let program = host.path("twotap");
    if !program.exists() {
        tools::install(Path::new(env!("CARGO_BIN_EXE_twotap")), &program).expect("copied");
    }
    Command::new("setpriv")
        .args(["--reuid", &uid.to_string(), "--regid", &uid.to_string()])
        .arg("--clear-groups")
        .arg(program)
        .args(args)
        .current_dir(&home)
        .env_clear()
        .env("HOME", &home)
        .env("TWOTAP_AGENT", host.socket())
        .output()
        .expect("it runs")
}

fn home(host: &Host, uid: u32) -> std::path::PathBuf {
    let home = host.path(&format!("home-{uid}"));
    if !home.exists() {
        fs::create_dir(&home).expect("a folder");
        chown(&home, Some(uid), Some(uid)).expect("owner");
    }
    home
}

fn text(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn json(output: &Output) -> Value {
    serde_json::from_str(&text(output)).expect("one object")
}

fn section<'t>(report: &'t str, title: &str) -> &'t str {
    let from = report
        .find(title)
        .unwrap_or_else(|| panic!("no {title}: {report}"));
    let rest = &report[from..];
    rest[1..].find("\n\n").map_or(rest, |end| &rest[..=end])
}

#[test]
fn a_report_says_who_did_what_when_and_what_is_still_to_be_done() {
    let host = Host::start();
    let view = closed(&host);
    let shown = text(&twotap(&host, DANA, &["report", &view.id]));
    for (title, said) in [
        ("1. Incident", "INC-42"),
        ("1. Incident", "the login is down for everybody"),
        ("2. Access", "op-admin"),
        ("3. People", "ivan, says dana"),
        ("5. Deliveries", "dana"),
        ("7. Deviations", "never confirmed"),
        ("7. Deviations", "YSA-2024-03"),
        ("7. Deviations", "nothing was recorded"),
        ("8. Deadlines", "access ended: done"),
        (
            "8. Deadlines",
            "sealed key replaced, the old one dead: done",
        ),
        ("8. Deadlines", "report handed in: not done yet; due"),
        ("8. Deadlines", "reviewed by an officer: not done yet; due"),
        ("8. Deadlines", "before the change board: not done yet; due"),
        (
            "9. What may outlive",
            "aws cloudtrail lookup-events --region eu-central-1",
        ),
        ("10. Review", "not reviewed yet"),
        ("11. Every event", "SESSION_REVOKED"),
        ("12. Evidence", "head of the record"),
    ] {
        let section = section(&shown, title);
        assert!(section.contains(said), "{said}: {section}");
    }
    // Each who voted, with key, token and account.
    let people = section(&shown, "3. People");
    for (name, serial) in [("alice", "token 1000"), ("bob", "token 1001")] {
        let line = people.lines().find(|l| l.contains(name));
        let line = line.unwrap_or_else(|| panic!("{name}: {shown}"));
        assert!(
            line.contains(serial) && line.contains("key ") && line.contains("uid:"),
            "{line}"
        );
    }

    let report = json(&twotap(&host, SOFIA, &["report", &view.id, "--json"]));
    let deadlines = report["deadlines"].as_array().expect("a list");
    let of = |what: &str| {
        let found = deadlines.iter().find(|d| d["what"] == what);
        found
            .unwrap_or_else(|| panic!("no {what}: {deadlines:?}"))
            .clone()
    };
    let closed = report["review"]["closed"]
        .as_str()
        .and_then(Timestamp::parse);
    let closed = closed.expect("closed");
    for (what, seconds) in [
        ("sealed key replaced, the old one dead", 3600),
        ("report handed in", 24 * 3600),
        ("reviewed by an officer", 48 * 3600),
        ("before the change board", 7 * 24 * 3600),
    ] {
        assert_eq!(of(what)["due"], closed.plus(seconds).to_string(), "{what}");
    }
    assert_eq!(of("access ended")["kept"], "in_time");
    assert_eq!(of("report handed in")["kept"], "ahead");
    // Every event of the request, and nobody else's.
    let lines = report["timeline"].as_array().expect("a list");
    let own: Vec<&str> = lines.iter().filter_map(|l| l["event"].as_str()).collect();
    for event in host.events_of(&view.id) {
        assert!(own.contains(&event.as_str()), "{event}");
    }
}

#[test]
fn a_report_is_filed_with_its_digest_and_a_review_comes_from_a_form() {
    let host = Host::start();
    let view = closed(&host);
    let report = home(&host, DANA).join("report.txt");
    let written = twotap(
        &host,
        DANA,
        &["report", &view.id, "-o", "report.txt", "--json"],
    );
    let written = json(&written);
    let bytes = fs::read(&report).expect("a file");
    assert_eq!(written["sha256"], Digest::of(&bytes).to_string());
    assert!(bytes.starts_with(b"REPORT OF A BREAK-GLASS ACCESS"));
    // A report that was handed in is not written over.
    let again = twotap(&host, DANA, &["report", &view.id, "-o", "report.txt"]);
    assert_eq!(again.status.code(), Some(2));
    assert_eq!(fs::read(&report).expect("a file"), bytes);

    for (flag, reference) in [("--filed", "DOC-12"), ("--board", "CAB-2026-47")] {
        let args = [
            "report",
            &view.id,
            flag,
            reference,
            "--report",
            "report.txt",
        ];
        let filed = json(&twotap(&host, DANA, &[&args[..], &["--json"]].concat()));
        assert_eq!(filed["filed"]["reference"], reference);
        assert_eq!(filed["filed"]["sha256"], Digest::of(&bytes).to_string());
    }
    // Neither operator nor officer.
    let report_of_alice = home(&host, ALICE).join("x");
    fs::write(report_of_alice, b"x").expect("written");
    let refused = ["report", &view.id, "--filed", "DOC-13", "--report", "x"];
    assert_eq!(twotap(&host, ALICE, &refused).status.code(), Some(3));

    // The form as it comes is not a review; filled in, it is.
    let form = text(&twotap(&host, SOFIA, &["review", &view.id, "--form"]));
    let file = home(&host, SOFIA).join("findings.toml");
    let review = ["review", &view.id, "--findings", "findings.toml"];
    fs::write(&file, &form).expect("written");
    assert_eq!(twotap(&host, SOFIA, &review).status.code(), Some(2));
    fs::write(&file, FINDINGS).expect("written");
    let signed = text(&twotap(&host, SOFIA, &review));
    assert!(signed.contains("reviewed by sofia at"), "{signed}");
    assert!(
        signed.contains(&Digest::of(FINDINGS.as_bytes()).to_string()),
        "{signed}"
    );

    let shown = text(&twotap(&host, DANA, &["report", &view.id]));
    let deadlines = section(&shown, "8. Deadlines");
    for said in [
        "report handed in: done",
        "(as DOC-12, by dana)",
        "(as CAB-2026-47, by dana)",
        "(by sofia)",
    ] {
        assert!(deadlines.contains(said), "{said}: {deadlines}");
    }
    assert!(!deadlines.contains("not done"), "{deadlines}");
    let review = section(&shown, "10. Review");
    assert!(
        review.contains("the runbook names the second database now"),
        "{review}"
    );
}

#[test]
fn findings_that_accuse_are_said_out_loud() {
    let host = Host::start();
    let view = closed(&host);
    let file = home(&host, SOFIA).join("findings.toml");
    let findings = FINDINGS.replacen("yes = true", "yes = false", 1);
    assert_ne!(findings, FINDINGS);
    fs::write(&file, findings).expect("written");
    let signed = twotap(
        &host,
        SOFIA,
        &["review", &view.id, "--findings", "findings.toml"],
    );
    text(&signed);
    let said = String::from_utf8_lossy(&signed.stderr);
    assert!(
        said.contains("warning: by these findings the access was not authorised"),
        "{said}"
    );
}

#[test]
fn a_quarter_lists_every_request_whatever_became_of_it() {
    let host = Host::start();
    let reviewed = closed(&host);
    let review = crate::hand_in(FINDINGS);
    let signed = host.call(SOFIA, "POST", &crate::review_path(&reviewed), &review);
    assert_eq!(signed.status, 200);
    let waiting = closed(&host);
    let denied = host.ask();
    assert_eq!(host.deny(&denied, "alice").status, 200);
    let today = Timestamp::now().to_string();
    let month: u8 = today[5..7].parse().expect("a month");
    let quarter = format!("{}Q{}", &today[..4], (month - 1) / 3 + 1);
    let all = json(&twotap(
        &host,
        SOFIA,
        &["report", "--quarter", &quarter, "--json"],
    ));
    let rows: Vec<AccessRow> = serde_json::from_value(all["requests"].clone()).expect("rows");
    let ids: Vec<&str> = rows.iter().map(|r| r.request.as_str()).collect();
    assert_eq!(ids.len(), 3);
    for id in [&reviewed.id, &waiting.id, &denied.id] {
        assert!(ids.contains(&id.as_str()), "{id}: {ids:?}");
    }
    let row = |id: &str| rows.iter().find(|r| r.request == id).expect("a row");
    assert!(row(&reviewed.id).opened.is_some() && row(&reviewed.id).closed.is_some());
    assert_eq!(row(&denied.id).opened, None);
    assert_eq!(row(&denied.id).denied_by.len(), 1);
    let totals = &all["totals"];
    for (what, count) in [
        ("requests", 3),
        ("sessions", 2),
        ("reviewed", 1),
        ("waiting", 1),
        ("overdue", 0),
    ] {
        assert_eq!(totals[what], count, "{what}: {totals}");
    }
    let shown = text(&twotap(&host, SOFIA, &["report", "--quarter", &quarter]));
    assert!(
        shown.contains("never open") && shown.contains("by sofia"),
        "{shown}"
    );
    assert!(shown.contains("denied by    alice"), "{shown}");

    // Another quarter has none of it, and nonsense is said to be.
    let other = json(&twotap(
        &host,
        SOFIA,
        &["report", "--quarter", "2020Q1", "--json"],
    ));
    assert_eq!(other["totals"]["requests"], 0);
    let wrong = twotap(&host, SOFIA, &["report", "--quarter", "2026-4"]);
    assert_eq!(wrong.status.code(), Some(2));
}
