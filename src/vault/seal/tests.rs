use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use rand_core::OsRng;

use super::super::{
    AGE_KEY_PY,
    testing::{PRINTED, credential, input, sealed, tokens, unsealed},
};
use super::*;
use crate::{
    trust::{
        Day, TrustError,
        roster::Recovery,
        tests::{
            people::{self, HostKey, host, verified},
            python::python,
        },
    },
    vault::recovery::RecoverySigner,
};

#[test]
fn it_carries_what_it_was_made_of() {
    let [alice, bob, carol] = tokens(["alice", "bob", "carol"]);
    let roster = verified(2, &[&alice, &bob, &carol]);
    let (generation, manifest) = sealed(&roster, 3);
    assert_eq!((manifest.generation, manifest.threshold), (3, 2));
    assert_eq!(manifest.access_key_id, "AKIAIOSFODNN7EXAMPLE");
    assert_eq!(manifest.roster_sha256, roster.digest());
    let names: Vec<&str> = generation
        .shares
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(names, ["alice", "bob", "carol"]);
    for token in [&alice, &bob, &carol] {
        let mnemonic = unsealed(&generation, token);
        let digest = Digest::of(mnemonic.expose().as_bytes());
        assert_eq!(
            manifest.share(&token.person).map(|s| s.mnemonic_sha256),
            Some(digest)
        );
        assert_eq!(mnemonic.word_count(), 33);
    }
}

#[test]
fn every_token_of_a_person_opens_that_persons_share() {
    let [alice, bob, spare] = tokens(["alice", "bob", "bob/2"]);
    let roster = verified(2, &[&alice, &bob, &spare]);
    let (generation, _) = sealed(&roster, 1);
    assert_eq!(generation.shares.len(), 2);
    assert_eq!(
        unsealed(&generation, &bob).expose(),
        unsealed(&generation, &spare).expose()
    );
    let alices = SealedShare::parse(generation.share("alice").expect("there")).expect("parsed");
    assert!(matches!(
        alices.open(&bob),
        Err(VaultError::NotForThisKey { .. })
    ));
}

#[test]
fn each_generation_has_keys_of_its_own() {
    let [alice, bob] = tokens(["alice", "bob"]);
    let roster = verified(2, &[&alice, &bob]);
    let (one, _) = sealed(&roster, 1);
    let (two, _) = sealed(&roster, 1);
    assert_ne!(
        unsealed(&one, &alice).expose(),
        unsealed(&two, &alice).expose()
    );
    assert_ne!(one.vault_age, two.vault_age);
}

#[test]
fn nothing_in_it_is_in_plain() {
    let [alice, bob] = tokens(["alice", "bob"]);
    let (generation, _) = sealed(&verified(2, &[&alice, &bob]), 1);
    let words = unsealed(&generation, &alice);
    let everything = format!("{generation:?}").into_bytes();
    let everything = [
        everything,
        generation.vault_age,
        generation.shares[0].1.clone(),
    ]
    .concat();
    let secret = credential();
    for plain in [secret.expose_secret().as_bytes(), words.expose().as_bytes()] {
        for fragment in plain.windows(12) {
            assert!(!everything.windows(12).any(|w| w == fragment));
        }
    }
}

#[test]
fn a_host_that_is_not_listed_cannot_seal() {
    let [alice, bob] = tokens(["alice", "bob"]);
    let roster = verified(2, &[&alice, &bob]);
    let credential = credential();
    let stranger = HostKey::new("somewhere else");
    let mut by_stranger = input(&roster, &credential, 1);
    assert!(matches!(
        seal(&by_stranger, &stranger, &mut OsRng),
        Err(VaultError::Trust(TrustError::Unsigned { .. }))
    ));
    by_stranger.host_key_id = stranger.public().id();
    assert!(matches!(
        seal(&by_stranger, &host(), &mut OsRng),
        Err(VaultError::Trust(TrustError::Mismatch { .. }))
    ));
    let mut elsewhere = input(&roster, &credential, 1);
    elsewhere.vault = "staging";
    assert!(matches!(
        seal(&elsewhere, &host(), &mut OsRng),
        Err(VaultError::Trust(TrustError::Mismatch { .. }))
    ));
}

#[test]
fn without_randomness_nothing_is_sealed() {
    struct Broken;
    impl rand_core::CryptoRng for Broken {}
    impl rand_core::RngCore for Broken {
        fn next_u32(&mut self) -> u32 {
            0
        }
        fn next_u64(&mut self) -> u64 {
            0
        }
        fn fill_bytes(&mut self, _: &mut [u8]) {}
        fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), rand_core::Error> {
            Err(std::num::NonZeroU32::MIN.into())
        }
    }
    let [alice, bob] = tokens(["alice", "bob"]);
    let roster = verified(2, &[&alice, &bob]);
    let credential = credential();
    assert!(matches!(
        seal(&input(&roster, &credential, 1), &host(), &mut Broken),
        Err(VaultError::Shares(twotap_shares::Error::Random))
    ));
}

