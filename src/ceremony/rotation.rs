//! Rotating, pure: which act follows which, and what becomes of each key that the user has.
//!
//! ```text
//! intent ─▶ (claim ─▶ catch up) ─▶ reconcile ─▶ create ─▶ seal ─▶ prove new ─▶ commit ─▶ (copy) ─▶ deactivate ─▶ prove dead ─▶ delete ─▶ receipt
//!    │                                 ▲            │        └────────────┴─▶ take back
//!    │                                 └────────────┘ an answer that was lost
//!    └─ the vault moved on (─▶ catch up) ─▶ prove dead
//! ```
//!
//! The worker goes by this table, and `tests/model` explores what can come of it under crashes, lost answers and rivals: whoever changes
//! an arrow here changes what is explored there.

use std::fmt;

/// One act of a rotation. Each can be begun again after a crash or a lost answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    /// Write down which key is to be replaced.
    Intent,
    /// Take the claim of the place where the newest generation is kept: nobody else's worker touches the keys from here on.
    Claim,
    /// Bring the copies up to the generation that counts, before any key is touched that an older copy may still hold: by
    /// [`Act::Reconcile`], or by whoever sees to it that a replaced key dies.
    CatchUp,
    /// List the user's keys, and clear away those that have no business there ([`fate`]).
    Reconcile,
    /// Make the new key.
    Create,
    /// Write the generation that holds it; it does not count yet.
    Seal,
    /// See the new key work.
    ProveNew,
    /// Delete a new key that will never come to count.
    TakeBack,
    /// Make the new generation count.
    Commit,
    /// Have it acknowledged by the places that policy requires.
    Copy,
    /// Make the old key inactive.
    Deactivate,
    /// See the old key refused.
    ProveDead,
    /// Delete the old key.
    Delete,
    /// Sign what was done.
    Receipt,
}

/// What a rotation finds when it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Terms {
    /// Whether the generation that counts still holds the key that was opened. If not, somebody else has replaced it, and it only needs
    /// to be dead.
    pub still_sealed: bool,
    /// Whether a place decides who may rotate.
    pub claim: bool,
    /// Whether policy requires copies.
    pub copies: bool,
}

impl Terms {
    /// Those of a host that keeps the vault alone.
    pub fn alone(still_sealed: bool) -> Self {
        Self {
            still_sealed,
            claim: false,
            copies: false,
        }
    }
}

/// What follows an act that came through; `None` at the end.
pub fn next(terms: Terms, done: Act) -> Option<Act> {
    let act = match done {
        Act::Intent if terms.claim && terms.still_sealed => Act::Claim,
        Act::Intent | Act::Claim if terms.copies => Act::CatchUp,
        Act::Intent | Act::CatchUp if !terms.still_sealed => Act::ProveDead,
        Act::ProveDead if !terms.still_sealed => return None,
        Act::Intent | Act::Claim | Act::CatchUp => Act::Reconcile,
        Act::Reconcile => Act::Create,
        Act::Create => Act::Seal,
        Act::Seal => Act::ProveNew,
        Act::ProveNew => Act::Commit,
        Act::Commit if terms.copies => Act::Copy,
        Act::Commit | Act::Copy => Act::Deactivate,
        Act::Deactivate => Act::ProveDead,
        Act::ProveDead => Act::Delete,
        Act::Delete => Act::Receipt,
        Act::Receipt | Act::TakeBack => return None,
    };
    Some(act)
}

/// What follows an act that did not come through although it was tried for as long as there was time; `None` where the rotation is
/// left pending.
pub fn after_failure(failed: Act) -> Option<Act> {
    match failed {
        // The key that was made, if it was, counts for nothing yet. From the commit on, failed or not, it may.
        Act::Create | Act::Seal | Act::ProveNew => Some(Act::TakeBack),
        _ => None,
    }
}

/// What becomes of one key that the user is found to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is sealed.
    Leave,
    /// Nobody should have it: it is made inactive, and deleted after a while in which its user is heard.
    Disable,
    /// Nobody should have it, and nobody can use it.
    Delete,
}

/// Only the user itself may make its keys, so any key but the sealed one is our own orphan or a thief's.
///
/// `opened` is the key that this rotation holds, `newest` the one that the newest signed manifest names: the same, unless the vault has
/// moved on. Neither is touched.
pub fn fate<K: PartialEq + ?Sized>(key: &K, active: bool, opened: &K, newest: Option<&K>) -> Fate {
    if key == opened || newest == Some(key) {
        Fate::Leave
    } else if active {
        Fate::Disable
    } else {
        Fate::Delete
    }
}

