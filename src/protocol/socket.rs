//! Clients and the agent: HTTP/1.1 with JSON bodies over a unix socket.
//!
//! | method and path | body | answer |
//! | --- | --- | --- |
//! | `GET /v1/status` | | [`Status`] |
//! | `GET /v1/vaults/{vault}` | | [`VaultView`] |
//! | `GET /v1/vaults/{vault}/bundle` | | [`Sealed`](super::job::Sealed), the generation that counts |
//! | `POST /v1/vaults/{vault}/seal` | [`SealBegin`] | [`SealBegun`] |
//! | `POST /v1/vaults/{vault}/roster` | [`RosterSubmit`] | [`RosterSubmitted`] |
//! | `POST /v1/vaults/{vault}/recovery` | [`RecoveryHandIn`] | [`RecoveryRecorded`] |
//! | `POST /v1/seals/{id}` | [`SealFinish`] | [`SealFinished`] |
//! | `POST /v1/requests` | [`Ask`](super::job::Ask) | [`RequestView`] |
//! | `GET /v1/requests` | | `Vec<`[`RequestView`]`>`, newest first, at most 100 |
//! | `GET /v1/requests/{id}` | | [`RequestView`] |
//! | `GET /v1/requests/{id}/bundle` | | [`ApprovalBundle`], with the caller's own share |
//! | `POST /v1/requests/{id}/approvals` | [`Approval`](super::job::Approval) | [`RequestView`] |
//! | `POST /v1/requests/{id}/denials` | [`Denial`] | [`RequestView`] |
//! | `POST /v1/requests/{id}/withdrawals` | [`Withdrawal`] | [`RequestView`] |
//! | `POST /v1/requests/{id}/confirmation` | [`Confirm`](super::people::Confirm) | [`RequestView`] |
//! | `GET /v1/requests/{id}/credentials?account=ID&role=NAME&form=FORM` | | [`Credentials`] of the request's first role, or of the one named; `FORM` (`environment`, `console`) stands in the record |
//! | `POST /v1/requests/{id}/close` | [`Close`] | [`RequestView`] |
//! | `POST /v1/requests/{id}/recording` | [`RecordingPart`](super::recording::RecordingPart) | [`RecordingNoted`](super::recording::RecordingNoted) |
//! | `GET /v1/requests/{id}/recording?recording=N&from=CHUNK` | | [`RecordingPage`](super::recording::RecordingPage), ciphertext |
//! | `POST /v1/requests/{id}/notes` | [`Note`](super::recording::Note) | [`Noted`](super::recording::Noted) |
//! | `GET /v1/vaults/{vault}/drill` | | [`DrillBundle`], with the caller's own share |
//! | `POST /v1/vaults/{vault}/drills` | [`DrillReceipt`] | [`DrillNoted`] |
//! | `POST /v1/vaults/{vault}/drills/failed` | [`DrillFailure`] | [`DrillNoted`] |
//! | `POST /v1/vaults/{vault}/sheets` | [`SheetChecked`] | [`SheetNoted`] |
//! | `POST /v1/requests/{id}/review` | [`ReviewIn`](super::review::ReviewIn) | [`RequestView`] |
//! | `POST /v1/requests/{id}/filings` | [`Filing`](super::review::Filing) | [`RequestView`] |
//! | `GET /v1/requests/{id}/events` | | JSON lines, verbatim: the request's own, and what happened to vault and agent meanwhile |
//! | `GET /v1/reviews?from=DAY&until=DAY` | | `Vec<`[`AccessRow`](super::review::AccessRow)`>`, oldest first |
//! | `GET /v1/audit/events?from=SEQ&limit=N` | | JSON lines, verbatim |
//! | `GET /v1/audit/envelopes?from=SEQ&limit=N` | | JSON lines, one [`AuditEnvelope`] each: those that the events `from` on name |
//! | `POST /v1/audit/acknowledgement` | [`Acknowledge`](super::evidence::Acknowledge) | [`Acknowledged`](super::evidence::Acknowledged) |
//! | `POST /v1/audit/match` | [`Match`](super::evidence::Match) | [`Matched`](super::evidence::Matched) |
//! | `GET /v1/audit/checkpoints` | | signed notes, oldest first, blank line between; at most the newest 100 |
//!
//! A page covers the events from `SEQ` on (1 where absent), at most `N`. For events `N` is at most 1,000 and a page may be shorter:
//! whoever wants all asks again from the number after the last line's, and a page without lines is the end. For envelopes `N` is at
//! most 100, and the page has exactly those that these events name.
//!
//! Every failure is a [`Problem`](super::Problem) with a 4xx or 5xx status.

