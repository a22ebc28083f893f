//! What happens by the clock: sessions that end, reviews and rotations that are missed, and the record's heartbeat. (A vote is ended by its own worker.)

use std::{sync::Arc, time::Duration};

use super::{Agent, record::Record};
use crate::{ceremony::Stage, trust::Timestamp};

/// The longest sleep: a clock that was set is noticed within it.
const LONGEST: i64 = 60;
/// The stated gap between two checkpoints, in seconds.
pub(super) const HEARTBEAT: i64 = 3600;

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
            self.look_at_readiness(now).await;
            let mut next = heartbeat.min(now.plus(LONGEST));
            if let Some(at) = self.look_at_recordings(now).await {
                next = next.min(at);
            }
            if let Some(at) = self.look_at_reviews(now).await {
                next = next.min(at);
            }
            if let Some(at) = self.look_at_rotations(now).await {
                next = next.min(at);
            }
            for record in self.book.requests() {
                let handed_over = match record.stage {
                    Stage::Open => self.hands_over_at(&record),
                    _ => None,
                };
                if handed_over.is_some_and(|at| at <= now) {
                    self.hand_over(record.id()).await;
                    continue;
                }
                let at = due(&record).map(|at| handed_over.map_or(at, |over| at.min(over)));
                match at {
                    Some(at) if at > now => next = next.min(at),
                    Some(_) => {
                        self.record_counted(record.id()).await;
                        self.sessions.drop_of(record.id());
                        self.start_closing(record.id());
                    }
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
}

/// When the clock has something to do with a request.
fn due(record: &Record) -> Option<Timestamp> {
    match record.stage {
        // By this host's clock, which the request's times may not be on.
        Stage::Open | Stage::Closing => Some(record.request.not_after.plus(-record.skew)),
        _ => None,
    }
}
