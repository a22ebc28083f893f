//! Twotap's own helpers, each with what it is for and no more: steward, setter, the bundle's role and reader, the watching user, the
//! writer of the audit record.

use serde_json::json;

use crate::{
    BUNDLE, at, audit_bucket,
    engine::{Case, Verdict, Who},
    iam, key, s3,
};
use Verdict::{Allowed, Refused};

fn session(role: &str, policy: &'static str) -> Who {
    Who {
        principal: format!("arn:aws:sts::111122223333:assumed-role/{role}/dana"),
        identity: vec![policy],
        ..Who::default()
    }
}

fn user(name: &str, policy: &'static str) -> Who {
    Who {
        principal: iam(&format!("user/twotap/{name}")),
        identity: vec![policy],
        ..Who::default()
    }
}

/// The same with a policy beside it that allows everything, as somebody may attach one day: what the shipped Denies are for.
fn widened(who: &Who) -> Who {
    Who {
        administrator: true,
        ..who.clone()
    }
}

fn each(who: &Who, expected: Verdict, calls: Vec<(&'static str, String)>) -> Vec<Case> {
    calls
        .into_iter()
        .map(|(action, resource)| Case::new(who, action, resource, expected))
        .collect()
}

pub(crate) fn cases() -> Vec<Case> {
    let mut all = steward();
    all.extend(setter());
    all.extend(bundle());
    all.extend(watch());
    all.extend(writer());
    all
}

fn secret(name: &str) -> String {
    at("secretsmanager", &format!("secret:{name}"))
}

fn steward() -> Vec<Case> {
    let who = session("steward", "steward-policy.json");
    let under = |action, role: &str, boundary: &str, expected| {
        Case::new(&who, action, iam(role), expected)
            .with("iam:PermissionsBoundary", json!(iam(boundary)))
    };
    let mut all = Vec::new();
    for action in ["iam:PutRolePolicy", "iam:DeleteRolePolicy"] {
        all.extend([
            under(
                action,
                "role/twotap/op-admin",
                "policy/twotap/ceiling",
                Allowed,
            ),
            // Without the ceiling what it puts there could be an Allow that counts.
            Case::new(&who, action, iam("role/twotap/op-admin"), Refused),
            under(action, "role/twotap/op-admin", "policy/wide", Refused),
            under(
                action,
                "role/twotap/steward",
                "policy/twotap/ceiling",
                Refused,
            ),
            under(action, "role/app", "policy/twotap/ceiling", Refused),
        ]);
    }
    all.extend(each(
        &who,
        Allowed,
        vec![
            ("iam:ListRolePolicies", iam("role/twotap/op-admin")),
            ("secretsmanager:RotateSecret", secret("prod/db-AbCdEf")),
            ("secretsmanager:DescribeSecret", secret("prod/db-AbCdEf")),
            ("lambda:InvokeFunction", at("lambda", "function:rotate-db")),
        ],
    ));
    all.extend(each(
        &who,
        Refused,
        vec![
            (
                "iam:DeleteRolePermissionsBoundary",
                iam("role/twotap/op-admin"),
            ),
            (
                "iam:PutRolePermissionsBoundary",
                iam("role/twotap/op-admin"),
            ),
            ("iam:AttachRolePolicy", iam("role/twotap/op-admin")),
            ("iam:UpdateAssumeRolePolicy", iam("role/twotap/op-admin")),
            ("iam:DeleteRole", iam("role/twotap/op-admin")),
            ("iam:CreatePolicyVersion", iam("policy/twotap/ceiling")),
            ("iam:ListRolePolicies", iam("role/app")),
            ("iam:PassRole", iam("role/twotap/op-admin")),
            ("iam:CreateUser", iam("user/new")),
            ("iam:CreateAccessKey", iam("user/twotap/break-glass")),
            ("secretsmanager:RotateSecret", secret("payroll-AbCdEf")),
            ("secretsmanager:GetSecretValue", secret("prod/db-AbCdEf")),
            ("secretsmanager:PutSecretValue", secret("prod/db-AbCdEf")),
            ("secretsmanager:PutResourcePolicy", secret("prod/db-AbCdEf")),
            ("lambda:InvokeFunction", at("lambda", "function:payroll")),
            (
                "lambda:UpdateFunctionCode",
                at("lambda", "function:rotate-db"),
            ),
            ("cloudtrail:StopLogging", at("cloudtrail", "trail/twotap")),
            ("events:DisableRule", at("events", "rule/twotap-revocation")),
        ],
    ));
    // On to an operator's role, although the trust policy would like everything about it but who asks.
    let on = Case::new(&who, "sts:AssumeRole", iam("role/twotap/op-admin"), Refused);
    all.push(
        on.under("role-trust.json")
            .with("sts:ExternalId", json!("vault-prod"))
            .with("aws:RequestTag/twotap", json!("r-jmlboxtovwmsu"))
            .with("sts:SourceIdentity", json!("dana")),
    );
    all
}

fn setter() -> Vec<Case> {
    let who = session("setter", "setter-policy.json");
    let mut all = Vec::new();
    for action in [
        "secretsmanager:DescribeSecret",
        "secretsmanager:GetSecretValue",
        "secretsmanager:PutSecretValue",
        "secretsmanager:UpdateSecretVersionStage",
    ] {
        all.push(Case::new(&who, action, secret("prod/db-AbCdEf"), Allowed));
        all.push(Case::new(&who, action, secret("payroll-AbCdEf"), Refused));
        all.push(Case::new(&who, action, BUNDLE.into(), Refused));
    }
    let other = at("kms", "key/00000000-0000-0000-0000-000000000000");
    for action in ["kms:Decrypt", "kms:GenerateDataKey"] {
        let decrypt = |expected| Case::new(&who, action, other.clone(), expected).under("AuditKey");
        let of = "kms:EncryptionContext:SecretARN";
        all.extend([
            decrypt(Allowed).with(of, json!(secret("prod/db-AbCdEf"))),
            decrypt(Refused).with(of, json!(secret("payroll-AbCdEf"))),
            decrypt(Refused),
        ]);
    }
    all.extend(each(
        &who,
        Refused,
        vec![
            ("secretsmanager:PutResourcePolicy", secret("prod/db-AbCdEf")),
            ("secretsmanager:DeleteSecret", secret("prod/db-AbCdEf")),
            ("iam:CreateUser", iam("user/new")),
            ("lambda:InvokeFunction", at("lambda", "function:rotate-db")),
        ],
    ));
    all
}

fn bundle() -> Vec<Case> {
    let keeper = session("bundle", "bundle-policy.json");
    let reader = user("bundle-reader", "bundle-reader-policy.json");
    let read = [
        "secretsmanager:DescribeSecret",
        "secretsmanager:GetSecretValue",
    ];
    let write = [
        "secretsmanager:PutSecretValue",
        "secretsmanager:UpdateSecretVersionStage",
    ];
    let mut all = Vec::new();
    for action in read.into_iter().chain(write) {
        all.push(Case::new(&keeper, action, BUNDLE.into(), Allowed));
        all.push(Case::new(
            &keeper,
            action,
            secret("prod/db-AbCdEf"),
            Refused,
        ));
        all.push(Case::new(
            &widened(&keeper),
            action,
            secret("prod/db-AbCdEf"),
            Refused,
        ));
    }
    for action in read {
        all.push(Case::new(&reader, action, BUNDLE.into(), Allowed));
        all.push(Case::new(
            &reader,
            action,
            secret("prod/db-AbCdEf"),
            Refused,
        ));
        all.push(Case::new(
            &widened(&reader),
            action,
            secret("prod/db-AbCdEf"),
            Refused,
        ));
    }
    for action in write {
        all.push(Case::new(&reader, action, BUNDLE.into(), Refused));
        all.push(Case::new(&widened(&reader), action, BUNDLE.into(), Refused));
    }
    for action in [
        "secretsmanager:DeleteSecret",
        "secretsmanager:PutResourcePolicy",
    ] {
        all.push(Case::new(&keeper, action, BUNDLE.into(), Refused));
        all.push(Case::new(&reader, action, BUNDLE.into(), Refused));
    }
    for who in [&keeper, &reader] {
        all.push(Case::new(
            &widened(who),
            "iam:CreateUser",
            iam("user/new"),
            Refused,
        ));
        all.push(Case::new(
            &widened(who),
            "s3:PutObject",
            audit_bucket("/x"),
            Refused,
        ));
    }
    all
}

fn watch() -> Vec<Case> {
    let who = user("watch", "watch-policy.json");
    let ask = "iam:GetAccessKeyLastUsed";
    let mut all = vec![
        Case::new(&who, ask, iam("user/twotap/break-glass"), Allowed),
        Case::new(&who, ask, iam("user/clerk"), Refused),
    ];
    all.extend(each(
        &who,
        Refused,
        vec![
            ("iam:ListAccessKeys", iam("user/twotap/break-glass")),
            ("iam:CreateAccessKey", iam("user/twotap/break-glass")),
            ("iam:UpdateAccessKey", iam("user/twotap/break-glass")),
            ("cloudtrail:LookupEvents", "*".into()),
        ],
    ));
    all
}

/// What the sinks need; and what a thief of the writer's key would like: to unwrite, to shorten, to look around.
fn writer() -> Vec<Case> {
    let who = user("audit-writer", "audit-writer-policy.json");
    let tls = |case: Case| {
        case.with("aws:SecureTransport", json!("true"))
            .under("AuditBucketPolicy")
    };
    let object = || audit_bucket("/record/000001.jsonl");
    let mut all = Vec::new();
    for action in [
        "s3:PutObject",
        "s3:PutObjectRetention",
        "s3:GetObject",
        "s3:GetObjectVersion",
        "s3:GetObjectRetention",
    ] {
        all.push(tls(Case::new(&who, action, object(), Allowed)));
        all.push(Case::new(&who, action, s3("payroll/2026.csv"), Refused));
        all.push(Case::new(
            &who,
            action,
            s3("twotap-trail-111122223333-eu-central-1/x"),
            Refused,
        ));
    }
    for action in [
        "s3:ListBucket",
        "s3:ListBucketVersions",
        "s3:GetBucketVersioning",
        "s3:GetBucketObjectLockConfiguration",
    ] {
        all.push(tls(Case::new(&who, action, audit_bucket(""), Allowed)));
        all.push(Case::new(&who, action, s3("payroll"), Refused));
    }
    let other = at("kms", "key/00000000-0000-0000-0000-000000000000");
    for action in ["kms:GenerateDataKey", "kms:Decrypt"] {
        all.push(Case::new(&who, action, key(), Allowed).under("AuditKey"));
        all.push(Case::new(&who, action, other.clone(), Refused).under("AuditKey"));
    }
    let simulate = "iam:SimulatePrincipalPolicy";
    all.extend([
        Case::new(
            &who,
            "events:PutEvents",
            at("events", "event-bus/twotap"),
            Allowed,
        ),
        Case::new(
            &who,
            "events:PutEvents",
            at("events", "event-bus/default"),
            Refused,
        ),
        Case::new(&who, simulate, iam("user/twotap/audit-writer"), Allowed),
        Case::new(&who, simulate, iam("user/clerk"), Refused),
    ]);
    let escapes = || {
        vec![
            ("s3:BypassGovernanceRetention", object()),
            ("s3:DeleteObject", object()),
            ("s3:DeleteObjectVersion", object()),
            ("s3:PutObjectLegalHold", object()),
            ("s3:DeleteBucketPolicy", audit_bucket("")),
            ("s3:PutLifecycleConfiguration", audit_bucket("")),
            ("s3:PutBucketObjectLockConfiguration", audit_bucket("")),
            ("events:PutRule", at("events", "rule/twotap-bypass")),
            ("kms:ScheduleKeyDeletion", key()),
            ("iam:CreateAccessKey", iam("user/twotap/audit-writer")),
            ("iam:PutUserPolicy", iam("user/twotap/audit-writer")),
            (
                "sts:GetFederationToken",
                "arn:aws:sts::111122223333:federated-user/x".into(),
            ),
        ]
    };
    all.extend(each(&who, Refused, escapes()));
    all.extend(each(&widened(&who), Refused, escapes()));
    // Locks of the bucket's own mode, for about as long as its own: neither out of the account's hands, nor soon over.
    let (mode, days) = (
        "s3:object-lock-mode",
        "s3:object-lock-remaining-retention-days",
    );
    for action in ["s3:PutObject", "s3:PutObjectRetention"] {
        let lock = |of: &str, left: &str, expected| {
            let case = tls(Case::new(&who, action, object(), expected));
            case.with(mode, json!(of)).with(days, json!(left))
        };
        all.extend([
            lock("GOVERNANCE", "2557", Allowed),
            lock("COMPLIANCE", "2557", Refused),
            lock("GOVERNANCE", "36500", Refused),
            lock("GOVERNANCE", "1", Refused),
        ]);
    }
    // And on to a role of twotap's.
    all.push(
        Case::new(
            &widened(&who),
            "sts:AssumeRole",
            iam("role/twotap/op-admin"),
            Refused,
        )
        .under("role-trust.json")
        .with("sts:ExternalId", json!("vault-prod"))
        .with("aws:RequestTag/twotap", json!("r-jmlboxtovwmsu"))
        .with("sts:SourceIdentity", json!("stranger")),
    );
    all
}
