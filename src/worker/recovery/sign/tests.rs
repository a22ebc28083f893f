use rand_core::OsRng;
use twotap_shares::{Group, Scheme};
use zeroize::Zeroizing;

use super::*;
use crate::{
    trust::{
        Verified,
        roster::verify_next,
        tests::people::{self, SoftToken},
    },
    vault::recovery::{Made, Wanted, make},
};

fn made(passphrase: &[u8]) -> Made {
    let scheme = Scheme {
        extendable: true,
        iteration_exponent: 0,
        group_threshold: 1,
        groups: vec![Group {
            threshold: 2,
            count: 3,
        }],
    };
    let wanted = Wanted {
        vault: "prod",
        made: "2026-11-22",
        scheme: &scheme,
        names: &[],
        passphrase,
    };
    make(&wanted, &mut OsRng).unwrap()
}

fn before(made: &Made) -> Verified<Roster> {
    let old = [SoftToken::new("alice"), SoftToken::new("bob")];
    let mut roster = people::roster(2, &[&old[0], &old[1]]);
    roster.recovery = Some(made.set.entry().unwrap());
    people::newest(&[people::signed(&roster, &[&old[0], &old[1]])])
}

fn after(before: &Verified<Roster>) -> Envelope {
    let new = [SoftToken::new("alice/2"), SoftToken::new("bob/2")];
    let mut roster = people::next(before);
    roster.by = Some(By::Recovery);
    roster.tokens = new.iter().map(SoftToken::listed).collect();
    people::signed(&roster, &[&new[0], &new[1]])
}

fn ask(made: &Made, places: &[usize], before: &Envelope, next: &Envelope) -> ToSign {
    let words = |place: &usize| Zeroizing::new(made.shares[0][*place].expose().to_owned());
    ToSign {
        shares: places.iter().map(words).collect(),
        passphrase: Zeroizing::new(String::new()),
        before: before.clone(),
        next: next.clone(),
    }
}

#[test]
fn a_quorum_makes_the_one_signature_that_is_missing() {
    let made = made(b"");
    let before = before(&made);
    let next = after(&before);
    assert!(verify_next(&before, &next).is_err());
    let signed = sign(ask(&made, &[2, 0], before.envelope(), &next)).unwrap();
    assert!(verify_next(&before, &signed).is_ok());
}

#[test]
fn other_shares_and_other_papers_sign_nothing() {
    let (ours, other, locked) = (made(b""), made(b""), made(b"horse"));
    let before = before(&ours);
    let (paper, next) = (before.envelope(), after(&before));
    let refused = |asked: ToSign| sign(asked).unwrap_err();

    assert!(
        refused(ask(&other, &[0, 1], paper, &next))
            .error
            .contains("another identity")
    );
    assert_eq!(refused(ask(&ours, &[0], paper, &next)).code, Code::Refused);
    assert_eq!(
        refused(ask(&ours, &[0, 0], paper, &next)).code,
        Code::Refused
    );
    let mut mistyped = ask(
        &locked,
        &[0, 1],
        super::tests::before(&locked).envelope(),
        &next,
    );
    mistyped.next = after(&super::tests::before(&locked));
    mistyped.before = super::tests::before(&locked).envelope().clone();
    assert!(
        refused(mistyped)
            .hint
            .is_some_and(|h| h.contains("passphrase"))
    );

    // Nobody says in it that shares stand for it, or it follows something else.
    let mut silent: Roster = next.unverified().unwrap();
    silent.by = None;
    let silent = Envelope::new(&silent).unwrap();
    assert_eq!(
        refused(ask(&ours, &[0, 1], paper, &silent)).code,
        Code::Refused
    );
    let mut rival: Roster = next.unverified().unwrap();
    rival.previous = Some(crate::trust::Digest::of(b"a rival"));
    let rival = Envelope::new(&rival).unwrap();
    assert_eq!(
        refused(ask(&ours, &[0, 1], paper, &rival)).code,
        Code::Refused
    );

    // A roster whose signer somebody has put in.
    let mut twisted = Roster::clone(&before);
    if let Some(recovery) = &mut twisted.recovery {
        recovery.signer = people::host().public();
    }
    twisted.hosts[0].key = people::HostKey::new("another").public();
    for person in &mut twisted.people {
        person.accounts.clear();
    }
    let twisted = Envelope::new(&twisted).unwrap();
    let mut follows: Roster = next.unverified().unwrap();
    follows.previous = Some(twisted.digest());
    let follows = Envelope::new(&follows).unwrap();
    assert_eq!(
        refused(ask(&ours, &[0, 1], &twisted, &follows)).code,
        Code::Tampering
    );
}
