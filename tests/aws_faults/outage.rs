//! AWS, or half of it, is down or says no for the whole incident; afterwards two taps put everything right.

use std::time::Duration;

use twotap::{
    protocol::job::{ProvenBy, Step},
    trust::receipt::Outcome,
};
use twotap_rig::{Fault, Rule, When, world};

use crate::{
    ceremony::{
        Ended, assert_one_key, assert_whole, ceremony, close, journal, key_of, patience, pending,
        receipts, sealed_key, side_by_side, works,
    },
    support::{Bench, names},
};

/// After a rotation that could not be finished: what is sealed still works, and the journal says that it is pending and why.
fn assert_pending(bench: &Bench, ended: &Ended, what: &str) -> String {
    assert!(ended.result.is_err(), "{what}");
    let why = pending(bench, &ended.request).unwrap_or_else(|| panic!("{what}: not pending"));
    let steps = names(&journal(bench, &ended.request));
    assert!(!steps.contains(&"rotated".to_owned()), "{what}: {steps:?}");
    let sealed = key_of(&bench.world, &sealed_key(bench));
    let works = bench.world.key_works(&sealed).expect("an answer");
    assert!(works, "{what}: the sealed key is dead");
    why
}

/// AWS answers again, and two custodians tap: one session more, and exactly one key, which nobody has seen before.
fn repaired(bench: &Bench, what: &str) {
    bench.world.proxy().clear_rules();
    let old: Vec<String> = bench
        .world
        .list_keys(world::USER)
        .expect("a list")
        .into_iter()
        .map(|k| k.id)
        .collect();
    let before = sealed_key(bench);
    assert_whole(bench, &before, &ceremony(bench), what);
    for id in old {
        let key = key_of(&bench.world, &id);
        let alive = bench.world.key_works(&key).expect("an answer");
        assert!(!alive, "{what}: {id} lives on");
    }
}

#[test]
fn with_iam_down_for_the_whole_incident_the_session_is_delivered_and_the_next_two_taps_repair_the_key()
 {
    side_by_side(
        vec![
            ("all of IAM", "iam:*"),
            ("from making a key on", "iam:CreateAccessKey"),
            ("from disabling the old key on", "iam:UpdateAccessKey"),
        ],
        |(what, action)| {
            let bench = Bench::sealed();
            patience(&bench, 3);
            let down = Rule::new(action, When::Always, Fault::Unreachable);
            bench.world.proxy().add(down);
            let ended = ceremony(&bench);
            let session = ended.session.as_ref().expect(what);
            assert!(works(&bench, session), "{what}");
            let why = assert_pending(&bench, &ended, what);
            assert!(
                why.contains("iam:") && why.contains("no whole answer"),
                "{why}"
            );
            repaired(&bench, what);
        },
    );
}

#[test]
fn an_old_key_that_cannot_be_deleted_is_dead_and_goes_with_the_next_two_taps() {
    side_by_side(
        vec![
            ("unreachable", Fault::Unreachable, "no whole answer"),
            ("refused for good", Fault::denied(), "AccessDenied"),
        ],
        |(what, fault, said)| {
            let bench = Bench::sealed();
            patience(&bench, 3);
            let before = sealed_key(&bench);
            let proxy = bench.world.proxy();
            proxy.add(Rule::new("iam:DeleteAccessKey", When::Always, fault));
            let ended = ceremony(&bench);
            assert!(ended.result.is_ok(), "{what}: {:?}", ended.result);
            let entries = journal(&bench, &ended.request);
            let last = entries.last().expect("a journal");
            let Step::DeletionOwed { access_key_id, why } = &last.step else {
                panic!("{what}: {:?}", names(&entries));
            };
            assert_eq!(*access_key_id, before);
            assert!(why.contains(said), "{what}: {why}");
            // The receipt says that it is dead, and that it is not deleted.
            let receipt = receipts(&entries).pop().expect("a receipt");
            let Outcome::Rotated {
                old_access_key_id,
                old_key_deleted,
                proven_by,
                ..
            } = receipt.outcome
            else {
                panic!("{what}: another receipt");
            };
            assert_eq!((old_access_key_id, old_key_deleted), (before.clone(), None));
            assert_eq!(proven_by, ProvenBy::Itself);
            let dead = key_of(&bench.world, &before);
            assert!(!bench.world.key_works(&dead).expect("an answer"), "{what}");
            let kept = bench.world.list_keys(world::USER).expect("a list");
            assert_eq!(kept.len(), 2, "{what}: {kept:?}");

            // As long as it cannot be deleted the two places are taken: the sealed key stays.
            let sealed = sealed_key(&bench);
            let ended = ceremony(&bench);
            let why = assert_pending(&bench, &ended, what);
            assert!(why.contains(&before) && why.contains("two places"), "{why}");
            assert_eq!(sealed_key(&bench), sealed);
            repaired(&bench, what);
        },
    );
}

#[test]
fn where_sts_does_not_answer_nothing_is_delivered_and_nothing_sealed_is_lost() {
    side_by_side(
        vec![
            ("throttled", Fault::throttled(), "asks for fewer calls"),
            ("unreachable", Fault::Unreachable, "no whole answer"),
            ("failing", Fault::failed(), "failed with status 500"),
        ],
        |(what, fault, said)| {
            let bench = Bench::sealed();
            patience(&bench, 3);
            bench
                .world
                .proxy()
                .add(Rule::new("sts:*", When::Always, fault));
            let ended = ceremony(&bench);
            assert!(ended.session.is_none(), "{what}");
            assert_pending(&bench, &ended, what);
            let why = journal(&bench, &ended.request)
                .into_iter()
                .find_map(|e| match e.step {
                    Step::MintFailed { why, .. } => Some(why),
                    _ => None,
                });
            let why = why.expect("the journal says why");
            assert!(
                why.contains("the steward's session could not be had"),
                "{why}"
            );
            assert!(why.contains(said) && why.contains("; "), "{what}: {why}");
            repaired(&bench, what);
        },
    );
}

