//! CloudTrail, as the proxy plays it: a record of every call that AWS acted on or refused, in the shape of
//! <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html>.
//!
//! ```text
//! world.proxy().trail()                     // every record so far, oldest first
//! trail::as_file(&records)                  // what CloudTrail puts into its bucket, before gzip
//! world.proxy().deliver_trail(&["bucket"])  // from now on records go to the account's event bus, as at AWS:
//!                                           // management events, and writes to objects of these buckets
//! ```
//!
//! Not recorded, as at AWS: calls whose key AWS does not know, and data events of services other than S3.

mod parameters;
mod s3;
mod who;

use hyper::Response;
use hyper::body::Bytes;
use hyper::http::request::Parts;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

use crate::proxy::Call;
use crate::xml;

pub(crate) use who::{Identities, Identity, learn, lookup};

/// How CloudTrail writes that governance was to be bypassed; both have been seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BypassForm {
    /// `"x-amz-bypass-governance-retention": "true"`.
    #[default]
    Header,
    /// `"bypassGovernanceRetention": true`.
    Boolean,
}

/// What a proxy keeps of it.
#[derive(Default)]
pub(crate) struct Trail {
    pub(crate) records: Vec<Value>,
    pub(crate) identities: Identities,
    pub(crate) form: BypassForm,
    /// Buckets whose data events are delivered; `None` while nothing is.
    pub(crate) deliver: Option<Vec<String>>,
}

/// The records as CloudTrail writes a file of them: `{"Records": [...]}`.
pub fn as_file(records: &[Value]) -> String {
    json!({ "Records": records }).to_string()
}

/// The records as `aws cloudtrail lookup-events` prints them: newest first, each whole as a string.
pub fn as_lookup_events(records: &[Value]) -> String {
    let events = records.iter().rev().map(|record| {
        json!({
            "EventId": record["eventID"],
            "EventName": record["eventName"],
            "ReadOnly": record["readOnly"].to_string(),
            "AccessKeyId": record["userIdentity"]["accessKeyId"],
            "EventTime": record["eventTime"],
            "EventSource": record["eventSource"],
            "Username": record["userIdentity"]["userName"],
            "Resources": [],
            "CloudTrailEvent": record.to_string(),
        })
    });
    json!({ "Events": events.collect::<Vec<_>>() }).to_string()
}

/// The records one a line.
pub fn as_lines(records: &[Value]) -> String {
    records.iter().map(|record| format!("{record}\n")).collect()
}

/// An entry of `PutEvents` for a record; the emulator is taught that this source is AWS's own.
pub(crate) fn as_event(record: &Value) -> Value {
    let service = record["eventSource"].as_str().unwrap_or_default();
    let service = service.split('.').next().unwrap_or_default();
    json!({
        "Source": format!("cloudtrail:aws.{service}"),
        "DetailType": "AWS API Call via CloudTrail",
        "Detail": record.to_string(),
        "EventBusName": "default",
    })
}

/// Whether a record goes to the event bus, where data events of these buckets do.
pub(crate) fn is_delivered(record: &Value, buckets: &[String]) -> bool {
    let bucket = record["requestParameters"]["bucketName"].as_str();
    record["managementEvent"] == true
        || (record["readOnly"] == false
            && buckets.iter().any(|named| Some(named.as_str()) == bucket))
}

/// Errors after which AWS does not know who called, and records nothing.
const NOBODY: [&str; 7] = [
    "MissingAuthenticationToken",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "InvalidSignatureException",
    "AuthFailure",
];

/// Actions that are data events, which nobody has switched on.
const DATA: [&str; 12] = [
    "events:PutEvents",
    "sns:Publish",
    "sqs:SendMessage",
    "sqs:ReceiveMessage",
    "sqs:DeleteMessage",
    "dynamodb:GetItem",
    "dynamodb:Query",
    "dynamodb:PutItem",
    "dynamodb:Scan",
    "dynamodb:BatchGetItem",
    "dynamodb:UpdateItem",
    "dynamodb:DeleteItem",
];

/// What AWS has done with a call.
pub(crate) struct Seen<'a> {
    pub(crate) call: &'a Call,
    pub(crate) head: &'a Parts,
    pub(crate) body: &'a Bytes,
    pub(crate) response: &'a Response<Bytes>,
    pub(crate) identity: Option<&'a Identity>,
    /// AWS's clock.
    pub(crate) now: OffsetDateTime,
    pub(crate) account: &'a str,
    pub(crate) form: BypassForm,
}

