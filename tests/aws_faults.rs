//! AWS refusing, slow, unreachable, or losing a reply: the operator gets the session where STS answers, no sealed key is ever lost, and
//! in the end exactly one exists.

#[path = "aws_faults/ceremony.rs"]
mod ceremony;
#[path = "aws_faults/outage.rs"]
mod outage;
#[path = "aws_faults/people.rs"]
mod people;
#[path = "aws_faults/snapshot.rs"]
mod snapshot;
mod support;

use std::time::Duration;

use ceremony::{
    assert_whole, ceremony, close, credentials, journal, key_of, sealed_key, side_by_side,
};
use support::{Bench, names};
use twotap_rig::{Fault, Rule, When, proxy::Keep, world};

/// Everything that may become of one call and its reply.
fn faults() -> Vec<(&'static str, Fault)> {
    vec![
        ("lost reply", Fault::LoseReply),
        ("never arrives", Fault::Unreachable),
        ("repeated, first reply", Fault::Repeat(Keep::First)),
        ("repeated, second reply", Fault::Repeat(Keep::Second)),
        ("cut in mid-body", Fault::CutBody),
        ("overtaken", Fault::Overtaken),
        ("throttled", Fault::throttled()),
        ("failed", Fault::failed()),
        ("failed after it acted", Fault::failed_after()),
    ]
}

/// One rule a call of minting and rotating, with its place in the list as its name.
fn calls_of_a_ceremony(bench: &Bench) -> Vec<(&'static str, Rule)> {
    let old = sealed_key(bench);
    let nothing = Fault::Delay(Duration::ZERO);
    let once = |action: &str| Rule::new(action, When::Nth(1), nothing.clone());
    let assume = || once("sts:AssumeRole");
    vec![
        (
            "the steward's session",
            assume().with("RoleArn", &bench.world.role_arn(world::STEWARD_ROLE)),
        ),
        (
            "the operator's session",
            assume().with("RoleSessionName", "dana"),
        ),
        ("listing keys", once("iam:ListAccessKeys")),
        ("making a key", once("iam:CreateAccessKey")),
        (
            "proving the new key",
            assume().with("RoleSessionName", "twotap-proof"),
        ),
        (
            "disabling the old key",
            once("iam:UpdateAccessKey").with("AccessKeyId", &old),
        ),
        (
            "seeing the old key refused",
            once("sts:GetCallerIdentity").signed_by(&old),
        ),
        (
            "seeing the new key work",
            once("sts:GetCallerIdentity").not_signed_by(&old),
        ),
        (
            "deleting the old key",
            once("iam:DeleteAccessKey").with("AccessKeyId", &old),
        ),
    ]
}

/// In each of as many ceremonies as there are faults every call goes wrong once, each in another way; all together every call has gone wrong
/// in every way.
#[test]
fn each_call_of_minting_and_rotating_may_go_wrong_once_in_every_way() {
    side_by_side((0..faults().len()).collect(), |shift: usize| {
        let bench = Bench::sealed();
        let before = sealed_key(&bench);
        let faults = faults();
        let mut what = String::new();
        for (i, (call, rule)) in calls_of_a_ceremony(&bench).into_iter().enumerate() {
            let (fault, happens) = faults[(i + shift) % faults.len()].clone();
            what.push_str(&format!("{call}: {fault}; "));
            bench.world.proxy().add(rule.doing(happens));
        }
        let ended = ceremony(&bench);
        assert_whole(&bench, &before, &ended, &what);
        assert_eq!(bench.world.proxy().idle_rules(), [""; 0], "{what}");
        // What is sealed is what works: it opens the next one.
        bench.world.proxy().clear_rules();
        let before = sealed_key(&bench);
        assert_whole(&bench, &before, &ceremony(&bench), "the ceremony after");
    });
}

