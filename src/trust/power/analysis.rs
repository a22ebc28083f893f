//! What is remarkable about a policy: whether it gives wholesale, and whether what it gives can outlive the session.
//!
//! Both questions err on the side of yes. Conditions never make a statement harmless here, and only a Deny without conditions on every
//! resource takes something away.

use super::{
    document::{Effect, Named, Statement},
    glob::{covers, meet},
};

/// What whoever approves should know of a policy, in plain words; empty lists where nothing is remarkable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Power {
    /// What it allows wholesale, e.g. `every action on everything`.
    pub broad: Vec<String>,
    /// What can be made or changed with it that is still there when the session has ended, e.g. `users, keys, roles and policies (iam:*)`.
    pub lasting: Vec<String>,
}

/// Actions whose effect outlives the session, in lower case; what begins with a verb of [`READS`] is not meant.
///
/// Source: AWS Service Authorization Reference (the actions that it calls 'permissions management', and what makes identities), and the
/// services whose permissions management hands data to other accounts.
const LASTING: [(&str, &str); 32] = [
    ("iam:*", "users, keys, roles and policies"),
    ("rolesanywhere:*", "trust in certificates from outside"),
    ("sso:*", "permission sets and who has them"),
    ("sso-directory:*", "people and groups of the organisation"),
    ("identitystore:*", "people and groups of the organisation"),
    (
        "organizations:*",
        "accounts and policies of the organisation",
    ),
    ("account:*", "the account's contacts and Regions"),
    ("ram:*", "what other accounts share"),
    ("cognito-idp:admin*", "users of a user pool"),
    (
        "cognito-identity:setidentitypoolroles",
        "roles of an identity pool",
    ),
    ("eks:createaccessentry", "who may enter a cluster"),
    ("eks:updateaccessentry", "who may enter a cluster"),
    ("eks:associateaccesspolicy", "who may enter a cluster"),
    (
        "ec2:modifysnapshotattribute",
        "who else may read a disk's snapshot",
    ),
    ("ec2:modifyimageattribute", "who else may start an image"),
    (
        "rds:modifydb*snapshotattribute",
        "who else may read a database's snapshot",
    ),
    ("kms:creategrant", "who else may use a key"),
    ("kms:putkeypolicy", "who else may use a key"),
    ("s3:putbucketpolicy", "who else may read a bucket"),
    ("s3:put*acl", "who else may read a bucket or object"),
    ("s3:putaccesspointpolicy", "who else may read a bucket"),
    (
        "secretsmanager:putresourcepolicy",
        "who else may read a secret",
    ),
    ("dynamodb:putresourcepolicy", "who else may read a table"),
    ("glue:putresourcepolicy", "who else may read a catalogue"),
    ("logs:putresourcepolicy", "who else may write logs"),
    ("lambda:add*permission", "who else may call a function"),
    ("sns:addpermission", "who else may use a topic"),
    ("sqs:addpermission", "who else may use a queue"),
    ("ecr:setrepositorypolicy", "who else may pull an image"),
    ("events:putpermission", "who else may send events"),
    (
        "elasticfilesystem:putfilesystempolicy",
        "who else may read a file system",
    ),
    (
        "backup:putbackupvaultaccesspolicy",
        "who else may read backups",
    ),
];

/// Verbs that change nothing.
const READS: [&str; 6] = [
    "get*",
    "list*",
    "describe*",
    "search*",
    "simulate*",
    "generate*",
];

/// Verbs that tell names and settings, not contents: allowed on everything, they are the usual way to look around.
const LOOKS: [&str; 2] = ["describe*", "list*"];

/// Services whose resources are called by their names alone.
const WITHOUT_KINDS: [&str; 4] = ["codecommit", "s3", "sns", "sqs"];