use serde::{Deserialize, Serialize};

use crate::trust::{
    Bytes, Day, Digest, Envelope, Head, KeyId, Timestamp,
    roster::{Group, Lacking, Roster, lacking},
    standing::Told,
};
pub use crate::{
    ceremony::{Stage, Standing},
    trust::receipt::RegionRefused,
};

pub use super::handed_in::{
    RecoveryHandIn, RecoveryRecorded, RosterSubmit, RosterSubmitted, SealBegin, SealBegun,
    SealFinish, SealFinished,
};
pub use super::live::{Delivered, SinkView};
pub use super::people::Person;
pub use super::readiness::{
    DrillBundle, DrillFailure, DrillNoted, DrillReceipt, Layer, Readiness, SheetChecked, SheetNoted,
};
use super::{
    evidence::{EpochProof, Lapse},
    job::Isolation,
    people::{Commander, Hand},
    recording::RecordingView,
    review::{ReviewOpen, ReviewView},
    secrets::SecretState,
};

/// The default socket of the agent.
pub const DEFAULT_SOCKET: &str = "/run/twotap/agent.sock";
/// The largest body that the agent reads, in bytes.
pub const MAX_BODY: usize = 64 * 1024;
/// The same where a roster is handed in: sixteen custodians with two attested tokens each come to some 150 KiB.
pub const MAX_ROSTER_BODY: usize = 512 * 1024;

/// How the agent and everything it serves are.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// Version of the agent.
    pub version: String,
    /// Who the caller is to the agent.
    pub you: Person,
    /// Head of the record.
    pub head: Head,
    /// Vaults of this host.
    pub vaults: Vec<VaultStatus>,
    /// Requests that are not at their end, and those that ended within the last day.
    pub requests: Vec<RequestView>,
    /// What does not work as it should, in plain words (a sink that lags, a rotation that is pending).
    pub degraded: Vec<String>,
    /// Where the record goes, in the order of the agent's configuration.
    #[serde(default)]
    pub sinks: Vec<SinkView>,
    /// Sessions that are over and not reviewed yet, the most urgent first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reviews: Vec<ReviewOpen>,
}

/// One vault at a glance.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VaultStatus {
    /// Its name.
    pub vault: String,
    /// Roster version.
    pub roster_version: u64,
    /// How many people must approve.
    pub threshold: u8,
    /// Which of them; empty where any will do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<Group>,
    /// The custodians' names.
    pub custodians: Vec<String>,
    /// Their tokens: who vouches for each, and what is known against it.
    #[serde(default)]
    pub tokens: Vec<Told>,
    /// Current generation; absent where nothing is sealed yet.
    pub generation: Option<u64>,
    /// When that generation was sealed.
    pub sealed_at: Option<Timestamp>,
    /// The rotation after the newest opening: `done`, `running`, `running: WHAT IT WAITS FOR`, `pending: WHY`, or `owed: WHY`.
    pub rotation: String,
    /// What the last look at the sealed key's uses came to.
    pub watch: String,
    /// How the worker is kept apart from the agent.
    pub isolation: Isolation,
    /// The places that keep copies, in the roster's order.
    #[serde(default)]
    pub copies: Vec<CopyStatus>,
    /// The recovery identity that the roster names.
    #[serde(default)]
    pub recovery: Option<RecoveryStatus>,
    /// How sure one may be that it would open.
    #[serde(default)]
    pub readiness: Readiness,
}

