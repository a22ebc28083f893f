//! What each event says of itself: the fields of its `what`, the envelopes that may lie beside it, its actions.

use super::field::{Field, Kind, may, must};
use super::{Event, EventError, EventType, Record};
use serde_json::{Map, Value};

mod access;
mod ending;
mod evidence;
mod keys;
mod proofs;
mod vaults;

/// Where the agent could read the worker's files, each event says so.
const ISOLATION: &[&str] = &["account", "none"];

/// What any event may say.
const COMMON: &[Field] = &[may(
    "isolation",
    Kind::OneOf(ISOLATION),
    "how the worker is kept apart from the agent; 'none' where it has no account of its own",
)];

/// What the catalogue says of one event type.
pub(super) struct What {
    /// Its fields, in groups that types share.
    fields: &'static [&'static [Field]],
    /// Kinds of the signed envelopes that may lie beside it.
    envelopes: &'static [&'static str],
    /// Its actions, where it has others than the one that the type is named with.
    actions: &'static [&'static str],
}

impl EventType {
    /// The fields of `what`, in the order in which people read them. [`Field::on`] says which belong to certain actions alone.
    pub fn fields(self) -> impl Iterator<Item = &'static Field> {
        let own = of(self).fields;
        let named =
            move |field: &&Field| !own.iter().any(|g| g.iter().any(|f| f.name == field.name));
        own.iter()
            .flat_map(|group| group.iter())
            .chain(COMMON.iter().filter(named))
    }

    /// The kinds of signed envelopes that may lie beside it; most have none.
    pub fn envelope_kinds(self) -> &'static [&'static str] {
        of(self).envelopes
    }

    /// Its actions, where it has others than [`action`](Self::action): one for each step.
    pub fn actions(self) -> &'static [&'static str] {
        of(self).actions
    }
}

impl Event {
    /// Whether the catalogue describes this event: its action, the fields of `what` and its envelopes.
    pub fn is_described(&self) -> Result<(), EventError> {
        let kind = self.event_type;
        let action = self.action.as_deref().unwrap_or(kind.action());
        let beside = self.envelopes.iter().map(|e| e.kind.as_str());
        kind.describes(action, &self.what, beside)
    }
}

impl Record {
    /// The same of a line that was read. Of a type that is not known here nothing is said: a newer version wrote it.
    pub fn is_described(&self) -> Result<(), EventError> {
        let beside = self.envelopes.iter().map(|e| e.kind.as_str());
        self.known_type().map_or(Ok(()), |kind| {
            kind.describes(&self.action, &self.what, beside)
        })
    }
}

impl EventType {
    fn describes<'e>(
        self,
        action: &str,
        what: &Map<String, Value>,
        mut beside: impl Iterator<Item = &'e str>,
    ) -> Result<(), EventError> {
        let kind = self;
        let refuse = |why: String| {
            Err(EventError::NotDescribed {
                event_type: kind.name(),
                why,
            })
        };
        let known = match kind.actions() {
            [] => action == kind.action(),
            actions => actions.contains(&action),
        };
        if !known {
            return refuse(format!("it has no action '{action}'"));
        }
        if let Some(other) = beside.find(|e| !kind.envelope_kinds().contains(e)) {
            return refuse(format!("it has no envelope '{other}'"));
        }
        match super::field::misfit(what, kind.fields(), action) {
            Some(why) => refuse(why),
            None => Ok(()),
        }
    }
}