/// Reads a policy's statements for what is remarkable about it.
pub fn power(statements: &[Statement]) -> Power {
    let mut found = Power::default();
    let allows = statements.iter().filter(|s| s.effect == Effect::Allow);
    for statement in allows {
        found.add_broad(statement);
        for (row, what) in LASTING {
            // Each pattern by itself: what a Deny takes of one leaves the next.
            let left = gives(statement, row)
                .into_iter()
                .find(|by| !statements.iter().any(|s| takes(s, row, &by.lower)));
            if let Some(by) = left {
                add(
                    &mut found.lasting,
                    format!("{what} (by {})", by.as_written()),
                );
            }
        }
    }
    found
}

impl Power {
    /// Whether nothing about it is remarkable.
    pub fn is_plain(&self) -> bool {
        self.broad.is_empty() && self.lasting.is_empty()
    }

    fn add_broad(&mut self, statement: &Statement) {
        let Some(on) = everything(statement) else {
            return;
        };
        match &statement.actions {
            Named::AllBut(list) => add(
                &mut self.broad,
                format!("every action but {} on {on}", list.join(", ")),
            ),
            Named::These(list) => {
                for action in list.iter().filter(|a| is_wholesale(a)) {
                    let text = match action.as_str() {
                        "*" | "*:*" => format!("every action on {on}"),
                        _ => format!("{action} on {on}"),
                    };
                    add(&mut self.broad, text);
                }
            }
        }
    }
}

/// The pattern by which a statement gives something.
struct Given {
    lower: String,
    written: Option<String>,
}

impl Given {
    fn as_written(&self) -> &str {
        self.written
            .as_deref()
            .unwrap_or("all that is not taken out")
    }
}

/// By which patterns a statement allows actions of `row`.
fn gives(statement: &Statement, row: &str) -> Vec<Given> {
    match &statement.actions {
        Named::AllBut(list) => {
            let out = list.iter().any(|a| covers(&a.to_ascii_lowercase(), row));
            let all = (!out).then(|| Given {
                lower: "*".to_owned(),
                written: None,
            });
            all.into_iter().collect()
        }
        Named::These(list) => list
            .iter()
            .filter_map(|action| {
                let lower = action.to_ascii_lowercase();
                let reads = READS.iter().any(|r| is_verb(r, &lower));
                (meet(&lower, row) && !reads).then(|| Given {
                    lower,
                    written: Some(action.clone()),
                })
            })
            .collect(),
    }
}

/// Whether a statement takes away all of `row`, or all of what `pattern` gives, from every resource and whatever the circumstances.
fn takes(statement: &Statement, row: &str, pattern: &str) -> bool {
    let unconditional = statement.effect == Effect::Deny
        && statement.conditions.is_empty()
        && matches!(&statement.resources, Named::These(list) if list.iter().any(|r| r == "*"));
    unconditional
        && match &statement.actions {
            Named::These(list) => list.iter().any(|a| {
                let action = a.to_ascii_lowercase();
                covers(&action, row) || covers(&action, pattern)
            }),
            Named::AllBut(list) => {
                let spares = |what: &str| list.iter().any(|a| meet(&a.to_ascii_lowercase(), what));
                !spares(row) || !spares(pattern)
            }
        }
}

/// The widest resource of a statement, where it stands for whatever there is of a kind.
fn everything(statement: &Statement) -> Option<&str> {
    match &statement.resources {
        Named::AllBut(_) => Some("all that is not taken out"),
        Named::These(list) if list.iter().any(|r| r == "*") => Some("everything"),
        Named::These(list) => list
            .iter()
            .find(|r| is_all_of_a_kind(r))
            .map(String::as_str),
    }
}

/// Whether an ARN names no resource of its own: `arn:aws:s3:::*`, `arn:aws:dynamodb:*:*:table/*`.
fn is_all_of_a_kind(resource: &str) -> bool {
    let mut parts = resource.splitn(6, ':').skip(2);
    let (service, last) = (parts.next().unwrap_or_default(), parts.nth(2));
    let Some(last) = last else { return true };
    // `bucket/*` names a bucket; `table/*` and `table*/*` name none, and `tab*` reaches over all of them.
    let is_kind = |text: &str| {
        text.bytes()
            .all(|b| b.is_ascii_alphabetic() || b"-*?".contains(&b))
    };
    let own = match last.split_once(['/', ':']) {
        Some((kind, rest)) if service != "s3" && is_kind(kind) => rest,
        None if !WITHOUT_KINDS.contains(&service) && last.ends_with('*') && is_kind(last) => "",
        _ => last,
    };
    own.bytes().all(|b| matches!(b, b'*' | b'?' | b'/' | b':'))
}

