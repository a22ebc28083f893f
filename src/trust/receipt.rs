//! Receipts: what was rotated or revoked, step by step, signed by the host.

use serde::{Deserialize, Serialize};

use super::{Digest, Document, KeyId, Timestamp, TrustError, text::check_name};

/// A finished rotation or revocation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// Format version, 1.
    pub v: u8,
    /// The vault.
    pub vault: String,
    /// The request that it belongs to; absent for a sealing by an officer.
    pub request: Option<String>,
    /// The host whose worker did it.
    pub host: KeyId,
    /// What was done.
    pub outcome: Outcome,
    /// Each step with its time and AWS's request id.
    pub steps: Vec<Step>,
}

/// What a receipt certifies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Outcome {
    /// The sealed key was replaced.
    Rotated {
        /// The key that was sealed before, seen refused.
        old_access_key_id: String,
        /// The key that is sealed now, seen working.
        new_access_key_id: String,
        /// The generation that holds the new key.
        generation: u64,
        /// Digest of its manifest.
        manifest_sha256: Digest,
    },
    /// A session was revoked and seen refused.
    Revoked {
        /// Name of the inline policy that denies it.
        policy: String,
        /// Regions in which the refusal was observed.
        regions: Vec<String>,
        /// When the first of the final run of refusals was seen.
        refused_since: Timestamp,
        /// How many refusals in a row were seen in each Region.
        refusals: u32,
    },
    /// A named secret was rotated: `AWSCURRENT` was seen to stand on the new version.
    SecretRotated {
        /// ARN of the secret.
        secret: String,
        /// The version that counts now.
        version: String,
        /// The version that counted before, where it was known.
        previous: Option<String>,
        /// The setter that has set the new value and seen it work; absent where the secret has a rotation function of its own.
        setter: Option<String>,
    },
}

/// One step of a receipt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What was done, e.g. `create`.
    pub step: String,
    /// When, by the host's clock.
    pub at: Timestamp,
    /// AWS's id of the call, where there was one.
    pub aws_request_id: Option<String>,
    /// AWS's clock in that answer.
    pub aws_date: Option<Timestamp>,
}

impl Document for Receipt {
    const PAYLOAD_TYPE: &'static str = "application/vnd.twotap.receipt.v1+json";
    const WHAT: &'static str = "receipt";

    fn check(&self) -> Result<(), TrustError> {
        if self.v != 1 {
            return Err(TrustError::malformed(
                "receipt",
                "its format version is not 1",
            ));
        }
        check_name("vault name", &self.vault)
    }
}
