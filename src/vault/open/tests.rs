use proptest::prelude::*;

use super::super::testing::{PRINTED, sealed, tokens, unsealed};
use super::*;
use crate::trust::{
    Envelope, Verified,
    roster::Roster,
    tests::people::{SoftToken, host, verified},
};
use crate::vault::{Generation, VaultError};

fn trio() -> (
    [SoftToken; 3],
    Verified<Roster>,
    Generation,
    Verified<Manifest>,
) {
    let tokens = tokens(["alice", "bob", "carol"]);
    let roster = verified(2, &tokens.each_ref());
    let (generation, manifest) = sealed(&roster, 1);
    (tokens, roster, generation, manifest)
}

#[test]
fn two_of_three_open_it() {
    let ([alice, bob, carol], _, generation, manifest) = trio();
    for [one, two] in [[&alice, &bob], [&carol, &alice], [&bob, &carol]] {
        let shares = [unsealed(&generation, one), unsealed(&generation, two)];
        let key = open(&generation.vault_age, &manifest, &shares).expect("opened");
        assert_eq!(key.to_json().as_slice(), PRINTED.as_bytes());
    }
    let all = [&alice, &bob, &carol].map(|t| unsealed(&generation, t));
    assert!(open(&generation.vault_age, &manifest, &all).is_ok());
}

#[test]
fn one_person_is_not_two() {
    let ([alice, ..], _, generation, manifest) = trio();
    let once = [unsealed(&generation, &alice)];
    assert!(matches!(
        open(&generation.vault_age, &manifest, &once),
        Err(VaultError::TooFewShares {
            given: 1,
            needed: 2
        })
    ));
    let twice = [unsealed(&generation, &alice), unsealed(&generation, &alice)];
    let why = open(&generation.vault_age, &manifest, &twice)
        .err()
        .expect("refused");
    assert_eq!(why.to_string(), "the share of alice was given twice");
}

#[test]
fn a_wrong_share_has_a_name() {
    let ([alice, bob, _], roster, generation, manifest) = trio();
    let (older, _) = sealed(&roster, 1);
    let shares = [unsealed(&generation, &alice), unsealed(&older, &bob)];
    let why = open(&generation.vault_age, &manifest, &shares)
        .err()
        .expect("refused");
    assert_eq!(
        why.to_string(),
        "the share of bob is not the one that was sealed in generation 1"
    );

    check_share(&manifest, "alice", &shares[0]).expect("hers");
    for (custodian, share) in [("bob", 1), ("bob", 0), ("dana", 0)] {
        match check_share(&manifest, custodian, &shares[share]) {
            Err(VaultError::WrongShare {
                custodian: blamed, ..
            }) => assert_eq!(blamed, custodian),
            other => panic!("expected a refusal, not {:?}", other.err()),
        }
    }
}

#[test]
fn a_wrong_vault_file_is_found_before_anything_is_combined() {
    let ([alice, bob, _], _, generation, manifest) = trio();
    let shares = [&alice, &bob].map(|t| unsealed(&generation, t));
    let mut forged = generation.vault_age.clone();
    forged[0] ^= 1;
    assert!(matches!(
        open(&forged, &manifest, &shares),
        Err(VaultError::Digest {
            custodian: None,
            ..
        })
    ));
}

#[test]
fn the_key_inside_is_the_one_that_the_manifest_names() {
    let ([alice, bob, _], roster, generation, manifest) = trio();
    let shares = [&alice, &bob].map(|t| unsealed(&generation, t));
    let mut lying = Manifest::clone(&manifest);
    lying.access_key_id = "AKIAI44QH8DHBEXAMPLE".into();
    let lying = Envelope::signed(&lying, &host()).expect("signed");
    let lying = Manifest::verify(&lying, &roster).expect("well signed");
    assert!(matches!(
        open(&generation.vault_age, &lying, &shares),
        Err(VaultError::WrongCredential { .. })
    ));
}

#[test]
fn a_one_time_key_opens_what_was_sealed_to_it() {
    let (key, other) = (OneTime::generate(), OneTime::generate());
    assert_ne!(key.recipient(), other.recipient());
    let file = seal_to(&key.recipient(), PRINTED.as_bytes()).expect("sealed");
    assert_eq!(
        key.open(&file).expect("opened").as_slice(),
        PRINTED.as_bytes()
    );
    assert!(matches!(
        other.open(&file),
        Err(VaultError::NotForThisKey { .. })
    ));
    assert!(matches!(
        key.open(b"not age"),
        Err(VaultError::Malformed { .. })
    ));
    let large = vec![0; age_file::MAX_AGE_FILE + 1];
    assert!(matches!(
        key.open(&large),
        Err(VaultError::Malformed { .. })
    ));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// For any threshold and any number of custodians: exactly those sets open that are large enough.
    #[test]
    fn any_threshold_many_custodians_open_it_and_fewer_do_not(
        (count, threshold, chosen) in (2usize..=6).prop_flat_map(|count| {
            (Just(count), 2..=count, proptest::collection::vec(any::<proptest::sample::Index>(), count))
        }),
        given in 0usize..=6,
    ) {
        let tokens: Vec<SoftToken> = (0..count).map(|i| SoftToken::new(&format!("c{i}"))).collect();
        let roster = verified(threshold as u8, &tokens.iter().collect::<Vec<_>>());
        let (generation, manifest) = sealed(&roster, 1);
        let mut left: Vec<&SoftToken> = tokens.iter().collect();
        let picked: Vec<&SoftToken> =
            chosen.iter().take(given).map(|i| left.remove(i.index(left.len()))).collect();
        let shares: Vec<Mnemonic> = picked.iter().map(|t| unsealed(&generation, t)).collect();
        match open(&generation.vault_age, &manifest, &shares) {
            Ok(key) => {
                prop_assert!(shares.len() >= threshold);
                prop_assert!(key.to_json().as_slice() == PRINTED.as_bytes());
            }
            Err(VaultError::TooFewShares { given, needed }) => {
                prop_assert_eq!((given, needed), (shares.len(), threshold));
                prop_assert!(given < needed);
            }
            Err(why) => prop_assert!(false, "{}", why),
        }
        // Not the count alone: the standard's own check refuses as well.
        if shares.len() < threshold {
            prop_assert!(combine(&shares, b"").is_err());
        }
    }
}
