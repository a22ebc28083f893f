//! The record of a whole incident at a whole site, on another machine: no network, an empty home, only the export.

use std::{fs, path::Path, process::Command};

use serde_json::Value;
use twotap_rig::{Site, site::CUSTODIANS, site::Options};

use crate::{TAMPERING, against::python};

/// `twotap` where no network is and nobody has ever run it.
fn elsewhere(machine: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let home = machine.join("home");
    fs::create_dir_all(&home).expect("a folder");
    let done = Command::new("unshare")
        .arg("--net")
        .arg(env!("CARGO_BIN_EXE_twotap"))
        .args(args)
        .env_clear()
        .env("HOME", &home)
        .current_dir(machine)
        .output()
        .expect("unshare");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (done.status.code(), text(&done.stdout), text(&done.stderr))
}

#[test]
fn a_whole_incident_verifies_on_another_machine_with_the_export_alone() {
    let site = Site::ready(Options::default()).expect("a site");
    let request = site.request("INC-42", "the login is down").expect("asked");
    for (name, ..) in CUSTODIANS {
        site.approve(name, &request).expect("approved");
    }
    site.wait_for_credentials(&request).expect("open");
    site.wait_for_step(&request, "rotated").expect("rotated");
    site.close(&request).expect("closed");
    let taken = site.stage().home("sofia").join("export");
    let to = taken.display().to_string();
    let export = ["audit", "export", "-o", &to, "--with-envelopes"];
    site.twotap("sofia", &export)
        .expect("sofia")
        .ok()
        .expect("exported");
    let machine = tempfile::tempdir().expect("a folder");
    let copied = Command::new("cp")
        .arg("-r")
        .arg(&taken)
        .arg(machine.path().join("export"))
        .status();
    assert!(copied.expect("cp").success());
    drop(site);

    let verify = ["--json", "audit", "verify", "--export", "export"];
    let (code, found, warned) = elsewhere(machine.path(), &verify);
    assert_eq!(code, Some(0), "{warned}");
    let found: Value = serde_json::from_str(&found).expect("one object");
    // Roster, manifests, offer, two approvals, receipts: every signature was there and held.
    assert!(found["envelopes_checked"].as_u64() >= Some(8), "{found}");
    assert_eq!(found["envelopes_missing"], 0);
    assert_eq!(found["checkpoints_unknown"], 0);
    for none in ["doubts", "gaps", "epochs"] {
        assert_eq!(found[none], serde_json::json!([]), "{none}: {found}");
    }
    let proofs = found["proofs"].as_array().expect("a list");
    for name in ["alice", "bob"] {
        let by = |proof: &&Value| proof["by"].as_str().is_some_and(|by| by.starts_with(name));
        assert!(proofs.iter().any(|proof| by(&proof)), "{name}: {found}");
    }
    for token in found["tokens"].as_array().expect("a list") {
        let proof = token["token"]["proof"].as_str().expect("text");
        assert!(proof.starts_with("attested by"), "{proof}");
    }
    let (fine, said) = python(&machine.path().join("export"));
    assert!(fine, "{said}");
    let proven = format!("proven to event {} by", found["proven_to"]);
    assert!(said.contains(&proven), "{said}: {found}");

    // One letter of what dana gave as the reason.
    let file = machine.path().join("export/events.jsonl");
    let text = fs::read_to_string(&file).expect("lines");
    let (at, line) = text
        .lines()
        .enumerate()
        .find(|(_, line)| line.contains("BREAK_GLASS_REQUESTED"))
        .expect("asked");
    let changed = text.replacen(line, &line.replace("login", "logon"), 1);
    assert_ne!(changed, text);
    fs::write(&file, changed).expect("written");
    let (code, _, said) = elsewhere(machine.path(), &verify[1..]);
    assert_eq!(code, Some(TAMPERING), "{said}");
    assert!(said.contains(&format!("event {} ", at + 1)), "{said}");
    let (fine, said) = python(&machine.path().join("export"));
    assert!(
        !fine && said.contains(&format!("event {}:", at + 1)),
        "{said}"
    );
}
