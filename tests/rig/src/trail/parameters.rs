//! `requestParameters`: a call's parameters under CloudTrail's names, secrets left out.

use hyper::body::Bytes;
use hyper::http::request::Parts;
use serde_json::{Map, Value};

use crate::proxy::Call;

/// Never written down by CloudTrail.
const SECRET: [&str; 3] = ["secretString", "secretBinary", "password"];
/// Numbers; the query protocol sends them as text.
const NUMBERS: [&str; 4] = [
    "durationSeconds",
    "maxSessionDuration",
    "maxItems",
    "maxResults",
];

/// The parameters of a call of the query or the JSON protocol.
pub(super) fn of(call: &Call, head: &Parts, body: &Bytes) -> Value {
    if head.headers.contains_key("x-amz-target") {
        let sent = serde_json::from_slice(body).unwrap_or(Value::Null);
        return emptied(renamed(sent));
    }
    let sent = call.params.iter();
    let sent = sent.filter(|(name, _)| !matches!(name.as_str(), "Action" | "Version"));
    let paths = sent.map(|(name, value)| (name.split('.').collect(), value.as_str()));
    emptied(nested(paths.collect()))
}

/// Without parameters there is none.
fn emptied(parameters: Value) -> Value {
    match parameters.as_object() {
        Some(fields) if !fields.is_empty() => parameters,
        _ => Value::Null,
    }
}

fn renamed(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields
                .into_iter()
                .map(|(name, value)| (camel(&name), renamed(value)));
            Value::Object(
                fields
                    .filter(|(name, _)| !SECRET.contains(&name.as_str()))
                    .collect(),
            )
        }
        Value::Array(items) => items.into_iter().map(renamed).collect(),
        other => other,
    }
}

/// A parameter: the parts of its name, and its value.
type Sent<'a> = (Vec<&'a str>, &'a str);

/// `Tags.member.1.Key` and its like, put together.
fn nested(paths: Vec<Sent<'_>>) -> Value {
    let mut fields: Vec<(&str, Vec<Sent<'_>>)> = Vec::new();
    for (path, value) in paths {
        let Some((first, rest)) = path.split_first() else {
            return value.into();
        };
        let rest = (rest.to_vec(), value);
        match fields.iter_mut().find(|(name, _)| name == first) {
            Some((_, values)) => values.push(rest),
            None => fields.push((first, vec![rest])),
        }
    }
    if let [("member", _)] = &fields[..] {
        return fields
            .pop()
            .map_or(Value::Null, |(_, values)| nested(values));
    }
    let number = |name: &str| name.parse::<u32>().ok();
    if !fields.is_empty() && fields.iter().all(|(name, _)| number(name).is_some()) {
        fields.sort_by_key(|(name, _)| number(name));
        return fields
            .into_iter()
            .map(|(_, values)| nested(values))
            .collect();
    }
    let mut object = Map::new();
    for (name, values) in fields {
        let name = camel(name);
        let value = match nested(values) {
            Value::String(text) if NUMBERS.contains(&name.as_str()) => {
                text.parse::<u64>().map_or(Value::String(text), Value::from)
            }
            value => value,
        };
        if !SECRET.contains(&name.as_str()) {
            object.insert(name, value);
        }
    }
    Value::Object(object)
}

fn camel(name: &str) -> String {
    let mut letters = name.chars();
    match letters.next() {
        Some(first) => first.to_ascii_lowercase().to_string() + letters.as_str(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lists_and_numbers_are_put_together() {
        let sent = [
            ("DurationSeconds", "900"),
            ("RoleArn", "arn"),
            ("Tags.member.1.Key", "twotap"),
            ("Tags.member.1.Value", "r-1"),
            ("TransitiveTagKeys.member.1", "twotap"),
            ("Password", "no"),
        ];
        let paths = sent.map(|(name, value)| (name.split('.').collect(), value));
        assert_eq!(
            nested(paths.to_vec()),
            json!({
                "durationSeconds": 900,
                "roleArn": "arn",
                "tags": [{"key": "twotap", "value": "r-1"}],
                "transitiveTagKeys": ["twotap"],
            })
        );
    }

    #[test]
    fn what_is_secret_is_left_out() {
        let sent = json!({"SecretId": "prod/db", "SecretString": "s", "Rules": {"AfterDays": 1}});
        assert_eq!(
            renamed(sent),
            json!({"secretId": "prod/db", "rules": {"afterDays": 1}})
        );
    }
}
