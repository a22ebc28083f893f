//! Closing, and what follows it.

use serde_json::Value;

use super::{LOOK, NOTHING, Rule, has, is, is_no, say};
use crate::audit::{
    alert::Severity::{Info, P0, P1, P2},
    event::{AGENT, EventType as E, Record},
};

pub(super) fn rule(record: &Record, kind: E) -> Option<Rule> {
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

/// 1, 4, 16, 64...; and what is no count at all.
fn first_or_power_of_four(tries: Option<&Value>) -> bool {
    let counts = |n: u64| n <= 1 || (n.is_power_of_two() && n.trailing_zeros().is_multiple_of(2));
    tries.and_then(Value::as_u64).is_none_or(counts)
}
