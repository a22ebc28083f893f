//! Votes where custodians stand in groups, all of which have to give somebody.

use super::*;
use crate::trust::request::Withdrawal;
use roster::Group;

/// Custodians 0, 1, ... in groups of these sizes and thresholds.
fn groups(shape: &[(usize, u8)]) -> Vec<Group> {
    let mut names = (0..).map(|i| format!("custodian{i}"));
    shape
        .iter()
        .enumerate()
        .map(|(n, (size, threshold))| Group {
            name: format!("group{n}"),
            threshold: *threshold,
            members: names.by_ref().take(*size).collect(),
        })
        .collect()
}

/// What has become of each custodian's vote.
#[derive(Clone, Copy, PartialEq)]
enum Said {
    Nothing,
    Yes,
    No,
    TakenBack,
}

/// Whether each group has enough for whom `is` holds. Counted by position, as the groups were dealt.
fn each_group(shape: &[(usize, u8)], said: &[Said], is: impl Fn(usize, Said) -> bool) -> bool {
    let mut from = 0;
    shape.iter().all(|(size, threshold)| {
        let members = from..from + size;
        from += size;
        members.filter(|i| is(*i, said[*i])).count() >= usize::from(*threshold)
    })
}

fn withdrawal(offer: &Envelope, token: &Soft) -> Envelope {
    let withdrawal = Withdrawal {
        v: 1,
        request_sha256: offer.digest(),
    };
    Envelope::signed(&withdrawal, token).expect("a good withdrawal")
}

fn shapes() -> impl Strategy<Value = Vec<(usize, u8)>> {
    let group = (1usize..4).prop_flat_map(|size| (Just(size), 1..=size as u8));
    proptest::collection::vec(group, 2..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Approved exactly when every group has given what it has to, denied exactly when one of them no longer can; whatever the order, and
    /// however many of another group say yes.
    #[test]
    fn every_group_has_to_give_its_own(
        shape in shapes(),
        operator in 0usize..12,
        votes in proptest::collection::vec((0usize..12, 0u8..4), 0..20),
    ) {
        let custodians: usize = shape.iter().map(|(size, _)| size).sum();
        let threshold: u8 = shape.iter().map(|(_, threshold)| threshold).sum();
        let world = grouped(custodians, threshold, groups(&shape));
        let operator = (operator < custodians).then_some(operator);
        let name = operator.map_or("dana".to_owned(), |i| format!("custodian{i}"));
        let offer = offer(&world, &name);
        let mut requested = Requested::new(&offer, world.roster.clone()).expect("a good offer");
        let mut said = vec![Said::Nothing; custodians];
        for (who, what) in votes {
            let who = who % custodians;
            let token = &world.tokens[who * 2].1;
            let settled = match what {
                // Twice as often as the others.
                0 | 1 => match requested.check_approval(&approval(&offer, token), NOW) {
                    Ok(voter) => { said[who] = Said::Yes; requested.count(voter) }
                    Err(_) => { prop_assert!(said[who] != Said::Nothing || operator == Some(who)); continue }
                },
                2 => match requested.check_denial(&denial(&offer, token), NOW) {
                    Ok(voter) => { said[who] = Said::No; requested.count(voter) }
                    Err(_) => continue,
                },
                _ => match requested.check_withdrawal(&withdrawal(&offer, token), NOW) {
                    Ok(by) => { prop_assert!(said[who] == Said::Yes); said[who] = Said::TakenBack; requested.withdraw(&by) }
                    Err(_) => continue,
                },
            };
            let given = each_group(&shape, &said, |_, s| s == Said::Yes);
            let can_be = each_group(&shape, &said, |i, s| {
                operator != Some(i) && matches!(s, Said::Yes | Said::Nothing)
            });
            match settled {
                Settled::Waiting(still) => {
                    prop_assert!(!given && can_be);
                    prop_assert!(!still.lacking().is_empty());
                    requested = still;
                }
                Settled::Approved(_) => { prop_assert!(given); return Ok(()) }
                Settled::Denied => { prop_assert!(!given && !can_be); return Ok(()) }
            }
        }
    }
}

#[test]
fn who_is_missing_is_said_by_group() {
    let world = grouped(4, 2, groups(&[(2, 1), (2, 1)]));
    let offer = offer(&world, "dana");
    let mut requested = Requested::new(&offer, world.roster.clone()).expect("a good offer");
    let words = |requested: &Requested| {
        let lacking = requested.lacking();
        lacking.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(words(&requested), ["one of group0", "one of group1"]);
    // Two of one group are two people, and no quorum.
    for i in [0, 2] {
        let yes = approval(&offer, &world.tokens[i].1);
        let voter = requested.check_approval(&yes, NOW).expect("a vote");
        let Settled::Waiting(still) = requested.count(voter) else {
            panic!("two of one group are no quorum");
        };
        requested = still;
        assert_eq!(words(&requested), ["one of group1"]);
    }
    // One of the others says no; the last one can still say yes.
    let no = denial(&offer, &world.tokens[4].1);
    let voter = requested.check_denial(&no, NOW).expect("a vote");
    let Settled::Waiting(requested) = requested.count(voter) else {
        panic!("one is left who can");
    };
    let no = denial(&offer, &world.tokens[6].1);
    let voter = requested.check_denial(&no, NOW).expect("a vote");
    assert!(matches!(requested.count(voter), Settled::Denied));
}
