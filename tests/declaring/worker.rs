//! At the worker: what the agent hands over is held to the roster's terms, whatever the operator's program let through.

use std::sync::OnceLock;

use twotap::{
    protocol::{
        Code, Problem,
        job::{Ask, FromWorker, Job, OfferMade, Vote},
    },
    trust::{
        Digest, Head,
        request::{BannedUse, CheckResult, Offer},
    },
};
use twotap_rig::World;

use crate::{
    paper::{REASON, confirmed, results, with_scenarios},
    support::{self, Bench, Worker},
};

/// One sealed host for all cases that come to nothing.
fn bench() -> &'static Bench {
    static BENCH: OnceLock<Bench> = OnceLock::new();
    BENCH.get_or_init(sealed)
}

fn sealed() -> Bench {
    let world = World::new().expect("an account");
    Bench::shaped(world, |_, roster| with_scenarios(roster))
}

/// An ask on the terms of `outage`.
fn outage() -> Ask {
    Ask {
        reason: REASON.to_owned(),
        commander: Some("ivan".to_owned()),
        scenario: Some("outage".to_owned()),
        confirmed: confirmed(),
        ..support::ask()
    }
}

/// An ask on the terms of `pii-access`.
fn lookup() -> Ask {
    Ask {
        access: "one-user".to_owned(),
        scenario: Some("pii-access".to_owned()),
        subject: Some("u-4711".to_owned()),
        commander: None,
        ..outage()
    }
}

fn asked(bench: &Bench, ask: Ask, checks: Vec<CheckResult>) -> (Worker, Option<FromWorker>) {
    let mut worker = bench.worker();
    worker.send(&Job::Ceremony {
        ask,
        operator: "dana".to_owned(),
        audit: Head::EMPTY,
        checks,
    });
    let answer = worker.next();
    (worker, answer)
}

fn offered(bench: &Bench, ask: Ask, checks: Vec<CheckResult>) -> (Worker, OfferMade) {
    match asked(bench, ask, checks) {
        (worker, Some(FromWorker::Offer(made))) => (worker, made),
        (_, other) => panic!("no offer: {other:?}"),
    }
}

#[track_caller]
fn refused(ask: Ask, checks: Vec<CheckResult>) -> Problem {
    match asked(bench(), ask, checks) {
        (_, Some(FromWorker::Failed(problem))) => problem,
        (_, other) => panic!("not refused: {other:?}"),
    }
}

#[test]
fn every_term_of_a_scenario_is_the_workers_too() {
    type Bend = fn(&mut Ask);
    let bends: [(Code, &str, &str, Bend); 12] = [
        (
            Code::Usage,
            "the request names no scenario",
            "name one with --scenario: outage, pii-access",
            |a| a.scenario = None,
        ),
        (
            Code::Usage,
            "the roster has no scenario 'fun'",
            "it has: outage, pii-access",
            |a| a.scenario = Some("fun".to_owned()),
        ),
        (
            Code::Refused,
            "scenario 'pii-access' is not for access 'admin'",
            "with it goes access one-user; access admin goes with outage",
            |a| a.scenario = Some("pii-access".to_owned()),
        ),
        (
            Code::Refused,
            "access 'admin' in scenario 'outage' lasts 1 minute to 240 minutes",
            "ask for less time",
            |a| a.duration_seconds = Some(4 * 3600 + 1),
        ),
        (
            Code::Refused,
            "access 'admin' in scenario 'outage' lasts 1 minute to 240 minutes",
            "ask for less time",
            |a| a.duration_seconds = Some(59),
        ),
        (
            Code::Refused,
            "the reason has 4 characters, and 20 are asked for",
            "in 20 characters or more",
            |a| a.reason = "down".to_owned(),
        ),
        (
            Code::Refused,
            "the incident's id is no ticket of scenario 'outage'",
            "like INC-[0-9]+",
            |a| a.incident = "INC-42 or so".to_owned(),
        ),
        (
            Code::Refused,
            "scenario 'outage' needs somebody who authorised it, and nobody is named",
            "name one with --commander: ivan",
            |a| a.commander = None,
        ),
        (
            Code::Refused,
            "alice is no commander of this vault",
            "ivan",
            |a| a.commander = Some("alice".to_owned()),
        ),
        (
            Code::Refused,
            "it is not confirmed that this is none of: routine-change, expediency, avoiding-review",
            "--not-for routine-change,expediency,avoiding-review",
            |a| a.confirmed.clear(),
        ),
        (
            Code::Refused,
            "it is not confirmed that this is none of: avoiding-review",
            "--not-for avoiding-review",
            |a| a.confirmed.retain(|b| *b != BannedUse::AvoidingReview),
        ),
        (
            Code::Usage,
            "the roster has no such access profile",
            "it has: admin, one-user",
            |a| a.access = "root".to_owned(),
        ),
    ];
    for (code, error, hint, bend) in bends {
        let mut ask = outage();
        bend(&mut ask);
        let problem = refused(ask, results());
        assert_eq!((problem.code, problem.error.as_str()), (code, error));
        let given = problem.hint.unwrap_or_default();
        assert!(given.contains(hint), "{hint}: {given}");
    }
}

