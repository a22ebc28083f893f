//! What a change comes to: who can approve afterwards, what old shares are worth, which moment counts.

use twotap::{
    protocol::{
        Code,
        job::{FromWorker, Vote},
    },
    trust::{Envelope, roster::Role},
    vault::open,
};
use twotap_rig::{Credentials, world};

use crate::{
    carol_for_newcomer, must_count, newest, next, offer,
    support::{Bench, SoftCustodian, names},
    take_up,
};

#[test]
fn a_removed_custodians_old_share_opens_nothing_alive() {
    let bench = Bench::sealed();
    let newcomer = SoftCustodian::new("newcomer", 5);
    let [alice, bob, carol] = &bench.custodians[..] else {
        panic!("three custodians");
    };
    // Carol keeps everything that she ever had: her share, and a copy of the sealed vault.
    let (worker, before) = offer(&bench);
    let shares = [carol, alice].map(|c| c.open_own_share(&before));
    let current = bench.path("state/vaults/prod/current");
    let old_vault = std::fs::read(current.join("vault.age")).expect("there");
    assert!(worker.hang_up().success());
    let old_roster = newest(&bench);

    let version = next(
        &bench,
        carol_for_newcomer(&newcomer),
        &[alice, bob, &newcomer],
    );
    let entries = take_up(&bench, &version).expect("taken up");
    assert_eq!(names(&entries).last().map(String::as_str), Some("rotated"));
    let roster = newest(&bench);
    assert_eq!((roster.version, roster.digest()), (2, version.digest()));

    // What she kept still opens the old file, and the key in it is dead.
    let manifest = twotap::trust::manifest::Manifest::verify(&before.manifest, &old_roster)
        .expect("it was good");
    let key = open(&old_vault, &manifest, &shares).expect("it opens, with one accomplice");
    let mut json = serde_json::from_slice::<serde_json::Value>(&key.to_json()).expect("JSON");
    let key = &mut json["AccessKey"];
    let dead = Credentials {
        access_key_id: key["AccessKeyId"].as_str().expect("text").to_owned(),
        secret_access_key: key["SecretAccessKey"].as_str().expect("text").to_owned(),
        session_token: None,
    };
    assert!(!bench.world.key_works(&dead).expect("an answer"));
    assert_eq!(bench.world.list_keys(world::USER).expect("a list").len(), 1);

    // Her approval counts no more, and she has no share; newcomer's does.
    let (mut worker, made) = offer(&bench);
    assert!(made.shares.iter().all(|s| s.custodian != "carol"));
    let mut by_carol = newcomer.approve(&made);
    by_carol.approval = carol.yes(&made);
    match worker.vote(by_carol) {
        Vote::Refused(problem) => assert_eq!(problem.code, Code::Tampering),
        other => panic!("carol's vote: {other:?}"),
    }
    must_count(worker.vote(newcomer.approve(&made)));
    must_count(worker.vote(bob.approve(&made)));
    let (session, end) = worker.rest();
    end.expect("opened");
    assert!(session.is_some());
}

#[test]
fn nothing_counts_before_the_quorum_and_nobody_may_approve_the_own_change() {
    let bench = Bench::sealed();
    let newcomer = SoftCustodian::new("newcomer", 5);
    let [alice, bob, _] = &bench.custodians[..] else {
        panic!("three custodians");
    };
    let version = next(
        &bench,
        carol_for_newcomer(&newcomer),
        &[alice, bob, &newcomer],
    );
    let (mut worker, answer) = bench.hand_in(&version);
    let Some(FromWorker::Offer(made)) = answer else {
        panic!("no offer: {answer:?}");
    };
    assert_eq!(made.next_roster.as_ref(), Some(&version));
    must_count(worker.vote(alice.approve(&made)));
    // The new custodian is none yet.
    let mut by_newcomer = bob.approve(&made);
    by_newcomer.approval = newcomer.yes(&made);
    assert!(matches!(worker.vote(by_newcomer), Vote::Refused(_)));
    assert!(worker.hang_up().success());
    assert_eq!(newest(&bench).version, 1);
    // The old quorum opens, and a removed one was never removed.
    let (mut worker, made) = offer(&bench);
    must_count(worker.vote(bench.custodians[2].approve(&made)));
    must_count(worker.vote(alice.approve(&made)));
    assert!(worker.rest().0.is_some());
}