#[test]
fn each_call_of_closing_may_go_wrong_once_in_every_way() {
    let bench = Bench::sealed();
    let faults = faults();
    // Revocations whose sessions have ended, for the closings to remove: each removal goes wrong in another way.
    let role = world::OPERATOR_ROLE;
    for (n, (_, happens)) in faults.iter().enumerate() {
        let name = format!("twotap-revoke-r-aaaaaaaaaaaaa-{}", PAST + n);
        let put = [
            ("RoleName", role),
            ("PolicyName", name.as_str()),
            ("PolicyDocument", DENIAL),
        ];
        let put = bench.world.admin().query("iam", "PutRolePolicy", &put);
        assert!(put.expect("an answer").is_ok());
        let rule = Rule::new("iam:DeleteRolePolicy", When::Nth(1), happens.clone());
        bench.world.proxy().add(rule.with("PolicyName", &name));
    }
    let sessions: Vec<_> = (0..faults.len())
        .map(|shift| {
            let ended = ceremony(&bench);
            (shift, ended.request, ended.session.expect("a session"))
        })
        .collect();
    side_by_side(sessions, |(shift, request, session)| {
        let steward = steward_key(&bench, &request);
        let calls = [
            ("putting the revocation", "iam:PutRolePolicy", &steward, 1),
            (
                "a probe",
                "ec2:DescribeRegions",
                &session.targets[0].access_key_id,
                3,
            ),
            ("listing policies", "iam:ListRolePolicies", &steward, 1),
        ];
        let mut what = String::new();
        for (i, (call, action, key, nth)) in calls.into_iter().enumerate() {
            let (fault, happens) = faults[(2 * i + shift) % faults.len()].clone();
            what.push_str(&format!("{call}: {fault}; "));
            let rule = Rule::new(action, When::Nth(nth), happens);
            bench.world.proxy().add(rule.signed_by(key));
        }
        let entries = close(&bench, &request).unwrap_or_else(|why| panic!("{what}: {why}"));
        assert_eq!(
            names(&entries),
            [
                "revoke_intent",
                "revoke_applied",
                "refusal_observed",
                "revoked"
            ],
            "{what}"
        );
        let probe = bench.world.session_probe(&credentials(&session));
        assert!(!probe.expect("an answer").is_ok(), "{what}: still open");
    });
    let policies = bench.world.role_policies(role).expect("a list");
    let left = policies
        .keys()
        .filter(|name| name.contains("aaaaaaaaaaaaa"));
    assert_eq!(left.count(), 0, "{policies:?}");
    assert_eq!(bench.world.proxy().idle_rules(), [""; 0]);
    assert_eq!(bench.world.proxy().broken(), [""; 0]);
}

/// When those sessions ended, in seconds since 1970.
const PAST: usize = 1_700_000_000;
const DENIAL: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*",
  "Condition":{"StringEquals":{"aws:PrincipalTag/twotap":"r-aaaaaaaaaaaaa"}}}]}"#;

/// The steward's key of an open session: it stands in the worker's own folder alone.
fn steward_key(bench: &Bench, request: &str) -> String {
    let kept = std::fs::read(bench.path("runtime").join(format!("{request}.json")));
    let kept: serde_json::Value = serde_json::from_slice(&kept.expect("kept")).expect("JSON");
    let sessions = kept["sessions"].as_array().expect("a list");
    let steward = sessions.iter().find(|s| s["whose"] == "steward");
    steward.expect("a steward")["access_key_id"]
        .as_str()
        .expect("a key")
        .to_owned()
}

/// What IAM lists of the user's keys now, as it would be said later by a list that lags.
fn list_now(bench: &Bench) -> Fault {
    let user = [("UserName", world::USER)];
    let reply = bench.world.admin().query("iam", "ListAccessKeys", &user);
    Fault::Answer(200, reply.expect("a list").body)
}

#[test]
fn a_list_that_lags_loses_no_key_and_leaves_none() {
    side_by_side(vec![true, false], |hides: bool| {
        let bench = Bench::sealed();
        let proxy = bench.world.proxy();
        let before = sealed_key(&bench);
        let lists = |when, fault| proxy.add(Rule::new("iam:ListAccessKeys", when, fault));
        let what = if hides {
            // The answer to making a key is lost, and the list does not show that key for a while.
            let making = Rule::new("iam:CreateAccessKey", When::Nth(1), Fault::LoseReply);
            proxy.add(making);
            lists(When::First(3), list_now(&bench));
            "a list that hides a key"
        } else {
            // The list still shows a key that was deleted since, once as active.
            let made =
                bench
                    .world
                    .admin()
                    .query("iam", "CreateAccessKey", &[("UserName", world::USER)]);
            let stranger = made.expect("made").credentials().expect("a key");
            lists(When::First(1), list_now(&bench));
            let gone = [
                ("UserName", world::USER),
                ("AccessKeyId", &stranger.access_key_id),
            ];
            let gone = bench.world.admin().query("iam", "DeleteAccessKey", &gone);
            assert!(gone.expect("an answer").is_ok());
            "a list that shows a key that is gone"
        };
        assert_whole(&bench, &before, &ceremony(&bench), what);
    });
}

#[test]
fn a_key_that_nobody_knows_is_disabled_and_deleted_before_another_is_made() {
    let bench = Bench::sealed();
    let before = sealed_key(&bench);
    let user = [("UserName", world::USER)];
    let made = bench.world.admin().query("iam", "CreateAccessKey", &user);
    let stranger = made.expect("made").credentials().expect("a key");
    let ended = ceremony(&bench);
    assert_whole(&bench, &before, &ended, "a stranger's key");
    assert!(!bench.world.key_works(&stranger).expect("an answer"));
    let entries = ended.result.as_ref().expect("done");
    let steps = names(entries);
    let at = |name: &str| steps.iter().position(|s| s == name).expect("there");
    assert!(
        at("stranger_disabled") < at("stranger_deleted"),
        "{steps:?}"
    );
    assert!(at("stranger_deleted") < at("key_created"), "{steps:?}");
    assert!(at("minted") < at("stranger_disabled"), "{steps:?}");
    // Whoever used it has been heard from by then.
    let settled = entries[at("stranger_disabled")].at;
    let settled = settled.until(entries[at("stranger_deleted")].at);
    assert!(settled >= 30, "{settled} s");
}

