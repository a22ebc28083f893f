//! The alarms: rules, their topic and whom it tells, the queue of what could not be delivered, the log of sessions, the agent's bus.

use serde_json::{Value, json};

use crate::protocol::Problem;

use super::{
    agrees::{agrees, covers, told},
    difference::{Difference, aws, document},
    identities::{list, named, text},
    look::{Look, Seen},
    needed::{KEY_ALIAS, Needed},
    store::read,
};

/// What each rule is there for, said as what happens without it.
const RISKS: [(&str, &str); 7] = [
    (
        "twotap-bypass",
        "a bypass of the record's write-once mode alerts nobody",
    ),
    (
        "twotap-record",
        "what is removed or hidden in the record's buckets alerts nobody",
    ),
    (
        "twotap-blinding",
        "whoever switches the trail or these rules off does it in silence",
    ),
    (
        "twotap-use",
        "a theft of the sealed key is not seen until somebody looks",
    ),
    (
        "twotap-revocation",
        "a session that was revoked can be let in again in silence",
    ),
    (
        "twotap-identities",
        "a key, a trust or a boundary of twotap's can be changed in silence",
    ),
    (
        "twotap-sessions",
        "nobody can watch a session while it works",
    ),
];

/// Everything in the home Region.
pub(super) fn look(look: &Look<'_>, needed: &Needed) -> Result<(), Problem> {
    topic(look, needed)?;
    queue(look, "AlertsDead", needed)?;
    bus(look, needed)?;
    alarm(look, needed)?;
    log(look, needed)?;
    Ok(())
}

/// The rules of a template in its Region, each with its target. `none` is the command where there is no rule at all.
pub(super) fn rules(look: &Look<'_>, needed: &Needed, none: Option<String>) -> Result<(), Problem> {
    let Seen::There(listed) = look.ask(&["events", "list-rules", "--name-prefix", "twotap-"])?
    else {
        return Ok(());
    };
    let rules = needed.of_type("AWS::Events::Rule");
    let standing = |rule: &Value| named(&listed["Rules"], "Name", text(&rule["Name"]));
    if let Some(command) = none
        && !rules.iter().any(|(_, rule)| standing(rule).is_some())
    {
        look.looked();
        let thing = format!("rules in {}", look.region);
        let risk = "IAM's events are seen in one Region alone, regional STS's in their own: what is seen there alerts nobody";
        look.differs(Difference::new(thing, "nothing is handed on from there", risk).mend(command));
        return Ok(());
    }
    for (_, rule) in &rules {
        self::rule(look, rule, standing(rule))?;
    }
    Ok(())
}

fn rule(look: &Look<'_>, rule: &Value, stands: Option<&Value>) -> Result<(), Problem> {
    look.looked();
    let name = text(&rule["Name"]);
    let thing = format!("rule {name} in {}", look.region);
    let shipped = name.replacen("twotap-forward-", "twotap-", 1);
    let risk = RISKS.iter().find(|(known, _)| *known == shipped);
    let risk = risk.map_or("what it looks for alerts nobody", |(_, risk)| risk);
    let (pattern, state) = (&rule["EventPattern"], text(&rule["State"]));
    let describe = text(&rule["Description"]);
    let put = aws(&[
        "events",
        "put-rule",
        "--region",
        &look.region,
        "--name",
        name,
        "--state",
        state,
        "--description",
        describe,
        "--event-pattern",
        &document(pattern),
    ]);
    let target = &rule["Targets"][0];
    let aim = aws(&[
        "events",
        "put-targets",
        "--region",
        &look.region,
        "--rule",
        name,
        "--targets",
        &document(&json!([target])),
    ]);
    let Some(stands) = stands else {
        look.differs(
            Difference::new(thing, "it does not exist", risk)
                .mend(put)
                .mend(aim),
        );
        return Ok(());
    };
    let stated = text(&stands["State"]);
    let what = if stated == "DISABLED" {
        Some("it is switched off".to_owned())
    } else if stated != state {
        Some("it does not see read-only calls".to_owned())
    } else if !agrees(pattern, &read(&stands["EventPattern"])) {
        Some("it looks for something else than was shipped".to_owned())
    } else {
        None
    };
    if let Some(what) = what {
        look.differs(Difference::new(&thing, what, risk).mend(put));
    }
    let targets = match look.ask(&["events", "list-targets-by-rule", "--rule", name])? {
        Seen::There(answer) => answer["Targets"].clone(),
        _ => return Ok(()),
    };
    let (what, risk) = match named(&targets, "Id", text(&target["Id"])) {
        None => ("it has no target", risk),
        Some(stands) if text(&stands["Arn"]) != text(&target["Arn"]) => {
            ("it tells somebody else", risk)
        }
        Some(stands) if !covers(&target["InputTransformer"], &stands["InputTransformer"]) => (
            "its message is not what was shipped",
            "whoever gets it cannot see from it who, where and what",
        ),
        Some(stands) if !covers(&target["DeadLetterConfig"], &stands["DeadLetterConfig"]) => (
            "it has no queue for what it cannot deliver",
            "an alert that cannot be delivered is lost without a trace",
        ),
        Some(_) => return Ok(()),
    };
    look.differs(Difference::new(thing, what, risk).mend(aim));
    Ok(())
}