#[test]
fn what_is_approved_is_one_version_and_no_other() {
    let bench = Bench::sealed();
    let newcomer = SoftCustodian::new("newcomer", 5);
    let [alice, bob, carol] = &bench.custodians[..] else {
        panic!("three custodians");
    };
    // Approvals of one request are worth nothing for the other, though both are for version 2 of the same roster.
    let good = next(
        &bench,
        carol_for_newcomer(&newcomer),
        &[alice, bob, &newcomer],
    );
    let other = next(&bench, |r| r.threshold = 3, &[alice, carol]);
    let (_first, answer) = bench.hand_in(&good);
    let Some(FromWorker::Offer(for_good)) = answer else {
        panic!("no offer");
    };
    let (mut second, answer) = bench.hand_in(&other);
    assert!(matches!(answer, Some(FromWorker::Offer(_))));
    match second.vote(alice.approve(&for_good)) {
        Vote::Refused(problem) => assert_eq!(problem.code, Code::Tampering),
        other => panic!("it counted: {other:?}"),
    }
}

#[test]
fn a_version_that_does_not_follow_is_tampering_and_changes_nothing() {
    let bench = Bench::sealed();
    let newcomer = SoftCustodian::new("newcomer", 5);
    let [alice, bob, carol] = &bench.custodians[..] else {
        panic!("three custodians");
    };
    let refused = |version: &Envelope| match bench.hand_in(version).1 {
        Some(FromWorker::Failed(problem)) => problem.code,
        other => panic!("it was taken: {other:?}"),
    };
    let first = bench.chain().remove(0);
    let change = |roster: &mut twotap::trust::roster::Roster| roster.threshold = 3;
    let skipped = next(
        &bench,
        |r| {
            r.version = 3;
            change(r);
        },
        &[alice, bob],
    );
    let forked = next(
        &bench,
        |r| {
            r.previous = Some(twotap::trust::Digest::of(b"another version 1"));
            change(r);
        },
        &[alice, bob],
    );
    let by_one = next(&bench, change, &[alice]);
    let unsigned_newcomer = next(&bench, carol_for_newcomer(&newcomer), &[alice, bob]);
    let mut changed = next(&bench, change, &[alice, bob]);
    let at = changed.payload.len() / 2;
    changed.payload[at] ^= 1;
    for (what, version) in [
        ("the same once more", &first),
        ("skipped", &skipped),
        ("forked", &forked),
        ("by one", &by_one),
        ("without the newcomer", &unsigned_newcomer),
    ] {
        assert_eq!(refused(version), Code::Tampering, "{what}");
    }
    assert!(matches!(refused(&changed), Code::Tampering | Code::Usage));

    // Taken up once, it is not taken up again, nor is its rival.
    let second = next(
        &bench,
        carol_for_newcomer(&newcomer),
        &[alice, carol, &newcomer],
    );
    let rival = next(&bench, change, &[alice, bob]);
    take_up(&bench, &second).expect("taken up");
    for version in [&second, &rival] {
        assert_eq!(refused(version), Code::Tampering);
    }
    assert_eq!(newest(&bench).digest(), second.digest());
}

#[test]
fn a_change_that_this_host_cannot_carry_out_is_refused_before_anybody_taps() {
    let bench = Bench::sealed();
    let [alice, bob, _] = &bench.custodians[..] else {
        panic!("three custodians");
    };
    let elsewhere = next(
        &bench,
        |r| r.aws.user_arn = r.aws.user_arn.replace("break-glass", "other"),
        &[alice, bob],
    );
    let struck_out = next(
        &bench,
        |r| {
            let key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]).verifying_key();
            r.hosts[0].key = twotap::trust::PublicKey::Ed25519(key);
            for person in &mut r.people {
                person.accounts.clear();
            }
        },
        &[alice, bob],
    );
    for version in [elsewhere, struck_out] {
        match bench.hand_in(&version).1 {
            Some(FromWorker::Failed(problem)) => assert_eq!(problem.code, Code::Refused),
            other => panic!("it was taken: {other:?}"),
        }
    }
}

