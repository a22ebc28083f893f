//! The promises, end to end: shipped programs, real pcscd, virtual tokens, an AWS that enforces, everybody under an own account.

use std::fs;

use serde_json::Value;
use twotap_rig::{
    Site,
    site::{CUSTODIANS, Options, PIN, Requested},
};

const REFUSED: i32 = 3;
const TAMPERING: i32 = 11;

fn ready() -> Site {
    Site::ready(Options::default()).expect("a site")
}

fn approve_all(site: &Site, request: &Requested) {
    for (name, ..) in CUSTODIANS {
        site.approve(name, request).expect("approved");
    }
}

#[test]
fn promise_1_two_taps_bound_to_one_request() {
    let site = ready();
    let request = site.request("INC-1", "the first").expect("asked");
    let other = site.request("INC-2", "the second").expect("asked");
    site.world().proxy().clear_calls();

    // One approval, by file: nothing opens, and AWS is not even asked.
    let taps = site.taps().expect("taps");
    let home = site.stage().home("alice");
    let file = |name: &str| home.join(name).display().to_string();
    let (asked, answered) = (file("request.json"), file("approval.json"));
    let verb = |args: &[&str]| site.twotap("alice", args).expect("alice");
    verb(&["approve", &request.id, "--export", &asked])
        .ok()
        .expect("exported");
    site.tap("alice", 1).expect("a finger");
    verb(&[
        "approve",
        "--in",
        &asked,
        "--out",
        &answered,
        "--pin-fd",
        "0",
        "--confirm",
        &request.words,
    ])
    .input(PIN)
    .ok()
    .expect("approved");
    verb(&["approval", "submit", &answered])
        .ok()
        .expect("handed in");
    assert_eq!(site.taps().expect("taps") - taps, 1);
    let early = site.credentials("dana", &request).expect("it ends");
    assert_ne!(early.status, Some(0));
    assert!(early.stdout.is_empty());
    assert!(site.world().proxy().calls_of("sts:AssumeRole").is_empty());

    // The same person once more does not count.
    let again = verb(&["approval", "submit", &answered])
        .go()
        .expect("it ends");
    assert!(again.refused_with(REFUSED), "{again:?}");

    // Approval and share are worthless for another request.
    let mut lie: Value =
        serde_json::from_str(&fs::read_to_string(&answered).expect("there")).expect("JSON");
    lie["approval"]["payload"] = site.view(&other).expect("there")["offer"]["payload"].clone();
    let lie = site
        .stage()
        .write("alice", "lie.json", lie.to_string().as_bytes(), 0o600)
        .expect("written");
    let lied = verb(&["approval", "submit", &lie.display().to_string()])
        .go()
        .expect("it ends");
    assert!(lied.refused_with(TAMPERING), "{lied:?}");

    // The second tap opens it.
    let taps = site.taps().expect("taps");
    site.approve("bob", &request).expect("approved");
    assert_eq!(site.taps().expect("taps") - taps, 1);
    let session = site.wait_for_credentials(&request).expect("open");
    assert!(
        site.world()
            .session_probe(&session)
            .expect("an answer")
            .is_ok()
    );
    assert!(
        site.view(&other).expect("there")["approved_by"]
            .as_array()
            .expect("a list")
            .is_empty()
    );
}

#[test]
fn promise_5_revoked_means_refused_and_another_session_goes_on() {
    let site = ready();
    let mut sessions = Vec::new();
    for incident in ["INC-1", "INC-2"] {
        let request = site.request(incident, "overlapping work").expect("asked");
        approve_all(&site, &request);
        let session = site.wait_for_credentials(&request).expect("open");
        site.wait_for_step(&request, "rotated").expect("rotated");
        sessions.push((request, session));
    }
    let (closed, dead) = &sessions[0];
    let (open, alive) = &sessions[1];
    let outcome = site.close(closed).expect("closed");
    assert_eq!(outcome["stage"], "closed");
    assert!(
        outcome["outcome"]
            .as_str()
            .is_some_and(|o| o.starts_with("revoked")),
        "{outcome}"
    );
    assert!(!site.world().session_probe(dead).expect("an answer").is_ok());
    assert!(
        site.world()
            .session_probe(alive)
            .expect("an answer")
            .is_ok()
    );
    assert!(
        !site
            .credentials("dana", closed)
            .expect("it ends")
            .refused_with(0)
    );
    assert!(
        site.credentials("dana", open)
            .expect("it ends")
            .refused_with(0)
    );
}

