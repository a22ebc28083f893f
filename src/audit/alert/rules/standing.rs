//! Roster, readiness, and the record itself.

use super::{Rule, say};
use crate::audit::{
    alert::Severity::{Info, P0, P1, P2},
    event::EventType as E,
};

const EVIDENCE: &str = "keep the host as it is; compare the record with what was sent elsewhere: twotap audit verify --against FILE; tell the security officer";

pub(super) fn rule(kind: E) -> Option<Rule> {
    match kind {
        E::RosterSigned => say(
            P2,
            "a vault's first roster counts from here on",
            ROSTER,
            "compare its digest with the one that its custodians signed: twotap roster show {vault}",
        ),
        E::RosterChanged => say(
            P1,
            "who may open a vault, or what that gives, has changed",
            ROSTER,
            "verify the change with those who signed it: twotap roster show {vault}",
        ),
        E::BundleExported => say(
            P2,
            "a sealed vault was handed out to be kept elsewhere",
            &["vault", "generation"],
            "ask where it is kept; it opens with a quorum's tokens alone",
        ),
        E::DrillPassed => say(
            Info,
            "a custodian's share was seen to open",
            &["vault", "generation", "serial", "handed_in_by"],
            "nothing",
        ),
        E::DrillFailed => say(
            P2,
            "a custodian's share did not open in a drill",
            &["vault", "generation", "layer", "why"],
            "have the custodian try again; where it stays so, replace the token: twotap status",
        ),
        E::DrillFullPassed => say(
            Info,
            "a whole ceremony was gone through as a drill",
            &["vault", "access", "time_to_quorum_ms", "time_to_access_ms"],
            "nothing",
        ),
        E::ReadinessDegraded => say(
            P2,
            "the vault may not open when it is needed",
            &["vault", "cause", "why"],
            "do what it names: twotap status",
        ),
        E::ReadinessRestored => say(
            Info,
            "a cause for which a vault might not have opened has ended",
            &["vault", "cause"],
            "nothing",
        ),
        E::DegradedEvidence => say(
            P1,
            "the record is not reaching every place where it has to be",
            &["sink", "behind", "since", "why"],
            "mend the receiver; the host goes on and catches up: twotap status",
        ),
        E::EvidenceRestored => say(
            Info,
            "the record has caught up in a place that was behind",
            &["sink", "since"],
            "nothing",
        ),
        E::EvidenceFlawed => say(
            P1,
            "what another place holds of the record is not what it was sent",
            &["sink", "why"],
            "compare that place with the host's record: twotap status; twotap audit verify --against",
        ),
        E::AuditTampered => say(
            P0,
            "the record on the agent's host was touched",
            &["path", "how", "from", "why", "kept", "not_kept"],
            EVIDENCE,
        ),
        E::TamperingAcknowledged => say(
            Info,
            "an officer has acknowledged that the record was touched",
            &[],
            "nothing",
        ),
        E::FingerprintCompared => say(
            Info,
            "an officer has compared a value with the fingerprints of an event",
            &["event", "fields"],
            "nothing, where the officer says what for",
        ),
        E::StoreReset => say(
            P0,
            "the agent's store is older than what others have seen: it was put back, or rolled back",
            &[
                "epoch",
                "lost_from",
                "by",
                "why",
                "taken_back_from",
                "taken_back_through",
            ],
            EVIDENCE,
        ),
        _ => None,
    }
}

const ROSTER: &[&str] = &[
    "vault",
    "version",
    "threshold",
    "groups",
    "custodians",
    "changes",
    "signed_by",
    "by",
    "sha256",
];
