//! A key that was opened and should have been replaced by now: put on record once a request, and shown until it is dead.

use std::sync::Arc;

use super::{
    Agent,
    book::Change,
    record::{Record, Rotation, VaultRow},
};
use crate::{
    audit::event::{Actor, EventType},
    protocol::review::ROTATION_SECONDS,
    trust::Timestamp,
};

impl Agent {
    /// Puts on record which rotations were missed; when the next one would be.
    pub(super) async fn look_at_rotations(self: &Arc<Self>, now: Timestamp) -> Option<Timestamp> {
        let waiting = self
            .book
            .requests()
            .into_iter()
            .filter(|r| r.rotation_overdue.is_none())
            .filter_map(|r| Some((due(&r)?, r.id().to_owned())));
        let (missed, ahead): (Vec<_>, Vec<_>) = waiting.partition(|(due, _)| *due <= now);
        let mut problem = None;
        for (_, id) in missed {
            let job = move |change: &mut Change<'_, '_>| miss(change, &id, now);
            if let Err(why) = self.book.commit(job).await {
                problem = Some(why);
            }
        }
        self.alarms.set("rotations", problem.as_ref());
        ahead.into_iter().map(|(due, _)| due).min()
    }

    /// One line for each key of a vault that is overdue.
    pub(super) fn overdue_rotations(&self, vault: &str, row: &VaultRow) -> Vec<String> {
        let mut lines: Vec<String> = self
            .book
            .requests()
            .iter()
            .filter(|r| r.request.vault == vault && r.rotation_overdue.is_some())
            .filter(|r| lives(r, row))
            .filter_map(|r| Some((r.id().to_owned(), due(r)?)))
            .map(|(id, due)| {
                format!(
                    "request {id}: the key that it opened should have been replaced by {due}; two taps replace it: twotap request {vault} --close-only"
                )
            })
            .collect();
        lines.sort();
        lines
    }
}

/// When the key that a request opened has to be dead, by this host's clock: an hour after the session's end. `None` where it opened nothing, or
/// its own ceremony has replaced it.
fn due(record: &Record) -> Option<Timestamp> {
    if !record.quorum_released() || record.rotation == Rotation::Done {
        return None;
    }
    // What does not come to its end is over when its time is.
    let box_ends = record.request.not_after.plus(-record.skew);
    let over = record.ended_at.map_or(box_ends, |at| at.min(box_ends));
    Some(over.plus(ROTATION_SECONDS))
}

/// Whether no other ceremony has replaced it since.
fn lives(record: &Record, row: &VaultRow) -> bool {
    row.rotated <= record.request.generation && due(record).is_some()
}

/// The transaction that puts a missed rotation on record; one that came to its end meanwhile was not missed.
fn miss(
    change: &mut Change<'_, '_>,
    id: &str,
    now: Timestamp,
) -> Result<(), crate::protocol::Problem> {
    let mut record = change.known(id)?;
    let Some(due) = due(&record).filter(|due| *due <= now) else {
        return Ok(());
    };
    if record.rotation_overdue.is_some() {
        return Ok(());
    }
    let vault = record.request.vault.clone();
    let row = change.vault(&vault)?;
    if !lives(&record, &row) {
        // Looked at no more: it is dead.
        record.rotation = Rotation::Done;
        return change.put(record);
    }
    record.rotation_overdue = Some(now);
    let event = record
        .event(EventType::RotationOverdue, Actor::agent(), change.place)
        .detail("vault", vault.as_str())
        .detail("due", due.to_string())
        .detail("why", row.rotation.to_string());
    change.event(&event)?;
    change.put(record)
}
