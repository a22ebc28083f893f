use super::people::{self, HostKey, SoftToken, newest, next, roster, signed};
use crate::trust::{
    Envelope, Signer as _, TrustError,
    roster::{By, LastSealed, Role, Roster, signatures, verify_chain},
};

/// What is wrong, and how it is made so.
type Change<T> = (&'static str, fn(&mut T));

fn trio() -> [SoftToken; 3] {
    ["alice", "bob", "carol"].map(SoftToken::new)
}

fn unsigned_by(result: Result<Vec<crate::trust::Verified<Roster>>, TrustError>) -> String {
    match result {
        Err(TrustError::Unsigned { by, .. }) => by,
        other => panic!("expected a missing signature, not {:?}", other.err()),
    }
}

#[test]
fn the_first_version_is_signed_by_every_token() {
    let [alice, bob, carol] = trio();
    let bobs_second = SoftToken::new("bob/2");
    let all = [&alice, &bob, &bobs_second, &carol];
    let first = roster(2, &all);
    assert!(verify_chain(&[signed(&first, &all)]).is_ok());
    for (missing, token) in all.iter().enumerate() {
        let others: Vec<&SoftToken> = all
            .iter()
            .enumerate()
            .filter(|(i, _)| *i != missing)
            .map(|(_, t)| *t)
            .collect();
        let by = unsigned_by(verify_chain(&[signed(&first, &others)]));
        assert_eq!(by, format!("{} (token {})", token.person, token.serial));
    }
}

#[test]
fn a_change_needs_a_threshold_of_people() {
    let [alice, bob, carol] = trio();
    let bobs_second = SoftToken::new("bob/2");
    let all = [&alice, &bob, &bobs_second, &carol];
    let first = signed(&roster(2, &all), &all);
    let second = next(&newest(std::slice::from_ref(&first)));

    for enough in [[&alice, &bob], [&bobs_second, &carol]] {
        assert!(verify_chain(&[first.clone(), signed(&second, &enough)]).is_ok());
    }
    // Two tokens of one person are one person.
    let by = unsigned_by(verify_chain(&[
        first.clone(),
        signed(&second, &[&bob, &bobs_second]),
    ]));
    assert_eq!(by, "2 custodians of version 1");
    unsigned_by(verify_chain(&[first, signed(&second, &[&carol])]));
}

#[test]
fn a_new_token_signs_for_itself() {
    let [alice, bob, carol] = trio();
    let old = [&alice, &bob];
    let first = signed(&roster(2, &old), &old);
    let before = newest(std::slice::from_ref(&first));
    let mut second = roster(2, &[&alice, &bob, &carol]);
    second.version = 2;
    second.previous = Some(before.digest());

    let by = unsigned_by(verify_chain(&[first.clone(), signed(&second, &old)]));
    assert_eq!(by, format!("carol (token {})", carol.serial));
    // The newcomer does not count towards the old threshold.
    unsigned_by(verify_chain(&[
        first.clone(),
        signed(&second, &[&alice, &carol]),
    ]));
    assert!(verify_chain(&[first, signed(&second, &[&alice, &bob, &carol])]).is_ok());
}

#[test]
fn a_token_with_another_unseal_key_or_owner_signs_again() {
    let [alice, bob, carol] = trio();
    let all = [&alice, &bob, &carol];
    let first = signed(&roster(2, &all), &all);
    let before = newest(std::slice::from_ref(&first));

    let mut rekeyed = next(&before);
    rekeyed.tokens[2].unseal.key = SoftToken::new("stranger").unseal.public_key().into();
    let by = unsigned_by(verify_chain(&[
        first.clone(),
        signed(&rekeyed, &[&alice, &bob]),
    ]));
    assert_eq!(by, format!("carol (token {})", carol.serial));
    assert!(verify_chain(&[first.clone(), signed(&rekeyed, &[&alice, &carol])]).is_ok());

    let mut moved = next(&before);
    moved.tokens[2].person = "alice".into();
    moved.people[2].roles = vec![Role::Operator];
    unsigned_by(verify_chain(&[first, signed(&moved, &[&alice, &bob])]));
}

#[test]
fn a_removed_custodian_no_longer_counts() {
    let [alice, bob, carol] = trio();
    let all = [&alice, &bob, &carol];
    let first = signed(&roster(2, &all), &all);
    let mut without = roster(2, &[&alice, &bob]);
    without.version = 2;
    without.previous = Some(newest(std::slice::from_ref(&first)).digest());
    // Carol may have voted for it.
    let second = signed(&without, &[&bob, &carol]);
    let third = next(&newest(&[first.clone(), second.clone()]));
    unsigned_by(verify_chain(&[
        first.clone(),
        second.clone(),
        signed(&third, &[&bob, &carol]),
    ]));
    assert!(verify_chain(&[first, second, signed(&third, &[&alice, &bob])]).is_ok());
}

#[test]
fn versions_are_neither_skipped_nor_forked_nor_turned_back() {
    let [alice, bob, carol] = trio();
    let all = [&alice, &bob, &carol];
    let first = signed(&roster(2, &all), &all);
    let v1 = newest(std::slice::from_ref(&first));
    let second = signed(&next(&v1), &all);
    let third = signed(&next(&newest(&[first.clone(), second.clone()])), &all);
    let chain = [first.clone(), second.clone(), third.clone()];
    assert_eq!(newest(&chain).version, 3);

    let refused = |chain: &[Envelope]| match verify_chain(chain) {
        Err(TrustError::Mismatch { why, .. }) => why,
        other => panic!("expected a mismatch, not {:?}", other.err()),
    };
    assert_eq!(
        refused(&[first.clone(), third.clone()]),
        "a version was skipped or repeated"
    );
    assert_eq!(
        refused(&[second.clone(), third.clone()]),
        "the chain does not begin with version 1"
    );
    assert_eq!(
        refused(&[first.clone(), second.clone(), second.clone()]),
        "a version was skipped or repeated"
    );

    // Another version 2, signed by the same people: version 3 follows the first one alone.
    let mut other = next(&v1);
    other.threshold = 3;
    let fork = signed(&other, &all);
    assert!(verify_chain(&[first.clone(), fork.clone()]).is_ok());
    assert_eq!(
        refused(&[first.clone(), fork, third]),
        "it does not follow the version before it"
    );

    let mut elsewhere = next(&v1);
    elsewhere.vault = "staging".into();
    assert_eq!(
        refused(&[first, signed(&elsewhere, &all)]),
        "it is for another vault"
    );
    assert!(verify_chain(&[]).is_err());
}

#[test]
fn it_says_who_has_signed_and_who_must() {
    let [alice, bob, carol] = trio();
    let all = [&alice, &bob, &carol];
    let (done, open) = signatures(&signed(&roster(2, &all), &[&bob])).expect("good");
    let names = |tokens: Vec<crate::trust::roster::Token>| -> Vec<String> {
        tokens.into_iter().map(|t| t.person).collect()
    };
    assert_eq!(names(done), ["bob"]);
    assert_eq!(names(open), ["alice", "carol"]);
}

#[test]
fn a_roster_that_makes_no_sense_is_refused() {
    let [alice, bob, carol] = trio();
    let all = [&alice, &bob, &carol];
    let good = roster(2, &all);
    assert!(Envelope::new(&good).is_ok());
    let changes: [Change<Roster>; 21] = [
        ("threshold 1", |r| r.threshold = 1),
        ("threshold above the custodians", |r| r.threshold = 4),
        ("previous in version 1", |r| {
            r.previous = Some(crate::trust::Digest::of(b""))
        }),
        ("format", |r| r.v = 2),
        ("a person twice", |r| r.people.push(r.people[0].clone())),
        ("root as a person", |r| r.people[3].accounts[0].uid = 0),
        ("nobody as a person", |r| {
            r.people[3].accounts[0].uid = 65534
        }),
        ("an account of two", |r| {
            r.people[4].accounts = r.people[3].accounts.clone()
        }),
        ("an account on an unknown host", |r| {
            r.people[3].accounts[0].host = crate::trust::Digest::of(b"");
        }),
        ("a token of nobody", |r| {
            r.tokens[0].person = "stranger".into()
        }),
        ("a token of an operator", |r| {
            r.tokens[0].person = "dana".into()
        }),
        ("one key for two tokens", |r| {
            r.tokens[0].approve.key = r.tokens[1].approve.key.clone()
        }),
        ("one key for two uses", |r| {
            r.tokens[0].unseal.key = r.tokens[0].approve.key.clone()
        }),
        ("a custodian without a token", |r| drop(r.tokens.pop())),
        ("a session above eleven hours", |r| {
            r.access[0].max_seconds = 11 * 3600 + 1
        }),
        ("a recovery recipient that is none", |r| {
            let (mut recovery, _) = people::recovery("paper");
            recovery.recipient = "age1nothing".into();
            r.recovery = Some(recovery);
        }),
        ("the demo set's recipient, in capitals as well", |r| {
            let (mut recovery, _) = people::recovery("paper");
            recovery.recipient = twotap_shares::sheet::DEMO_RECIPIENT.to_uppercase();
            r.recovery = Some(recovery);
        }),
        ("a recovery signer that is a host", |r| {
            let (mut recovery, _) = people::recovery("paper");
            recovery.signer = r.hosts[0].checkpoint_key.clone();
            r.recovery = Some(recovery);
        }),
        ("a recovery signer that is a token", |r| {
            let (mut recovery, _) = people::recovery("paper");
            recovery.signer = r.tokens[0].approve.key.clone();
            r.recovery = Some(recovery);
        }),
        ("a first version that paper stands for", |r| {
            r.by = Some(By::Recovery { after: None })
        }),
        ("a count that runs over", |r| {
            r.version = 2;
            r.previous = Some(crate::trust::Digest::of(b"before"));
            r.by = Some(By::Recovery {
                after: Some(LastSealed {
                    generation: u64::MAX,
                    manifest_sha256: crate::trust::Digest::of(b""),
                }),
            });
        }),
    ];
    for (what, change) in changes {
        let mut bad = good.clone();
        change(&mut bad);
        assert!(Envelope::new(&bad).is_err(), "{what}");
    }
    let mut host = good;
    host.hosts[0].key = HostKey::new("vault-1 checkpoint").public();
    assert!(
        Envelope::new(&host).is_err(),
        "one key for two uses of a host"
    );
}

#[test]
fn people_are_found_by_account() {
    let [alice, bob, _] = trio();
    let roster = people::verified(2, &[&alice, &bob]);
    let host = people::host().public().id();
    assert_eq!(
        roster.person_at(host, 1004).map(|p| p.name.as_str()),
        Some("dana")
    );
    assert!(roster.person_at(host, 0).is_none());
    assert!(
        roster
            .person_at(crate::trust::Digest::of(b""), 1004)
            .is_none()
    );
}
