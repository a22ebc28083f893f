//! What a thief of the sealed key could do with it, or somebody who is not the break-glass user with twotap's roles.

use serde_json::json;

use crate::{
    engine::{ANYBODY, Case, Verdict, Who},
    iam, s3,
};

/// The break-glass user with its long-term key.
pub(crate) fn user() -> Who {
    Who {
        principal: iam("user/twotap/break-glass"),
        identity: vec!["user-policy.json", "user-further-policy.json"],
        ..Who::default()
    }
}

const TRUST: &str = "role-trust.json";

/// How twotap takes a role: with the vault's id, the operator's name, and the request as the one transitive tag.
fn rightly(action: &'static str, role: &str, expected: Verdict) -> Case {
    let case = Case::new(&user(), action, iam(role), expected).under(TRUST);
    match action {
        "sts:AssumeRole" => case
            .with("sts:ExternalId", json!("vault-prod"))
            .with("aws:RequestTag/twotap", json!("r-jmlboxtovwmsu"))
            .with("sts:SourceIdentity", json!("dana")),
        "sts:TagSession" => case
            .with("aws:RequestTag/twotap", json!("r-jmlboxtovwmsu"))
            .with("aws:TagKeys", json!(["twotap"]))
            .with("sts:TransitiveTagKeys", json!(["twotap"])),
        _ => case.with("sts:SourceIdentity", json!("dana")),
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let mut all = keys();
    all.extend(roles());
    all.extend(elsewhere());
    all
}

/// The user's own keys, and everything else that a key could be used for.
fn keys() -> Vec<Case> {
    let (user, own) = (user(), iam("user/twotap/break-glass"));
    let mut all = Vec::new();
    for action in [
        "iam:CreateAccessKey",
        "iam:UpdateAccessKey",
        "iam:DeleteAccessKey",
        "iam:ListAccessKeys",
    ] {
        all.push(Case::new(&user, action, own.clone(), Verdict::Allowed));
        all.push(Case::new(
            &user,
            action,
            iam("user/clerk"),
            Verdict::Refused,
        ));
        all.push(Case::new(
            &user,
            action,
            iam("user/twotap/watch"),
            Verdict::Refused,
        ));
        // GetSessionToken needs no permission: what it gives is good for nothing.
        let temporary = Case::new(&user, action, own.clone(), Verdict::Refused);
        all.push(temporary.with("aws:TokenIssueTime", json!("2026-11-22T07:00:00Z")));
    }
    for (action, resource) in [
        ("iam:CreateUser", iam("user/new")),
        ("iam:CreateLoginProfile", own.clone()),
        ("iam:AttachUserPolicy", own.clone()),
        ("iam:PutUserPolicy", own.clone()),
        ("iam:DeleteUserPolicy", own.clone()),
        ("iam:EnableMFADevice", own),
        ("iam:UpdateAssumeRolePolicy", iam("role/twotap/op-admin")),
        (
            "iam:DeleteRolePermissionsBoundary",
            iam("role/twotap/op-admin"),
        ),
        ("iam:DeleteRolePolicy", iam("role/twotap/op-admin")),
        ("iam:PutRolePolicy", iam("role/twotap/op-admin")),
        ("iam:CreatePolicyVersion", iam("policy/twotap/ceiling")),
        ("iam:PassRole", iam("role/twotap/op-admin")),
        (
            "sts:GetFederationToken",
            "arn:aws:sts::111122223333:federated-user/x".into(),
        ),
        (
            "cloudtrail:StopLogging",
            crate::at("cloudtrail", "trail/twotap"),
        ),
        ("s3:ListBucket", s3("anything")),
        ("secretsmanager:GetSecretValue", crate::BUNDLE.into()),
    ] {
        all.push(Case::new(&user, action, resource, Verdict::Refused));
    }
    all
}

/// Roles of twotap's: as it takes them, and in every other way.
fn roles() -> Vec<Case> {
    use Verdict::{Allowed, Refused};
    const ASSUME: &str = "sts:AssumeRole";
    const TAG: &str = "sts:TagSession";
    const NAME: &str = "sts:SetSourceIdentity";
    let mut all = Vec::new();
    for role in [
        "role/twotap/op-admin",
        "role/twotap/steward",
        "role/twotap/setter",
    ] {
        for action in [ASSUME, TAG, NAME] {
            all.push(rightly(action, role, Allowed));
        }
    }
    let role = "role/twotap/op-admin";
    all.extend([
        rightly(ASSUME, role, Refused).without("sts:ExternalId"),
        rightly(ASSUME, role, Refused).with("sts:ExternalId", json!("vault-test")),
        rightly(ASSUME, role, Refused).without("aws:RequestTag/twotap"),
        rightly(ASSUME, role, Refused).without("sts:SourceIdentity"),
        rightly(ASSUME, role, Refused).with("aws:TokenIssueTime", json!("2026-11-22T07:00:00Z")),
        rightly(TAG, role, Refused).without("aws:RequestTag/twotap"),
        rightly(TAG, role, Refused).with("aws:TagKeys", json!(["twotap", "Team"])),
        rightly(TAG, role, Refused).with("sts:TransitiveTagKeys", json!(["twotap", "Team"])),
        rightly(TAG, role, Refused).without("sts:TransitiveTagKeys"),
        rightly(NAME, role, Refused).without("sts:SourceIdentity"),
    ]);
    // Somebody else's administrator: what the account's policies allow, the roles' trust does not.
    let other = Who {
        principal: "arn:aws:iam::444455556666:user/clerk".into(),
        administrator: true,
        ..Who::default()
    };
    for (action, keys) in [
        (
            ASSUME,
            &[
                "sts:ExternalId",
                "aws:RequestTag/twotap",
                "sts:SourceIdentity",
            ][..],
        ),
        (NAME, &["sts:SourceIdentity"][..]),
    ] {
        let mut case = Case::new(&other, action, iam(role), Refused).under(TRUST);
        for key in keys {
            let right = rightly(action, role, Allowed);
            case = case.with(key, right.who.context[key].clone());
        }
        all.push(case);
    }
    all
}

/// Roles that are not twotap's, here and in the other account that a profile names. They trust the whole account, so the
/// user's own policy decides.
fn elsewhere() -> Vec<Case> {
    let mut all = Vec::new();
    for action in ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"] {
        for (role, expected) in [
            (iam("role/app"), Verdict::Refused),
            (
                "arn:aws:iam::444455556666:role/app".into(),
                Verdict::Refused,
            ),
            (
                "arn:aws:iam::777788889999:role/twotap/op-admin".into(),
                Verdict::Refused,
            ),
            (iam("role/twotap/op-admin"), Verdict::Allowed),
            (
                "arn:aws:iam::444455556666:role/twotap/op-admin".into(),
                Verdict::Allowed,
            ),
        ] {
            let mut case = Case::new(&user(), action, role, expected).under(ANYBODY);
            if action == "sts:TagSession" {
                case = case.with("aws:TagKeys", json!(["twotap"]));
            }
            all.push(case);
        }
    }
    all
}
