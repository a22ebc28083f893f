//! Recordings that go on, in memory.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    super::{people::Listed, record::Record},
    file::Kept,
};
use crate::{
    protocol::recording::{RecordingNoted, SILENCE_SECONDS},
    trust::{Timestamp, roster::Recording},
};

/// Recordings that go on now.
#[derive(Default)]
pub(in crate::agent) struct Recordings {
    live: Mutex<HashMap<(String, u32), Arc<Live>>>,
    /// What the roster says of a request's access profile; it never changes for a request.
    policies: Mutex<HashMap<String, Recording>>,
    /// Readings that stand on record and have not come to their end: request, recording and account, and the chunk that comes next.
    readings: Mutex<HashMap<(String, u32, String), u64>>,
}

/// One that goes on.
pub(super) struct Live {
    pub(super) kept: Arc<Mutex<Kept>>,
    /// When something was last heard of it, and the minute since 1970 in which it was last put on record.
    times: Mutex<(Timestamp, i64)>,
    /// Held while a part of it is dealt with.
    pub(super) turn: tokio::sync::Mutex<()>,
}

impl Live {
    pub(super) fn new(kept: Kept) -> Self {
        let now = Timestamp::now();
        Self {
            kept: Arc::new(Mutex::new(kept)),
            times: Mutex::new((now, now.0.div_euclid(60))),
            turn: tokio::sync::Mutex::new(()),
        }
    }

    pub(super) fn heard(&self) -> Timestamp {
        self.times.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    pub(super) fn hear(&self) {
        self.times.lock().unwrap_or_else(PoisonError::into_inner).0 = Timestamp::now();
    }

    /// Whether this is the first chunk of a minute.
    pub(super) fn is_due(&self) -> bool {
        let minute = Timestamp::now().0.div_euclid(60);
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut times.1, minute) != minute
    }

    pub(super) fn noted(&self, recording: u32) -> RecordingNoted {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        RecordingNoted {
            recording,
            chunks: kept.chunks,
            head: kept.head,
        }
    }
}

impl Recordings {
    pub(super) fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(String, u32), Arc<Live>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, request: &str, n: u32) -> Option<Arc<Live>> {
        self.lock().get(&(request.to_owned(), n)).map(Arc::clone)
    }

    /// Whether a recording of this request goes on, and something was heard of it just now.
    pub(super) fn any(&self, request: &str) -> bool {
        let now = Timestamp::now();
        let live = self.lock();
        let mut of_it = live.iter().filter(|((id, _), _)| id == request);
        of_it.any(|(_, live)| live.heard().until(now) < SILENCE_SECONDS)
    }

    /// Whether `from` goes on where this account's reading, which stands on record, has come to.
    pub(super) fn reads_on(&self, request: &str, n: u32, from: u64, by: &Listed) -> bool {
        let key = (request.to_owned(), n, by.who.clone());
        self.readings().get(&key) == Some(&from)
    }

    /// A reading has come to chunk `next`, or to its end.
    pub(super) fn has_read(&self, request: &str, n: u32, next: Option<u64>, by: &Listed) {
        let key = (request.to_owned(), n, by.who.clone());
        match next {
            Some(next) => self.readings().insert(key, next),
            None => self.readings().remove(&key),
        };
    }

    fn readings(&self) -> std::sync::MutexGuard<'_, HashMap<(String, u32, String), u64>> {
        self.readings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn policy(&self, record: &Record) -> Recording {
        let mut policies = self.policies.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = policies.get(record.id()) {
            return *known;
        }
        let access = &record.request.access;
        let policy = record
            .roster()
            .ok()
            .and_then(|r| r.access(access).map(|a| a.recording))
            .unwrap_or_default();
        policies.insert(record.id().to_owned(), policy);
        policy
    }
}
