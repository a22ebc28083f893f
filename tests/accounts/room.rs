//! Room for revocations: forty a role, counted when a request is made and once more where IAM can be asked.

use std::io::Write as _;

use twotap::{
    protocol::{
        Code,
        job::{Entry, FromWorker, Step},
    },
    trust::Timestamp,
};
use twotap_rig::{
    proxy::{Fault, Rule, When},
    world,
};

use crate::{
    ceremony::{ceremony, close, journal},
    support::{Bench, ask, names},
};

fn id(n: usize) -> String {
    let letter = |n: usize| char::from(b"abcdefghijklmnopqrstuvwxyz"[n % 26]);
    format!("r-{}{}aaaaaaaaaaa", letter(n / 26), letter(n))
}

/// Sessions of the past in the worker's own journal, as if this host had opened them: each ends a minute after the one before.
fn opened(bench: &Bench, count: usize, ends: Timestamp) {
    let path = bench.path("state").join("vaults/prod/journal");
    let lines = std::fs::read_to_string(&path).expect("a journal");
    let last: Entry = serde_json::from_str(lines.lines().last().expect("lines")).expect("an entry");
    let mut file = std::fs::File::options()
        .append(true)
        .open(&path)
        .expect("a journal");
    for n in 0..count {
        let end = ends.plus(60 * i64::try_from(n).expect("few"));
        let entry = Entry {
            n: last.n + 1 + n as u64,
            at: Timestamp::now(),
            request: Some(id(n)),
            step: Step::MintIntent {
                role: bench.world.role_arn(world::OPERATOR_ROLE),
                not_after: end,
                revocation: format!("twotap-revoke-{}-{}", id(n), end.0),
                steward_role: bench.world.role_arn(world::STEWARD_ROLE),
                also: Vec::new(),
                secrets: Vec::new(),
            },
            aws: None,
        };
        writeln!(file, "{}", serde_json::to_string(&entry).expect("JSON")).expect("written");
    }
}

/// Puts revocations on the operator role, past everything.
fn standing(bench: &Bench, count: usize, end: Timestamp) {
    for n in 0..count {
        let name = format!("twotap-revoke-{}-{}", id(n), end.0);
        let document = twotap::aws::revocation::revocation_policy(&id(n)).expect("a policy");
        let put = [
            ("RoleName", world::OPERATOR_ROLE),
            ("PolicyName", name.as_str()),
            ("PolicyDocument", document.as_str()),
        ];
        let put = bench.world.admin().query("iam", "PutRolePolicy", &put);
        assert!(put.expect("an answer").is_ok());
    }
}

#[test]
fn with_forty_sessions_or_revocations_the_next_request_is_refused_with_the_time_at_which_one_frees_up()
 {
    let bench = Bench::sealed();
    let soonest = Timestamp::now().plus(600);
    opened(&bench, 40, soonest);
    bench.world.proxy().clear_calls();
    let (_, answer) = bench.try_ask("dana", ask());
    let Some(FromWorker::Failed(problem)) = answer else {
        panic!("not refused: {answer:?}");
    };
    assert_eq!(problem.code, Code::Refused);
    assert!(problem.error.contains("40 revocations"), "{problem}");
    let hint = problem.hint.expect("when");
    assert!(hint.contains(&soonest.to_string()), "{hint}");
    // No identity is there to ask AWS with, and none is needed.
    assert_eq!(bench.world.proxy().calls_of("iam:*").len(), 0);
}

#[test]
fn with_thirty_nine_there_is_room_and_those_that_have_ended_take_none() {
    let bench = Bench::sealed();
    opened(&bench, 39, Timestamp::now().plus(600));
    let (_, answer) = bench.try_ask("dana", ask());
    assert!(matches!(answer, Some(FromWorker::Offer(_))), "{answer:?}");

    let bench = Bench::sealed();
    opened(&bench, 40, Timestamp::now().plus(-60));
    let (_, answer) = bench.try_ask("dana", ask());
    assert!(matches!(answer, Some(FromWorker::Offer(_))), "{answer:?}");
}

