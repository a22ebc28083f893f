//! Groups of custodians in the roster: what makes sense, who must sign, what is said of a change.

use super::people::{self, SoftToken};
use crate::trust::{
    Document as _, TrustError,
    roster::{Group, Roster, changes, follows, missing, verify_next},
};

fn four() -> [SoftToken; 4] {
    ["alice", "bob", "carol", "ivan"].map(SoftToken::new)
}

fn group(name: &str, threshold: u8, members: &[&str]) -> Group {
    Group {
        name: name.to_owned(),
        threshold,
        members: members.iter().map(|m| (*m).to_owned()).collect(),
    }
}

fn one_of_each() -> Vec<Group> {
    vec![
        group("security", 1, &["alice", "bob"]),
        group("platform", 1, &["carol", "ivan"]),
    ]
}

fn roster(tokens: &[SoftToken; 4], groups: Vec<Group>) -> Roster {
    let mut roster = people::roster(2, &tokens.each_ref());
    roster.groups = groups;
    roster
}

#[test]
fn groups_that_make_no_sense_are_refused() {
    let tokens = four();
    let good = roster(&tokens, one_of_each());
    good.check().expect("sensible");
    type Bad = fn(&mut Roster);
    let cases: [(&str, Bad); 12] = [
        ("a single group", |r| drop(r.groups.pop())),
        ("nobody has to give", |r| r.groups[0].threshold = 0),
        ("more than it has", |r| r.groups[0].threshold = 3),
        ("too few in all", |r| r.threshold = 3),
        ("too many in all", |r| r.groups[0].threshold = 2),
        ("one name twice", |r| r.groups[1].name = "security".into()),
        ("a name that is none", |r| r.groups[1].name = "a b".into()),
        ("an empty group", |r| r.groups[1].members.clear()),
        ("in two groups", |r| {
            r.groups[1].members.push("alice".into())
        }),
        ("twice in one", |r| r.groups[0].members.push("alice".into())),
        ("no custodian", |r| r.groups[0].members.push("dana".into())),
        ("in no group", |r| drop(r.groups[0].members.pop())),
    ];
    for (what, bad) in cases {
        let mut roster = good.clone();
        bad(&mut roster);
        assert!(roster.check().is_err(), "{what}");
    }
}

#[test]
fn a_change_needs_each_group_of_the_version_before() {
    let tokens = four();
    let [alice, bob, carol, _] = &tokens;
    let first = people::signed(&roster(&tokens, one_of_each()), &tokens.each_ref());
    let first = people::newest(&[first]);
    let mut change = people::next(&first);
    change.groups.clear();

    // Two people of one group are as many as the threshold, and may not undo the rule.
    let by_two = people::signed(&change, &[alice, bob]);
    match verify_next(&first, &by_two) {
        Err(TrustError::Unsigned { by, .. }) => {
            assert_eq!(
                by,
                "2 custodians: one of security and one of platform of version 1"
            );
        }
        other => panic!("it holds: {other:?}"),
    }
    let lacks = missing(Some(&first), &by_two).expect("read");
    assert_eq!(lacks.people, 1);
    assert_eq!(lacks.groups[0].to_string(), "one of platform");
    assert!(!lacks.is_nothing());

    let by_both = people::signed(&change, &[alice, carol]);
    verify_next(&first, &by_both).expect("one of each");
    assert!(missing(Some(&first), &by_both).expect("read").is_nothing());
}

#[test]
fn a_change_of_groups_is_said_in_plain_words() {
    let tokens = four();
    let none = roster(&tokens, Vec::new());
    let both = roster(&tokens, one_of_each());
    let texts = |before: &Roster, after: &Roster| {
        let changes = changes(before, after);
        let text = |c: crate::trust::roster::Change| (c.text, c.widens);
        changes.into_iter().map(text).collect::<Vec<_>>()
    };
    assert_eq!(
        texts(&none, &both),
        [
            (
                "one of security (alice, bob) has to approve".to_owned(),
                false
            ),
            (
                "one of platform (carol, ivan) has to approve".to_owned(),
                false
            ),
        ]
    );
    assert_eq!(
        texts(&both, &none),
        [
            ("no longer has one of security to approve".to_owned(), true),
            ("no longer has one of platform to approve".to_owned(), true),
        ]
    );
    // Bob passes from one to the other: with alice he is a quorum now.
    let mut passed = one_of_each();
    let bob = passed[0].members.pop().expect("bob");
    passed[1].members.push(bob);
    assert_eq!(
        texts(&both, &roster(&tokens, passed)),
        [
            ("one of security (alice) has to approve".to_owned(), true),
            (
                "one of platform (carol, ivan, bob) has to approve".to_owned(),
                true
            ),
        ]
    );
    assert!(
        follows(&both).contains("(2 custodians: one of security and one of platform must approve)")
    );
    assert!(follows(&none).contains("(2 of them must approve)"));
}
