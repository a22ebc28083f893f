//! Touch: when a key wants it, and how long it is remembered. Pure; time is handed in.

use crate::profile::{CacheScope, Slot};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// Touch policy: never.
pub const NEVER: u8 = 1;
/// Touch policy: for each use.
pub const ALWAYS: u8 = 2;
/// Touch policy: unless touched a short time ago.
pub const CACHED: u8 = 3;

/// The memory for touches. It goes with the power.
#[derive(Debug)]
pub struct TouchCache {
    scope: CacheScope,
    lasts: Duration,
    last: Option<Instant>,
    last_by_key: BTreeMap<Slot, Instant>,
}

impl TouchCache {
    /// An empty memory in which a touch lasts for `lasts`.
    #[must_use]
    pub fn new(scope: CacheScope, lasts: Duration) -> Self {
        Self {
            scope,
            lasts,
            last: None,
            last_by_key: BTreeMap::new(),
        }
    }

    /// Whether a use of this key, now, has to wait for a touch.
    #[must_use]
    pub fn needs_touch(&self, slot: Slot, policy: u8, now: Instant) -> bool {
        match policy {
            ALWAYS => true,
            CACHED => {
                let last = match self.scope {
                    CacheScope::Token => self.last,
                    CacheScope::Key => self.last_by_key.get(&slot).copied(),
                };
                last.is_none_or(|t| now.saturating_duration_since(t) >= self.lasts)
            }
            _ => false,
        }
    }

    /// Remembers a touch. One for an `always` key serves `cached` keys too, as far as the scope
    /// reaches.
    pub fn touched(&mut self, slot: Slot, now: Instant) {
        self.last = Some(now);
        self.last_by_key.insert(slot, now);
    }

    /// Forgets everything: power off or reset.
    pub fn clear(&mut self) {
        self.last = None;
        self.last_by_key.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Slot = Slot(0x82);
    const B: Slot = Slot(0x83);
    const LASTS: Duration = Duration::from_secs(15);

    #[test]
    fn never_and_always_ask_no_memory() {
        let now = Instant::now();
        let mut cache = TouchCache::new(CacheScope::Token, LASTS);
        cache.touched(A, now);
        assert!(!cache.needs_touch(A, NEVER, now));
        assert!(cache.needs_touch(A, ALWAYS, now));
    }

    #[test]
    fn a_touch_is_remembered_for_its_time_and_not_longer() {
        let now = Instant::now();
        let mut cache = TouchCache::new(CacheScope::Token, LASTS);
        assert!(cache.needs_touch(A, CACHED, now));
        cache.touched(A, now);
        assert!(!cache.needs_touch(A, CACHED, now + LASTS - Duration::from_millis(1)));
        assert!(cache.needs_touch(A, CACHED, now + LASTS));
    }

    #[test]
    fn the_scope_decides_whether_another_keys_touch_counts() {
        let now = Instant::now();
        for (scope, asks) in [(CacheScope::Token, false), (CacheScope::Key, true)] {
            let mut cache = TouchCache::new(scope, LASTS);
            cache.touched(A, now);
            assert_eq!(cache.needs_touch(B, CACHED, now), asks);
            assert!(!cache.needs_touch(A, CACHED, now));
        }
    }

    #[test]
    fn power_off_forgets() {
        let now = Instant::now();
        for scope in [CacheScope::Token, CacheScope::Key] {
            let mut cache = TouchCache::new(scope, LASTS);
            cache.touched(A, now);
            cache.clear();
            assert!(cache.needs_touch(A, CACHED, now));
        }
    }
}
