//! Proofs that the vault would open: sheets that somebody has read, custodians' drills.

use serde::{Deserialize, Serialize};

use crate::trust::Timestamp;

/// One printed recovery share was read and found sound. Nothing of its words is in here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SheetChecked {
    /// Fingerprint of its set, as it stands on every sheet: `AAAA BBBB CCCC DDDD`.
    pub fingerprint: String,
    /// Name of its group; absent where the set has one group alone.
    pub group: Option<String>,
    /// Its place in that group, from 1.
    pub share: u8,
    /// How many sheets that group has.
    pub of: u8,
}

/// The check stands in the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SheetNoted {
    /// Since when, by the agent's clock.
    pub at: Timestamp,
    /// By whom, as the agent knows the account.
    pub by: String,
    /// How many different sheets of this set were ever found sound.
    pub sheets: usize,
}