#[test]
fn what_does_not_open_is_not_sealed() {
    let [alice, bob, carol] = tokens(["alice", "bob", "carol"]);
    let roster = verified(2, &[&alice, &bob, &carol]);
    let credential = credential();
    let input = input(&roster, &credential, 1);
    let own = VaultIdentity::generate(&mut OsRng).expect("random");
    let other = VaultIdentity::generate(&mut OsRng).expect("random");
    let file = seal_vault(&input, &own).expect("sealed");
    let shares = || split_identity(&roster, &own, &mut OsRng).expect("split");
    recombine(&input, &own, &shares(), &file).expect("opens");

    let why = |result: Result<(), VaultError>| match result {
        Err(VaultError::SelfCheck { why }) => why,
        other => panic!("expected a failed check, not {:?}", other.err()),
    };
    // The last share alone is of another set: it too must be tried.
    let mut mixed = shares();
    mixed[2] = shares().swap_remove(2);
    assert_eq!(
        why(recombine(&input, &own, &mixed, &file)),
        "the shares do not combine"
    );
    let others = split_identity(&roster, &other, &mut OsRng).expect("split");
    assert_eq!(
        why(recombine(&input, &own, &others, &file)),
        "the shares combine to another identity"
    );
    assert_eq!(
        why(recombine(&input, &own, &shares()[..1], &file)),
        "there are fewer shares than the threshold"
    );
    let elsewhere = seal_vault(&input, &other).expect("sealed");
    assert_eq!(
        why(recombine(&input, &own, &shares(), &elsewhere)),
        "vault.age does not open"
    );
    let recipient = identity::recipient("it", &own.recipient().expect("text")).expect("one");
    let filled = age_file::encrypt("it", &[&recipient], b"something else").expect("sealed");
    assert_eq!(
        why(recombine(&input, &own, &shares(), &filled)),
        "vault.age holds something else"
    );
}

/// Promise 9, on paper: words, any SLIP-39 tool, seven lines of Python, stock `age`.
#[test]
fn stock_tools_open_it_from_words() {
    let [alice, bob, carol] = tokens(["alice", "bob", "carol"]);
    let (generation, _) = sealed(&verified(2, &[&alice, &bob, &carol]), 1);
    let words = [&carol, &alice].map(|t| unsealed(&generation, t).expose().to_owned());
    let recovered = python(
        &["-m", "shamir_mnemonic.cli", "recover"],
        &format!("{}\n", words.join("\n")),
    );
    let said = String::from_utf8_lossy(&recovered.stdout).into_owned();
    let hex = said
        .lines()
        .find_map(|l| l.strip_prefix("Your master secret is: "))
        .expect("recovered");
    let key = python(&["-c", AGE_KEY_PY], &format!("{hex}\n"));
    assert!(
        key.status.success(),
        "{}",
        String::from_utf8_lossy(&key.stderr)
    );
    assert_eq!(
        String::from_utf8_lossy(&age_d(&key.stdout, &generation.vault_age)),
        PRINTED
    );
    assert_eq!(AGE_KEY_PY.lines().count(), 7);
}

#[test]
fn stock_age_opens_it_with_the_recovery_identity() {
    let [alice, bob] = tokens(["alice", "bob"]);
    let recovery = VaultIdentity::generate(&mut OsRng).expect("random");
    let mut roster = people::roster(2, &[&alice, &bob]);
    roster.recovery = Some(Recovery {
        recipient: recovery.recipient().expect("text"),
        signer: RecoverySigner::of(&recovery).expect("a signer").public(),
        made: Day::parse("2026-11-22").expect("a day"),
        days: None,
    });
    let roster = people::newest(&[people::signed(&roster, &[&alice, &bob])]);
    let (generation, _) = sealed(&roster, 1);
    let text = recovery.expose_text().expect("text");
    assert_eq!(
        String::from_utf8_lossy(&age_d(text.as_bytes(), &generation.vault_age)),
        PRINTED
    );
}

/// What Debian's `age -d` makes of the file, with an identity that it reads from a file.
fn age_d(identity: &[u8], file: &[u8]) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let key = folder.path().join("key.txt");
    std::fs::write(&key, identity).expect("written");
    let mut child = Command::new("age")
        .args(["-d", "-i"])
        .arg(&key)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("stock age is not installed: run the tests with `cargo xtask test`");
    child
        .stdin
        .take()
        .expect("piped")
        .write_all(file)
        .expect("taken");
    let output = child.wait_with_output().expect("it ends");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}
