//! What a worker says of the break-glass user's keys beside its journal.

use serde::{Deserialize, Serialize};

use crate::trust::Timestamp;

/// Whose a key is that is not the sealed one. All go; only a stranger's is an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whose {
    /// The journal names it: a worker made it and was stopped before it counted, or it was sealed and is replaced.
    Ours,
    /// It was made when a worker asked for one whose answer never came. A thief's that was made in the same minutes looks the same.
    Likely,
    /// No worker asked for it.
    Stranger,
}

/// What a worker waits for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waiting {
    /// The request in whose name; absent for a sealing.
    pub request: Option<String>,
    /// Continues 'waiting for ...', e.g. `the new key to work`.
    pub what: String,
    /// Since when.
    pub since: Timestamp,
    /// Tries that failed.
    pub tries: u32,
    /// When the next one is made, about.
    pub next: Timestamp,
    /// Why the last one failed, in plain words.
    pub why: String,
}

/// What a look at the sealed key's uses came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "watched", rename_all = "snake_case", deny_unknown_fields)]
pub enum Watched {
    /// `worker.toml` has no `[watch]` table: nobody may ask.
    Off,
    /// Nothing is sealed.
    Nothing,
    /// Every use that AWS tells of is one of ours.
    Quiet {
        /// The key.
        access_key_id: String,
        /// Its newest use as AWS tells; AWS is hours late at times.
        used: Option<KeyUse>,
    },
    /// Somebody else used it. The journal has an entry for each distinct use.
    Misused {
        /// The key.
        access_key_id: String,
        /// The newest use.
        used: KeyUse,
    },
}

/// A use of a key, as AWS tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyUse {
    /// When, by AWS's clock; rounded, and the newest alone.
    pub at: Timestamp,
    /// Where.
    pub region: String,
    /// Which service was called, e.g. `sts`.
    pub service: String,
}
