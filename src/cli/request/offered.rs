//! Whether the host offers what was asked, and nothing else.

use crate::{
    protocol::{Code, Problem, job::Ask, socket::RequestView},
    trust::{
        Digest,
        request::{CLOSE_ONLY_SECONDS, Request},
        roster::Roster,
    },
};

/// Every field of the offer is what was asked, or follows from the roster.
pub(super) fn is_what_was_asked(
    request: &Request,
    ask: &Ask,
    view: &RequestView,
    roster: &Roster,
    uid: u32,
) -> Result<(), Problem> {
    let usual = || {
        let terms = roster.terms(&request.declared()).ok()?;
        Some(terms.usual())
    };
    let seconds = match &ask.close_only {
        None if ask.drill => Some(CLOSE_ONLY_SECONDS),
        None => ask.duration_seconds.or_else(usual).map(i64::from),
        Some(_) => Some(CLOSE_ONLY_SECONDS),
    };
    let me = roster.person_at(request.host, uid).map(|p| p.name.as_str());
    let same = [
        ("id", request.id == view.id),
        ("vault", request.vault == ask.vault),
        ("access", request.access == ask.access),
        ("incident", request.incident == ask.incident),
        ("reason", request.reason == ask.reason),
        ("commander", request.commander_claimed == ask.commander),
        ("scenario", request.scenario == ask.scenario),
        ("subject", request.subject == ask.subject),
        ("confirmation", request.confirmed == ask.confirmed),
        ("earlier session", request.follows == ask.follows),
        ("nonce", request.operator_nonce == ask.nonce),
        ("purpose", ask.is_answered_by(&request.purpose)),
        ("operator", me == Some(request.operator.as_str())),
        (
            "duration",
            Some(request.not_before.until(request.not_after)) == seconds,
        ),
        (
            "policy",
            request.policy_sha256 == Digest::of(view.policy.as_bytes()),
        ),
    ];
    match same.iter().find(|(_, same)| !same) {
        None => Ok(()),
        Some((field, _)) => Err(Problem::new(
            Code::Tampering,
            format!("the host offers another {field} than was asked for"),
        )
        .hint("do not read any words to the custodians; tell the security officer")),
    }
}
