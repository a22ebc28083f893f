//! Which events people are told of, how urgently, with which details and what to do next.

use serde_json::Value;

use super::Severity::{self, Info, P0, P1, P2};
use crate::audit::event::{AGENT, EventType as E, Record};

/// What an alert says of one event. In `next`, `{request}` and `{vault}` are filled in.
pub(super) struct Rule {
    pub(super) severity: Severity,
    pub(super) title: &'static str,
    /// The names in the event's `what` that are shown, in this order. What is not named here does not leave the host.
    pub(super) details: &'static [&'static str],
    pub(super) next: &'static str,
}

const LOOK: &str = "look at it: twotap status";
const NOTHING: &str = "nothing; read it up: twotap report {request}";
const VERIFY: &str = "verify it against the ticket and by a call; if nobody knows of it: twotap deny {request} --reason TEXT";
const END: &str = "verify it against the ticket; if it is not authorised, an officer: twotap close {request} --force";
const REPLACE: &str = "the key that was opened may still work: keep the custodians at hand and replace it: twotap request {vault} --close-only";
const INTRUDER: &str = "treat it as an intrusion: replace the sealed key (twotap request {vault} --close-only), look up in CloudTrail what the key did (twotap audit reconcile FILE), and keep the record (twotap audit export -o DIR)";
const EVIDENCE: &str = "keep the host as it is; compare the record with what was sent elsewhere: twotap audit verify --against FILE; tell the security officer";

/// The rule for an event; `None` where people are not told.
pub(super) fn rule(record: &Record) -> Option<Rule> {
    let Some(kind) = record.known_type() else {
        return say(
            P2,
            "an event of a kind that this version does not know",
            &["vault"],
            "read it: twotap audit tail",
        );
    };
    asking(record, kind)
        .or_else(|| opening(record, kind))
        .or_else(|| ending(record, kind))
        .or_else(|| standing(kind))
}

/// Requests and votes.
fn asking(record: &Record, kind: E) -> Option<Rule> {
    match kind {
        E::RequestRefused => say(
            P2,
            "a request for emergency access was refused before anybody was asked",
            &["vault", "access", "scenario", "follows", "why"],
            "ask the operator; what is missing is named: twotap status",
        ),
        E::BreakGlassRequested if is(record, "drill") => say(
            P2,
            "a drill was begun: emergency access is asked for as an exercise",
            REQUEST,
            VERIFY,
        ),
        E::BreakGlassRequested if has(record, "takes_up_roster") => say(
            P1,
            "custodians are asked to take up a new roster",
            REQUEST,
            VERIFY,
        ),
        E::BreakGlassRequested => say(P1, "emergency access was asked for", REQUEST, VERIFY),
        E::BreakGlassAuthorised => say(
            Info,
            "the incident commander has authorised a request",
            &["vault", "operator"],
            VERIFY,
        ),
        E::BreakGlassApproved => say(
            Info,
            "a custodian approved a request",
            &["vault", "serial", "handed_in_by", "standing", "advisories"],
            VERIFY,
        ),
        E::BreakGlassDenied => say(
            P1,
            "a custodian denied a request",
            &["vault", "serial", "handed_in_by", "standing"],
            "talk to the custodian before anybody approves: twotap status",
        ),
        E::BreakGlassWithdrawn => say(
            P1,
            "a custodian took the own approval back",
            &["vault", "serial", "handed_in_by", "standing"],
            "talk to the custodian before anybody approves: twotap status",
        ),
        E::ApprovalRefused => say(
            P1,
            "a vote did not count",
            &["kind", "handed_in_by", "why"],
            "ask who handed it in: a wrong token, or somebody who is no custodian: twotap audit tail",
        ),
        E::RequestExpired => say(
            P2,
            "a request ran out: nobody completed the quorum in time",
            &["vault", "why"],
            "if access is still needed: twotap request --again {request}",
        ),
        E::RequestFailed => say(
            P1,
            "emergency access was asked for and could not be given",
            &["vault", "why", "may_exist"],
            "the operator is without access; what is in the way is named: twotap status",
        ),
        _ => None,
    }
}

const REQUEST: &[&str] = &[
    "vault",
    "access",
    "account",
    "role",
    "also",
    "scenario",
    "follows",
    "closes",
    "takes_up_roster",
    "not_after",
    "approve_before",
    "commander_claimed",
    "isolation",
];

