//! Requests and votes.

use super::{Rule, has, is, say};
use crate::audit::{
    alert::Severity::{Info, P1, P2},
    event::{EventType as E, Record},
};

const VERIFY: &str = "verify it against the ticket and by a call; if nobody knows of it: twotap deny {request} --reason TEXT";

pub(super) fn rule(record: &Record, kind: E) -> Option<Rule> {
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
