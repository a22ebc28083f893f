//! How long to wait after a failure, and by which clock.

use std::time::{Duration, Instant};

use rand_core::{OsRng, RngCore as _};

/// The longest that a receiver can make us wait by asking for it.
const MOST_WAIT: Duration = Duration::from_secs(600);

/// How long to wait after a failure: a random part of a span that doubles with each failure up to the longest ('full jitter', so that
/// many hosts do not come back to a receiver at the same moment).
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// The span after the first failure.
    pub first: Duration,
    /// The longest span.
    pub longest: Duration,
}

impl Default for Backoff {
    /// A quarter of a second up to a minute.
    fn default() -> Self {
        Self {
            first: Duration::from_millis(250),
            longest: Duration::from_secs(60),
        }
    }
}

impl Backoff {
    /// The pause after so many failures in a row; `random` is from 0 to 1. At least `wait`, if the receiver asked for that.
    pub fn pause(&self, failures: u32, random: f64, wait: Option<Duration>) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let span = self.first.saturating_mul(1 << doublings).min(self.longest);
        // Never quite nothing: a thousandth of the span keeps a failure that comes at once from becoming a busy loop.
        let pause = span.mul_f64(random.clamp(0.001, 1.0));
        wait.map_or(pause, |wait| wait.min(MOST_WAIT) + pause)
    }
}

/// The clock and the dice of the runner.
pub trait Pace: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Instant;

    /// A number from 0 to 1, evenly.
    fn random(&self) -> f64;
}

/// The system's.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemPace;

impl Pace for SystemPace {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn random(&self) -> f64 {
        f64::from(OsRng.next_u32()) / f64::from(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_a_random_part_of_a_span_that_doubles() {
        let backoff = Backoff::default();
        let spans = [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000];
        for (failures, span) in (1..).zip(spans) {
            let span = Duration::from_millis(span);
            assert_eq!(backoff.pause(failures, 1.0, None), span);
            assert_eq!(backoff.pause(failures, 0.5, None), span / 2);
            assert_eq!(backoff.pause(failures, 0.0, None), span / 1_000);
        }
        assert_eq!(backoff.pause(u32::MAX, 1.0, None), backoff.longest);
    }

    #[test]
    fn a_receiver_may_ask_for_a_pause_and_not_for_ever() {
        let backoff = Backoff::default();
        let wait = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(backoff.pause(1, 1.0, wait(7)).as_millis(), 7_250);
        assert_eq!(backoff.pause(1, 1.0, wait(1 << 40)).as_millis(), 600_250);
    }

    #[test]
    fn dice_are_fair_enough() {
        let drawn: Vec<f64> = (0..1_000).map(|_| SystemPace.random()).collect();
        assert!(drawn.iter().all(|d| (0.0..=1.0).contains(d)));
        let mean = drawn.iter().sum::<f64>() / 1_000.0;
        assert!((0.4..0.6).contains(&mean), "{mean}");
    }
}
