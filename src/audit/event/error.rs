//! What can be wrong with an event.

use std::fmt;

/// Why an event cannot be written or read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventError {
    /// The actor's name is empty, too long, has control characters, or is the agent's.
    Actor,
    /// An envelope's kind is not 1 to 32 of `a-z`, `0-9`, `-`.
    EnvelopeKind,
    /// The line or an envelope is larger than allowed.
    TooLarge {
        /// What it has.
        bytes: usize,
        /// What is allowed.
        most: usize,
    },
    /// Not the JSON of an event.
    Json(String),
    /// The event says something that the catalogue does not know of its type.
    NotDescribed {
        /// See [`EventType::name`](super::EventType::name).
        event_type: &'static str,
        /// What it is, in words.
        why: String,
    },
}

impl fmt::Display for EventError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Actor => f.write_str(
                "the actor has to be a person's name of 1 to 128 characters, and not 'agent'",
            ),
            Self::EnvelopeKind => {
                f.write_str("an envelope's kind has to be 1 to 32 of a-z, 0-9 and '-'")
            }
            Self::TooLarge { bytes, most } => {
                write!(f, "the event has {bytes} bytes, at most {most} are allowed")
            }
            Self::Json(why) => write!(f, "not the JSON of an event: {why}"),
            Self::NotDescribed { event_type, why } => {
                write!(
                    f,
                    "the catalogue of events does not describe this {event_type}: {why}"
                )
            }
        }
    }
}

impl std::error::Error for EventError {}
