//! What custodians send while a request waits, and what an officer sends to be sealed.

use twotap::{
    protocol::{
        Code,
        job::{self, Ask, FromWorker, Job, OfferMade, ToWorker, Vote},
    },
    trust::{
        Bytes, Envelope, Head,
        request::{CLOSE_ONLY, SealOffer},
    },
    vault::seal_to,
};

use crate::{
    Hands, documents, must_be_none_of_ours,
    support::{self, Bench, Worker},
    writes_nothing,
};

/// The ways in for a custodian's word.
const WAYS: [&str; 3] = ["an approval", "a denial", "a withdrawal"];

fn send(worker: &mut Worker, way: &str, envelope: Envelope, sealed_share: &Bytes) -> Vote {
    worker.send(&match way {
        "an approval" => ToWorker::Approval(job::Approval {
            approval: envelope,
            sealed_share: sealed_share.clone(),
        }),
        "a denial" => ToWorker::Denial { denial: envelope },
        _ => ToWorker::Withdrawal {
            withdrawal: envelope,
        },
    });
    match worker.next() {
        Some(FromWorker::Vote(vote)) => vote,
        other => panic!("{way}: no answer: {other:?}"),
    }
}

/// Hands in, as each kind of vote, everything that is none of it.
fn nothing_else_counts(bench: &Bench, worker: &mut Worker, made: &OfferMade, others: &[Envelope]) {
    let hands = Hands::of(bench);
    let alice = &bench.custodians[0];
    let share = alice.approve(made).sealed_share;
    let good = [alice.yes(made), alice.deny(made), alice.withdraw(made)];
    for (way, good) in WAYS.iter().zip(&good) {
        for (what, envelope) in hands.instead_of(good, others) {
            let vote = writes_nothing(bench, &what, || send(worker, way, envelope, &share));
            match vote {
                Vote::Refused(problem) => {
                    must_be_none_of_ours(&problem, &format!("{what} for {way}"));
                }
                other => panic!("{what} for {way}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_vote_is_taken_for_what_it_is_and_for_nothing_else() {
    let bench = Bench::sealed();
    let others = documents(&bench);
    let (mut worker, made) = bench.ask();
    nothing_else_counts(&bench, &mut worker, &made, &others);
    // The same worker has counted nothing of it, and takes two good ones.
    for custodian in &bench.custodians[..2] {
        let vote = worker.vote(custodian.approve(&made));
        assert!(matches!(vote, Vote::Counted { .. }), "{vote:?}");
    }
    let (session, end) = worker.rest();
    end.expect("a whole ceremony");
    assert!(session.is_some());
}

#[test]
fn what_approves_a_session_closes_nothing_and_the_other_way_round() {
    let bench = Bench::sealed();
    let others = documents(&bench);
    let close_only = Ask {
        access: CLOSE_ONLY.to_owned(),
        close_only: Some(Vec::new()),
        ..support::ask()
    };
    let (mut closing, answer) = bench.try_ask("dana", close_only);
    let Some(FromWorker::Offer(to_close)) = answer else {
        panic!("no offer: {answer:?}");
    };
    let (mut opening, to_open) = bench.ask();
    let [alice, bob, _] = &bench.custodians[..] else {
        panic!("three custodians");
    };
    let mut all = others.clone();
    all.extend([alice.yes(&to_open), to_open.offer.clone()]);
    nothing_else_counts(&bench, &mut closing, &to_close, &all);
    for (worker, vote) in [
        (&mut closing, bob.approve(&to_open)),
        (&mut opening, bob.approve(&to_close)),
    ] {
        match worker.vote(vote) {
            Vote::Refused(problem) => assert_eq!(problem.code, Code::Tampering),
            other => panic!("it counted: {other:?}"),
        }
    }
    for custodian in [alice, bob] {
        let vote = closing.vote(custodian.approve(&to_close));
        assert!(matches!(vote, Vote::Counted { .. }), "{vote:?}");
    }
    let (session, end) = closing.rest();
    assert!(session.is_none());
    end.expect("the key is replaced");
}

#[test]
fn what_is_sealed_is_a_key_and_no_document() {
    let bench = Bench::sealed();
    for document in &documents(&bench) {
        for plain in [document.to_json().into_bytes(), document.payload.clone()] {
            let what = &document.payload_type;
            let problem = writes_nothing(&bench, what, || {
                let mut worker = bench.worker();
                worker.send(&Job::Seal {
                    vault: "prod".to_owned(),
                    audit: Head::EMPTY,
                    nonce: support::nonce(),
                });
                let Some(FromWorker::SealOffer { offer }) = worker.next() else {
                    panic!("no offer to seal");
                };
                let key = offer.unverified::<SealOffer>().expect("one").worker_key;
                let sealed = seal_to(&key, &plain).expect("a recipient");
                worker.send(&ToWorker::Credential {
                    sealed: Bytes(sealed),
                });
                worker.finish().1.expect_err("nothing is sealed")
            });
            assert_eq!(problem.code, Code::Usage, "{what}: {problem}");
        }
    }
}
