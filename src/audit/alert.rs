//! What people are told of: an event of the record as a message that can be triaged without a console.
//!
//! An alert answers who, where, what, and what to do next, in plain text, and says when, in which Region and account. It is made
//! of the line alone and of those details that [`rules`] names, so neither an envelope nor a detail that
//! somebody adds later leaves the host by way of it. Not every event is one: steps in between and checkpoints are for the record.

use std::fmt::{self, Write as _};

use serde::Serialize;
use serde_json::Value;

use super::event::{AGENT, Record};
use crate::trust::text::plain;

mod rules;

/// The longest single detail in an alert, in characters; what is cut off ends in `…` and stands whole in the record.
const MAX_DETAIL: usize = 600;

/// How soon somebody has to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Severity {
    /// Now: somebody may have a power that nobody gave, or the record was touched.
    P0,
    /// At once: emergency power is asked for or in use, or is not ending as it should.
    P1,
    /// Within the working day; drills are here as well.
    P2,
    /// To be known; most often the good end of something.
    Info,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::P0 => "P0",
            Self::P1 => "P1",
            Self::P2 => "P2",
            Self::Info => "info",
        })
    }
}

/// A message to people about one event. All of it is one line each of plain text without control characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Alert {
    /// How soon somebody has to look.
    pub severity: Severity,
    /// What happened, in one sentence without names.
    pub title: String,
    /// The person, or that the agent did it by itself; with the account, ARN or key behind it.
    pub who: String,
    /// Host, Region, address.
    #[serde(rename = "where")]
    pub place: String,
    /// The event's own details, the person's reason among them.
    pub what: String,
    /// What to do, with the commands.
    pub next: String,
    /// See [`EventType::name`](super::event::EventType::name).
    pub event_type: String,
    /// Place in the record: tells a repetition.
    pub seq: u64,
    /// When it was recorded: RFC 3339, UTC, milliseconds.
    pub timestamp: String,
    /// The vault.
    pub vault: Option<String>,
    /// The request.
    pub correlation_id: Option<String>,
    /// The incident.
    pub incident_id: Option<String>,
    /// AWS Region, where the event names one.
    pub region: Option<String>,
    /// AWS account, where the event names one or a role in one.
    pub account: Option<String>,
}

/// The alert for an event; `None` where people are not told of it. An event of a type that is not known here is told of as well: it
/// was written by a newer version, and silence would be the worse guess.
pub fn alert(record: &Record) -> Option<Alert> {
    let rule = rules::rule(record)?;
    let clean_field = |field: &Option<String>| field.as_deref().map(clean);
    let vault = text(record, "vault");
    let region = clean_field(&record.place.region).or_else(|| text(record, "region"));
    let account = text(record, "account")
        .or_else(|| text(record, "role").and_then(|arn| account_of(&arn)))
        .or_else(|| record.who.as_deref().and_then(account_of));
    Some(Alert {
        severity: rule.severity,
        title: rule.title.to_owned(),
        who: who(record),
        place: place(record, region.as_deref()),
        what: what(record, rule.details),
        next: next(record, rule.next, vault.as_deref()),
        event_type: clean(&record.event_type),
        seq: record.seq,
        timestamp: clean(&record.timestamp),
        vault,
        correlation_id: clean_field(&record.correlation_id),
        incident_id: clean_field(&record.incident_id),
        region,
        account,
    })
}

impl fmt::Display for Alert {
    /// The whole message, as a mail or a channel shows it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "[{}] {}", self.severity, self.title)?;
        writeln!(f, "WHO:   {}", self.who)?;
        writeln!(f, "WHERE: {}", self.place)?;
        writeln!(f, "WHAT:  {}", self.what)?;
        writeln!(f, "WHEN:  {}", self.timestamp)?;
        writeln!(f, "NEXT:  {}", self.next)?;
        write!(f, "event {} {}", self.seq, self.event_type)?;
        for (name, value) in [
            ("vault", &self.vault),
            ("request", &self.correlation_id),
            ("incident", &self.incident_id),
            ("region", &self.region),
            ("account", &self.account),
        ] {
            if let Some(value) = value {
                write!(f, ", {name} {value}")?;
            }
        }
        Ok(())
    }
}

fn who(record: &Record) -> String {
    let person = match record.actor.as_str() {
        AGENT => "the agent, by itself".to_owned(),
        person => clean(person),
    };
    match &record.who {
        Some(key) => format!("{person} ({})", clean(key)),
        None => person,
    }
}

fn place(record: &Record, region: Option<&str>) -> String {
    let host = record.place.host.as_deref().map(clean);
    let ip = record.place.ip.as_deref().map(clean);
    let known: Vec<String> = [
        ("host", host.as_deref()),
        ("region", region),
        ("address", ip.as_deref()),
    ]
    .into_iter()
    .filter_map(|(name, value)| value.map(|v| format!("{name} {v}")))
    .collect();
    match known.is_empty() {
        true => "not known".to_owned(),
        false => known.join(", "),
    }
}

/// The action, then the details by name, the reason last: it is the longest and a person's own words.
fn what(record: &Record, details: &[&str]) -> String {
    let mut said = clean(&record.action);
    for name in details {
        let Some(value) = record.what.get(*name).and_then(words) else {
            continue;
        };
        let _ = write!(said, "; {}: {value}", name.replace('_', " "));
    }
    if let Some(reason) = &record.justification {
        let _ = write!(said, "; reason: \"{}\"", clean(reason));
    }
    said
}

/// The remedy with the request and the vault filled in.
fn next(record: &Record, template: &str, vault: Option<&str>) -> String {
    let request = record.correlation_id.as_deref().map(clean);
    template
        .replace("{request}", request.as_deref().unwrap_or("REQUEST"))
        .replace("{vault}", vault.unwrap_or("VAULT"))
}

fn text(record: &Record, name: &str) -> Option<String> {
    record.what.get(name)?.as_str().map(clean)
}

/// A detail as people read it; what is absent, and what has parts of its own, is not shown.
fn words(value: &Value) -> Option<String> {
    match value {
        Value::Null | Value::Object(_) => None,
        Value::String(text) if text.is_empty() => None,
        Value::String(text) => Some(clean(text)),
        Value::Bool(yes) => Some(if *yes { "yes" } else { "no" }.to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::Array(all) => {
            let all: Vec<String> = all.iter().filter_map(words).collect();
            (!all.is_empty()).then(|| clean(&all.join(", ")))
        }
    }
}

/// The account in an ARN: `arn:PARTITION:SERVICE:REGION:ACCOUNT:...`.
fn account_of(arn: &str) -> Option<String> {
    let mut parts = arn.strip_prefix("arn:")?.split(':');
    let account = parts.nth(3)?;
    let digits = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| account.to_owned())
}

/// One line of bounded length in which nothing hides.
pub(super) fn clean(text: &str) -> String {
    plain(text, MAX_DETAIL)
}

#[cfg(test)]
mod tests;
