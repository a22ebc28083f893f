//! Separate duties at the worker, whatever the agent lets through.

use twotap::{
    protocol::job::{FromWorker, ToWorker, Vote},
    trust::roster::{Role, Roster},
};
use twotap_rig::World;

use crate::support::{Bench, ask, person};

/// Alice, bob and carol hold tokens, and alice may command as well; ivan does nothing else.
fn commanders(_: &World, roster: &mut Roster) {
    let alice = roster.people.iter_mut().find(|p| p.name == "alice");
    alice.expect("listed").roles.push(Role::Commander);
    let dana = roster.people.iter_mut().find(|p| p.name == "dana");
    dana.expect("listed").roles.push(Role::Commander);
    roster
        .people
        .push(person("ivan", Role::Commander, Vec::new()));
}

fn coinciding(world: &World, roster: &mut Roster) {
    commanders(world, roster);
    roster.may_coincide = vec![
        [Role::Commander, Role::Custodian],
        [Role::Operator, Role::Commander],
    ];
}

fn bench(shape: fn(&World, &mut Roster)) -> Bench {
    Bench::shaped(World::new().expect("an account"), shape)
}

/// What comes of dana's asking under this commander.
fn asking(bench: &Bench, commander: &str) -> Result<(), String> {
    let mut ask = ask();
    ask.commander = Some(commander.to_owned());
    match bench.try_ask("dana", ask) {
        (_, Some(FromWorker::Offer(_))) => Ok(()),
        (_, Some(FromWorker::Failed(problem))) => Err(problem.error),
        (_, other) => panic!("{other:?}"),
    }
}

#[test]
fn a_worker_offers_no_request_under_a_commander_who_cannot_be_one() {
    let bench = bench(commanders);
    for (named, why) in [
        ("bob", "bob is no commander of this vault"),
        ("stranger", "stranger is no commander of this vault"),
        (
            "dana",
            "dana is the operator of this request and cannot be its commander too",
        ),
    ] {
        assert_eq!(asking(&bench, named), Err(why.to_owned()));
    }
    assert_eq!(asking(&bench, "ivan"), Ok(()));
}

#[test]
fn a_worker_counts_no_vote_of_the_commander_and_opens_by_the_others() {
    let bench = bench(commanders);
    let mut ask = ask();
    ask.commander = Some("alice".to_owned());
    let (mut worker, offered) = bench.try_ask("dana", ask);
    let Some(FromWorker::Offer(made)) = offered else {
        panic!("no offer");
    };
    let [alice, bob, carol] = &bench.custodians[..] else {
        panic!("three custodians");
    };
    let refused = "alice is the commander of this request and cannot be a custodian of it too";
    for vote in [
        ToWorker::Approval(alice.approve(&made)),
        ToWorker::Denial {
            denial: alice.deny(&made),
        },
    ] {
        worker.send(&vote);
        match worker.next() {
            Some(FromWorker::Vote(Vote::Refused(problem))) => assert_eq!(problem.error, refused),
            other => panic!("{other:?}"),
        }
    }
    worker.send(&ToWorker::Approval(bob.approve(&made)));
    worker.next();
    // Alice is no third who might still approve: one no is the end of it.
    worker.send(&ToWorker::Denial {
        denial: carol.deny(&made),
    });
    match worker.next() {
        Some(FromWorker::Vote(Vote::Counted { standing, .. })) => {
            assert_eq!(standing, twotap::ceremony::Standing::Denied);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_the_roster_lets_coincide_the_worker_counts() {
    let bench = bench(coinciding);
    assert_eq!(asking(&bench, "dana"), Ok(()));
    let mut ask = ask();
    ask.commander = Some("alice".to_owned());
    let (mut worker, offered) = bench.try_ask("dana", ask);
    let Some(FromWorker::Offer(made)) = offered else {
        panic!("no offer");
    };
    worker.send(&ToWorker::Approval(bench.custodians[0].approve(&made)));
    match worker.next() {
        Some(FromWorker::Vote(Vote::Counted { person, .. })) => assert_eq!(person, "alice"),
        other => panic!("{other:?}"),
    }
}
