//! `twotap recovery roster`, as people call it: a file with the chain, enrollments, and the words of two sheets.

use std::{
    fs,
    io::Write as _,
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use twotap::trust::{
    Envelope, Timestamp,
    enrollment::Enrollment,
    roster::{By, parse_chain, verify_chain},
};

use crate::{
    Paper,
    support::{Bench, SoftCustodian},
    with,
};

/// The enrollment of a token in software.
fn enrol(bench: &Bench, custodian: &SoftCustodian) -> String {
    let token = custodian.token();
    let enrollment = Enrollment {
        v: 1,
        name: token.person,
        serial: token.serial,
        firmware: token.firmware,
        approve: token.approve,
        unseal: token.unseal,
        attestation: None,
        created_at: Timestamp::now(),
    };
    let envelope = Envelope::signed(&enrollment, custodian).expect("signed");
    let path = bench.path(&format!("{}-{}.json", custodian.name, custodian.serial));
    fs::write(&path, envelope.to_json()).expect("written");
    path.to_str().expect("plain").to_owned()
}

fn run(bench: &Bench, args: &[&str], words: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_twotap"))
        .args(["--json", "recovery", "roster", "--words-fd", "0"])
        .arg("--bundle")
        .arg(bench.path("chain.json"))
        .args(args)
        .env_clear()
        .env("HOME", bench.path(""))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("twotap starts");
    let mut stdin = child.stdin.take().expect("piped");
    // It may have refused before it read a word.
    let _ = stdin.write_all(words.as_bytes());
    drop(stdin);
    child.wait_with_output().expect("it ends")
}

fn words(paper: &Paper, places: &[usize]) -> String {
    let lines = places.iter().map(|n| paper.0.shares[0][*n].expose());
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn two_sheets_and_two_new_tokens_make_the_next_roster() {
    let paper = Paper::new();
    let bench = with(&paper);
    let chain = bench.chain();
    fs::write(
        bench.path("chain.json"),
        serde_json::to_string(&chain).expect("JSON"),
    )
    .expect("written");
    let new = [
        SoftCustodian::new("alice", 11),
        SoftCustodian::new("bob", 12),
    ];
    let files = new.each_ref().map(|custodian| enrol(&bench, custodian));
    let out = bench.path("next.json");
    let out = out.to_str().expect("plain");
    let args = [
        "--custodian",
        &files[0],
        "--custodian",
        &files[1],
        "--remove-custodian",
        "carol",
        "--accept-unattested",
        "11",
        "--accept-unattested",
        "12",
        "-o",
        out,
    ];

    // Too few, the same twice, other sheets, a token that nobody attests: nothing is written.
    for (words, args) in [
        (words(&paper, &[0]), &args[..]),
        (words(&paper, &[0, 0]), &args[..]),
        (words(&Paper::new(), &[0, 1]), &args[..]),
        (
            words(&paper, &[0, 1]),
            &[&args[..6], &args[8..]].concat()[..],
        ),
    ] {
        let refused = run(&bench, args, &words);
        assert!(!refused.status.success(), "{refused:?}");
        assert!(!bench.path("next.json").exists());
        let said = [&refused.stdout[..], &refused.stderr[..]].concat();
        let said = String::from_utf8_lossy(&said).to_lowercase();
        // One word alone may be said: verification words come from the same list.
        let typed: Vec<&str> = words.split_whitespace().collect();
        for two in typed.windows(2) {
            assert!(
                !said.contains(&two.join(" ")),
                "words of a sheet are in an error: {said}"
            );
        }
    }

    let done = run(&bench, &args, &words(&paper, &[2, 0]));
    assert!(done.status.success(), "{done:?}");
    let object: Value = serde_json::from_slice(&done.stdout).expect("one object");
    assert_eq!(
        (&object["version"], &object["by"]),
        (&3.into(), &serde_json::json!({ "who": "recovery" }))
    );
    let changes = object["changes"].to_string();
    for said in [
        "recovery shares stand for this version",
        "carol can no longer approve",
        "token 11 (firmware 5.7.4) can approve for alice",
        "token 1 of alice can no longer approve",
        "token 12 counts without an attestation",
    ] {
        assert!(changes.contains(said), "{said}: {changes}");
    }
    assert_eq!(object["not_signed_by"].as_array().map(Vec::len), Some(2));

    let mut written = parse_chain(&fs::read(out).expect("there")).expect("a chain");
    assert_eq!(written[..2], chain[..]);
    assert!(
        verify_chain(&written).is_err(),
        "the new tokens have not signed"
    );
    for custodian in &new {
        written[2].sign(custodian);
    }
    let counts = verify_chain(&written)
        .expect("it holds")
        .pop()
        .expect("three");
    assert_eq!(counts.by, Some(By::Recovery { after: None }));
    assert_eq!(counts.hosts, verify_chain(&chain).expect("good")[1].hosts);
}

#[test]
fn a_roster_without_sheets_has_none_that_stand_for_it() {
    let bench = Bench::sealed();
    let chain = serde_json::to_string(&bench.chain()).expect("JSON");
    fs::write(bench.path("chain.json"), chain).expect("written");
    let file = enrol(&bench, &SoftCustodian::new("alice", 11));
    let out = bench.path("next.json");
    let args = [
        "--custodian",
        &file,
        "--accept-unattested",
        "11",
        "-o",
        out.to_str().expect("plain"),
    ];
    let refused = run(&bench, &args, &words(&Paper::new(), &[0, 1]));
    assert_eq!(refused.status.code(), Some(3), "{refused:?}");
    assert!(!out.exists());
}
