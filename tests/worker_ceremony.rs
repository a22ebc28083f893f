//! The worker's whole job over its own wire, against an AWS that enforces: sealing, opening, rotating, closing.

mod support;

use support::{Bench, names};
use twotap::protocol::job::{FromWorker, Job, Standing, ToWorker, Vote};
use twotap_rig::{Credentials, world};

#[test]
fn sealing_replaces_the_key_that_a_person_saw() {
    let bench = Bench::new();
    let entries = bench.seal().expect("sealed");
    assert_eq!(
        names(&entries),
        [
            "generation_written",
            "key_proven",
            "generation_committed",
            "rotation_intent",
            "create_intent",
            "key_created",
            "generation_written",
            "key_proven",
            "generation_committed",
            "deactivate_intent",
            "key_deactivated",
            "key_refused",
            "delete_intent",
            "key_deleted",
            "rotated",
        ]
    );
    let first = bench.world.first_key();
    assert!(!bench.world.key_works(first).expect("an answer"));
    let keys = bench.world.list_keys(world::USER).expect("a list");
    assert_eq!(keys.len(), 1, "{keys:?}");
    assert!(keys[0].active && keys[0].id != first.access_key_id);
    assert!(!support::folder_holds(
        &bench.path("state"),
        &first.secret_access_key
    ));
}

#[test]
fn two_approvals_open_one_session_and_the_key_is_replaced() {
    let bench = Bench::sealed();
    let before = bench.world.list_keys(world::USER).expect("a list");

    let (mut worker, made) = bench.ask();
    for (i, standing) in [(0, Standing::Waiting), (2, Standing::Approved)] {
        match worker.vote(bench.custodians[i].approve(&made)) {
            Vote::Counted {
                person,
                standing: s,
                ..
            } => {
                assert_eq!(person, bench.custodians[i].name);
                assert_eq!(s, standing);
            }
            other => panic!("not counted: {other:?}"),
        }
    }
    let (session, entries) = worker.rest();
    let entries = entries.expect("the ceremony ends well");
    assert_eq!(names(&entries)[..2], ["mint_intent", "minted"]);
    assert_eq!(names(&entries).last().map(String::as_str), Some("rotated"));

    let session = session.expect("a session");
    let credentials = Credentials {
        access_key_id: session.targets[0].access_key_id.clone(),
        secret_access_key: session.targets[0].secret_access_key.to_string(),
        session_token: Some(session.targets[0].session_token.to_string()),
    };
    let probe = bench.world.session_probe(&credentials).expect("an answer");
    assert!(probe.is_ok(), "{probe:?}");
    let after = bench.world.list_keys(world::USER).expect("a list");
    assert_eq!(after.len(), 1);
    assert_ne!(before, after);

    // Closing: revoked, and seen refused by the session itself.
    let mut worker = bench.worker();
    worker.send(&Job::Close {
        vault: "prod".to_owned(),
        request: session.request.clone(),
    });
    let (_, closed) = worker.rest();
    let closed = closed.expect("closed");
    assert_eq!(
        names(&closed),
        [
            "revoke_intent",
            "revoke_applied",
            "refusal_observed",
            "revoked"
        ]
    );
    let probe = bench.world.session_probe(&credentials).expect("an answer");
    assert!(!probe.is_ok(), "{probe:?}");
    assert_eq!(
        std::fs::read_dir(bench.path("runtime"))
            .expect("there")
            .count(),
        0,
        "a session was left behind"
    );
}

#[test]
fn below_the_threshold_nothing_opens() {
    let bench = Bench::sealed();
    bench.world.proxy().clear_calls();
    let (mut worker, made) = bench.ask();
    let approval = bench.custodians[0].approve(&made);
    for counted in [true, false] {
        worker.send(&ToWorker::Approval(approval.clone()));
        match worker.next() {
            Some(FromWorker::Vote(Vote::Counted { standing, .. })) => {
                assert!(counted);
                assert_eq!(standing, Standing::Waiting);
            }
            Some(FromWorker::Vote(Vote::Refused(_))) => assert!(!counted),
            other => panic!("no vote: {other:?}"),
        }
    }
    assert!(worker.hang_up().success());
    assert!(bench.world.proxy().calls_of("sts:AssumeRole").is_empty());
}

#[test]
fn a_threshold_out_of_reach_denies_the_request() {
    let bench = Bench::sealed();
    let (mut worker, made) = bench.ask();
    for (i, expected) in [(0, Standing::Waiting), (1, Standing::Denied)] {
        worker.send(&ToWorker::Denial {
            denial: bench.custodians[i].deny(&made),
        });
        match worker.next() {
            Some(FromWorker::Vote(Vote::Counted {
                standing, approved, ..
            })) => {
                assert!(!approved);
                assert_eq!(standing, expected);
            }
            other => panic!("not counted: {other:?}"),
        }
    }
    let (session, end) = worker.rest();
    assert!(session.is_none());
    assert_eq!(
        end.expect_err("denied"),
        "the custodians denied the request"
    );
}
