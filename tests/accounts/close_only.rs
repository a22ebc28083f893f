//! After a reboot: two taps close what was left open, and nothing more than the journal says.

use twotap::{
    aws::revocation,
    protocol::{
        Code,
        job::{Ask, Entry, FromWorker, OfferMade, Step, ToWorker},
    },
    trust::{
        Timestamp,
        request::{CLOSE_ONLY, Offer, Purpose, Request},
    },
};
use twotap_rig::{
    proxy::{Fault, Rule, When},
    world,
};

use crate::{
    ceremony::{assert_one_key, ceremony, close, journal, patience, sealed_key},
    other_steward, reboot, roles,
    support::{Bench, Worker, ask, names},
    taking, three_roles, works,
};

fn close_only(named: &[&str]) -> Ask {
    Ask {
        access: CLOSE_ONLY.to_owned(),
        close_only: Some(named.iter().map(|id| (*id).to_owned()).collect()),
        drill: false,
        ..ask()
    }
}

fn offered(bench: &Bench, ask: Ask) -> (Worker, OfferMade, Request) {
    match bench.try_ask("dana", ask) {
        (worker, Some(FromWorker::Offer(made))) => {
            let Offer(request) = made.offer.unverified().expect("an offer");
            (worker, made, request)
        }
        (_, other) => panic!("no offer: {other:?}"),
    }
}

fn approved(bench: &Bench, mut worker: Worker, made: &OfferMade) -> Vec<Entry> {
    for custodian in [&bench.custodians[0], &bench.custodians[2]] {
        worker.send(&ToWorker::Approval(custodian.approve(made)));
    }
    let (session, result) = worker.rest();
    assert!(session.is_none(), "a session was delivered");
    result.expect("done")
}

fn closes(request: &Request) -> &[String] {
    match &request.purpose {
        Purpose::CloseOnly { requests } => requests,
        other => panic!("it does not close: {other:?}"),
    }
}

fn done(entries: &[Entry]) -> (Vec<String>, Vec<(String, String)>) {
    let done = entries.iter().find_map(|e| match &e.step {
        Step::CloseOnlyDone { denied, left } => Some((denied.clone(), left.clone())),
        _ => None,
    });
    done.expect("said")
}

#[test]
fn what_a_reboot_left_open_is_denied_by_tag_and_never_called_revoked() {
    let bench = three_roles();
    let one = ceremony(&bench);
    let two = ceremony(&bench);
    let over = ceremony(&bench);
    close(&bench, &over.request).expect("closed");
    reboot(&bench);
    let why = close(&bench, &one.request).expect_err("nothing is kept");
    assert!(why.contains("no session of this request is kept"), "{why}");

    let before = sealed_key(&bench);
    bench.world.proxy().clear_calls();
    let (worker, made, request) = offered(&bench, close_only(&[]));
    assert_eq!(closes(&request), [one.request.clone(), two.request.clone()]);
    assert_eq!(request.role, bench.world.role_arn(world::STEWARD_ROLE));
    assert_eq!(request.also.len(), 1);
    assert_eq!(request.also[0].role_arn, other_steward(&bench));
    let entries = approved(&bench, worker, &made);
    assert_eq!(done(&entries).0, [one.request.clone(), two.request.clone()]);

    for ended in [&one, &two] {
        let session = ended.session.as_ref().expect("a session");
        assert!(session.targets.iter().all(|t| !works(&bench, t)));
        let said = journal(&bench, &ended.request);
        let tail: Vec<_> = names(&said).into_iter().rev().take(7).rev().collect();
        assert_eq!(tail[..3], ["revoke_intent"; 3], "{tail:?}");
        assert_eq!(tail[3..6], ["revoke_applied"; 3], "{tail:?}");
        let Step::NotObserved { until, .. } = said.last().expect("some").step else {
            panic!("{tail:?}");
        };
        // The credentials' own end, which is no sooner than the box's.
        assert!(session.not_after <= until);
        assert!(!tail.contains(&"revoked".to_owned()));
    }
    // Stewards alone, by the sealed key, each once; and that key is replaced.
    let taken = bench.world.proxy().calls_of("sts:AssumeRole");
    let taken: Vec<_> = taken
        .iter()
        .filter(|c| c.param("RoleSessionName") != Some("twotap-proof"))
        .map(|c| c.param("RoleArn").unwrap_or_default().to_owned())
        .collect();
    assert_eq!(taken.len(), 2, "{taken:?}");
    assert!(
        taken.iter().all(|role| role.ends_with("/steward")),
        "{taken:?}"
    );
    assert_one_key(&bench, &before, "close-only");
    // Nothing is owed any more, and nothing of it is kept.
    let left = std::fs::read_dir(bench.path("runtime"))
        .expect("a folder")
        .count();
    assert_eq!(left, 0);
    let (_, _, request) = offered(&bench, close_only(&[]));
    assert!(closes(&request).is_empty());
}