/// Keeps a rotation to the table: an act that is out of its turn is not begun.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    terms: Terms,
    begun: Act,
}

/// An act out of its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfTurn {
    /// The act begun last.
    pub after: Act,
    /// The act that does not follow it.
    pub act: Act,
}

impl Order {
    /// After the intent.
    pub fn new(terms: Terms) -> Self {
        Self {
            terms,
            begun: Act::Intent,
        }
    }

    /// Begins an act.
    ///
    /// # Errors
    /// [`OutOfTurn`] for all but the next act, the way back after a failure, a new look at the keys before another try to make one, and a
    /// look whether a key that was replaced is dead.
    pub fn begin(&mut self, act: Act) -> Result<(), OutOfTurn> {
        let follows = next(self.terms, self.begun) == Some(act)
            || after_failure(self.begun) == Some(act)
            || (self.begun, act) == (Act::Create, Act::Reconcile)
            || (self.begun, act) == (Act::Reconcile, Act::Reconcile)
            // Looking whether a replaced key is dead touches none; only whoever ends it has to catch up first.
            || !self.terms.still_sealed && (self.begun, act) == (Act::Intent, Act::ProveDead);
        if !follows {
            return Err(OutOfTurn {
                after: self.begun,
                act,
            });
        }
        self.begun = act;
        Ok(())
    }
}

impl fmt::Display for OutOfTurn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} does not follow {:?}", self.act, self.after)
    }
}

impl std::error::Error for OutOfTurn {}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(terms: Terms) -> Vec<Act> {
        std::iter::successors(Some(Act::Intent), |&act| next(terms, act)).collect()
    }

    #[test]
    fn the_old_key_is_touched_only_after_the_commit_and_deleted_only_after_it_was_seen_refused() {
        for (claim, copies) in [(false, false), (true, false), (false, true), (true, true)] {
            let path = path(Terms {
                still_sealed: true,
                claim,
                copies,
            });
            let at = |act| path.iter().position(|&a| a == act);
            assert!(at(Act::ProveNew) < at(Act::Commit));
            assert!(at(Act::Commit) < at(Act::Deactivate));
            assert!(at(Act::Copy) < at(Act::Deactivate));
            assert!(at(Act::ProveDead) < at(Act::Delete));
            assert_eq!(path.last(), Some(&Act::Receipt));
            assert_eq!(at(Act::Claim).is_some(), claim);
            assert_eq!(at(Act::Copy).is_some(), copies);
        }
    }

    #[test]
    fn a_vault_that_moved_on_is_left_alone() {
        assert_eq!(path(Terms::alone(false)), [Act::Intent, Act::ProveDead]);
        let with_copies = Terms {
            still_sealed: false,
            claim: true,
            copies: true,
        };
        // An older copy may hold the replaced key, and no other.
        assert_eq!(
            path(with_copies),
            [Act::Intent, Act::CatchUp, Act::ProveDead]
        );
    }

    #[test]
    fn an_act_out_of_turn_is_not_begun() {
        let mut order = Order::new(Terms::alone(true));
        let refused = order.begin(Act::Deactivate).expect_err("far too early");
        assert_eq!(refused.to_string(), "Deactivate does not follow Intent");
        for act in [
            Act::Reconcile,
            Act::Create,
            Act::Reconcile,
            Act::Create,
            Act::Seal,
            Act::ProveNew,
            Act::Commit,
        ] {
            order.begin(act).expect("its turn");
        }
        // What counts is not taken back.
        order.begin(Act::TakeBack).expect_err("too late");
        order.begin(Act::Deactivate).expect("its turn");
        order.begin(Act::Delete).expect_err("not yet seen refused");

        let moved_on = Terms {
            still_sealed: false,
            claim: true,
            copies: true,
        };
        let mut order = Order::new(moved_on);
        order.begin(Act::Reconcile).expect_err("the vault moved on");
        order.begin(Act::ProveDead).expect("looking is free");
        let mut order = Order::new(moved_on);
        order.begin(Act::CatchUp).expect("its turn");
        order.begin(Act::ProveDead).expect("its turn");
    }

    #[test]
    fn neither_the_opened_key_nor_the_newest_sealed_one_is_touched() {
        let judged = |key, active| fate(key, active, "opened", Some("newest"));
        for active in [true, false] {
            assert_eq!(judged("opened", active), Fate::Leave);
            assert_eq!(judged("newest", active), Fate::Leave);
        }
        assert_eq!(judged("other", true), Fate::Disable);
        assert_eq!(judged("other", false), Fate::Delete);
        assert_eq!(fate("newest", true, "opened", None), Fate::Disable);
    }
}
