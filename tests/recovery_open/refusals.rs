//! The worst cases: each is refused before anything is opened, with its exit code, and leaves nothing behind.

use std::fs;

use twotap::{
    trust::{Bytes, seen::Seen},
    vault::{Bundle, archive},
};

use crate::bench::{Machine, Ran, Sheets, Vault, arg};

/// Tries to open `bundle` with these words; nothing may come of it.
fn refused(bundle: &[u8], words: &str, more: &[&str], status: i32, says: &str) -> Ran {
    let machine = Machine::new();
    let bundle = machine.put("b.tar", bundle);
    let mut args = vec!["recovery", "open", "--bundle", &bundle, "--words-fd", "0"];
    if !more.contains(&"--to") {
        args.extend(["--to", "key.json"]);
    }
    args.extend(more);
    let ran = machine.run(&args, words);
    assert_eq!(ran.status, Some(status), "{says}: {ran:?}");
    assert!(ran.stderr.contains(says), "{says}: {ran:?}");
    assert_eq!(machine.files(), ["b.tar"], "{says}");
    assert!(machine.home_is_empty());
    ran
}

fn tar(bundle: &Bundle) -> Vec<u8> {
    archive::write(bundle).expect("written")
}

#[test]
fn sheets_that_do_not_fit() {
    let sheets = Sheets::two_of_three();
    let other = Sheets::two_of_three();
    let vault = Vault::new("prod", sheets.entry());
    let good = tar(&vault.bundle(1));
    let words = |n: &[usize]| sheets.lines(n);

    refused(&good, "", &[], 2, "there are no sheets");
    refused(&good, &words(&[0]), &[], 4, "too few sheets: 1 of 2");
    refused(
        &good,
        &words(&[0, 0]),
        &[],
        3,
        "line 2: share 1 is here already",
    );
    refused(
        &good,
        &other.lines(&[0, 1]),
        &[],
        3,
        "of another set than the one that this generation was sealed to",
    );
    let mixed = format!("{}{}", words(&[0]), other.lines(&[1]));
    refused(
        &good,
        &mixed,
        &[],
        3,
        "line 2: this sheet is of another set",
    );
    let set = arg(&other.record);
    refused(
        &good,
        &words(&[0, 1]),
        &["--set", &set],
        3,
        "a set of vault prod that this generation was not sealed to",
    );
    let mistyped = words(&[0, 1]).replacen(' ', " zebra ", 1);
    refused(&good, &mistyped, &[], 3, "line 1");

    let without = tar(&Vault::new("prod", None).bundle(1));
    refused(
        &without,
        &words(&[0, 1]),
        &[],
        3,
        "sealed without recovery sheets",
    );
}

#[test]
fn bundles_that_do_not_hold() {
    let sheets = Sheets::two_of_three();
    let vault = Vault::new("prod", sheets.entry());
    let bundle = vault.bundle(1);
    let words = sheets.lines(&[0, 1]);
    let good = tar(&bundle);

    refused(&good[..good.len() / 2], &words, &[], 2, "cut short");
    refused(b"", &words, &[], 2, "cut short");
    refused(&[7; 4096], &words, &[], 2, "not a tar archive");
    refused(b"{\"manifest\":", &words, &[], 2, "cannot be read");

    // Another vault's, another generation's file, another host's signature, another roster's chain.
    let strange = Vault::new("test", sheets.entry()).bundle(1);
    let later = vault.bundle(2);
    type Change = fn(&mut Bundle, &Bundle, &Bundle);
    let changes: [(Change, &str); 6] = [
        (
            |b, _, later| b.vault_age = later.vault_age.clone(),
            "vault.age is not the file",
        ),
        (
            |b, _, later| b.shares[1] = later.shares[1].clone(),
            "shares/bob.age, the share of bob, is not the file",
        ),
        (|b, _, _| b.shares.truncate(1), "shares/bob.age"),
        (
            |b, strange, _| b.manifest = strange.manifest.clone(),
            "a roster that is not known here",
        ),
        (
            |b, strange, _| b.roster_chain = strange.roster_chain.clone(),
            "a roster that is not known here",
        ),
        (|b, _, _| b.manifest.signatures[0].sig[3] ^= 1, "manifest"),
    ];
    for (change, says) in changes {
        let mut changed = bundle.clone();
        change(&mut changed, &strange, &later);
        refused(&tar(&changed), &words, &[], 11, says);
    }
    // A roster that its tokens have not signed.
    let mut unsigned = bundle.clone();
    unsigned.roster_chain[0].signatures.pop();
    refused(&tar(&unsigned), &words, &[], 11, "bob");
    let mut longer = bundle.clone();
    longer.vault_age = Bytes(vec![0; 70 * 1024]);
    refused(&tar(&longer), &words, &[], 11, "vault.age");
}

