//! What officers and operators hand in about a vault: rosters, records of recoveries, credentials to be sealed.

use serde::{Deserialize, Serialize};

use super::socket::{Progress, RequestView};
use crate::trust::{Bytes, Envelope};

/// Hands in the next version of a roster.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RosterSubmit {
    /// That version, signed by all who must.
    pub next: Envelope,
    /// Incident or change reference.
    pub incident: String,
    /// Why.
    pub reason: String,
    /// 16 random bytes.
    pub nonce: Bytes,
}

/// What became of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RosterSubmitted {
    /// The request that custodians have to approve before the version counts; absent where it counts already.
    pub request: Option<RequestView>,
}

/// Hands in the record that a recovery left behind.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecoveryHandIn {
    /// A signed [`crate::trust::recovery::Record`].
    pub record: Envelope,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecoveryRecorded {
    /// Whether it stood in the record already.
    pub again: bool,
    /// The generation that was opened.
    pub generation: u64,
    /// What is owed now, each with what to do about it.
    pub owed: Vec<String>,
}

/// Asks for a key to seal a credential to.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealBegin {
    /// 16 random bytes.
    pub nonce: Bytes,
    /// The next version of the roster, where recovery shares stand for it: it counts once the credential is sealed under it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Envelope>,
}

/// The key to seal a credential to.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealBegun {
    /// Names the sealing in the next call.
    pub id: String,
    /// A signed [`crate::trust::request::SealOffer`].
    pub offer: Envelope,
    /// All roster versions, oldest first.
    pub roster_chain: Vec<Envelope>,
}

/// The credential, encrypted to the worker's one-time key.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealFinish {
    /// A binary age file.
    pub sealed: Bytes,
}

/// What was sealed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealFinished {
    /// The generation that counts now.
    pub generation: u64,
    /// The key that it holds: not the one that was given, which is dead.
    pub access_key_id: String,
    /// Its manifest.
    pub manifest: Envelope,
    /// Each step.
    pub progress: Vec<Progress>,
}