#[test]
fn before_anything_is_sealed_a_version_counts_at_once() {
    let bench = Bench::new();
    let newcomer = SoftCustodian::new("newcomer", 5);
    let [alice, bob, _] = &bench.custodians[..] else {
        panic!("three custodians");
    };
    let version = next(
        &bench,
        carol_for_newcomer(&newcomer),
        &[alice, bob, &newcomer],
    );
    match bench.hand_in(&version).1 {
        Some(FromWorker::Vault(facts)) => assert_eq!(facts.roster_chain.len(), 2),
        other => panic!("not taken up: {other:?}"),
    }
    bench.seal().expect("sealed under version 2");
    let (_worker, made) = offer(&bench);
    let holders: Vec<&str> = made.shares.iter().map(|s| s.custodian.as_str()).collect();
    assert_eq!(holders, ["alice", "bob", "newcomer"]);
}

#[test]
fn a_ceremony_that_cannot_reach_iam_leaves_the_old_roster_and_the_next_one_pays() {
    let bench = Bench::sealed();
    let newcomer = SoftCustodian::new("newcomer", 5);
    let [alice, bob, carol] = &bench.custodians[..] else {
        panic!("three custodians");
    };
    let version = next(
        &bench,
        carol_for_newcomer(&newcomer),
        &[alice, bob, &newcomer],
    );
    let down = twotap_rig::Rule::new(
        "iam:CreateAccessKey",
        twotap_rig::When::Always,
        twotap_rig::Fault::Refuse(403, "AccessDenied".to_owned(), "not now".to_owned()),
    );
    bench.world.proxy().add(down);
    take_up(&bench, &version).expect_err("no key could be made");
    let roster = newest(&bench);
    assert_eq!(roster.version, 1, "nothing is half-changed");
    // The proposal that never counted stands beside, and another one takes its place.
    bench.world.proxy().clear_rules();
    let other = next(
        &bench,
        |r| {
            for person in &mut r.people {
                if person.name == "dana" {
                    person.roles.push(Role::Officer);
                }
            }
        },
        &[bob, carol],
    );
    take_up(&bench, &other).expect("taken up");
    assert_eq!(newest(&bench).digest(), other.digest());
}

#[test]
fn a_session_outlives_the_roster_that_it_was_opened_under() {
    let bench = Bench::sealed();
    let newcomer = SoftCustodian::new("newcomer", 5);
    let [alice, bob, _] = &bench.custodians[..] else {
        panic!("three custodians");
    };
    let (mut worker, made) = offer(&bench);
    must_count(worker.vote(alice.approve(&made)));
    must_count(worker.vote(bob.approve(&made)));
    let (session, end) = worker.rest();
    end.expect("opened");
    let version = next(
        &bench,
        carol_for_newcomer(&newcomer),
        &[alice, bob, &newcomer],
    );
    take_up(&bench, &version).expect("taken up");
    let mut worker = bench.worker();
    worker.send(&twotap::protocol::job::Job::Close {
        vault: "prod".to_owned(),
        request: session.expect("a session").request,
    });
    let closed = worker.rest().1.expect("closed");
    assert_eq!(names(&closed).last().map(String::as_str), Some("revoked"));
}

#[test]
fn a_token_that_nothing_vouches_for_does_not_come_in_by_a_change() {
    let bench = Bench::sealed();
    let newcomer = SoftCustodian::new("newcomer", 5);
    let [alice, bob, _] = &bench.custodians[..] else {
        panic!("three custodians");
    };
    let version = next(
        &bench,
        |roster| {
            carol_for_newcomer(&newcomer)(roster);
            roster.accept_unattested.retain(|serial| *serial != 5);
        },
        &[alice, bob, &newcomer],
    );
    match bench.hand_in(&version).1 {
        Some(FromWorker::Failed(problem)) => {
            assert!(problem.error.contains("newcomer"), "{problem}");
        }
        other => panic!("it was taken: {other:?}"),
    }
}
