//! The agent and a worker.
//!
//! The agent opens a connection and sends one [`Job`]. The worker answers with [`FromWorker`] messages and, while it serves the
//! job, takes [`ToWorker`] messages. A connection carries one job; a worker serves one connection and exits.
//!
//! What the worker does to the world it first writes to its own journal ([`Entry`]); it reports each entry as it is written, and
//! whoever missed some asks with [`Job::Journal`]. So the agent records an entry the same way whether it was there or not.

use serde::{Deserialize, Serialize};

use super::Problem;
pub use super::facts::{HostFacts, Isolation, VaultFacts};
pub use super::socket::RosterSubmit as RosterWish;
pub use crate::ceremony::Standing;
use crate::trust::{
    Bytes, Digest, Envelope, Head, KeyId, Timestamp, request::Purpose, roster::Target,
};

/// The error of [`FromWorker::Failed`] when nothing is kept of a request: it never came to a session, was closed, or the host was
/// rebooted. The agent tells these apart by what the journal says.
pub const NOT_KEPT: &str = "no session of this request is kept here";

/// What the agent asks a worker to do. Nothing here widens what the roster and the approvals allow.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "job", rename_all = "snake_case", deny_unknown_fields)]
pub enum Job {
    /// Public facts of this host; answered by [`FromWorker::Host`].
    Host,
    /// Public facts of a vault; answered by [`FromWorker::Vault`].
    Vault {
        /// The vault.
        vault: String,
    },
    /// Seal a new credential: answered by [`FromWorker::SealOffer`], then [`ToWorker::Credential`] is awaited.
    Seal {
        /// The vault.
        vault: String,
        /// Head of the record now.
        audit: Head,
        /// The caller's nonce.
        nonce: Bytes,
    },
    /// A request: answered by [`FromWorker::Offer`], then votes are awaited.
    Ceremony {
        /// What is asked for.
        ask: Ask,
        /// Who asks, as the agent knows.
        operator: String,
        /// Head of the record now.
        audit: Head,
    },
    /// The next version of the roster: answered by [`FromWorker::Offer`], then votes are awaited; where nothing is sealed yet it counts at
    /// once, answered by [`FromWorker::Vault`].
    Roster {
        /// The vault.
        vault: String,
        /// What is handed in.
        wish: RosterWish,
        /// Who hands it in, as the agent knows.
        operator: String,
        /// Head of the record now.
        audit: Head,
    },
    /// Close the session of a request: revoke and observe, or note that it has expired.
    Close {
        /// The vault.
        vault: String,
        /// The request's id.
        request: String,
    },
    /// The operator's session of a request once more, for an agent that was restarted.
    Session {
        /// The request's id.
        request: String,
    },
    /// Journal entries with a number above `since`.
    Journal {
        /// The vault.
        vault: String,
        /// The last entry that the agent has recorded; 0 for none.
        since: u64,
    },
}

/// What an operator asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// The vault.
    pub vault: String,
    /// Name of the access profile.
    pub access: String,
    /// Incident reference.
    pub incident: String,
    /// Why.
    pub reason: String,
    /// Session length in seconds; the profile's default where absent.
    pub duration_seconds: Option<u32>,
    /// Who authorised it, as the operator says.
    pub commander: Option<String>,
    /// 16 random bytes of the operator's CLI.
    pub nonce: Bytes,
    /// No session, but the closing of these requests' sessions and whatever rotation is owed; an empty list means all that the worker's
    /// own journal has as open. `access` is then [`CLOSE_ONLY`](crate::trust::request::CLOSE_ONLY).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub close_only: Option<Vec<String>>,
}

impl Ask {
    /// Whether a request with this purpose is what was asked: all that is owed, where nothing was named, is the worker's to say.
    pub fn is_answered_by(&self, purpose: &Purpose) -> bool {
        match (&self.close_only, purpose) {
            (None, Purpose::Open) => true,
            (Some(asked), Purpose::CloseOnly { requests }) => {
                asked.is_empty()
                    || (requests.iter().all(|id| asked.contains(id))
                        && asked.iter().all(|id| requests.contains(id)))
            }
            _ => false,
        }
    }
}

