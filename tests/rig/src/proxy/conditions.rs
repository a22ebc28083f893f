//! A small reading of IAM's policy language, for the shipped documents alone: statements, wildcards, and the
//! condition operators that they use. What it does not know it reports; it never guesses.
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html>.

use std::collections::BTreeMap;

use serde_json::Value;

/// The request's condition keys, in lower case, with their values. A key that is absent is absent.
pub(super) type Context = BTreeMap<String, Vec<String>>;

/// What one document says about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// A Deny statement matches.
    Denied,
    /// An Allow statement matches, and no Deny.
    Allowed,
    /// No statement matches.
    Silent,
}

/// The request that a document is asked about.
pub(super) struct Question<'a> {
    /// `service:Action`.
    pub(super) action: &'a str,
    /// The resource's ARN; a trust policy has no resource and ignores it.
    pub(super) resource: &'a str,
    /// The caller's ARN, which a trust policy's `Principal` is matched with.
    pub(super) principal: &'a str,
    /// Condition keys.
    pub(super) context: &'a Context,
}

/// Evaluates one document; an error names a part of the policy language that is not known here.
pub(super) fn evaluate(document: &Value, question: &Question<'_>) -> Result<Verdict, String> {
    let statements = document["Statement"]
        .as_array()
        .ok_or("a policy without a list of statements")?;
    let mut verdict = Verdict::Silent;
    for statement in statements {
        if !statement_matches(statement, question)? {
            continue;
        }
        match statement["Effect"].as_str() {
            Some("Deny") => return Ok(Verdict::Denied),
            Some("Allow") => verdict = Verdict::Allowed,
            other => return Err(format!("the effect {other:?}")),
        }
    }
    Ok(verdict)
}

fn statement_matches(statement: &Value, question: &Question<'_>) -> Result<bool, String> {
    for unknown in ["NotAction", "NotResource", "NotPrincipal"] {
        if statement.get(unknown).is_some() {
            return Err(format!("a statement with {unknown}"));
        }
    }
    let action = question.action.to_ascii_lowercase();
    if !strings(&statement["Action"])
        .iter()
        .any(|pattern| glob(&pattern.to_ascii_lowercase(), &action))
    {
        return Ok(false);
    }
    if let Some(resource) = statement.get("Resource")
        && !strings(resource)
            .iter()
            .any(|pattern| glob(pattern, question.resource))
    {
        return Ok(false);
    }
    if let Some(principal) = statement.get("Principal")
        && !strings(&principal["AWS"]).contains(&question.principal)
    {
        return Ok(false);
    }
    let Some(conditions) = statement.get("Condition").and_then(Value::as_object) else {
        return Ok(true);
    };
    for (operator, keys) in conditions {
        for (key, expected) in keys.as_object().ok_or("a condition without keys")? {
            if !condition_holds(
                operator,
                question.context.get(&key.to_ascii_lowercase()),
                &strings(expected),
            )? {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

fn condition_holds(
    operator: &str,
    actual: Option<&Vec<String>>,
    expected: &[&str],
) -> Result<bool, String> {
    if operator == "Null" {
        return Ok(expected
            .iter()
            .any(|expected| (*expected == "true") == actual.is_none()));
    }
    let (all, operator) = match operator.split_once(':') {
        Some(("ForAllValues", operator)) => (true, operator),
        None => (false, operator),
        Some((other, _)) => return Err(format!("the condition qualifier {other}")),
    };
    if operator == "ArnNotLike" && !all {
        // True of an absent key as well: it is the negation of what matches.
        return Ok(actual.is_none_or(|values| {
            !values
                .iter()
                .any(|actual| expected.iter().any(|expected| glob(expected, actual)))
        }));
    }
    let test: fn(&str, &str) -> bool = match operator {
        "StringEquals" => |actual, expected| actual == expected,
        "StringLike" => |actual, expected| glob(expected, actual),
        other => return Err(format!("the condition operator {other}")),
    };
    let matches = |actual: &String| expected.iter().any(|expected| test(actual, expected));
    Ok(match actual {
        // Of an absent key all values match, which is why the shipped policy adds a Null condition.
        None => all,
        Some(values) if all => values.iter().all(matches),
        Some(values) => values.iter().any(matches),
    })
}

/// A string or a list of strings, as a list.
fn strings(value: &Value) -> Vec<&str> {
    match value {
        Value::String(one) => vec![one],
        Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// IAM's wildcards: `*` for any run of characters, `?` for one.
fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    // reached[i]: the pattern so far matches the first i characters.
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    for symbol in pattern {
        let mut next = vec![false; text.len() + 1];
        for i in 0..=text.len() {
            next[i] = match symbol {
                '*' => reached[i] || (i > 0 && next[i - 1]),
                '?' => i > 0 && reached[i - 1],
                letter => i > 0 && reached[i - 1] && text[i - 1] == letter,
            };
        }
        reached = next;
    }
    reached[text.len()]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn wildcards() {
        assert!(glob(
            "iam:*PermissionsBoundary",
            "iam:PutRolePermissionsBoundary"
        ));
        assert!(glob(
            "arn:*:role/twotap/op-?",
            "arn:aws:iam::1:role/twotap/op-a"
        ));
        assert!(!glob("role/twotap/*", "role/other/x"));
        assert!(glob("*", ""));
        assert!(!glob("", "x"));
    }

    #[test]
    fn null_and_for_all_values() {
        let values = vec!["twotap".to_owned()];
        assert_eq!(condition_holds("Null", None, &["false"]), Ok(false));
        assert_eq!(condition_holds("Null", Some(&values), &["false"]), Ok(true));
        assert_eq!(
            condition_holds("ForAllValues:StringEquals", None, &["twotap"]),
            Ok(true)
        );
        assert_eq!(
            condition_holds("ForAllValues:StringEquals", Some(&values), &["other"]),
            Ok(false)
        );
        assert_eq!(condition_holds("StringLike", None, &["*"]), Ok(false));
        let arn = vec!["arn:aws:iam::aws:policy/AWSDenyAll".to_owned()];
        let narrowing = ["arn:aws:iam::aws:policy/AWSDeny*"];
        assert_eq!(
            condition_holds("ArnNotLike", Some(&arn), &narrowing),
            Ok(false)
        );
        assert_eq!(
            condition_holds("ArnNotLike", Some(&arn), &["arn:other"]),
            Ok(true)
        );
        assert_eq!(condition_holds("ArnNotLike", None, &narrowing), Ok(true));
        assert!(condition_holds("IpAddress", None, &[]).is_err());
    }

    #[test]
    fn deny_outweighs_allow() {
        let document = json!({"Statement": [
            {"Effect": "Allow", "Action": "*", "Resource": "*"},
            {"Effect": "Deny", "Action": ["iam:*"], "Resource": "arn:aws:iam::1:role/twotap/*"}
        ]});
        let context = Context::new();
        let ask = |action, resource| {
            evaluate(
                &document,
                &Question {
                    action,
                    resource,
                    principal: "",
                    context: &context,
                },
            )
        };
        assert_eq!(
            ask("iam:PutRolePolicy", "arn:aws:iam::1:role/twotap/op-admin"),
            Ok(Verdict::Denied)
        );
        assert_eq!(
            ask("iam:PutRolePolicy", "arn:aws:iam::1:role/other"),
            Ok(Verdict::Allowed)
        );
    }
}
