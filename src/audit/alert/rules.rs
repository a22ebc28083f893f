//! Which events people are told of, how urgently, with which details and what to do next.

mod asking;
mod ending;
mod opening;
mod standing;

use serde_json::Value;

use super::Severity::{self, P2};
use crate::audit::event::{EventType as E, Record};

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
    asking::rule(record, kind)
        .or_else(|| opening::rule(record, kind))
        .or_else(|| ending::rule(record, kind))
        .or_else(|| standing::rule(kind))
        .or_else(|| unlisted(kind))
}

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
