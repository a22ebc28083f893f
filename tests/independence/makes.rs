//! Cards that nobody here wrote: each habit of the virtual token that is only a habit, given up.

use serde_json::Value;
use twotap_token::TokenProcess;

use crate::bench::{ALICE, BOB, Bench, DANA, PIN};
use crate::setup::{approve, creating, enroll, request, seal_by, words};

/// Names a version and has not what goes with it; counts to five; says 6600; keeps its PIN until it is reset; lacks slots; remembers a
/// touch by the key.
const ODD: &str = "version = '5.7.0'\nmanagement_key = 'tdes'\naes_management_keys = false\npin_tries = 5\n\
                   no_touch_status = '6600'\nkeeps_pin_over_select = true\nmissing_slots = ['82', '85']\n\
                   touch_cache = 'key'";
/// Tells nothing of itself and attests nothing, although its version should and there is a certificate for it.
const MUTE: &str = "version = '5.7.0'\nmanagement_key = 'tdes'\naes_management_keys = false\nmetadata = false\n\
                    attest_command = false\nmissing_slots = ['83']\nmissing_slot_status = '6a86'\npin_tries = 5\n\
                    keeps_pin_over_select = true\npin_always_immediate = false";

fn tap(token: &TokenProcess) {
    let mut hand = token.control().expect("a hand");
    hand.tap_always().expect("tapping");
}

/// The token's own state, as it lies on disk.
fn state(bench: &Bench, serial: u32) -> Value {
    let text = std::fs::read_to_string(bench.path(&format!("{serial}.json"))).expect("the token's");
    serde_json::from_str(&text).expect("json")
}

fn slots(enrolled: &Value) -> [&str; 2] {
    ["approve", "unseal"].map(|key| enrolled[key]["slot"].as_str().expect("a slot"))
}

#[test]
fn two_cards_of_other_makers_serve_a_whole_ceremony() {
    let bench = Bench::start();
    let mute = bench.insert_like(1002, MUTE);
    // Its owner has changed the PIN with another program.
    let change = format!("yubico-piv-tool -r Yubico -a change-pin -P 123456 -N {PIN}");
    let changed = bench.shell(BOB, &change, "");
    assert_eq!(changed.code(), 0, "{}", changed.err());
    let tokens = [bench.insert_like(1001, ODD), mute];
    tokens.iter().for_each(tap);

    // Slots are taken where there are any, and are recorded for each token.
    let alice = enroll(&bench, ALICE, "alice", 1001);
    assert_eq!(
        (slots(&alice), &alice["attested"]),
        (["84", "83"], &true.into())
    );
    let bob = enroll_mute(&bench);
    assert_eq!(
        (slots(&bob), &bob["attested"]),
        (["82", "84"], &false.into())
    );
    // Both have a management key of their own now, of the only kind that they take.
    for serial in [1001, 1002] {
        let key = &state(&bench, serial)["management"];
        assert_eq!(key["algorithm"], "tdes");
        assert_ne!(
            key["key"],
            "010203040506070801020304050607080102030405060708"
        );
    }

    // What attests nothing is refused, and says so, unless it is let in by its number.
    let root = bench.attestation_root();
    let named = ["--attestation-root", root.as_str()];
    let (code, error) = creating(&bench, &named).fails();
    let said = "token 1002 of bob: it carries no attestation: nothing shows that its keys were made on a token";
    assert_eq!((code, error.contains(said)), (3, true), "{error}");
    assert!(!bench.home(DANA).join("roster.json").exists());
    let let_in = [&named[..], &["--accept-unattested", "1002"]].concat();
    let created = creating(&bench, &let_in).json();
    assert_eq!(
        created["tokens"][1]["proof"],
        "NOT attested: accepted on its own word"
    );
    seal_by(&bench, &created);

    let words = words(&request(&bench, DANA));
    for token in &tokens {
        token.control().expect("a hand").mark().expect("marked");
    }
    for (uid, name) in [(ALICE, "alice"), (BOB, "bob")] {
        assert_eq!(approve(&bench, uid, &words).json()["person"], name);
    }
    assert_eq!(bench.agent.world().shares, ["alice", "bob"]);
    // The one remembers a touch by the key and wants two; the other serves both with one.
    let taps = tokens.each_ref().map(|token| {
        let status = token.control().expect("a hand").status().expect("counted");
        status.taps_since_mark
    });
    assert_eq!(taps, [2, 1]);
    // No PIN was tried that was not typed, and none is left verified for the next program.
    for serial in [1001, 1002] {
        assert_eq!(state(&bench, serial)["pin"]["tries"], 5);
    }
}

