//! Every call to AWS that sealing, minting, rotating and closing make, times everything that may become of a call and of its reply.
//!
//! One fault a flow: the flow ends well, or what it owes is paid by the next one. After each: what is sealed works, it is the one key that
//! exists, the key before is dead, the session works until it is closed, and 'revoked' is said only of what AWS refuses.
//!
//! A row is a fault, with an account of its own, and its calls one after the other; rows run side by side. Pauses and windows are
//! shorter than in earnest, which only a build with failpoints allows. One row by name: `TWOTAP_ROW="lost reply"`.

#[path = "aws_faults/ceremony.rs"]
#[allow(dead_code)] // other programs use the rest
mod ceremony;
#[path = "fault_matrix/flows.rs"]
mod flows;
#[path = "fault_matrix/skew.rs"]
mod skew;
mod support;

use std::time::Duration;

use ceremony::{assert_whole, ceremony, close, credentials, sealed_key, side_by_side};
use flows::{Call, closing, fresh, of_a_ceremony, of_a_sealing, officer_key, seal, steward_key};
use support::names;
use twotap_rig::{
    Fault, Rule, When,
    proxy::{Keep, KeyLag},
    world,
};

/// Everything that may become of one call and its reply.
fn faults() -> Vec<(&'static str, Fault)> {
    let late = Fault::Delay(Duration::from_millis(700));
    vec![
        ("lost reply", Fault::LoseReply),
        ("lost request", Fault::Unreachable),
        (
            "refused connections",
            Fault::Refused(Duration::from_millis(400)),
        ),
        ("late reply", late),
        ("repeated, first reply", Fault::Repeat(Keep::First)),
        ("repeated, second reply", Fault::Repeat(Keep::Second)),
        ("reordered", Fault::Overtaken),
        ("cut in mid-body", Fault::CutBody),
        ("throttled", Fault::throttled()),
        ("5xx", Fault::failed()),
        ("5xx after it acted", Fault::failed_after()),
    ]
}

/// The rows that were asked for.
fn rows() -> Vec<(&'static str, Fault)> {
    let mut rows = faults();
    if let Ok(name) = std::env::var("TWOTAP_ROW") {
        rows.retain(|(row, _)| *row == name);
        assert!(!rows.is_empty(), "no row {name:?}");
    }
    rows
}

/// Two at a time: more would wait for the same processors.
fn by_twos<C: Send>(cases: Vec<C>, run: impl Fn(C) + Sync) {
    let mut halves: [Vec<C>; 2] = [Vec::new(), Vec::new()];
    for (i, case) in cases.into_iter().enumerate() {
        halves[i % 2].push(case);
    }
    side_by_side(halves.into(), |half| half.into_iter().for_each(&run));
}

#[test]
fn one_call_of_minting_and_rotating_goes_wrong_in_each_way() {
    by_twos(rows(), |(row, fault)| {
        let bench = fresh();
        let proxy = bench.world.proxy();
        for nth in 0..of_a_ceremony(&bench).len() {
            let before = sealed_key(&bench);
            let Call { name, rule } = of_a_ceremony(&bench).swap_remove(nth);
            let what = format!("{row}, {name}");
            proxy.add(rule.doing(fault.clone()));
            let ended = ceremony(&bench);
            assert_whole(&bench, &before, &ended, &what);
            // What was deleted is known to be: nobody is left something to do.
            let steps = names(ended.result.as_ref().expect("it ended well"));
            assert!(
                !steps.contains(&"deletion_owed".to_owned()),
                "{what}: {steps:?}"
            );
            assert_eq!(proxy.idle_rules(), [""; 0], "{what}: it never came");
            proxy.clear_rules();
            proxy.clear_calls();
        }
    });
}

#[test]
fn one_call_of_sealing_goes_wrong_in_each_way() {
    by_twos(rows(), |(row, fault)| {
        let bench = fresh();
        let proxy = bench.world.proxy();
        let calls = of_a_sealing(&bench, bench.world.first_key()).len();
        for nth in 0..calls {
            let before = sealed_key(&bench);
            let brought = officer_key(&bench);
            let Call { name, rule } = of_a_sealing(&bench, &brought).swap_remove(nth);
            let what = format!("{row}, {name}");
            proxy.add(rule.doing(fault.clone()));
            let entries = seal(&bench, &brought).unwrap_or_else(|why| panic!("{what}: {why}"));
            assert_eq!(names(&entries).last().map(String::as_str), Some("rotated"));
            flows::assert_one_sealed(&bench, &[&before, &brought.access_key_id], &what);
            assert_eq!(proxy.idle_rules(), [""; 0], "{what}: it never came");
            proxy.clear_rules();
            proxy.clear_calls();
        }
    });
}

