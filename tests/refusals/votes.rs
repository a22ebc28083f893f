//! Approvals that do not count, one by one, at a worker that waits for them.

use proptest::{prelude::*, test_runner::TestRunner};
use twotap::{
    ceremony::{Refusal, Requested},
    protocol::{
        Code,
        job::{self, FromWorker, OfferMade, Standing, ToWorker, Vote},
    },
    trust::{
        Bytes, Document, Envelope, Signer as _,
        request::{Approval, Denial, Offer, ShareBinding},
        roster::{Roster, verify_chain},
    },
    vault::seal_share,
};
use twotap_shares::Mnemonic;

use crate::support::{Bench, SoftCustodian, Worker, ask};

/// Hands in a yes that must not count; gives the code and the message.
fn refused(worker: &mut Worker, approval: job::Approval) -> (Code, String) {
    match worker.vote(approval) {
        Vote::Refused(problem) => (problem.code, problem.error),
        other => panic!("counted: {other:?}"),
    }
}

fn counted(worker: &mut Worker, approval: job::Approval) -> (String, Standing) {
    match worker.vote(approval) {
        Vote::Counted {
            person, standing, ..
        } => (person, standing),
        other => panic!("not counted: {other:?}"),
    }
}

/// A share on its way to the worker of `made`, bound to whatever the caller says.
fn sealed_to(made: &OfferMade, binding: &ShareBinding, share: &Mnemonic) -> Bytes {
    let worker_key = made.offer.unverified::<Offer>().expect("ours").0.worker_key;
    Bytes(seal_share(&worker_key, binding, share).expect("a recipient"))
}

fn binding(made: &OfferMade) -> ShareBinding {
    ShareBinding {
        request_sha256: made.offer.digest(),
        manifest_sha256: made.manifest.digest(),
    }
}

fn nobody_asked_aws(bench: &Bench) {
    assert!(bench.world.proxy().calls_of("sts:AssumeRole").is_empty());
}

#[test]
fn one_approval_only_opens_nothing() {
    let bench = Bench::sealed();
    bench.world.proxy().clear_calls();
    let (mut worker, made) = bench.ask();
    let vote = counted(&mut worker, bench.custodians[1].approve(&made));
    assert_eq!(vote, ("bob".to_owned(), Standing::Waiting));
    // An agent that goes away now leaves a worker that gives up, with nothing opened and nothing rotated.
    let end = worker.hang_up();
    assert!(end.success());
    nobody_asked_aws(&bench);
    assert!(
        bench
            .world
            .proxy()
            .calls_of("iam:CreateAccessKey")
            .is_empty()
    );
}

#[test]
fn the_same_person_twice_is_one_person_with_the_same_token_and_with_a_second_one() {
    let people = [("alice", 1), ("alice", 2), ("bob", 3)];
    let bench = Bench::of(
        people
            .map(|(name, serial)| SoftCustodian::new(name, serial))
            .into(),
        &["dana"],
    );
    bench.seal().expect("sealed");
    bench.world.proxy().clear_calls();
    let (mut worker, made) = bench.ask();
    let [first, second, bob] = [0, 1, 2].map(|i| bench.custodians[i].approve(&made));
    assert_eq!(counted(&mut worker, first.clone()).1, Standing::Waiting);
    for again in [first, second] {
        let (code, why) = refused(&mut worker, again);
        assert_eq!(code, Code::Refused);
        assert_eq!(why, "alice has voted on this request already");
    }
    // Nor may the same person say no with the other token afterwards.
    worker.send(&ToWorker::Denial {
        denial: bench.custodians[1].deny(&made),
    });
    match worker.next() {
        Some(FromWorker::Vote(Vote::Refused(why))) => {
            assert!(why.error.contains("alice has voted"))
        }
        other => panic!("{other:?}"),
    }
    nobody_asked_aws(&bench);
    assert_eq!(counted(&mut worker, bob).1, Standing::Approved);
}

#[test]
fn the_operator_does_not_approve_as_custodian_with_either_token() {
    let people = [("alice", 1), ("alice", 2), ("bob", 3), ("carol", 4)];
    let bench = Bench::of(
        people
            .map(|(name, serial)| SoftCustodian::new(name, serial))
            .into(),
        &["alice"],
    );
    bench.seal().expect("sealed");
    bench.world.proxy().clear_calls();
    let (mut worker, made) = match bench.try_ask("alice", ask()) {
        (worker, Some(FromWorker::Offer(made))) => (worker, made),
        (_, other) => panic!("{other:?}"),
    };
    for own in [0, 1] {
        let (code, why) = refused(&mut worker, bench.custodians[own].approve(&made));
        assert_eq!(code, Code::Refused);
        assert!(why.contains("operator of this request"), "{why}");
    }
    assert_eq!(
        counted(&mut worker, bench.custodians[2].approve(&made)).1,
        Standing::Waiting
    );
    nobody_asked_aws(&bench);
    assert_eq!(
        counted(&mut worker, bench.custodians[3].approve(&made)).1,
        Standing::Approved
    );
}