/// The records of a call: two where a role is taken in another account, which has its own trail.
pub(crate) fn records(seen: &Seen<'_>) -> Vec<Value> {
    let Seen { call, head, .. } = seen;
    let reply = crate::client::Reply::of(seen.response);
    let unknown = |code: &str| NOBODY.contains(&code);
    if reply.error.as_deref().is_some_and(unknown) || DATA.contains(&call.action.as_str()) {
        return Vec::new();
    }
    let service = call.service();
    let operation = s3::Operation::of(seen);
    let name = match &operation {
        Some(operation) => operation.name.to_owned(),
        None => call.action.split(':').nth(1).unwrap_or_default().to_owned(),
    };
    let error = reply
        .error
        .as_deref()
        .map(|code| errors(service, code, reply.status));
    let denied = error
        .as_deref()
        .is_some_and(|code| code.ends_with("AccessDenied"));
    let parameters = match &operation {
        Some(operation) => operation.parameters(seen),
        // Who was not let in is not told what of, and neither is the trail.
        None if denied => Value::Null,
        None => parameters::of(call, head, seen.body),
    };
    let reads = is_read_only(&name);
    let response = match (&error, reads && name != "AssumeRole") {
        (None, false) => response_elements(seen, &name, &reply.body),
        _ => Value::Null,
    };
    let management = operation
        .as_ref()
        .is_none_or(|operation| !operation.is_data());
    let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    let mut record = json!({
        "eventVersion": "1.11",
        "userIdentity": who::shown(call, seen.identity, seen.account),
        "eventTime": seconds(seen.now),
        "eventSource": format!("{service}.amazonaws.com"),
        "eventName": name,
        "awsRegion": if service == "iam" { "us-east-1" } else { &call.region },
        "sourceIPAddress": "127.0.0.1",
        "userAgent": header("user-agent").unwrap_or("-"),
        "requestParameters": parameters,
        "responseElements": response,
        "requestID": request_id(seen.response, &reply.body),
        "eventID": uuid(),
        "readOnly": reads,
        "eventType": "AwsApiCall",
        "managementEvent": management,
        "recipientAccountId": seen.account,
        "eventCategory": if management { "Management" } else { "Data" },
    });
    if let Some(code) = error {
        record["errorCode"] = code.into();
        record["errorMessage"] = message(&reply.body).into();
    }
    if let Some(operation) = &operation {
        record["resources"] = operation.resources(seen.account);
    }
    let role = call.param("RoleArn").filter(|_| name == "AssumeRole");
    let Some(role) = role else {
        return vec![record];
    };
    let owner = role.split(':').nth(4).unwrap_or_default().to_owned();
    record["resources"] = json!([{"accountId": owner, "type": "AWS::IAM::Role", "ARN": role}]);
    if owner == seen.account {
        return vec![record];
    }
    record["sharedEventID"] = uuid().into();
    let mut theirs = record.clone();
    theirs["eventID"] = uuid().into();
    theirs["recipientAccountId"] = owner.into();
    vec![record, theirs]
}

/// What AWS tells of its answer to a call that changes something.
fn response_elements(seen: &Seen<'_>, name: &str, body: &str) -> Value {
    let text = |field: &str| xml::text(body, field);
    match name {
        "AssumeRole" => {
            let seconds = seen.call.param("DurationSeconds").unwrap_or("3600");
            let lasts = time::Duration::seconds(seconds.parse().unwrap_or(3600));
            let mut response = json!({
                "credentials": {
                    "accessKeyId": text("AccessKeyId"),
                    "sessionToken": text("SessionToken"),
                    "expiration": in_words(seen.now + lasts),
                },
                "assumedRoleUser": {"assumedRoleId": text("AssumedRoleId"), "arn": text("Arn")},
            });
            if let Some(identity) = seen.call.param("SourceIdentity") {
                response["sourceIdentity"] = identity.into();
            }
            response
        }
        "CreateAccessKey" => json!({
            "accessKey": {
                "accessKeyId": text("AccessKeyId"),
                "status": "Active",
                "userName": text("UserName"),
                "createDate": in_words(seen.now),
            }
        }),
        _ => Value::Null,
    }
}

/// As CloudTrail counts: AssumeRole changes nothing.
fn is_read_only(name: &str) -> bool {
    let reads = [
        "Get",
        "List",
        "Describe",
        "Head",
        "Simulate",
        "Lookup",
        "AssumeRole",
    ];
    reads.iter().any(|prefix| name.starts_with(prefix))
}

fn errors(service: &str, code: &str, status: u16) -> String {
    match (service, code, status) {
        ("ec2", code, _) => format!("Client.{code}"),
        // The answer to a HEAD has no body.
        ("s3", "Unknown", 403) => "AccessDenied".to_owned(),
        ("s3", "Unknown", 404) => "NoSuchKey".to_owned(),
        (_, code, _) => code.to_owned(),
    }
}

fn message(body: &str) -> String {
    if let Ok(Value::Object(fields)) = serde_json::from_str(body) {
        let fields: serde_json::Map<String, Value> = fields;
        let text = ["message", "Message"]
            .iter()
            .find_map(|n| fields.get(*n)?.as_str());
        return text.unwrap_or_default().to_owned();
    }
    xml::text(body, "Message").unwrap_or_default()
}

fn request_id(response: &Response<Bytes>, body: &str) -> String {
    let headers = ["x-amzn-requestid", "x-amz-request-id"];
    let named = headers
        .iter()
        .find_map(|name| response.headers().get(*name));
    let named = named.and_then(|id| id.to_str().ok()).map(str::to_owned);
    named
        .or_else(|| xml::text(body, "RequestId"))
        .unwrap_or_else(uuid)
}

/// `2026-01-06T10:00:00Z`, the only precision that CloudTrail has.
fn seconds(at: OffsetDateTime) -> String {
    let at = at.replace_nanosecond(0).unwrap_or(at);
    at.format(&Rfc3339).unwrap_or_default()
}

/// `Jan 6, 2026, 10:00:00 AM`, as times within answers are written.
fn in_words(at: OffsetDateTime) -> String {
    at.format(format_description!(
        "[month repr:short] [day padding:none], [year], [hour repr:12 padding:none]:[minute]:[second] [period]"
    ))
    .unwrap_or_default()
}

fn uuid() -> String {
    let uuid = std::fs::read_to_string("/proc/sys/kernel/random/uuid");
    uuid.map(|text| text.trim().to_owned()).unwrap_or_default()
}
