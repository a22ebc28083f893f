//! CloudTrail's export against the record of a real ceremony: all of it accounted for, a theft found, and what either side lacks.

mod runbook_support;

use std::io::Write as _;
use std::process::{Command, Stdio};

use runbook_support::{approved_by_two, asks, at_home, by, file, json, says, site};
use serde_json::Value;
use twotap_rig::{Credentials, Site, site::Requested, trail, world::EXTERNAL_ID};

const TAMPERING: i32 = 11;
const REFUSED: i32 = 3;
const USAGE: i32 = 2;

/// What is said of a roster that nobody here has seen before.
const STRANGER: &str = "is not one that you have met";

/// A ceremony whose session was used, and closed; with what CloudTrail has of it.
fn closed() -> (Site, Requested, Vec<Value>) {
    let site = site("", |_| {});
    let ask = [
        "--access",
        "admin",
        "--incident",
        "INC-42",
        "--reason",
        "the database is down",
    ];
    let request = asks(&site, &ask);
    let session = approved_by_two(&site, &request);
    let desk = site.world().through_proxy(session);
    for _ in 0..2 {
        let used = desk.query("ec2", "DescribeRegions", &[]);
        assert!(used.expect("an answer").is_ok());
    }
    site.wait_for_step(&request, "rotated").expect("rotated");
    site.close(&request).expect("closed");
    let records = site.world().proxy().trail();
    (site, request, records)
}

/// The sealed key, as a thief would have it who broke the newest vault.
fn sealed(site: &Site) -> Credentials {
    let made = site.world().proxy().keys_made();
    made.last().expect("a key").clone()
}

/// What reconcile says of these records: its exit code and its object.
fn reconciled(site: &Site, name: &str, text: &str, more: &[&str]) -> (i32, Value) {
    let path = file(site, "sofia", name, text);
    let args = [&["--json", "audit", "reconcile", path.as_str()], more].concat();
    let done = by(site, "sofia", &args);
    let said = serde_json::from_str(&done.stdout);
    let said: Value = said.unwrap_or_else(|why| panic!("{why}: {done:?}"));
    (done.status.expect("a code"), said["reconciled"].clone())
}

fn gzipped(text: &str) -> Vec<u8> {
    let mut gzip = Command::new("gzip")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("gzip");
    let mut input = gzip.stdin.take().expect("its input");
    let text = text.to_owned();
    let writing = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let done = gzip.wait_with_output().expect("packed");
    writing.join().expect("a thread").expect("written");
    done.stdout
}