#[test]
fn an_operator_whose_own_vote_would_be_needed_is_told_before_anybody_taps() {
    let people = [("alice", 1), ("bob", 2)];
    let bench = Bench::of(
        people
            .map(|(name, serial)| SoftCustodian::new(name, serial))
            .into(),
        &["alice"],
    );
    bench.seal().expect("sealed");
    match bench.try_ask("alice", ask()).1 {
        Some(FromWorker::Failed(problem)) => {
            assert_eq!(problem.code, Code::Refused);
            assert!(
                problem.error.contains("2 custodians besides you"),
                "{problem}"
            );
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_approval_or_a_share_for_another_request_is_worthless() {
    let bench = Bench::sealed();
    bench.world.proxy().clear_calls();
    let (_other, theirs) = bench.ask();
    let (mut worker, made) = bench.ask();
    let alice = &bench.custodians[0];
    let good = alice.approve(&made);
    let elsewhere = alice.approve(&theirs);
    let share = alice.open_own_share(&made);

    // The whole answer to another request; then that signature with a share for this one.
    for wrong in [
        elsewhere.clone(),
        job::Approval {
            approval: elsewhere.approval.clone(),
            ..good.clone()
        },
    ] {
        let (code, why) = refused(&mut worker, wrong);
        assert_eq!(code, Code::Tampering);
        assert_eq!(
            why,
            "the approval does not match: it is for another request"
        );
    }
    // This signature with a share that was sealed to the other worker, or to this one but for another request or manifest.
    let mut stale = binding(&made);
    stale.manifest_sha256 = theirs.offer.digest();
    for (sealed, code) in [
        (elsewhere.sealed_share.clone(), Code::Usage),
        (sealed_to(&made, &binding(&theirs), &share), Code::Tampering),
        (sealed_to(&made, &stale, &share), Code::Tampering),
        (Bytes(b"no age file".to_vec()), Code::Usage),
    ] {
        let wrong = job::Approval {
            sealed_share: sealed,
            ..good.clone()
        };
        assert_eq!(refused(&mut worker, wrong).0, code);
    }
    // Somebody else's share under one's own signature.
    let bobs = bench.custodians[1].open_own_share(&made);
    let wrong = job::Approval {
        sealed_share: sealed_to(&made, &binding(&made), &bobs),
        ..good.clone()
    };
    let (code, why) = refused(&mut worker, wrong);
    assert_eq!(code, Code::Tampering);
    assert!(
        why.starts_with("the share of alice is not the one"),
        "{why}"
    );
    nobody_asked_aws(&bench);
    // None of these cost alice her vote.
    assert_eq!(counted(&mut worker, good).0, "alice");
}

#[test]
fn an_approval_under_another_payload_type_or_by_another_key_is_worthless() {
    let bench = Bench::sealed();
    let (mut worker, made) = bench.ask();
    let alice = &bench.custodians[0];
    let good = alice.approve(&made);
    let with = |approval: Envelope| job::Approval {
        approval,
        ..good.clone()
    };
    let mut as_offer = made.offer.repurposed::<Offer>();
    as_offer.sign(alice);
    let mut as_roster = made.offer.repurposed::<Roster>();
    as_roster.sign(alice);
    // A signature that was made for one purpose, carried over to another.
    let mut carried = as_offer.clone();
    Approval::PAYLOAD_TYPE.clone_into(&mut carried.payload_type);
    let mut newer = good.approval.clone();
    "application/vnd.twotap.approve.v2+json".clone_into(&mut newer.payload_type);
    newer.signatures.clear();
    newer.sign(alice);
    let mut strangers = made.offer.repurposed::<Approval>();
    strangers.sign(&SoftCustodian::new("alice", 1));
    // The host's own signature, under the approval's type.
    let mut hosts = made.offer.clone();
    Approval::PAYLOAD_TYPE.clone_into(&mut hosts.payload_type);
    let mut nobodys = good.approval.clone();
    nobodys.signatures.clear();
    // A stranger's signature under alice's label.
    let mut mislabelled = strangers.clone();
    mislabelled.signatures[0].keyid = alice.public().id();
    for (wrong, code) in [
        (as_offer, Code::Usage),
        (as_roster, Code::Usage),
        (newer, Code::Usage),
        (carried, Code::Tampering),
        (strangers, Code::Tampering),
        (hosts, Code::Tampering),
        (nobodys, Code::Tampering),
        (mislabelled, Code::Tampering),
    ] {
        let kind = wrong.payload_type.clone();
        assert_eq!(refused(&mut worker, with(wrong)).0, code, "{kind}");
    }
    // A yes is not a no, nor the other way round.
    worker.send(&ToWorker::Denial {
        denial: good.approval.clone(),
    });
    assert!(matches!(
        worker.next(),
        Some(FromWorker::Vote(Vote::Refused(_)))
    ));
    let denial = alice.deny(&made);
    assert_eq!(denial.payload_type, Denial::PAYLOAD_TYPE);
    assert_eq!(refused(&mut worker, with(denial)).0, Code::Usage);
    assert_eq!(counted(&mut worker, good).0, "alice");
}

#[test]
fn an_approval_with_one_byte_changed_is_refused_wherever_the_byte_is() {
    let bench = Bench::sealed();
    let (mut worker, made) = bench.ask();
    let good = bench.custodians[0].approve(&made);
    let payload = good.approval.payload.len();
    let signature = good.approval.signatures[0].sig.len();
    let share = good.sealed_share.0.len();
    let mut runner = TestRunner::new(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(96)
    });
    let anywhere = (0..payload + signature + share, 1..=255_u8);
    let worker = std::cell::RefCell::new(&mut worker);
    runner
        .run(&anywhere, |(at, flip)| {
            let mut wrong = good.clone();
            let byte = if at < payload {
                &mut wrong.approval.payload[at]
            } else if at < payload + signature {
                &mut wrong.approval.signatures[0].sig[at - payload]
            } else {
                &mut wrong.sealed_share.0[at - payload - signature]
            };
            *byte ^= flip;
            let vote = worker.borrow_mut().vote(wrong);
            prop_assert!(matches!(vote, Vote::Refused(_)), "{vote:?}");
            if at < payload + signature
                && let Vote::Refused(problem) = vote
            {
                prop_assert_eq!(problem.code, Code::Tampering);
            }
            Ok(())
        })
        .expect("no changed byte counts");
    assert_eq!(counted(&mut worker.borrow_mut(), good).0, "alice");
}

#[test]
fn approvals_of_an_older_generation_and_replayed_ones_open_nothing() {
    let bench = Bench::sealed();
    let (mut early, old) = bench.ask();
    let (mut first, made) = bench.ask();
    let used = [0, 1].map(|i| bench.custodians[i].approve(&made));
    let old_share = bench.custodians[0].open_own_share(&made);
    for approval in used.clone() {
        counted(&mut first, approval);
    }
    first.rest().1.expect("opened and rotated");

    // Both say yes to a request that still names the generation before: the vault has moved on.
    bench.world.proxy().clear_calls();
    for i in [0, 1] {
        counted(&mut early, bench.custodians[i].approve(&old));
    }
    let (session, end) = early.finish();
    assert!(session.is_none());
    let problem = end.expect_err("an older generation");
    assert_eq!(problem.code, Code::Refused);
    assert!(problem.error.contains("moved on"), "{problem}");
    nobody_asked_aws(&bench);

    // The approvals that opened the first request, once more; then a fresh one with the share of the older generation.
    let (mut worker, now) = bench.ask();
    for approval in used {
        assert_eq!(refused(&mut worker, approval).0, Code::Tampering);
    }
    let alice = &bench.custodians[0];
    let outdated = job::Approval {
        approval: alice.yes(&now),
        sealed_share: sealed_to(&now, &binding(&now), &old_share),
    };
    let (code, why) = refused(&mut worker, outdated);
    assert_eq!(code, Code::Tampering);
    assert!(
        why.starts_with("the share of alice is not the one"),
        "{why}"
    );
    nobody_asked_aws(&bench);
}

#[test]
fn a_request_past_its_expiry_takes_no_vote() {
    let bench = Bench::sealed();
    let mut short = ask();
    short.duration_seconds = Some(60);
    let (mut worker, made) = match bench.try_ask("dana", short) {
        (worker, Some(FromWorker::Offer(made))) => (worker, made),
        (_, other) => panic!("{other:?}"),
    };
    let request = made.offer.unverified::<Offer>().expect("ours").0;
    // A minute of access is a minute to approve.
    assert_eq!(request.approve_before, request.not_after);
    assert_eq!(request.not_before.until(request.not_after), 60);

    // The worker's own check, asked at times of our choosing.
    let roster = verify_chain(&made.roster_chain).expect("ours").remove(0);
    let requested = Requested::new(&made.offer, roster).expect("a good offer");
    let alice = &bench.custodians[0];
    let (yes, no) = (alice.yes(&made), alice.deny(&made));
    let last = request.approve_before.plus(-1);
    assert!(requested.check_approval(&yes, last).is_ok());
    for late in [0, 1, 86_400] {
        let at = request.approve_before.plus(late);
        for verdict in [
            requested.check_approval(&yes, at),
            requested.check_denial(&no, at),
        ] {
            assert!(
                matches!(verdict, Err(Refusal::TooLate { .. })),
                "{verdict:?}"
            );
        }
    }
    // Half an hour for everything longer.
    let (_, long) = bench.ask();
    let long = long.offer.unverified::<Offer>().expect("ours").0;
    assert_eq!(long.not_before.until(long.approve_before), 1800);
    assert_eq!(counted(&mut worker, alice.approve(&made)).0, "alice");
}
