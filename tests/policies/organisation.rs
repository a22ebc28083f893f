//! What the organisation's policy and the resources' own say to administrators of the account, and to AWS's services.

use serde_json::json;

use crate::{
    at, audit_bucket,
    engine::{ANYBODY, Case, Verdict, Who},
    iam, key, s3,
    thief::user,
};
use Verdict::{Allowed, Refused};

/// Who may deploy the stack; the placeholder of `scp.json`.
pub(crate) const DEPLOYER: &str = "arn:aws:iam::*:role/deploy";

const SCP: &str = "scp.json";

/// Somebody whom the account allows everything.
fn role(path: &str) -> Who {
    let name = path.rsplit('/').next().unwrap_or(path);
    Who {
        principal: format!("arn:aws:sts::111122223333:assumed-role/{name}/somebody"),
        administrator: true,
        organisation: Some(SCP),
        context: [("aws:PrincipalArn", json!(iam(&format!("role/{path}"))))].into(),
        ..Who::default()
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let mut all = organisation();
    all.extend(retention());
    all.extend(keys());
    all.extend(buckets());
    all.extend(services());
    all
}

/// Refused to every administrator, allowed to whoever deploys.
fn organisation() -> Vec<Case> {
    let (administrator, deployer) = (role("administrator"), role("deploy"));
    let mut calls: Vec<(&'static str, String)> = Vec::new();
    for bucket in [
        audit_bucket(""),
        s3("twotap-trail-111122223333-eu-central-1"),
    ] {
        for action in [
            "s3:DeleteBucket",
            "s3:PutBucketPolicy",
            "s3:PutEncryptionConfiguration",
            "s3:PutLifecycleConfiguration",
            "s3:PutReplicationConfiguration",
        ] {
            calls.push((action, bucket.clone()));
        }
    }
    for (service, path, actions) in [
        (
            "cloudtrail",
            "trail/twotap",
            &[
                "cloudtrail:DeleteTrail",
                "cloudtrail:PutEventSelectors",
                "cloudtrail:StopLogging",
                "cloudtrail:UpdateTrail",
            ][..],
        ),
        (
            "cloudwatch",
            "alarm:twotap-alerts-dead",
            &[
                "cloudwatch:DeleteAlarms",
                "cloudwatch:DisableAlarmActions",
                "cloudwatch:PutMetricAlarm",
            ][..],
        ),
        (
            "events",
            "rule/twotap-use",
            &[
                "events:DeleteRule",
                "events:DisableRule",
                "events:PutRule",
                "events:PutTargets",
                "events:RemoveTargets",
            ][..],
        ),
        (
            "kms",
            "alias/twotap-audit",
            &["kms:DeleteAlias", "kms:UpdateAlias"][..],
        ),
        (
            "logs",
            "log-group:/aws/events/twotap-sessions",
            &["logs:DeleteLogGroup", "logs:PutRetentionPolicy"][..],
        ),
        (
            "logs",
            "log-group:/aws/events/twotap-sessions:log-stream:x",
            &["logs:DeleteLogStream"][..],
        ),
        (
            "sns",
            "twotap-alerts",
            &[
                "sns:AddPermission",
                "sns:DeleteTopic",
                "sns:RemovePermission",
                "sns:SetSubscriptionAttributes",
                "sns:SetTopicAttributes",
                "sns:Unsubscribe",
            ][..],
        ),
        (
            "sqs",
            "twotap-alerts-dead",
            &[
                "sqs:DeleteQueue",
                "sqs:PurgeQueue",
                "sqs:SetQueueAttributes",
            ][..],
        ),
    ] {
        calls.extend(actions.iter().map(|action| (*action, at(service, path))));
    }
    for (path, actions) in [
        (
            "user/twotap/break-glass",
            &[
                "iam:AttachUserPolicy",
                "iam:CreateAccessKey",
                "iam:DeactivateMFADevice",
                "iam:DeleteAccessKey",
                "iam:EnableMFADevice",
                "iam:PutUserPolicy",
                "iam:ResetServiceSpecificCredential",
                "iam:TagUser",
                "iam:UntagUser",
                "iam:UpdateAccessKey",
                "iam:UploadSSHPublicKey",
            ][..],
        ),
        (
            "role/twotap/op-admin",
            &[
                "iam:DeleteRolePermissionsBoundary",
                "iam:DetachRolePolicy",
                "iam:PassRole",
                "iam:UpdateAssumeRolePolicy",
            ][..],
        ),
        (
            "role/twotap-alerts/forward-us-east-1",
            &["iam:DeleteRolePolicy"][..],
        ),
        (
            "policy/twotap/ceiling",
            &["iam:CreatePolicyVersion", "iam:SetDefaultPolicyVersion"][..],
        ),
    ] {
        calls.extend(actions.iter().map(|action| (*action, iam(path))));
    }
    let mut all = Vec::new();
    for (action, resource) in calls {
        all.push(Case::new(&administrator, action, resource.clone(), Refused));
        all.push(Case::new(&deployer, action, resource, Allowed));
    }
    // What twotap does itself goes on, and everything that is not twotap's.
    let mut own = user();
    own.organisation = Some(SCP);
    own.context = [("aws:PrincipalArn", json!(iam("user/twotap/break-glass")))].into();
    let mut steward = role("twotap/steward");
    steward.administrator = false;
    steward.identity = vec!["steward-policy.json"];
    all.extend([
        Case::new(
            &own,
            "iam:CreateAccessKey",
            iam("user/twotap/break-glass"),
            Allowed,
        ),
        Case::new(
            &steward,
            "iam:PutRolePolicy",
            iam("role/twotap/op-admin"),
            Allowed,
        )
        .with(
            "iam:PermissionsBoundary",
            json!(iam("policy/twotap/ceiling")),
        ),
        Case::new(&administrator, "iam:CreateUser", iam("user/new"), Allowed),
        Case::new(
            &administrator,
            "events:PutRule",
            at("events", "rule/nightly"),
            Allowed,
        ),
        Case::new(&administrator, "s3:PutBucketPolicy", s3("assets"), Allowed),
        Case::new(
            &administrator,
            "kms:DeleteAlias",
            at("kms", "alias/app"),
            Allowed,
        ),
        Case::new(
            &administrator,
            "organizations:LeaveOrganization",
            "*".into(),
            Refused,
        ),
        // Roles are taken by the user alone, whatever a trust policy came to say.
        Case::new(&own, "sts:AssumeRole", iam("role/twotap/op-admin"), Allowed).under(ANYBODY),
        Case::new(
            &administrator,
            "sts:AssumeRole",
            iam("role/twotap/op-admin"),
            Refused,
        )
        .under(ANYBODY),
        Case::new(&administrator, "sts:AssumeRole", iam("role/app"), Allowed).under(ANYBODY),
    ]);
    all
}

/// The bypass: by the organisation's policy, and by the bucket's own where there is no organisation.
fn retention() -> Vec<Case> {
    let bypass = "s3:BypassGovernanceRetention";
    let mut all = Vec::new();
    for (path, expected) in [
        ("administrator", Refused),
        ("deploy", Refused),
        ("twotap/op-bypass", Allowed),
    ] {
        let who = role(path);
        let alone = Who {
            organisation: None,
            ..who.clone()
        };
        all.push(Case::new(&who, bypass, audit_bucket("/x"), expected));
        for (object, policy) in [
            (audit_bucket("/x"), "AuditBucketPolicy"),
            (
                s3("twotap-trail-111122223333-eu-central-1/x"),
                "TrailBucketPolicy",
            ),
        ] {
            let case = Case::new(&alone, bypass, object, expected).under(policy);
            all.push(case.with("aws:SecureTransport", json!("true")));
        }
    }
    all
}

fn keys() -> Vec<Case> {
    let mut all = Vec::new();
    for action in [
        "kms:DisableKey",
        "kms:PutKeyPolicy",
        "kms:ScheduleKeyDeletion",
    ] {
        for (path, alias, expected) in [
            ("administrator", "alias/twotap-audit", Refused),
            ("administrator", "alias/app", Allowed),
            ("deploy", "alias/twotap-audit", Allowed),
        ] {
            let case = Case::new(&role(path), action, key(), expected).under("AuditKey");
            all.push(case.with("kms:ResourceAliases", json!([alias])));
        }
    }
    all
}

fn buckets() -> Vec<Case> {
    let mut all = Vec::new();
    for (bucket, policy) in [
        (audit_bucket(""), "AuditBucketPolicy"),
        (
            s3("twotap-trail-111122223333-eu-central-1"),
            "TrailBucketPolicy",
        ),
    ] {
        let alone = Who {
            organisation: None,
            ..role("administrator")
        };
        for (tls, expected) in [("true", Allowed), ("false", Refused)] {
            for (action, resource) in [
                ("s3:ListBucket", bucket.clone()),
                ("s3:GetObject", format!("{bucket}/x")),
            ] {
                let case = Case::new(&alone, action, resource, expected).under(policy);
                all.push(case.with("aws:SecureTransport", json!(tls)));
            }
        }
    }
    all
}

/// AWS's own services: the trail that writes, the rules that publish.
fn services() -> Vec<Case> {
    let service = |name: &str| Who {
        principal: format!("{name}.amazonaws.com"),
        ..Who::default()
    };
    let trail = || json!(at("cloudtrail", "trail/twotap"));
    let other = || json!(at("cloudtrail", "trail/other"));
    let bucket = s3("twotap-trail-111122223333-eu-central-1");
    let cloudtrail = service("cloudtrail");
    let writes = |path: &str, expected| {
        Case::new(
            &cloudtrail,
            "s3:PutObject",
            format!("{bucket}/{path}"),
            expected,
        )
        .under("TrailBucketPolicy")
        .with("aws:SecureTransport", json!("true"))
        .with("aws:SourceArn", trail())
        .with("s3:x-amz-acl", json!("bucket-owner-full-control"))
    };
    let logs = "AWSLogs/111122223333/CloudTrail/x.json.gz";
    let looks = |source, expected| {
        Case::new(&cloudtrail, "s3:GetBucketAcl", bucket.clone(), expected)
            .under("TrailBucketPolicy")
            .with("aws:SecureTransport", json!("true"))
            .with("aws:SourceArn", source)
    };
    let encrypts = |source, expected| {
        Case::new(&cloudtrail, "kms:GenerateDataKey", key(), expected)
            .under("AuditKey")
            .with("aws:SourceArn", source)
            .with("kms:EncryptionContext:aws:cloudtrail:arn", trail())
    };
    let describes = |source, expected| {
        Case::new(&cloudtrail, "kms:DescribeKey", key(), expected)
            .under("AuditKey")
            .with("aws:SourceArn", source)
    };
    let mut all = vec![
        writes(logs, Allowed),
        writes("AWSLogs/444455556666/CloudTrail/x.json.gz", Refused),
        writes(logs, Refused).with("aws:SourceArn", other()),
        writes(logs, Refused).without("s3:x-amz-acl"),
        looks(trail(), Allowed),
        looks(other(), Refused),
        Case::new(&cloudtrail, "s3:GetBucketAcl", s3("assets"), Refused)
            .under("TrailBucketPolicy")
            .with("aws:SecureTransport", json!("true"))
            .with("aws:SourceArn", trail()),
        encrypts(trail(), Allowed),
        encrypts(other(), Refused),
        encrypts(trail(), Refused).without("kms:EncryptionContext:aws:cloudtrail:arn"),
        describes(trail(), Allowed),
        describes(other(), Refused),
    ];
    for action in ["kms:Decrypt", "kms:GenerateDataKey"] {
        for name in ["events", "cloudwatch"] {
            all.push(Case::new(&service(name), action, key(), Allowed).under("AuditKey"));
        }
        all.push(Case::new(&service("lambda"), action, key(), Refused).under("AuditKey"));
    }
    all
}
