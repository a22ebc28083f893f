//! Two closings at once, on one role and with replies held back: nothing is lost.

use std::time::Duration;

use twotap::protocol::job::{FromWorker, Job, Step, ToWorker};
use twotap_rig::{
    proxy::{Fault, Gate, Rule, When},
    world,
};

use crate::{
    ceremony::{ceremony, close},
    kept_key,
    support::{Bench, names},
    works,
};

#[test]
fn of_two_closings_at_once_both_revocations_stand_whoever_is_answered_last() {
    let bench = Bench::sealed();
    let role = bench.world.role_arn(world::STEWARD_ROLE);
    let [(one, one_session), (two, two_session)] = [(); 2].map(|()| {
        let ended = ceremony(&bench);
        (ended.request, ended.session.expect("a session"))
    });
    // The first one's policy is put, and its answer comes only when the second closing is over, pruning and all.
    let gate = Gate::new();
    let held = Rule::new(
        "iam:PutRolePolicy",
        When::Nth(1),
        Fault::HoldReply(gate.clone()),
    );
    let held = held.signed_by(&kept_key(&bench, &one, "steward", &role));
    bench.world.proxy().add(held);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| close(&bench, &one).expect("closed"));
        gate.wait_arrived(1, Duration::from_secs(30)).expect("put");
        let second = names(&close(&bench, &two).expect("closed"));
        assert_eq!(second.last().map(String::as_str), Some("revoked"));
        assert!(!works(&bench, &two_session.targets[0]));
        gate.open();
        let first = names(&first.join().expect("closed"));
        assert_eq!(first.last().map(String::as_str), Some("revoked"));
    });
    assert!(!works(&bench, &one_session.targets[0]));
    let policies = bench
        .world
        .role_policies(world::OPERATOR_ROLE)
        .expect("a list");
    for request in [&one, &two] {
        assert_eq!(policies.keys().filter(|p| p.contains(request)).count(), 1);
    }
    assert_eq!(bench.world.proxy().idle_rules(), [""; 0]);
}

#[test]
fn closing_one_of_two_sessions_leaves_the_other_its_work() {
    let bench = Bench::sealed();
    let [(one, one_session), (_, two_session)] = [(); 2].map(|()| {
        let ended = ceremony(&bench);
        (ended.request, ended.session.expect("a session"))
    });
    close(&bench, &one).expect("closed");
    assert!(!works(&bench, &one_session.targets[0]));
    assert!(works(&bench, &two_session.targets[0]));
}

/// A second worker for the same closing waits for the first, and finds nothing left to do.
#[test]
fn one_session_is_closed_by_one_worker_at_a_time() {
    let bench = Bench::sealed();
    let ended = ceremony(&bench);
    let job = Job::Close {
        vault: "prod".to_owned(),
        request: ended.request.clone(),
    };
    let (mut one, mut two) = (bench.worker(), bench.worker());
    one.send(&job);
    // The first is at it once it has told something.
    let Some(FromWorker::Entry(entry)) = one.next() else {
        panic!("no entry");
    };
    assert!(matches!(entry.step, Step::RevokeIntent { .. }));
    one.send(&ToWorker::Recorded { n: entry.n });
    two.send(&job);
    assert!(one.rest().1.is_ok());
    let why = two.rest().1.expect_err("nothing is left");
    assert!(why.contains("no session of this request is kept"), "{why}");
    let puts = bench.world.proxy().calls_of("iam:PutRolePolicy");
    assert_eq!(puts.len(), 1);
}

/// A probe that lies: what is no refusal by policy begins the run anew, however often refusals come between.
#[test]
fn nothing_but_ten_refusals_in_a_row_is_believed() {
    let lies = || {
        let refuse = |status, code: &str| Fault::Refuse(status, code.to_owned(), "said".to_owned());
        [
            ("expired", refuse(400, "RequestExpired")),
            ("an expired token", refuse(403, "ExpiredToken")),
            ("throttled", refuse(503, "RequestLimitExceeded")),
            ("a bad signature", refuse(403, "SignatureDoesNotMatch")),
            ("an unknown key", refuse(403, "InvalidClientTokenId")),
            ("failing", Fault::failed()),
            (
                "a refusal with another status",
                refuse(400, "UnauthorizedOperation"),
            ),
            ("a lost answer", Fault::LoseReply),
            ("let in", Fault::Answer(200, LET_IN.to_owned())),
        ]
    };
    let bench = Bench::sealed();
    let sessions: Vec<_> = lies()
        .into_iter()
        .map(|lie| (lie, ceremony(&bench)))
        .collect();
    crate::ceremony::side_by_side(sessions, |((what, lie), ended)| {
        let key = ended.session.expect("a session").targets[0]
            .access_key_id
            .clone();
        // In the middle of a run that would have been long enough.
        let rule = Rule::new("ec2:DescribeRegions", When::Nth(6), lie).signed_by(&key);
        bench.world.proxy().add(rule);
        let entries = close(&bench, &ended.request).expect(what);
        let seen = entries.iter().find_map(|e| match e.step {
            Step::RefusalObserved {
                since, refusals, ..
            } => Some((e.at, since, refusals)),
            _ => None,
        });
        let (at, since, refusals) = seen.expect("seen");
        assert!(
            refusals >= 10 && since.until(at) >= 29,
            "{what}: {refusals}, {}",
            since.until(at)
        );
        let probes = bench.world.proxy().calls_of("ec2:DescribeRegions");
        let probes = probes
            .iter()
            .filter(|c| c.access_key_id.as_deref() == Some(&key));
        // Five that no longer count, the lie, and ten more.
        assert!(probes.count() >= 16, "{what}");
    });
    assert_eq!(bench.world.proxy().idle_rules(), [""; 0]);
}

const LET_IN: &str = r#"<?xml version="1.0" encoding="UTF-8"?><DescribeRegionsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>1</requestId><regionInfo/></DescribeRegionsResponse>"#;
