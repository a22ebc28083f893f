//! What stands between the program and the token: the service, other programs, other cards, other tokens.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use twotap_rig::tools;
use twotap_token::{Control, Fault, FaultKind, TokenProcess};

use crate::bench::{ALICE, BOB, Bench, DANA, PIN};
use crate::setup::{enroll, request, sealed_vault, words};

const TOKEN_CODE: i32 = 7;
/// In a copy of this program: the socket of the pcscd whose first token it is to hold.
const HOLD: &str = "TWOTAP_TEST_HOLD";

fn hand(token: &TokenProcess) -> Control {
    token.control().expect("a hand")
}

/// How many commands of this kind a card has seen.
fn seen(token: &TokenProcess, instruction: &str) -> u64 {
    let status = hand(token).status().expect("counted");
    status.apdus.by_ins.get(instruction).copied().unwrap_or(0)
}

#[test]
fn without_pcscd_the_line_that_starts_it_is_told() {
    let bench = Bench::bare();
    // One that is not running, and one that never was.
    std::fs::create_dir(bench.path("run")).expect("a folder");
    drop(std::os::unix::net::UnixListener::bind(bench.path("run/pcscd.comm")).expect("bound"));
    for socket in [
        bench.path("run/pcscd.comm"),
        bench.path("nowhere/pcscd.comm"),
    ] {
        let enroll = ["custodian", "enroll", "--name", "alice", "-o", "e.json"];
        let run = bench
            .twotap(ALICE, &enroll)
            .env("PCSCLITE_CSOCK_NAME", &socket);
        let done = run.output();
        assert_eq!(done.code(), TOKEN_CODE, "{}", done.err());
        for line in [
            "error: the smart card service (pcscd) is not running",
            "sudo systemctl start pcscd.socket",
            "sudo apt-get install pcscd",
        ] {
            assert!(done.err().contains(line), "{}", done.err());
        }
        let doctor = bench
            .twotap(ALICE, &["doctor"])
            .env("PCSCLITE_CSOCK_NAME", &socket);
        let told = doctor.output().out();
        assert!(
            told.contains("warn: tokens: the smart card service (pcscd) is not running"),
            "{told}"
        );
    }
}

/// A program of this name that holds the only token for itself, until it is dropped.
struct Holder(Child);

