//! The agent is killed at each point of a ceremony, with the real worker at the other end: the worker goes on, the session is asked for
//! again, and nothing runs twice.

use std::{
    fs,
    sync::Mutex,
    time::{Duration, Instant},
};

use serde_json::Value;
use twotap_rig::{
    Fault, Rule, Site, When,
    proxy::Gate,
    site::{CUSTODIANS, Options, Requested},
    world,
};

/// How long anything may take.
const BOUND: Duration = Duration::from_secs(120);

fn ready() -> Site {
    Site::ready(Options::default()).expect("a site")
}

fn approve_all(site: &Site, request: &Requested) {
    for (name, ..) in CUSTODIANS {
        site.approve(name, request).expect("approved");
    }
}

fn the_key(site: &Site) -> String {
    let keys = site.world().list_keys(world::USER).expect("a list");
    assert_eq!(keys.len(), 1, "{keys:?}");
    assert!(keys[0].active);
    keys[0].id.clone()
}

fn until(what: &str, mut there: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !there() {
        assert!(begun.elapsed() < BOUND, "{what} does not come");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// The record's events of a request, from an export that was verified.
fn events(site: &Site, request: &Requested) -> Vec<String> {
    static EXPORTS: Mutex<u32> = Mutex::new(0);
    let n = {
        let mut n = EXPORTS.lock().expect("nobody panicked");
        *n += 1;
        *n
    };
    let folder = site.stage().home("sofia").join(format!("export-{n}"));
    let folder_text = folder.display().to_string();
    let sofia = |args: &[&str]| site.twotap("sofia", args).expect("sofia").ok();
    sofia(&["audit", "export", "--with-envelopes", "-o", &folder_text]).expect("exported");
    sofia(&["audit", "verify", "--export", &folder_text]).expect("the export verifies");
    sofia(&["audit", "verify"]).expect("the record verifies");
    fs::read_to_string(folder.join("events.jsonl"))
        .expect("events")
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
        .filter(|event| event["correlation_id"] == request.id.as_str())
        .filter_map(|event| event["event_type"].as_str().map(str::to_owned))
        .collect()
}

fn times(events: &[String], kind: &str) -> usize {
    events.iter().filter(|e| *e == kind).count()
}

/// Everything once: one session made, one key made, one event each.
fn assert_once(site: &Site, request: &Requested, before: &str, what: &str) {
    let events = events(site, request);
    for once in [
        "BREAK_GLASS_REQUESTED",
        "MINT_INTENT",
        "BREAK_GLASS_ACCESS",
        "CREDENTIAL_ROTATED",
    ] {
        assert_eq!(times(&events, once), 1, "{what}: {once} in {events:?}");
    }
    assert_eq!(times(&events, "CREDENTIAL_ROTATION_PENDING"), 0, "{what}");
    let proxy = site.world().proxy();
    let sessions = proxy.calls_of("sts:AssumeRole");
    let sessions = sessions
        .iter()
        .filter(|c| c.param("RoleSessionName") == Some("dana"));
    // What had no answer within the worker's own time limit is asked once more; what came of it is in the events.
    assert!((1..=2).contains(&sessions.count()), "{what}");
    let keys = proxy.calls_of("iam:CreateAccessKey").len();
    assert!((1..=2).contains(&keys), "{what}");
    assert_ne!(the_key(site), before, "{what}");
    assert_eq!(proxy.broken(), [""; 0], "{what}");
}

/// Where a ceremony stops until the gate opens.
type Point = (&'static str, Rule, Gate);

fn request_of(what: &'static str, rule: Rule) -> Point {
    let gate = Gate::new();
    (what, rule.doing(Fault::HoldRequest(gate.clone())), gate)
}

fn reply_of(what: &'static str, rule: Rule) -> Point {
    let gate = Gate::new();
    (what, rule.doing(Fault::HoldReply(gate.clone())), gate)
}

fn once(action: &str) -> Rule {
    Rule::new(action, When::Nth(1), Fault::Unreachable)
}

/// Kills the agent at a point of a ceremony. By turns the agent is back before the worker goes on, and only after the worker has ended.
fn killed_at(site: &mut Site, n: usize, (what, rule, gate): Point) {
    let before = the_key(site);
    site.world().proxy().clear_rules();
    site.world().proxy().clear_calls();
    site.world().proxy().add(rule);
    let request = site.request("INC-1", what).expect("asked");
    approve_all(site, &request);
    gate.wait_arrived(1, BOUND).expect(what);
    site.kill_agent();
    if n.is_multiple_of(2) {
        site.start_agent().expect("the agent comes back");
        gate.open();
    } else {
        gate.open();
        until("the worker's end", || site.door().pids().is_empty());
        site.start_agent().expect("the agent comes back");
    }
    let session = site.wait_for_credentials(&request).expect(what);
    let probe = site.world().session_probe(&session).expect("an answer");
    assert!(probe.is_ok(), "{what}: {probe:?}");
    site.wait_for_step(&request, "rotated").expect(what);
    assert_once(site, &request, &before, what);
}

#[test]
fn the_agent_killed_before_the_quorum_ends_the_request_and_nothing_is_opened() {
    let mut site = ready();
    let before = the_key(&site);
    site.world().proxy().clear_calls();
    let request = site.request("INC-1", "nobody sees its end").expect("asked");
    site.approve("alice", &request).expect("approved");
    site.kill_agent();
    until("the worker's end", || site.door().pids().is_empty());
    site.start_agent().expect("the agent comes back");
    until("the end of the request", || {
        site.view(&request).expect("there")["stage"] == "failed"
    });
    let late = site.approving("bob", &request).expect("bob").go();
    assert_ne!(late.expect("it ends").status, Some(0));
    let outcome = site.view(&request).expect("there")["outcome"].to_string();
    assert!(
        outcome.contains("restarted while the request waited"),
        "{outcome}"
    );
    let events_then = events(&site, &request);
    assert_eq!(times(&events_then, "MINT_INTENT"), 0, "{events_then:?}");
    assert_eq!(times(&events_then, "REQUEST_FAILED"), 1, "{events_then:?}");
    assert!(site.world().proxy().calls_of("iam:*").is_empty());
    assert_eq!(the_key(&site), before);
    // Asking again is all that it takes.
    let request = site.request("INC-1", "once more").expect("asked");
    approve_all(&site, &request);
    site.wait_for_credentials(&request).expect("open");
    site.wait_for_step(&request, "rotated").expect("rotated");
    assert_once(&site, &request, &before, "after the restart");
}

#[test]
fn the_agent_killed_right_after_the_quorum_and_at_each_call_of_minting() {
    let mut site = ready();
    right_after_the_quorum(&mut site);
    let steward = site.world().role_arn(world::STEWARD_ROLE);
    let steward = || once("sts:AssumeRole").with("RoleArn", &steward);
    let operator = || once("sts:AssumeRole").with("RoleSessionName", "dana");
    let points = [
        request_of("asking for the steward's session", steward()),
        reply_of("the steward's session on its way", steward()),
        request_of("asking for the operator's session", operator()),
        reply_of("the operator's session on its way", operator()),
    ];
    for (n, point) in points.into_iter().enumerate() {
        killed_at(&mut site, n, point);
    }
}

/// As soon as the intent stands in the worker's journal, whether or not it stands in the record.
fn right_after_the_quorum(site: &mut Site) {
    let before = the_key(site);
    site.world().proxy().clear_calls();
    let request = site
        .request("INC-1", "right after the quorum")
        .expect("asked");
    site.approve("alice", &request).expect("approved");
    let journal = site
        .stage()
        .home("worker")
        .join("state/vaults/prod/journal");
    site.tap("bob", 1).expect("a finger");
    let bob = site.approving("bob", &request).expect("bob");
    // Whether bob hears of it depends on the moment.
    let bob = std::thread::spawn(move || drop(bob.go()));
    until("the intent", || {
        let journal = fs::read_to_string(&journal).expect("a journal");
        journal
            .lines()
            .any(|l| l.contains(&request.id) && l.contains("mint_intent"))
    });
    site.kill_agent();
    site.start_agent().expect("the agent comes back");
    bob.join().expect("it ends");
    site.wait_for_credentials(&request).expect("open");
    site.wait_for_step(&request, "rotated").expect("rotated");
    assert_once(site, &request, &before, "right after the quorum");
}

#[test]
fn the_agent_killed_at_each_call_of_the_rotation() {
    let mut site = ready();
    let proof = || once("sts:AssumeRole").with("RoleSessionName", "twotap-proof");
    let points = [
        request_of("listing keys", once("iam:ListAccessKeys")),
        request_of("making a key", once("iam:CreateAccessKey")),
        reply_of("the new key on its way", once("iam:CreateAccessKey")),
        request_of("proving the new key", proof()),
        request_of("disabling the old key", once("iam:UpdateAccessKey")),
        reply_of("the old key disabled", once("iam:UpdateAccessKey")),
        request_of("seeing the old key refused", once("sts:GetCallerIdentity")),
        request_of("deleting the old key", once("iam:DeleteAccessKey")),
        reply_of("the old key deleted", once("iam:DeleteAccessKey")),
    ];
    for (n, point) in points.into_iter().enumerate() {
        killed_at(&mut site, n, point);
    }
}

#[test]
fn the_agent_killed_at_each_call_of_closing() {
    let mut site = ready();
    let mut all = Vec::new();
    for _ in 0..3 {
        let request = site.request("INC-1", "to be closed").expect("asked");
        approve_all(&site, &request);
        let session = site.wait_for_credentials(&request).expect("open");
        site.wait_for_step(&request, "rotated").expect("rotated");
        all.push((request, session));
    }
    let steward = |request: &Requested| {
        let kept = site.stage().home("worker").join("runtime");
        let kept = fs::read(kept.join(format!("{}.json", request.id))).expect("kept");
        let kept: Value = serde_json::from_slice(&kept).expect("JSON");
        let sessions = kept["sessions"].as_array().expect("a list");
        let steward = sessions.iter().find(|s| s["whose"] == "steward");
        steward.expect("a steward")["access_key_id"]
            .as_str()
            .expect("a key")
            .to_owned()
    };
    let put = |n: usize| once("iam:PutRolePolicy").signed_by(&steward(&all[n].0));
    let probe = Rule::new("ec2:DescribeRegions", When::Nth(3), Fault::Unreachable)
        .signed_by(&all[2].1.access_key_id);
    let points = [
        request_of("putting the revocation", put(0)),
        reply_of("the revocation is put", put(1)),
        reply_of("observing", probe),
    ];
    let mut closing = Vec::new();
    for ((what, rule, gate), (request, _)) in points.iter().zip(&all) {
        site.world().proxy().add(rule.clone());
        let close = site.twotap("dana", &["close", &request.id]).expect("dana");
        closing.push(std::thread::spawn(move || drop(close.go())));
        gate.wait_arrived(1, BOUND).expect(what);
    }
    site.kill_agent();
    site.start_agent().expect("the agent comes back");
    for (_, _, gate) in &points {
        gate.open();
    }
    for ((what, ..), (request, session)) in points.iter().zip(&all) {
        until(what, || {
            site.view(request).expect("there")["stage"] == "closed"
        });
        let probe = site.world().session_probe(session).expect("an answer");
        assert!(!probe.is_ok(), "{what}: still open");
        let events = events(&site, request);
        for once in ["SESSION_CLOSED", "SESSION_REVOKED", "BREAK_GLASS_ACCESS"] {
            assert_eq!(times(&events, once), 1, "{what}: {once} in {events:?}");
        }
        let outcome = site.view(request).expect("there")["outcome"].to_string();
        assert!(outcome.contains("revoked"), "{outcome}");
    }
    for call in closing {
        call.join().expect("it ends");
    }
    until("the workers' end", || site.door().pids().is_empty());
    let kept = site.stage().home("worker").join("runtime");
    assert_eq!(fs::read_dir(kept).expect("there").count(), 0);
}
