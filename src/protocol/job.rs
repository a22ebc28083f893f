//! The agent and a worker.
//!
//! The agent opens a connection and sends one [`Job`]. The worker answers with [`FromWorker`] messages and, while it serves the
//! job, takes [`ToWorker`] messages. A connection carries one job; a worker serves one connection and exits.
//!
//! What the worker does to the world it first writes to its own journal ([`Entry`]); it reports each entry as it is written, and
//! whoever missed some asks with [`Job::Journal`]. So the agent records an entry the same way whether it was there or not.

mod entry;
mod keys;
mod places;

use serde::{Deserialize, Serialize};

pub use places::PlaceStep;

use super::Problem;
pub use super::facts::{HostFacts, Isolation, VaultFacts};
pub use super::secrets::{SecretState, SecretStep, short_name};
pub use super::socket::RosterSubmit as RosterWish;
pub use crate::ceremony::Standing;
pub use crate::trust::receipt::ProvenBy;
use crate::trust::{
    Bytes, Envelope, Head, KeyId, Timestamp,
    request::{BannedUse, CheckResult, Purpose},
    roster::Declared,
};
pub use entry::{AwsTrace, Entry, Step};
pub use keys::{KeyUse, Waiting, Watched, Whose};

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
    /// The generation that counts, as it is sealed: answered by [`FromWorker::Bundle`].
    Bundle {
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
    /// The same under the next version of the roster, for which recovery shares stand: nobody's token can open what is sealed, so the
    /// credential that they opened is sealed for the custodians of that version.
    SealAnew {
        /// The vault.
        vault: String,
        /// That version.
        next: Envelope,
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
        /// What the scenario's checks came to, in its order: the agent's word.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        checks: Vec<CheckResult>,
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
    /// Whether AWS tells of a use of the sealed key that is none of ours: answered by [`FromWorker::Watched`].
    Watch {
        /// The vault.
        vault: String,
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
    /// A whole ceremony as a drill: sessions that are refused everything and are handed to nobody, and a real rotation.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub drill: bool,
    /// Name of the roster's scenario; needed for a session where the roster has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scenario: Option<String>,
    /// Whom or what it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// What it is not, as the operator confirmed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub confirmed: Vec<BannedUse>,
    /// The request whose session this one continues.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<String>,
}

impl Ask {
    /// What is declared for a session, by `operator`.
    pub fn declared<'a>(&'a self, operator: &'a str) -> Declared<'a> {
        Declared {
            operator,
            access: &self.access,
            scenario: self.scenario.as_deref(),
            subject: self.subject.as_deref(),
            commander: self.commander.as_deref(),
            incident: &self.incident,
            reason: &self.reason,
            confirmed: &self.confirmed,
        }
    }

    /// Whether a request with this purpose is what was asked: all that is owed, where nothing was named, is the worker's to say.
    pub fn is_answered_by(&self, purpose: &Purpose) -> bool {
        match (&self.close_only, purpose) {
            (None, Purpose::Open) => !self.drill,
            (None, Purpose::Drill) => self.drill,
            (Some(asked), Purpose::CloseOnly { requests }) if !self.drill => {
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
    /// A generation with everything that it takes to open it elsewhere.
    Bundle(Sealed),
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
    /// Something does not get through and is tried again; nothing of it stands in the journal.
    Waiting(Waiting),
    /// What a look at the sealed key's uses came to.
    Watched(Watched),
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

/// A generation as it is sealed: ciphertext and signed papers alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sealed {
    /// Its manifest.
    pub manifest: Envelope,
    /// `vault.age`.
    pub vault_age: Bytes,
    /// Each custodian's share, in the manifest's order.
    pub shares: Vec<ShareFile>,
    /// All roster versions, oldest first.
    pub roster_chain: Vec<Envelope>,
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
