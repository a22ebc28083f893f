//! A quorum of sheets on a machine with no network, no agent and an empty home.

use std::{fs, os::unix::fs::PermissionsExt as _};

use twotap::{
    trust::{
        Envelope,
        recovery::{How, Record, Took},
    },
    vault::archive,
};

use crate::bench::{KEY, Machine, SECRET, Sheets, Vault, arg};

fn archived(vault: &Vault) -> Vec<u8> {
    archive::write(&vault.bundle(1)).expect("written")
}

/// The record that a run left, believed as an agent would.
fn record(machine: &Machine, vault: &Vault, name: &str) -> Record {
    let envelope = Envelope::parse(&fs::read(machine.file(name)).expect("a record")).expect("one");
    let record = Record::verify(&envelope, &vault.roster).expect("signed by the sheets");
    record.into_document()
}

#[test]
fn a_quorum_of_sheets_opens_a_bundle_where_there_is_nothing_else() {
    let sheets = Sheets::two_of_three();
    let vault = Vault::new("prod", sheets.entry());
    let machine = Machine::new();
    let bundle = machine.put("prod.tar", &archived(&vault));
    let to = arg(&machine.file("key.json"));
    let ran = machine.run(
        &[
            "recovery",
            "open",
            "--bundle",
            &bundle,
            "--to",
            &to,
            "--words-fd",
            "0",
        ],
        &sheets.lines(&[2, 0]),
    );
    assert_eq!(ran.status, Some(0), "{ran:?}");
    assert_eq!(fs::read_to_string(&to).expect("the key"), KEY);
    let mode = fs::metadata(&to).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(machine.home_is_empty());
    assert_eq!(
        machine.files(),
        ["key.json", "prod.recovery.json", "prod.tar"]
    );
    for shown in [&ran.stdout, &ran.stderr] {
        assert!(
            !shown.contains(SECRET) && !shown.contains(&sheets.words[0][..30]),
            "{ran:?}"
        );
    }
    // What it relies on, and what must follow.
    assert!(
        ran.stderr.contains(&vault.roster.digest().to_string()),
        "{ran:?}"
    );
    assert!(
        ran.stderr.contains("nothing here knows these rosters"),
        "{ran:?}"
    );
    for next in ["recovery record", "replace the key", "the sheets are spent"] {
        assert!(ran.stdout.contains(next), "{next}: {ran:?}");
    }

    let record = record(&machine, &vault, "prod.recovery.json");
    assert_eq!((record.how, record.took), (How::Paper, Took::Credential));
    assert_eq!((record.vault.as_str(), record.generation), ("prod", 1));
}

/// From pictures, out of the JSON that a place holds, to standard output, which then holds the key and nothing else.
#[test]
fn pictures_do_and_a_pipe_gets_the_key_alone() {
    let sheets = Sheets::two_of_three();
    let vault = Vault::new("prod", sheets.entry());
    let machine = Machine::new();
    let bundle = machine.put("prod.json", vault.bundle(1).to_json().as_bytes());
    let pictures = [arg(&sheets.pictures[1]), arg(&sheets.pictures[2])];
    let set = arg(&sheets.record);
    let ran = machine.run(
        &[
            "recovery",
            "open",
            "--bundle",
            &bundle,
            "--image",
            &pictures[0],
            "--image",
            &pictures[1],
            "--set",
            &set,
            "--record",
            "said.json",
        ],
        "",
    );
    assert_eq!(ran.status, Some(0), "{ran:?}");
    assert_eq!(ran.stdout, KEY);
    assert!(!ran.stderr.contains(SECRET));
    assert!(ran.stderr.contains("what must follow"), "{ran:?}");
    record(&machine, &vault, "said.json");
    assert!(machine.home_is_empty());
}

