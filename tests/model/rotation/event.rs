//! What happens, in words; and what of it the worker's journal tells.

use std::fmt;

use twotap::ceremony::rotation::Act;

use super::{Key, What};

/// One thing that happens. The first number is the worker's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Two taps, because something is owed.
    Asked {
        host: u8,
    },
    /// Two taps, though nothing is wrong or somebody is at it.
    Rival {
        host: u8,
    },
    /// The same while the place cannot be asked for the newest generation.
    Blind {
        host: u8,
    },
    /// An officer makes a key by hand and brings it.
    Brought {
        host: u8,
        key: Key,
    },
    /// A worker's own step that does nothing to the world outside.
    Step(u8, &'static str),
    /// The intent stands in the journal.
    Intent(u8),
    /// The officer's key is sealed and counts.
    Stored(u8),
    /// A key that nobody should have was made inactive.
    Disabled(u8, Key),
    /// Such a key was deleted.
    Deleted(u8, Key),
    /// A key that was replaced has deleted itself.
    EndedItself(u8),
    /// An act came through.
    Did(u8, Act),
    /// An act came through; the worker does not know.
    Unanswered(u8, Act),
    /// The list lacks a key.
    Lagged(u8, Key),
    /// An act cannot come through.
    GaveUp(u8, Act),
    /// An act does not come through for as long as the worker tries.
    Outage(u8, Act),
    /// The disk is full.
    Full(u8, Act),
    /// The rotation is left pending.
    Pending(u8),
    Killed(u8),
    HostCrashed(u8),
    HostLost(u8),
    Snapshot(u8),
    SetBack(u8),
    Stranger(Key),
    /// A call does not arrive in time, and is still on its way.
    Late(u8, What, Key),
    Arrived(What, Key),
    /// The same at the place.
    LateCommit(u8),
    ArrivedCommit,
}

/// A line of the worker's journal: the step's name, and which key it speaks of from the worker's point of view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Line {
    pub(crate) step: &'static str,
    pub(crate) of: Option<Of>,
}

/// A key from the point of view of the worker that rotates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Of {
    Opened,
    New,
    Other,
}

impl Event {
    pub(crate) fn is_fault(self) -> bool {
        matches!(
            self,
            Self::Rival { .. }
                | Self::Blind { .. }
                | Self::Brought { .. }
                | Self::Unanswered(..)
                | Self::Lagged(..)
                | Self::Outage(..)
                | Self::Full(..)
                | Self::Killed(_)
                | Self::HostCrashed(_)
                | Self::HostLost(_)
                | Self::Snapshot(_)
                | Self::SetBack(_)
                | Self::Late(..)
                | Self::LateCommit(_)
                | Self::Stranger(_)
        )
    }

    /// The lines that the journal has of it.
    pub(crate) fn lines(self) -> Vec<Line> {
        let line = |step, of| Line { step, of };
        let one = match self {
            Self::Intent(_) => line("rotation_intent", Some(Of::Opened)),
            Self::Stored(_) => {
                return vec![
                    line("generation_written", None),
                    line("generation_committed", None),
                ];
            }
            Self::Disabled(..) => line("stranger_disabled", Some(Of::Other)),
            Self::Deleted(..) => line("stranger_deleted", Some(Of::Other)),
            Self::EndedItself(_) => line("key_deleted", Some(Of::Opened)),
            Self::Pending(_) => line("rotation_pending", None),
            Self::Did(_, act) => match act {
                Act::Create => line("key_created", Some(Of::New)),
                Act::Seal => line("generation_written", None),
                Act::ProveNew => line("key_proven", Some(Of::New)),
                Act::TakeBack => line("stranger_deleted", Some(Of::New)),
                Act::Commit => line("generation_committed", Some(Of::New)),
                Act::Deactivate => line("key_deactivated", Some(Of::Opened)),
                Act::ProveDead => line("key_refused", Some(Of::Opened)),
                Act::Delete => line("key_deleted", Some(Of::Opened)),
                Act::Receipt => line("rotated", None),
                Act::Intent | Act::Claim | Act::CatchUp | Act::Reconcile | Act::Copy => {
                    return vec![];
                }
            },
            _ => return vec![],
        };
        vec![one]
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked { host } => write!(f, "two taps at host {host}"),
            Self::Rival { host } => write!(f, "another request is approved at host {host}"),
            Self::Blind { host } => {
                write!(
                    f,
                    "two taps at host {host}, which cannot ask the place what is newest"
                )
            }
            Self::Brought { host, key } => write!(f, "an officer brings key {key} to host {host}"),
            Self::Step(w, what) => write!(f, "worker {w} {what}"),
            Self::Intent(w) => write!(f, "worker {w} locks the vault and writes down its intent"),
            Self::Stored(w) => write!(f, "worker {w} seals the officer's key, and it counts"),
            Self::Disabled(w, key) => write!(f, "worker {w} makes key {key} inactive: not ours"),
            Self::Deleted(w, key) => write!(f, "worker {w} deletes key {key}: not ours"),
            Self::EndedItself(w) => write!(f, "worker {w}: the replaced key deletes itself"),
            Self::Did(w, act) => write!(f, "worker {w}: {act:?}"),
            Self::Unanswered(w, act) => write!(f, "worker {w}: {act:?}, and the answer is lost"),
            Self::Lagged(w, key) => write!(f, "worker {w} lists the keys, without key {key}"),
            Self::GaveUp(w, act) => write!(f, "worker {w}: {act:?} cannot come through"),
            Self::Outage(w, act) => write!(f, "worker {w}: {act:?} gets no answer for too long"),
            Self::Full(w, act) => write!(f, "worker {w}: {act:?} finds the disk full"),
            Self::Pending(w) => write!(f, "worker {w} leaves the rotation pending"),
            Self::Killed(w) => write!(f, "worker {w} is killed"),
            Self::HostCrashed(h) => write!(f, "host {h} crashes"),
            Self::HostLost(h) => write!(f, "host {h} is lost with its disk"),
            Self::Snapshot(h) => write!(f, "a snapshot is taken of host {h}"),
            Self::SetBack(h) => write!(f, "host {h} is set back to its snapshot"),
            Self::Late(w, what, key) => write!(f, "worker {w}: {what:?} {key} is held up"),
            Self::LateCommit(w) => write!(f, "worker {w}: its move at the place is held up"),
            Self::ArrivedCommit => write!(f, "the move at the place arrives after all"),
            Self::Arrived(what, key) => write!(f, "{what:?} {key} arrives after all"),
            Self::Stranger(key) => write!(f, "a stranger makes key {key}"),
        }
    }
}
