//! What goes wrong with sinks: in their configuration, and while they run.

use std::fmt;
use std::time::Duration;

use crate::audit::store::StoreError;

/// Why a sink does not take up events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkError {
    /// It cannot be reached or written to now.
    Unavailable(String),
    /// It asks not to be tried again for a while (HTTP's Retry-After, throttling).
    Busy {
        /// What it said.
        why: String,
        /// How long; the runner waits no longer than ten minutes.
        wait: Duration,
    },
    /// What it holds is not what the store has: one of the two was changed or rolled back. Never goes away by itself.
    Diverged {
        /// The first event on which they differ, as far as known.
        seq: u64,
        /// How it shows.
        why: String,
    },
}

impl fmt::Display for SinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(why) | Self::Busy { why, .. } => f.write_str(why),
            Self::Diverged { seq, why } => write!(f, "sink and store differ at event {seq}: {why}"),
        }
    }
}

impl std::error::Error for SinkError {}

impl From<StoreError> for SinkError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// A setting of a sink with which the agent does not start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkConfigError {
    key: String,
    why: String,
    hint: Option<String>,
}

impl SinkConfigError {
    /// The setting, by its key in the sink's table, and what is wrong with it.
    pub fn new(key: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            why: why.into(),
            hint: None,
        }
    }

    /// What to do.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What is wrong, without the key.
    pub fn why(&self) -> &str {
        &self.why
    }

    /// What to do, where it is known.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

/// `KEY: WHY`.
impl fmt::Display for SinkConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.why)
    }
}

impl std::error::Error for SinkConfigError {}
