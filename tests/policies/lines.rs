//! Policies with one line taken out: an action, a resource, a condition, or a whole statement.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::engine::Case;

/// A resource that nobody has; it stands for "none" where AWS wants one.
const NOWHERE: &str = "arn:aws:s3:::nobody-has-this";

/// One policy with something missing.
pub(crate) struct Variant {
    /// The policy's name.
    pub(crate) file: String,
    /// What is missing.
    pub(crate) what: String,
    policy: Value,
    /// The pattern that is missing, where it is one: only what it matches can be decided otherwise.
    gone: Option<Gone>,
}

/// A pattern that is missing.
enum Gone {
    Action(String),
    Resource(String),
}

impl Variant {
    /// Whether it can decide this case otherwise.
    pub(crate) fn touches(&self, case: &Case) -> bool {
        case.uses(&self.file)
            && match &self.gone {
                Some(Gone::Action(pattern)) => {
                    glob(&pattern.to_lowercase(), &case.action.to_lowercase())
                }
                Some(Gone::Resource(pattern)) => glob(pattern, &case.resource),
                None => true,
            }
    }

    /// All policies, this one changed.
    pub(crate) fn policies(&self, shipped: &BTreeMap<String, Value>) -> BTreeMap<String, Value> {
        let mut all = shipped.clone();
        all.insert(self.file.clone(), self.policy.clone());
        all
    }
}

/// Every way to take one line out of any of these policies.
pub(crate) fn variants(shipped: &BTreeMap<String, Value>) -> Vec<Variant> {
    let mut all = Vec::new();
    for (file, policy) in shipped {
        let statements = policy["Statement"].as_array().expect(file);
        for (index, statement) in statements.iter().enumerate() {
            let mut add = |what: String, statement: Option<Value>, gone: Option<Gone>| {
                let mut changed = policy.clone();
                let list = changed["Statement"].as_array_mut().expect("statements");
                match statement {
                    Some(statement) => list[index] = statement,
                    None => drop(list.remove(index)),
                }
                let sid = &statements[index]["Sid"];
                all.push(Variant {
                    file: file.clone(),
                    what: format!("{file}: {sid}: {what}"),
                    policy: changed,
                    gone,
                });
            };
            if statements.len() > 1 {
                add("the whole statement".into(), None, None);
            }
            for field in ["Action", "NotAction", "Resource", "NotResource"] {
                for (gone, changed) in shorter(statement, field) {
                    let what = format!("{field} {gone}");
                    let pattern = match field {
                        "Action" | "NotAction" => Some(Gone::Action(gone)),
                        // A resource that stood alone became all or none.
                        _ if statement[field].is_string() => None,
                        _ => Some(Gone::Resource(gone)),
                    };
                    add(what, Some(changed), pattern);
                }
            }
            for (gone, changed) in without_conditions(statement) {
                add(gone, Some(changed), None);
            }
        }
    }
    all
}

/// The statement without each entry of a list; a single resource becomes all of them in an Allow, none in a Deny.
fn shorter(statement: &Value, field: &str) -> Vec<(String, Value)> {
    match &statement[field] {
        Value::Array(list) if list.len() > 1 => (0..list.len())
            .map(|index| {
                let mut changed = statement.clone();
                let gone = changed[field].as_array_mut().expect("a list").remove(index);
                (gone.as_str().expect("a pattern").to_owned(), changed)
            })
            .collect(),
        Value::String(one) if field == "Resource" && one != "*" => {
            let mut changed = statement.clone();
            let allow = statement["Effect"] == "Allow";
            changed[field] = json!(if allow { "*" } else { NOWHERE });
            vec![(one.clone(), changed)]
        }
        _ => Vec::new(),
    }
}

/// The statement without each condition key, and with each list of expected values shortened.
fn without_conditions(statement: &Value) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    for (operator, keys) in statement["Condition"].as_object().into_iter().flatten() {
        for (key, expected) in keys.as_object().expect("keys") {
            let mut changed = statement.clone();
            let conditions = changed["Condition"].as_object_mut().expect("conditions");
            let left = conditions[operator].as_object_mut().expect("keys");
            left.remove(key);
            if left.is_empty() {
                conditions.remove(operator);
            }
            all.push((format!("{operator} {key}"), changed));
            for index in 0..expected.as_array().map_or(0, Vec::len) {
                let mut changed = statement.clone();
                let list = changed["Condition"][operator][key]
                    .as_array_mut()
                    .expect("a list");
                if list.len() > 1 {
                    let gone = list.remove(index);
                    all.push((format!("{operator} {key} {gone}"), changed));
                }
            }
        }
    }
    all
}

/// IAM's `*`: any run of characters.
fn glob(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, rest)) => text.strip_prefix(before).is_some_and(|left| {
            (0..=left.len()).any(|at| left.is_char_boundary(at) && glob(rest, &left[at..]))
        }),
    }
}
