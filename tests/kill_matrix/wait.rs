//! Waiting for something, with a bound.

use std::time::{Duration, Instant};

/// How long anything may take before a case gives up on it.
pub(crate) const BOUND: Duration = Duration::from_secs(60);

/// Waits until something holds.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < BOUND, "not in time: {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}
