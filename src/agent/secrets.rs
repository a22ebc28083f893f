//! Named secrets: from a worker's steps to the record, and what is still owed.

use std::sync::Arc;

use super::{Agent, book::Change, record::Record};
use crate::{
    audit::event::{Actor, Event, EventType},
    ceremony::Stage,
    protocol::{
        Problem,
        job::{SecretState, SecretStep, short_name},
        socket::SecretView,
    },
    trust::request::Purpose,
};

/// Why nothing can be done by this host alone.
const NOT_KEPT: &str = "the host keeps no session that could rotate it; two taps do it: twotap request VAULT --close-only";

impl Record {
    /// The named secrets, each with where it stands.
    pub(super) fn secret_views(&self) -> Vec<SecretView> {
        let view = |secret: &String| SecretView {
            secret: secret.clone(),
            state: self.secret_state(secret),
        };
        self.request.secrets.iter().map(view).collect()
    }

    /// Whether the session is over and a named secret still waits for this host.
    pub(super) fn secrets_wait(&self) -> bool {
        self.stage == Stage::Closed
            && self.request.secrets.iter().any(|secret| {
                matches!(
                    self.secret_state(secret),
                    SecretState::Due | SecretState::Pending { .. }
                )
            })
    }

    /// What is owed and does not come by itself, one line each.
    pub(super) fn secrets_owed(&self) -> impl Iterator<Item = String> {
        // What a request that only closes could not do either is still owed by the one that it was done for.
        let again = !self.request.purpose.is_open();
        self.request.secrets.iter().filter_map(move |secret| {
            let state = self.secret_state(secret);
            let (word, why) = match (&state, self.stage) {
                (SecretState::Owed { .. }, _) if again => return None,
                (SecretState::Owed { why }, _) => ("owed", why),
                (SecretState::Pending { why }, Stage::Closed) => ("pending", why),
                _ => return None,
            };
            let name = short_name(secret);
            Some(format!(
                "secret {name} of {}: rotation {word}: {why}",
                self.id()
            ))
        })
    }

    fn secret_state(&self, secret: &str) -> SecretState {
        self.secrets
            .get(secret)
            .cloned()
            .unwrap_or(SecretState::Due)
    }

    /// Takes up what a worker did.
    pub(super) fn note_secret(&mut self, secret: &str, did: &SecretStep) {
        let state = match did {
            SecretStep::Rotated { .. } => SecretState::Rotated,
            SecretStep::Failed { why, again: true } => SecretState::Pending { why: why.clone() },
            SecretStep::Failed { why, again: false } => SecretState::Owed { why: why.clone() },
            _ => return,
        };
        self.secrets.insert(secret.to_owned(), state);
    }
}

/// A secret was rotated: requests that owed it owe it no more, those that this one closes and those whose sessions were over.
pub(super) fn paid(
    change: &mut Change<'_, '_>,
    by: &Record,
    secret: &str,
    did: &SecretStep,
) -> Result<(), Problem> {
    let SecretStep::Rotated { .. } = did else {
        return Ok(());
    };
    let closes: &[String] = match &by.request.purpose {
        Purpose::CloseOnly { requests } => requests,
        _ => &[],
    };
    for mut record in change.requests()? {
        let owed = matches!(record.secrets.get(secret), Some(SecretState::Owed { .. }));
        let named = record.request.secrets.iter().any(|s| s == secret);
        let other = record.id() != by.id() && record.request.vault == by.request.vault;
        let over = record.stage == Stage::Closed || record.is_denied_by_tag();
        // A session that is still open may have read the new value as well.
        if other && named && over && (owed || closes.iter().any(|id| id == record.id())) {
            record.note_secret(secret, did);
            let text = format!("{}, by {}", in_words(secret, did), by.id());
            record.step(change.now(), did.name(), text);
            change.put(record)?;
        }
    }
    Ok(())
}

impl Agent {
    /// After a reboot, or once the sessions that could do it have ended: what is left is owed, and the record says so.
    pub(super) async fn secrets_are_owed(self: &Arc<Self>, id: &str) -> Result<(), Problem> {
        let name = id.to_owned();
        self.book
            .commit(move |change| {
                let mut record = change.known(&name)?;
                owe_secrets(change, &mut record)?;
                change.put(record)
            })
            .await
    }
}

/// Notes every secret that still waits as owed.
pub(super) fn owe_secrets(change: &mut Change<'_, '_>, record: &mut Record) -> Result<(), Problem> {
    let waiting: Vec<String> = record
        .request
        .secrets
        .iter()
        .filter(|s| {
            matches!(
                record.secret_state(s),
                SecretState::Due | SecretState::Pending { .. }
            )
        })
        .cloned()
        .collect();
    for secret in waiting {
        let did = SecretStep::Failed {
            why: NOT_KEPT.to_owned(),
            again: false,
        };
        let event = record
            .event(
                EventType::SecretRotationFailed,
                Actor::agent(),
                change.place,
            )
            .detail("vault", record.request.vault.as_str());
        change.event(&details(event, &secret, &did))?;
        record.note_secret(&secret, &did);
        record.step(change.now(), did.name(), in_words(&secret, &did));
    }
    Ok(())
}

/// The event that a step becomes.
pub(super) fn event_type(did: &SecretStep) -> EventType {
    match did {
        SecretStep::Rotated { .. } => EventType::SecretRotated,
        SecretStep::Failed { .. } => EventType::SecretRotationFailed,
        _ => EventType::SecretRotationStep,
    }
}

/// What the event says.
pub(super) fn details(event: Event, secret: &str, did: &SecretStep) -> Event {
    let mut event = event.detail("secret", secret);
    if let Some(version) = did.version() {
        event = event.detail("version", version);
    }
    match did {
        SecretStep::Rotated { receipt, .. } => event.envelope("receipt", receipt.to_json()),
        SecretStep::Failed { why, again } => {
            event.detail("why", why.as_str()).detail("again", *again)
        }
        _ => event.action(did.name()),
    }
}

/// A step as people read it.
pub(super) fn in_words(secret: &str, did: &SecretStep) -> String {
    let name = short_name(secret);
    match did {
        SecretStep::Intent { version } => {
            format!("secret {name}: rotating, the new version is {version}")
        }
        SecretStep::Requested { .. } => {
            format!("secret {name}: AWS has started its rotation function")
        }
        SecretStep::Staged { .. } => format!("secret {name}: a new value stands under AWSPENDING"),
        SecretStep::Set { .. } => format!("secret {name}: the new value is set"),
        SecretStep::Tested { .. } => format!("secret {name}: the new value was seen to work"),
        SecretStep::Withdrawn { .. } => {
            format!("secret {name}: nothing was changed; AWSPENDING was taken off again")
        }
        SecretStep::Rotated { version, .. } => {
            format!("secret {name}: rotated; AWSCURRENT is {version}")
        }
        SecretStep::Failed { why, again: true } => {
            format!("secret {name}: not rotated yet, tried again by itself: {why}")
        }
        SecretStep::Failed { why, again: false } => {
            format!("secret {name}: its rotation is owed: {why}")
        }
    }
}
