//! What an operator could try from a session under the ceiling, however wide the role's own policy is.

use serde_json::json;

use crate::{
    at, audit_bucket,
    engine::{Case, Verdict, Who},
    iam, key, s3,
};

/// A session of `op-admin`, whose own policy allows everything.
fn operator() -> Who {
    Who {
        principal: at("sts", "assumed-role/op-admin/dana").replace(":eu-central-1:", "::"),
        identity: vec!["op-admin-policy.json"],
        boundary: Some("ceiling.json"),
        ..Who::default()
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let who = operator();
    let refused = escapes().into_iter().map(|(action, resource)| {
        let case = Case::new(&who, action, resource, Verdict::Refused);
        // A key's own policy has to let the account's policies decide, or nothing is decided by them.
        if action.starts_with("kms:") {
            case.under("AuditKey")
        } else {
            case
        }
    });
    let allowed = duties()
        .into_iter()
        .map(|(action, resource)| Case::new(&who, action, resource, Verdict::Allowed));
    let attach = |action, resource: &str, policy: &str, expected| {
        Case::new(&who, action, iam(resource), expected).with(
            "iam:PolicyARN",
            json!(format!("arn:aws:iam::aws:policy/{policy}")),
        )
    };
    let attached = [
        ("iam:AttachUserPolicy", "user/clerk"),
        ("iam:AttachGroupPolicy", "group/staff"),
        ("iam:AttachRolePolicy", "role/app"),
    ]
    .into_iter()
    .flat_map(|(action, resource)| {
        [
            attach(action, resource, "AdministratorAccess", Verdict::Refused),
            // What is done to a stolen identity.
            attach(action, resource, "AWSDenyAll", Verdict::Allowed),
            attach(
                action,
                resource,
                "AWSCompromisedKeyQuarantineV3",
                Verdict::Allowed,
            ),
        ]
    });
    let other = at("kms", "key/00000000-0000-0000-0000-000000000000");
    let others_key = Case::new(&who, "kms:Decrypt", other, Verdict::Allowed).under("AuditKey");
    refused
        .chain(allowed)
        .chain(attached)
        .chain([others_key])
        .collect()
}

fn escapes() -> Vec<(&'static str, String)> {
    let mut all = vec![
        // Identities that outlive the session.
        ("iam:CreateUser", iam("user/new")),
        ("iam:CreateAccessKey", iam("user/clerk")),
        ("iam:CreateLoginProfile", iam("user/clerk")),
        ("iam:UpdateLoginProfile", iam("user/clerk")),
        ("iam:CreateServiceSpecificCredential", iam("user/clerk")),
        ("iam:ResetServiceSpecificCredential", iam("user/clerk")),
        ("iam:UploadSSHPublicKey", iam("user/clerk")),
        ("iam:UploadSigningCertificate", iam("user/clerk")),
        ("iam:DeactivateMFADevice", iam("user/clerk")),
        ("iam:EnableMFADevice", iam("user/clerk")),
        ("iam:CreateRole", iam("role/new")),
        ("iam:CreateSAMLProvider", iam("saml-provider/own")),
        ("iam:UpdateSAMLProvider", iam("saml-provider/own")),
        ("iam:CreateOpenIDConnectProvider", iam("oidc-provider/own")),
        (
            "iam:UpdateOpenIDConnectProviderThumbprint",
            iam("oidc-provider/own"),
        ),
        ("rolesanywhere:CreateTrustAnchor", "*".into()),
        ("rolesanywhere:CreateProfile", "*".into()),
        (
            "sso:CreateAccountAssignment",
            "arn:aws:sso:::account/111122223333".into(),
        ),
        ("sso-directory:CreateUser", "*".into()),
        (
            "identitystore:CreateUser",
            "arn:aws:identitystore::111122223333:identitystore/d-1234567890".into(),
        ),
        // Wider ones.
        ("iam:UpdateAssumeRolePolicy", iam("role/app")),
        ("iam:PutRolePermissionsBoundary", iam("role/app")),
        ("iam:DeleteRolePermissionsBoundary", iam("role/app")),
        ("iam:DeleteUserPermissionsBoundary", iam("user/clerk")),
        ("iam:PutUserPolicy", iam("user/clerk")),
        ("iam:PutGroupPolicy", iam("group/staff")),
        ("iam:PutRolePolicy", iam("role/app")),
        ("iam:AddUserToGroup", iam("group/admins")),
        ("iam:CreatePolicyVersion", iam("policy/app")),
        ("iam:SetDefaultPolicyVersion", iam("policy/app")),
        ("iam:TagUser", iam("user/clerk")),
        ("iam:TagRole", iam("role/app")),
        ("iam:AcceptDelegationRequest", iam("delegation-request/d-1")),
        ("iam:PassRole", iam("role/app")),
        // On from here.
        ("sts:AssumeRole", iam("role/app")),
        ("sts:AssumeRole", iam("role/twotap/steward")),
        ("sts:AssumeRoot", "arn:aws:iam::444455556666:root".into()),
        (
            "sts:GetFederationToken",
            at("sts", "federated-user/x").replace(":eu-central-1:", "::"),
        ),
        ("organizations:LeaveOrganization", "*".into()),
        // Twotap itself: the boundary, the Deny that ends a session, the user behind it, the roles that hand alerts on.
        (
            "iam:DeleteRolePermissionsBoundary",
            iam("role/twotap/op-admin"),
        ),
        ("iam:DeleteRolePolicy", iam("role/twotap/op-admin")),
        ("iam:UpdateRole", iam("role/twotap/op-admin")),
        ("iam:DeleteRole", iam("role/twotap/steward")),
        ("iam:DeleteAccessKey", iam("user/twotap/break-glass")),
        ("iam:UpdateAccessKey", iam("user/twotap/break-glass")),
        ("iam:CreateAccessKey", iam("user/twotap/audit-writer")),
        ("iam:DeletePolicyVersion", iam("policy/twotap/ceiling")),
        ("iam:DeletePolicy", iam("policy/twotap/ceiling")),
        (
            "iam:DeleteRolePolicy",
            iam("role/twotap-alerts/forward-us-east-1"),
        ),
        (
            "secretsmanager:GetSecretValue",
            at("secretsmanager", "secret:twotap/prod-bundle-AbCdEf"),
        ),
        (
            "secretsmanager:DeleteSecret",
            at("secretsmanager", "secret:twotap/prod-bundle-AbCdEf"),
        ),
        // What is seen of all this.
        ("cloudtrail:StopLogging", at("cloudtrail", "trail/twotap")),
        (
            "cloudtrail:DeleteTrail",
            at("cloudtrail", "trail/organisation"),
        ),
        ("cloudtrail:UpdateTrail", at("cloudtrail", "trail/twotap")),
        (
            "cloudtrail:PutEventSelectors",
            at("cloudtrail", "trail/twotap"),
        ),
        (
            "cloudtrail:DeleteEventDataStore",
            at("cloudtrail", "eventdatastore/a"),
        ),
        ("events:DisableRule", at("events", "rule/somebodys")),
        ("events:DeleteRule", at("events", "rule/somebodys")),
        ("events:RemoveTargets", at("events", "rule/somebodys")),
        ("events:PutRule", at("events", "rule/twotap-bypass")),
        ("events:PutTargets", at("events", "rule/twotap-bypass")),
        ("events:DisableRule", at("events", "rule/twotap-bypass")),
        ("events:PutEvents", at("events", "event-bus/twotap")),
        ("events:DeleteEventBus", at("events", "event-bus/twotap")),
        ("sns:Unsubscribe", at("sns", "twotap-alerts")),
        ("sns:SetTopicAttributes", at("sns", "twotap-alerts")),
        ("sns:DeleteTopic", at("sns", "twotap-alerts")),
        ("sns:Publish", at("sns", "twotap-alerts")),
        ("sqs:PurgeQueue", at("sqs", "twotap-alerts-dead")),
        ("sqs:SetQueueAttributes", at("sqs", "twotap-alerts-dead")),
        (
            "logs:DeleteLogGroup",
            at("logs", "log-group:/aws/events/twotap-sessions"),
        ),
        ("logs:PutResourcePolicy", "*".into()),
        ("logs:DeleteResourcePolicy", "*".into()),
        (
            "cloudwatch:DeleteAlarms",
            at("cloudwatch", "alarm:twotap-alerts-dead"),
        ),
        (
            "cloudwatch:DisableAlarmActions",
            at("cloudwatch", "alarm:twotap-alerts-dead"),
        ),
        (
            "cloudformation:DeleteStack",
            at("cloudformation", "stack/twotap/1"),
        ),
        (
            "cloudformation:UpdateStack",
            at("cloudformation", "stack/twotap-forward/1"),
        ),
        ("kms:DisableKey", key()),
        ("kms:ScheduleKeyDeletion", key()),
        ("kms:PutKeyPolicy", key()),
        ("kms:CreateGrant", key()),
        ("kms:Decrypt", key()),
        // The record.
        ("s3:BypassGovernanceRetention", s3("anybodys/object")),
    ];
    for bucket in [
        audit_bucket(""),
        s3("twotap-trail-111122223333-eu-central-1"),
    ] {
        for action in [
            "s3:DeleteBucket",
            "s3:DeleteBucketPolicy",
            "s3:PutBucketPolicy",
            "s3:PutLifecycleConfiguration",
            "s3:PutBucketVersioning",
            "s3:PutBucketObjectLockConfiguration",
            "s3:PutReplicationConfiguration",
            "s3:PutEncryptionConfiguration",
        ] {
            all.push((action, bucket.clone()));
        }
        for action in [
            "s3:DeleteObject",
            "s3:DeleteObjectVersion",
            "s3:PutObject",
            "s3:PutObjectRetention",
            "s3:PutObjectLegalHold",
            "s3:BypassGovernanceRetention",
            "s3:GetObject",
        ] {
            all.push((action, format!("{bucket}/000001.jsonl")));
        }
    }
    all
}

/// What an administrator has to be able to do in an emergency.
fn duties() -> Vec<(&'static str, String)> {
    vec![
        (
            "ec2:RebootInstances",
            at("ec2", "instance/i-0123456789abcdef0"),
        ),
        ("rds:FailoverDBCluster", at("rds", "cluster:prod")),
        (
            "lambda:UpdateFunctionCode",
            at("lambda", "function:checkout"),
        ),
        ("s3:PutObject", s3("assets/index.html")),
        ("s3:PutBucketPolicy", s3("assets")),
        (
            "secretsmanager:PutSecretValue",
            at("secretsmanager", "secret:prod/db-AbCdEf"),
        ),
        ("events:PutRule", at("events", "rule/nightly")),
        ("sns:Publish", at("sns", "status-page")),
        ("sqs:PurgeQueue", at("sqs", "orders")),
        ("logs:DeleteLogGroup", at("logs", "log-group:/app")),
        (
            "cloudwatch:DisableAlarmActions",
            at("cloudwatch", "alarm:cpu"),
        ),
        (
            "cloudformation:UpdateStack",
            at("cloudformation", "stack/shop/1"),
        ),
        ("cloudtrail:LookupEvents", "*".into()),
        // A key that leaked, an identity that was taken over.
        ("iam:UpdateAccessKey", iam("user/clerk")),
        ("iam:DeleteAccessKey", iam("user/clerk")),
        ("iam:DeleteLoginProfile", iam("user/clerk")),
        ("iam:DetachRolePolicy", iam("role/app")),
        ("iam:DeleteRolePolicy", iam("role/app")),
        ("iam:ListUsers", "*".into()),
    ]
}
