//! The sample: what CloudTrail would record of a bypass of the audit bucket's retention, in both of its forms, marked as a test.
//!
//! Nobody but AWS may put events with a source that begins with `aws.` (EventBridge User Guide, 'PutEvents'), so a sample says
//! [`SOURCE`], which the rules of `packaging/aws` take as well. Everything that a rule looks at besides is as CloudTrail writes it.

use serde_json::{Value, json};

/// Where a sample says that it comes from.
pub(super) const SOURCE: &str = "twotap.simulation";
/// As CloudTrail's events are called on the bus.
const DETAIL_TYPE: &str = "AWS API Call via CloudTrail";
/// An address of documentation (RFC 5737), so that nobody looks for it.
const ADDRESS: &str = "192.0.2.1";

/// One sample event: what is put, and what has to be in its alert.
pub(super) struct Sample {
    /// Which form of the bypass it has.
    pub form: &'static str,
    /// Stands in this alert alone.
    pub marker: String,
    /// Of whom it tells: the ARN of whoever simulates.
    pub who: String,
    detail: Value,
}

/// What a sample is made for.
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

/// The samples: the header and the boolean.
pub(super) fn samples(about: &About<'_>) -> Vec<Sample> {
    [
        ("header", "x-amz-bypass-governance-retention", json!("true")),
        ("boolean", "bypassGovernanceRetention", json!(true)),
    ]
    .into_iter()
    .map(|(form, parameter, value)| {
        let marker = format!("{}-{form}", about.marker);
        let mut parameters = json!({
            "bucketName": about.bucket,
            "Host": format!("{}.s3.{}.amazonaws.com", about.bucket, about.region),
            "key": format!("TEST/{marker}"),
        });
        parameters[parameter] = value;
        Sample {
            form,
            who: about.who.to_owned(),
            detail: json!({
                "eventVersion": "1.10",
                "userIdentity": {
                    "type": "AssumedRole",
                    "arn": about.who,
                    "accountId": about.account,
                },
                "eventTime": about.time,
                "eventSource": "s3.amazonaws.com",
                "eventName": "DeleteObject",
                "awsRegion": about.region,
                "sourceIPAddress": ADDRESS,
                "userAgent": "[twotap alerts simulate: this is a test]",
                "requestParameters": parameters,
                "responseElements": null,
                "eventID": marker,
                "readOnly": false,
                "resources": [{
                    "type": "AWS::S3::Object",
                    "ARN": format!("arn:aws:s3:::{}/TEST/{marker}", about.bucket),
                }],
                "eventType": "AwsApiCall",
                "managementEvent": false,
                "recipientAccountId": about.account,
                "eventCategory": "Data",
            }),
            marker,
        }
    })
    .collect()
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
        let what = [self.marker.as_str(), "bucketName"];
        [
            ("WHO", alert.contains(&self.who)),
            ("WHERE", alert.contains(ADDRESS)),
            ("WHAT", what.iter().all(|part| alert.contains(part))),
        ]
    }
}