#[test]
fn rosters_that_are_not_those_that_somebody_knows() {
    let sheets = Sheets::two_of_three();
    let vault = Vault::new("prod", sheets.entry());
    let good = tar(&vault.bundle(1));
    let words = sheets.lines(&[0, 1]);
    let other = Vault::new("prod", sheets.entry());
    let digest = other.roster.digest().to_string();
    refused(
        &good,
        &words,
        &["--roster-sha256", &digest],
        11,
        "the one that you name",
    );
    refused(
        &good,
        &words,
        &["--roster-sha256", "abc"],
        2,
        "64 lower-case hex digits",
    );

    let dir = crate::bench::folder();
    let file = dir.path().join("seen.json");
    let mut seen = Seen::open(&file).expect("empty");
    seen.pin(&other.roster).expect("pinned");
    let memory = arg(&file);
    refused(
        &good,
        &words,
        &["--seen", &memory],
        11,
        "that was seen here last",
    );
    refused(
        &good,
        &words,
        &["--seen", "/nonexistent/seen.json"],
        2,
        "there is no file",
    );

    // A newer generation was seen: said, and not refused, because an old copy may be all that there is.
    fs::remove_file(&file).expect("removed");
    let mut seen = Seen::open(&file).expect("empty");
    seen.pin(&vault.roster).expect("pinned");
    let newer = vault.bundle(2);
    let (_, manifest) = newer.verify().expect("good");
    seen.accept_manifest(&manifest).expect("accepted");
    let before = fs::read(&file).expect("there");
    let machine = Machine::new();
    let bundle = machine.put("b.tar", &good);
    let args = [
        "recovery",
        "open",
        "--bundle",
        &bundle,
        "--words-fd",
        "0",
        "--to",
        "key.json",
        "--seen",
        &memory,
    ];
    let ran = machine.run(&args, &words);
    assert_eq!(ran.status, Some(0), "{ran:?}");
    assert!(ran.stderr.contains("generation 2 was seen here"), "{ran:?}");
    assert!(!ran.stderr.contains("nothing here knows"), "{ran:?}");
    assert_eq!(fs::read(&file).expect("there"), before, "it is only read");
}

#[test]
fn places_where_a_key_must_not_lie() {
    let sheets = Sheets::two_of_three();
    let good = tar(&Vault::new("prod", sheets.entry()).bundle(1));
    let words = sheets.lines(&[0, 1]);
    let disk =
        tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR").to_owned() + "/target").expect("a folder");
    let on_disk = arg(&disk.path().join("key.json"));
    refused(&good, &words, &["--to", &on_disk], 3, "would lie on a disk");
    refused(
        &good,
        &words,
        &["--to", "/nonexistent/key.json"],
        2,
        "there is no folder",
    );
    let existing = arg(&sheets.pdfs[0]);
    refused(&good, &words, &["--to", &existing], 2, "exists already");
    refused(&good, &words, &["--record", &existing], 2, "exists already");
    refused(
        &good,
        &words,
        &["--record", "/nonexistent/r.json"],
        2,
        "there is no folder",
    );
    refused(&good, &words, &["--tokens"], 2, "cannot be used with");
    refused(&good, &words, &["--mint"], 2, "--role");
    assert_eq!(fs::read_dir(disk.path()).expect("there").count(), 0);
}

/// Where no session can be had, nobody is asked for a share.
#[test]
fn without_a_network_nothing_is_opened_for_a_session() {
    let sheets = Sheets::two_of_three();
    let good = tar(&Vault::new("prod", sheets.entry()).bundle(1));
    let role = "arn:aws:iam::123456789012:role/twotap/op-admin";
    refused(
        &good,
        "",
        &["--mint", "--role", role],
        10,
        "no sts endpoint could be reached",
    );
    let unknown = "arn:aws:iam::123456789012:role/other";
    refused(
        &good,
        "",
        &["--mint", "--role", unknown],
        2,
        "names no region for this role",
    );
    refused(
        &good,
        "",
        &["--mint", "--role", role, "--duration", "13h"],
        2,
        "15 minutes to 12 hours",
    );
    let plain = [
        "--mint",
        "--role",
        role,
        "--endpoint-url",
        "http://10.0.0.1",
    ];
    refused(&good, "", &plain, 2, "plain http");
}
