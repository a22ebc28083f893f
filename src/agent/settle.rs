//! What a request without a worker has come to, and what it leaves owed.
//!
//! A share lives only as long as its credential. So a request for which as many shares were released as open the vault owes a rotation,
//! whatever else became of it: denied, expired, its worker lost. The next ceremony of the vault pays it, whichever that is.

use std::sync::Arc;

use super::{
    Agent,
    book::Change,
    pauses::Pauses,
    record::{Mint, Record, Rotation, VaultRotation},
    workers::gone,
};
use crate::{
    audit::event::{Actor, Event, EventType},
    ceremony::{Stage, Standing},
    protocol::{Code, Problem},
};

impl Record {
    /// Whether as many shares as open the vault may have reached the worker, at once or one after another.
    pub(super) fn quorum_released(&self) -> bool {
        let released = self.released.len() + usize::from(self.releasing);
        self.standing == Standing::Approved
            || self.mint != Mint::None
            || released >= usize::from(self.threshold)
    }

    /// Whether its key still has to be replaced for that.
    pub(super) fn owes_rotation(&self) -> bool {
        self.quorum_released() && matches!(self.rotation, Rotation::None | Rotation::Running)
    }

    /// Whether one more share would complete them.
    pub(super) fn next_completes(&self) -> bool {
        self.released.len() + 1 >= usize::from(self.threshold)
    }

    /// Why a rotation is owed, in plain words.
    fn owed(&self, why: &str) -> String {
        if self.rotation != Rotation::None {
            return why.to_owned();
        }
        format!(
            "{why}; shares that open it were released for {}, so a ceremony is owed: twotap request {} --close-only",
            self.id(),
            self.request.vault
        )
    }
}

impl Agent {
    /// After a ceremony's worker has spoken its last word, or has gone without one (`why`).
    pub(super) async fn end_ceremony(
        self: &Arc<Self>,
        vault: &str,
        id: &str,
        why: Option<Problem>,
    ) {
        self.waits.over(vault);
        let caught_up = self.catch_up(vault).await;
        self.alarms.set(
            &format!("journal of vault {vault}"),
            caught_up.as_ref().err(),
        );
        let mut pauses = Pauses::of_writes();
        // A request that nobody works on must not go on looking as if somebody did.
        while let Err(problem) = self.settle(vault, id, why.clone()).await {
            self.alarms.set(&format!("request {id}"), Some(&problem));
            pauses.wait().await;
        }
        self.alarms.set(&format!("request {id}"), None);
        if let Some(record) = self.book.request(id) {
            self.after(&record);
        }
        // The rotation has made another generation.
        let _ = self.refresh(vault).await;
        self.checkpoint().await;
    }

    /// What a request without a worker has come to.
    async fn settle(
        self: &Arc<Self>,
        vault: &str,
        id: &str,
        why: Option<Problem>,
    ) -> Result<(), Problem> {
        let (id, vault) = (id.to_owned(), vault.to_owned());
        let why = why.unwrap_or_else(gone);
        self.book
            .commit(move |change| {
                let mut record = change.known(&id)?;
                let now = change.now();
                let event = |record: &Record, kind| {
                    record
                        .event(kind, Actor::agent(), change.place)
                        .detail("vault", vault.as_str())
                        .detail("why", why.error.as_str())
                };
                let mut events = Vec::new();
                match (record.stage, record.mint) {
                    (Stage::Requested, _)
                        if why.code == Code::Approvals || now >= record.request.approve_before =>
                    {
                        events.push(event(&record, EventType::RequestExpired));
                        record.end(Stage::Expired, why.error.as_str(), now)?;
                    }
                    (Stage::Requested, _) | (Stage::Approved, Mint::None) => {
                        events.push(event(&record, EventType::RequestFailed));
                        record.end(Stage::Failed, why.error.as_str(), now)?;
                    }
                    (Stage::Approved, Mint::Intended | Mint::Done) => {
                        // Whether a session exists nobody can say, so it is closed.
                        events.push(event(&record, EventType::SessionClosed));
                        record.advance(Stage::Closing, now)?;
                    }
                    // It opens none itself; what it was to close has its own record.
                    (Stage::Approved, Mint::Over) => {
                        events.push(event(&record, EventType::RequestFailed));
                        record.end(Stage::Failed, why.error.as_str(), now)?;
                    }
                    _ => {}
                }
                let owed = record.owes_rotation();
                if owed && change.vault(&vault)?.rotated > record.request.generation {
                    // Another ceremony has replaced the key since, and it is dead.
                    record.rotation = Rotation::Done;
                    return put_with(change, record, &events);
                }
                if owed {
                    let why = record.owed(&why.error);
                    let pending = record
                        .event(
                            EventType::CredentialRotationPending,
                            Actor::agent(),
                            change.place,
                        )
                        .detail("vault", vault.as_str())
                        .detail("why", why.as_str())
                        .detail("shares_released", record.released.len());
                    events.push(pending);
                    record.rotation = Rotation::Pending;
                    let mut row = change.vault(&vault)?;
                    row.rotation = VaultRotation::Pending(why);
                    change.put_vault(&vault, &row)?;
                }
                if events.is_empty() {
                    return Ok(());
                }
                put_with(change, record, &events)
            })
            .await
    }
}

fn put_with(change: &mut Change<'_, '_>, record: Record, events: &[Event]) -> Result<(), Problem> {
    for event in events {
        change.event(event)?;
    }
    change.put(record)
}
