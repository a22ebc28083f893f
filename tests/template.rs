//! The shipped CloudFormation templates: within AWS's limits, deployed twice without a change, every parameter explained, and rules that look
//! for what they say and for nothing else.

mod aws_stack;
#[path = "template/events.rs"]
mod events;
#[path = "template/silencing.rs"]
mod silencing;

use aws_stack::Account;
use serde_json::{Value, json};
use twotap_rig::stack::{AlertRule, Shipped, Stack};

/// Both templates for one account.
fn stacks() -> [Stack; 2] {
    let of = |shipped, region| Stack::of(shipped, "111122223333", region).expect("a template");
    [
        of(Shipped::Main, "eu-central-1"),
        of(Shipped::Forward, "us-east-1"),
    ]
}

fn rules(stack: &Stack) -> Vec<AlertRule> {
    stack.rules().expect("rules")
}

/// A template that is larger has to be put into a bucket first, and there is none yet.
#[test]
fn the_templates_are_within_awss_limits() {
    for shipped in [Shipped::Main, Shipped::Forward] {
        assert!(
            shipped.text().len() <= 51_200,
            "{shipped:?}: {} bytes",
            shipped.text().len()
        );
    }
    for stack in stacks() {
        for rule in rules(&stack) {
            let pattern = rule.pattern.to_string();
            assert!(
                pattern.len() <= 2_048,
                "{}: {} characters",
                rule.name,
                pattern.len()
            );
            assert!(rule.targets.len() <= 5, "{}", rule.name);
            let Some(transformer) = rule.transformer() else {
                continue;
            };
            let template = transformer["InputTemplate"].as_str().expect("a template");
            assert!(
                template.len() <= 8_192,
                "{}: {} characters",
                rule.name,
                template.len()
            );
            let paths = transformer["InputPathsMap"].as_object().expect("paths");
            assert!(paths.len() <= 100);
            // Every path is used, every place has a path: AWS leaves what it does not know as it stands.
            let places: Vec<&str> = template
                .split('<')
                .skip(1)
                .filter_map(|rest| rest.split_once('>'))
                .map(|(name, _)| name)
                .collect();
            for place in &places {
                assert!(paths.contains_key(*place), "{}: <{place}>", rule.name);
            }
            for name in paths.keys() {
                assert!(places.contains(&name.as_str()), "{}: {name}", rule.name);
            }
            assert_eq!(
                template.matches('>').count(),
                places.len(),
                "{}: AWS has no way to write > itself",
                rule.name
            );
        }
    }
    let scp: Value = serde_json::from_str(include_str!("../packaging/aws/scp.json")).expect("JSON");
    assert!(scp.to_string().len() <= 5_120, "an organisation's policy");
    // AWS refuses both in an organisation's policy; who it is not for stands in its conditions.
    assert!(!scp.to_string().contains("Principal\":"), "{scp}");
}

/// What is not delivered is kept, read-only calls are seen where the user or a role is looked for, and no forwarding goes round.
#[test]
fn every_rule_has_a_queue_for_what_it_cannot_deliver() {
    let [main, forward] = stacks();
    for (stack, queue) in [(&main, "AlertsDead"), (&forward, "ForwardDead")] {
        let queue = stack.arn(queue).expect("an ARN");
        for rule in rules(stack) {
            assert!(
                rule.name.starts_with("twotap-"),
                "the topic lets in rules of that name alone"
            );
            assert_eq!(
                rule.targets[0]["DeadLetterConfig"]["Arn"],
                queue.as_str(),
                "{}",
                rule.name
            );
        }
    }
    for name in ["twotap-use", "twotap-sessions"] {
        assert_eq!(
            main.rule(name).expect("a rule").state,
            "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"
        );
    }
    for rule in rules(&forward) {
        assert_eq!(
            rule.state, "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS",
            "{}",
            rule.name
        );
        let role = rule.targets[0]["RoleArn"].as_str().expect("a role");
        assert!(
            !role.contains(":role/twotap/"),
            "taking {role} would be a use of twotap's roles, and be handed on for ever"
        );
    }
}

