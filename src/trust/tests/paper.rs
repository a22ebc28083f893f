//! Versions that a quorum of recovery shares stands for, in the place of the custodians of the version before.

use super::people::{self, HostKey, SoftToken};
use crate::trust::{
    Envelope, Signer as _, Verified,
    roster::{By, Roster, changes, missing, verify_chain, verify_next},
};

/// Alice and Bob under a roster that names recovery shares, and what signs for the shares.
fn first() -> (Envelope, HostKey, [SoftToken; 2]) {
    let old = [SoftToken::new("alice"), SoftToken::new("bob")];
    let (entry, paper) = people::recovery("paper");
    let mut roster = people::roster(2, &[&old[0], &old[1]]);
    roster.recovery = Some(entry);
    let envelope = people::signed(&roster, &[&old[0], &old[1]]);
    (envelope, paper, old)
}

/// Both tokens are lost: the same people with new ones.
fn renewed(before: &Verified<Roster>) -> (Roster, [SoftToken; 2]) {
    let new = [SoftToken::new("alice/2"), SoftToken::new("bob/2")];
    let mut roster = people::next(before);
    roster.by = Some(By::Recovery);
    roster.tokens = new.iter().map(SoftToken::listed).collect();
    (roster, new)
}

#[test]
fn paper_and_every_new_token_make_the_next_version() {
    let (first, paper, _) = first();
    let before = people::newest(std::slice::from_ref(&first));
    let (roster, new) = renewed(&before);
    let mut envelope = people::signed(&roster, &[&new[0]]);
    let lacks = missing(Some(&before), &envelope).unwrap();
    assert!(lacks.recovery && lacks.people == 0 && lacks.tokens.len() == 1);
    envelope.sign(&paper);
    assert!(verify_next(&before, &envelope).is_err(), "bob's is missing");
    envelope.sign(&new[1]);
    assert!(missing(Some(&before), &envelope).unwrap().is_nothing());
    let after = verify_chain(&[first, envelope]).unwrap().pop().unwrap();
    assert_eq!(after.by, Some(By::Recovery));
    let said = changes(&before, &after);
    assert!(
        said.iter()
            .any(|c| c.widens && c.text.contains("recovery shares stand for this version")),
        "{said:?}"
    );
}

#[test]
fn what_stands_for_a_version_is_said_in_it_and_never_both() {
    let (first, paper, old) = first();
    let before = people::newest(std::slice::from_ref(&first));
    // Signed by paper, and silent about it: custodians are missing.
    let (mut silent, new) = renewed(&before);
    silent.by = None;
    let mut envelope = people::signed(&silent, &[&new[0], &new[1]]);
    envelope.sign(&paper);
    assert!(verify_next(&before, &envelope).is_err());
    // Signed by the custodians, and said to be by paper: paper is missing.
    let (loud, new) = renewed(&before);
    let envelope = people::signed(&loud, &[&new[0], &new[1], &old[0], &old[1]]);
    assert!(verify_next(&before, &envelope).is_err());
}

#[test]
fn paper_stands_for_people_and_tokens_and_hosts_alone() {
    type Twist = fn(&mut Roster);
    let (first, paper, _) = first();
    let before = people::newest(std::slice::from_ref(&first));
    let with = |twist: Twist| {
        let (mut roster, new) = renewed(&before);
        twist(&mut roster);
        let mut envelope = Envelope::new(&roster).ok()?;
        for token in &new {
            envelope.sign(token);
        }
        envelope.sign(&paper);
        verify_next(&before, &envelope).ok()
    };
    assert!(with(|_| {}).is_some(), "nothing else is changed");
    assert!(
        with(|r| {
            r.hosts[0].name = "vault-2".into();
            r.hosts[0].key = HostKey::new("vault-2").public();
            for person in &mut r.people {
                person.accounts.clear();
            }
        })
        .is_some(),
        "a fresh host"
    );
    let bad: [(&str, Twist); 9] = [
        ("a longer session", |r| r.access[0].max_seconds += 1),
        ("another user", |r| r.aws.user_arn.push('x')),
        ("another place", |r| {
            r.places.push(crate::trust::roster::Place {
                name: "nas".into(),
                required: false,
                kind: crate::trust::roster::PlaceKind::Folder,
            })
        }),
        ("a threshold of one", |r| r.threshold = 1),
        ("a person twice", |r| r.people.push(r.people[0].clone())),
        ("a token without a signature", |r| {
            r.tokens.push(SoftToken::new("bob/3").listed())
        }),
        ("a version left out", |r| r.version += 1),
        ("another version before", |r| {
            r.previous = Some(crate::trust::Digest::of(b"a rival"))
        }),
        ("another vault", |r| r.vault = "staging".into()),
    ];
    for (what, twist) in bad {
        assert!(with(twist).is_none(), "{what}");
    }
}

#[test]
fn only_the_shares_that_the_version_before_names_count() {
    let (first, _, _) = first();
    let before = people::newest(std::slice::from_ref(&first));
    // The new version names other shares, whose signer signs it.
    let (mut roster, new) = renewed(&before);
    let (entry, stranger) = people::recovery("other paper");
    roster.recovery = Some(entry);
    let mut envelope = people::signed(&roster, &[&new[0], &new[1]]);
    envelope.sign(&stranger);
    assert!(verify_next(&before, &envelope).is_err());

    // A roster without shares has none that count.
    let old = [SoftToken::new("alice"), SoftToken::new("bob")];
    let bare = people::verified(2, &[&old[0], &old[1]]);
    let (roster, new) = renewed(&bare);
    let mut envelope = people::signed(&roster, &[&new[0], &new[1]]);
    envelope.sign(&stranger);
    assert!(verify_next(&bare, &envelope).is_err());
}
