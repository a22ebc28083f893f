//! The second engine: `@cloud-copilot/iam-simulate` in one Node process for a whole list of questions. It also refuses actions and resources
//! that AWS does not have, so that a mistyped line of a policy or of a case is found. An error of its is no answer: no case holds by one.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    io::Write as _,
    process::{Command, Stdio},
};

use serde_json::{Map, Value, json};
use twotap_rig::tools;

use crate::ACCOUNT;

/// A trust policy that trusts the whole account: the caller's own policy decides.
pub(crate) const ANYBODY: &str = "anybody";

/// Keys of an encryption context, which the engine knows by AWS's placeholder alone: questions and policies name them so there.
const CONTEXT_KEYS: [&str; 2] = [
    "kms:EncryptionContext:SecretARN",
    "kms:EncryptionContext:aws:cloudtrail:arn",
];
const ANY_CONTEXT_KEY: &str = "kms:EncryptionContext:${EncryptionContextKey}";

/// What a case expects.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Allowed,
    Refused,
}

impl Verdict {
    /// Whether the engine's answer is this one; an error of the engine's is neither.
    pub(crate) fn holds(self, said: &str) -> bool {
        match self {
            Self::Allowed => said == "Allowed",
            Self::Refused => matches!(said, "ExplicitlyDenied" | "ImplicitlyDenied"),
        }
    }
}

/// Who asks, and by which shipped policies (names of files, or of resources of the template) it is decided.
#[derive(Clone, Default)]
pub(crate) struct Who {
    pub(crate) principal: String,
    pub(crate) identity: Vec<&'static str>,
    /// A policy that allows everything, for somebody who is not twotap's.
    pub(crate) administrator: bool,
    pub(crate) boundary: Option<&'static str>,
    pub(crate) organisation: Option<&'static str>,
    pub(crate) context: BTreeMap<&'static str, Value>,
}

/// One question.
pub(crate) struct Case {
    pub(crate) who: Who,
    pub(crate) action: &'static str,
    pub(crate) resource: String,
    /// The resource's own policy: a trust policy, a bucket's, a key's.
    pub(crate) resource_policy: Option<&'static str>,
    pub(crate) expected: Verdict,
}

impl Case {
    /// `who` does `action` to `resource`.
    pub(crate) fn new(
        who: &Who,
        action: &'static str,
        resource: String,
        expected: Verdict,
    ) -> Self {
        Self {
            who: who.clone(),
            action,
            resource,
            resource_policy: None,
            expected,
        }
    }

    /// The same with the resource's own policy.
    pub(crate) fn under(mut self, policy: &'static str) -> Self {
        self.resource_policy = Some(policy);
        self
    }

    /// The same with a condition key.
    pub(crate) fn with(mut self, key: &'static str, value: Value) -> Self {
        self.who.context.insert(key, value);
        self
    }

    /// The same without a condition key.
    pub(crate) fn without(mut self, key: &'static str) -> Self {
        assert!(self.who.context.remove(key).is_some(), "{key} is not there");
        self
    }

    /// Whether a shipped policy has a say in it.
    pub(crate) fn uses(&self, policy: &str) -> bool {
        let who = &self.who;
        let named = [who.boundary, who.organisation, self.resource_policy];
        who.identity.contains(&policy) || named.contains(&Some(policy))
    }

    /// The question as the engine takes it.
    pub(crate) fn simulation(&self, shipped: &BTreeMap<String, Value>) -> Value {
        let policy = |name: &str| match name {
            ANYBODY => {
                json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{ACCOUNT}:root")},
                "Action": ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]}]})
            }
            name => shipped
                .get(name)
                .unwrap_or_else(|| panic!("no {name}"))
                .clone(),
        };
        let all = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]});
        let named = |name: &str| json!({"name": name, "policy": policy(name)});
        let mut identity: Vec<Value> = self.who.identity.iter().map(|name| named(name)).collect();
        if self.who.administrator {
            identity.push(json!({"name": "everything", "policy": all}));
        }
        let context: Map<String, Value> = self
            .who
            .context
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.clone()))
            .collect();
        let account = match self.resource.split(':').nth(4) {
            Some(account) if account.len() == ACCOUNT.len() => account,
            _ => ACCOUNT,
        };
        let mut simulation = json!({
            "request": {
                "principal": self.who.principal,
                "action": self.action,
                "resource": {"resource": self.resource, "accountId": account},
                "contextVariables": context,
            },
            "identityPolicies": identity,
            "serviceControlPolicies": [],
            "resourceControlPolicies": [],
        });
        if let Some(name) = self.who.boundary {
            simulation["permissionBoundaryPolicies"] = json!([named(name)]);
        }
        if let Some(name) = self.who.organisation {
            simulation["serviceControlPolicies"] = json!([{
                "orgIdentifier": "r-root",
                "policies": [{"name": "FullAWSAccess", "policy": all}, named(name)],
            }]);
        }
        if let Some(name) = self.resource_policy {
            simulation["resourcePolicy"] = policy(name);
        }
        let mut text = simulation.to_string();
        for key in CONTEXT_KEYS {
            text = text.replace(key, ANY_CONTEXT_KEY);
        }
        serde_json::from_str(&text).expect("still JSON")
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let expected = match self.expected {
            Verdict::Allowed => "should be allowed",
            Verdict::Refused => "should be refused",
        };
        let keys: BTreeSet<&str> = self.who.context.keys().copied().collect();
        write!(
            f,
            "{} {} {} {keys:?} {expected}",
            self.who.principal, self.action, self.resource
        )
    }
}

/// What the engine says to each question.
pub(crate) fn decide(questions: impl Iterator<Item = Value>) -> Vec<String> {
    let questions: Vec<Value> = questions.collect();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/policies/simulate.mjs");
    let mut node = Command::new("node")
        .arg(script)
        .arg(tools::node_packages().expect("Node packages"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node runs");
    let mut input = node.stdin.take().expect("its input");
    let text = Value::from(questions.clone()).to_string();
    // The script reads all of it before it writes anything.
    input.write_all(text.as_bytes()).expect("asked");
    drop(input);
    let done = node.wait_with_output().expect("it ends");
    assert!(done.status.success(), "{}", done.status);
    let said: Vec<String> = serde_json::from_slice(&done.stdout).expect("a list of answers");
    assert_eq!(said.len(), questions.len());
    said
}
