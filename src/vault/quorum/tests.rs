//! Groups in the mathematics: which shares combine, and which no tool of the standard combines.

use proptest::prelude::*;
use twotap_shares::combine;

use super::super::testing::{PRINTED, sealed, tokens, unsealed};
use crate::{
    trust::{
        Verified,
        roster::{Group, Roster},
        tests::{
            people::{self, SoftToken},
            python::python,
        },
    },
    vault::{AGE_KEY_PY, Generation, VaultError, open},
};

fn group(name: &str, threshold: u8, members: &[&str]) -> Group {
    Group {
        name: name.to_owned(),
        threshold,
        members: members.iter().map(|m| (*m).to_owned()).collect(),
    }
}

fn verified(tokens: &[&SoftToken], groups: Vec<Group>) -> Verified<Roster> {
    let threshold = groups.iter().map(|g| g.threshold).sum();
    let mut roster = people::roster(threshold, tokens);
    roster.groups = groups;
    people::newest(&[people::signed(&roster, tokens)])
}

/// One of security (alice, bob) and one of platform (carol, ivan).
fn one_of_each() -> ([SoftToken; 4], Verified<Roster>, Generation) {
    let tokens = tokens(["alice", "bob", "carol", "ivan"]);
    let groups = vec![
        group("security", 1, &["alice", "bob"]),
        group("platform", 1, &["carol", "ivan"]),
    ];
    let roster = verified(&tokens.each_ref(), groups);
    let (generation, _) = sealed(&roster, 1);
    (tokens, roster, generation)
}

#[test]
fn two_of_one_group_open_nothing_and_one_of_each_does() {
    let (tokens, roster, generation) = one_of_each();
    let manifest = generation
        .verify(std::slice::from_ref(&roster))
        .expect("good");
    for (i, one) in tokens.iter().enumerate() {
        for (j, other) in tokens.iter().enumerate().skip(i + 1) {
            let shares = [one, other].map(|t| unsealed(&generation, t));
            let opened = open(&generation.vault_age, &manifest, &shares);
            if (i < 2) == (j < 2) {
                assert!(
                    matches!(
                        opened,
                        Err(VaultError::TooFewGroups {
                            given: 1,
                            needed: 2
                        })
                    ),
                    "{i} and {j}"
                );
                // Nor does the standard's own combining, without a word of ours.
                assert!(combine(&shares, b"").is_err());
                assert!(combine(&shares[..1], b"").is_err());
            } else {
                let key = opened.expect("one of each");
                assert_eq!(key.to_json().as_slice(), PRINTED.as_bytes());
            }
        }
    }
    // Whoever comes besides is no hindrance; one person twice is one.
    let three = [0, 1, 3].map(|i: usize| unsealed(&generation, &tokens[i]));
    assert!(open(&generation.vault_age, &manifest, &three).is_ok());
    let twice = [2, 3, 2].map(|i: usize| unsealed(&generation, &tokens[i]));
    let why = open(&generation.vault_age, &manifest, &twice)
        .err()
        .expect("refused");
    assert_eq!(why.to_string(), "the share of carol was given twice");
}

/// Promise 9 with groups: any SLIP-39 tool, and it keeps the rule.
#[test]
fn stock_tools_open_it_with_one_of_each_group_alone() {
    let (tokens, _, generation) = one_of_each();
    let recover = |people: [usize; 2]| {
        let words = people.map(|i| unsealed(&generation, &tokens[i]).expose().to_owned());
        let said = python(
            &["-m", "shamir_mnemonic.cli", "recover"],
            &format!("{}\n", words.join("\n")),
        );
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        said.lines()
            .find_map(|l| l.strip_prefix("Your master secret is: "))
            .map(str::to_owned)
    };
    assert_eq!(recover([0, 1]), None, "two of security");
    assert_eq!(recover([3, 2]), None, "two of platform");
    let hex = recover([3, 0]).expect("one of each");
    let key = python(&["-c", AGE_KEY_PY], &format!("{hex}\n"));
    assert!(key.status.success());
}

#[test]
fn each_copy_of_a_common_share_is_tried_before_anything_counts() {
    let (_, roster, _) = one_of_each();
    let own = crate::vault::VaultIdentity::generate(&mut rand_core::OsRng).expect("random");
    let split = || super::scheme(&roster);
    let (scheme, places) = split();
    assert_eq!(scheme.group_threshold, 2);
    assert_eq!(places, [(0, 0), (0, 0), (1, 0), (1, 0)]);
    let secret = own.to_secret().expect("a secret");
    let mut shares = Vec::new();
    for set in [0, 0, 1, 1] {
        let groups =
            twotap_shares::split(&secret, b"", &scheme, &mut rand_core::OsRng).expect("split");
        shares.push(groups.into_iter().nth(set).expect("there").swap_remove(0));
    }
    let quorums = super::quorums(&roster, &shares).expect("enough");
    for (i, share) in shares.iter().enumerate() {
        let tried = quorums.iter().flatten().any(|s| std::ptr::eq(*s, share));
        assert!(tried, "the share of custodian {i}");
    }
    assert!(
        super::quorums(&roster, &shares[..2]).is_none(),
        "a group without a share"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// For any groups: exactly those people open it who are a quorum of the roster, and nobody else's shares combine at all.
    #[test]
    fn exactly_the_quorums_of_the_roster_open_it(
        shape in proptest::collection::vec(
            (1usize..4).prop_flat_map(|size| (Just(size), 1..=size as u8)), 2..4),
        chosen in proptest::collection::vec(any::<bool>(), 9),
    ) {
        let count: usize = shape.iter().map(|(size, _)| size).sum();
        let tokens: Vec<SoftToken> = (0..count).map(|i| SoftToken::new(&format!("c{i}"))).collect();
        let names: Vec<&str> = tokens.iter().map(|t| t.person.as_str()).collect();
        let mut from = 0;
        let groups = shape.iter().enumerate().map(|(n, (size, threshold))| {
            from += size;
            group(&format!("g{n}"), *threshold, &names[from - size..from])
        }).collect();
        let roster = verified(&tokens.iter().collect::<Vec<_>>(), groups);
        let (generation, manifest) = sealed(&roster, 1);
        let given: Vec<&SoftToken> = tokens.iter().zip(&chosen).filter(|(_, c)| **c).map(|(t, _)| t).collect();
        let shares: Vec<_> = given.iter().map(|t| unsealed(&generation, t)).collect();
        let quorum = roster.is_quorum(given.iter().map(|t| t.person.as_str()));
        let opened = open(&generation.vault_age, &manifest, &shares);
        prop_assert_eq!(opened.is_ok(), quorum);
        match opened {
            Ok(key) => prop_assert!(key.to_json().as_slice() == PRINTED.as_bytes()),
            Err(VaultError::TooFewShares { .. } | VaultError::TooFewGroups { .. }) => {
                prop_assert!(combine(&shares, b"").is_err());
            }
            Err(why) => prop_assert!(false, "{}", why),
        }
    }
}
