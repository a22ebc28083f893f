//! What workers wait for now: shown, and gone with their next word.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use crate::{protocol::job::Waiting, trust::Timestamp};

/// One wait a vault: only one worker at a time changes a vault's key.
#[derive(Default)]
pub(super) struct Waits {
    now: Mutex<BTreeMap<String, Waiting>>,
}

impl Waits {
    /// A worker of this vault has tried and will try again.
    pub(super) fn set(&self, vault: &str, waiting: Waiting) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        now.insert(vault.to_owned(), waiting);
    }

    /// The wait is over: it went on, or its worker has ended.
    pub(super) fn over(&self, vault: &str) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        now.remove(vault);
    }

    /// What a vault's worker waits for, in words.
    pub(super) fn of(&self, vault: &str) -> Option<String> {
        let now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        now.get(vault).map(in_words)
    }
}

/// `waiting for the new key to work since 10:20:01 (try 4, next 10:22:31): ...`, in UTC.
fn in_words(waiting: &Waiting) -> String {
    format!(
        "waiting for {} since {} (try {}, next {}): {}",
        waiting.what,
        clock(waiting.since),
        waiting.tries,
        clock(waiting.next),
        waiting.why
    )
}

/// The time of day.
fn clock(at: Timestamp) -> String {
    let at = at.to_string();
    at.get(11..19).unwrap_or(&at).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_says_what_for_since_when_how_often_and_why() {
        let waits = Waits::default();
        assert_eq!(waits.of("prod"), None);
        let since = Timestamp::parse("2026-01-06T10:20:01Z").expect("a time");
        waits.set(
            "prod",
            Waiting {
                request: None,
                what: "the new key to work".to_owned(),
                since,
                tries: 4,
                next: since.plus(150),
                why: "InvalidClientTokenId".to_owned(),
            },
        );
        assert_eq!(
            waits.of("prod").as_deref(),
            Some(
                "waiting for the new key to work since 10:20:01 (try 4, next 10:22:31): InvalidClientTokenId"
            )
        );
        waits.over("prod");
        assert_eq!(waits.of("prod"), None);
    }
}