#[test]
fn a_request_is_refused_unless_its_required_checks_have_passed() {
    type Bend = fn(&mut Vec<CheckResult>);
    let bends: [(Code, &str, Bend); 6] = [
        (
            Code::Refused,
            "check 'down' did not pass: the control plane does not answer",
            |c| c[0].passed = false,
        ),
        // An agent that ran none, ran another, or took a required one for an advisory one.
        (
            Code::Tampering,
            "the results are not those of the scenario's checks (down, merged)",
            Vec::clear,
        ),
        (
            Code::Tampering,
            "the results are not those of the scenario's checks (down, merged)",
            |c| c.truncate(1),
        ),
        (
            Code::Tampering,
            "the results are not those of the scenario's checks (down, merged)",
            |c| c[0].name = "up".to_owned(),
        ),
        (
            Code::Tampering,
            "the results are not those of the scenario's checks (down, merged)",
            |c| c[0].required = false,
        ),
        (
            Code::Usage,
            "the check's output cannot be read: character 4 is a control or text-direction character",
            |c| c[1].output = "yes\u{1b}[2J".to_owned(),
        ),
    ];
    for (code, error, bend) in bends {
        let mut checks = results();
        bend(&mut checks);
        let problem = refused(outage(), checks);
        assert_eq!((problem.code, problem.error.as_str()), (code, error));
    }
    // A scenario without checks has no results.
    let problem = refused(lookup(), results());
    assert_eq!(problem.code, Code::Tampering, "{problem}");
}

#[test]
fn a_subject_is_needed_where_the_scenario_or_the_policy_asks_for_one_and_fits() {
    for (subject, error) in [
        (
            None,
            "access 'one-user' is about one subject, and none is named",
        ),
        (Some(""), "the subject cannot stand in a policy"),
        (Some("*"), "the subject cannot stand in a policy"),
        (
            Some("u-4711/../u-1"),
            "the subject cannot stand in a policy",
        ),
        (
            Some("${aws:username}"),
            "the subject cannot stand in a policy",
        ),
        (
            Some("u-4711x"),
            "the subject is none that access 'one-user' is about",
        ),
    ] {
        let mut ask = lookup();
        ask.subject = subject.map(str::to_owned);
        let problem = refused(ask, Vec::new());
        assert_eq!(problem.error, error, "{subject:?}");
        assert!(problem.hint.is_some(), "{subject:?}");
    }
}

#[test]
fn what_opens_no_session_has_no_scenario() {
    let drill = || Ask {
        drill: true,
        ..support::ask()
    };
    type Bend = fn(&mut Ask);
    let bends: [Bend; 4] = [
        |a| a.scenario = Some("outage".to_owned()),
        |a| a.subject = Some("u-1".to_owned()),
        |a| a.confirmed = confirmed(),
        |a| a.follows = Some("r-aaaaaaaaaaaaa".to_owned()),
    ];
    for bend in bends {
        let mut ask = drill();
        bend(&mut ask);
        let problem = refused(ask, Vec::new());
        assert_eq!(
            problem.error,
            "what opens no session has no scenario, no subject and no checks"
        );
    }
    let problem = refused(drill(), results());
    assert!(problem.error.contains("opens no session"), "{problem}");
    offered(bench(), drill(), Vec::new());
}

#[test]
fn what_was_declared_stands_in_the_signed_request() {
    let (_worker, made) = offered(bench(), outage(), results());
    let Offer(request) = made.offer.unverified::<Offer>().expect("an offer");
    assert_eq!(request.scenario.as_deref(), Some("outage"));
    assert_eq!(request.confirmed, confirmed());
    assert_eq!(request.checks, results());
    assert_eq!(request.follows, None);
    // Neither the profile's four hours nor its limit of eleven.
    assert_eq!(request.not_before.until(request.not_after), 2 * 3600);

    let mut next = outage();
    next.follows = Some(request.id.clone());
    next.duration_seconds = Some(600);
    let (_worker, made) = offered(bench(), next, results());
    let Offer(second) = made.offer.unverified::<Offer>().expect("an offer");
    assert_eq!(second.follows, Some(request.id));
}

#[test]
fn a_session_for_one_subject_is_minted_with_that_subject() {
    let bench = sealed();
    let (mut worker, made) = offered(&bench, lookup(), Vec::new());
    let Offer(request) = made.offer.unverified::<Offer>().expect("an offer");
    assert_eq!(request.subject.as_deref(), Some("u-4711"));
    assert_eq!(
        request.policy_sha256,
        Digest::of(made.policy.as_bytes()),
        "the policy is the one that is signed"
    );
    assert!(
        made.policy.contains("arn:aws:s3:::people/u-4711/*") && !made.policy.contains("${subject}"),
        "{}",
        made.policy
    );
    // The scenario's two hours, within the profile's limit of one.
    assert_eq!(request.not_before.until(request.not_after), 3600);

    for custodian in &bench.custodians[..2] {
        let vote = worker.vote(custodian.approve(&made));
        assert!(matches!(vote, Vote::Counted { .. }), "{vote:?}");
    }
    // Rendered once more before minting: another subject would be another digest.
    let (session, end) = worker.rest();
    end.expect("rotated");
    assert_eq!(session.expect("a session").targets.len(), 1);
}
