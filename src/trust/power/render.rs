//! The session policy: what an access profile's template becomes for one request.
//!
//! Pure, and deterministic to the byte: its digest stands in the request that custodians sign, and the worker
//! renders it again before it mints.

use std::fmt;

use serde_json::{Map, Value, json};
use time::format_description::FormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

use crate::trust::{request::Request, roster::Access};

/// The longest inline session policy, in characters (AWS STS API Reference, `AssumeRole`, `Policy`).
pub const SESSION_POLICY_MAX: usize = 2048;

/// The actions that can be made as a probe: whoever approves without a network knows them too.
pub const PROBES: [&str; 2] = ["ec2:DescribeRegions", "s3:ListAllMyBuckets"];

const RFC3339: &[FormatItem<'static>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");

/// What a template may ask for, as `${subject}`, `${incident}`, `${operator}`, `${request}`.
/// Each: 1 to 128 of `A-Za-z0-9_.@+=,-`; so none can add a wildcard, a further part of
/// an ARN or path, a variable or a quote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyVars {
    /// What the request is about, e.g. a cluster's name.
    pub subject: String,
    /// The incident's id.
    pub incident: String,
    /// The person who acts.
    pub operator: String,
    /// The request's id.
    pub request: String,
}

impl PolicyVars {
    fn find(&self, name: &str) -> Option<&str> {
        Some(match name {
            "subject" => &self.subject,
            "incident" => &self.incident,
            "operator" => &self.operator,
            "request" => &self.request,
            _ => return None,
        })
    }
}

/// Why a policy could not be rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicyError {
    /// The template is not an IAM policy document that can be a session policy.
    Template(&'static str),
    /// `${name}` with a name that is neither ours nor one of IAM's own variables.
    UnknownVariable(String),
    /// A `${` without its `}`.
    Unclosed,
    /// `${...}` in the name of a JSON field, where nothing is put in.
    VariableInName(String),
    /// A value with characters that could mean something in a policy, or of a length outside of 1 to 128.
    Value(&'static str),
    /// A request's id that is not `r-` and 13 letters or digits.
    RequestId,
    /// Longer than AWS takes, in characters.
    TooLong(usize),
    /// A character that AWS does not take (beyond U+00FF).
    Character(char),
    /// An action that cannot be made as a probe.
    Probe(String),
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PolicyError::Template(why) => write!(f, "the policy template cannot be used: {why}"),
            PolicyError::UnknownVariable(name) => {
                write!(
                    f,
                    "the policy template asks for ${{{name}}}, which does not exist"
                )
            }
            PolicyError::Unclosed => f.write_str("the policy template has a ${ without its }"),
            PolicyError::VariableInName(name) => {
                write!(
                    f,
                    "the policy template has a variable in the field name '{name}'"
                )
            }
            PolicyError::Value(name) => write!(f, "the {name} cannot stand in a policy"),
            PolicyError::RequestId => f.write_str("the request's id cannot stand in a policy"),
            PolicyError::TooLong(has) => write!(
                f,
                "the session policy has {has} characters; aws takes {SESSION_POLICY_MAX}"
            ),
            PolicyError::Character(c) => {
                write!(f, "the session policy holds {c:?}, which aws does not take")
            }
            PolicyError::Probe(name) => write!(f, "'{name}' cannot be used as a probe"),
        }
    }
}

impl std::error::Error for PolicyError {}

impl PolicyError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            PolicyError::UnknownVariable(_) => {
                "known are ${subject}, ${incident}, ${operator}, ${request}, and iam's own with a colon (${aws:...})".into()
            }
            PolicyError::Value(_) => "1 to 128 ascii letters, digits and _ . @ + = , - are taken".into(),
            PolicyError::TooLong(_) => {
                "shorten the profile's template: fewer statements, or a managed policy on the role".into()
            }
            PolicyError::Probe(_) => {
                format!("supported are {}", PROBES.join(", "))
            }
            _ => return None,
        })
    }
}

/// Renders a session policy: the template with its variables filled in, then three statements of ours:
/// everything is denied after `not_after` (whole seconds, UTC), taking another role is denied, the probe is allowed.
/// Minified, at most 2,048 characters.
///
/// The template is an IAM policy document (`Version` `2012-10-17`, `Statement` an object or a list)
/// without principals. Variables are filled in in string values alone; IAM's own
/// (`${aws:...}`, `${*}`, `${?}`, `${$}`) stay.
///
/// Source: IAM JSON policy elements reference; AWS STS API Reference, `AssumeRole`, `Policy`.
pub fn session_policy(
    template: &Value,
    vars: &PolicyVars,
    not_after: OffsetDateTime,
    probe: &str,
) -> Result<String, PolicyError> {
    check_vars(vars)?;
    if !PROBES.contains(&probe) {
        return Err(PolicyError::Probe(shown(probe)));
    }
    let mut statements: Vec<Value> = statements_of(template)?
        .iter()
        .map(|s| filled(s, vars))
        .collect::<Result<_, _>>()?;
    statements.extend(ours(not_after, probe)?);
    let policy = json!({ "Version": "2012-10-17", "Statement": statements }).to_string();
    if let Some(odd) = policy.chars().find(|c| !('\u{20}'..='\u{ff}').contains(c)) {
        return Err(PolicyError::Character(odd));
    }
    match policy.chars().count() {
        ..=SESSION_POLICY_MAX => Ok(policy),
        has => Err(PolicyError::TooLong(has)),
    }
}