#[test]
fn one_call_of_closing_goes_wrong_in_each_way() {
    by_twos(rows(), |(row, fault)| {
        let bench = fresh();
        let proxy = bench.world.proxy();
        for nth in 0..closing("", "").len() {
            flows::leave_an_ended_revocation(&bench);
            let ended = ceremony(&bench);
            let session = ended.session.expect("a session");
            let steward = steward_key(&bench, &ended.request);
            let Call { name, rule } =
                closing(&steward, &session.targets[0].access_key_id).swap_remove(nth);
            let what = format!("{row}, {name}");
            proxy.add(rule.doing(fault.clone()));
            let entries =
                close(&bench, &ended.request).unwrap_or_else(|why| panic!("{what}: {why}"));
            let last = names(&entries).pop();
            assert_eq!(last.as_deref(), Some("revoked"), "{what}");
            let probe = bench.world.session_probe(&credentials(&session));
            assert!(!probe.expect("an answer").is_ok(), "{what}: still open");
            assert_eq!(proxy.idle_rules(), [""; 0], "{what}: it never came");
            proxy.clear_rules();
            proxy.clear_calls();
            flows::assert_pruned(&bench, &what);
        }
    });
}

#[test]
fn a_key_that_is_not_known_for_a_minute_is_waited_for() {
    // A minute at the tenth of its length: the pauses are shorter as well.
    let bench = fresh();
    bench
        .world
        .proxy()
        .set_key_lag(KeyLag::For(Duration::from_secs(6)));
    let before = sealed_key(&bench);
    assert_whole(&bench, &before, &ceremony(&bench), "a key that lags");
    let brought = officer_key(&bench);
    let before = sealed_key(&bench);
    seal(&bench, &brought).expect("sealed");
    flows::assert_one_sealed(
        &bench,
        &[&before, &brought.access_key_id],
        "a seal that lags",
    );
}

#[test]
fn lists_that_lag_both_ways_lose_no_key_and_leave_none() {
    by_twos(vec![true, false], |hides| {
        let bench = fresh();
        let proxy = bench.world.proxy();
        let before = sealed_key(&bench);
        let old_list = flows::list_now(&bench);
        let what = if hides {
            proxy.add(Rule::new(
                "iam:CreateAccessKey",
                When::Nth(1),
                Fault::LoseReply,
            ));
            "a list that hides our orphan"
        } else {
            "a list that shows what was deleted"
        };
        let lagging = if hides {
            old_list
        } else {
            // Made, listed, deleted: the list still shows it, as active.
            let made = officer_key(&bench);
            let list = flows::list_now(&bench);
            flows::delete(&bench, &made.access_key_id);
            list
        };
        proxy.add(Rule::new("iam:ListAccessKeys", When::First(3), lagging));
        let ended = ceremony(&bench);
        assert_whole(&bench, &before, &ended, what);
        let entries = ended.result.expect("done");
        let found = entries.iter().find_map(|e| match &e.step {
            twotap::protocol::job::Step::StrayFound { whose, .. } => Some(*whose),
            _ => None,
        });
        let whose = found.unwrap_or_else(|| panic!("{what}: nothing was found"));
        use twotap::protocol::job::Whose;
        assert_eq!(
            whose,
            if hides {
                Whose::Likely
            } else {
                Whose::Stranger
            },
            "{what}"
        );
    });
}

#[test]
fn a_list_that_still_shows_the_key_of_the_time_before_finds_nobody() {
    let bench = fresh();
    let first = sealed_key(&bench);
    let old_list = flows::list_now(&bench);
    assert_whole(&bench, &first, &ceremony(&bench), "the first");
    let before = sealed_key(&bench);
    let lagging = Rule::new("iam:ListAccessKeys", When::First(3), old_list);
    bench.world.proxy().add(lagging);
    let ended = ceremony(&bench);
    assert_whole(&bench, &before, &ended, "the second");
    // The journal knows that it was deleted: no stranger is reported, and nobody is called at night.
    let steps = names(&ended.result.expect("done"));
    assert!(!steps.contains(&"stray_found".to_owned()), "{steps:?}");
}

#[test]
fn two_places_taken_by_a_stranger_who_makes_keys_as_fast_as_we_delete_them() {
    let bench = fresh();
    let before = sealed_key(&bench);
    // While ours is asked for, the place is taken, twice.
    let full = Fault::Refuse(
        409,
        "LimitExceeded".to_owned(),
        "Cannot exceed quota for AccessKeysPerUser: 2".to_owned(),
    );
    let rule = Rule::new("iam:CreateAccessKey", When::First(2), full);
    bench.world.proxy().add(rule);
    let stranger = officer_key(&bench);
    let ended = ceremony(&bench);
    assert_whole(&bench, &before, &ended, "two places taken");
    let steps = names(&ended.result.expect("done"));
    let failed = steps.iter().filter(|s| *s == "create_failed").count();
    assert_eq!(failed, 2, "{steps:?}");
    assert!(!bench.world.key_works(&stranger).expect("an answer"));
}

#[test]
fn a_host_whose_clock_is_a_day_off_opens_rotates_and_seals() {
    by_twos(vec![1i64, -1], |days| {
        let bench = fresh();
        let what = format!("{days:+} day");
        let before = sealed_key(&bench);
        let environment = skew::by(days * 24 * 3600);
        let environment: Vec<(&str, &str)> =
            environment.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let ended = flows::ceremony_in(&bench, &environment);
        assert_whole(&bench, &before, &ended, &what);
        // The worker's clock was off indeed: its own times say so.
        let entries = ended.result.expect("done");
        let first = &entries[0];
        let off = twotap::trust::Timestamp::now().until(first.at);
        assert!((off - days * 24 * 3600).abs() < 600, "{what}: {off} s");
        let keys = bench.world.list_keys(world::USER).expect("a list");
        assert_eq!(keys.len(), 1, "{what}");
    });
}
