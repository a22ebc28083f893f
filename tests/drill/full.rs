//! A whole ceremony as a drill: two taps, a session that is refused everything and that nobody gets, a real rotation, and how long it took.

use serde_json::Value;
use twotap_rig::{Site, site::Requested};

use crate::{REFUSED, agent_support::until, events, readiness, ready, status};

fn begin(site: &Site) -> Requested {
    let asked = site
        .twotap("dana", &["--json", "drill", "prod", "--full", "--no-wait"])
        .expect("dana")
        .json()
        .expect("asked");
    Requested::of(&asked).expect("a request")
}

fn generation(site: &Site) -> Option<u64> {
    status(site)["vaults"][0]["generation"].as_u64()
}

fn until_ended(site: &Site, request: &Requested) -> Value {
    site.wait_for_step(request, "rotated").expect("rotated");
    let view = site.view(request).expect("a view");
    assert_ne!(view["stage"], "approved", "{view}");
    // The agent looks at the vault once more when the worker has spoken its last word.
    until("the new generation is shown", || {
        generation(site) == Some(3)
    });
    view
}

#[test]
fn a_full_drill_rotates_for_real_and_gives_nobody_a_session() {
    let site = ready();
    assert_eq!(generation(&site), Some(2));
    let proxy = site.world().proxy();
    let request = begin(&site);
    // Custodians see plainly what it is.
    let review = site
        .twotap("alice", &["approve", &request.id, "--review"])
        .expect("alice")
        .ok()
        .expect("shown");
    let screen = review.stderr + &review.stdout;
    assert!(screen.contains("THIS IS A DRILL"), "{screen}");
    assert!(screen.contains("NO SESSION"), "{screen}");

    proxy.clear_calls();
    site.approve("alice", &request).expect("approved");
    site.approve("bob", &request).expect("approved");
    let view = until_ended(&site, &request);
    assert_eq!(view["stage"], "closed", "{view}");
    assert!(
        view["outcome"]
            .as_str()
            .is_some_and(|o| o.starts_with("the drill passed")),
        "{view}"
    );

    // One session in the operator's role, under a policy that allows nothing, and one call that was refused.
    let taken = proxy.calls_of("sts:AssumeRole");
    let role = site.world().role_arn(twotap_rig::world::OPERATOR_ROLE);
    let is = |call: &twotap_rig::Call, name: &str, value: &str| {
        call.params.get(name).is_some_and(|v| v == value)
    };
    let mine = taken.iter().filter(|c| is(c, "RoleSessionName", "dana"));
    let mine: Vec<_> = mine.collect();
    assert_eq!(mine.len(), 1, "{taken:?}");
    assert!(is(mine[0], "RoleArn", &role) && is(mine[0], "DurationSeconds", "900"));
    let policy = mine[0].params.get("Policy").map(String::as_str);
    assert_eq!(policy, Some(twotap::trust::request::NOTHING_ALLOWED));
    assert!(proxy.calls_of("iam:PutRolePolicy").is_empty());
    let probed = proxy.calls_of("ec2:DescribeRegions");
    assert_eq!(probed.len(), 1);
    assert_eq!(probed[0].status, Some(403));

    // The operator gets nothing.
    let none = site.credentials("dana", &request).expect("ran");
    assert_ne!(none.status, Some(0), "{}", none.stdout);

    let passed = events(&site, "DRILL_FULL_PASSED");
    assert_eq!(passed.len(), 1);
    assert_eq!(passed[0]["correlation_id"], request.id.as_str());
    let trend = &readiness(&site)["full_drills"];
    assert_eq!(trend.as_array().map(Vec::len), Some(1));
    assert_eq!(
        trend[0]["quorum_ms"],
        passed[0]["what"]["time_to_quorum_ms"]
    );
    assert!(trend[0]["quorum_ms"].as_u64().is_some_and(|ms| ms > 0));
    assert!(trend[0]["access_ms"].as_u64().is_some_and(|ms| ms > 0));
    let history = site
        .twotap("sofia", &["drill", "prod", "--history"])
        .expect("sofia")
        .ok()
        .expect("shown");
    assert!(history.stdout.contains(&request.id), "{}", history.stdout);
    // Both approvals were proofs.
    assert_eq!(readiness(&site)["custodians"][1]["by"], "approval");
}

#[test]
fn a_drill_that_gets_no_session_says_so_and_the_key_is_replaced_all_the_same() {
    use twotap_rig::{Fault, Rule, When};
    let site = ready();
    let request = begin(&site);
    // The call that has to be refused is let through by nobody; it just never answers.
    site.world().proxy().add(Rule::new(
        "ec2:DescribeRegions",
        When::Always,
        Fault::Unreachable,
    ));
    site.approve("alice", &request).expect("approved");
    site.approve("bob", &request).expect("approved");
    let view = until_ended(&site, &request);
    assert_eq!(view["stage"], "failed", "{view}");
    let outcome = view["outcome"].as_str().expect("why");
    assert!(outcome.contains("not seen refused"), "{outcome}");
    assert!(outcome.contains("the key was replaced"), "{outcome}");
    assert!(events(&site, "DRILL_FULL_PASSED").is_empty());
    assert_eq!(readiness(&site)["full_drills"], serde_json::json!([]));
}

#[test]
fn nobody_but_an_operator_asks_for_one() {
    let site = ready();
    let alice = site
        .twotap("alice", &["--json", "drill", "prod", "--full", "--no-wait"])
        .expect("alice")
        .go()
        .expect("ran");
    assert!(alice.refused_with(REFUSED), "{}", alice.stderr);
}
