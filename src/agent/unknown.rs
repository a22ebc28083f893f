//! Sessions that the worker's journal has and this record has not: the store was damaged and begun anew, or is an old copy.
//!
//! Whoever asked, and why, stands in the lost record; nobody could close such a session by its request, and nobody is shown it. So it is
//! closed at once, and whoever still needs it asks anew.

use std::{sync::Arc, time::Duration};

use super::{Agent, book::Change, pauses::Pauses, record::isolated};
use crate::{
    audit::event::{Actor, Event, EventType},
    protocol::{
        Problem,
        job::{Entry, FromWorker, Job, NOT_KEPT, Step},
    },
};

/// How long a worker may be silent: it observes, and goes on trying by itself until the session has ended.
const PATIENCE: Duration = Duration::from_secs(12 * 3600);

/// An entry of a request that is in no row: what it says about whether a session of it may be open.
pub(super) fn note(change: &mut Change<'_, '_>, vault: &str, entry: &Entry) -> Result<(), Problem> {
    let Some(id) = &entry.request else {
        return Ok(());
    };
    let mut row = change.vault(vault)?;
    let known = row.unknown.contains(id);
    match &entry.step {
        Step::MintIntent { .. } if !known => row.unknown.push(id.clone()),
        Step::MintFailed { unsure: false, .. } | Step::Revoked { .. } | Step::Expired { .. }
            if known =>
        {
            row.unknown.retain(|other| other != id);
        }
        _ => return Ok(()),
    }
    change.put_vault(vault, &row)
}

impl Agent {
    /// Closes what the record does not know, one task each.
    pub(super) async fn close_unknown(self: &Arc<Self>, vault: &str) {
        let unknown = match self.book.vault(vault).await {
            Ok(row) => row.unknown,
            Err(_) => return,
        };
        for id in unknown {
            self.start_closing_unknown(vault, id);
        }
    }

    fn start_closing_unknown(self: &Arc<Self>, vault: &str, id: String) {
        if !self.closings.begin(&id) {
            return;
        }
        let (agent, vault) = (Arc::clone(self), vault.to_owned());
        tokio::spawn(async move {
            agent.close_one_unknown(&vault, &id).await;
            agent.closings.end(&id);
        });
    }

    async fn close_one_unknown(self: &Arc<Self>, vault: &str, id: &str) {
        let alarm = format!("session of {id}, which this record does not know");
        let mut pauses = Pauses::of_tries();
        while let Err(problem) = self.try_to_close_unknown(vault, id).await {
            self.alarms.set(&alarm, Some(&problem));
            pauses.wait().await;
        }
        self.alarms.set(&alarm, None);
        self.checkpoint().await;
    }

    async fn try_to_close_unknown(self: &Arc<Self>, vault: &str, id: &str) -> Result<(), Problem> {
        let job = Job::Close {
            vault: vault.to_owned(),
            request: id.to_owned(),
        };
        let mut link = self.workers.start(&job).await?;
        let mut said = false;
        loop {
            match link.receive_within(PATIENCE).await? {
                FromWorker::Entry(entry) => {
                    if !said {
                        said = true;
                        self.tell_unknown(vault, id).await?;
                    }
                    self.take_entry(vault, entry, &mut link).await?;
                }
                FromWorker::Done => break,
                // Closed by somebody, or ended with a reboot: the time box does the rest, and two taps can do it sooner.
                FromWorker::Failed(problem) if problem.error == NOT_KEPT => break,
                FromWorker::Failed(problem) => return Err(problem),
                _ => return Err(super::workers::out_of_turn()),
            }
        }
        let (name, id) = (vault.to_owned(), id.to_owned());
        self.book
            .commit(move |change| {
                let mut row = change.vault(&name)?;
                row.unknown.retain(|other| *other != id);
                change.put_vault(&name, &row)
            })
            .await
    }

    /// The record says why a session ends that nobody has asked to close.
    async fn tell_unknown(self: &Arc<Self>, vault: &str, id: &str) -> Result<(), Problem> {
        let (vault, id) = (vault.to_owned(), id.to_owned());
        self.book
            .commit(move |change| {
                let event = Event::new(EventType::SessionClosed, Actor::agent())
                    .correlation(&id)
                    .place(change.place.clone())
                    .detail("vault", vault.as_str())
                    .detail(
                        "why",
                        "its request is not in this record, which was lost and begun anew",
                    );
                let event = match change.vault(&vault)?.isolation {
                    Some(isolation) => isolated(event, isolation),
                    None => event,
                };
                change.event(&event).map(drop)
            })
            .await
    }
}
