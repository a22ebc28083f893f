//! Runbook E: a governed infrastructure control plane.
//!
//! Exceptional, time-bound, auditable, reversible. Declared by environment; banned for expediency, routine change and avoiding governance; no
//! anonymous or shared access; and the evidence is committed to Git.

mod runbook_support;

use std::process::Command;

use runbook_support::{
    BANNED, REFUSED, approved_by_two, at_home, event, is_refused, lets_in, reviewed, says, seconds,
    site,
};
use serde_json::Value;
use twotap::trust::Timestamp;
use twotap_rig::{
    Site,
    site::{Done, Requested},
    tools,
};

const POLICY: &str = r#"
[[scenario]]
name = "signing-keys-lost"
access = ["admin"]
default = "1h"
max = "4h"
review_hours = 24
needs = ["ticket"]
ticket = "PAGE-[0-9]+"
min_reason = 20
"#;
const WHY: &str = "the signing keys are gone and every governed path needs them";

/// Dana asks with a declaration in the environment.
fn declares(site: &Site, at: &str, args: &[&str]) -> Done {
    let request = [
        &[
            "--json",
            "request",
            "prod",
            "--scenario",
            "signing-keys-lost",
        ],
        args,
    ]
    .concat();
    let request = site.twotap("dana", &request).expect("dana");
    request
        .env("GOVERNED_BREAK_GLASS", "true")
        .env("BREAK_GLASS_REASON", WHY)
        .env("BREAK_GLASS_TIMESTAMP", at)
        .go()
        .expect("it ends")
}

#[test]
fn the_signing_keys_are_lost_and_the_way_around_governance_is_governed() {
    let site = site(POLICY, |_| {});
    let now = Timestamp::now();

    // Before: an incident reference. And no standing declaration: it is for now.
    let stale = declares(
        &site,
        &now.plus(-16 * 60).to_string(),
        &["--incident", "PAGE-3"],
    );
    assert!(stale.refused_with(REFUSED), "{stale:?}");
    assert!(stale.stdout.contains("declaration"), "{stale:?}");
    let unreferenced = declares(&site, &now.to_string(), &["--incident", "soon"]);
    assert!(unreferenced.refused_with(REFUSED), "{unreferenced:?}");

    // Banned uses: who does not declare has to say that it is none of them, each.
    let without = [
        "request",
        "prod",
        "--scenario",
        "signing-keys-lost",
        "--incident",
        "PAGE-3",
        "--reason",
        WHY,
    ];
    let done = runbook_support::by(&site, "dana", &without);
    assert_ne!(done.status, Some(0));
    for banned in BANNED.split(',') {
        let others: Vec<&str> = BANNED.split(',').filter(|other| *other != banned).collect();
        let others = others.join(",");
        let done = runbook_support::by(
            &site,
            "dana",
            &[&without[..], &["--not-for", &others]].concat(),
        );
        assert_ne!(done.status, Some(0), "{banned}");
        assert!(done.stderr.contains(banned), "{banned}: {}", done.stderr);
    }

    // Named human accountability: an account that is nobody's in the roster gets nowhere, nor does root.
    is_refused(&site, "carol", &["status"], REFUSED, "account 61015");
    let root = Command::new(site.program("twotap"))
        .args(["status", "--agent"])
        .arg(site.socket())
        .env("HOME", site.stage().path())
        .output()
        .expect("it runs");
    assert_eq!(root.status.code(), Some(REFUSED), "{root:?}");

    // Declared by environment.
    let asked = declares(&site, &now.to_string(), &["--incident", "PAGE-3"]);
    assert_eq!(asked.status, Some(0), "{asked:?}");
    let asked: Value = serde_json::from_str(&asked.stdout).expect("one object");
    let request = Requested::of(&asked).expect("a request");
    let recorded = event(&site, &request, "BREAK_GLASS_REQUESTED");
    assert_eq!(recorded["justification"], WHY);
    assert_eq!(recorded["actor"], "dana");

    // Time-bound: an hour, by AWS's clock, whatever becomes of this host.
    let session = approved_by_two(&site, &request);
    let opened = event(&site, &request, "BREAK_GLASS_ACCESS");
    assert!(seconds(&asked_at(&now), &opened["what"]["not_after"]) <= 3600 + 60);
    assert!(lets_in(&site, &session));

    // Reversible: ended before its time, and seen to be.
    site.wait_for_step(&request, "rotated").expect("rotated");
    site.close(&request).expect("closed");
    assert!(!lets_in(&site, &session));

    // Auditable: reviewed within a day, and the evidence goes into Git, where anybody can check it.
    let report = reviewed(&site, &request);
    let review = &report["review"];
    assert_eq!(seconds(&review["closed"], &review["due"]), 24 * 3600);
    let confirmed = report["incident"]["confirmed"].as_array().expect("a list");
    assert_eq!(confirmed.len(), 3);

    let evidence = at_home(&site, "sofia", "evidence");
    says(&site, "sofia", &["audit", "export", "-o", &evidence]);
    let paper = format!("{evidence}/{}.json", request.id);
    says(&site, "sofia", &["report", &request.id, "-o", &paper]);
    tools::git(evidence.as_ref(), &["init", "--quiet"]);
    tools::git(evidence.as_ref(), &["add", "."]);
    tools::git(
        evidence.as_ref(),
        &[
            "commit",
            "--quiet",
            "-m",
            &format!("PAGE-3: {}", request.id),
        ],
    );
    let clone = site.shared("clone").display().to_string();
    tools::git(evidence.as_ref(), &["clone", "--quiet", ".", &clone]);
    let verified = says(&site, "ivan", &["audit", "verify", "--export", &clone]);
    assert!(verified.contains("events follow one another"), "{verified}");

    // What was changed afterwards is found.
    let file = std::fs::read_dir(&clone)
        .expect("a folder")
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|end| end == "jsonl"))
        .expect("the lines");
    let text = std::fs::read_to_string(&file).expect("lines");
    let changed = text.replace("PAGE-3", "PAGE-4");
    assert_ne!(changed, text);
    std::fs::write(&file, changed).expect("written");
    let found = runbook_support::by(&site, "ivan", &["audit", "verify", "--export", &clone]);
    assert_eq!(found.status, Some(11), "{found:?}");
}

fn asked_at(now: &Timestamp) -> Value {
    Value::String(now.to_string())
}