impl Holder {
    fn start(bench: &Bench, name: &str, case: &str) -> Self {
        let program = bench.path(name);
        tools::install(&std::env::current_exe().expect("this program"), &program).expect("a copy");
        let child = Command::new(program)
            .args(["--exact", case, "--nocapture", "--test-threads=1"])
            .env(HOLD, "1")
            .env("PCSCLITE_CSOCK_NAME", bench.path("pcsc/run/pcscd.comm"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("started");
        let holder = Self(child);
        let began = Instant::now();
        while !bench.path("held").exists() {
            assert!(began.elapsed() < Duration::from_secs(60), "it takes hold");
            std::thread::park_timeout(Duration::from_millis(10));
        }
        holder
    }

    /// What the copy does.
    fn hold(told: &Path) {
        let context = pcsc::Context::establish(pcsc::Scope::User).expect("pcscd");
        let readers = context.list_readers_owned().expect("readers");
        let take = |reader: &std::ffi::CString| {
            context
                .connect(reader, pcsc::ShareMode::Exclusive, pcsc::Protocols::ANY)
                .ok()
        };
        let card = readers.iter().find_map(take).expect("a token");
        std::fs::write(told, "").expect("told");
        let _ = std::io::Read::read_to_end(&mut std::io::stdin(), &mut Vec::new());
        drop(card);
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn whoever_holds_the_reader_is_named_with_the_line_that_frees_it() {
    const NAME: &str = "readers::whoever_holds_the_reader_is_named_with_the_line_that_frees_it";
    if std::env::var_os(HOLD).is_some() {
        let program = std::env::current_exe().expect("a copy");
        return Holder::hold(&program.with_file_name("held"));
    }
    let bench = Bench::start();
    let token = bench.insert(1001);
    hand(&token).tap_always().expect("tapping");
    let holder = Holder::start(&bench, "scdaemon", NAME);
    let line = ["custodian", "enroll", "--name", "alice", "-o", "e.json"];
    let done = bench.twotap(ALICE, &line).output();
    assert_eq!(done.code(), TOKEN_CODE, "{}", done.err());
    // Whoever else on this machine may hold it (another's `ykman`) is named beside it.
    let named = format!("scdaemon (pid {})", holder.0.id());
    let error = done.err();
    let held = error.split_once("error: the reader is held by ");
    assert!(
        held.is_some_and(|(_, by)| by.contains(&named)),
        "{}",
        done.err()
    );
    assert!(
        done.err().contains("gpgconf --kill scdaemon"),
        "{}",
        done.err()
    );
    let told = bench.twotap(ALICE, &["doctor"]).output().out();
    let held = told.split_once("is held by ");
    assert!(held.is_some_and(|(_, by)| by.contains(&named)), "{told}");
    drop(holder);
    enroll(&bench, ALICE, "alice", 1001);
}

#[test]
fn other_cards_are_passed_over_and_hear_nothing_but_a_name() {
    let bench = Bench::start();
    let bank = bench.insert_like(7, "foreign = true");
    let token = bench.insert(1001);
    hand(&token).tap_always().expect("tapping");
    // No number was given: there is one token, whatever else is plugged in.
    let line = [
        "custodian",
        "enroll",
        "--name",
        "alice",
        "--pin-fd",
        "0",
        "--puk-fd",
        "0",
        "-o",
        "e.json",
    ];
    let enrolled = bench
        .twotap(ALICE, &line)
        .input(&format!("{PIN}\n87654321\n"))
        .json();
    assert_eq!(enrolled["serial"], 1001);
    let told = bench.twotap(ALICE, &["doctor"]).output().out();
    assert!(told.contains("holds a card that is no yubikey"), "{told}");
    // It was asked whether it has the application, and nothing else.
    let status = hand(&bank).status().expect("counted");
    assert_eq!(status.apdus.total, seen(&bank, "a4"), "{:?}", status.apdus);

    drop(token);
    let alone = bench.twotap(
        ALICE,
        &["custodian", "enroll", "--name", "alice", "-o", "f.json"],
    );
    let (code, error) = alone.fails();
    assert_eq!(
        (code, error.as_str()),
        (
            TOKEN_CODE,
            "no token is plugged in: no reader has a yubikey in it"
        )
    );
}

#[test]
fn a_factory_pin_is_never_tried() {
    let bench = Bench::start();
    // One that tells, and one that does not: of that nobody knows, and nobody finds out.
    let tells = bench.insert(1001);
    let silent = bench.insert_like(
        1002,
        "version = '5.2.7'\nmetadata = false\nmanagement_key = 'tdes'",
    );
    for token in [&tells, &silent] {
        hand(token).tap_always().expect("tapping");
    }
    bench.twotap(ALICE, &["doctor"]).output();
    let enrolling = |serial: &str| {
        let line = [
            "custodian",
            "enroll",
            "--name",
            "alice",
            "--pin-fd",
            "0",
            "--puk-fd",
            "0",
            "-o",
            "e.json",
        ];
        bench.twotap(ALICE, &[&line[..], &["--token", serial]].concat())
    };
    // Nothing that could be a PIN was given: none is tried instead.
    for serial in ["1001", "1002"] {
        let (code, _) = enrolling(serial).input("\n").fails();
        assert_eq!(code, 5);
    }
    let changes = |token: &TokenProcess| seen(token, "24") + seen(token, "2c");
    assert_eq!((seen(&tells, "20"), changes(&tells)), (0, 0));
    // Asked for its tries, with a VERIFY that has no data and costs none.
    let asked = seen(&silent, "20");
    let tries = || {
        let state = std::fs::read_to_string(bench.path("1002.json")).expect("its state");
        let state: serde_json::Value = serde_json::from_str(&state).expect("json");
        state["pin"]["tries"].clone()
    };
    assert_eq!((changes(&silent), tries()), (0, 3.into()));
    // A wrong one is the one that was typed, and it is the only one.
    let (code, error) = enrolling("1002").input("000000\n").fails();
    assert_eq!((code, error.as_str()), (5, "wrong pin, 2 tries left"));
    assert_eq!((seen(&silent, "20"), tries()), (asked + 2, 2.into()));
}

#[test]
fn a_reader_that_hangs_holds_up_nobody_elses_token() {
    let bench = Bench::start();
    let (alice, _bob) = sealed_vault(&bench);
    let words = words(&request(&bench, DANA));
    let silent = Fault::next(FaultKind::Silent);
    hand(&alice).fault(silent).expect("a fault");
    let line = [
        "approve",
        "--token",
        "1002",
        "--pin-fd",
        "0",
        "--confirm",
        &words,
    ];
    let approved = bench.twotap(BOB, &line).input(&format!("{PIN}\n")).json();
    assert_eq!(approved["person"], "bob");
    // It still hangs: what was waited for was not it.
    assert!(hand(&alice).status().expect("counted").inserted);
    hand(&alice).clear_faults().expect("cleared");
}
