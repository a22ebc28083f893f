//! The catalogue as others read it: a JSON Schema (draft 2020-12) of a line, and a table for people.
//!
//! Both are made from [`EventType`] and its fields and ship in `packaging/schemas/`; `twotap audit schema` prints what this version's lines
//! keep to. Fields are only ever added, and as optional ones: lines of older versions keep to newer schemas.

use serde_json::{Map, Value, json};

use super::event::{EventType, Field, Kind, VERSION};

/// The schema of one line of the record.
pub fn schema() -> Value {
    let all: Vec<&str> = EventType::ALL.iter().map(|t| t.name()).collect();
    let types: Map<String, Value> = EventType::ALL
        .iter()
        .map(|t| (t.name().to_owned(), of_type(*t)))
        .collect();
    let branches: Vec<Value> = all
        .iter()
        .map(|name| {
            json!({
                "if": { "properties": { "event_type": { "const": name } } },
                "then": { "$ref": format!("#/$defs/{name}") }
            })
        })
        .collect();
    let text_or_null = |words: &str| json!({ "type": ["string", "null"], "description": words });
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": format!("urn:twotap:event:{VERSION}"),
        "title": "twotap event",
        "description": "One line of the record. Its fields stand in this order; `prev` is the SHA-256 of the line before, without its newline.",
        "type": "object",
        "properties": {
            "v": { "const": VERSION, "description": "version of the line's form" },
            "seq": { "type": "integer", "minimum": 1, "description": "place in the record, from 1 without a gap" },
            "prev": sha256("the line before; 64 zeros in the first"),
            "event_type": { "enum": all, "description": "what happened" },
            "correlation_id": text_or_null("the request that it belongs to"),
            "incident_id": text_or_null("the incident for which access was asked"),
            "actor": { "type": "string", "minLength": 1, "description": "a person by the roster's name, or 'agent'" },
            "action": { "type": "string", "minLength": 1, "description": "what was done" },
            "justification": text_or_null("the reason, in the person's words"),
            "timestamp": {
                "type": "string",
                "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$",
                "description": "the agent's clock, UTC"
            },
            "who": text_or_null("ARN, account or key id behind the actor"),
            "where": {
                "type": "object",
                "properties": {
                    "host": text_or_null("host by its name in the roster"),
                    "region": text_or_null("AWS Region"),
                    "ip": text_or_null("the caller's address")
                },
                "required": ["host", "region", "ip"],
                "additionalProperties": false
            },
            "what": { "type": "object", "description": "details, by event type" },
            "envelopes": {
                "type": "array",
                "minItems": 1,
                "description": "signed envelopes kept beside the line; left out where there is none",
                "items": {
                    "type": "object",
                    "properties": { "kind": { "type": "string" }, "sha256": sha256("the envelope's bytes") },
                    "required": ["kind", "sha256"],
                    "additionalProperties": false
                }
            }
        },
        "required": [
            "v", "seq", "prev", "event_type", "correlation_id", "incident_id", "actor", "action", "justification", "timestamp", "who", "where", "what"
        ],
        "additionalProperties": false,
        "allOf": branches,
        "$defs": types
    })
}

/// What a type asks of action, `what` and envelopes.
fn of_type(event_type: EventType) -> Value {
    let fields: Vec<&Field> = event_type.fields().collect();
    let actions = match event_type.actions() {
        [] => vec![event_type.action()],
        actions => actions.to_vec(),
    };
    let envelopes = match event_type.envelope_kinds() {
        [] => Value::Bool(false),
        kinds => json!({ "items": { "properties": { "kind": { "enum": kinds } } } }),
    };
    let mut schema = json!({
        "description": event_type.words(),
        "properties": {
            "action": { "enum": actions },
            "what": object(fields.iter().copied().filter(|f| f.on.is_empty()), fields.iter().copied()),
            "envelopes": envelopes
        }
    });
    if fields.iter().any(|f| !f.on.is_empty()) {
        let branches: Vec<Value> = actions.iter().map(|a| of_action(a, &fields)).collect();
        schema["allOf"] = branches.into();
    }
    schema
}

/// What one action asks of `what`, beside what all of its type do.
fn of_action(action: &str, fields: &[&Field]) -> Value {
    let names: Vec<&str> = fields
        .iter()
        .filter(|f| f.is_of(action))
        .map(|f| f.name)
        .collect();
    let needed = fields
        .iter()
        .filter(|f| f.required && f.is_of(action) && !f.on.is_empty());
    let needed: Vec<&str> = needed.map(|f| f.name).collect();
    json!({
        "if": { "properties": { "action": { "const": action } } },
        "then": { "properties": { "what": { "propertyNames": { "enum": names }, "required": needed } } }
    })
}

