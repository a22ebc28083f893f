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
        /// Digest of the manifest that counted before; absent where none did on this host.
        previous_manifest_sha256: Option<Digest>,
        /// The new key was seen to take the operator role.
        new_key_worked: Proof,
        /// The new generation counts since then, by the host's clock.
        counts_since: Timestamp,
        /// The old key was seen refused.
        old_key_refused: Proof,
        /// How that was seen.
        proven_by: ProvenBy,
        /// The old key was deleted; absent where AWS did not let it be. It is dead either way.
        old_key_deleted: Option<Proof>,
    },
    /// A session was revoked and seen refused.
    Revoked {
        /// Name of the inline policy that denies it.
        policy: String,
        /// Regions in which the refusal was observed.
        regions: Vec<String>,
        /// When the first of the final run of refusals was seen, in the last Region of the last role.
        refused_since: Timestamp,
        /// How many refusals in a row were seen in each Region, at least.
        refusals: u32,
        /// Each role by itself.
        #[serde(default)]
        targets: Vec<TargetRefused>,
        /// Roles in which no session was handed out, with the reason; there was nothing to observe.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        not_opened: Vec<TargetNotOpened>,
        /// When the credentials themselves end: until then systems that know identity alone (EKS) still let them in.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        identity_until: Option<Timestamp>,
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

/// When something was seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// By the host's clock.
    pub at: Timestamp,
    /// AWS's id of the call that showed it.
    pub aws_request_id: Option<String>,
    /// AWS's clock in its answer.
    pub aws_date: Option<Timestamp>,
}

/// How a key was seen to be dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProvenBy {
    /// A call signed with the key itself was refused with `InvalidClientTokenId`.
    Itself,
    /// AWS does not know its id any more, where it does know the new key's: the worker that held its secret was stopped, so nothing
    /// could be signed with it.
    Id,
}

/// A role whose session was seen refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetRefused {
    /// AWS account number.
    pub account: String,
    /// ARN of the role.
    pub role: String,
    /// Each Region in which it was observed.
    pub regions: Vec<RegionRefused>,
}

/// A run of refusals in one Region.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegionRefused {
    /// The Region.
    pub region: String,
    /// First refusal of the run.
    pub since: Timestamp,
    /// How many in a row.
    pub refusals: u32,
}

/// A role that could not be opened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetNotOpened {
    /// AWS account number.
    pub account: String,
    /// ARN of the role.
    pub role: String,
    /// Why.
    pub why: String,
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
