//! A whole ceremony as a drill: how long it takes to the quorum and to a session, and what it comes to.

use serde::{Deserialize, Serialize};

use super::{
    book::Change,
    record::{Mint, Record},
};
use crate::{
    audit::event::{Actor, EventType},
    ceremony::Stage,
    protocol::{
        Problem,
        job::{Entry, Step},
        readiness::FullDrill,
    },
    trust::request::{Purpose, Request},
};

/// How many full drills are kept for the trend.
const KEPT: usize = 20;
/// An entry that is recorded later than this after it was written was caught up with; then its own time counts. In milliseconds.
const LIVE: i64 = 2_000;

/// How far a drill is. Times are the agent's clock, in milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rehearsal {
    asked: i64,
    quorum: Option<i64>,
    /// When the last role's session was seen refused.
    seen: Option<i64>,
    /// How many roles are still to be seen.
    left: usize,
    /// Why it has failed.
    failed: Option<String>,
}

impl Rehearsal {
    /// Of a request that was just made, if it is a drill.
    pub(super) fn of(request: &Request, now: i64) -> Option<Self> {
        (request.purpose == Purpose::Drill).then(|| Self {
            asked: now,
            quorum: None,
            seen: None,
            left: 1 + request.also.len(),
            failed: None,
        })
    }

    /// The last approval counted.
    pub(super) fn quorum(&mut self, now: i64) {
        self.quorum.get_or_insert(now);
    }

    fn times(&self) -> Option<(u64, u64)> {
        let (quorum, seen) = (self.quorum?, self.seen?);
        let span = |from: i64, to: i64| u64::try_from(to - from).unwrap_or(0);
        (self.left == 0 && self.failed.is_none())
            .then(|| (span(self.asked, quorum), span(quorum, seen)))
    }
}

/// What a journal's entry says about a drill.
pub(super) fn take(
    change: &mut Change<'_, '_>,
    request: &mut Record,
    entry: &Entry,
) -> Result<(), Problem> {
    let (now, wall) = (change.now(), change.millis());
    let at = match entry.at.0.saturating_mul(1000) {
        written if wall - written > LIVE => written,
        _ => wall,
    };
    let Some(rehearsal) = &mut request.rehearsal else {
        return Ok(());
    };
    match &entry.step {
        Step::DrillIntent { .. } => {
            rehearsal.quorum(at);
            // No session that anybody could use comes to exist.
            request.mint = Mint::Over;
            if request.stage == Stage::Requested {
                request.advance(Stage::Approved, now)?;
            }
        }
        Step::Drilled { .. } => {
            rehearsal.left = rehearsal.left.saturating_sub(1);
            rehearsal.seen = Some(at);
        }
        Step::DrillFailed { why, .. } => {
            rehearsal.failed.get_or_insert_with(|| why.clone());
        }
        Step::Rotated { .. } if request.stage == Stage::Approved => {
            return ended(change, request);
        }
        _ => {}
    }
    Ok(())
}

/// The rotation is over, and with it the drill.
fn ended(change: &mut Change<'_, '_>, request: &mut Record) -> Result<(), Problem> {
    let now = change.now();
    let rehearsal = request.rehearsal.clone();
    let Some((quorum_ms, access_ms)) = rehearsal.as_ref().and_then(Rehearsal::times) else {
        let why = rehearsal.and_then(|r| r.failed);
        let why = why.unwrap_or_else(|| "no session was seen refused".to_owned());
        let why = format!("the drill failed: {why}; the key was replaced");
        let event = request
            .event(EventType::RequestFailed, Actor::agent(), change.place)
            .detail("vault", request.request.vault.as_str())
            .detail("why", why.as_str());
        change.event(&event)?;
        return request.end(Stage::Failed, why, now);
    };
    let vault = request.request.vault.clone();
    let event = request
        .event(EventType::DrillFullPassed, Actor::agent(), change.place)
        .detail("vault", vault.as_str())
        .detail("access", request.request.access.as_str())
        .detail("time_to_quorum_ms", quorum_ms)
        .detail("time_to_access_ms", access_ms);
    change.event(&event)?;
    let mut row = change.vault(&vault)?;
    row.proofs.full.push(FullDrill {
        request: request.id().to_owned(),
        at: now,
        quorum_ms,
        access_ms,
    });
    let surplus = row.proofs.full.len().saturating_sub(KEPT);
    row.proofs.full.drain(..surplus);
    change.put_vault(&vault, &row)?;
    request.advance(Stage::Closing, now)?;
    request.end(
        Stage::Closed,
        format!("the drill passed: quorum in {quorum_ms} ms, access {access_ms} ms later"),
        now,
    )
}
