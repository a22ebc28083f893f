//! One of security and one of platform: taken up by a ceremony, and kept in the next one by count, by signatures and by the shares.

use twotap::{
    ceremony::Standing,
    protocol::job::{FromWorker, Vote},
    trust::roster::Group,
};
use twotap_rig::world;

use crate::{
    must_count, newest, next, offer,
    support::{Bench, SoftCustodian},
    take_up,
};

fn groups() -> Vec<Group> {
    let group = |name: &str, members: [&str; 2]| Group {
        name: name.to_owned(),
        threshold: 1,
        members: members.map(str::to_owned).into(),
    };
    vec![
        group("security", ["alice", "bob"]),
        group("platform", ["carol", "deputy"]),
    ]
}

/// Four custodians, sealed; from version 2 on one of each group has to approve.
fn grouped() -> Bench {
    let people = [("alice", 1), ("bob", 2), ("carol", 3), ("deputy", 4)];
    let bench = Bench::of(
        people
            .map(|(n, serial)| SoftCustodian::new(n, serial))
            .into(),
        &["dana"],
    );
    bench.seal().expect("the first key can be sealed");
    {
        let [alice, bob, ..] = &bench.custodians[..] else {
            panic!("four custodians");
        };
        let version = next(&bench, |r| r.groups = groups(), &[alice, bob]);
        take_up(&bench, &version).expect("taken up");
    }
    assert_eq!(newest(&bench).groups, groups());
    bench
}

fn standing(vote: Vote) -> Standing {
    match vote {
        Vote::Counted { standing, .. } => standing,
        other => panic!("not counted: {other:?}"),
    }
}

#[test]
fn a_ceremony_needs_one_of_each_group() {
    let bench = grouped();
    let [alice, bob, carol, deputy] = &bench.custodians[..] else {
        panic!("four custodians");
    };
    // Two of security are two people, and nothing opens; one of platform is what was missing.
    let (mut worker, made) = offer(&bench);
    assert_eq!(
        standing(worker.vote(alice.approve(&made))),
        Standing::Waiting
    );
    assert_eq!(standing(worker.vote(bob.approve(&made))), Standing::Waiting);
    assert_eq!(
        standing(worker.vote(deputy.approve(&made))),
        Standing::Approved
    );
    let (session, end) = worker.rest();
    end.expect("a whole ceremony");
    assert!(session.is_some());
    assert_eq!(bench.world.list_keys(world::USER).expect("a list").len(), 1);

    // What two of security keep of the next generation combines to nothing, by any tool.
    let (mut worker, made) = offer(&bench);
    let kept = [alice, bob].map(|c| c.open_own_share(&made));
    assert!(twotap_shares::combine(&kept, b"").is_err());
    assert_eq!(
        kept[0].expose(),
        kept[1].expose(),
        "one share, held by both"
    );
    // A no of one group leaves the other member; of both it is final, though three could still say yes.
    for (by, expected) in [(carol, Standing::Waiting), (deputy, Standing::Denied)] {
        worker.send(&twotap::protocol::job::ToWorker::Denial {
            denial: by.deny(&made),
        });
        match worker.next() {
            Some(FromWorker::Vote(vote)) => assert_eq!(standing(vote), expected),
            other => panic!("no vote: {other:?}"),
        }
    }
}

#[test]
fn two_of_one_group_cannot_undo_the_rule() {
    let bench = grouped();
    let [alice, bob, carol, _] = &bench.custodians[..] else {
        panic!("four custodians");
    };
    let undo = next(&bench, |r| r.groups.clear(), &[alice, bob]);
    match bench.hand_in(&undo).1 {
        Some(FromWorker::Failed(problem)) => {
            assert!(problem.error.contains("one of platform"), "{problem}");
        }
        other => panic!("it was taken: {other:?}"),
    }
    // Signed by one of each it is handed in, and approved by one of each it counts.
    let undo = next(&bench, |r| r.groups.clear(), &[alice, carol]);
    let (mut worker, answer) = bench.hand_in(&undo);
    let Some(FromWorker::Offer(made)) = answer else {
        panic!("no offer: {answer:?}");
    };
    assert_eq!(
        standing(worker.vote(alice.approve(&made))),
        Standing::Waiting
    );
    assert_eq!(standing(worker.vote(bob.approve(&made))), Standing::Waiting);
    must_count(worker.vote(carol.approve(&made)));
    worker.rest().1.expect("taken up");
    assert!(newest(&bench).groups.is_empty());
    // From then on any two will do.
    let (mut worker, made) = offer(&bench);
    must_count(worker.vote(alice.approve(&made)));
    assert_eq!(
        standing(worker.vote(bob.approve(&made))),
        Standing::Approved
    );
    assert!(worker.rest().0.is_some());
}
