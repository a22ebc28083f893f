//! The fields of an event's `what`: their names, what stands in them, and what they mean.
//!
//! The catalogue is the one source of this: debug builds refuse an event that it does not describe, the JSON Schema and the table for
//! people are made from it. A field that was once written keeps its name and kind for ever; later ones are optional.

use serde_json::{Map, Value};

/// What stands in a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text, in the words of a person or of a program; plain, without a secret.
    Text,
    /// An AWS ARN.
    Arn,
    /// SHA-256 as 64 lower-case hex digits: of a file, an envelope, or a public key's SPKI.
    Sha256,
    /// A time, RFC 3339 in UTC, to the second or the millisecond: `2026-01-06T10:00:00Z`.
    Time,
    /// A whole number from 0.
    Count,
    /// Yes or no.
    Flag,
    /// A list of texts.
    Texts,
    /// A keyed fingerprint, `kid_YYYYMM:<64 hex digits>`; see [`fingerprint`](crate::audit::fingerprint).
    Fingerprint,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// An object with these fields and no others.
    Object(&'static [Field]),
    /// A list of objects with these fields and no others.
    List(&'static [Field]),
}

/// One field of `what`, or of an object in a list there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What stands in it.
    pub kind: Kind,
    /// Whether it is always there; what is not may be missing or `null`.
    pub required: bool,
    /// What it means, in words.
    pub words: &'static str,
    /// The actions that have it; none named: all.
    pub on: &'static [&'static str],
}

/// A field that is always there.
pub(super) const fn must(name: &'static str, kind: Kind, words: &'static str) -> Field {
    Field {
        name,
        kind,
        required: true,
        words,
        on: &[],
    }
}

/// A field that may be missing, or `null`.
pub(super) const fn may(name: &'static str, kind: Kind, words: &'static str) -> Field {
    let field = must(name, kind, words);
    Field {
        required: false,
        ..field
    }
}

impl Field {
    /// The same field, of these actions alone.
    pub(super) const fn on(self, actions: &'static [&'static str]) -> Self {
        Self {
            on: actions,
            ..self
        }
    }

    /// Whether an event with this action has it.
    pub fn is_of(&self, action: &str) -> bool {
        self.on.is_empty() || self.on.contains(&action)
    }
}

impl Kind {
    /// Whether `value` is one of this kind.
    pub fn takes(self, value: &Value) -> bool {
        let text = |good: fn(&str) -> bool| value.as_str().is_some_and(good);
        match self {
            Self::Text => value.is_string(),
            Self::Arn => text(|t| t.starts_with("arn:")),
            Self::Sha256 => text(is_sha256),
            Self::Time => text(is_time),
            Self::Count => value.is_u64(),
            Self::Flag => value.is_boolean(),
            Self::Texts => value
                .as_array()
                .is_some_and(|all| all.iter().all(Value::is_string)),
            Self::Fingerprint => {
                text(|t| t.parse::<super::super::fingerprint::Fingerprint>().is_ok())
            }
            Self::OneOf(words) => value.as_str().is_some_and(|t| words.contains(&t)),
            Self::Object(fields) => value
                .as_object()
                .is_some_and(|o| misfit(o, fields, "").is_none()),
            Self::List(fields) => value.as_array().is_some_and(|all| {
                all.iter().all(|o| {
                    o.as_object()
                        .is_some_and(|o| misfit(o, fields, "").is_none())
                })
            }),
        }
    }
}

/// Why `object` is not what `fields` describe, in words; `None` where it is. `action` decides which of them count.
pub(super) fn misfit<'f>(
    object: &Map<String, Value>,
    fields: impl IntoIterator<Item = &'f Field>,
    action: &str,
) -> Option<String> {
    let fields: Vec<&Field> = fields.into_iter().filter(|f| f.is_of(action)).collect();
    let unknown = object
        .keys()
        .find(|name| !fields.iter().any(|f| f.name == name.as_str()));
    if let Some(name) = unknown {
        return Some(format!("it has no field '{name}'"));
    }
    fields.into_iter().find_map(|field| {
        match object.get(field.name).filter(|value| !value.is_null()) {
            None if field.required => Some(format!("its field '{}' is missing", field.name)),
            Some(value) if !field.kind.takes(value) => {
                Some(format!("its field '{}' holds something else", field.name))
            }
            _ => None,
        }
    })
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// `2026-01-06T10:00:00Z`, with or without `.000`.
fn is_time(text: &str) -> bool {
    let like = |form: &str| {
        let pairs = text.bytes().zip(form.bytes());
        text.len() == form.len()
            && pairs.into_iter().all(|(b, f)| {
                if f == b'0' {
                    b.is_ascii_digit()
                } else {
                    b == f
                }
            })
    };
    like("0000-00-00T00:00:00Z") || like("0000-00-00T00:00:00.000Z")
}
