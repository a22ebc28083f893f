//! What would silence the alerts without touching trail, rules or topic.

use serde_json::{Value, json};

use crate::events::{Sample, Who, call};

/// Alarms, queues, logs and the key's name: ours alert, and nobody else's.
pub(crate) fn samples(account: &str) -> Vec<Sample> {
    let queue = |name: &str| json!({"queueUrl": format!("https://sqs.eu-central-1.amazonaws.com/{account}/{name}")});
    let alarms = |name: &str| json!({"alarmNames": ["app", name]});
    let alarm = |name: &str| json!({"alarmName": name});
    let group = |name: &str| json!({"logGroupName": format!("/aws/events/{name}")});
    let policy = |name: &str| json!({"policyName": name});
    let alias = |name: &str| json!({"aliasName": format!("alias/{name}")});
    type Parameters<'a> = &'a dyn Fn(&str) -> Value;
    let kinds: [(&str, &[&str], Parameters<'_>, &str); 6] = [
        (
            "monitoring",
            &["DeleteAlarms", "DisableAlarmActions"],
            &alarms,
            "twotap-alerts-dead",
        ),
        (
            "monitoring",
            &["PutMetricAlarm"],
            &alarm,
            "twotap-alerts-dead",
        ),
        (
            "sqs",
            &["DeleteQueue", "SetQueueAttributes", "PurgeQueue"],
            &queue,
            "twotap-alerts-dead",
        ),
        (
            "logs",
            &["DeleteLogGroup", "PutRetentionPolicy"],
            &group,
            "twotap-sessions",
        ),
        (
            "logs",
            &["DeleteResourcePolicy", "PutResourcePolicy"],
            &policy,
            "twotap-sessions",
        ),
        (
            "kms",
            &["DeleteAlias", "UpdateAlias"],
            &alias,
            "twotap-audit",
        ),
    ];
    let by = |service, name, parameters: Value| {
        call(account, &Who::Administrator, service, name, &parameters)
    };
    let mut all: Vec<Sample> = Vec::new();
    for (service, names, parameters, own) in kinds {
        for name in names {
            all.push((
                "what tells of it",
                by(service, name, parameters(own)),
                &["twotap-blinding"],
            ));
            all.push((
                "somebody else's",
                by(service, name, parameters("orders")),
                &[],
            ));
        }
    }
    all
}