/// A recovery identity, as far as this host knows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecoveryStatus {
    /// Its age recipient.
    pub recipient: String,
    /// The day on which its sheets were made.
    pub made: Day,
    /// The day from which new ones are asked for.
    pub renew_by: Day,
    /// When a quorum of them was brought together; absent while they are not spent.
    pub spent_since: Option<Timestamp>,
}

/// The copy at one place, as far as this host knows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CopyStatus {
    /// The place's name in the roster.
    pub place: String,
    /// Whether the old key's end waits for it.
    pub required: bool,
    /// The generation that it holds; absent where none was ever acknowledged.
    pub generation: Option<u64>,
    /// Since when it lacks one; absent where it does not lag.
    pub lags_since: Option<Timestamp>,
    /// Why it lags.
    pub why: Option<String>,
}

/// A vault's signed documents.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VaultView {
    /// The host's key id.
    pub host: KeyId,
    /// All roster versions, oldest first.
    pub roster_chain: Vec<Envelope>,
    /// The current manifest.
    pub manifest: Option<Envelope>,
}

/// A request as everybody listed may see it: public documents and progress, never a secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RequestView {
    /// The request's id.
    pub id: String,
    /// Where it stands.
    pub stage: Stage,
    /// After the newest vote.
    pub standing: Standing,
    /// The signed request.
    pub offer: Envelope,
    /// The generation's manifest.
    pub manifest: Envelope,
    /// All roster versions, oldest first.
    pub roster_chain: Vec<Envelope>,
    /// The session policy exactly as it will be sent.
    pub policy: String,
    /// The roster version that the request would take up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_roster: Option<Envelope>,
    /// Who has approved, in order.
    pub approved_by: Vec<String>,
    /// Who has denied, with the reason.
    pub denied_by: Vec<(String, String)>,
    /// Who authorised it: the operator's word, until that person has confirmed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commander: Option<Commander>,
    /// Who did what, from which account and with which key, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub people: Vec<Hand>,
    /// How many must approve.
    pub threshold: u8,
    /// Each step after the approvals, in order.
    pub progress: Vec<Progress>,
    /// How it ended, or why it failed, in plain words.
    pub outcome: Option<String>,
    /// Each account and role with how far it is; empty until something is minted.
    #[serde(default)]
    pub targets: Vec<TargetView>,
    /// Until when systems that know identity alone (EKS) let the session in, whatever was revoked.
    #[serde(default)]
    pub identity_until: Option<Timestamp>,
    /// What holds up the closing as a whole now.
    #[serde(default)]
    pub setback: Option<Setback>,
    /// The secrets that are rotated when the session is closed, and where each stands.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<SecretView>,
    /// What was handed out of its session; absent while that is nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered: Option<Delivered>,
    /// What was recorded of it, in the order in which it began.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recordings: Vec<RecordingView>,
    /// What is to follow the session; absent while it is not over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review: Option<ReviewView>,
    /// Sinks that lagged while it ran.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Lapse>,
    /// The newest epochs of this host's record, where its store was ever put back from a backup.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub epochs: Vec<EpochProof>,
}

impl RequestView {
    /// Who is still missing from the quorum, by the roster that the request was made under; for display alone.
    pub fn lacking(&self) -> Vec<Lacking> {
        let roster = self.roster_chain.last().map(Envelope::unverified::<Roster>);
        let people = self.approved_by.iter().map(String::as_str);
        match roster {
            Some(Ok(roster)) => roster.lacking(people),
            _ => lacking(self.threshold, &[], people),
        }
    }

