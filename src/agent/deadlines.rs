//! What happens by the clock: sessions that end, requests that run out, the record's heartbeat.

use std::{sync::Arc, time::Duration};

use super::{Agent, record::Record};
use crate::{
    ceremony::Stage,
    protocol::{Code, Problem},
    trust::Timestamp,
};

/// The longest sleep: a clock that was set is noticed within it.
const LONGEST: i64 = 60;
/// The stated gap between two checkpoints, in seconds.
const HEARTBEAT: i64 = 3600;
/// How long after its end a worker may still be counting; then the agent ends the request itself.
const GRACE: i64 = 30;

impl Agent {
    /// Serves deadlines for ever: sleeps until the next one or until something changes.
    pub(super) async fn keep_time(self: Arc<Self>) {
        let mut heartbeat = Timestamp::now().plus(HEARTBEAT);
        loop {
            let now = Timestamp::now();
            if now >= heartbeat {
                self.checkpoint().await;
                heartbeat = now.plus(HEARTBEAT);
            }
            self.sessions.drop_expired(now);
            let mut next = heartbeat.min(now.plus(LONGEST));
            for record in self.book.requests() {
                match due(&record) {
                    Some(at) if at > now => next = next.min(at),
                    Some(_) => self.is_due(&record).await,
                    None => {}
                }
            }
            // Whole seconds: at least one, so that a deadline that cannot be met now does not spin.
            let rest = Timestamp::now().until(next).max(1);
            let sleep = Duration::from_secs(u64::try_from(rest).unwrap_or(1));
            tokio::select! {
                () = tokio::time::sleep(sleep) => {}
                () = self.bell.notified() => {}
            }
        }
    }

    async fn is_due(self: &Arc<Self>, record: &Record) {
        let (id, vault) = (record.id(), record.request.vault.as_str());
        match record.stage {
            Stage::Requested => {
                let late = Problem::new(Code::Approvals, "nobody approved in time");
                self.end_ceremony(vault, id, Some(late)).await;
            }
            Stage::Open | Stage::Closing => {
                self.sessions.drop_of(id);
                self.start_closing(id);
            }
            _ => {}
        }
    }
}

/// When the clock has something to do with a request.
fn due(record: &Record) -> Option<Timestamp> {
    match record.stage {
        Stage::Requested => Some(record.request.approve_before.plus(GRACE)),
        Stage::Open | Stage::Closing => Some(record.request.not_after),
        _ => None,
    }
}
