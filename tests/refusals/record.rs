//! A record whose end was cut off, or in which a byte was changed.

use rand_core::{OsRng, RngCore as _};
use twotap::{
    audit::{chain::Head, event::Record},
    trust::Envelope,
};

use crate::agent::World;
use crate::bench::{ALICE, BOB, Bench, DANA};
use crate::setup::{approve, request, sealed_vault, words};

const TAMPERING: i32 = 11;

/// The newest approval that the record names, as its custodian may have kept it.
fn last_approval(world: &World) -> Envelope {
    let records = world
        .lines
        .iter()
        .map(|l| Record::parse(l).expect("our own"));
    let newest = records
        .flat_map(|record| record.envelopes)
        .rfind(|reference| reference.kind == "approval")
        .expect("one");
    Envelope::parse(&world.envelopes[&newest.sha256.to_string()]).expect("an envelope")
}

/// Forgets all events after the first so many.
fn cut(world: &mut World, events: usize) {
    world.lines.truncate(events);
    world.head = Head::default();
    for line in &world.lines {
        world.head = world.head.after(line);
    }
}

#[test]
fn a_cut_record_is_found_against_the_head_in_a_signed_request_and_against_what_was_seen() {
    let bench = Bench::start();
    let _tokens = sealed_vault(&bench);
    let first = request(&bench, DANA);
    approve(&bench, ALICE, &words(&first)).json();
    // The second request carries the head after the first; Alice has signed that head.
    let second = request(&bench, DANA);
    approve(&bench, ALICE, &words(&second)).json();
    let whole = bench.twotap(BOB, &["audit", "verify"]).json();
    let events = whole["events"].as_u64().expect("a number");

    let mut kept = last_approval(&bench.agent.world());
    let file = bench.write("kept.json", &kept.to_json());
    let file = file.to_str().expect("plain");
    let against = || bench.twotap(BOB, &["audit", "verify", "--against", file]);
    assert_eq!(against().json()["events"], events);

    // The host forgets all after the sealing, and signs checkpoints over what is left.
    cut(&mut bench.agent.world(), 1);
    // Bob has seen no head yet: to him alone the shorter record looks whole.
    assert_eq!(bench.twotap(BOB, &["audit", "verify"]).json()["events"], 1);
    let (code, error) = against().fails();
    assert_eq!(
        (code, error.contains("cut off")),
        (TAMPERING, true),
        "{error}"
    );
    assert!(error.contains("alice (token 1001)"), "{error}");
    // Dana and Alice have: they need no file.
    for uid in [DANA, ALICE] {
        let (code, error) = bench.twotap(uid, &["audit", "verify"]).fails();
        assert_eq!(
            (code, error.contains("you have seen")),
            (TAMPERING, true),
            "{error}"
        );
    }
    // Nor does a request go through that stands on the shorter record.
    bench.agent.world().lie = Some(|request| {
        for time in [
            &mut request.not_before,
            &mut request.approve_before,
            &mut request.not_after,
        ] {
            *time = time.plus(5);
        }
    });
    let args = [
        "request",
        "prod",
        "--access",
        "admin",
        "--incident",
        "INC-1",
        "--reason",
        "down",
    ];
    let (code, error) = bench.twotap(DANA, &args).fails();
    assert_eq!(
        (code, error.contains("audit head")),
        (TAMPERING, true),
        "{error}"
    );
    // Evidence that was tampered with itself is said to be so.
    kept.signatures[0].sig[9] ^= 1;
    bench.write("kept.json", &kept.to_json());
    let (code, error) = against().fails();
    assert_eq!(
        (code, error.contains("kept.json")),
        (TAMPERING, true),
        "{error}"
    );
}

#[test]
fn any_changed_byte_of_an_event_is_found_and_its_place_is_named() {
    let bench = Bench::start();
    let _tokens = sealed_vault(&bench);
    let asked = request(&bench, DANA);
    approve(&bench, ALICE, &words(&asked)).json();
    bench
        .twotap(ALICE, &["audit", "export", "-o", "out", "--with-envelopes"])
        .json();
    let file = bench.home(ALICE).join("out/events.jsonl");
    let whole = std::fs::read(&file).expect("there");
    let verify = || {
        bench
            .twotap(ALICE, &["audit", "verify", "--export", "out"])
            .env("TWOTAP_AGENT", "/nowhere")
    };
    verify().json();
    for _ in 0..48 {
        let at = OsRng.next_u32() as usize % whole.len();
        let mut changed = whole.clone();
        changed[at] ^= 1 << (OsRng.next_u32() % 8);
        std::fs::write(&file, &changed).expect("written");
        let (code, error) = verify().fails();
        let line = 1 + whole[..at].iter().filter(|b| **b == b'\n').count();
        // A change is seen in its own event, or in that the next one does not follow it.
        let named = [line, line + 1]
            .iter()
            .any(|n| error.contains(&format!("event {n}")));
        assert_eq!(
            (code, named),
            (TAMPERING, true),
            "byte {at}, event {line}: {error}"
        );
    }
}
