//! Taking up the next version of a roster: by a ceremony, at one moment, with the key and every share replaced.

mod support;

#[path = "roster/changes.rs"]
mod changes;
#[path = "roster/files.rs"]
mod files;
#[path = "roster/groups.rs"]
mod groups;
#[path = "roster/hosts.rs"]
mod hosts;
#[path = "roster/offers.rs"]
mod offers;
#[path = "roster/withdrawals.rs"]
mod withdrawals;

use support::{Bench, SoftCustodian};
use twotap::{
    protocol::job::{Entry, FromWorker, OfferMade, Vote},
    trust::{
        Envelope, Timestamp, Verified,
        roster::{Person, Role, Roster, verify_chain},
    },
};

/// The version that counts.
fn newest(bench: &Bench) -> Verified<Roster> {
    verify_chain(&bench.chain())
        .expect("a good chain")
        .pop()
        .expect("not empty")
}

/// The next version: what counts, changed, and signed by these.
fn next(bench: &Bench, change: impl FnOnce(&mut Roster), by: &[&SoftCustodian]) -> Envelope {
    let before = newest(bench);
    let mut roster = Roster::clone(&before);
    roster.version += 1;
    roster.previous = Some(before.digest());
    roster.created_at = Timestamp::now();
    change(&mut roster);
    let mut envelope = Envelope::new(&roster).expect("a sensible roster");
    for custodian in by {
        envelope.sign(*custodian);
    }
    envelope
}

/// Carol goes, newcomer comes.
fn carol_for_newcomer(newcomer: &SoftCustodian) -> impl FnOnce(&mut Roster) {
    let token = newcomer.token();
    move |roster| {
        roster.people.retain(|p| p.name != "carol");
        roster.tokens.retain(|t| t.person != "carol");
        roster.people.push(Person {
            name: "newcomer".to_owned(),
            roles: vec![Role::Custodian],
            accounts: Vec::new(),
            recipient: None,
            member_of: Vec::new(),
        });
        roster.accept_unattested.push(token.serial);
        roster.tokens.push(token);
    }
}

/// Hands a version in and has it approved by the first two custodians.
fn take_up(bench: &Bench, next: &Envelope) -> Result<Vec<Entry>, String> {
    let (mut worker, answer) = bench.hand_in(next);
    let made = match answer {
        Some(FromWorker::Offer(made)) => made,
        Some(FromWorker::Failed(problem)) => return Err(problem.error),
        other => panic!("no offer: {other:?}"),
    };
    for custodian in &bench.custodians[..2] {
        must_count(worker.vote(custodian.approve(&made)));
    }
    let (session, end) = worker.rest();
    assert!(session.is_none(), "a roster change opens no session");
    end
}

fn must_count(vote: Vote) {
    assert!(matches!(vote, Vote::Counted { .. }), "{vote:?}");
}

/// An offer under whatever roster counts now.
fn offer(bench: &Bench) -> (support::Worker, OfferMade) {
    bench.ask()
}
