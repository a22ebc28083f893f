//! The bound and the protocol: everything that a mutant changes stands here.

use twotap::ceremony::rotation::{self, Act, Fate, Terms};

use super::Key;

/// What the hosts have beside their disks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Where {
    /// Nothing.
    Nowhere,
    /// A place that takes copies; policy requires it, or does not.
    Copies { required: bool },
    /// A place from which every host opens the newest generation.
    Shared(Claim),
}

/// Who may rotate, of hosts that share a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// Whoever likes.
    Nobody,
    /// Whoever holds the claim; it is taken over only from a host whose worker is at work no more.
    UntilDone,
    /// Whoever holds the claim, for ever.
    ForEver,
    /// Whoever took it last.
    Stolen,
}

/// What can go wrong.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    /// A worker is killed (and with it, if it was the host that crashed, whoever else worked there).
    pub(crate) crash: bool,
    /// The act happened, its answer is lost.
    pub(crate) lost_answer: bool,
    /// AWS or a place cannot be reached for as long as the worker tries.
    pub(crate) outage: bool,
    /// A call arrives long after its sender has given it up.
    pub(crate) late: bool,
    /// The list of keys lacks one.
    pub(crate) lag: bool,
    /// Somebody else makes a key.
    pub(crate) stranger: bool,
    /// The disk is full.
    pub(crate) full: bool,
    /// Another request is approved although nothing is wrong, or while a worker is at it.
    pub(crate) rival: bool,
    /// An officer seals a key that was made by hand.
    pub(crate) officer: bool,
    /// A host is lost with its disk.
    pub(crate) host_lost: bool,
    /// The first host is set back to a snapshot of its disk.
    pub(crate) snapshot: bool,
}

/// Any number of faults.
pub(crate) const ANY: u8 = u8::MAX;

/// The bound, and the protocol: everything that a mutant changes stands here.
#[derive(Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) hosts: u8,
    pub(crate) place: Where,
    /// How many things go wrong, at most; [`ANY`] for any number.
    pub(crate) most: u8,
    pub(crate) faults: Faults,

    pub(crate) next: fn(Terms, Act) -> Option<Act>,
    pub(crate) after_failure: fn(Act) -> Option<Act>,
    pub(crate) fate: fn(&Key, bool, &Key, Option<&Key>) -> Fate,
    /// One worker at a time changes a vault.
    pub(crate) locks: bool,
    /// An officer's key is checked and numbered under the lock.
    pub(crate) seals_under_lock: bool,
    /// A host that finds a claim of its own makes another one all the same.
    pub(crate) claims_anew: bool,
    /// A generation counts before it is remembered as seen.
    pub(crate) counts_then_remembers: bool,
}

impl Rules {
    /// The shipped protocol.
    pub(crate) fn shipped(hosts: u8, place: Where, most: u8, faults: Faults) -> Self {
        Self {
            hosts,
            place,
            most,
            faults,
            next: rotation::next,
            after_failure: rotation::after_failure,
            fate: rotation::fate,
            locks: true,
            seals_under_lock: true,
            claims_anew: true,
            counts_then_remembers: true,
        }
    }

    pub(super) fn shared(&self) -> bool {
        matches!(self.place, Where::Shared(_))
    }
}
