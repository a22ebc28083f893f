//! The time box: kept by a date in the session's own policy, whoever is dead and whatever clock the host has.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use twotap::{
    protocol::job::{Ask, FromWorker, Session, Step, ToWorker},
    trust::{
        Timestamp,
        request::{Clock, Offer, Request},
    },
};
use twotap_rig::world;

use crate::{
    ceremony::close,
    of_target,
    support::{Bench, ask, names},
    works,
};

/// A session of this length, and its request.
fn opened(bench: &Bench, seconds: u32) -> (Request, Session) {
    let wanted = Ask {
        duration_seconds: Some(seconds),
        ..ask()
    };
    let (mut worker, made) = match bench.try_ask("dana", wanted) {
        (worker, Some(FromWorker::Offer(made))) => (worker, made),
        (_, other) => panic!("no offer: {other:?}"),
    };
    for custodian in [&bench.custodians[0], &bench.custodians[2]] {
        worker.send(&ToWorker::Approval(custodian.approve(&made)));
    }
    let (session, result) = worker.rest();
    result.expect("done");
    let Offer(request) = made.offer.unverified().expect("an offer");
    (request, session.expect("a session"))
}

/// What STS was asked for the operator.
fn asked(bench: &Bench) -> twotap_rig::proxy::Call {
    let taken = bench.world.proxy().calls_of("sts:AssumeRole");
    let mut mine = taken
        .into_iter()
        .filter(|c| c.param("RoleSessionName") == Some("dana"));
    mine.next_back().expect("asked")
}

/// The statements that every session carries, whatever its profile says.
fn denials(policy: &str) -> Vec<Value> {
    let policy: Value = serde_json::from_str(policy).expect("JSON");
    let statements = policy["Statement"].as_array().expect("a list").clone();
    statements
        .into_iter()
        .filter(|s| s["Effect"] == "Deny")
        .collect()
}

#[test]
fn a_box_of_one_minute_ends_on_time_with_agent_and_worker_dead() {
    let bench = Bench::sealed();
    bench.world.proxy().clear_calls();
    let (request, session) = opened(&bench, 60);
    let target = &session.targets[0];
    // STS gives no less than a quarter of an hour: the date is what ends it, for a console session as well, which carries the same
    // policy and nothing else.
    let call = asked(&bench);
    assert_eq!(call.param("DurationSeconds"), Some("900"));
    assert_eq!(
        denials(call.param("Policy").expect("a policy")),
        [
            json!({"Effect": "Deny", "Action": "*", "Resource": "*",
                "Condition": {"DateGreaterThan": {"aws:CurrentTime": request.not_after.to_string()}}}),
            json!({"Effect": "Deny", "Action": ["sts:AssumeRole", "sts:AssumeRoot"], "Resource": "*"}),
        ]
    );
    assert!(works(&bench, target));

    // No other role is had with it, in which the date would not hold.
    let other = [
        ("RoleArn", bench.world.role_arn(world::DATABASE_ROLE)),
        ("RoleSessionName", "on".to_owned()),
    ];
    let other: Vec<(&str, &str)> = other.iter().map(|(k, v)| (*k, v.as_str())).collect();
    let chained = bench
        .world
        .direct(of_target(target))
        .query("sts", "AssumeRole", &other);
    assert!(!chained.expect("an answer").is_ok());

    // Nobody of twotap is alive any more. Its time comes all the same.
    let patience = Instant::now() + Duration::from_secs(90);
    while works(&bench, target) {
        assert!(Instant::now() < patience, "it does not end");
        std::thread::park_timeout(Duration::from_millis(500));
    }
    let late = request.not_after.until(Timestamp::now());
    assert!((0..=60).contains(&late), "it ended {late} s after its time");

    // Whoever looks then calls it expired, and removes nothing that is not there. Its credentials outlive it, and the record knows.
    let entries = close(&bench, &request.id).expect("closed");
    assert_eq!(names(&entries), ["expired"]);
    let said = crate::ceremony::journal(&bench, &request.id);
    let until = said.iter().find_map(|e| match &e.step {
        Step::Minted { expires_at, .. } => *expires_at,
        _ => None,
    });
    let outlives = request.not_after.until(until.expect("known"));
    assert!((800..=900).contains(&outlives), "{outlives} s");
}

/// The host's clock is a day off, either way: a request's times are AWS's, votes are in time by it, and the policy's date is one of its.
/// (The emulator takes no signature of another day, so this ends with the intent.)
#[test]
fn a_host_whose_clock_is_a_day_off_asks_by_aws_time() {
    crate::ceremony::side_by_side(vec![86_400_i64, -86_400], |offset| {
        let bench = Bench::sealed();
        crate::ceremony::patience(&bench, 1);
        bench.world.proxy().set_clock_offset(offset);
        bench.world.proxy().clear_calls();
        let (mut worker, made) = bench.ask();
        let Offer(request) = made.offer.unverified().expect("an offer");
        assert_eq!(request.clock, Clock::Aws);
        let aws_now = Timestamp::now().plus(offset);
        assert!(request.not_before.until(aws_now).abs() < 120, "{offset}");
        assert_eq!(request.not_before.until(request.not_after), 4 * 3600);
        let date = json!({"aws:CurrentTime": request.not_after.to_string()});
        assert_eq!(
            denials(&made.policy)[0]["Condition"]["DateGreaterThan"],
            date
        );
        for custodian in [&bench.custodians[0], &bench.custodians[2]] {
            worker.send(&ToWorker::Approval(custodian.approve(&made)));
        }
        let _ = worker.rest();
        let said = crate::ceremony::journal(&bench, &request.id);
        assert_eq!(
            names(&said)[0],
            "mint_intent",
            "{offset}: votes were in time"
        );
        let Step::MintIntent { not_after, .. } = said[0].step else {
            panic!("no intent");
        };
        assert_eq!(not_after, request.not_after);
        let taken = bench.world.proxy().calls_of("sts:AssumeRole");
        assert_eq!(
            taken[0].param("DurationSeconds"),
            Some("43200"),
            "the steward's"
        );
    });
}

/// Whether a session is over AWS's clock says, and not the host's.
#[test]
fn a_closing_calls_a_session_expired_by_aws_clock() {
    let bench = Bench::sealed();
    let (request, session) = opened(&bench, 3600);
    bench.world.proxy().set_clock_offset(86_400);
    assert!(request.not_after > Timestamp::now());
    let entries = names(&close(&bench, &request.id).expect("closed"));
    assert_eq!(entries, ["expired"]);
    let _ = session;
}