/// Where what hands on is cut, its own events go no further: an alarm of that Region says so, past role and rules, and looks at each queue.
#[test]
fn a_queue_that_fills_has_an_alarm_in_its_own_region() {
    for (stack, alarm, queue, topic) in [
        (&stacks()[0], "AlertsDeadAlarm", "AlertsDead", "Alerts"),
        (
            &stacks()[1],
            "ForwardDeadAlarm",
            "ForwardDead",
            "Forwarding",
        ),
    ] {
        let alarm = stack.properties(alarm).expect("an alarm");
        let name = stack.properties(queue).expect("a queue")["QueueName"].clone();
        assert_eq!(alarm["Dimensions"][0]["Value"], name);
        assert_eq!(alarm["MetricName"], "ApproximateNumberOfMessagesVisible");
        assert_eq!(
            (&alarm["Threshold"], &alarm["ComparisonOperator"]),
            (&json!(0), &json!("GreaterThanThreshold"))
        );
        let topic = stack.arn(topic).expect("a topic");
        assert_eq!(alarm["AlarmActions"], json!([topic]));
        // What the organisation's policy and the ceiling keep.
        assert!(
            alarm["AlarmName"]
                .as_str()
                .is_some_and(|name| name.starts_with("twotap-"))
        );
        assert!(topic.contains(":twotap-"), "{topic}");
    }
}

/// What either template looks for it looks for in both: a role of the one that is cut is an identity of the other's.
#[test]
fn roles_that_hand_on_are_looked_after() {
    let [main, forward] = stacks();
    let role = forward.properties("ForwardRole").expect("a role");
    let role = role["RoleName"].as_str().expect("a name").to_owned();
    for (stack, rule) in [
        (&main, "twotap-identities"),
        (&forward, "twotap-forward-identities"),
    ] {
        let rule = stack.rule(rule).expect("a rule");
        let any = rule.pattern["detail"]["requestParameters"]["$or"].clone();
        let names = any.as_array().expect("a list").iter();
        let mut roles = names.filter_map(|one| one["roleName"].as_array()).flatten();
        assert!(
            roles.any(|one| {
                one["prefix"]
                    .as_str()
                    .is_some_and(|prefix| role.starts_with(prefix))
            }),
            "{}",
            rule.name
        );
    }
}

#[test]
fn every_parameter_is_explained() {
    let readme = include_str!("../packaging/aws/README.md");
    for shipped in [Shipped::Main, Shipped::Forward] {
        let template: Value = serde_json::from_str(shipped.text()).expect("JSON");
        for (name, parameter) in template["Parameters"].as_object().expect("parameters") {
            assert!(
                readme.contains(&format!("| `{name}` |")),
                "{name} is not in packaging/aws/README.md"
            );
            assert!(
                parameter["Description"]
                    .as_str()
                    .is_some_and(|text| text.len() > 20),
                "{name}"
            );
        }
    }
    let mode = &serde_json::from_str::<Value>(Shipped::Main.text()).expect("JSON")["Parameters"]["AuditMode"];
    assert!(
        mode.get("Default").is_none(),
        "the mode of the write-once record has to be named"
    );
}

#[test]
fn a_second_deployment_changes_nothing() {
    let account = Account::empty();
    let first = account.deploy();
    assert!(
        first.contains("Successfully created/updated stack"),
        "{first}"
    );
    let stands = || {
        account.aws(&[
            "cloudformation",
            "describe-stack-resources",
            "--stack-name",
            "twotap",
        ])
    };
    let made = stands()["StackResources"]
        .as_array()
        .expect("resources")
        .clone();
    let status = |resource: &Value| resource["ResourceStatus"].as_str().unwrap_or("").to_owned();
    assert!(made.len() > 25, "{}", made.len());
    assert!(
        made.iter()
            .all(|resource| status(resource) == "CREATE_COMPLETE"),
        "{made:#?}"
    );
    let second = account.deploy();
    assert!(second.contains("No changes to deploy"), "{second}");
    assert_eq!(
        stands()["StackResources"].as_array().map(Vec::len),
        Some(made.len())
    );
}

/// Each rule at the emulator's own reading of EventBridge's patterns.
#[test]
fn rules_look_for_what_they_say_and_for_nothing_else() {
    let account = Account::empty();
    let stack = Stack::shipped(&account.number, "eu-central-1").expect("the template");
    let samples = events::samples(&account.number);
    let rules = rules(&stack);
    let mut wrong = Vec::new();
    for (what, event, expected) in &samples {
        for rule in &rules {
            let asked =
                json!({"EventPattern": rule.pattern.to_string(), "Event": event.to_string()});
            let reply = twotap_rig::Aws::shared()
                .expect("the emulator")
                .admin(&account.number);
            let reply = reply
                .json("events", "AWSEvents.TestEventPattern", &asked)
                .expect("an answer");
            let reply: Value = serde_json::from_str(&reply.body).expect("JSON");
            let matched = reply["Result"]
                .as_bool()
                .unwrap_or_else(|| panic!("{}: {reply}", rule.name));
            if matched != expected.contains(&rule.name.as_str()) {
                wrong.push(format!("{}, {what}: {matched}", rule.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    for rule in &rules {
        assert!(
            samples
                .iter()
                .any(|(_, _, expected)| expected.contains(&rule.name.as_str())),
            "nothing is found by {}",
            rule.name
        );
    }
}
