//! How long to wait between two tries.

use std::time::Duration;

use crate::fail;

/// The first pause after a failed try, and the longest.
pub(super) const FIRST: Duration = Duration::from_secs(1);
pub(super) const LONGEST: Duration = Duration::from_secs(60);
/// The shortest and the longest pause between two looks into the journal: each starts a worker.
const SHORTEST_OF_LOOKS: Duration = Duration::from_millis(200);
const LONGEST_OF_LOOKS: Duration = Duration::from_secs(30);
/// The shortest and the longest pause between two looks at what the sinks say.
pub(super) const OFTEN: Duration = Duration::from_secs(1);
const SELDOM: Duration = Duration::from_secs(10);

/// How long to wait between two looks at what the sinks say, where a sink may lag for `bound` before it is told of.
pub(super) fn of_sinks(bound: Duration) -> Duration {
    (bound / 2).clamp(OFTEN, SELDOM)
}

/// Pauses of which each is twice as long as the one before, up to a bound.
pub(super) struct Pauses {
    next: Duration,
    longest: Duration,
}

impl Pauses {
    const fn doubling(first: Duration, longest: Duration) -> Self {
        Self {
            next: first,
            longest,
        }
    }

    /// Between tries of what has to be done in the end.
    pub(super) const fn of_tries() -> Self {
        Self::doubling(FIRST, LONGEST)
    }

    /// Between tries to put something on record.
    pub(super) fn of_writes() -> Self {
        Self::doubling(fail::quicker(FIRST), LONGEST)
    }

    /// Between looks into a journal that a worker goes on writing.
    pub(super) fn of_looks() -> Self {
        let first = fail::quicker(FIRST).max(SHORTEST_OF_LOOKS);
        Self::doubling(first, LONGEST_OF_LOOKS)
    }

    /// The pause that is due.
    pub(super) fn next(&mut self) -> Duration {
        let due = self.next.min(self.longest);
        self.next = due * 2;
        due
    }

    /// Waits for as long as is due.
    pub(super) async fn wait(&mut self) {
        tokio::time::sleep(self.next()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_twice_the_one_before_up_to_the_longest() {
        let mut pauses = Pauses::doubling(Duration::from_secs(1), Duration::from_secs(5));
        let seen: Vec<u64> = (0..5).map(|_| pauses.next().as_secs()).collect();
        assert_eq!(seen, [1, 2, 4, 5, 5]);
    }
}
