//! Several roles: each opened by itself, each closed by itself, and what could not be opened said plainly.

use twotap::{
    protocol::job::{Entry, Step},
    trust::{
        Timestamp,
        receipt::{Outcome, Receipt},
    },
};
use twotap_rig::{
    proxy::{Fault, When},
    world,
};

use crate::{
    ceremony::{ceremony, close, journal, sealed_key},
    kept_key, other_steward, roles, roles_of,
    support::names,
    taking, three_roles, works,
};

fn revoked(entries: &[Entry]) -> Receipt {
    let receipt = entries.iter().find_map(|e| match &e.step {
        Step::Revoked { receipt } => Some(receipt),
        _ => None,
    });
    receipt.expect("a receipt").unverified().expect("a receipt")
}

#[test]
fn three_roles_in_two_accounts_are_opened_by_the_user_itself_and_each_is_seen_refused_in_the_end() {
    let bench = three_roles();
    let before = sealed_key(&bench);
    bench.world.proxy().clear_calls();
    let ended = ceremony(&bench);
    let entries = ended.result.expect("done");
    let session = ended.session.expect("a session");
    assert_eq!(roles_of(&session), roles(&bench));
    assert!(session.targets.iter().all(|t| works(&bench, t)));
    assert!(session.targets[2].account == bench.world.further().expect("two"));
    let minted = names(&entries).iter().filter(|n| *n == "minted").count();
    assert_eq!(minted, 3, "{:?}", names(&entries));

    // By the user's own key, never by another session; one steward an account, each before the first role that it closes.
    let taken = bench.world.proxy().calls_of("sts:AssumeRole");
    let mine = |c: &&twotap_rig::proxy::Call| c.param("RoleSessionName") != Some("twotap-proof");
    let taken: Vec<_> = taken.iter().filter(mine).collect();
    assert_eq!(taken.len(), 5);
    let place = |role: &str| {
        let it = taken.iter().position(|c| c.param("RoleArn") == Some(role));
        it.expect("asked for")
    };
    let own = bench.world.role_arn(world::STEWARD_ROLE);
    let [first, second, other] = roles(&bench);
    assert!(place(&own) < place(&first) && place(&own) < place(&second));
    assert!(place(&other_steward(&bench)) < place(&other));
    for call in &taken {
        assert_eq!(call.access_key_id.as_deref(), Some(before.as_str()));
        assert_eq!(call.tags(), [("twotap", ended.request.as_str())]);
    }
    let policies: Vec<_> = [&first, &second, &other]
        .map(|role| taken[place(role)].param("Policy").expect("a policy"))
        .into();
    assert!(policies.iter().all(|p| *p == policies[0]));

    let begun = Timestamp::now();
    let entries = close(&bench, &ended.request).expect("closed");
    for target in &session.targets {
        assert!(!works(&bench, target), "{} is still let in", target.role);
    }
    let receipt = revoked(&entries);
    let Outcome::Revoked {
        targets,
        not_opened,
        refusals,
        identity_until,
        ..
    } = receipt.outcome
    else {
        panic!("another receipt");
    };
    let mut seen: Vec<_> = targets.iter().map(|t| t.role.clone()).collect();
    seen.sort();
    let mut all = roles(&bench).to_vec();
    all.sort();
    assert_eq!(seen, all);
    for target in &targets {
        assert!(
            target
                .regions
                .iter()
                .all(|r| r.refusals >= 10 && r.since >= begun)
        );
    }
    assert!(refusals >= 10 && not_opened.is_empty());
    let later = session.not_after.until(identity_until.expect("a time"));
    assert!((0..=5).contains(&later), "{later} s after the box");
    // Side by side: one after another they would be half a minute apart.
    let since = || targets.iter().flat_map(|t| &t.regions).map(|r| r.since);
    let (first, last) = (since().min().expect("one"), since().max().expect("one"));
    assert!(first.until(last) < 30, "{first} to {last}");
    let further = bench.world.further().expect("two");
    for (account, role) in [
        (bench.world.account(), world::OPERATOR_ROLE),
        (bench.world.account(), world::DATABASE_ROLE),
        (further, world::OPERATOR_ROLE),
    ] {
        let policies = bench.world.role_policies_in(account, role).expect("a list");
        assert!(
            policies.keys().any(|p| p.contains(&ended.request)),
            "{account} {role}"
        );
    }
    assert_eq!(bench.world.proxy().broken(), [""; 0]);
}