/// The policy that a request's profile becomes for it: what the worker renders, and what its digest in the request is of.
///
/// # Errors
/// As [`session_policy`].
pub fn for_request(access: &Access, request: &Request) -> Result<String, PolicyError> {
    let vars = PolicyVars {
        subject: request.subject.clone().unwrap_or_else(|| "-".to_owned()),
        incident: request.incident.clone(),
        operator: request.operator.clone(),
        request: request.id.clone(),
    };
    let until = request.not_after.into();
    session_policy(&access.policy.0, &vars, until, &access.probe)
}

/// A policy that denies everything: for proving a new key by taking a role with it, and for drills.
pub fn deny_all_policy() -> String {
    r#"{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}"#.into()
}

/// What every session gets, whatever its profile says.
fn ours(not_after: OffsetDateTime, probe: &str) -> Result<[Value; 3], PolicyError> {
    let until = not_after
        .to_offset(UtcOffset::UTC)
        .format(&RFC3339)
        .map_err(|_| PolicyError::Template("its end is no date"))?;
    Ok([
        json!({
            "Effect": "Deny", "Action": "*", "Resource": "*",
            "Condition": { "DateGreaterThan": { "aws:CurrentTime": until } }
        }),
        // Another session would not carry this policy. AssumeRoot is the same by another name.
        json!({ "Effect": "Deny", "Action": ["sts:AssumeRole", "sts:AssumeRoot"], "Resource": "*" }),
        json!({ "Effect": "Allow", "Action": probe, "Resource": "*" }),
    ])
}

fn check_vars(vars: &PolicyVars) -> Result<(), PolicyError> {
    for (name, value) in [
        ("subject", &vars.subject),
        ("incident", &vars.incident),
        ("operator", &vars.operator),
        ("request", &vars.request),
    ] {
        let good = (1..=128).contains(&value.len())
            && value
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_.@+=,-".contains(&b));
        if !good {
            return Err(PolicyError::Value(name));
        }
    }
    Ok(())
}

/// The template's statements, each looked at as far as STS would look.
pub(super) fn statements_of(template: &Value) -> Result<Vec<&Value>, PolicyError> {
    let wrong = |why| Err(PolicyError::Template(why));
    let Value::Object(document) = template else {
        return wrong("it is not a json object");
    };
    if document
        .keys()
        .any(|key| !matches!(key.as_str(), "Version" | "Id" | "Statement"))
    {
        return wrong("it has a field beside Version, Id and Statement");
    }
    if document.get("Version") != Some(&Value::from("2012-10-17")) {
        return wrong("its Version is not 2012-10-17");
    }
    let statements: Vec<&Value> = match document.get("Statement") {
        Some(Value::Array(list)) if !list.is_empty() => list.iter().collect(),
        Some(one @ Value::Object(_)) => vec![one],
        _ => return wrong("it has no statement"),
    };
    for statement in &statements {
        check_statement(statement)?;
    }
    Ok(statements)
}

fn check_statement(statement: &Value) -> Result<(), PolicyError> {
    let wrong = |why| Err(PolicyError::Template(why));
    let Value::Object(fields) = statement else {
        return wrong("a statement is not a json object");
    };
    if !matches!(
        fields.get("Effect").and_then(Value::as_str),
        Some("Allow" | "Deny")
    ) {
        return wrong("a statement's Effect is neither Allow nor Deny");
    }
    for key in fields.keys() {
        match key.as_str() {
            "Sid" | "Effect" | "Action" | "NotAction" | "Resource" | "NotResource"
            | "Condition" => {}
            "Principal" | "NotPrincipal" => {
                return wrong("a statement names a principal, which a session policy cannot");
            }
            _ => return wrong("a statement has an unknown field"),
        }
    }
    for (one, other) in [("Action", "NotAction"), ("Resource", "NotResource")] {
        if fields.contains_key(one) == fields.contains_key(other) {
            return wrong(
                "a statement needs one of Action and NotAction, and one of Resource and NotResource",
            );
        }
    }
    Ok(())
}

/// A name from a template as an error may repeat it.
fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(100).collect()
}

/// The same tree with the variables in its strings filled in.
fn filled(value: &Value, vars: &PolicyVars) -> Result<Value, PolicyError> {
    Ok(match value {
        Value::String(text) => Value::String(fill(text, vars)?),
        Value::Array(list) => Value::Array(
            list.iter()
                .map(|v| filled(v, vars))
                .collect::<Result<_, _>>()?,
        ),
        Value::Object(fields) => {
            let mut out = Map::new();
            for (name, value) in fields {
                if name.contains("${") {
                    return Err(PolicyError::VariableInName(shown(name)));
                }
                out.insert(name.clone(), filled(value, vars)?);
            }
            Value::Object(out)
        }
        other => other.clone(),
    })
}

fn fill(text: &str, vars: &PolicyVars) -> Result<String, PolicyError> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, from) = rest.split_at(start);
        let end = from.find('}').ok_or(PolicyError::Unclosed)?;
        let name = &from[2..end];
        out.push_str(before);
        match vars.find(name) {
            Some(value) => out.push_str(value),
            // IAM's own: a service's key after a colon, or an escaped wildcard.
            None if name.contains(':') || matches!(name, "*" | "?" | "$") => {
                out.push_str(&from[..=end]);
            }
            None => {
                return Err(PolicyError::UnknownVariable(shown(name)));
            }
        }
        rest = &from[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests;
