//! The worst day from end to end: shipped programs, real pcscd, virtual tokens, an AWS that enforces, everybody under an own account.

use std::{path::PathBuf, process::Command};

use serde_json::Value;
use twotap_rig::{
    Site,
    site::{Options, PIN},
};

/// Sofia's command, and what it prints.
fn sofia(site: &Site, args: &[&str]) -> Value {
    let args = [&["--json"], args].concat();
    let run = site.twotap("sofia", &args).expect("sofia");
    run.json().unwrap_or_else(|why| panic!("{args:?}: {why}"))
}

/// A picture of a sheet, as somebody's scanner makes one.
fn scanned(pdf: &str) -> String {
    let stem = PathBuf::from(pdf).with_extension("");
    let done = Command::new("pdftoppm")
        .args(["-r", "150", "-png", "-singlefile", pdf])
        .arg(&stem)
        .status()
        .expect("pdftoppm: apt-get install poppler-utils");
    assert!(done.success());
    stem.with_extension("png").display().to_string()
}

fn event<'e>(events: &'e [Value], kind: &str) -> &'e Value {
    let found = events.iter().find(|event| event["event_type"] == kind);
    found.unwrap_or_else(|| panic!("no {kind}"))
}

fn recorded(site: &Site) -> Vec<Value> {
    let folder = site.stage().home("sofia").join("export");
    let folder = folder.display().to_string();
    sofia(
        site,
        &["audit", "export", "--with-envelopes", "-o", &folder],
    );
    sofia(site, &["audit", "verify", "--export", &folder]);
    let lines = std::fs::read_to_string(format!("{folder}/events.jsonl")).expect("events");
    let events = lines.lines().map(serde_json::from_str);
    events.map(|event| event.expect("JSON")).collect()
}

#[test]
fn with_both_tokens_lost_the_sheets_lead_to_a_vault_that_opens_with_new_ones() {
    let mut site = Site::ready(Options::default()).expect("a site");
    let home = site.stage().home("sofia");
    let at = |name: &str| home.join(name).display().to_string();
    let shared = |name: &str| site.shared(name).display().to_string();
    let (record, bundle) = (shared("prod.recovery.json"), shared("prod.tar"));

    // A quiet day: sheets are made and taken up, one is read, the bundle goes to the safe.
    let made = sofia(
        &site,
        &[
            "recovery",
            "create",
            "prod",
            "--shares",
            "3",
            "--threshold",
            "2",
            "--to",
            &at(""),
            "-o",
            &record,
        ],
    );
    let sheets: Vec<String> = made["sheets"]
        .as_array()
        .expect("sheets")
        .iter()
        .map(|sheet| scanned(sheet.as_str().expect("a path")))
        .collect();
    site.propose("roster-2.json", &["--recovery", &record])
        .expect("proposed");
    for name in ["alice", "bob"] {
        site.sign(name, "roster-2.json").expect("signed");
    }
    let change = site.submit("roster-2.json").expect("handed in");
    for name in ["alice", "bob"] {
        site.approve(name, &change).expect("approved");
    }
    site.wait_until_taken_up(&change).expect("taken up");
    let checked = sofia(
        &site,
        &["recovery", "check", "--set", &record, "--image", &sheets[2]],
    );
    assert!(checked["recorded"].is_object(), "{checked}");
    sofia(&site, &["vault", "export", "prod", "-o", &bundle]);

    // Both tokens are lost at once. Two sheets open the bundle, and stand for the tokens that come after.
    let key = at("key.json");
    let images = ["--image", &sheets[0], "--image", &sheets[1]];
    let used = shared("used.json");
    let open = [
        "recovery", "open", "--bundle", &bundle, "--record", &used, "--to", &key,
    ];
    sofia(&site, &[&open[..], &images].concat());
    for (name, serial) in [("alice", 20_001), ("bob", 20_002)] {
        site.replace_token(name, serial).expect("a new token");
        site.enroll_into(name, &format!("{name}-2.json"))
            .expect("enrolled");
    }
    let shared = |name: &str| site.shared(name).display().to_string();
    let (alice, bob, next) = (
        shared("alice-2.json"),
        shared("bob-2.json"),
        shared("roster-3.json"),
    );
    let stand = [
        "recovery",
        "roster",
        "--bundle",
        &bundle,
        "--custodian",
        &alice,
        "--custodian",
        &bob,
        "-o",
        &next,
    ];
    sofia(&site, &[&stand[..], &images].concat());
    for name in ["alice", "bob"] {
        site.sign(name, "roster-3.json").expect("signed");
    }
    sofia(
        &site,
        &["vault", "seal", "prod", "--from", &key, "--roster", &next],
    );
    let noted = sofia(&site, &["recovery", "record", &used]);
    assert!(noted.to_string().contains("sheets"), "{noted}");
    let status = sofia(&site, &["status"]);
    assert!(
        status["degraded"].to_string().contains("sheets"),
        "{status}"
    );

    // The vault opens with the new tokens, and the record says how it came to that.
    let request = site.request("INC-9", "with new tokens").expect("asked");
    for name in ["alice", "bob"] {
        site.approve(name, &request).expect("approved");
    }
    site.wait_for_credentials(&request).expect("open");
    site.wait_for_step(&request, "rotated").expect("rotated");
    // A drill by a new token, so that the whole of it is in the record that is verified.
    site.tap("alice", 1).expect("a finger");
    site.twotap("alice", &["--json", "drill", "prod", "--pin-fd", "0"])
        .expect("alice")
        .input(format!("{PIN}\n"))
        .ok()
        .expect("it opens");
    let events = recorded(&site);
    event(&events, "DRILL_PASSED");
    event(&events, "RECOVERY_SHEET_CHECKED");
    event(&events, "BUNDLE_EXPORTED");
    event(&events, "RECOVERY_USED");
    let by_paper = events.iter().any(|event| {
        event["event_type"] == "ROSTER_CHANGED" && event.to_string().contains("recovery shares")
    });
    assert!(
        by_paper,
        "nothing says that recovery shares stood for the roster"
    );
}
