//! What went over a link last, and may be lost with whoever should have read it.

use std::collections::VecDeque;

use crate::audit::chain::Head;

/// The last events that a receiver was given, by their places alone.
#[derive(Debug, Default)]
pub(super) struct Tail {
    /// The last event before those in the tail.
    before: Head,
    events: VecDeque<(Head, usize)>,
    size: usize,
    /// They have to be given again, and none of them was yet.
    owed: bool,
}

impl Tail {
    /// An event was given; the oldest go once all together are more than `most` without them.
    pub(super) fn push(&mut self, head: Head, size: usize, most: usize) {
        self.owed = false;
        self.events.push_back((head, size));
        self.size += size;
        while let Some((oldest, size)) = self.events.front().copied()
            && self.size - size >= most
        {
            self.before = oldest;
            self.size -= size;
            self.events.pop_front();
        }
    }

    /// The link is gone: where to go on so that nothing is lost. `cursor` is where it would go on otherwise. Stands until events
    /// are given again, so that it may be asked for twice.
    pub(super) fn rewind(&mut self, cursor: Head) -> Head {
        let owed = self.owed || !self.events.is_empty();
        let before = match owed && self.before.seq < cursor.seq {
            true => self.before,
            false => cursor,
        };
        *self = Self {
            before,
            owed,
            ..Self::default()
        };
        before
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::chain::Hash;

    fn head(seq: u64) -> Head {
        Head {
            seq,
            hash: Hash::of(&seq.to_be_bytes()),
        }
    }

    #[test]
    fn what_may_be_lost_is_given_again_and_not_more() {
        let mut tail = Tail::default();
        assert_eq!(tail.rewind(head(7)), head(7), "nothing was given");
        for seq in 8..=20 {
            tail.push(head(seq), 10, 35);
        }
        // 17 to 20 are 40, and without 17 less than 35.
        assert_eq!(tail.rewind(head(20)), head(16));
        // Whether the runner could write that down or not.
        assert_eq!(tail.rewind(head(16)), head(16));
        assert_eq!(tail.rewind(head(20)), head(16));
        tail.push(head(17), 10, 35);
        assert_eq!(tail.rewind(head(17)), head(16));
    }

    #[test]
    fn a_single_event_may_be_larger_than_the_tail() {
        let mut tail = Tail::default();
        tail.rewind(head(0));
        tail.push(head(1), 1_000, 35);
        tail.push(head(2), 1_000, 35);
        assert_eq!(tail.rewind(head(2)), head(1));
    }
}
