//! Calls as CloudTrail writes them and EventBridge delivers them, and which of the rules have to find each.

use serde_json::{Value, json};

pub(crate) type Sample = (&'static str, Value, &'static [&'static str]);

/// Who calls.
pub(crate) enum Who {
    /// The break-glass user with its key.
    User,
    /// A session of a role of twotap's.
    Session(&'static str),
    /// Somebody's session of a role that is not.
    Administrator,
    /// The agent's sinks.
    Writer,
    /// A service of AWS's, which has no ARN.
    Service,
}

fn identity(account: &str, who: &Who) -> Value {
    let user = |name: &str| json!({"type": "IAMUser", "arn": format!("arn:aws:iam::{account}:user/twotap/{name}"), "userName": name});
    let session = |path: &str| {
        let name = path.rsplit('/').next().unwrap_or(path);
        json!({
            "type": "AssumedRole",
            "arn": format!("arn:aws:sts::{account}:assumed-role/{name}/dana"),
            "sessionContext": {"sessionIssuer": {"type": "Role", "arn": format!("arn:aws:iam::{account}:role/{path}"), "userName": name}},
        })
    };
    match who {
        Who::User => user("break-glass"),
        Who::Writer => user("audit-writer"),
        Who::Session(name) => session(&format!("twotap/{name}")),
        Who::Administrator => session("administrator"),
        Who::Service => json!({"type": "AWSService", "invokedBy": "cloudtrail.amazonaws.com"}),
    }
}

pub(crate) fn call(
    account: &str,
    who: &Who,
    service: &str,
    name: &str,
    parameters: &Value,
) -> Value {
    let reads = ["Get", "List", "Describe"]
        .iter()
        .any(|verb| name.starts_with(verb));
    json!({
        "version": "0", "id": "00000000-0000-0000-0000-000000000000", "source": format!("aws.{service}"),
        "detail-type": "AWS API Call via CloudTrail", "account": account, "region": "eu-central-1", "time": "2026-11-22T07:01:10Z", "resources": [],
        "detail": {
            "eventVersion": "1.11", "eventSource": format!("{service}.amazonaws.com"), "eventName": name, "readOnly": reads,
            "userIdentity": identity(account, who), "sourceIPAddress": "203.0.113.7", "requestParameters": parameters,
        },
    })
}

pub(crate) fn samples(account: &str) -> Vec<Sample> {
    let mut all = record(account);
    all.extend(identities(account));
    all.extend(blinding(account));
    all
}

/// Objects and settings of the write-once buckets.
fn record(account: &str) -> Vec<Sample> {
    use Who::{Administrator, Service, Writer};
    let audit = format!("twotap-audit-{account}-eu-central-1");
    let trail = format!("twotap-trail-{account}-eu-central-1");
    let s3 = |who: &Who, name: &str, parameters: Value| call(account, who, "s3", name, &parameters);
    let form_a = |value: Value| json!({"bucketName": audit, "key": "000001", "x-amz-bypass-governance-retention": value});
    let form_b = |value: Value| json!({"bucketName": audit, "key": "000001", "bypassGovernanceRetention": value});
    let plain = || json!({"bucketName": audit, "key": "000001"});
    let mut all: Vec<Sample> = Vec::new();
    for name in [
        "DeleteObject",
        "DeleteObjects",
        "DeleteObjectVersion",
        "PutObjectRetention",
        "PutObjectLegalHold",
    ] {
        for (what, parameters) in [
            ("form A", form_a(json!("true"))),
            ("form A, another case", form_a(json!("True"))),
            ("form B as text", form_b(json!("true"))),
        ] {
            all.push((
                what,
                s3(&Administrator, name, parameters),
                &["twotap-bypass"],
            ));
        }
        // A pattern cannot say "anything but the boolean true". Two alerts are better than a value that none looks for.
        for (what, parameters) in [
            ("form A as a boolean", form_a(json!(true))),
            ("form B", form_b(json!(true))),
        ] {
            all.push((
                what,
                s3(&Administrator, name, parameters),
                &["twotap-bypass", "twotap-record"],
            ));
        }
        let odd = form_a(json!("yes"));
        all.push((
            "a bypass that is none",
            s3(&Administrator, name, odd),
            &["twotap-record"],
        ));
        // No bypass, but something was removed from the record, hidden in it, or its retention changed.
        for parameters in [plain(), form_a(json!("false")), form_b(json!(false))] {
            all.push((
                "without a bypass",
                s3(&Administrator, name, parameters),
                &["twotap-record"],
            ));
        }
    }
    let elsewhere =
        json!({"bucketName": "assets", "key": "x", "x-amz-bypass-governance-retention": "true"});
    all.extend::<[Sample; 10]>([
        (
            "a bypass in another bucket",
            s3(&Administrator, "DeleteObject", elsewhere),
            &["twotap-bypass"],
        ),
        (
            "another bucket",
            s3(
                &Administrator,
                "DeleteObject",
                json!({"bucketName": "assets", "key": "x"}),
            ),
            &[],
        ),
        ("the sink writes", s3(&Writer, "PutObject", plain()), &[]),
        ("the sink reads", s3(&Writer, "GetObject", plain()), &[]),
        (
            "the trail delivers",
            s3(
                &Service,
                "PutObject",
                json!({"bucketName": trail, "key": "AWSLogs/x"}),
            ),
            &[],
        ),
        (
            "the trail's files go",
            s3(
                &Administrator,
                "DeleteObject",
                json!({"bucketName": trail, "key": "AWSLogs/x"}),
            ),
            &["twotap-record"],
        ),
        (
            "its policy",
            s3(
                &Administrator,
                "PutBucketPolicy",
                json!({"bucketName": audit}),
            ),
            &["twotap-record"],
        ),
        (
            "its lock",
            s3(
                &Administrator,
                "PutBucketObjectLockConfiguration",
                json!({"bucketName": audit}),
            ),
            &["twotap-record"],
        ),
        (
            "its life",
            s3(&Administrator, "DeleteBucket", json!({"bucketName": trail})),
            &["twotap-record"],
        ),
        (
            "an operator looks",
            s3(
                &Who::Session("op-admin"),
                "ListObjects",
                json!({"bucketName": "assets"}),
            ),
            &["twotap-sessions"],
        ),
    ]);
    let mut test = s3(&Administrator, "DeleteObject", form_a(json!("true")));
    test["source"] = "twotap.simulation".into();
    all.push(("a simulation", test, &["twotap-bypass"]));
    all
}

/// The user, the roles, revocations.
fn identities(account: &str) -> Vec<Sample> {
    use Who::{Administrator, Session, User};
    let iam =
        |who: &Who, name: &str, parameters: Value| call(account, who, "iam", name, &parameters);
    let assume = |who: &Who, role: &str| {
        let arn = format!("arn:aws:iam::{account}:role/{role}");
        call(
            account,
            who,
            "sts",
            "AssumeRole",
            &json!({"roleArn": arn, "roleSessionName": "dana"}),
        )
    };
    let revocation = || json!({"roleName": "op-admin", "policyName": "twotap-revoke-r-jmlboxtovwmsu-1795345269"});
    let mut console = call(
        account,
        &Session("op-admin"),
        "signin",
        "ConsoleLogin",
        &Value::Null,
    );
    console["detail-type"] = "AWS Console Sign In via CloudTrail".into();
    let identity = call(account, &User, "sts", "GetCallerIdentity", &Value::Null);
    vec![
        ("the key is asked who it is", identity, &["twotap-use"]),
        (
            "the key is replaced",
            iam(&User, "CreateAccessKey", json!({"userName": "break-glass"})),
            &["twotap-use"],
        ),
        (
            "a role is taken",
            assume(&User, "twotap/op-admin"),
            &["twotap-use"],
        ),
        (
            "somebody else tries to",
            assume(&Administrator, "twotap/op-admin"),
            &["twotap-use"],
        ),
        ("another role is taken", assume(&Administrator, "app"), &[]),
        (
            "an operator tries to go on",
            assume(&Session("op-admin"), "app"),
            &["twotap-sessions"],
        ),
        (
            "an operator at the console",
            console,
            &["twotap-use", "twotap-sessions"],
        ),
        (
            "an operator works",
            call(
                account,
                &Session("op-admin"),
                "ec2",
                "RebootInstances",
                &json!({}),
            ),
            &["twotap-sessions"],
        ),
        (
            "closing revokes",
            iam(&Session("steward"), "PutRolePolicy", revocation()),
            &["twotap-sessions"],
        ),
        (
            "a steward takes it away",
            iam(&Session("steward"), "DeleteRolePolicy", revocation()),
            &["twotap-revocation", "twotap-sessions"],
        ),
        (
            "somebody takes it away",
            iam(&Administrator, "DeleteRolePolicy", revocation()),
            &["twotap-revocation", "twotap-identities"],
        ),
        (
            "somebody writes over it",
            iam(&Administrator, "PutRolePolicy", revocation()),
            &["twotap-revocation", "twotap-identities"],
        ),
        (
            "another policy",
            iam(
                &Administrator,
                "DeleteRolePolicy",
                json!({"roleName": "app", "policyName": "read"}),
            ),
            &[],
        ),
        (
            "a key of the user",
            iam(
                &Administrator,
                "CreateAccessKey",
                json!({"userName": "break-glass"}),
            ),
            &["twotap-identities"],
        ),
        (
            "a key of the writer",
            iam(
                &Administrator,
                "CreateAccessKey",
                json!({"userName": "audit-writer"}),
            ),
            &["twotap-identities"],
        ),
        (
            "a boundary goes",
            iam(
                &Administrator,
                "DeleteRolePermissionsBoundary",
                json!({"roleName": "op-admin"}),
            ),
            &["twotap-identities"],
        ),
        (
            "the role that hands events on",
            iam(
                &Administrator,
                "DeleteRolePolicy",
                json!({"roleName": "forward-us-east-1", "policyName": "twotap"}),
            ),
            &["twotap-identities"],
        ),
        (
            "the ceiling changes",
            iam(
                &Administrator,
                "CreatePolicyVersion",
                json!({"policyArn": format!("arn:aws:iam::{account}:policy/twotap/ceiling")}),
            ),
            &["twotap-identities"],
        ),
        (
            "somebody looks at it",
            iam(&Administrator, "GetRole", json!({"roleName": "op-admin"})),
            &[],
        ),
        (
            "somebody else's user",
            iam(
                &Administrator,
                "CreateAccessKey",
                json!({"userName": "clerk"}),
            ),
            &[],
        ),
        (
            "who watches asks",
            call(
                account,
                &Who::Administrator,
                "iam",
                "GetAccessKeyLastUsed",
                &json!({"accessKeyId": "AKIA"}),
            ),
            &[],
        ),
    ]
}

/// What would make all of this blind.
fn blinding(account: &str) -> Vec<Sample> {
    use Who::Administrator;
    const ALERT: &[&str] = &["twotap-blinding"];
    let topic = format!("arn:aws:sns:eu-central-1:{account}:twotap-alerts");
    let key = "1234abcd-12ab-34cd-56ef-1234567890ab";
    let by = |service: &str, name: &str, parameters: Value| {
        call(account, &Administrator, service, name, &parameters)
    };
    let mut all: Vec<Sample> = Vec::new();
    for name in [
        "StopLogging",
        "DeleteTrail",
        "UpdateTrail",
        "PutEventSelectors",
    ] {
        all.push((
            "a trail",
            by("cloudtrail", name, json!({"name": "any"})),
            ALERT,
        ));
    }
    for name in ["PutRule", "DisableRule", "DeleteRule"] {
        all.push((
            "a rule",
            by("events", name, json!({"name": "twotap-bypass"})),
            ALERT,
        ));
        all.push((
            "another rule",
            by("events", name, json!({"name": "nightly"})),
            &[],
        ));
    }
    for name in ["PutTargets", "RemoveTargets"] {
        all.push((
            "a target",
            by("events", name, json!({"rule": "twotap-bypass"})),
            ALERT,
        ));
    }
    for name in [
        "DeleteTopic",
        "SetTopicAttributes",
        "AddPermission",
        "RemovePermission",
    ] {
        all.push((
            "the topic",
            by("sns", name, json!({"topicArn": topic})),
            ALERT,
        ));
    }
    for name in ["Unsubscribe", "SetSubscriptionAttributes"] {
        all.push((
            "a subscription",
            by(
                "sns",
                name,
                json!({"subscriptionArn": format!("{topic}:1234")}),
            ),
            ALERT,
        ));
    }
    for name in [
        "DisableKey",
        "ScheduleKeyDeletion",
        "PutKeyPolicy",
        "CreateGrant",
    ] {
        all.push((
            "the key by its id",
            by("kms", name, json!({"keyId": key})),
            ALERT,
        ));
        let arn = format!("arn:aws:kms:eu-central-1:{account}:key/{key}");
        all.push((
            "the key by its ARN",
            by("kms", name, json!({"keyId": arn})),
            ALERT,
        ));
    }
    all.extend(crate::silencing::samples(account));
    all.push((
        "the trail is looked at",
        by("cloudtrail", "GetTrailStatus", json!({"name": "twotap"})),
        &[],
    ));
    all.push((
        "another topic",
        by(
            "sns",
            "DeleteTopic",
            json!({"topicArn": format!("arn:aws:sns:eu-central-1:{account}:orders")}),
        ),
        &[],
    ));
    all.push((
        "another key",
        by("kms", "DisableKey", json!({"keyId": "0000"})),
        &[],
    ));
    all
}