#[test]
fn promise_7_a_changed_record_is_found_with_its_place() {
    let mut site = ready();
    let request = site.request("INC-1", "to be recorded").expect("asked");
    approve_all(&site, &request);
    site.wait_for_credentials(&request).expect("open");
    site.wait_for_step(&request, "rotated").expect("rotated");
    // A request after the ceremony: the custodians' signatures will vouch for all of it.
    let witness = site.request("INC-2", "to vouch").expect("asked");
    site.approve("alice", &witness).expect("approved");

    let export = |name: &str| {
        let folder = site.stage().home("sofia").join(name);
        site.twotap(
            "sofia",
            &[
                "audit",
                "export",
                "--with-envelopes",
                "-o",
                &folder.display().to_string(),
            ],
        )
        .expect("sofia")
        .ok()
        .expect("exported");
        folder
    };
    let verify = |folder: &std::path::Path| {
        site.twotap(
            "sofia",
            &[
                "--json",
                "audit",
                "verify",
                "--export",
                &folder.display().to_string(),
            ],
        )
        .expect("sofia")
        .go()
        .expect("it ends")
    };
    let good = export("good");
    let verified = verify(&good);
    assert_eq!(verified.status, Some(0), "{verified:?}");
    let text = fs::read_to_string(good.join("events.jsonl")).expect("events");
    let lines: Vec<&str> = text.lines().collect();
    for kind in [
        "CUSTODIAN_ENROLLED",
        "ROSTER_SIGNED",
        "VAULT_SEALED",
        "BREAK_GLASS_REQUESTED",
        "BREAK_GLASS_APPROVED",
        "MINT_INTENT",
        "BREAK_GLASS_ACCESS",
        "CREDENTIAL_ROTATED",
        "CREDENTIALS_DELIVERED",
    ] {
        assert!(lines.iter().any(|l| l.contains(kind)), "no {kind}");
    }

    let place = lines
        .iter()
        .position(|l| l.contains("MINT_INTENT"))
        .expect("an intent");
    type Change = fn(&mut Vec<String>, usize);
    let changes: [(&str, Change); 4] = [
        ("changed", |l, i| l[i] = l[i].replace("INC-1", "INC-9")),
        ("removed", |l, i| drop(l.remove(i))),
        ("moved", |l, i| l.swap(i, i + 1)),
        ("cut", |l, i| l.truncate(i)),
    ];
    for (name, change) in changes {
        let bad = export(name);
        let mut lines: Vec<String> = lines.iter().map(|l| (*l).to_owned()).collect();
        change(&mut lines, place);
        fs::write(bad.join("events.jsonl"), lines.join("\n") + "\n").expect("written");
        let found = verify(&bad);
        assert!(found.refused_with(TAMPERING), "{name}: {found:?}");
    }

    // The agent's own store says the same after a restart.
    site.kill_agent();
    site.start_agent().expect("the agent comes back");
    let verified = site
        .twotap("sofia", &["audit", "verify"])
        .expect("sofia")
        .go()
        .expect("it ends");
    assert_eq!(verified.status, Some(0), "{verified:?}");
}

#[test]
fn promise_11_nobody_anonymous() {
    let site = ready();
    // Root, the agent's own account, and an account that nobody listed.
    let socket = site.socket().display().to_string();
    let root = std::process::Command::new(site.program("twotap"))
        .args(["--agent", &socket, "status"])
        .env("HOME", site.stage().path())
        .output()
        .expect("it ends");
    assert_eq!(root.status.code(), Some(REFUSED), "{root:?}");
    for stranger in ["agent", "worker"] {
        let done = site
            .twotap(stranger, &["status"])
            .expect("a uid")
            .go()
            .expect("it ends");
        assert!(done.refused_with(REFUSED), "{stranger}: {done:?}");
    }
    // A custodian is no operator, an operator no officer.
    let asked = site
        .twotap(
            "alice",
            &[
                "request",
                "prod",
                "--access",
                "admin",
                "--incident",
                "INC-1",
                "--reason",
                "for myself",
            ],
        )
        .expect("alice")
        .go()
        .expect("it ends");
    assert!(asked.refused_with(REFUSED), "{asked:?}");
    let request = site.request("INC-1", "somebody else's").expect("asked");
    approve_all(&site, &request);
    site.wait_for_credentials(&request).expect("open");
    for other in ["alice", "sofia", "ivan"] {
        let done = site.credentials(other, &request).expect("it ends");
        assert!(done.refused_with(REFUSED), "{other}: {done:?}");
        assert!(done.stdout.is_empty());
    }
}

#[test]
fn a_killed_agent_takes_up_the_session_and_the_record_again() {
    let mut site = ready();
    let request = site.request("INC-1", "the agent will die").expect("asked");
    approve_all(&site, &request);
    let before = site.wait_for_credentials(&request).expect("open");
    site.kill_agent();
    site.start_agent().expect("the agent comes back");
    let after = site.wait_for_credentials(&request).expect("open again");
    assert_eq!(before.access_key_id, after.access_key_id);
    site.wait_for_step(&request, "rotated")
        .expect("the worker went on by itself");
    let keys = site
        .world()
        .list_keys(twotap_rig::world::USER)
        .expect("a list");
    assert_eq!(keys.len(), 1);
}

#[test]
fn a_denial_that_puts_the_threshold_out_of_reach_ends_the_request() {
    let site = ready();
    let request = site.request("INC-1", "not a good idea").expect("asked");
    site.tap("bob", 1).expect("a finger");
    let denied = site
        .twotap(
            "bob",
            &[
                "--json",
                "deny",
                &request.id,
                "--reason",
                "use the replica",
                "--pin-fd",
                "0",
            ],
        )
        .expect("bob")
        .input(PIN)
        .json()
        .expect("denied");
    assert_eq!(denied["denied"], true);
    let view = site.view(&request).expect("there");
    assert_eq!(view["stage"], "denied");
    let late = site
        .approving("alice", &request)
        .expect("alice")
        .go()
        .expect("it ends");
    assert_ne!(late.status, Some(0));
}
