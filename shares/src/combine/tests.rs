use super::*;
use crate::split::{Group, Scheme, split};
use crate::testing::Draw;
use proptest::prelude::*;
use zeroize::Zeroizing;

const SECRET: [u8; 32] = *b"a secret of just thirty-two byte";

fn shares_by(scheme: &Scheme, seed: u64) -> Vec<Vec<Mnemonic>> {
    split(
        &Secret::new(&SECRET).unwrap(),
        b"tango",
        scheme,
        &mut Draw::new(seed),
    )
    .unwrap()
}

/// The shares at these places of a single group, read again as somebody would type them.
fn pick(shares: &[Mnemonic], places: &[usize]) -> Vec<Mnemonic> {
    places
        .iter()
        .map(|&place| Mnemonic::parse(shares[place].expose()).unwrap())
        .collect()
}

fn single() -> impl Strategy<Value = (u8, u8)> {
    (2u8..=16).prop_flat_map(|count| (2..=count, Just(count)))
}

fn shuffled() -> impl Strategy<Value = Vec<usize>> {
    Just((0..16).collect::<Vec<_>>()).prop_shuffle()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_k_shares_in_any_order_recover((k, n) in single(), order in shuffled(), extendable: bool, seed: u64) {
        let groups = shares_by(&Scheme { extendable, ..Scheme::single(k, n) }, seed);
        let order: Vec<usize> = order.into_iter().filter(|&place| place < n.into()).collect();
        let enough = pick(&groups[0], &order[..k.into()]);
        let secret = combine(&enough, b"tango").unwrap();
        prop_assert_eq!(secret.expose(), &SECRET);
        let other = combine(&enough, b"tangO").unwrap();
        prop_assert_ne!(other.expose(), &SECRET);
    }

    #[test]
    fn fewer_or_more_than_k_are_refused((k, n) in single(), order in shuffled(), seed: u64) {
        let groups = shares_by(&Scheme::single(k, n), seed);
        let order: Vec<usize> = order.into_iter().filter(|&place| place < n.into()).collect();
        let needed = usize::from(k);
        for given in 1..=order.len() {
            let refused = combine(&pick(&groups[0], &order[..given]), b"tango").err();
            let expected = match given {
                few if few < needed => Some(Error::TooFewMembers { group: 1, given, needed }),
                many if many > needed => Some(Error::TooManyMembers { group: 1, given, needed }),
                _ => None,
            };
            prop_assert_eq!(refused, expected);
        }
    }

    #[test]
    fn k_less_one_do_not_recover_even_if_their_headers_say_they_would(
        (k, n) in (3u8..=16).prop_flat_map(|count| (3..=count, Just(count))), order in shuffled(), seed: u64,
    ) {
        let groups = shares_by(&Scheme::single(k, n), seed);
        let places = order.into_iter().filter(|&place| place < n.into()).take(usize::from(k) - 1);
        let forged: Vec<Mnemonic> = places.map(|place| {
            let share = &groups[0][place];
            let info = ShareInfo { member_threshold: k - 1, ..share.share() };
            Mnemonic::encode(info, Zeroizing::new(share.value().to_vec()))
        }).collect();
        prop_assert_eq!(combine(&forged, b"tango").err(), Some(Error::MemberDigest { group: 1 }));
    }

    #[test]
    fn any_enough_groups_recover(
        (needed, sizes) in prop::collection::vec(prop_oneof![Just((1, 1)), single()], 1..=5)
            .prop_flat_map(|sizes| (1..=sizes.len(), Just(sizes))),
        order in shuffled(),
        seed: u64,
    ) {
        let groups: Vec<Group> = sizes.iter().map(|&(threshold, count)| Group { threshold, count }).collect();
        let scheme = Scheme { group_threshold: needed as u8, groups, ..Scheme::single(1, 1) };
        let shares = shares_by(&scheme, seed);
        let chosen: Vec<usize> = order.iter().copied().filter(|&group| group < sizes.len()).take(needed).collect();
        // One member of each group in turn, so that the groups' shares come interleaved.
        let mut given = Vec::new();
        for turn in 0..16 {
            for &group in &chosen {
                if turn < usize::from(sizes[group].0) {
                    let places: Vec<usize> = order.iter().copied().filter(|&i| i < sizes[group].1.into()).collect();
                    given.extend(pick(&shares[group], &places[turn..=turn]));
                }
            }
        }
        let secret = combine(&given, b"tango").unwrap();
        prop_assert_eq!(secret.expose(), &SECRET);
        // Without one of the shares it is refused.
        given.pop();
        let refused = combine(&given, b"tango").err();
        prop_assert!(matches!(
            refused,
            Some(Error::NoShares | Error::TooFewGroups { .. } | Error::TooFewMembers { .. })
        ), "{refused:?}");
    }
}

