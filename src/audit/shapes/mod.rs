//! The shapes in which an event leaves for other systems, one JSON object a line.
//!
//! | shape | for | fields |
//! | --- | --- | --- |
//! | [`Shape::Jsonl`] | verifying | the line as it is kept, byte for byte |
//! | [`Shape::Siem`] | a SIEM | `event_type`, `actor`, `action`, `justification`, `timestamp`, `incident_id`, and no others |
//! | [`Shape::EventStore`] | an event store | `correlation_id`, `event_type`, `event_data` (`action`, `justification`, `incident_id`), `actor`, `created_at`, and no others |
//! | [`Shape::Ocsf`] | a security lake | OCSF 1.1.0, class Entity Management (3004), profiles `cloud` and `host` |
//!
//! Only the first can be verified; the others are copies for reading. None has a signed envelope or a detail that is not in the line.

use serde::Serialize;

use super::event::{EventError, Record};

mod ocsf;

/// A shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// As it is kept.
    Jsonl,
    /// What SIEMs are fed with.
    Siem,
    /// A row of an event store.
    EventStore,
    /// The Open Cybersecurity Schema Framework's.
    Ocsf,
}

impl Shape {
    /// `line` (without its newline) in this shape, without a newline. [`EventError::Json`] where it is no line of a record.
    pub fn of(self, line: &[u8]) -> Result<Vec<u8>, EventError> {
        if self == Self::Jsonl {
            return Ok(line.to_vec());
        }
        let record = Record::parse(line)?;
        let json = match self {
            Self::Jsonl | Self::Siem => serde_json::to_vec(&Siem::of(&record)),
            Self::EventStore => serde_json::to_vec(&EventStore::of(&record)),
            Self::Ocsf => serde_json::to_vec(&ocsf::of(&record)?),
        };
        json.map_err(|why| EventError::Json(why.to_string()))
    }
}

#[derive(Serialize)]
struct Siem<'r> {
    event_type: &'r str,
    actor: &'r str,
    action: &'r str,
    justification: Option<&'r str>,
    timestamp: String,
    incident_id: Option<&'r str>,
}

impl<'r> Siem<'r> {
    fn of(record: &'r Record) -> Self {
        Self {
            event_type: &record.event_type,
            actor: &record.actor,
            action: &record.action,
            justification: record.justification.as_deref(),
            timestamp: to_the_second(&record.timestamp),
            incident_id: record.incident_id.as_deref(),
        }
    }
}

#[derive(Serialize)]
struct EventStore<'r> {
    correlation_id: Option<&'r str>,
    event_type: &'r str,
    event_data: EventData<'r>,
    actor: &'r str,
    created_at: String,
}

#[derive(Serialize)]
struct EventData<'r> {
    action: &'r str,
    justification: Option<&'r str>,
    incident_id: Option<&'r str>,
}

impl<'r> EventStore<'r> {
    fn of(record: &'r Record) -> Self {
        Self {
            correlation_id: record.correlation_id.as_deref(),
            event_type: &record.event_type,
            event_data: EventData {
                action: &record.action,
                justification: record.justification.as_deref(),
                incident_id: record.incident_id.as_deref(),
            },
            actor: &record.actor,
            created_at: to_the_second(&record.timestamp),
        }
    }
}

/// `2026-01-06T10:00:00Z`: readers of these shapes parse seconds, and many of them nothing else.
fn to_the_second(timestamp: &str) -> String {
    match timestamp.split_once('.') {
        Some((seconds, _)) => format!("{seconds}Z"),
        None => timestamp.to_owned(),
    }
}

#[cfg(test)]
mod tests;
