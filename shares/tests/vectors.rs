//! The 45 official test vectors of SLIP-0039: 15 sets that recover a secret, 30 that must be refused, each by the
//! layer that the vector was made for.
//!
//! `vectors.json` is data published with the standard's reference implementation; the copy here came with the npm
//! package `slip39` 0.1.9. The passphrase is always "TREZOR". The fourth column, a BIP-0032 key, is not ours to derive.

use data_encoding::HEXLOWER;
use serde::Deserialize;
use twotap_shares::{Error, Mnemonic, combine};

#[derive(Deserialize)]
struct Vector(String, Vec<String>, String, #[allow(dead_code)] String);

fn vectors() -> Vec<Vector> {
    serde_json::from_str(include_str!("vectors.json"))
        .expect("vectors.json is a list of four columns")
}

fn run(shares: &[String]) -> Result<String, Error> {
    let shares = shares
        .iter()
        .map(|share| Mnemonic::parse(share))
        .collect::<Result<Vec<_>, _>>()?;
    combine(&shares, b"TREZOR").map(|secret| HEXLOWER.encode(secret.expose()))
}

/// The number each vector's title begins with, and what must refuse it.
#[rustfmt::skip]
const REFUSED: [(usize, Error); 30] = [
    (2, Error::Checksum { suspect: Some(20) }),
    (3, Error::Padding),
    (5, Error::TooFewMembers { group: 1, given: 1, needed: 2 }),
    (6, Error::IdentifierMismatch { share: 2 }),
    (7, Error::ExponentMismatch { share: 2 }),
    (8, Error::GroupThresholdMismatch { share: 3 }),
    (9, Error::GroupCountMismatch { share: 2 }),
    (10, Error::GroupThresholdAboveCount),
    (11, Error::DuplicateMember { share: 2, earlier: 1 }),
    (12, Error::MemberThresholdMismatch { share: 2 }),
    (13, Error::MemberDigest { group: 1 }),
    (14, Error::TooFewGroups { given: 1, needed: 2 }),
    (15, Error::TooFewGroups { given: 1, needed: 2 }),
    (16, Error::TooFewMembers { group: 4, given: 1, needed: 2 }),
    (21, Error::Checksum { suspect: Some(33) }),
    (22, Error::Padding),
    (24, Error::TooFewMembers { group: 1, given: 1, needed: 2 }),
    (25, Error::IdentifierMismatch { share: 2 }),
    (26, Error::ExponentMismatch { share: 2 }),
    (27, Error::GroupThresholdMismatch { share: 3 }),
    (28, Error::GroupCountMismatch { share: 2 }),
    (29, Error::GroupThresholdAboveCount),
    (30, Error::DuplicateMember { share: 2, earlier: 1 }),
    (31, Error::MemberThresholdMismatch { share: 2 }),
    (32, Error::MemberDigest { group: 1 }),
    (33, Error::TooFewGroups { given: 1, needed: 2 }),
    (34, Error::TooFewGroups { given: 1, needed: 2 }),
    (35, Error::TooFewMembers { group: 4, given: 1, needed: 2 }),
    (39, Error::Length { words: 19 }),
    (40, Error::Length { words: 21 }),
];

#[test]
fn every_official_vector_recovers_or_is_refused_by_its_layer() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 45);
    let mut recovered = 0;
    for (number, Vector(title, shares, secret, _)) in (1..).zip(&vectors) {
        assert!(title.starts_with(&format!("{number}. ")), "{title}");
        let refused = REFUSED.iter().find(|(refused, _)| *refused == number);
        match refused {
            Some((_, error)) => {
                assert_eq!(secret, "", "{title}");
                assert_eq!(run(shares), Err(*error), "{title}");
            }
            None => {
                recovered += 1;
                assert_eq!(run(shares).as_ref(), Ok(secret), "{title}");
            }
        }
    }
    assert_eq!(recovered, 15);
}

#[test]
fn both_kinds_of_share_are_among_the_vectors() {
    let extendable =
        |vector: &Vector| Mnemonic::parse(&vector.1[0]).is_ok_and(|share| share.share().extendable);
    assert_eq!(
        vectors().iter().filter(|vector| extendable(vector)).count(),
        4
    );
}
