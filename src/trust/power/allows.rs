//! Which profile would allow what a session was refused.

use regex_lite::Regex;

use super::{
    analysis::{Power, power},
    document::{self, Condition, Effect, Named, Statement},
    glob::covers,
};
use crate::trust::{pattern, roster::Access};

/// That a profile would allow an action, and on what terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The subject that a request has to name, where it can be told from the resource.
    pub subject: Option<String>,
    /// What has to hold besides; empty where nothing has to.
    pub conditions: Vec<Condition>,
    /// How much else comes with it.
    pub power: Power,
    /// How many actions and resources its policy names: of two grants the one with fewer is the narrower.
    pub size: usize,
}

/// What stands for a request's own value in a resource.
const SUBJECT: &str = "([A-Za-z0-9_.@+=,-]{1,128})";

/// Whether a session of `access` could do `action` (`service:Action`) on `resource` (an ARN; any, where it is not known).
///
/// `None` where it could not, and where the policy cannot be read. Conditions are not judged but told.
pub fn would_allow(access: &Access, action: &str, resource: Option<&str>) -> Option<Grant> {
    let statements = document::read(&access.policy.0).ok()?;
    let denied = statements.iter().any(|s| {
        s.effect == Effect::Deny
            && s.conditions.is_empty()
            && has_action(s, action)
            && resource.map_or_else(|| is_any(s), |r| on(s, r).is_some())
    });
    if denied {
        return None;
    }
    let size = statements
        .iter()
        .map(|s| s.actions.list().len() + s.resources.list().len())
        .sum();
    let mut grants: Vec<Grant> = statements
        .iter()
        .filter(|s| s.effect == Effect::Allow && has_action(s, action))
        .filter_map(|s| {
            let subject = match resource {
                Some(resource) => on(s, resource)?,
                None => None,
            };
            let fits = |subject: &String| {
                access
                    .subject
                    .as_ref()
                    .is_none_or(|wanted| pattern::matches(wanted, subject))
            };
            if subject.as_ref().is_some_and(|subject| !fits(subject)) {
                return None;
            }
            Some(Grant {
                subject,
                conditions: s.conditions.clone(),
                power: power(&statements),
                size,
            })
        })
        .collect();
    grants.sort_by_key(|grant| grant.conditions.len());
    grants.into_iter().next()
}

fn has_action(statement: &Statement, action: &str) -> bool {
    let action = action.to_ascii_lowercase();
    let named = |list: &[String]| {
        list.iter()
            .any(|a| covers(&a.to_ascii_lowercase(), &action))
    };
    match &statement.actions {
        Named::These(list) => named(list),
        Named::AllBut(list) => !named(list),
    }
}

fn is_any(statement: &Statement) -> bool {
    matches!(&statement.resources, Named::These(list) if list.iter().any(|r| r == "*"))
}

/// Whether a statement is about `resource`, with the subject that makes it so.
fn on(statement: &Statement, resource: &str) -> Option<Option<String>> {
    match &statement.resources {
        Named::These(list) => list.iter().find_map(|pattern| matched(pattern, resource)),
        Named::AllBut(list) => {
            let out = list.iter().any(|p| matched(p, resource).is_some());
            (!out).then_some(None)
        }
    }
}