#[test]
fn a_session_that_aws_refuses_is_told_with_what_to_do_and_the_key_is_replaced_all_the_same() {
    side_by_side(vec!["steward", "operator"], |whose| {
        let bench = Bench::sealed();
        let before = sealed_key(&bench);
        let rule = Rule::new("sts:AssumeRole", When::Always, Fault::denied());
        bench.world.proxy().add(match whose {
            "steward" => rule.with("RoleArn", &bench.world.role_arn(world::STEWARD_ROLE)),
            _ => rule.with("RoleSessionName", "dana"),
        });
        bench.world.proxy().clear_calls();
        let ended = ceremony(&bench);
        assert!(ended.session.is_none());
        let why = ended.result.expect_err("refused");
        let named = format!("the {whose}'s session could not be had");
        assert!(
            why.contains(&named) && why.contains("AccessDenied"),
            "{why}"
        );
        let entries = journal(&bench, &ended.request);
        let told = serde_json::to_string(&entries).expect("JSON");
        assert!(
            told.contains("compare the policies of the caller"),
            "{told}"
        );
        assert_eq!(names(&entries)[..2], ["mint_intent", "mint_failed"]);
        // A refusal is final: it is not asked for again.
        let calls = bench.world.proxy().calls_of("sts:AssumeRole");
        let refused = calls
            .iter()
            .filter(|c| c.error.as_deref() == Some("AccessDenied"));
        assert_eq!(refused.count(), 1, "{whose}");
        // The shares were released, so the key goes.
        assert_one_key(&bench, &before, whose);
    });
}

#[test]
fn iam_that_refuses_leaves_the_sealed_key_and_says_so_at_once() {
    side_by_side(
        vec!["iam:ListAccessKeys", "iam:CreateAccessKey"],
        |action: &str| {
            let bench = Bench::sealed();
            let before = sealed_key(&bench);
            let denied = Rule::new(action, When::Always, Fault::denied());
            bench.world.proxy().add(denied);
            let ended = ceremony(&bench);
            assert!(works(&bench, ended.session.as_ref().expect("a session")));
            let why = assert_pending(&bench, &ended, action);
            assert!(
                why.contains(action) && why.contains("AccessDenied"),
                "{why}"
            );
            assert!(why.contains("compare the policies"), "{why}");
            assert_eq!(sealed_key(&bench), before);
            assert_eq!(bench.world.proxy().calls_of(action).len(), 1 + 1);
            repaired(&bench, action);
        },
    );
}

#[test]
fn an_answer_that_is_none_is_no_key_and_no_session() {
    // A proxy on the way answers in AWS's place.
    let page = || Fault::Answer(200, "<html><body>Please sign in</body></html>".to_owned());
    let bench = Bench::sealed();
    patience(&bench, 2);
    let proxy = bench.world.proxy();
    let before = sealed_key(&bench);
    proxy.add(Rule::new("*", When::Always, page()));
    let ended = ceremony(&bench);
    assert!(ended.session.is_none());
    assert_pending(&bench, &ended, "a page");
    assert_eq!(sealed_key(&bench), before);
    // Nor does it make an open session closed.
    proxy.clear_rules();
    let ended = ceremony(&bench);
    let session = ended.session.expect("a session");
    proxy.add(Rule::new("ec2:*", When::First(2), page()));
    let denied = Rule::new("ec2:*", When::First(2), Fault::throttled());
    proxy.add(denied);
    let begun = std::time::Instant::now();
    let entries = close(&bench, &ended.request).expect("closed");
    assert_eq!(names(&entries).last().map(String::as_str), Some("revoked"));
    assert!(begun.elapsed() > Duration::from_secs(30));
    assert!(!works(&bench, &session));
}

#[test]
fn closing_waits_for_iam_and_says_that_it_waits() {
    side_by_side(
        vec![
            ("unreachable", Fault::Unreachable, "no whole answer"),
            ("refusing", Fault::denied(), "AccessDenied"),
            ("throttling", Fault::throttled(), "fewer calls"),
        ],
        |(what, fault, said)| {
            let bench = Bench::sealed();
            let ended = ceremony(&bench);
            let session = ended.session.expect("a session");
            // Each try of the worker's is up to three calls where a repeat is harmless.
            let down = Rule::new("iam:PutRolePolicy", When::First(5), fault);
            bench.world.proxy().add(down);
            let entries = names(&close(&bench, &ended.request).expect("closed"));
            let place = |name: &str| entries.iter().position(|e| e == name).expect(name);
            assert!(
                place("close_pending") < place("revoke_applied"),
                "{entries:?}"
            );
            // Each setback is told with its number and the time of the next try.
            let told: Vec<u32> = journal(&bench, &ended.request)
                .into_iter()
                .filter_map(|e| match e.step {
                    Step::ClosePending {
                        tries,
                        next_attempt: Some(next),
                        ..
                    } => (next >= e.at).then_some(tries),
                    _ => None,
                })
                .collect();
            let count = u32::try_from(told.len()).expect("few");
            assert_eq!(told, (1..=count).collect::<Vec<_>>(), "{what}");
            assert_eq!(entries.last().map(String::as_str), Some("revoked"));
            let why = pending(&bench, &ended.request).expect("pending");
            assert!(why.contains(said), "{why}");
            assert!(!works(&bench, &session), "{what}");
        },
    );
}
