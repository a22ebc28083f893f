//! Rotations whose worker nobody of this agent's is connected to: one that went on while no agent ran, and one that died.

use std::sync::Arc;

use super::{
    Agent,
    pauses::Pauses,
    record::{Record, Rotation, VaultRotation, isolated},
    start::BEFORE_ROTATED,
};
use crate::{
    audit::event::{Actor, Event, EventType},
    fail,
    protocol::Problem,
    trust::Timestamp,
};

impl Agent {
    /// Looks into a vault's journal until no worker of before can be at it any more: a sealing has no request that would be followed. What is
    /// left running then was left by a worker that died.
    pub(super) async fn follow_vault(self: Arc<Self>, vault: String) {
        let began = Timestamp::now();
        let mut pauses = Pauses::of_looks();
        while began.until(Timestamp::now()) < fail::patience(BEFORE_ROTATED) {
            pauses.wait().await;
            let caught_up = self.catch_up(&vault).await;
            self.alarms.set(
                &format!("journal of vault {vault}"),
                caught_up.as_ref().err(),
            );
        }
        if self.seals.is_running(&vault) {
            // One that was begun since: it says itself how it ends.
            return;
        }
        let why = "the worker was lost before the sealed key was replaced";
        let left = self.left_running(&vault, why).await;
        self.alarms
            .set(&format!("rotation of vault {vault}"), left.as_ref().err());
    }

    /// A rotation that is shown as running, and at which no worker is: from now on it is shown as pending.
    pub(super) async fn left_running(
        self: &Arc<Self>,
        vault: &str,
        why: &str,
    ) -> Result<(), Problem> {
        // A request's own worker is looked after by its request.
        let running = |r: &Arc<Record>| r.request.vault == vault && r.rotation == Rotation::Running;
        if self.book.requests().iter().any(running) {
            return Ok(());
        }
        let (vault, why) = (vault.to_owned(), why.to_owned());
        self.book
            .commit(move |change| {
                let mut row = change.vault(&vault)?;
                if row.rotation != VaultRotation::Running {
                    return Ok(());
                }
                let event = Event::new(EventType::CredentialRotationPending, Actor::agent())
                    .place(change.place.clone())
                    .detail("vault", vault.as_str())
                    .detail("why", why.as_str());
                let event = match row.isolation {
                    Some(isolation) => isolated(event, isolation),
                    None => event,
                };
                change.event(&event)?;
                row.rotation = VaultRotation::Pending(why);
                change.put_vault(&vault, &row)
            })
            .await
    }
}
