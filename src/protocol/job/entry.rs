//! The worker's journal: what it was about to do, and what it did.

use serde::{Deserialize, Serialize};

use super::{KeyUse, PlaceStep, ProvenBy, Whose};
use crate::protocol::secrets::SecretStep;
use crate::trust::{Digest, Envelope, Timestamp, roster::Target};

/// One entry of a vault's journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// 1 for the first, then one more each time.
    pub n: u64,
    /// The host's clock.
    pub at: Timestamp,
    /// The request that it belongs to; absent for a sealing.
    pub request: Option<String>,
    /// What is about to be done, or was.
    pub step: Step,
    /// AWS's id and clock, where a call stands behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws: Option<AwsTrace>,
}

/// AWS's own account of a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AwsTrace {
    /// AWS's request id.
    pub request_id: Option<String>,
    /// AWS's Date.
    pub date: Option<Timestamp>,
}

/// What a journal entry says. An `...Intent` stands before the act, everything else after it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// Sessions are about to be minted; from here on closing revokes by tag whatever is known.
    MintIntent {
        /// The first operator role.
        role: String,
        /// When access ends.
        not_after: Timestamp,
        /// Name of the revocation policy that would end it.
        revocation: String,
        /// The steward role that would put it there.
        #[serde(default)]
        steward_role: String,
        /// The further operator roles, each with its own steward.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        also: Vec<Target>,
        /// ARNs of the secrets that are to be rotated once it is over.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        secrets: Vec<String>,
    },
    /// The operator's session in one role exists.
    Minted {
        /// ARN of the assumed role.
        assumed_role: String,
        /// Access key id of the session (public; the record keeps a fingerprint).
        access_key_id: String,
        /// When access ends.
        not_after: Timestamp,
        /// ARN of the role; empty in journals of hosts that knew one role a request.
        #[serde(default)]
        role: String,
        /// When the credentials themselves end; for systems that know identity alone access ends then.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<Timestamp>,
    },
    /// One of several roles could not be opened; the others go on.
    TargetFailed {
        /// ARN of the role.
        role: String,
        /// Why.
        why: String,
    },
    /// Minting failed; nothing was opened.
    MintFailed {
        /// Why.
        why: String,
        /// Whether a session may exist all the same, because an answer was lost.
        #[serde(default)]
        unsure: bool,
    },
    /// Earlier requests' sessions are about to be closed, by a ceremony that opens none.
    CloseOnlyIntent {
        /// Those requests.
        requests: Vec<String>,
    },
    /// That ceremony has done what it could; a rotation follows.
    CloseOnlyDone {
        /// The requests that are denied by their tag in every role now.
        denied: Vec<String>,
        /// The requests for which that could not be done, and why.
        left: Vec<(String, String)>,
    },
    /// A drill: sessions that may do nothing are about to be asked for.
    DrillIntent {
        /// The roles.
        roles: Vec<String>,
    },
    /// Such a session existed, was refused, and is dropped; nobody else ever had it.
    Drilled {
        /// ARN of the role.
        role: String,
        /// The Region in which it was refused.
        region: String,
        /// The call that was refused.
        probe: String,
        /// AWS's word for it, e.g. `UnauthorizedOperation`.
        code: String,
    },
    /// No such session could be had, or it was not seen refused. The rotation goes on.
    DrillFailed {
        /// ARN of the role.
        role: String,
        /// Why.
        why: String,
    },
    /// The sealed key is about to be replaced.
    RotationIntent {
        /// The key that is sealed.
        old_access_key_id: String,
    },
    /// A key that is not the sealed one was found; it is about to be made inactive and deleted.
    StrayFound {
        /// That key.
        access_key_id: String,
        /// Whose it is, by this journal.
        whose: Whose,
        /// Whether it was active.
        active: bool,
        /// When AWS says that it was made.
        created: Option<Timestamp>,
    },
    /// Such a key was made inactive.
    StrangerDisabled {
        /// That key.
        access_key_id: String,
    },
    /// Such a key was deleted.
    StrangerDeleted {
        /// That key.
        access_key_id: String,
    },
    /// A new key is about to be asked for. Without an entry that says what came of it, one may exist whose secret nobody has.
    CreateIntent {
        /// AWS's clock shortly before, where it is known: what was made later and by nobody else is ours.
        aws_time: Option<Timestamp>,
    },
    /// AWS surely made none.
    CreateFailed {
        /// Why, in plain words.
        why: String,
    },
    /// A new key was made.
    KeyCreated {
        /// That key.
        access_key_id: String,
    },
    /// A generation was written, recombined and fsynced; it does not count yet.
    GenerationWritten {
        /// Its number.
        generation: u64,
        /// Its signed manifest.
        manifest: Envelope,
    },
    /// The new key was seen to work.
    KeyProven {
        /// That key.
        access_key_id: String,
    },
    /// The generation counts from here on.
    GenerationCommitted {
        /// Its number.
        generation: u64,
        /// Digest of its manifest.
        manifest_sha256: Digest,
        /// The key that it holds.
        access_key_id: String,
    },
    /// A key is about to be made inactive.
    DeactivateIntent {
        /// That key.
        access_key_id: String,
    },
    /// A key is about to be deleted.
    DeleteIntent {
        /// That key.
        access_key_id: String,
    },
    /// The old key was made inactive.
    KeyDeactivated {
        /// That key.
        access_key_id: String,
    },
    /// The old key was seen to be refused.
    KeyRefused {
        /// That key.
        access_key_id: String,
        /// How that was seen.
        by: ProvenBy,
    },
    /// The old key was deleted.
    KeyDeleted {
        /// That key.
        access_key_id: String,
    },
    /// The rotation is complete.
    Rotated {
        /// A signed [`crate::trust::receipt::Receipt`].
        receipt: Envelope,
    },
    /// The old key is dead and replaced, and AWS did not let it be deleted: it still holds one of the user's two places.
    DeletionOwed {
        /// That key.
        access_key_id: String,
        /// Why, in plain words.
        why: String,
    },
    /// The sealed key was used outside a ceremony: somebody has it.
    Misused {
        /// That key.
        access_key_id: String,
        /// The use.
        used: KeyUse,
    },
    /// The rotation could not be completed now; the key that is sealed still works.
    RotationPending {
        /// Why, in plain words.
        why: String,
    },
    /// The revocation policy is about to be put.
    RevokeIntent {
        /// Its name.
        policy: String,
        /// ARN of the role that it is put on.
        #[serde(default)]
        role: String,
    },
    /// The revocation policy stands.
    RevokeApplied {
        /// Its name.
        policy: String,
        /// ARN of the role that it stands on.
        #[serde(default)]
        role: String,
    },
    /// A run of refusals was observed in one Region.
    RefusalObserved {
        /// ARN of the role whose session was refused.
        #[serde(default)]
        role: String,
        /// The Region.
        region: String,
        /// First refusal of the run.
        since: Timestamp,
        /// How many in a row.
        refusals: u32,
    },
    /// The session is over: revoked, and seen refused everywhere.
    Revoked {
        /// A signed [`crate::trust::receipt::Receipt`].
        receipt: Envelope,
    },
    /// The session's time ran out before it was revoked.
    Expired {
        /// When it ended.
        at: Timestamp,
    },
    /// Every session is denied by its tag, and nothing is kept that could show the refusal: it is over when its time is.
    NotObserved {
        /// When access ends at the latest.
        until: Timestamp,
        /// Why nothing can be observed.
        why: String,
    },
    /// Closing could not go on now.
    ClosePending {
        /// Why, in plain words.
        why: String,
        /// ARN of the role that it is about; empty where it is about all.
        #[serde(default)]
        role: String,
        /// How often it was tried.
        #[serde(default)]
        tries: u32,
        /// When it is tried next.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next_attempt: Option<Timestamp>,
    },
    /// Something was done to a secret that the request names.
    Secret {
        /// ARN of the secret.
        secret: String,
        /// What.
        did: SecretStep,
    },
    /// Something about the places that keep copies.
    #[serde(untagged)]
    Place(PlaceStep),
}
