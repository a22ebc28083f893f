//! The same at a whole site, where people have accounts and the agent a database.

use std::{path::Path, process::Command, time::Duration};

use twotap::trust::Timestamp;
use twotap_rig::{
    Site,
    site::{Options, PIN},
};

const REFUSED: i32 = 3;
const TAMPERING: i32 = 11;

#[test]
fn the_same_person_by_a_second_login_is_still_one_person() {
    let site = Site::ready(Options::default()).expect("a site");
    let request = site.request("INC-1", "two logins").expect("asked");
    site.world().proxy().clear_calls();
    let file = |name: &str| site.stage().home("alice").join(name).display().to_string();
    let (asked, answered) = (file("request.json"), file("approval.json"));
    let alice = |args: &[&str]| site.twotap("alice", args).expect("alice");
    alice(&["approve", &request.id, "--export", &asked])
        .ok()
        .expect("exported");
    site.tap("alice", 1).expect("a finger");
    let words = ["--confirm", &request.words];
    let approve = [
        "approve", "--in", &asked, "--out", &answered, "--pin-fd", "0",
    ];
    alice(&[&approve[..], &words].concat())
        .input(PIN)
        .ok()
        .expect("approved");
    alice(&["approval", "submit", &answered])
        .ok()
        .expect("handed in");

    // Under bob's account: the key is alice's, and so is the vote.
    let answer = std::fs::read(&answered).expect("there");
    let handed = site
        .stage()
        .write("bob", "approval.json", &answer, 0o600)
        .expect("written");
    let second = site
        .twotap(
            "bob",
            &["approval", "submit", &handed.display().to_string()],
        )
        .expect("bob")
        .go()
        .expect("it ends");
    assert!(second.refused_with(REFUSED), "{second:?}");
    assert!(second.stderr.contains("alice has voted"), "{second:?}");
    let view = site.view(&request).expect("there");
    assert_eq!(view["approved_by"], serde_json::json!(["alice"]));
    assert!(site.world().proxy().calls_of("sts:AssumeRole").is_empty());
    site.approve("bob", &request)
        .expect("bob's own vote counts");
    site.wait_for_credentials(&request).expect("open");
}

#[test]
fn a_database_that_was_put_back_to_an_earlier_day_is_found_by_whoever_saw_a_later_head() {
    let mut site = Site::ready(Options::default()).expect("a site");
    // With its files: from them the agent would take its lines back, and say so.
    let kept = ["state", "audit"].map(|folder| {
        let home = site.stage().home("agent");
        (home.join(folder), home.join(format!("earlier-{folder}")))
    });
    site.kill_agent();
    for (folder, earlier) in &kept {
        copy(folder, earlier);
    }
    site.start_agent().expect("it comes back");
    for incident in ["INC-1", "INC-2", "INC-3", "INC-5", "INC-6"] {
        site.request(incident, "seen by dana").expect("asked");
    }
    let verify = |site: &Site| {
        site.twotap("dana", &["audit", "verify"])
            .expect("dana")
            .go()
            .expect("it ends")
    };
    let whole = verify(&site);
    assert_eq!(whole.status, Some(0), "{whole:?}");

    site.kill_agent();
    for (folder, earlier) in &kept {
        std::fs::remove_dir_all(folder).expect("removed");
        copy(earlier, folder);
    }
    site.start_agent().expect("it comes back");
    let found = verify(&site);
    assert!(found.refused_with(TAMPERING), "{found:?}");
    assert!(found.stderr.contains("you have seen"), "{found:?}");
    // Requests carry whole seconds, and of two of the same second neither is the later one.
    let last = Timestamp::now();
    while Timestamp::now() <= last {
        std::thread::park_timeout(Duration::from_millis(20));
    }
    let args = [
        "request",
        "prod",
        "--access",
        "admin",
        "--incident",
        "INC-4",
        "--reason",
        "down",
    ];
    let asked = site
        .twotap("dana", &args)
        .expect("dana")
        .go()
        .expect("it ends");
    assert!(asked.refused_with(TAMPERING), "{asked:?}");
}

fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(done.expect("cp").success());
}