#[test]
fn a_ceremony_is_accounted_for_and_a_theft_is_not() {
    let (site, request, records) = closed();

    // At the agent, from the file as CloudTrail writes it.
    let (code, said) = reconciled(&site, "trail.json", &trail::as_file(&records), &[]);
    assert_eq!(code, 0, "{said:#}");
    let works = said["works"].as_array().expect("a list");
    let ours = works.iter().find(|work| work["id"] == request.id.as_str());
    let ours = ours.unwrap_or_else(|| panic!("{said:#}"));
    assert_eq!(ours["operator"], "dana");
    assert_eq!(ours["incident"], "INC-42");
    assert_eq!(ours["worker"]["iam:CreateAccessKey"], 1);
    let sessions = ours["sessions"].as_array().expect("sessions");
    let of = |role: &str| {
        let found = sessions
            .iter()
            .filter(|s| s["role"].as_str().is_some_and(|r| r.ends_with(role)));
        found.collect::<Vec<_>>()
    };
    // The operator's own, beside the one by which the worker saw that the new key works; both were taken in the same second.
    let admin = of("/op-admin");
    let calls = |s: &Value| s["calls"]["ec2:DescribeRegions"].as_u64().unwrap_or(0);
    let own = admin.iter().max_by_key(|s| calls(s)).expect("one");
    // Two by the operator, and ours to see that it works and that it is refused at last.
    assert!(calls(own) >= 12, "{said:#}");
    assert!(own["refused"].as_u64().is_some_and(|n| n >= 10));
    assert_eq!(
        of("/steward")[0]["calls"]["iam:PutRolePolicy"],
        1,
        "{said:#}"
    );

    // Offline, in each form, with files alone: it says the same.
    let to = at_home(&site, "sofia", "record");
    says(&site, "sofia", &["audit", "export", "-o", &to]);
    let offline = ["--export", to.as_str()];
    for (name, text) in [
        ("lookup.json", trail::as_lookup_events(&records)),
        ("lines.jsonl", trail::as_lines(&records)),
    ] {
        assert_eq!(
            reconciled(&site, name, &text, &offline),
            (0, said.clone()),
            "{name}"
        );
    }
    let folder = at_home(&site, "sofia", "AWSLogs");
    let day = format!("{folder}/210000000001/CloudTrail/eu-central-1/2026/11/22");
    says_ok(&site, "sofia", &["mkdir", "-p", &day]);
    let packed = gzipped(&trail::as_file(&records));
    std::fs::write(format!("{day}/a_CloudTrail_x.json.gz"), packed).expect("written");
    let said_of_folder = json(
        &site,
        "sofia",
        &["audit", "reconcile", &folder, "--export", &to],
    );
    assert_eq!(said_of_folder["reconciled"], said);

    // A call that the trail does not show.
    let without: Vec<Value> = records
        .iter()
        .filter(|record| record["eventName"] != "CreateAccessKey")
        .cloned()
        .collect();
    let (code, lacks) = reconciled(&site, "lacks.json", &trail::as_file(&without), &offline);
    assert_eq!(code, REFUSED, "{lacks:#}");
    assert_eq!(lacks["missing"][0]["call"], "key_created");
    assert_eq!(lacks["unmatched"].as_array().map(Vec::len), Some(0));

    // The newest sealed key is stolen: what the thief does is found, each with who, where and why.
    steals(&site);
    let records = site.world().proxy().trail();
    let (code, found) = reconciled(&site, "theft.json", &trail::as_file(&records), &offline);
    assert_eq!(code, TAMPERING, "{found:#}");
    let found = found["unmatched"].as_array().expect("a list");
    let calls = found.iter().filter_map(|one| one["call"].as_str());
    let mut calls: Vec<&str> = calls.collect();
    calls.sort_unstable();
    let expected = [
        "ec2:DescribeRegions",
        "iam:CreateAccessKey",
        "sts:AssumeRole",
    ];
    assert_eq!(calls, expected, "{found:#?}");
    let taken = found.iter().find(|one| one["call"] == "sts:AssumeRole");
    let taken = taken.expect("it is there");
    assert_eq!(taken["who"], site.world().user_arn());
    assert_eq!(taken["ip"], "127.0.0.1");
    assert_eq!(taken["key"], sealed_before(&records).as_str());
    assert!(
        taken["why"]
            .as_str()
            .is_some_and(|why| why.contains("r-thief"))
    );

    // A record that was cut is no ground to account on.
    let lines = std::fs::read_to_string(format!("{to}/events.jsonl")).expect("lines");
    let cut: Vec<&str> = lines
        .lines()
        .enumerate()
        .filter(|(n, _)| *n != 3)
        .map(|(_, l)| l)
        .collect();
    let cut = file(&site, "sofia", "cut.jsonl", &(cut.join("\n") + "\n"));
    let rosters = format!("{to}/rosters.json");
    let whole = at_home(&site, "sofia", "trail.json");
    let args = [
        "audit",
        "reconcile",
        whole.as_str(),
        "--export",
        cut.as_str(),
        "--roster",
        rosters.as_str(),
    ];
    let done = by(&site, "sofia", &args);
    assert_eq!(done.status, Some(TAMPERING), "{}", done.stderr);
    assert!(
        done.stderr.contains("event 4 was removed"),
        "{}",
        done.stderr
    );
    // Users and roles to look for come out of the roster: whoever has never met it is told so, and compares it.
    assert!(!done.stderr.contains(STRANGER), "{}", done.stderr);
    let verb = site.twotap("sofia", &args).expect("a person");
    let nowhere = at_home(&site, "sofia", "nothing-met");
    let done = verb.env("XDG_STATE_HOME", nowhere).go().expect("it ends");
    assert!(done.stderr.contains(STRANGER), "{}", done.stderr);
    // And without a roster nobody knows whose uses to look for.
    let done = by(&site, "sofia", &args[..5]);
    assert_eq!(done.status, Some(USAGE), "{}", done.stderr);
    assert!(done.stderr.contains("--roster"), "{}", done.stderr);
}

/// Takes a role with the sealed key under a request that nobody made, works in it, and makes a key to come back with.
fn steals(site: &Site) {
    let stolen = sealed(site);
    let thief = site.world().through_proxy(stolen);
    let role = site.world().role_arn("op-admin");
    let taken = thief.query(
        "sts",
        "AssumeRole",
        &[
            ("RoleArn", role.as_str()),
            ("RoleSessionName", "dana"),
            ("ExternalId", EXTERNAL_ID),
            ("SourceIdentity", "dana"),
            ("Tags.member.1.Key", "twotap"),
            ("Tags.member.1.Value", "r-thief"),
            ("TransitiveTagKeys.member.1", "twotap"),
        ],
    );
    let taken = taken
        .expect("an answer")
        .expect_ok("taken")
        .expect("a session");
    let session = site
        .world()
        .through_proxy(taken.credentials().expect("a session"));
    let used = session
        .query("ec2", "DescribeRegions", &[])
        .expect("an answer");
    assert!(used.is_ok(), "{used:?}");
    let made = thief.query("iam", "CreateAccessKey", &[("UserName", "break-glass")]);
    assert!(made.expect("an answer").is_ok());
}

/// The key with which the thief took the role.
fn sealed_before(records: &[Value]) -> String {
    let taken = records
        .iter()
        .rev()
        .find(|r| r["eventName"] == "AssumeRole");
    let key = &taken.expect("taken")["userIdentity"]["accessKeyId"];
    key.as_str().expect("a key").to_owned()
}

fn says_ok(site: &Site, name: &str, args: &[&str]) {
    let run = site
        .run(name, args[0].into(), &args[1..])
        .expect("a person");
    let done = run.go().expect("it ends");
    assert_eq!(done.status, Some(0), "{}", done.stderr);
}