/// The topic: its key, its policy, and whether it tells anybody.
fn topic(look: &Look<'_>, needed: &Needed) -> Result<(), Problem> {
    look.looked();
    let shipped = needed.resource("Alerts");
    let name = text(&shipped["TopicName"]);
    let policy = &needed.resource("AlertsPolicy")["PolicyDocument"];
    let arn = text(&policy["Statement"][0]["Resource"]).to_owned();
    let thing = format!("topic {name}");
    let region = ["--region", look.region.as_str()];
    let set = |attribute: &str, value: &str| {
        let at = [
            "--topic-arn",
            &arn,
            "--attribute-name",
            attribute,
            "--attribute-value",
            value,
        ];
        aws(&[&["sns", "set-topic-attributes"][..], &region[..], &at[..]].concat())
    };
    let attributes = match look.ask(&["sns", "get-topic-attributes", "--topic-arn", &arn])? {
        Seen::There(answer) => answer["Attributes"].clone(),
        Seen::Refused => return Ok(()),
        Seen::Missing => {
            let make = aws(&[
                &["sns", "create-topic"][..],
                &region[..],
                &["--name", name][..],
            ]
            .concat());
            let risk = "no rule of AWS's side can tell anybody anything";
            look.differs(
                Difference::new(thing, "it does not exist", risk)
                    .mend(make)
                    .mend(set("KmsMasterKeyId", KEY_ALIAS))
                    .mend(set("Policy", &document(policy)))
                    .mend(subscribe(look, needed, &arn)),
            );
            return Ok(());
        }
    };
    let key = text(&attributes["KmsMasterKeyId"]);
    let own = text(&shipped["KmsMasterKeyId"]);
    let id = own.rsplit('/').next().unwrap_or_default();
    if !(key == id
        || key == KEY_ALIAS
        || key.ends_with(&format!(":{KEY_ALIAS}"))
        || agrees(&own.into(), &key.into()))
    {
        let (what, risk) = if key.is_empty() {
            (
                "it is not encrypted",
                "who did what from where lies in AWS's queues in clear",
            )
        } else {
            (
                "it is encrypted by another key",
                "rules may not use that key: then nothing is published",
            )
        };
        look.differs(Difference::new(&thing, what, risk).mend(set("KmsMasterKeyId", KEY_ALIAS)));
    }
    let stands = read(&attributes["Policy"]);
    if !agrees(policy, &stands) {
        let what = format!(
            "its policy is not what was shipped: {}",
            told(policy, &stands)
        );
        let risk =
            "rules cannot publish, or others can: then a false alert is as good as a true one";
        look.differs(Difference::new(&thing, what, risk).mend(set("Policy", &document(policy))));
    }
    if let Seen::There(answer) =
        look.ask(&["sns", "list-subscriptions-by-topic", "--topic-arn", &arn])?
    {
        let all = list(&answer["Subscriptions"]);
        let confirmed = |one: &&Value| text(&one["SubscriptionArn"]).starts_with("arn:");
        if !all.iter().any(|one| confirmed(&one)) {
            let waiting = all.first().map(|one| text(&one["Endpoint"]));
            let what = match waiting {
                Some(endpoint) => {
                    format!("nobody has confirmed a subscription: {endpoint} has a mail to answer")
                }
                None => "nobody subscribes to it".to_owned(),
            };
            let risk = "alerts are sent, and nobody gets them";
            look.differs(Difference::new(&thing, what, risk).mend(subscribe(look, needed, &arn)));
        }
    }
    Ok(())
}

