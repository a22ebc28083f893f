//! What a worker says of its host and of a vault: public, and believed no further than its signatures go.

use serde::{Deserialize, Serialize};

use crate::trust::{Envelope, KeyId, PublicKey};

/// Public facts of this host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostFacts {
    /// The worker's public key.
    pub key: PublicKey,
    /// How this worker is kept apart from the agent.
    pub isolation: Isolation,
}

/// Public facts of a vault.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VaultFacts {
    /// Key id of this host.
    pub host: KeyId,
    /// How this worker is kept apart from the agent.
    pub isolation: Isolation,
    /// All roster versions, oldest first.
    pub roster_chain: Vec<Envelope>,
    /// The current generation's manifest, if anything is sealed.
    pub manifest: Option<Envelope>,
}

/// How a worker is kept apart from the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// It runs under an account of its own.
    Account,
    /// It runs under the agent's account: the agent could read its files.
    None,
}