/// An object with `fields` and no others; `always` are those of which the required ones have to be there.
fn object<'f>(
    always: impl Iterator<Item = &'f Field>,
    fields: impl Iterator<Item = &'f Field>,
) -> Value {
    let properties: Map<String, Value> = fields.map(|f| (f.name.to_owned(), of_field(f))).collect();
    let required: Vec<&str> = always.filter(|f| f.required).map(|f| f.name).collect();
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

fn of_field(field: &Field) -> Value {
    let mut schema = match field.kind {
        Kind::Text => json!({ "type": "string" }),
        Kind::Arn => json!({ "type": "string", "pattern": "^arn:" }),
        Kind::Sha256 => sha256(""),
        Kind::Time => {
            json!({ "type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{3})?Z$" })
        }
        Kind::Count => json!({ "type": "integer", "minimum": 0 }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Texts => json!({ "type": "array", "items": { "type": "string" } }),
        Kind::Fingerprint => {
            json!({ "type": "string", "pattern": "^kid_(dev|[0-9]{4}(0[1-9]|1[0-2])):[0-9a-f]{64}$" })
        }
        Kind::OneOf(words) => json!({ "enum": words }),
        Kind::List(fields) => {
            json!({ "type": "array", "items": object(fields.iter(), fields.iter()) })
        }
        Kind::Object(fields) => object(fields.iter(), fields.iter()),
    };
    if !field.required {
        if let Some(Value::Array(words)) = schema.get_mut("enum") {
            words.push(Value::Null);
        } else if let Some(kind) = schema.get_mut("type") {
            *kind = json!([kind.take(), "null"]);
        }
    }
    schema["description"] = field.words.into();
    schema
}

fn sha256(words: &str) -> Value {
    json!({ "type": "string", "pattern": "^[0-9a-f]{64}$", "description": words })
}

/// The same for people: a page of Markdown, a part for each event type.
pub fn page() -> String {
    let mut page = String::from(HEAD);
    for event_type in EventType::ALL {
        page.push_str(&format!(
            "| [`{0}`](#{1}) | {2} |\n",
            event_type.name(),
            event_type.name().to_lowercase(),
            event_type.words()
        ));
    }
    page.push_str(LINE);
    for event_type in EventType::ALL {
        page.push_str(&part(*event_type));
    }
    page
}

const HEAD: &str = "# The events of the record

One JSON object a line, fields in the order below. `events.schema.json` is the JSON Schema of a line (draft 2020-12). This page and the
schema are made from the catalogue in `src/audit/event/`; `TWOTAP_REMAKE=1 cargo test --test record` writes both anew. A name is never used
for anything else later, and fields are only added, as optional ones: lines of older versions keep to newer schemas.

| event | what happened |
| --- | --- |
";

const LINE: &str = "
## Every line

| field | holds |
| --- | --- |
| `v` | version of the line's form |
| `seq` | place in the record, from 1 without a gap |
| `prev` | SHA-256 of the line before, without its newline; 64 zeros in the first |
| `event_type` | one of the names above |
| `correlation_id` | the request that it belongs to, or `null` |
| `incident_id` | the incident for which access was asked, or `null` |
| `actor` | a person by the roster's name, or `agent` |
| `action` | what was done; the event's own word, or the step's |
| `justification` | the reason in the person's words, or `null` |
| `timestamp` | the agent's clock, UTC, milliseconds |
| `who` | ARN, account or key id behind the actor, or `null` |
| `where` | `host`, `region`, `ip`, each or `null` |
| `what` | details; which ones, each event says below |
| `envelopes` | `kind` and `sha256` of signed envelopes kept beside the line; left out where there is none |

What is not marked as always there may be missing or `null`. A time is RFC 3339 in UTC; a fingerprint is HMAC-SHA-256 under a pepper, with
the pepper's id before it.
";

fn part(event_type: EventType) -> String {
    let code = |words: &[&str]| {
        let words: Vec<String> = words.iter().map(|w| format!("`{w}`")).collect();
        words.join(", ")
    };
    let actions = match event_type.actions() {
        [] => code(&[event_type.action()]),
        actions => code(actions),
    };
    let mut text = format!(
        "\n## {}\n\n{}\n\nAction: {actions}.",
        event_type.name(),
        event_type.words()
    );
    if !event_type.envelope_kinds().is_empty() {
        text.push_str(&format!(
            " Beside it: {}.",
            code(event_type.envelope_kinds())
        ));
    }
    text.push_str("\n\n| field of `what` | holds | always | means |\n| --- | --- | --- | --- |\n");
    for field in event_type.fields() {
        let always = match (field.required, field.on) {
            (false, []) => String::new(),
            (true, []) => "yes".to_owned(),
            (true, on) => format!("with {}", code(on)),
            (false, on) => format!("only with {}", code(on)),
        };
        text.push_str(&format!(
            "| `{}` | {} | {always} | {} |\n",
            field.name,
            holds(field.kind),
            field.words
        ));
    }
    text
}

fn holds(kind: Kind) -> String {
    let named = |fields: &[Field]| {
        let names: Vec<String> = fields
            .iter()
            .map(|f| format!("`{}` ({}: {})", f.name, holds(f.kind), f.words))
            .collect();
        names.join(", ")
    };
    match kind {
        Kind::Text => "text".to_owned(),
        Kind::Arn => "ARN".to_owned(),
        Kind::Sha256 => "SHA-256, hex".to_owned(),
        Kind::Time => "time".to_owned(),
        Kind::Count => "whole number".to_owned(),
        Kind::Flag => "true or false".to_owned(),
        Kind::Texts => "list of texts".to_owned(),
        Kind::Fingerprint => "fingerprint".to_owned(),
        Kind::OneOf(words) => words
            .iter()
            .map(|w| format!("`{w}`"))
            .collect::<Vec<_>>()
            .join(" or "),
        Kind::List(fields) => format!("list of objects: {}", named(fields)),
        Kind::Object(fields) => format!("object: {}", named(fields)),
    }
}