/// A token that does not tell whether its PIN is the factory's: nobody finds out by trying, so people change it before.
fn enroll_mute(bench: &Bench) -> Value {
    let program = bench.path("twotap");
    let script = format!(
        "{} custodian enroll --name bob --token 1002 --pin-fd 0 --json -o enrollment.json 2>told",
        program.display()
    );
    let done = bench.shell(BOB, &script, &format!("{}\n", PIN));
    let told = std::fs::read_to_string(bench.home(BOB).join("told")).expect("told");
    assert_eq!(done.code(), 0, "{told}");
    assert!(
        told.contains("does not tell whether its pin and puk still are the factory's"),
        "{told}"
    );
    assert!(told.contains("does not attest its keys"), "{told}");
    serde_json::from_str(&done.out()).expect("json")
}

#[test]
fn six_thousand_six_hundred_is_no_touch_and_five_tries_are_five() {
    let bench = Bench::start();
    let tokens = [bench.insert_like(1001, ODD), bench.insert(1002)];
    tokens.iter().for_each(tap);
    enroll(&bench, ALICE, "alice", 1001);
    enroll(&bench, BOB, "bob", 1002);
    let root = bench.attestation_root();
    seal_by(
        &bench,
        &creating(&bench, &["--attestation-root", &root]).json(),
    );
    let words = words(&request(&bench, DANA));

    let mut hand = tokens[0].control().expect("a hand");
    hand.never().expect("no finger");
    let (code, error) = approve(&bench, ALICE, &words).fails();
    assert_eq!(
        (code, error.as_str()),
        (6, "the token was not touched in time")
    );

    let wrong = |pin: &str| {
        let args = [
            "approve",
            "--token",
            "1001",
            "--pin-fd",
            "0",
            "--confirm",
            &words,
        ];
        bench
            .twotap(ALICE, &args)
            .input(&format!("{pin}\n"))
            .fails()
    };
    for left in [4, 3, 2] {
        assert_eq!(
            wrong("000000"),
            (5, format!("wrong pin, {left} tries left"))
        );
    }
    assert_eq!(wrong("000000"), (5, "wrong pin, 1 try left".to_owned()));
    let (code, error) = wrong("000000");
    assert_eq!(
        (code, error.contains("one try is left")),
        (5, true),
        "{error}"
    );
    assert_eq!(state(&bench, 1001)["pin"]["tries"], 1);
}

#[test]
fn named_slots_are_kept_to_and_a_missing_one_is_told() {
    let bench = Bench::start();
    let token = bench.insert_like(1001, ODD);
    tap(&token);
    let enrolling = |slots: &str, more: &[&str]| {
        let args = [
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
        let args = [&args[..], &["--slots", slots], more].concat();
        bench.twotap(ALICE, &args).input("471147\n87654321\n")
    };
    let done = enrolling("90,85", &[]).output();
    assert_eq!(done.code(), 7);
    assert!(
        done.err().contains("error: the token has no slot 85"),
        "{}",
        done.err()
    );
    assert!(
        done.err().contains("name others with --slots"),
        "{}",
        done.err()
    );
    // The first of the two was made by then; it is overwritten only by its name.
    let (code, error) = enrolling("90,91", &["--force", "91"]).fails();
    assert_eq!(
        (code, error.contains("slot 90 is in use")),
        (3, true),
        "{error}"
    );
    let enrolled = enrolling("90,91", &["--force", "90"]).json();
    assert_eq!(slots(&enrolled), ["90", "91"]);
    // A token is never reset (INS FB), whatever happens.
    let status = token.control().expect("a hand").status().expect("counted");
    assert_eq!(status.apdus.by_ins.get("fb"), None);
}
