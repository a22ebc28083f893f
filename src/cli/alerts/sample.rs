//! The samples: what CloudTrail would record of a bypass of the audit bucket's retention, in both of its forms, of a use of a role of twotap's
//! and of a revocation taken away, all marked as a test.
//!
//! Nobody but AWS may put events with a source that begins with `aws.` (EventBridge API reference, `PutEventsRequestEntry`), so a sample says
//! [`SOURCE`], which the rules of `packaging/aws` take as well. Everything that a rule looks at besides is as CloudTrail writes it.

use serde_json::{Value, json};

/// Where a sample says that it comes from.
const SOURCE: &str = "twotap.simulation";
/// As CloudTrail's events are called on the bus.
const DETAIL_TYPE: &str = "AWS API Call via CloudTrail";
/// An address of documentation (RFC 5737), so that nobody looks for it.
const ADDRESS: &str = "192.0.2.1";

/// One sample event: what is put, and what has to be in its alert.
pub(super) struct Sample {
    /// What it plays.
    pub name: &'static str,
    /// Stands in this alert alone.
    pub marker: String,
    /// Of whom it tells: the ARN of whoever simulates.
    who: String,
    /// A parameter's name that stands in its alert.
    parameter: &'static str,
    detail: Value,
}

/// What samples are made for.
pub(super) struct About<'a> {
    /// Tells this simulation from others.
    pub marker: &'a str,
    /// The account.
    pub account: &'a str,
    /// The ARN of whoever simulates.
    pub who: &'a str,
    /// The Region.
    pub region: &'a str,
    /// The audit bucket.
    pub bucket: &'a str,
    /// RFC 3339, UTC.
    pub time: &'a str,
}

/// What is played: its name, service, event, and the parameter that tells what it was about.
const PLAYED: [(&str, &str, &str, &str); 4] = [
    ("bypass-header", "s3", "DeleteObject", "bucketName"),
    ("bypass-boolean", "s3", "DeleteObject", "bucketName"),
    ("use", "sts", "AssumeRole", "roleArn"),
    (
        "revocation-removed",
        "iam",
        "DeleteRolePolicy",
        "policyName",
    ),
];

/// One of each.
pub(super) fn samples(about: &About<'_>) -> Vec<Sample> {
    PLAYED
        .into_iter()
        .map(|(name, service, event, parameter)| {
            let marker = format!("{}-{name}", about.marker);
            let data = service == "s3";
            let detail = json!({
                "eventVersion": "1.11",
                "userIdentity": {
                    "type": "AssumedRole",
                    "arn": about.who,
                    "accountId": about.account,
                },
                "eventTime": about.time,
                "eventSource": format!("{service}.amazonaws.com"),
                "eventName": event,
                "awsRegion": about.region,
                "sourceIPAddress": ADDRESS,
                "userAgent": "[twotap alerts simulate: this is a test]",
                "requestParameters": parameters(name, &marker, about),
                "responseElements": null,
                "eventID": marker,
                "readOnly": event == "AssumeRole",
                "eventType": "AwsApiCall",
                "managementEvent": !data,
                "recipientAccountId": about.account,
                "eventCategory": if data { "Data" } else { "Management" },
            });
            Sample {
                name,
                marker,
                who: about.who.to_owned(),
                parameter,
                detail,
            }
        })
        .collect()
}

fn parameters(name: &str, marker: &str, about: &About<'_>) -> Value {
    let About {
        bucket,
        account,
        who,
        ..
    } = about;
    let partition = who.split(':').nth(1).unwrap_or("aws");
    let key = format!("TEST/{marker}");
    match name {
        "bypass-header" => {
            json!({"bucketName": bucket, "key": key, "x-amz-bypass-governance-retention": "true"})
        }
        "bypass-boolean" => {
            json!({"bucketName": bucket, "key": key, "bypassGovernanceRetention": true})
        }
        "use" => json!({
            "roleArn": format!("arn:{partition}:iam::{account}:role/twotap/TEST"),
            "roleSessionName": marker,
            "sourceIdentity": "TEST",
        }),
        _ => json!({"roleName": "TEST", "policyName": format!("twotap-revoke-TEST-{marker}")}),
    }
}

impl Sample {
    /// As an entry of `aws events put-events`.
    pub(super) fn entry(&self, bus: &str) -> Value {
        json!({
            "Source": SOURCE,
            "DetailType": DETAIL_TYPE,
            "Detail": self.detail.to_string(),
            "EventBusName": bus,
        })
    }

    /// Which of the elements that triage needs stand in the alert as plain text: WHO, WHERE, WHAT.
    pub(super) fn elements(&self, alert: &str) -> [(&'static str, bool); 3] {
        // The event's id has the marker too: what was done has to stand there without it.
        let what = self.detail["requestParameters"].as_object();
        let told = |value: &Value| value.as_str().is_none_or(|text| alert.contains(text));
        let what = what.is_some_and(|fields| fields.values().all(told));
        [
            ("WHO", alert.contains(&self.who)),
            ("WHERE", alert.contains(ADDRESS)),
            ("WHAT", what && alert.contains(self.parameter)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made() -> Vec<Sample> {
        samples(&About {
            marker: "twotap-simulate-abc",
            account: "111122223333",
            who: "arn:aws:sts::111122223333:assumed-role/security/sofia",
            region: "eu-central-1",
            bucket: "twotap-audit",
            time: "2026-01-06T10:00:00Z",
        })
    }

    #[test]
    fn a_sample_is_marked_as_a_test_and_cannot_be_taken_for_another() {
        let all = made();
        for one in &all {
            let entry = one.entry("default");
            assert_eq!(entry["Source"], SOURCE);
            let detail = entry["Detail"].as_str().expect("text");
            assert!(detail.contains("TEST"), "{detail}");
            let others = all.iter().filter(|other| detail.contains(&other.marker));
            assert_eq!(others.count(), 1, "{detail}");
        }
    }

    #[test]
    fn what_an_alert_lacks_is_named() {
        for one in made() {
            let whole = one.detail.to_string();
            assert!(one.elements(&whole).iter().all(|(_, there)| *there));
            for (lost, element) in [(one.who.as_str(), 0), (ADDRESS, 1), (one.parameter, 2)] {
                let alert = whole.replace(lost, "-");
                let lacking = one.elements(&alert);
                assert!(!lacking[element].1, "{lost}");
            }
        }
    }
}