fn of(event_type: EventType) -> &'static What {
    use EventType as E;
    match event_type {
        E::AgentStarted => &evidence::AGENT_STARTED,
        E::CustodianEnrolled => &vaults::CUSTODIAN_ENROLLED,
        E::RosterSigned => &vaults::ROSTER_SIGNED,
        E::RosterChanged => &vaults::ROSTER_CHANGED,
        E::RecoveryUsed => &vaults::RECOVERY_USED,
        E::VaultSealed => &vaults::VAULT_SEALED,
        E::BundleExported => &vaults::BUNDLE_EXPORTED,
        E::RequestRefused => &access::REQUEST_REFUSED,
        E::BreakGlassRequested => &access::REQUESTED,
        E::BreakGlassAuthorised => &access::AUTHORISED,
        E::BreakGlassApproved => &access::APPROVED,
        E::BreakGlassDenied => &access::DENIED,
        E::BreakGlassWithdrawn => &access::WITHDRAWN,
        E::ApprovalRefused => &access::APPROVAL_REFUSED,
        E::RequestExpired => &access::REQUEST_EXPIRED,
        E::RequestFailed => &access::REQUEST_FAILED,
        E::MintIntent => &access::MINT_INTENT,
        E::BreakGlassAccess => &access::ACCESS,
        E::TargetFailed => &access::TARGET_FAILED,
        E::CredentialsDelivered => &access::DELIVERED,
        E::BreakGlassAction => &access::ACTION,
        E::RecordingStarted | E::RecordingStored => &access::RECORDING,
        E::RecordingRead => &access::RECORDING_READ,
        E::RecordingEnded => &access::RECORDING_ENDED,
        E::RecordingFailed => &access::RECORDING_FAILED,
        E::RotationStep => &keys::ROTATION_STEP,
        E::CredentialRotated => &keys::ROTATED,
        E::CredentialRotationPending => &keys::PENDING,
        E::RotationOverdue => &keys::OVERDUE,
        E::StrangerKeyFound => &keys::STRANGER,
        E::CredentialMisused => &keys::MISUSED,
        E::SessionClosed => &ending::CLOSED,
        E::SessionExpired => &ending::EXPIRED,
        E::RevocationStep => &ending::REVOCATION_STEP,
        E::SessionRevoked => &ending::REVOKED,
        E::SecretRotationStep => &ending::SECRET_STEP,
        E::SecretRotated => &ending::SECRET_ROTATED,
        E::SecretRotationFailed => &ending::SECRET_FAILED,
        E::ReviewDue => &ending::REVIEW_DUE,
        E::ReviewOverdue => &ending::REVIEW_OVERDUE,
        E::ReviewSigned => &ending::REVIEW_SIGNED,
        E::ReportFiled => &ending::REPORT_FILED,
        E::DrillPassed => &proofs::DRILL_PASSED,
        E::DrillFailed => &proofs::DRILL_FAILED,
        E::DrillStep => &proofs::DRILL_STEP,
        E::DrillFullPassed => &proofs::DRILL_FULL,
        E::ReadinessDegraded | E::ReadinessRestored => &proofs::READINESS,
        E::RecoverySheetChecked => &proofs::SHEET,
        E::DegradedEvidence => &evidence::DEGRADED,
        E::EvidenceRestored => &evidence::RESTORED,
        E::EvidenceFlawed => &evidence::FLAWED,
        E::AuditTampered => &evidence::TAMPERED,
        E::TamperingAcknowledged => &evidence::ACKNOWLEDGED,
        E::FingerprintCompared => &evidence::COMPARED,
        E::StoreReset => &evidence::RESET,
        E::Checkpoint => &evidence::CHECKPOINT,
    }
}

/// The vault that it is about.
const VAULT: Field = must("vault", Kind::Text, "name of the vault");

/// What the worker's journal says of itself in an event that was taken up from it.
const JOURNAL: &[Field] = &[
    VAULT,
    must(
        "journal",
        Kind::Count,
        "number of the entry in the worker's journal",
    ),
    must(
        "at",
        Kind::Time,
        "when the worker wrote the entry, by its host's clock",
    ),
    AWS,
];

/// The same in events that the agent may also write by itself.
const PERHAPS_JOURNAL: &[Field] = &[
    VAULT,
    may(
        "journal",
        Kind::Count,
        "number of the entry in the worker's journal, if it comes from there",
    ),
    may(
        "at",
        Kind::Time,
        "when the worker wrote the entry, by its host's clock",
    ),
    AWS,
];

const AWS: Field = may(
    "aws",
    Kind::List(AWS_CALL),
    "the calls to AWS that it stands for",
);

const AWS_CALL: &[Field] = &[
    must("call", Kind::Text, "the step that called"),
    may(
        "request_id",
        Kind::Text,
        "AWS's own id of the call, as CloudTrail has it",
    ),
    may("date", Kind::Time, "AWS's clock: the answer's Date header"),
];

const GENERATION: Field = must("generation", Kind::Count, "number of the generation");

const MANIFEST: Field = must(
    "manifest_sha256",
    Kind::Sha256,
    "the generation's manifest, as it was signed",
);

#[cfg(test)]
mod tests;
