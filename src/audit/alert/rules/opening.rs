//! Sessions and the key that opens them.

use super::{LOOK, NOTHING, Rule, say};
use crate::audit::{
    alert::Severity::{Info, P0, P1, P2},
    event::{EventType as E, Record},
};

const END: &str = "verify it against the ticket; if it is not authorised, an officer: twotap close {request} --force";
const REPLACE: &str = "the key that was opened may still work: keep the custodians at hand and replace it: twotap request {vault} --close-only";
const INTRUDER: &str = "treat it as an intrusion: replace the sealed key (twotap request {vault} --close-only), look up in CloudTrail what the key did (twotap audit reconcile FILE), and keep the record (twotap audit export -o DIR)";

pub(super) fn rule(record: &Record, kind: E) -> Option<Rule> {
    match kind {
        E::BreakGlassAccess => say(
            P1,
            "emergency access was given: a session is open",
            &["vault", "role", "not_after", "asked_by"],
            END,
        ),
        E::TargetFailed => say(
            P2,
            "one of several roles could not be opened",
            &["vault", "role", "why"],
            LOOK,
        ),
        E::CredentialsDelivered if record.action == "deliver" => say(
            Info,
            "the session's credentials were handed to the operator",
            &["role", "not_after", "form", "deliveries_since_last"],
            END,
        ),
        E::CredentialRotated => say(
            Info,
            "the sealed key was replaced and the old one is seen refused",
            &["vault"],
            NOTHING,
        ),
        E::CredentialRotationPending => say(
            P1,
            "the sealed key was opened and could not be replaced yet",
            &["vault", "why", "shares_released", "access_key_id"],
            REPLACE,
        ),
        E::RotationOverdue => say(
            P1,
            "a sealed key that was opened should have been replaced by now, and was not",
            &["vault", "due", "why"],
            REPLACE,
        ),
        E::StrangerKeyFound => say(
            P0,
            "the break-glass user has a key that nobody here made",
            &["vault", "access_key_id", "active", "created", "at"],
            INTRUDER,
        ),
        E::CredentialMisused => say(
            P0,
            "the sealed key was used outside a ceremony: somebody has it",
            &["vault", "access_key_id", "used_at", "service", "region"],
            INTRUDER,
        ),
        E::RecoveryUsed => say(
            P1,
            "a vault was opened without an agent",
            &[
                "vault",
                "generation",
                "opened_by",
                "took",
                "session_until",
                "opened_at",
                "rotation_owed",
            ],
            "verify it with those who opened it; the key they saw must be replaced: twotap status",
        ),
        E::RecordingRead => say(
            Info,
            "an officer has fetched a recording",
            &["recording", "title"],
            NOTHING,
        ),
        E::RecordingFailed => say(
            P2,
            "what an operator does is not being recorded, or no longer",
            &["recording", "title", "why"],
            END,
        ),
        _ => None,
    }
}