#[test]
fn a_role_that_cannot_be_opened_keeps_no_other_from_being_opened_and_is_named_with_the_cause() {
    // Which role is refused; whether it is the account's steward that is.
    crate::ceremony::side_by_side(
        vec![(0, false), (2, false), (2, true)],
        |(which, steward)| {
            let bench = three_roles();
            let all = roles(&bench);
            let role = match steward {
                true => other_steward(&bench),
                false => all[which].clone(),
            };
            let rule = taking(&role, When::Always, Fault::denied());
            bench.world.proxy().add(rule.with("SourceIdentity", "dana"));
            bench.world.proxy().clear_calls();
            let ended = ceremony(&bench);
            ended.result.expect("the ceremony goes through");
            let session = ended.session.expect("a session");
            let open: Vec<_> = all.iter().filter(|r| **r != all[which]).collect();
            assert_eq!(
                roles_of(&session),
                open.iter().map(|r| r.as_str()).collect::<Vec<_>>()
            );
            assert!(session.targets.iter().all(|t| works(&bench, t)));
            let said = journal(&bench, &ended.request);
            let why = said.iter().find_map(|e| match &e.step {
                Step::TargetFailed { role, why } => (*role == all[which]).then_some(why),
                _ => None,
            });
            let why = why.expect("said");
            let whose = if steward {
                "the steward's session"
            } else {
                "the operator's session"
            };
            assert!(why.contains(whose) && why.contains("AccessDenied"), "{why}");
            assert!(!names(&said).contains(&"mint_failed".to_owned()));
            // Without one who could close it no operator's session is asked for.
            let taken = bench.world.proxy().calls_of("sts:AssumeRole");
            let asked = taken
                .iter()
                .filter(|c| c.param("RoleSessionName") == Some("dana"))
                .filter(|c| c.param("RoleArn") == Some(&all[which]))
                .count();
            assert_eq!(asked, usize::from(!steward));

            let entries = close(&bench, &ended.request).expect("closed");
            let Outcome::Revoked {
                targets,
                not_opened,
                ..
            } = revoked(&entries).outcome
            else {
                panic!("another receipt");
            };
            assert_eq!(targets.len(), 2);
            assert_eq!(not_opened.len(), 1);
            assert!(not_opened[0].role == all[which] && not_opened[0].why.contains("AccessDenied"));
            assert!(session.targets.iter().all(|t| !works(&bench, t)));
        },
    );
}

#[test]
fn with_no_role_open_there_is_no_session_and_the_key_is_replaced() {
    let bench = three_roles();
    let before = sealed_key(&bench);
    for role in roles(&bench) {
        let rule = taking(&role, When::Always, Fault::denied());
        bench.world.proxy().add(rule.with("SourceIdentity", "dana"));
    }
    let ended = ceremony(&bench);
    assert!(ended.session.is_none());
    let why = ended.result.expect_err("nothing was opened");
    assert!(
        why.contains("the operator's session could not be had"),
        "{why}"
    );
    assert_ne!(sealed_key(&bench), before);
}

#[test]
fn an_account_that_is_down_holds_up_no_others_revocation_and_revoked_waits_for_it() {
    let bench = three_roles();
    let ended = ceremony(&bench);
    let session = ended.session.expect("a session");
    let all = roles(&bench);
    let steward = kept_key(&bench, &ended.request, "steward", &other_steward(&bench));
    // Each try is up to three calls; it is told how often it was tried, and when it is tried next.
    let down =
        twotap_rig::proxy::Rule::new("iam:PutRolePolicy", When::First(9), Fault::Unreachable);
    bench.world.proxy().add(down.signed_by(&steward));
    let entries = close(&bench, &ended.request).expect("closed");
    let place =
        |found: &dyn Fn(&Step) -> bool| entries.iter().position(|e| found(&e.step)).expect("there");
    let applied =
        |role: &String| place(&|s| matches!(s, Step::RevokeApplied { role: r, .. } if r == role));
    assert!(applied(&all[0]) < applied(&all[2]) && applied(&all[1]) < applied(&all[2]));
    let pending: Vec<_> = entries
        .iter()
        .filter_map(|e| match &e.step {
            Step::ClosePending {
                role,
                tries,
                next_attempt,
                why,
            } => Some((
                role.clone(),
                *tries,
                next_attempt.expect("when"),
                why.clone(),
            )),
            _ => None,
        })
        .collect();
    assert!(!pending.is_empty());
    for (n, (role, tries, _, why)) in pending.iter().enumerate() {
        assert!(*role == all[2] && *tries as usize == n + 1, "{pending:?}");
        assert!(why.contains("no whole answer"), "{why}");
    }
    let last = entries.last().expect("some");
    assert!(matches!(last.step, Step::Revoked { .. }));
    assert!(session.targets.iter().all(|t| !works(&bench, t)));
}
