//! Drills: custodians show that their shares open, sheets are read, and a whole ceremony is rehearsed.

mod agent_support;
#[path = "drill/full.rs"]
mod full;
#[path = "drill/layers.rs"]
mod layers;
#[path = "drill/receipts.rs"]
mod receipts;

use agent_support::until;
use serde_json::Value;
use twotap_rig::{
    Site,
    site::{Invocation, Options, PIN},
};

const REFUSED: i32 = 3;
const PIN_CODE: i32 = 5;
const TOUCH: i32 = 6;
const TOKEN: i32 = 7;
const TAMPERING: i32 = 11;

fn ready() -> Site {
    let options = Options {
        touch_timeout_ms: 700,
        ..Options::default()
    };
    Site::ready(options).expect("a site")
}

/// `twotap drill prod`, with more arguments.
fn drill(site: &Site, name: &str, more: &[&str]) -> Invocation {
    let args = [&["--json", "drill", "prod", "--pin-fd", "0"], more].concat();
    site.twotap(name, &args).expect("a person").input(PIN)
}

fn status(site: &Site) -> Value {
    let status = site.twotap("dana", &["--json", "status"]).expect("dana");
    status.json().expect("a status")
}

fn readiness(site: &Site) -> Value {
    status(site)["vaults"][0]["readiness"].clone()
}

/// The events of one name so far.
fn events(site: &Site, name: &str) -> Vec<Value> {
    let tail = site
        .twotap("sofia", &["--json", "audit", "tail", "-n", "200"])
        .expect("sofia")
        .json()
        .expect("events");
    let all = tail["events"].as_array().cloned().unwrap_or_default();
    let named = all.into_iter().filter(|e| e["event_type"] == name);
    named.collect()
}

#[test]
fn custodians_show_that_their_shares_open_and_nothing_is_opened() {
    let site = ready();
    let mut finger = site.finger("alice").expect("a finger");
    let before = readiness(&site);
    assert_eq!(before["custodians"][0]["at"], Value::Null);
    assert_eq!(before["survives_loss_of_one"], false);
    assert_eq!(before["hosts"], 1);

    // At the first meeting her token shows that it has signed the roster.
    site.tap("alice", 1).expect("a finger");
    drill(&site, "alice", &[]).ok().expect("it opens");
    // One tap, and not one command more than an approval takes.
    site.world().proxy().clear_calls();
    finger.mark().expect("marked");
    site.tap("alice", 1).expect("a finger");
    let shown = drill(&site, "alice", &[]).json().expect("it opens");
    assert_eq!(
        (&shown["custodian"], &shown["passed"], &shown["recorded"]),
        (&"alice".into(), &true.into(), &true.into())
    );
    let by_drill = finger.status().expect("counted");
    assert_eq!(by_drill.taps_since_mark, 1);
    // Nobody asked AWS for anything.
    let calls = site.world().proxy().calls();
    assert!(calls.is_empty(), "{calls:?}");
    let request = site.request("INC-1", "to count").expect("asked");
    finger.mark().expect("marked");
    site.approve("alice", &request).expect("approved");
    let by_approval = finger.status().expect("counted");
    assert_eq!(by_drill.apdus_since_mark, by_approval.apdus_since_mark);

    assert_eq!(by_drill.apdus_since_mark.total, 9);
    let passed = events(&site, "DRILL_PASSED");
    assert_eq!(passed.len(), 2);
    assert_eq!(passed[0]["actor"], "alice");
    assert_eq!(passed[0]["what"]["serial"], 10_001);
    assert_eq!(passed[0]["envelopes"][0]["kind"], "drill");

    // Bob's token is on a machine without an agent.
    let home = site.stage().home("bob");
    let path = |name: &str| home.join(name).display().to_string();
    let (papers, receipt) = (path("drill.json"), path("receipt.json"));
    drill(&site, "bob", &["--export", &papers])
        .ok()
        .expect("written");
    site.tap("bob", 1).expect("a finger");
    let made = drill(&site, "bob", &["--in", &papers, "--out", &receipt])
        .json()
        .expect("it opens");
    assert_eq!(made["recorded"], false);
    assert_eq!(events(&site, "DRILL_PASSED").len(), 2);
    let text = std::fs::read_to_string(&receipt).expect("a receipt");
    let twice = site
        .stage()
        .write("sofia", "receipt.json", text.as_bytes(), 0o644);
    let twice = twice.expect("handed over").display().to_string();
    let submitted = drill(&site, "sofia", &["--submit", &twice])
        .json()
        .expect("counted");
    assert_eq!(submitted["custodian"], "bob");
    // It counts once.
    let again = drill(&site, "bob", &["--submit", &receipt])
        .go()
        .expect("ran");
    assert!(again.refused_with(REFUSED), "{}", again.stderr);

    let after = readiness(&site);
    assert_eq!(after["custodians"][0]["by"], "approval");
    assert_eq!(after["custodians"][1]["by"], "drill");
    assert_eq!(after["custodians"][1]["serial"], 10_002);
    assert_eq!(after["degraded"], serde_json::json!([]));
}

#[test]
fn what_fails_at_the_token_is_named_recorded_and_healed_by_the_next_drill() {
    let site = ready();
    let mut finger = site.finger("alice").expect("a finger");
    finger.never().expect("nobody taps");
    let late = drill(&site, "alice", &[]).go().expect("ran");
    assert!(late.refused_with(TOUCH), "{}", late.stderr);
    // Nobody was there: that says nothing about the share.
    assert_eq!(readiness(&site)["degraded"], serde_json::json!([]));

    let wrong = drill(&site, "alice", &[])
        .input("000000")
        .go()
        .expect("ran");
    assert!(wrong.refused_with(PIN_CODE), "{}", wrong.stderr);
    assert!(wrong.stdout.contains("(layer: pin)"), "{}", wrong.stdout);
    finger.remove().expect("pulled out");
    let absent = drill(&site, "alice", &[]).go().expect("ran");
    assert!(absent.refused_with(TOKEN), "{}", absent.stderr);
    finger.insert().expect("put in");

    let failed = events(&site, "DRILL_FAILED");
    let layers: Vec<&Value> = failed.iter().map(|e| &e["what"]["layer"]).collect();
    assert_eq!(layers, ["touch", "pin", "token"]);
    assert!(failed.iter().all(|e| e["actor"] == "alice"));
    let known = status(&site)["degraded"].to_string();
    assert!(known.contains("alice's last drill failed"), "{known}");

    // The reader takes a moment to see it.
    finger.tap_always().expect("a finger");
    until("it opens", || {
        let again = drill(&site, "alice", &[]).go().expect("ran");
        assert!(
            again.status == Some(0) || again.refused_with(TOKEN),
            "{}",
            again.stderr
        );
        again.status == Some(0)
    });
    assert_eq!(readiness(&site)["degraded"], serde_json::json!([]));
    // An operator has no share to try.
    let dana = drill(&site, "dana", &[]).go().expect("ran");
    assert!(dana.refused_with(REFUSED), "{}", dana.stderr);
}