/// Whether a resource's pattern is for `resource`; variables are filled in with whatever makes it so.
fn matched(pattern: &str, resource: &str) -> Option<Option<String>> {
    if pattern == "*" {
        return Some(None);
    }
    let mut regex = String::from(r"\A");
    let mut rest = pattern;
    let mut captured = false;
    while let Some(c) = rest.chars().next() {
        let variable = rest
            .strip_prefix("${")
            .and_then(|inner| inner.split_once('}'));
        rest = match (variable, c) {
            (Some(("subject", after)), _) if !captured => {
                captured = true;
                regex.push_str(SUBJECT);
                after
            }
            (Some(("*" | "?" | "$", after)), _) => {
                regex.push_str(&regex_lite::escape(&rest[2..3]));
                after
            }
            (Some((_, after)), _) => {
                regex.push_str("[^/:]*");
                after
            }
            (None, '*') => {
                regex.push_str(".*");
                &rest[1..]
            }
            (None, '?') => {
                regex.push('.');
                &rest[1..]
            }
            (None, c) => {
                regex.push_str(&regex_lite::escape(&rest[..c.len_utf8()]));
                &rest[c.len_utf8()..]
            }
        };
    }
    regex.push_str(r"\z");
    let found = Regex::new(&regex).ok()?.captures(resource)?;
    Some(found.get(1).map(|m| m.as_str().to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::trust::{
        strict::Json,
        tests::people::{self, SoftToken},
    };

    fn access(statements: Value, subject: Option<&str>) -> Access {
        let [alice, bob] = ["alice", "bob"].map(SoftToken::new);
        let mut access = people::verified(2, &[&alice, &bob]).access[0].clone();
        access.policy = Json(json!({ "Version": "2012-10-17", "Statement": statements }));
        access.subject = subject.map(str::to_owned);
        access
    }

    #[test]
    fn the_subject_is_told_from_the_resource() {
        let one = json!([{ "Effect": "Allow", "Action": ["s3:Get*"], "Resource": "arn:aws:s3:::data/users/${subject}/*" }]);
        let access = access(one, Some("u-[0-9]+"));
        let grant = |action, resource| would_allow(&access, action, resource);
        let found = grant("S3:getobject", Some("arn:aws:s3:::data/users/u-43/a/b.txt"));
        assert_eq!(found.expect("allowed").subject.as_deref(), Some("u-43"));
        for (action, resource) in [
            ("s3:PutObject", "arn:aws:s3:::data/users/u-43/a"),
            ("s3:GetObject", "arn:aws:s3:::data/users/x-43/a"),
            ("s3:GetObject", "arn:aws:s3:::data/users/u-43"),
            ("s3:GetObject", "arn:aws:s3:::data2/users/u-43/a"),
            ("s3:GetObject", "arn:aws:s3:::data/users/u-43/../u-44"),
        ] {
            let found = grant(action, Some(resource));
            let inside = resource.ends_with("u-44");
            assert_eq!(found.is_some(), inside, "{action} {resource}");
        }
        assert!(grant("s3:GetObject", None).is_some());
        assert!(grant("ec2:RunInstances", None).is_none());
    }

    #[test]
    fn a_deny_outweighs_and_conditions_are_told() {
        let both = json!([
            { "Effect": "Allow", "Action": "s3:*", "Resource": "*" },
            { "Effect": "Deny", "Action": "s3:Delete*", "Resource": "*" },
            { "Effect": "Deny", "NotAction": "s3:*", "Resource": "arn:aws:iam::111122223333:*" },
            { "Effect": "Allow", "NotAction": "iam:*", "NotResource": "arn:aws:kms:*:*:*",
              "Condition": { "Bool": { "aws:SecureTransport": true } } },
        ]);
        let access = access(both, None);
        let grant = |action, resource| would_allow(&access, action, resource);
        assert!(grant("s3:DeleteObject", Some("arn:aws:s3:::a/b")).is_none());
        assert!(grant("s3:DeleteObject", None).is_none());
        let read = grant("s3:GetObject", Some("arn:aws:s3:::a/b")).expect("allowed");
        assert!(read.conditions.is_empty() && !read.power.is_plain());
        let ec2 = grant("ec2:RunInstances", Some("arn:aws:ec2:::x")).expect("allowed");
        assert_eq!(ec2.conditions[0].key, "aws:SecureTransport");
        assert!(grant("iam:GetUser", Some("arn:aws:ec2:::x")).is_none());
        assert!(
            grant(
                "kms:Decrypt",
                Some("arn:aws:kms:eu-central-1:111122223333:key/x")
            )
            .is_none()
        );
    }
}