/// Sessions and the key that opens them.
fn opening(record: &Record, kind: E) -> Option<Rule> {
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

/// Closing, and what follows it.
fn ending(record: &Record, kind: E) -> Option<Rule> {
    match kind {
        E::SessionClosed if record.actor == AGENT && !has(record, "continued_by") => say(
            P1,
            "a session may exist that nobody holds: it is being closed",
            &["vault", "why"],
            LOOK,
        ),
        E::SessionClosed => say(
            Info,
            "closing of a session has begun",
            &["vault", "why", "forced", "continued_by"],
            LOOK,
        ),
        E::SessionExpired if is_no(record, "observed") => say(
            P1,
            "a session's time ran out, and nothing observed that it is refused",
            &["vault", "ended", "why"],
            "look in CloudTrail for calls after that time: twotap audit reconcile FILE",
        ),
        E::SessionExpired => say(
            P2,
            "a session's time ran out: nobody closed it",
            &["vault", "ended"],
            NOTHING,
        ),
        E::SessionRevoked => say(
            Info,
            "a session was revoked and its credentials are seen refused",
            &["vault"],
            NOTHING,
        ),
        E::RevocationStep => revocation(record),
        E::SecretRotated => say(
            Info,
            "a secret that the session could read was replaced",
            &["vault", "secret"],
            NOTHING,
        ),
        E::SecretRotationFailed => say(
            match is(record, "again") {
                true => P2,
                false => P1,
            },
            "a secret that the session could read could not be replaced",
            &["vault", "secret", "why", "again"],
            "it may be known: replace it by hand, or wait where the host tries again: twotap status",
        ),
        E::ReviewDue => say(
            Info,
            "a session is over and waits for an officer's review",
            &["vault", "operator", "hours", "due"],
            "an officer: twotap review {request} --form",
        ),
        E::ReviewOverdue => say(
            P2,
            "a session's review is overdue",
            &["vault", "operator", "due"],
            "an officer: twotap review {request} --form",
        ),
        E::ReviewSigned => say(
            match (is_no(record, "authorised"), is_no(record, "accounted")) {
                (true, _) => P0,
                (_, true) => P1,
                _ => Info,
            },
            "an officer has signed a session's review",
            &[
                "vault",
                "authorised",
                "accounted",
                "avoidable",
                "deviations",
                "in_time",
            ],
            NOTHING,
        ),
        _ => None,
    }
}

/// Steps of a closing are told of where it is held up, or is left to the clock.
fn revocation(record: &Record) -> Option<Rule> {
    match record.action.as_str() {
        // The host goes on trying: not each try wakes somebody.
        "close_pending" if first_or_power_of_four(record.what.get("tries")) => say(
            P1,
            "a session could not be ended yet",
            &["vault", "role", "why", "tries", "next_attempt"],
            "the session goes on until its time runs out; if that is too long, an officer: twotap close {request} --force; where that fails too, put a Deny on the role by hand",
        ),
        "not_observed" | "not_kept" => say(
            P1,
            "a session was denied, and nothing could observe that it is refused",
            &["vault", "until", "why"],
            "look in CloudTrail for calls since: twotap audit reconcile FILE",
        ),
        "close_only_done" if has(record, "left") => say(
            P1,
            "not every session could be ended",
            &["vault", "denied", "left"],
            LOOK,
        ),
        _ => None,
    }
}

/// Roster, readiness, and the record itself.
fn standing(kind: E) -> Option<Rule> {
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
        _ => unlisted(kind),
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

/// What is for the record alone is named; a kind that nobody has thought about is told of rather than passed over.
fn unlisted(kind: E) -> Option<Rule> {
    if QUIET.contains(&kind) {
        return None;
    }
    say(
        P2,
        "something happened that no alert has words for",
        &["vault"],
        "read it: twotap audit tail",
    )
}

/// The events of which nobody is told: steps in between, what another event says better, what comes by the minute.
pub(super) const QUIET: &[E] = &[
    E::AgentStarted,
    E::CustodianEnrolled,
    E::VaultSealed,
    E::MintIntent,
    E::RotationStep,
    E::CredentialsDelivered,
    // The operator's own words, in which a secret may stand by mistake.
    E::BreakGlassAction,
    E::RecordingStarted,
    E::RecordingStored,
    E::RecordingEnded,
    E::RevocationStep,
    E::SecretRotationStep,
    E::DrillStep,
    E::RecoverySheetChecked,
    E::ReportFiled,
    E::Checkpoint,
];

fn say(
    severity: Severity,
    title: &'static str,
    details: &'static [&'static str],
    next: &'static str,
) -> Option<Rule> {
    Some(Rule {
        severity,
        title,
        details,
        next,
    })
}

fn is(record: &Record, name: &str) -> bool {
    record.what.get(name) == Some(&Value::Bool(true))
}

fn is_no(record: &Record, name: &str) -> bool {
    record.what.get(name) == Some(&Value::Bool(false))
}

/// Whether the detail is there and says something.
fn has(record: &Record, name: &str) -> bool {
    match record.what.get(name) {
        None | Some(Value::Null) => false,
        Some(Value::Array(all)) => !all.is_empty(),
        Some(_) => true,
    }
}

/// 1, 4, 16, 64...; and what is no count at all.
fn first_or_power_of_four(tries: Option<&Value>) -> bool {
    let counts = |n: u64| n <= 1 || (n.is_power_of_two() && n.trailing_zeros().is_multiple_of(2));
    tries.and_then(Value::as_u64).is_none_or(counts)
}
