//! What becomes of the record itself: tampering that an officer acknowledges, and sinks that lag.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::trust::Timestamp;

/// The longest reason, in bytes.
pub const MAX_REASON: usize = 1024;

/// An officer has seen what was done to the live record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acknowledge {
    /// What was found and done about it, in one line.
    pub reason: String,
    /// The last `AUDIT_TAMPERED` event that the officer has seen; all of them where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub through: Option<u64>,
}

/// It stands on record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    /// Number of the event that says so.
    pub seq: u64,
    /// The events that were acknowledged.
    pub events: Vec<u64>,
    /// Who did.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// The longest value that is compared, in bytes.
pub const MAX_VALUE: usize = 4096;

/// A value that may be the one whose fingerprint stands in an event. No `Debug`: it is what the record does not say.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Match {
    /// Number of the event.
    pub event: u64,
    /// The value.
    pub value: Zeroizing<String>,
}

/// What comparing came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matched {
    /// The event's number.
    pub event: u64,
    /// The event's fingerprints.
    pub fields: Vec<FieldMatched>,
    /// Number of the event that says that it was compared.
    pub seq: u64,
}

/// One fingerprint and the value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldMatched {
    /// The field of `what`.
    pub field: String,
    /// Id of the pepper that made it.
    pub kid: String,
    /// Whether it is of the value; absent where that pepper is not at hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matches: Option<bool>,
    /// Why that pepper is not at hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// A sink that did not hold what it should while a request ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lapse {
    /// The sink, by its name in the configuration.
    pub sink: String,
    /// Since when it lacked events.
    pub since: Timestamp,
    /// Why.
    pub why: String,
    /// When it had caught up; absent while it has not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored: Option<Timestamp>,
}

impl Lapse {
    /// Whether it is of this sink and not over.
    pub fn is_of(&self, sink: &str) -> bool {
        self.sink == sink && self.restored.is_none()
    }

    /// In plain words.
    pub fn in_words(&self) -> String {
        let Self {
            sink,
            since,
            why,
            restored,
        } = self;
        match restored {
            None => format!("sink {sink} lacks events since {since}: {why}"),
            Some(at) => format!("sink {sink} lacked events from {since} to {at}: {why}"),
        }
    }
}

/// An epoch of the host's record, as the record has it: the event that begins it, and the checkpoint right after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochProof {
    /// The `STORE_RESET` line, byte for byte.
    pub line: String,
    /// The signed note over it.
    pub note: String,
}