/// Whether an action stands for a kind of actions that do more than look around.
fn is_wholesale(action: &str) -> bool {
    action.contains(['*', '?']) && {
        let lower = action.to_ascii_lowercase();
        !LOOKS.iter().any(|verb| is_verb(verb, &lower))
    }
}

/// Whether all that `action` stands for begins with a verb like `get*`.
fn is_verb(verb: &str, action: &str) -> bool {
    action
        .split_once(':')
        .is_some_and(|(_, action)| covers(verb, action))
}

fn add(list: &mut Vec<String>, text: String) {
    if !list.contains(&text) {
        list.push(text);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::trust::power::document;

    fn of(statements: Value) -> Power {
        let policy = json!({ "Version": "2012-10-17", "Statement": statements });
        power(&document::read(&policy).expect("a policy"))
    }

    fn allow(action: Value, resource: Value) -> Value {
        json!({ "Effect": "Allow", "Action": action, "Resource": resource })
    }

    #[test]
    fn broad_is_a_kind_of_actions_on_a_kind_of_resources() {
        for (action, resource) in [
            (json!("*"), json!("*")),
            (json!("s3:*"), json!("*")),
            (json!("s3:Get*"), json!(["arn:aws:s3:::a", "*"])),
            (json!("s3:*"), json!("arn:aws:s3:::*")),
            (json!("s3:*"), json!("arn:aws:s3:::*/*")),
            (json!("dynamodb:*"), json!("arn:aws:dynamodb:*:*:table/*")),
            (
                json!("dynamodb:B*"),
                json!("arn:aws:dynamodb:eu-central-1:111122223333:table/*"),
            ),
            (json!("dynamodb:*"), json!("arn:aws:dynamodb:*:*:table*/*")),
            (json!("dynamodb:*"), json!("arn:aws:dynamodb:*:*:tab*")),
            (json!("kms:*"), json!("arn:aws:kms:*:*:*/*")),
            (json!(["s3:GetObject", "*:Put*"]), json!("*")),
            (json!("s3:GetObjec?"), json!("*")),
        ] {
            let power = of(json!([allow(action.clone(), resource.clone())]));
            assert!(!power.broad.is_empty(), "{action} {resource}");
        }
        for (action, resource) in [
            (json!("s3:GetObject"), json!("*")),
            (json!("ec2:Describe*"), json!("*")),
            (json!(["iam:List*", "s3:ListAllMyBuckets"]), json!("*")),
            (json!("s3:*"), json!("arn:aws:s3:::bucket/*")),
            (json!("s3:*"), json!("arn:aws:s3:::*-logs")),
            (
                json!("dynamodb:*"),
                json!("arn:aws:dynamodb:*:*:table/users"),
            ),
            (json!("sqs:*"), json!("arn:aws:sqs:*:*:orders")),
            (json!("sqs:*"), json!("arn:aws:sqs:*:*:orders-*")),
            (json!("ec2:*"), json!("arn:aws:ec2:*:*:*/i-0123")),
        ] {
            let power = of(json!([allow(action.clone(), resource.clone())]));
            assert_eq!(power.broad, [""; 0], "{action} {resource}");
        }
    }

    #[test]
    fn a_condition_makes_nothing_narrow_and_all_but_is_broad() {
        let conditioned = json!([{ "Effect": "Allow", "Action": "*", "Resource": "*",
            "Condition": { "StringEquals": { "aws:RequestedRegion": "eu-central-1" } } }]);
        assert_eq!(of(conditioned).broad, ["every action on everything"]);
        let but = json!([{ "Effect": "Allow", "NotAction": ["iam:*"], "Resource": "*" }]);
        assert_eq!(of(but).broad, ["every action but iam:* on everything"]);
        let but =
            json!([{ "Effect": "Allow", "Action": "s3:*", "NotResource": "arn:aws:s3:::audit" }]);
        assert_eq!(of(but).broad, ["s3:* on all that is not taken out"]);
        // Denying gives nothing.
        let deny = json!([{ "Effect": "Deny", "Action": "*", "Resource": "*" }]);
        assert!(of(deny).is_plain());
    }

    #[test]
    fn power_over_identities_is_found_however_it_is_written() {
        for action in [
            "*",
            "iam:*",
            "iam:CreateUser",
            "IAM:createaccesskey",
            "iam:*User",
            "iam:?reateUser",
            "*:CreateUser",
            "i*:PassRole",
            "iam:G*",
            "organizations:CreateAccount",
            "kms:CreateGrant",
            "s3:Put*",
            "s3:PutObjectAcl",
            "lambda:AddPermission",
            "secretsmanager:PutResourcePolicy",
            "rds:ModifyDBClusterSnapshotAttribute",
        ] {
            let power = of(json!([allow(json!(action), json!("*"))]));
            assert!(!power.lasting.is_empty(), "{action}");
        }
        for action in [
            "iam:GetUser",
            "iam:List*",
            "iam:SimulatePrincipalPolicy",
            "organizations:Describe*",
            "s3:PutObject",
            "s3:Get*",
            "dynamodb:*Item",
            "kms:Decrypt",
        ] {
            let power = of(json!([allow(json!(action), json!("*"))]));
            assert_eq!(power.lasting, [""; 0], "{action}");
        }
        // A resource of its own makes it no less lasting.
        let one = allow(
            json!("iam:PassRole"),
            json!("arn:aws:iam::111122223333:role/app"),
        );
        assert_eq!(
            of(json!([one])).lasting,
            ["users, keys, roles and policies (by iam:PassRole)"]
        );
    }

    #[test]
    fn only_a_plain_deny_takes_it_away() {
        let with = |deny: Value| of(json!([allow(json!("iam:*"), json!("*")), deny]));
        for deny in [
            json!({ "Effect": "Deny", "Action": "iam:*", "Resource": "*" }),
            json!({ "Effect": "Deny", "Action": ["s3:*", "*"], "Resource": "*" }),
            json!({ "Effect": "Deny", "NotAction": "ec2:*", "Resource": "*" }),
        ] {
            assert!(with(deny.clone()).lasting.is_empty(), "{deny}");
        }
        for deny in [
            json!({ "Effect": "Deny", "Action": "iam:Create*", "Resource": "*" }),
            json!({ "Effect": "Deny", "Action": "iam:*", "Resource": "arn:aws:iam::111122223333:user/x" }),
            json!({ "Effect": "Deny", "NotAction": "iam:Get*", "Resource": "*" }),
            json!({ "Effect": "Deny", "Action": "iam:*", "Resource": "*",
                "Condition": { "Bool": { "aws:MultiFactorAuthPresent": "false" } } }),
            json!({ "Effect": "Allow", "Action": "iam:*", "Resource": "*" }),
        ] {
            assert!(!with(deny.clone()).lasting.is_empty(), "{deny}");
        }
        // What is taken of one action leaves the next, in whichever order they stand.
        for actions in [
            ["iam:CreateUser", "iam:AttachUserPolicy"],
            ["iam:AttachUserPolicy", "iam:CreateUser"],
        ] {
            let deny = json!({ "Effect": "Deny", "Action": "iam:CreateUser", "Resource": "*" });
            let power = of(json!([allow(json!(actions), json!("*")), deny]));
            assert_eq!(
                power.lasting,
                ["users, keys, roles and policies (by iam:AttachUserPolicy)"]
            );
        }
        let all_but = json!([{ "Effect": "Allow", "NotAction": "iam:Create*", "Resource": "arn:aws:iam::111122223333:user/x" }]);
        assert!(!of(all_but).lasting.is_empty());
    }
}