    /// How many of how many have approved, e.g. `1 of 2`; where there are groups and more of one than it had to give, those do not count.
    /// While it waits: of which groups somebody is missing, e.g. `1 of 2; still needed: one of platform`.
    pub fn tally(&self) -> String {
        let lacking = match self.stage {
            Stage::Requested => self.lacking(),
            _ => Vec::new(),
        };
        let missing: usize = lacking.iter().map(|l| l.people).sum();
        let people = match self.stage {
            Stage::Requested => usize::from(self.threshold).saturating_sub(missing),
            _ => self.approved_by.len(),
        };
        let groups: Vec<String> = lacking
            .iter()
            .filter(|l| l.group.is_some())
            .map(Lacking::to_string)
            .collect();
        let tally = format!("{people} of {}", self.threshold);
        match groups.as_slice() {
            [] => tally,
            _ => format!("{tally}; still needed: {}", groups.join(", ")),
        }
    }
}

/// A secret that a request names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SecretView {
    /// Its ARN.
    pub secret: String,
    /// Where it stands.
    #[serde(flatten)]
    pub state: SecretState,
}

/// One account and role of a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TargetView {
    /// AWS account number.
    pub account: String,
    /// ARN of the role.
    pub role: String,
    /// How far it is.
    pub state: TargetState,
    /// Since when it is so.
    pub since: Timestamp,
    /// The Regions in which its refusal was observed.
    pub refused: Vec<RegionRefused>,
    /// What holds it up now.
    pub setback: Option<Setback>,
}

/// How far one account and role of a request is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum TargetState {
    /// A session is asked for.
    Opening,
    /// The operator has, or can have, a session in it.
    Open,
    /// No session could be had.
    NotOpened {
        /// Why.
        why: String,
    },
    /// Its revocation is asked for.
    Requested,
    /// Its revocation stands; the refusal is being observed.
    Applied,
    /// It was seen refused in every Region.
    Refused,
    /// It is denied by its tag, and nothing is kept that could observe it.
    NotObserved,
    /// Its time ran out.
    Expired,
}

/// What holds something up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setback {
    /// Why, in plain words.
    pub why: String,
    /// How often it was tried.
    pub tries: u32,
    /// When it is tried next; where that is past, it is being tried again and again.
    pub next_attempt: Option<Timestamp>,
}

/// One step of a ceremony or closing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// When.
    pub at: Timestamp,
    /// The step's name, e.g. `key_created`.
    pub step: String,
    /// In plain words.
    pub text: String,
}

/// Everything that a custodian needs, online or by file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalBundle {
    /// The signed request.
    pub offer: Envelope,
    /// The generation's manifest.
    pub manifest: Envelope,
    /// All roster versions, oldest first.
    pub roster_chain: Vec<Envelope>,
    /// The custodian's own share: a binary age file.
    pub share: Bytes,
    /// The roster version that the request would take up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_roster: Option<Envelope>,
    /// What the agent has to say about the request, in plain words: its word, and nobody's signature.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agent_says: Vec<String>,
    /// The newest epochs of this host's record, where its store was ever put back from a backup.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub epochs: Vec<EpochProof>,
}

/// A signed denial.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Denial {
    /// A signed [`crate::trust::request::Denial`].
    pub denial: Envelope,
}

/// A signed withdrawal of an approval.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Withdrawal {
    /// A signed [`crate::trust::request::Withdrawal`].
    pub withdrawal: Envelope,
}

/// A signed envelope as the record keeps it beside a line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditEnvelope {
    /// Number of the event that names it.
    pub seq: u64,
    /// Its purpose, e.g. `offer`.
    pub kind: String,
    /// SHA-256 of `body`, as the line names it.
    pub sha256: Digest,
    /// The bytes.
    pub body: Bytes,
}

/// Ends a session.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Close {
    /// By an officer, for somebody else's session.
    #[serde(default)]
    pub force: bool,
}

/// The operator's session in the form of the AWS `credential_process` contract.
///
/// ```compile_fail,E0277
/// # fn show(session: twotap::protocol::socket::Credentials) {
/// println!("{session:?}");
/// # }
/// ```
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Credentials {
    /// Always 1.
    pub version: u8,
    /// Access key id.
    pub access_key_id: String,
    /// Secret access key.
    pub secret_access_key: zeroize::Zeroizing<String>,
    /// Session token.
    pub session_token: zeroize::Zeroizing<String>,
    /// When access ends.
    pub expiration: Timestamp,
}
