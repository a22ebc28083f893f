//! Which lines of copies are of a history that was lost, and which are of the one that is told now.

use std::collections::{HashMap, HashSet};

use super::Reset;
use super::copies::{Copy, Kept};
use crate::audit::chain::{Hash, Head};

/// What a signed epoch says was lost, as far as the copies show it.
pub(super) struct Lost {
    pub(super) reset: Reset,
    /// The heads of lines that lead up to the head that others hold.
    led: HashSet<Head>,
    /// No copy has the line of this number that leads there; of those before it nobody can say which they are.
    unknown_before: u64,
}

impl Lost {
    /// Goes backwards from the head that others hold, through all copies: each line names the one before it.
    pub(super) fn of(reset: &Reset, copies: &[Copy]) -> Self {
        let range = reset.lost_from..=reset.held.seq;
        let lines = copies.iter().flat_map(Copy::lines);
        let by_head: HashMap<Head, Hash> = lines
            .filter(|kept| range.contains(&kept.head.seq))
            .map(|kept| (kept.head, kept.prev))
            .collect();
        let mut lost = Self {
            reset: reset.clone(),
            led: HashSet::new(),
            unknown_before: 0,
        };
        let mut hash = reset.held.hash;
        for seq in range.rev() {
            let head = Head { seq, hash };
            let Some(prev) = by_head.get(&head) else {
                lost.unknown_before = seq;
                break;
            };
            lost.led.insert(head);
            hash = *prev;
        }
        lost
    }

    /// Whether a line is of what was lost. One of which nobody can say it by its place is if it is not younger than the epoch.
    pub(super) fn has(&self, kept: &Kept) -> bool {
        let at = kept.at.as_deref();
        self.led.contains(&kept.head)
            || kept.head.seq < self.unknown_before && self.reset.covers(&kept.head, at)
    }
}