#[test]
fn the_worker_decides_by_its_own_journal_what_is_closed() {
    let bench = Bench::sealed();
    let open = ceremony(&bench);
    let over = ceremony(&bench);
    close(&bench, &over.request).expect("closed");
    let refused = |named: &str| match bench.try_ask("dana", close_only(&[named])) {
        (_, Some(FromWorker::Failed(problem))) => problem,
        (_, other) => panic!("not refused: {other:?}"),
    };
    for (id, why) in [
        (open.request.as_str(), "needs no taps to be closed"),
        (over.request.as_str(), "it is over"),
        (
            "r-aaaaaaaaaaaaa",
            "the journal of this host has no session of it",
        ),
    ] {
        let problem = refused(id);
        assert_eq!(problem.code, Code::Refused);
        assert!(
            problem.error.contains(why) && problem.error.contains(id),
            "{problem}"
        );
    }
    let hint = refused(&open.request).hint.expect("what to do");
    assert!(
        hint.contains(&format!("twotap close {}", open.request)),
        "{hint}"
    );
    // Nothing to close is a rotation alone: no session of any kind is asked for.
    let before = sealed_key(&bench);
    bench.world.proxy().clear_calls();
    let (worker, made, request) = offered(&bench, close_only(&[]));
    assert!(closes(&request).is_empty());
    let entries = approved(&bench, worker, &made);
    assert_eq!(done(&entries), (vec![], vec![]));
    assert_one_key(&bench, &before, "rotation alone");
    let taken = bench.world.proxy().calls_of("sts:AssumeRole");
    assert!(
        taken
            .iter()
            .all(|c| c.param("RoleSessionName") == Some("twotap-proof"))
    );
    // The open session is as it was.
    assert!(works(&bench, &open.session.expect("a session").targets[0]));
}

#[test]
fn an_owed_rotation_is_paid_by_a_ceremony_that_opens_nothing() {
    let bench = Bench::sealed();
    patience(&bench, 2);
    let before = sealed_key(&bench);
    bench
        .world
        .proxy()
        .add(Rule::new("iam:*", When::Always, Fault::Unreachable));
    let ended = ceremony(&bench);
    assert!(ended.session.is_some() && ended.result.is_err());
    assert_eq!(sealed_key(&bench), before, "not replaced");
    bench.world.proxy().clear_rules();
    let (worker, made, _) = offered(&bench, close_only(&[]));
    approved(&bench, worker, &made);
    assert_one_key(&bench, &before, "paid");
}

#[test]
fn what_cannot_be_denied_now_is_kept_and_closed_by_the_next_try() {
    let bench = three_roles();
    patience(&bench, 3);
    let ended = ceremony(&bench);
    let session = ended.session.expect("a session");
    reboot(&bench);
    bench.world.proxy().add(Rule::new(
        "iam:PutRolePolicy",
        When::Always,
        Fault::Unreachable,
    ));
    let (worker, made, _) = offered(&bench, close_only(&[&ended.request]));
    let entries = approved(&bench, worker, &made);
    let (denied, left) = done(&entries);
    assert!(denied.is_empty());
    assert_eq!(left[0].0, ended.request);
    assert!(session.targets.iter().all(|t| works(&bench, t)));
    bench.world.proxy().clear_rules();
    // No taps: the stewards are kept.
    let entries = names(&close(&bench, &ended.request).expect("closed"));
    assert_eq!(entries.last().map(String::as_str), Some("not_observed"));
    assert!(session.targets.iter().all(|t| !works(&bench, t)));
}

#[test]
fn without_one_accounts_steward_the_others_are_denied_and_it_is_said_which_is_left() {
    let bench = three_roles();
    let ended = ceremony(&bench);
    let session = ended.session.expect("a session");
    reboot(&bench);
    bench.world.proxy().add(taking(
        &other_steward(&bench),
        When::Always,
        Fault::denied(),
    ));
    let (worker, made, _) = offered(&bench, close_only(&[]));
    let entries = approved(&bench, worker, &made);
    let (denied, left) = done(&entries);
    assert!(denied.is_empty());
    assert!(
        left[0].1.contains("the steward's session could not be had"),
        "{left:?}"
    );
    assert!(!works(&bench, &session.targets[0]) && !works(&bench, &session.targets[1]));
    assert!(works(&bench, &session.targets[2]));
    let said = journal(&bench, &ended.request);
    let applied = said
        .iter()
        .filter(|e| matches!(e.step, Step::RevokeApplied { .. }))
        .count();
    assert_eq!(applied, 2);
    assert!(!names(&said).contains(&"not_observed".to_owned()));
    // The next ceremony finds it owed again, once nothing of it is kept.
    bench.world.proxy().clear_rules();
    reboot(&bench);
    let (worker, made, request) = offered(&bench, close_only(&[]));
    assert_eq!(closes(&request), std::slice::from_ref(&ended.request));
    approved(&bench, worker, &made);
    assert!(session.targets.iter().all(|t| !works(&bench, t)));
    let _ = roles(&bench);
}

#[test]
fn two_approvals_of_closing_open_nothing_below_the_threshold_either() {
    let bench = Bench::sealed();
    let ended = ceremony(&bench);
    reboot(&bench);
    let before = sealed_key(&bench);
    let (mut worker, made, _) = offered(&bench, close_only(&[]));
    worker.send(&ToWorker::Approval(bench.custodians[0].approve(&made)));
    worker.send(&ToWorker::Denial {
        denial: bench.custodians[1].deny(&made),
    });
    worker.send(&ToWorker::Denial {
        denial: bench.custodians[2].deny(&made),
    });
    assert!(worker.rest().1.is_err());
    assert_eq!(sealed_key(&bench), before);
    assert!(works(&bench, &ended.session.expect("a session").targets[0]));
    // What would deny it is a name that the journal has had since the intent.
    let said = journal(&bench, &ended.request);
    let Step::MintIntent { revocation, .. } = &said[0].step else {
        panic!("no intent");
    };
    let (id, ends) = revocation::parse_revocation_name(revocation).expect("a name");
    assert!(id == ended.request && Timestamp::from(ends) > Timestamp::now());
}
