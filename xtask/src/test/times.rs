//! How busy the machine is, and how much processor time the programs took that have ended.

use std::fs;
use std::time::{Duration, Instant};

/// Linux's clock ticks a second in `/proc` (`USER_HZ`; 100 on every architecture that Debian's Rust is for).
const TICKS_A_SECOND: u64 = 100;

/// How much of the processors' time nobody used since one moment.
pub(crate) struct Idle {
    since: Instant,
    /// Ticks of all processors: idle, and all together.
    ticks: (u64, u64),
}

impl Idle {
    /// From now on.
    pub(crate) fn begin() -> Self {
        Self {
            since: Instant::now(),
            ticks: processors(&fs::read_to_string("/proc/stat").unwrap_or_default()),
        }
    }

    /// For how long it has looked.
    pub(crate) fn elapsed(&self) -> Duration {
        self.since.elapsed()
    }

    /// The idle share since then, 0 to 1; 0 where the kernel does not say.
    pub(crate) fn share(&self) -> f64 {
        let now = Self::begin().ticks;
        let (idle, all) = (
            now.0.saturating_sub(self.ticks.0),
            now.1.saturating_sub(self.ticks.1),
        );
        if all == 0 {
            0.0
        } else {
            idle as f64 / all as f64
        }
    }
}

/// Idle ticks and all ticks, from `/proc/stat` (proc_stat(5)). Waiting for a disk is idle; what a host took away is not.
fn processors(stat: &str) -> (u64, u64) {
    let line = stat.lines().next().unwrap_or_default();
    // The last two, of guests, are in the first two already.
    let ticks: Vec<u64> = line
        .split_whitespace()
        .skip(1)
        .take(8)
        .filter_map(|n| n.parse().ok())
        .collect();
    let idle = ticks.iter().skip(3).take(2).sum();
    (idle, ticks.iter().sum())
}

/// Processor time of our children that have ended and been waited for, and of theirs.
pub(crate) fn of_ended_children() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let ticks = ended_children(&stat);
    Duration::from_millis(ticks * 1000 / TICKS_A_SECOND)
}

/// `cutime` and `cstime` of proc_pid_stat(5), the 16th and 17th field; the second one is a name in brackets that may have anything in it.
fn ended_children(stat: &str) -> u64 {
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    rest.split_whitespace()
        .skip(13)
        .take(2)
        .filter_map(|n| n.parse::<u64>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_numbers_are_read_as_it_documents_them() {
        let stat = "cpu  100 0 50 800 40 0 5 5 30 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n";
        assert_eq!(processors(stat), (840, 1000));
        assert_eq!(processors(""), (0, 0));
        let own = "77 (x) y (z)) S 1 77 77 0 -1 4194304 1 2 3 4 500 60 7000 800 20 0 1 0 99 1 1";
        assert_eq!(ended_children(own), 7800);
    }
}
