//! A policy document read into statements, as far as AWS would read it: what STS refuses after two taps is refused here before.
//!
//! Source: IAM User Guide, 'IAM JSON policy elements reference'.

use serde_json::Value;

use super::render::{self, PolicyError};

/// Whether a statement gives or takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Gives.
    Allow,
    /// Takes, whatever others give.
    Deny,
}

/// What a statement names: these, or all but these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// `Action`, `Resource`.
    These(Vec<String>),
    /// `NotAction`, `NotResource`.
    AllBut(Vec<String>),
}

/// One condition: it holds where the request's `key` compares to one of `values` as `operator` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// E.g. `ForAllValues:StringEquals`.
    pub operator: String,
    /// E.g. `dynamodb:LeadingKeys`.
    pub key: String,
    /// What it is compared with.
    pub values: Vec<String>,
}

/// One statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Whether it gives or takes.
    pub effect: Effect,
    /// Actions, `service:Action`.
    pub actions: Named,
    /// Resources, ARNs.
    pub resources: Named,
    /// All have to hold.
    pub conditions: Vec<Condition>,
}

/// The condition operators, without set operators and `IfExists`.
const OPERATORS: [&str; 26] = [
    "StringEquals",
    "StringNotEquals",
    "StringEqualsIgnoreCase",
    "StringNotEqualsIgnoreCase",
    "StringLike",
    "StringNotLike",
    "NumericEquals",
    "NumericNotEquals",
    "NumericLessThan",
    "NumericLessThanEquals",
    "NumericGreaterThan",
    "NumericGreaterThanEquals",
    "DateEquals",
    "DateNotEquals",
    "DateLessThan",
    "DateLessThanEquals",
    "DateGreaterThan",
    "DateGreaterThanEquals",
    "Bool",
    "BinaryEquals",
    "IpAddress",
    "NotIpAddress",
    "ArnEquals",
    "ArnLike",
    "ArnNotEquals",
    "ArnNotLike",
];

/// Reads a template or a rendered policy.
///
/// # Errors
/// [`PolicyError::Template`], by the first thing that AWS would not take.
pub fn read(template: &Value) -> Result<Vec<Statement>, PolicyError> {
    let mut sids = Vec::new();
    let mut statements = Vec::new();
    for statement in render::statements_of(template)? {
        if let Some(sid) = statement.get("Sid") {
            let sid = sid.as_str().unwrap_or_default();
            let plain = !sid.is_empty() && sid.bytes().all(|b| b.is_ascii_alphanumeric());
            if !plain || sids.contains(&sid) {
                return wrong("a statement's Sid is not letters and digits, or stands there twice");
            }
            sids.push(sid);
        }
        statements.push(one(statement)?);
    }
    Ok(statements)
}

fn one(statement: &Value) -> Result<Statement, PolicyError> {
    let effect = match statement.get("Effect").and_then(Value::as_str) {
        Some("Allow") => Effect::Allow,
        Some("Deny") => Effect::Deny,
        _ => return wrong("a statement's Effect is neither Allow nor Deny"),
    };
    let actions = named(statement, ("Action", "NotAction"))?;
    let resources = named(statement, ("Resource", "NotResource"))?;
    if !actions.list().iter().all(|a| is_action(a)) {
        return wrong("an action is neither * nor like s3:GetObject");
    }
    if !resources.list().iter().all(|r| is_resource(r)) {
        return wrong("a resource is neither * nor an arn with its six parts");
    }
    Ok(Statement {
        effect,
        actions,
        resources,
        conditions: match statement.get("Condition") {
            None => Vec::new(),
            Some(conditions) => read_conditions(conditions)?,
        },
    })
}

fn named(statement: &Value, (these, but): (&str, &str)) -> Result<Named, PolicyError> {
    match (statement.get(these), statement.get(but)) {
        (Some(list), None) => strings(list).map(Named::These),
        (None, Some(list)) => strings(list).map(Named::AllBut),
        _ => wrong("a statement names both what it is about and what it is not about, or neither"),
    }
}

fn read_conditions(conditions: &Value) -> Result<Vec<Condition>, PolicyError> {
    let Value::Object(operators) = conditions else {
        return wrong("a Condition is not a json object");
    };
    let mut read = Vec::new();
    for (operator, keys) in operators {
        if !is_operator(operator) {
            return wrong("a Condition has an operator that does not exist");
        }
        let Value::Object(keys) = keys else {
            return wrong("a Condition's operator has no keys");
        };
        for (key, values) in keys {
            if !key.contains(':') {
                return wrong("a Condition's key is not like aws:CurrentTime");
            }
            read.push(Condition {
                operator: operator.clone(),
                key: key.clone(),
                values: scalars(values)?,
            });
        }
    }
    Ok(read)
}

fn is_operator(operator: &str) -> bool {
    let bare = operator
        .strip_prefix("ForAllValues:")
        .or_else(|| operator.strip_prefix("ForAnyValue:"))
        .unwrap_or(operator);
    let bare = bare.strip_suffix("IfExists").unwrap_or(bare);
    operator == "Null" || OPERATORS.contains(&bare)
}

fn is_action(action: &str) -> bool {
    let name = |part: &str, more: &[u8]| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || more.contains(&b))
    };
    action == "*"
        || action
            .split_once(':')
            .is_some_and(|(service, action)| name(service, b"-*?") && name(action, b"*?"))
}

fn is_resource(resource: &str) -> bool {
    resource == "*" || (resource.starts_with("arn:") && resource.splitn(6, ':').count() == 6)
}

/// One string, or a list of at least one.
fn strings(value: &Value) -> Result<Vec<String>, PolicyError> {
    let list = match value {
        Value::String(one) => vec![Some(one.clone())],
        Value::Array(list) => list.iter().map(|v| v.as_str().map(str::to_owned)).collect(),
        _ => Vec::new(),
    };
    match list.into_iter().collect::<Option<Vec<String>>>() {
        Some(list) if !list.is_empty() => Ok(list),
        _ => wrong("an Action or Resource is neither a text nor a list of texts"),
    }
}

/// What a key is compared with: texts, numbers, booleans.
fn scalars(value: &Value) -> Result<Vec<String>, PolicyError> {
    let one = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        _ => None,
    };
    let list: Option<Vec<String>> = match value {
        Value::Array(list) => list.iter().map(one).collect(),
        other => one(other).map(|one| vec![one]),
    };
    match list {
        Some(list) if !list.is_empty() => Ok(list),
        _ => wrong("a Condition compares with something that is neither text, number nor boolean"),
    }
}

fn wrong<T>(why: &'static str) -> Result<T, PolicyError> {
    Err(PolicyError::Template(why))
}

impl Named {
    /// What is written there, whichever way it is meant.
    pub fn list(&self) -> &[String] {
        match self {
            Self::These(list) | Self::AllBut(list) => list,
        }
    }
}