/// What the agent sends while a job runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "message", rename_all = "snake_case", deny_unknown_fields)]
pub enum ToWorker {
    /// A custodian's yes; answered by [`FromWorker::Vote`].
    Approval(Approval),
    /// A custodian's no; answered by [`FromWorker::Vote`].
    Denial {
        /// A signed denial.
        denial: Envelope,
    },
    /// A custodian takes a yes back; answered by [`FromWorker::Vote`].
    Withdrawal {
        /// A signed [`crate::trust::request::Withdrawal`].
        withdrawal: Envelope,
    },
    /// The credential to seal, encrypted to the offer's `worker_key`.
    Credential {
        /// A binary age file.
        sealed: Bytes,
    },
    /// The entries up to this number stand in the record.
    Recorded {
        /// Entry number.
        n: u64,
    },
}

/// A custodian's yes: the signed request, and the share sealed to the worker's one-time key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// The request's bytes under the custodian's signature.
    pub approval: Envelope,
    /// A binary age file.
    pub sealed_share: Bytes,
}

/// What a worker sends.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "message", rename_all = "snake_case", deny_unknown_fields)]
pub enum FromWorker {
    /// Public facts of this host.
    Host(HostFacts),
    /// Public facts of a vault.
    Vault(VaultFacts),
    /// The one-time key for a credential, signed.
    SealOffer {
        /// A signed [`crate::trust::request::SealOffer`].
        offer: Envelope,
    },
    /// The request as custodians will see it.
    Offer(OfferMade),
    /// What became of a vote.
    Vote(Vote),
    /// A journal entry was written.
    Entry(Entry),
    /// The operator's session.
    Session(Session),
    /// The job is done.
    Done,
    /// The job has failed; nothing follows.
    Failed(Problem),
}

/// An offer with everything that a custodian needs to check it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfferMade {
    /// The signed request.
    pub offer: Envelope,
    /// The generation's manifest.
    pub manifest: Envelope,
    /// All roster versions, oldest first.
    pub roster_chain: Vec<Envelope>,
    /// Each custodian's share, as sealed.
    pub shares: Vec<ShareFile>,
    /// The session policy exactly as it will be sent.
    pub policy: String,
    /// The roster version that the request would take up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_roster: Option<Envelope>,
    /// How this worker is kept apart from the agent.
    pub isolation: Isolation,
}

/// A custodian's share, as sealed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShareFile {
    /// Whose.
    pub custodian: String,
    /// A binary age file.
    pub age: Bytes,
}

/// What became of a vote.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "vote", rename_all = "snake_case", deny_unknown_fields)]
pub enum Vote {
    /// It counts.
    Counted {
        /// Whose vote.
        person: String,
        /// The token that made it.
        serial: u32,
        /// Key id of its approve key.
        key: KeyId,
        /// Whether it was a yes.
        approved: bool,
        /// Where the request stands now.
        standing: Standing,
    },
    /// A yes was taken back, and the share that came with it dropped.
    Withdrawn {
        /// Whose.
        person: String,
        /// The token that signed the withdrawal.
        serial: u32,
        /// Key id of its approve key.
        key: KeyId,
        /// Where the request stands now.
        standing: Standing,
    },
    /// It does not count; the request goes on waiting.
    Refused(Problem),
}

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
    /// The sealed key is about to be replaced.
    RotationIntent {
        /// The key that is sealed.
        old_access_key_id: String,
    },
    /// Another key of the user was found and made inactive: our own orphan, or a stranger's.
    StrangerDisabled {
        /// That key.
        access_key_id: String,
    },
    /// Such a key was deleted.
    StrangerDeleted {
        /// That key.
        access_key_id: String,
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
    /// The old key was made inactive.
    KeyDeactivated {
        /// That key.
        access_key_id: String,
    },
    /// The old key was itself seen to be refused.
    KeyRefused {
        /// That key.
        access_key_id: String,
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
}

/// The operator's temporary credentials: what the agent hands to the operator, and all that it ever holds.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// The request's id.
    pub request: String,
    /// When access ends (not later than the credentials themselves).
    pub not_after: Timestamp,
    /// One for each role that was opened, in the request's order.
    pub targets: Vec<TargetSession>,
}

/// The temporary credentials of one role.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetSession {
    /// AWS account number.
    pub account: String,
    /// ARN of the role.
    pub role: String,
    /// Access key id.
    pub access_key_id: String,
    /// Secret access key.
    pub secret_access_key: zeroize::Zeroizing<String>,
    /// Session token.
    pub session_token: zeroize::Zeroizing<String>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "session of {}", self.request)
    }
}
