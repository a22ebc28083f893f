//! What people are told of the tokens that they rely on: words, roots, advisories, wherever a token is listed.

use serde_json::Value;
use twotap_token::pki::Authority;

use crate::bench::{ALICE, BOB, Bench, DANA};
use crate::setup::{approve, create, creating, enroll, request, seal_by, sealed_vault, words};

const EUCLEAK: &str = "YSA-2024-03 (EUCLEAK)";

/// One or two tokens of old firmware, enrolled.
fn enrolled(bench: &Bench) -> [twotap_token::TokenProcess; 2] {
    let tokens = [bench.insert_like(1001, "5.4.3"), bench.insert(1002)];
    for token in &tokens {
        let mut hand = token.control().expect("a hand");
        hand.tap_always().expect("tapping");
    }
    enroll(bench, ALICE, "alice", 1001);
    enroll(bench, BOB, "bob", 1002);
    tokens
}

#[test]
fn an_advisory_refuses_until_it_is_accepted_and_is_then_shown_everywhere() {
    let bench = Bench::start();
    let _tokens = enrolled(&bench);
    let roots = [
        bench.authority(Authority::PivIntermediate, "rig"),
        bench.authority(Authority::LegacyRoot, "old-rig"),
    ];
    let named = [
        "--attestation-root",
        &roots[0],
        "--attestation-root",
        &roots[1],
    ];
    let (code, error) = creating(&bench, &named).fails();
    let said = format!("token 1001 of alice: {EUCLEAK}: with the token in hand");
    assert_eq!((code, error.contains(&said)), (3, true), "{error}");
    let hint = creating(&bench, &named).output().err();
    assert!(hint.contains("--accept-risk YSA-2024-03"), "{hint}");
    // A misspelt one is no acceptance of anything.
    let misspelt = [&named[..], &["--accept-risk", "YSA-2024-3"]].concat();
    let (code, error) = creating(&bench, &misspelt).fails();
    assert_eq!(
        (code, error.as_str()),
        (2, "there is no advisory 'YSA-2024-3'")
    );

    let more = [
        "--accept-risk",
        "YSA-2024-03",
        "--accept-unattested",
        "4711",
    ];
    let accepted = [&named[..], &more].concat();
    let created = creating(&bench, &accepted).json();
    assert_eq!(created["tokens"][0]["advisories"][0]["id"], "YSA-2024-03");
    assert_eq!(created["tokens"][1]["advisories"], serde_json::json!([]));
    seal_by(&bench, &created);

    let shown = bench
        .twotap(DANA, &["roster", "show", "prod"])
        .output()
        .out();
    for part in [
        EUCLEAK,
        "accepted risk     YSA-2024-03",
        "attestation root  old-rig, NOT the maker's",
        "attested by root 'old-rig' of this roster, NOT by its maker",
        "attested by root 'rig' of this roster, NOT by its maker",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    for verb in ["status", "doctor"] {
        let shown = bench.twotap(DANA, &[verb]).output().out();
        assert!(shown.contains(EUCLEAK), "{verb}: {shown}");
        assert!(
            shown.contains("1001 of alice, firmware 5.4.3"),
            "{verb}: {shown}"
        );
        assert!(
            shown.contains("root 'rig' of this roster, NOT by its maker"),
            "{verb}: {shown}"
        );
    }
    // `doctor` knows it of the token in the reader as well, before it is enrolled anywhere.
    let findings = bench.twotap(DANA, &["doctor"]).json();
    let about: Vec<&Value> = findings["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .collect();
    let after = about.iter().position(|f| {
        f["text"]
            .as_str()
            .is_some_and(|t| t.starts_with("1001, firmware"))
    });
    let next = about[after.expect("in a reader") + 1];
    assert_eq!(
        (&next["what"], &next["verdict"]),
        (&"advisory".into(), &"warn".into())
    );

    // What no token stands on any more can be taken back, and nothing else.
    let without = |what: &str, file: &str| {
        let args = [
            "roster",
            "propose",
            "prod",
            "--no-longer-accept",
            what,
            "-o",
            file,
        ];
        bench.twotap(DANA, &args).output()
    };
    let proposed = without("4711", "next.json");
    assert!(
        proposed
            .out()
            .contains("token 4711 needs an attestation again"),
        "{}{}",
        proposed.out(),
        proposed.err()
    );
    for (what, code, said) in [
        ("YSA-2024-03", 3, EUCLEAK),
        ("old-rig", 3, "token 1001 of alice"),
        ("4712", 2, "the roster has no acceptance of 4712"),
    ] {
        let refused = without(what, "none.json");
        assert_eq!(
            (refused.code(), refused.err().contains(said)),
            (code, true),
            "{what}: {}",
            refused.err()
        );
    }

    // And on the screen of the one who approves with it, and of nobody else.
    let words = words(&request(&bench, DANA));
    let screen = |uid, serial| {
        let args = ["approve", "--token", serial, "--review"];
        let done = bench.twotap(uid, &args).output();
        format!("{}{}", done.out(), done.err())
    };
    let alice = screen(ALICE, "1001");
    assert!(
        alice.contains("advisory on it") && alice.contains(EUCLEAK),
        "{alice}"
    );
    let bob = screen(BOB, "1002");
    assert!(
        !bob.contains(EUCLEAK) && bob.contains("NOT by its maker"),
        "{bob}"
    );
    assert_eq!(approve(&bench, ALICE, &words).json()["person"], "alice");
}

#[test]
fn whoever_enrols_and_whoever_lists_a_token_read_the_same_words() {
    let bench = Bench::start();
    let tokens = [bench.insert(1001), bench.insert(1002)];
    for token in &tokens {
        let mut hand = token.control().expect("a hand");
        hand.tap_always().expect("tapping");
    }
    let enrolled = [
        words(&enroll(&bench, ALICE, "alice", 1001)),
        words(&enroll(&bench, BOB, "bob", 1002)),
    ];
    assert_ne!(enrolled[0], enrolled[1]);
    let created = create(&bench);
    let listed = |object: &Value| [0, 1].map(|n| words(&object["tokens"][n]));
    assert_eq!(listed(&created), enrolled);
    let args = ["roster", "show", "./roster.json"];
    assert_eq!(listed(&bench.twotap(DANA, &args).json()), enrolled);
    // On the screen of the one who signs, too.
    let own = bench.home(ALICE).join("roster.json");
    std::fs::copy(bench.home(DANA).join("roster.json"), own).expect("handed over");
    let args = [
        "roster",
        "sign",
        "roster.json",
        "--token",
        "1001",
        "--pin-fd",
        "0",
        "--confirm",
        "x",
    ];
    let done = bench.twotap(ALICE, &args).output();
    for words in &enrolled {
        assert!(
            done.err().contains(&format!("with the words {words}")),
            "{}{}",
            done.out(),
            done.err()
        );
    }
}

#[test]
fn a_root_is_named_by_a_certificate_that_can_vouch() {
    let bench = Bench::start();
    let _tokens = enrolled(&bench);
    let cases = [
        ("rig".to_owned(), "'rig' is not NAME=FILE"),
        ("Rig Root=x".to_owned(), "attestation root's name"),
        (
            format!("rig={}", bench.write("none.pem", "hello").display()),
            "cannot be read as one",
        ),
        ("rig=/no/such/file".to_owned(), "/no/such/file"),
    ];
    for (argument, said) in cases {
        let (code, error) = creating(&bench, &["--attestation-root", &argument]).fails();
        assert!(
            code == 2 && error.contains(said),
            "{argument}: {code} {error}"
        );
    }
    // Without any the rig's tokens are nobody's, and so they are with the wrong one.
    for more in [
        vec![],
        vec![
            "--attestation-root".to_owned(),
            bench.authority(Authority::Root, "top"),
        ],
    ] {
        let more: Vec<&str> = more.iter().map(String::as_str).collect();
        let (code, error) = creating(&bench, &more).fails();
        let said = "token 1001 of alice: the token's own certificate (slot f9) was issued by";
        assert_eq!((code, error.contains(said)), (3, true), "{error}");
    }
}

#[test]
fn nobody_signs_a_roster_with_a_token_that_may_not_stand_in_it() {
    let bench = Bench::start();
    let (_alice, _bob) = sealed_vault(&bench);
    // Somebody takes the root out of the roster, and hands it round as if it were the same.
    let drawn_up = std::fs::read(bench.home(DANA).join("roster.json")).expect("there");
    let envelope = twotap::trust::Envelope::parse(&drawn_up).expect("an envelope");
    let mut roster: twotap::trust::roster::Roster = envelope.unverified().expect("a roster");
    roster.attestation_roots.clear();
    let forged = twotap::trust::Envelope::new(&roster).expect("good in itself");
    let file = bench.home(ALICE).join("forged.json");
    std::fs::write(&file, forged.to_json()).expect("written");
    std::os::unix::fs::chown(&file, Some(ALICE), Some(ALICE)).expect("root");
    let args = [
        "roster",
        "sign",
        "forged.json",
        "--token",
        "1001",
        "--pin-fd",
        "0",
    ];
    let (code, error) = bench.twotap(ALICE, &args).input("471147\n").fails();
    assert_eq!(
        (code, error.contains("was issued by")),
        (3, true),
        "{error}"
    );
    let after: Value = serde_json::from_slice(&std::fs::read(&file).expect("there")).expect("json");
    assert_eq!(after["signatures"], serde_json::json!([]));
}
