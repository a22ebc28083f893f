//! An approval taken back before the quorum: the share that came with it is gone, and the yes cannot be given again.

use twotap::protocol::job::{FromWorker, Standing, ToWorker, Vote};

use crate::{
    must_count, offer,
    support::{Bench, SoftCustodian, Worker},
};

fn withdraw(
    worker: &mut Worker,
    who: &SoftCustodian,
    made: &twotap::protocol::job::OfferMade,
) -> Vote {
    worker.send(&ToWorker::Withdrawal {
        withdrawal: who.withdraw(made),
    });
    match worker.next() {
        Some(FromWorker::Vote(vote)) => vote,
        other => panic!("no vote: {other:?}"),
    }
}

#[test]
fn an_approval_can_be_taken_back_once_and_not_given_again() {
    let bench = Bench::sealed();
    let [alice, bob, carol] = &bench.custodians[..] else {
        panic!("three custodians");
    };
    let (mut worker, made) = offer(&bench);
    // Nobody takes back what was not given.
    assert!(matches!(
        withdraw(&mut worker, alice, &made),
        Vote::Refused(_)
    ));
    let yes = alice.approve(&made);
    must_count(worker.vote(yes.clone()));
    match withdraw(&mut worker, alice, &made) {
        Vote::Withdrawn {
            person, standing, ..
        } => assert_eq!((person.as_str(), standing), ("alice", Standing::Waiting)),
        other => panic!("not taken back: {other:?}"),
    }
    // An agent that kept her approval and her sealed share hands them in again.
    assert!(matches!(worker.vote(yes), Vote::Refused(_)));
    match worker.vote(bob.approve(&made)) {
        Vote::Counted { standing, .. } => assert_eq!(standing, Standing::Waiting),
        other => panic!("bob's vote: {other:?}"),
    }
    must_count(worker.vote(carol.approve(&made)));
    let (session, end) = worker.rest();
    end.expect("opened by bob and carol");
    assert!(session.is_some());
}

#[test]
fn a_withdrawal_is_for_one_request_and_by_its_own_person() {
    let bench = Bench::sealed();
    let [alice, bob, _] = &bench.custodians[..] else {
        panic!("three custodians");
    };
    let (mut worker, made) = offer(&bench);
    let (_other, other_made) = offer(&bench);
    must_count(worker.vote(alice.approve(&made)));
    assert!(matches!(
        withdraw(&mut worker, bob, &made),
        Vote::Refused(_)
    ));
    assert!(matches!(
        withdraw(&mut worker, alice, &other_made),
        Vote::Refused(_)
    ));
    // Still there: the second one completes it.
    match worker.vote(bob.approve(&made)) {
        Vote::Counted { standing, .. } => assert_eq!(standing, Standing::Approved),
        other => panic!("bob's vote: {other:?}"),
    }
    worker.rest().1.expect("opened");
}

#[test]
fn with_too_few_left_the_request_is_over() {
    let bench = Bench::sealed();
    let [alice, bob, _] = &bench.custodians[..] else {
        panic!("three custodians");
    };
    let (mut worker, made) = offer(&bench);
    worker.send(&ToWorker::Denial {
        denial: bob.deny(&made),
    });
    assert!(matches!(
        worker.next(),
        Some(FromWorker::Vote(Vote::Counted { .. }))
    ));
    must_count(worker.vote(alice.approve(&made)));
    match withdraw(&mut worker, alice, &made) {
        Vote::Withdrawn { standing, .. } => assert_eq!(standing, Standing::Denied),
        other => panic!("not taken back: {other:?}"),
    }
    let (session, end) = worker.rest();
    assert!(session.is_none() && end.is_err());
}
