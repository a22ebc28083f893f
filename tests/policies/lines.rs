//! Policies with one line taken out: an action, a resource, a condition, or a whole statement.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// A resource that nobody has; it stands for "none" where AWS wants one.
const NOWHERE: &str = "arn:aws:s3:::nobody-has-this";

/// One policy with something missing.
pub(crate) struct Variant {
    /// The policy's name.
    pub(crate) file: String,
    /// What is missing.
    pub(crate) what: String,
    policy: Value,
}

impl Variant {
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
            let mut add = |what: String, statement: Option<Value>| {
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
                });
            };
            if statements.len() > 1 {
                add("the whole statement".into(), None);
            }
            for field in ["Action", "NotAction", "Resource", "NotResource"] {
                for (gone, changed) in shorter(statement, field) {
                    add(format!("{field} {gone}"), Some(changed));
                }
            }
            for (gone, changed) in without_conditions(statement) {
                add(gone, Some(changed));
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
                (gone.to_string(), changed)
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
