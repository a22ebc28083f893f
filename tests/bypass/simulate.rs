//! `twotap alerts simulate`: the whole path proven by whoever may, and what is not in order named.

use std::{
    collections::BTreeSet,
    process::{Command, Output},
};

use serde_json::{Value, json};
use twotap_rig::{
    Credentials, World,
    alerts::{Alerts, somebody},
    tools,
};

use super::{SOON, fields, of, standing};

/// What the verb's help says that it needs.
const NEEDED: [&str; 8] = [
    "cloudformation:DescribeStacks",
    "events:PutEvents",
    "sns:Subscribe",
    "sns:Unsubscribe",
    "sqs:CreateQueue",
    "sqs:ReceiveMessage",
    "sqs:DeleteMessage",
    "sqs:DeleteQueue",
];

fn simulate(world: &World, key: &Credentials, args: &[&str]) -> Output {
    let home = tempfile::tempdir().expect("a home");
    let aws = tools::script("aws").expect("the AWS CLI");
    let path = format!(
        "{}:/usr/bin:/bin",
        aws.parent().expect("a folder").display()
    );
    let mut verb = Command::new(env!("CARGO_BIN_EXE_twotap"));
    verb.env_clear()
        .env("PATH", path)
        .env("HOME", home.path())
        .env("AWS_ENDPOINT_URL", world.endpoint())
        .env("AWS_ACCESS_KEY_ID", &key.access_key_id)
        .env("AWS_SECRET_ACCESS_KEY", &key.secret_access_key)
        .env("AWS_REGION", world.region())
        .args(["--json", "alerts", "simulate"])
        .args(args)
        .output()
        .expect("it runs")
}

fn json_of(done: &Output) -> Value {
    serde_json::from_slice(&done.stdout).unwrap_or_else(|why| panic!("{why}: {done:?}"))
}

/// Addresses of all queues that a simulation has made.
fn queues(alerts: &Alerts) -> String {
    let all = json!({"QueueNamePrefix": "twotap-simulate-"});
    let listed = alerts.home().json("sqs", "AmazonSQS.ListQueues", &all);
    listed.expect("an answer").body
}

#[test]
fn the_samples_go_the_whole_way_and_nothing_is_left_of_them() {
    let (world, alerts) = standing();
    let sofia = somebody(&world, "sofia", &NEEDED).expect("a user");
    // Each step is a run of `aws`, which takes long where others need the processors.
    let done = simulate(&world, &sofia, &["--within", "5m"]);
    assert!(done.status.success(), "{done:?}");
    let said = json_of(&done);
    let arrived = said["alerts"].as_array().expect("a list");
    assert_eq!(arrived.len(), 4, "{said}");
    let who = format!("arn:aws:iam::{}:user/sofia", world.account());
    for alert in arrived {
        assert_eq!(
            alert["elements"],
            json!({"WHO": true, "WHERE": true, "WHAT": true})
        );
        let text = alert["text"].as_str().expect("text");
        assert!(text.contains(&who) && text.contains("192.0.2.1"), "{text}");
        assert!(
            text.contains("TEST") && text.contains("twotap.simulation"),
            "{text}"
        );
        let seconds = alert["seconds"].as_f64().expect("a number");
        assert!(seconds > 0.0, "{alert}");
    }
    // People had them too, and see that they are a test.
    let mailed = alerts
        .wait(SOON, |came| !of(came, "BLINDING").is_empty())
        .expect("mail");
    let marked = mailed.iter().filter(|a| a.contains("twotap.simulation"));
    let events: BTreeSet<String> = marked
        .map(|alert| fields(alert)["event_id"].to_string())
        .collect();
    assert_eq!(events.len(), 4, "{mailed:#?}");
    assert_eq!(of(&mailed, "GOVERNANCE BYPASS").len(), 2);
    // That the test's own queue was taken off the topic is told like any other, and was said.
    let blinding = of(&mailed, "BLINDING");
    assert_eq!(blinding.len(), 1, "{mailed:#?}");
    assert!(blinding[0].contains("Unsubscribe") && blinding[0].contains(&who));
    let noted = String::from_utf8_lossy(&done.stderr);
    assert!(noted.contains("BLINDING"), "{noted}");

    assert!(!queues(&alerts).contains("twotap-simulate-"));
    let topic = [("TopicArn", alerts.topic())];
    let subscribed = alerts
        .home()
        .query("sns", "ListSubscriptionsByTopic", &topic);
    let subscribed = subscribed.expect("an answer").body;
    assert!(
        subscribed.contains(":mailbox") && !subscribed.contains("twotap-simulate-"),
        "{subscribed}"
    );
}

#[test]
fn a_rule_that_is_off_and_an_alert_that_lacks_who_are_named() {
    let (world, alerts) = standing();
    let sofia = somebody(&world, "sofia", &NEEDED).expect("a user");
    let here = [
        "--topic",
        alerts.topic(),
        "--bucket",
        alerts.bucket(),
        "--queue-url",
        alerts.queue(),
    ];

    let mut silent = alerts.stack().rule("twotap-revocation").expect("a rule");
    silent.state = "DISABLED".to_owned();
    alerts.put_rule(&silent).expect("off");
    let mut nameless = alerts.stack().rule("twotap-use").expect("a rule");
    let transformer = &mut nameless.targets[0]["InputTransformer"];
    transformer["InputPathsMap"]["who"] = "$.detail.userIdentity.userName".into();
    alerts.put_rule(&nameless).expect("changed");

    let done = simulate(&world, &sofia, &[&here[..], &["--within", "45s"]].concat());
    assert_eq!(done.status.code(), Some(10), "{done:?}");
    let said = json_of(&done)["error"].to_string();
    assert!(said.contains("revocation-removed did not arrive"), "{said}");
    assert!(said.contains("use came without WHO"), "{said}");
    assert!(!said.contains("bypass-"), "{said}");
    assert!(said.contains("twotap aws check"), "{said}");
}

#[test]
fn who_may_not_is_told_what_is_missing_and_leaves_nothing_behind() {
    let (world, alerts) = standing();
    let here = ["--topic", alerts.topic(), "--bucket", alerts.bucket()];
    for missing in ["events:PutEvents", "sns:Subscribe"] {
        let rest: Vec<&str> = NEEDED.into_iter().filter(|one| *one != missing).collect();
        let name = missing.replace(':', "-");
        let sofia = somebody(&world, &name, &rest).expect("a user");
        let done = simulate(&world, &sofia, &here);
        assert_eq!(done.status.code(), Some(9), "{done:?}");
        let said = json_of(&done)["error"].to_string();
        assert!(said.contains(missing), "{said}");
        assert!(!queues(&alerts).contains("twotap-simulate-"), "{missing}");
    }
    // No AWS CLI at all.
    let nowhere = Command::new(env!("CARGO_BIN_EXE_twotap"))
        .env_clear()
        .env("PATH", "/nonexistent")
        .args(["--json", "alerts", "simulate"])
        .output()
        .expect("it runs");
    assert_eq!(nowhere.status.code(), Some(2), "{nowhere:?}");
    assert!(
        json_of(&nowhere)["error"]["hint"]
            .to_string()
            .contains("AWS CLI")
    );
}
