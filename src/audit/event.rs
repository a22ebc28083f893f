//! The event catalogue, and the one line of JSON that each event becomes.
//!
//! A line is written once and kept byte for byte. Its fields always stand in this order, all of them present
//! (`null` where there is nothing to say), with one exception: `envelopes` is left out when there is none.
//!
//! ```text
//! {"v":1,"seq":7,"prev":"<64 hex>","event_type":"BREAK_GLASS_APPROVED","correlation_id":"r-...",
//!  "incident_id":"INC-42","actor":"alice","action":"approve","justification":"...",
//!  "timestamp":"2026-01-06T10:00:00.000Z","who":"arn:aws:...","where":{"host":...,"region":...,"ip":...},
//!  "what":{...},"envelopes":[{"kind":"approve","sha256":"<64 hex>"}]}
//! ```
//!
//! Signed envelopes (approvals, manifests, receipts) are named by their SHA-256 and kept beside the line, not
//! in it: they carry whole requests in clear, so they leave the host only where somebody asked for them, and the
//! lines must verify without them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use time::format_description::{BorrowedFormatItem, well_known::Rfc3339};
use time::macros::format_description;

use super::chain::{Hash, Head};

mod error;
mod field;
mod types;
mod what;

pub use error::EventError;
pub use field::{Field, Kind};
pub use types::EventType;

/// Version of the line format; stands first in every line as `"v":1`.
pub const VERSION: u8 = 1;

/// The longest line, in bytes without the newline. Long enough for any request (16 KiB, escaped), short enough that a
/// reader never has to hold much.
pub const MAX_LINE: usize = 128 * 1024;

/// The largest signed envelope kept beside a line, in bytes.
pub const MAX_ENVELOPE: usize = 1024 * 1024;

/// The actor's name for what the agent does by itself; no person can bear it.
pub const AGENT: &str = "agent";

/// Who did it: a named person from the roster, or the agent by itself. Never an account or a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor(String);

impl Actor {
    /// A person by the name that the roster gives: 1 to 128 characters, no control characters, not `agent`.
    pub fn person(name: &str) -> Result<Self, EventError> {
        let long = name.chars().count() > 128;
        if name.trim() != name
            || name.is_empty()
            || long
            || name.chars().any(char::is_control)
            || name == AGENT
        {
            return Err(EventError::Actor);
        }
        Ok(Self(name.to_owned()))
    }

    /// What happens by itself: deadlines, reconciliation, checkpoints.
    pub fn agent() -> Self {
        Self(AGENT.to_owned())
    }

    /// The name as it stands in the line.
    pub fn name(&self) -> &str {
        &self.0
    }
}

/// Where it happened; what is not known is `null`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Host name, or host key id.
    pub host: Option<String>,
    /// AWS Region.
    pub region: Option<String>,
    /// Address of the caller, where there is one.
    pub ip: Option<String>,
}

/// A signed envelope kept verbatim beside a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Its purpose in one word: `offer`, `approve`, `deny`, `manifest`, `receipt`, `roster`...
    pub kind: String,
    /// The bytes as they were signed and received (DSSE JSON).
    pub body: Vec<u8>,
}

impl Envelope {
    /// SHA-256 of the body: how lines name the envelope.
    pub fn sha256(&self) -> Hash {
        Hash::from_bytes(Sha256::digest(&self.body).into())
    }
}

/// How a line names an envelope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvelopeRef {
    /// See [`Envelope::kind`].
    pub kind: String,
    /// SHA-256 of the envelope's bytes.
    pub sha256: Hash,
}

/// An event before it has a place in the record. Built here, numbered and dated by
/// [`Tx::append`](super::store::Tx::append).
#[derive(Clone, Debug)]
pub struct Event {
    event_type: EventType,
    actor: Actor,
    correlation_id: Option<String>,
    incident_id: Option<String>,
    action: Option<String>,
    justification: Option<String>,
    who: Option<String>,
    place: Place,
    what: Map<String, Value>,
    envelopes: Vec<Envelope>,
}

impl Event {
    /// An event with nothing but its type and actor.
    pub fn new(event_type: EventType, actor: Actor) -> Self {
        Self {
            event_type,
            actor,
            correlation_id: None,
            incident_id: None,
            action: None,
            justification: None,
            who: None,
            place: Place::default(),
            what: Map::new(),
            envelopes: Vec::new(),
        }
    }

    /// What ties the events of one ceremony together: the request id.
    pub fn correlation(mut self, id: impl Into<String>) -> Self {
        self.correlation_id = Some(id.into());
        self
    }

    /// The incident for which access was asked.
    pub fn incident(mut self, id: impl Into<String>) -> Self {
        self.incident_id = Some(id.into());
        self
    }

    /// Another action than the type's own, e.g. `deployment_override`.
    pub fn action(mut self, action: impl Into<String>) -> Self {
        self.action = Some(action.into());
        self
    }

    /// The reason that the person gave, in the person's words.
    pub fn justification(mut self, text: impl Into<String>) -> Self {
        self.justification = Some(text.into());
        self
    }

    /// The ARN or key id behind the actor.
    pub fn who(mut self, arn_or_key: impl Into<String>) -> Self {
        self.who = Some(arn_or_key.into());
        self
    }