#[test]
fn a_share_of_another_set_is_named_with_what_differs() {
    let scheme = Scheme {
        group_threshold: 2,
        groups: vec![
            Group {
                threshold: 2,
                count: 3
            };
            3
        ],
        ..Scheme::single(2, 3)
    };
    let groups = shares_by(&scheme, 1);
    let with = |change: fn(&mut ShareInfo), len: usize| {
        let mut given = pick(&groups[0], &[0]);
        let mut info = groups[0][1].share();
        change(&mut info);
        given.push(Mnemonic::encode(info, Zeroizing::new(vec![7; len])));
        combine(&given, b"").err()
    };
    assert_eq!(
        with(|share| share.identifier ^= 1, 32),
        Some(Error::IdentifierMismatch { share: 2 })
    );
    assert_eq!(
        with(|share| share.extendable = false, 32),
        Some(Error::ExtendableMismatch { share: 2 })
    );
    assert_eq!(
        with(|share| share.iteration_exponent = 1, 32),
        Some(Error::ExponentMismatch { share: 2 })
    );
    assert_eq!(
        with(|share| share.group_threshold = 1, 32),
        Some(Error::GroupThresholdMismatch { share: 2 })
    );
    assert_eq!(
        with(|share| share.group_count = 4, 32),
        Some(Error::GroupCountMismatch { share: 2 })
    );
    assert_eq!(with(|_| (), 30), Some(Error::LengthMismatch { share: 2 }));
    assert_eq!(
        with(|share| share.member_threshold = 3, 32),
        Some(Error::MemberThresholdMismatch { share: 2 })
    );
    assert_eq!(
        with(|share| share.member_index = 0, 32),
        Some(Error::DuplicateMember {
            share: 2,
            earlier: 1
        })
    );
}

#[test]
fn too_few_and_too_many_groups_are_told_apart() {
    let scheme = Scheme {
        group_threshold: 2,
        groups: vec![
            Group {
                threshold: 1,
                count: 1
            };
            3
        ],
        ..Scheme::single(1, 1)
    };
    let groups = shares_by(&scheme, 1);
    let of = |which: &[usize]| -> Vec<Mnemonic> {
        which.iter().flat_map(|&i| pick(&groups[i], &[0])).collect()
    };
    assert_eq!(
        combine(&of(&[0]), b"").err(),
        Some(Error::TooFewGroups {
            given: 1,
            needed: 2
        })
    );
    assert_eq!(
        combine(&of(&[0, 1, 2]), b"").err(),
        Some(Error::TooManyGroups {
            given: 3,
            needed: 2
        })
    );
    assert_eq!(combine(&of(&[2, 0]), b"tango").unwrap().expose(), SECRET);
    assert_eq!(combine(&[], b"").err(), Some(Error::NoShares));
}

#[test]
fn a_forged_value_is_refused_by_the_digest_of_its_level() {
    let scheme = Scheme {
        group_threshold: 2,
        groups: vec![
            Group {
                threshold: 1,
                count: 1,
            },
            Group {
                threshold: 2,
                count: 2,
            },
        ],
        ..Scheme::single(1, 1)
    };
    let groups = shares_by(&scheme, 1);
    let forge = |share: &Mnemonic| {
        let mut value = Zeroizing::new(share.value().to_vec());
        value[0] ^= 1;
        Mnemonic::encode(share.share(), value)
    };
    let good = |group: usize, member: usize| pick(&groups[group], &[member]).remove(0);
    let in_one = [good(0, 0), forge(&groups[1][0]), good(1, 1)];
    assert_eq!(
        combine(&in_one, b"").err(),
        Some(Error::MemberDigest { group: 2 })
    );
    // A group of one has no digest of its own: the groups' digest catches it.
    let in_other = [forge(&groups[0][0]), good(1, 0), good(1, 1)];
    assert_eq!(combine(&in_other, b"").err(), Some(Error::GroupDigest));
}