#[test]
fn groups_and_a_passphrase_open_it_and_another_passphrase_does_not() {
    let sheets = Sheets::create(
        &[
            "--group",
            "2of2:executives",
            "--group",
            "2of3:board",
            "--any",
            "2",
        ],
        Some("correct horse"),
    );
    let vault = Vault::new("prod", sheets.entry());
    let machine = Machine::new();
    let bundle = machine.put("prod.tar", &archived(&vault));
    let to = arg(&machine.file("key.json"));
    // Files are sorted by name: the board's three, then the executives' two.
    let words = sheets.lines(&[0, 3, 2, 4]);
    let open = |passphrase: &str| {
        machine.run(
            &[
                "recovery",
                "open",
                "--bundle",
                &bundle,
                "--to",
                &to,
                "--words-fd",
                "0",
                "--passphrase-fd",
                "0",
            ],
            &format!("{words}{passphrase}\n"),
        )
    };
    let wrong = open("wrong horse");
    assert_eq!(wrong.status, Some(3), "{wrong:?}");
    assert!(
        wrong.stderr.contains("or the passphrase is another"),
        "{wrong:?}"
    );
    assert_eq!(machine.files(), ["prod.tar"]);
    let right = open("correct horse");
    assert_eq!(right.status, Some(0), "{right:?}");
    assert_eq!(fs::read_to_string(&to).expect("the key"), KEY);
    assert!(!right.stderr.contains("correct horse"));
    record(&machine, &vault, "prod.recovery.json");
}

#[test]
fn a_program_gets_one_object_and_the_key_goes_to_the_file() {
    let sheets = Sheets::two_of_three();
    let vault = Vault::new("prod", sheets.entry());
    let machine = Machine::new();
    let bundle = machine.put("prod.tar", &archived(&vault));
    let digest = vault.roster.digest().to_string();
    let to = arg(&machine.file("key.json"));
    let open = |more: &[&str]| {
        let mut args = vec![
            "--json",
            "recovery",
            "open",
            "--bundle",
            &bundle,
            "--words-fd",
            "0",
        ];
        args.extend(more);
        machine.run(&args, &sheets.lines(&[0, 1]))
    };
    let without = open(&[]);
    assert_eq!(without.status, Some(2), "{without:?}");
    assert!(without.stdout.contains("--to FILE"), "{without:?}");
    let ran = open(&["--to", &to, "--roster-sha256", &digest]);
    assert_eq!(ran.status, Some(0), "{ran:?}");
    let object: serde_json::Value = serde_json::from_str(&ran.stdout).expect("one object");
    assert_eq!(object["access_key_id"], "AKIAIOSFODNN7EXAMPLE");
    assert_eq!(object["how"]["kind"], "paper");
    assert!(!ran.stdout.contains(SECRET));
    assert!(!ran.stderr.contains("nothing here knows"), "{ran:?}");
    assert_eq!(fs::read_to_string(&to).expect("the key"), KEY);
}

/// What somebody finds who has the bundle alone.
#[test]
fn verify_says_what_is_in_a_bundle() {
    let sheets = Sheets::two_of_three();
    let vault = Vault::new("prod", sheets.entry());
    let machine = Machine::new();
    let bundle = vault.bundle(3);
    let tar = machine.put("prod.tar", &archive::write(&bundle).expect("written"));
    let json = machine.put("prod.json", bundle.to_json().as_bytes());
    for (file, form) in [(&tar, "archive"), (&json, "json")] {
        let ran = machine.run(&["--json", "vault", "export", "--verify", file], "");
        assert_eq!(ran.status, Some(0), "{ran:?}");
        let told: serde_json::Value = serde_json::from_str(&ran.stdout).expect("one object");
        assert_eq!(told["form"], form);
        assert_eq!(
            (told["vault"].as_str(), told["generation"].as_u64()),
            (Some("prod"), Some(3))
        );
        assert_eq!(told["shares"], serde_json::json!(["alice", "bob"]));
        assert_eq!(told["roster_sha256"], vault.roster.digest().to_string());
        assert_eq!(told["recovery_sheets"], true);
        assert!(!ran.stderr.contains("README"), "{ran:?}");
    }
    let text = machine.run(&["vault", "export", "--verify", &tar], "");
    assert!(
        text.stdout
            .contains("2 of alice, bob, or a quorum of the recovery sheets"),
        "{text:?}"
    );
    assert!(machine.home_is_empty());
}