    /// Host, Region, address.
    pub fn place(mut self, place: Place) -> Self {
        self.place = place;
        self
    }

    /// One detail of `what`. Never a token or a secret: those appear as
    /// [`Fingerprint`](super::fingerprint::Fingerprint)s.
    pub fn detail(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.what.insert(name.to_owned(), value.into());
        self
    }

    /// One call to AWS: its name, AWS's request id and AWS's Date header, gathered in `what.aws` beside our clock.
    pub fn aws_call(
        mut self,
        call: &str,
        request_id: Option<&str>,
        aws_date: Option<&str>,
    ) -> Self {
        let entry = serde_json::json!({ "call": call, "request_id": request_id, "date": aws_date });
        let calls = self
            .what
            .entry("aws")
            .or_insert_with(|| Value::Array(Vec::new()));
        match calls {
            Value::Array(list) => list.push(entry),
            other => *other = Value::Array(vec![other.take(), entry]),
        }
        self
    }

    /// A signed envelope, kept verbatim beside the line and named in it by its SHA-256.
    pub fn envelope(mut self, kind: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        self.envelopes.push(Envelope {
            kind: kind.into(),
            body: body.into(),
        });
        self
    }

    /// What happened.
    pub fn event_type(&self) -> EventType {
        self.event_type
    }

    /// The envelopes that go beside the line.
    pub fn envelopes(&self) -> &[Envelope] {
        &self.envelopes
    }

    /// The line that follows `head`, without a newline. `now` is our clock; it is written in UTC with milliseconds.
    pub fn line_after(&self, head: &Head, now: OffsetDateTime) -> Result<Vec<u8>, EventError> {
        let bad_kind = |e: &Envelope| {
            e.kind.is_empty()
                || e.kind.len() > 32
                || !e
                    .kind
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        if self.envelopes.iter().any(bad_kind) {
            return Err(EventError::EnvelopeKind);
        }
        if let Some(big) = self.envelopes.iter().find(|e| e.body.len() > MAX_ENVELOPE) {
            return Err(EventError::TooLarge {
                bytes: big.body.len(),
                most: MAX_ENVELOPE,
            });
        }
        let record = Record {
            v: VERSION,
            seq: head.seq + 1,
            prev: head.hash,
            event_type: self.event_type.name().to_owned(),
            correlation_id: self.correlation_id.clone(),
            incident_id: self.incident_id.clone(),
            actor: self.actor.0.clone(),
            action: self
                .action
                .clone()
                .unwrap_or_else(|| self.event_type.action().to_owned()),
            justification: self.justification.clone(),
            timestamp: timestamp(now),
            who: self.who.clone(),
            place: self.place.clone(),
            what: self.what.clone(),
            envelopes: self
                .envelopes
                .iter()
                .map(|e| EnvelopeRef {
                    kind: e.kind.clone(),
                    sha256: e.sha256(),
                })
                .collect(),
        };
        let line = serde_json::to_vec(&record).map_err(|e| EventError::Json(e.to_string()))?;
        if line.len() > MAX_LINE {
            return Err(EventError::TooLarge {
                bytes: line.len(),
                most: MAX_LINE,
            });
        }
        Ok(line)
    }
}

/// A line read back. The order of the fields is the order in the line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// [`VERSION`].
    pub v: u8,
    /// Place in the record; the first event has 1.
    pub seq: u64,
    /// SHA-256 of the line before, 64 zeros for the first.
    pub prev: Hash,
    /// See [`EventType::name`]; a name that is not known here is kept as it is.
    pub event_type: String,
    /// Request id.
    pub correlation_id: Option<String>,
    /// Incident.
    pub incident_id: Option<String>,
    /// Named person, or [`AGENT`].
    pub actor: String,
    /// What was done.
    pub action: String,
    /// The person's reason.
    pub justification: Option<String>,
    /// Our clock, RFC 3339, UTC, milliseconds.
    pub timestamp: String,
    /// ARN or key id.
    pub who: Option<String>,
    /// Host, Region, address.
    #[serde(rename = "where")]
    pub place: Place,
    /// Details of this event.
    pub what: Map<String, Value>,
    /// Envelopes kept beside the line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub envelopes: Vec<EnvelopeRef>,
}

impl Record {
    /// Reads a whole line. Unknown and duplicate fields are refused.
    pub fn parse(line: &[u8]) -> Result<Self, EventError> {
        serde_json::from_slice(line).map_err(|e| EventError::Json(e.to_string()))
    }

    /// The typed event, where the name is known here.
    pub fn known_type(&self) -> Option<EventType> {
        EventType::from_name(&self.event_type)
    }
}

/// `now` as it stands in lines and checkpoints: `2026-01-06T10:00:00.000Z`.
pub fn timestamp(now: OffsetDateTime) -> String {
    const FORMAT: &[BorrowedFormatItem<'_>] =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    // Writing to a string cannot fail and every UTC time has these components.
    now.to_offset(time::UtcOffset::UTC)
        .format(FORMAT)
        .unwrap_or_else(|_| now.unix_timestamp().to_string())
}

/// What [`timestamp`] wrote, or anything else of RFC 3339; `None` where it is no time.
pub fn read_time(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok()
}

#[cfg(test)]
mod tests;