fn subscribe(look: &Look<'_>, needed: &Needed, arn: &str) -> String {
    let whom = needed.value("AlertsEmail").filter(|mail| !mail.is_empty());
    let whom = whom.unwrap_or("security@example.org");
    aws(&[
        "sns",
        "subscribe",
        "--region",
        &look.region,
        "--topic-arn",
        arn,
        "--protocol",
        "email",
        "--notification-endpoint",
        whom,
    ])
}

/// The queue of what could not be delivered, and whether something lies in it.
pub(super) fn queue(look: &Look<'_>, logical: &str, needed: &Needed) -> Result<(), Problem> {
    look.looked();
    let shipped = needed.resource(logical);
    let name = text(&shipped["QueueName"]);
    let policy = document(&needed.resource(&format!("{logical}Policy"))["PolicyDocument"]);
    let thing = format!("queue {name} in {}", look.region);
    let region = ["--region", look.region.as_str()];
    let kept = shipped["MessageRetentionPeriod"].to_string();
    let attributes =
        json!({"Policy": policy, "MessageRetentionPeriod": kept, "SqsManagedSseEnabled": "true"});
    let lost = "an alert that cannot be delivered is lost without a trace";
    let url = match look.ask(&["sqs", "get-queue-url", "--queue-name", name])? {
        Seen::There(answer) => text(&answer["QueueUrl"]).to_owned(),
        Seen::Refused => return Ok(()),
        Seen::Missing => {
            let make = ["--queue-name", name, "--attributes", &document(&attributes)];
            let make = aws(&[&["sqs", "create-queue"][..], &region[..], &make[..]].concat());
            look.differs(Difference::new(thing, "it does not exist", lost).mend(make));
            return Ok(());
        }
    };
    let asked = [
        "sqs",
        "get-queue-attributes",
        "--queue-url",
        &url,
        "--attribute-names",
        "All",
    ];
    let Seen::There(answer) = look.ask(&asked)? else {
        return Ok(());
    };
    let stands = &answer["Attributes"];
    if !agrees(&read(&json!(policy)), &read(&stands["Policy"]))
        || text(&stands["MessageRetentionPeriod"]) != kept
    {
        let set = ["--queue-url", &url, "--attributes", &document(&attributes)];
        let set = aws(&[&["sqs", "set-queue-attributes"][..], &region[..], &set[..]].concat());
        look.differs(
            Difference::new(
                &thing,
                "its policy or its time is not what was shipped",
                lost,
            )
            .mend(set),
        );
    }
    let waiting = text(&stands["ApproximateNumberOfMessages"]);
    if !waiting.is_empty() && waiting != "0" {
        let read = ["--queue-url", &url, "--max-number-of-messages", "10"];
        let read = aws(&[&["sqs", "receive-message"][..], &region[..], &read[..]].concat());
        let what = format!("{waiting} alerts lie in it that could not be delivered");
        look.differs(
            Difference::new(&thing, what, "somebody was not told of something").mend(read),
        );
    }
    Ok(())
}

fn bus(look: &Look<'_>, needed: &Needed) -> Result<(), Problem> {
    look.looked();
    let shipped = needed.resource("AuditBus");
    let name = text(&shipped["Name"]);
    if let Seen::Missing = look.ask(&["events", "describe-event-bus", "--name", name])? {
        let make = [
            "events",
            "create-event-bus",
            "--region",
            &look.region,
            "--name",
            name,
        ];
        let risk = "the agent's own events go nowhere in AWS";
        look.differs(
            Difference::new(format!("bus {name}"), "it does not exist", risk).mend(aws(&make)),
        );
    }
    Ok(())
}