#[test]
fn what_another_host_has_put_is_counted_before_a_session_is_minted() {
    let bench = Bench::sealed();
    let end = Timestamp::now().plus(3600);
    standing(&bench, 40, end);
    bench.world.proxy().clear_calls();
    let ended = ceremony(&bench);
    assert!(ended.session.is_none());
    let why = ended.result.expect_err("refused");
    assert!(why.contains("40 revocations"), "{why}");
    let said = journal(&bench, &ended.request);
    assert_eq!(names(&said)[..2], ["mint_intent", "mint_failed"]);
    let told = serde_json::to_string(&said[1]).expect("JSON");
    assert!(told.contains(&end.to_string()), "{told}");
    let taken = bench.world.proxy().calls_of("sts:AssumeRole");
    assert!(
        taken
            .iter()
            .all(|c| c.param("RoleSessionName") != Some("dana"))
    );
    // Nothing that still denies something was removed to make room.
    let policies = bench
        .world
        .role_policies(world::OPERATOR_ROLE)
        .expect("a list");
    let ours = policies.keys().filter(|p| p.starts_with("twotap-revoke-"));
    assert_eq!(ours.count(), 40);
    assert_eq!(
        bench.world.proxy().calls_of("iam:DeleteRolePolicy").len(),
        0
    );
}

#[test]
fn iam_that_does_not_answer_keeps_no_session_from_being_minted() {
    let bench = Bench::sealed();
    let slow = Fault::Delay(std::time::Duration::from_secs(600));
    bench
        .world
        .proxy()
        .add(Rule::new("iam:ListRolePolicies", When::Always, slow));
    let begun = std::time::Instant::now();
    let (mut worker, made) = bench.ask();
    for custodian in [&bench.custodians[0], &bench.custodians[2]] {
        worker.send(&twotap::protocol::job::ToWorker::Approval(
            custodian.approve(&made),
        ));
    }
    loop {
        match worker.next().expect("a session comes") {
            FromWorker::Session(_) => break,
            FromWorker::Failed(problem) => panic!("{problem}"),
            _ => {}
        }
    }
    assert!(begun.elapsed().as_secs() < 120, "{:?}", begun.elapsed());
}

#[test]
fn those_that_have_ended_make_room_and_go_with_any_closing() {
    let bench = Bench::sealed();
    standing(&bench, 40, Timestamp::now().plus(-60));
    let ended = ceremony(&bench);
    assert!(ended.session.is_some());
    let ours = || {
        let policies = bench
            .world
            .role_policies(world::OPERATOR_ROLE)
            .expect("a list");
        policies
            .into_keys()
            .filter(|p| p.starts_with("twotap-revoke-"))
            .count()
    };
    // As many as two seconds are enough for; the rest goes later.
    assert!(ours() < 40, "some are removed when room is needed");
    standing(&bench, 3, Timestamp::now().plus(-60));
    close(&bench, &ended.request).expect("closed");
    assert_eq!(ours(), 1, "its own is left alone");
}

/// The role's own policies leave less room than was thought: what has ended is removed, and the closing goes on.
#[test]
fn a_role_that_is_full_is_pruned_by_the_closing_that_finds_it_so() {
    let bench = Bench::sealed();
    let ended = ceremony(&bench);
    standing(&bench, 5, Timestamp::now().plus(-60));
    let full = Fault::Refuse(
        409,
        "LimitExceeded".to_owned(),
        "Maximum policy size".to_owned(),
    );
    bench
        .world
        .proxy()
        .add(Rule::new("iam:PutRolePolicy", When::Nth(1), full));
    let entries = close(&bench, &ended.request).expect("closed");
    assert_eq!(
        names(&entries),
        [
            "revoke_intent",
            "close_pending",
            "revoke_applied",
            "refusal_observed",
            "revoked"
        ]
    );
    let calls = bench.world.proxy().calls_of("iam:*");
    let gone = calls
        .iter()
        .position(|c| c.action == "iam:DeleteRolePolicy");
    let put = calls.iter().rposition(|c| c.action == "iam:PutRolePolicy");
    assert!(gone < put, "{gone:?} {put:?}");
}
