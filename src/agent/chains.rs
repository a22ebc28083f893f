//! Sessions that continue others: `request --again` asks for the next time box of the same work, and the older session is handed over to it.
//!
//! ```text
//! r-one  ────────open────────────┬─ overlap ─┐ closes by itself
//! r-two            asked, taps   └─open──────┴──────────────▶
//! ```
//!
//! Whoever asks for the older one's credentials `onward` gets those of the newest open one. A program that has read the older one's keeps
//! them until they run out or its SDK asks again, so that the older one is left open for a while beside the newer; never beyond its own time.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Agent, book::Change, people::Listed, record::Record};
use crate::{
    audit::event::{Actor, EventType},
    ceremony::Stage,
    protocol::{Code, Problem, job::Ask},
    trust::Timestamp,
};

/// The session that continues this one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Followed {
    /// Its request.
    pub(super) by: String,
    /// When it opened.
    pub(super) at: Timestamp,
}

impl Agent {
    /// Whether what is asked may continue the request that it names: the caller's own session, of the same work.
    pub(super) async fn may_follow(
        self: &Arc<Self>,
        ask: &Ask,
        caller: &Listed,
    ) -> Result<(), Problem> {
        let Some(id) = &ask.follows else {
            return Ok(());
        };
        let before = self.book.any_request(id).await?;
        let before = before.ok_or_else(|| super::book::unknown_request("with that id"))?;
        let refused = |why: &str| {
            Err(
                Problem::new(Code::Refused, format!("{id} cannot be continued: {why}"))
                    .hint("ask for a session of its own: twotap request without --again"),
            )
        };
        let request = &before.request;
        if request.operator != caller.name || request.vault != ask.vault {
            return refused("it is no session of yours in this vault");
        }
        let was_open = matches!(before.stage, Stage::Open | Stage::Closing | Stage::Closed);
        if !request.purpose.is_open() || !was_open || ask.drill || ask.close_only.is_some() {
            return refused("it never came to a session");
        }
        let same = request.access == ask.access
            && request.scenario == ask.scenario
            && request.subject == ask.subject
            && request.incident == ask.incident;
        if !same {
            return refused(
                "it was for something else (access, scenario, subject and incident have to be the same)",
            );
        }
        match &before.followed {
            Some(next) if before.stage == Stage::Open => {
                refused(&format!("{} continues it already", next.by))
            }
            _ => Ok(()),
        }
    }

    /// The newest session that continues this one and has opened; this one where there is none.
    pub(super) fn onward(&self, id: &str) -> String {
        let mut newest = id.to_owned();
        // Each was asked for after the one before, so that this ends.
        while let Some(next) = self.book.request(&newest).and_then(|r| r.followed.clone()) {
            newest = next.by;
        }
        newest
    }

    /// When an open session that is continued closes by itself; at once where the one that continues it is open no more.
    pub(super) fn hands_over_at(&self, record: &Record) -> Option<Timestamp> {
        let Followed { by, at } = record.followed.as_ref()?;
        let goes_on = self
            .book
            .request(by)
            .is_some_and(|r| r.stage == Stage::Open);
        let overlap = i64::try_from(self.config.overlap.as_secs()).unwrap_or(0);
        Some(if goes_on { at.plus(overlap) } else { *at })
    }

    /// Closes a session that another one continues.
    pub(super) async fn hand_over(self: &Arc<Self>, id: &str) {
        let name = id.to_owned();
        let deliveries = self.sessions.more(id);
        let begun = self
            .book
            .commit(move |change| {
                let mut record = change.known(&name)?;
                let Some(next) = record.followed.clone() else {
                    return Ok(());
                };
                if record.stage != Stage::Open {
                    return Ok(());
                }
                let event = record
                    .event(EventType::SessionClosed, Actor::agent(), change.place)
                    .action("hand_over")
                    .detail("vault", record.request.vault.as_str())
                    .detail("why", "another session continues it")
                    .detail("continued_by", next.by.as_str())
                    .detail("deliveries_since_last", deliveries);
                change.event(&event)?;
                if let Some(delivered) = &mut record.delivered {
                    delivered.times += deliveries;
                }
                let now = change.now();
                record.advance(Stage::Closing, now)?;
                record.step(now, "closing", format!("closing: {} continues it", next.by));
                change.put(record)
            })
            .await;
        self.alarms
            .set(&format!("handing over {id}"), begun.as_ref().err());
        if let Some(record) = self.book.request(id) {
            self.after(&record);
        }
    }
}

/// A session has opened: the one that it continues knows it from now on, if that is open still.
pub(super) fn opened(change: &mut Change<'_, '_>, record: &Record) -> Result<(), Problem> {
    let Some(before) = &record.request.follows else {
        return Ok(());
    };
    let Some(mut before) = change.request(before)? else {
        return Ok(());
    };
    let own = before.request.operator == record.request.operator
        && before.request.vault == record.request.vault;
    if !own || before.stage.is_final() || before.id() == record.id() {
        return Ok(());
    }
    let now = change.now();
    before.followed = Some(Followed {
        by: record.id().to_owned(),
        at: now,
    });
    before.step(now, "continued", format!("{} continues it", record.id()));
    change.put(before)
}
