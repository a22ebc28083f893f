//! Custodians come and go, tokens are lost, people are far away: shipped programs, real pcscd, virtual tokens, everybody under an own account.

#[path = "custody/far.rs"]
mod far;
#[path = "custody/screen.rs"]
mod screen;
#[path = "custody/ssh.rs"]
mod ssh;

use serde_json::Value;
use twotap_rig::{Site, people::CAROL, site::Options};

const REFUSED: i32 = 3;
const APPROVALS: i32 = 4;
const TAMPERING: i32 = 11;

fn ready() -> Site {
    Site::ready(Options::default()).expect("a site")
}

/// The names of the events so far, and the events themselves.
fn events(site: &Site) -> Vec<Value> {
    let folder = site.stage().home("sofia").join("export");
    let _ = std::fs::remove_dir_all(&folder);
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
    let verified = site
        .twotap(
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
        .json()
        .expect("it holds");
    assert_eq!(verified["envelopes_missing"], 0);
    std::fs::read_to_string(folder.join("events.jsonl"))
        .expect("events")
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

#[test]
fn a_custodian_joins_and_a_lost_token_is_replaced() {
    let mut site = ready();
    // Somebody is at work meanwhile: a session outlives the roster that it was opened under.
    let request = site.request("INC-1", "under version 1").expect("asked");
    site.approve("alice", &request).expect("approved");
    site.approve("bob", &request).expect("approved");
    site.wait_for_credentials(&request).expect("open");
    site.wait_for_step(&request, "rotated").expect("rotated");

    // Carol joins.
    site.join("carol", 10_003).expect("enrolled");
    let people = site.people_with("carol", CAROL).expect("written");
    let carols = site.shared("carol.enrollment.json").display().to_string();
    let proposed = site
        .propose(
            "roster-2.json",
            &["--people", &people, "--add-custodian", &carols],
        )
        .expect("proposed");
    let texts = proposed["changes"].to_string();
    assert!(texts.contains("carol is new: custodian"), "{texts}");
    assert!(
        proposed["follows"]
            .as_str()
            .is_some_and(|f| f.contains("rotated")),
        "{proposed}"
    );
    // Handed in before all have signed, it is refused and nothing waits.
    let early = site.submit("roster-2.json");
    assert!(early.is_err());
    for name in ["alice", "bob", "carol"] {
        let signed = site.sign(name, "roster-2.json").expect("signed");
        assert_eq!(signed["complete"], name == "carol", "{signed}");
    }
    let change = site.submit("roster-2.json").expect("handed in");
    let status = site
        .twotap("dana", &["--json", "status"])
        .expect("dana")
        .json()
        .expect("a status");
    assert!(
        status["degraded"]
            .to_string()
            .contains("owed: a ceremony (rotation under roster 2)"),
        "{status}"
    );
    site.approve("alice", &change).expect("approved");
    site.approve("bob", &change).expect("approved");
    site.wait_until_taken_up(&change).expect("taken up");

    // Alice loses her token: bob and carol sign, and her new token for itself.
    site.replace_token("alice", 10_011).expect("another one");
    site.enroll_into("alice", "alice-2.enrollment.json")
        .expect("enrolled");
    let replacement = format!("10001={}", site.shared("alice-2.enrollment.json").display());
    site.propose("roster-3.json", &["--replace-token", &replacement])
        .expect("proposed");
    for name in ["bob", "carol", "alice"] {
        site.sign(name, "roster-3.json").expect("signed");
    }
    let change = site.submit("roster-3.json").expect("handed in");
    site.approve("bob", &change).expect("approved");
    site.approve("carol", &change).expect("approved");
    site.wait_until_taken_up(&change).expect("taken up");

    // The new ones open; the session of version 1 is closed under version 3.
    let second = site.request("INC-2", "under version 3").expect("asked");
    site.approve("alice", &second).expect("approved");
    site.approve("carol", &second).expect("approved");
    site.wait_for_credentials(&second).expect("open");
    let closed = site.close(&request).expect("closed");
    assert_eq!(closed["stage"], "closed");

    let events = events(&site);
    let changed: Vec<&Value> = events
        .iter()
        .filter(|e| e["event_type"] == "ROSTER_CHANGED")
        .collect();
    assert_eq!(changed.len(), 2);
    assert!(
        changed[0]["what"]["changes"]
            .to_string()
            .contains("carol is new")
    );
    assert!(
        changed[1]["what"]["changes"]
            .to_string()
            .contains("token 10001 of alice can no longer approve")
    );
    let shown = site
        .twotap("bob", &["--json", "roster", "show", "prod"])
        .expect("bob")
        .json()
        .expect("shown");
    assert_eq!(shown["versions"].as_array().map(Vec::len), Some(3));
}

#[test]
fn an_agent_that_shows_an_older_or_another_roster_is_found_out() {
    let site = ready();
    // Bob has seen version 1. A file with a version that follows something else is not signed.
    let proposed = site
        .propose("roster-2.json", &["--accept-risk", "YSA-2024-03"])
        .expect("proposed");
    assert_eq!(proposed["version"], 2);
    let path = site.shared("roster-2.json");
    let mut chain: Value =
        serde_json::from_slice(&std::fs::read(&path).expect("there")).expect("JSON");
    let forged = {
        let payload = data_encoding::BASE64
            .decode(chain[0]["payload"].as_str().expect("text").as_bytes())
            .expect("base64");
        let text = String::from_utf8(payload).expect("text");
        data_encoding::BASE64.encode(text.replacen("61010", "61020", 1).as_bytes())
    };
    chain[0]["payload"] = forged.into();
    std::fs::write(&path, chain.to_string()).expect("written");
    let done = site
        .twotap(
            "bob",
            &[
                "roster",
                "sign",
                &path.display().to_string(),
                "--pin-fd",
                "0",
            ],
        )
        .expect("bob")
        .input("271828")
        .go()
        .expect("it ends");
    assert!(done.refused_with(TAMPERING), "{done:?}");
    // Version 2 counts, and sofia has seen it: a chain that ends before it is refused.
    let old = site.shared("roster.json");
    let good = ["--accept-risk", "YSA-2024-03"];
    site.propose("good-2.json", &good).expect("proposed");
    for name in ["alice", "bob"] {
        site.sign(name, "good-2.json").expect("signed");
    }
    let change = site.submit("good-2.json").expect("handed in");
    for name in ["alice", "bob"] {
        site.approve(name, &change).expect("approved");
    }
    site.wait_until_taken_up(&change).expect("taken up");
    let again = ["--accept-unattested", "4711"];
    site.propose("good-3.json", &again).expect("proposed");
    let out = site.shared("none.json").display().to_string();
    let from = |file: &str| {
        let args = ["roster", "propose", "prod", "--from", file, "-o", &out];
        let args = [&args[..], &["--accept-unattested", "4712"]].concat();
        let done = site.twotap("sofia", &args).expect("sofia").go();
        done.expect("it ends")
    };
    let older = from(&old.display().to_string());
    assert!(older.refused_with(TAMPERING), "{older:?}");
    assert!(!std::path::Path::new(&out).exists(), "nothing was drawn up");
}