#[test]
fn a_new_key_that_is_not_known_everywhere_yet_is_waited_for() {
    let bench = Bench::sealed();
    let before = sealed_key(&bench);
    bench
        .world
        .proxy()
        .set_key_lag(twotap_rig::proxy::KeyLag::Calls(3));
    assert_whole(&bench, &before, &ceremony(&bench), "a key that lags");
    // The same for the key that is sealed now: one that was made a moment ago, and is not known to every server.
    let before = sealed_key(&bench);
    let unknown = || {
        let message = "The security token included in the request is invalid.";
        Fault::Refuse(403, "InvalidClientTokenId".to_owned(), message.to_owned())
    };
    for action in ["sts:AssumeRole", "iam:ListAccessKeys"] {
        let rule = Rule::new(action, When::First(2), unknown()).signed_by(&before);
        bench.world.proxy().add(rule);
    }
    assert_whole(&bench, &before, &ceremony(&bench), "a sealed key that lags");
}

#[test]
fn a_slow_answer_is_waited_for_or_asked_for_again() {
    // AWS acts at once each time; the second answer takes longer than anybody waits.
    side_by_side(vec![3, 12], |seconds: u64| {
        let bench = Bench::sealed();
        let before = sealed_key(&bench);
        let slow = Fault::Delay(Duration::from_secs(seconds));
        let rule = Rule::new("sts:AssumeRole", When::Nth(1), slow).with("RoleSessionName", "dana");
        bench.world.proxy().add(rule);
        let what = format!("{seconds} s");
        assert_whole(&bench, &before, &ceremony(&bench), &what);
        let asked = bench.world.proxy().calls_of("sts:AssumeRole");
        let asked = asked
            .iter()
            .filter(|c| c.param("RoleSessionName") == Some("dana"));
        assert_eq!(asked.count(), if seconds > 10 { 2 } else { 1 }, "{what}");
    });
}

#[test]
fn a_session_whose_answer_was_lost_is_revoked_with_the_one_that_was_delivered() {
    let bench = Bench::sealed();
    let lost = Rule::new("sts:AssumeRole", When::Nth(1), Fault::LoseReply);
    bench
        .world
        .proxy()
        .add(lost.with("RoleSessionName", "dana"));
    bench.world.proxy().clear_calls();
    let ended = ceremony(&bench);
    let delivered = ended.session.expect("a session");
    let made: Vec<_> = bench
        .world
        .proxy()
        .calls_of("sts:AssumeRole")
        .into_iter()
        .filter(|c| c.param("RoleSessionName") == Some("dana"))
        .filter_map(|c| c.credentials())
        .collect();
    assert_eq!(made.len(), 2);
    let lost = made
        .iter()
        .find(|c| c.access_key_id != delivered.targets[0].access_key_id);
    let lost = lost.expect("another session").clone();
    assert!(bench.world.session_probe(&lost).expect("an answer").is_ok());
    close(&bench, &ended.request).expect("closed");
    for session in [lost, credentials(&delivered)] {
        let probe = bench.world.session_probe(&session).expect("an answer");
        assert!(!probe.is_ok(), "{probe:?}");
    }
}

#[test]
fn the_next_region_answers_where_the_first_one_does_not() {
    let bench = Bench::sealed();
    let toml = bench.path("worker.toml");
    let text = std::fs::read_to_string(&toml).expect("there");
    let both = text.replace("[\"eu-central-1\"]", "[\"eu-central-1\", \"eu-west-1\"]");
    std::fs::write(&toml, both).expect("written");
    let before = sealed_key(&bench);
    let down = Rule::new("sts:*", When::Always, Fault::Unreachable).in_region("eu-central-1");
    bench.world.proxy().add(down);
    assert_whole(&bench, &before, &ceremony(&bench), "one Region down");
}

#[test]
fn without_aws_time_the_request_says_that_the_clock_is_the_hosts() {
    let bench = Bench::sealed();
    let before = sealed_key(&bench);
    // The unsigned question for AWS's Date; it is not signed, so it has no service.
    bench.world.proxy().add(Rule::new(
        ":GetCallerIdentity",
        When::Always,
        Fault::Unreachable,
    ));
    let (_, made) = bench.ask();
    let asked = made.offer.unverified::<twotap::trust::request::Offer>();
    let clock = asked.expect("an offer").0.clock;
    assert_eq!(clock, twotap::trust::request::Clock::Host);
    assert_whole(&bench, &before, &ceremony(&bench), "no Date");
}

#[test]
fn what_the_journal_says_of_a_key_is_what_aws_did() {
    let bench = Bench::sealed();
    let old = sealed_key(&bench);
    let ended = ceremony(&bench);
    let new = sealed_key(&bench);
    assert!(
        !bench
            .world
            .key_works(&key_of(&bench.world, &old))
            .expect("an answer")
    );
    let said = serde_json::to_string(&journal(&bench, &ended.request)).expect("JSON");
    assert!(said.contains(&old) && said.contains(&new));
    for made in bench.world.proxy().keys_made() {
        assert!(!said.contains(&made.secret_access_key));
    }
}
