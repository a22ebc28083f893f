//! What a worker does to a secret that a request names, step by step.

use serde::{Deserialize, Serialize};

use crate::trust::Envelope;

/// One step of rotating a named secret. A version is named by its id, which stands in the journal before AWS hears of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "did", rename_all = "snake_case", deny_unknown_fields)]
pub enum SecretStep {
    /// A new version is about to be made.
    Intent {
        /// The new version.
        version: String,
    },
    /// The secret's own rotation was started.
    Requested {
        /// The new version.
        version: String,
    },
    /// The new value stands under `AWSPENDING`; from here on it may be in use.
    Staged {
        /// The new version.
        version: String,
    },
    /// The setter has set the new value.
    Set {
        /// The new version.
        version: String,
    },
    /// The setter has seen the new value work.
    Tested {
        /// The new version.
        version: String,
    },
    /// `AWSPENDING` was taken off again: the setter has changed nothing.
    Withdrawn {
        /// The version that stays unused.
        version: String,
    },
    /// `AWSCURRENT` stands on the new version, and `AWSPENDING` on no other.
    Rotated {
        /// The new version.
        version: String,
        /// A signed [`crate::trust::receipt::Receipt`].
        receipt: Envelope,
    },
    /// It could not be rotated now.
    Failed {
        /// Why, in plain words.
        why: String,
        /// Whether this host tries again by itself.
        again: bool,
    },
}

impl SecretStep {
    /// The step's name, in the record and in receipts.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Intent { .. } => "secret_intent",
            Self::Requested { .. } => "secret_requested",
            Self::Staged { .. } => "secret_staged",
            Self::Set { .. } => "secret_set",
            Self::Tested { .. } => "secret_tested",
            Self::Withdrawn { .. } => "secret_withdrawn",
            Self::Rotated { .. } => "secret_rotated",
            Self::Failed { .. } => "secret_failed",
        }
    }

    /// The version that it is about.
    pub fn version(&self) -> Option<&str> {
        match self {
            Self::Intent { version }
            | Self::Requested { version }
            | Self::Staged { version }
            | Self::Set { version }
            | Self::Tested { version }
            | Self::Withdrawn { version }
            | Self::Rotated { version, .. } => Some(version),
            Self::Failed { .. } => None,
        }
    }
}

/// Where a named secret stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum SecretState {
    /// It is rotated when the session is closed, or a worker is at it.
    Due,
    /// It was rotated: `AWSCURRENT` has moved.
    Rotated,
    /// It could not be rotated yet; the host tries again by itself.
    Pending {
        /// Why.
        why: String,
    },
    /// The host keeps no session that could rotate it: it is owed.
    Owed {
        /// Why.
        why: String,
    },
}

/// A named secret's name for people: what stands after `secret:` in its ARN.
pub fn short_name(arn: &str) -> &str {
    arn.splitn(7, ':').nth(6).unwrap_or(arn)
}