/// The alarm on that queue.
fn alarm(look: &Look<'_>, needed: &Needed) -> Result<(), Problem> {
    look.looked();
    let shipped = needed.resource("AlertsDeadAlarm");
    let name = text(&shipped["AlarmName"]);
    let thing = format!("alarm {name}");
    let Seen::There(answer) =
        look.ask(&["cloudwatch", "describe-alarms", "--alarm-names", name])?
    else {
        return Ok(());
    };
    let whom = text(&shipped["AlarmActions"][0]);
    let dimension = &shipped["Dimensions"][0];
    let dimension = format!(
        "Name={},Value={}",
        text(&dimension["Name"]),
        text(&dimension["Value"])
    );
    let number = |field: &str| shipped[field].to_string();
    let put = aws(&[
        "cloudwatch",
        "put-metric-alarm",
        "--region",
        &look.region,
        "--alarm-name",
        name,
        "--namespace",
        text(&shipped["Namespace"]),
        "--metric-name",
        text(&shipped["MetricName"]),
        "--dimensions",
        &dimension,
        "--statistic",
        text(&shipped["Statistic"]),
        "--period",
        &number("Period"),
        "--evaluation-periods",
        &number("EvaluationPeriods"),
        "--threshold",
        &number("Threshold"),
        "--comparison-operator",
        text(&shipped["ComparisonOperator"]),
        "--treat-missing-data",
        text(&shipped["TreatMissingData"]),
        "--alarm-actions",
        whom,
        "--actions-enabled",
    ]);
    let what = match named(&answer["MetricAlarms"], "AlarmName", name) {
        None => "it does not exist",
        Some(stands) if stands["ActionsEnabled"] != json!(true) => "it is switched off",
        Some(stands)
            if !list(&stands["AlarmActions"])
                .iter()
                .any(|action| text(action) == whom) =>
        {
            "it tells nobody"
        }
        Some(stands) if text(&stands["MetricName"]) != text(&shipped["MetricName"]) => {
            "it watches something else"
        }
        Some(_) => return Ok(()),
    };
    let risk = "nobody notices that alerts are not delivered";
    look.differs(Difference::new(thing, what, risk).mend(put));
    Ok(())
}

/// The log of sessions, and that rules may write to it.
fn log(look: &Look<'_>, needed: &Needed) -> Result<(), Problem> {
    look.looked();
    let (group, policy) = (
        needed.resource("SessionLog"),
        needed.resource("SessionLogPolicy"),
    );
    let name = text(&group["LogGroupName"]);
    let thing = format!("log {name}");
    let region = ["--region", look.region.as_str()];
    let kept = group["RetentionInDays"].to_string();
    let keep = ["--log-group-name", name, "--retention-in-days", &kept];
    let keep = aws(&[
        &["logs", "put-retention-policy"][..],
        &region[..],
        &keep[..],
    ]
    .concat());
    let risk = "nobody can watch a session while it works";
    if let Seen::There(answer) = look.ask(&[
        "logs",
        "describe-log-groups",
        "--log-group-name-prefix",
        name,
    ])? {
        match named(&answer["logGroups"], "logGroupName", name) {
            None => {
                let make = aws(&[
                    &["logs", "create-log-group"][..],
                    &region[..],
                    &["--log-group-name", name][..],
                ]
                .concat());
                look.differs(
                    Difference::new(&thing, "it does not exist", risk)
                        .mend(make)
                        .mend(keep),
                );
            }
            Some(stands)
                if stands["retentionInDays"]
                    .as_u64()
                    .is_some_and(|days| days < group["RetentionInDays"].as_u64().unwrap_or(0)) =>
            {
                let what = format!("it keeps {} days", stands["retentionInDays"]);
                look.differs(
                    Difference::new(
                        &thing,
                        what,
                        "a session of last year can no longer be read there",
                    )
                    .mend(keep),
                );
            }
            Some(_) => {}
        }
    }
    if let Seen::There(answer) = look.ask(&["logs", "describe-resource-policies"])? {
        let name = text(&policy["PolicyName"]);
        let stands = named(&answer["resourcePolicies"], "policyName", name);
        let document = text(&policy["PolicyDocument"]);
        if !stands
            .is_some_and(|stands| agrees(&read(&json!(document)), &read(&stands["policyDocument"])))
        {
            let put = ["--policy-name", name, "--policy-document", document];
            let put = aws(&[&["logs", "put-resource-policy"][..], &region[..], &put[..]].concat());
            look.differs(Difference::new(&thing, "rules may not write to it", risk).mend(put));
        }
    }
    Ok(())
}
