//! What verifying found: how far the record is proven, by whom, and what does not fit.

use std::fmt;

use super::{Gap, Reset, Standing};
use crate::audit::chain::{Fault, Head};

/// What proves a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A signed checkpoint, given or in the record.
    Checkpoint,
    /// A signed envelope of an event.
    Envelope,
    /// A head that the caller held.
    Held,
    /// A copy that somebody else keeps.
    Copy,
}

/// The newest head that one witness proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Events up to this one are proven.
    pub seq: u64,
    /// By whom.
    pub by: String,
    /// By what.
    pub source: Source,
    /// When, where it is said (RFC 3339): a checkpoint's time, or the time of the event that carries the envelope.
    pub time: Option<String>,
}

/// What does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The chain breaks.
    Chain(Fault),
    /// The record ends before a head that a witness has.
    Truncated {
        /// The first event that is missing.
        seq: u64,
        /// The witness's head.
        held: u64,
        /// The witness.
        by: String,
    },
    /// The chain holds, but is not the one that the witness saw: this event or one before it was rewritten.
    Rewritten {
        /// The event whose hash differs.
        seq: u64,
        /// The witness.
        by: String,
    },
    /// A signed envelope does not fit its event or is not validly signed.
    Envelope {
        /// The event.
        seq: u64,
        /// What is wrong.
        why: String,
    },
    /// A roster that was given lists a token whose attestation does not hold.
    Roster {
        /// What is wrong.
        why: String,
    },
    /// An event says that the store was reset, and is not to be believed.
    Epoch {
        /// The event.
        seq: u64,
        /// What is wrong.
        why: String,
    },
    /// A copy has another event in this place: two histories were told.
    Disagrees {
        /// The first event on which they differ.
        seq: u64,
        /// The copy.
        by: String,
    },
    /// A line of a copy begins as an event and is none.
    Unreadable {
        /// The line, counted from 1.
        line: u64,
        /// The copy.
        by: String,
    },
    /// A checkpoint is broken or badly signed; `seq` is the event that carries it, 0 if it was given beside the record.
    Checkpoint {
        /// The event.
        seq: u64,
        /// What is wrong.
        why: String,
    },
}

impl Problem {
    /// The event at which it shows.
    pub fn seq(&self) -> u64 {
        match self {
            Self::Chain(fault) => fault.seq,
            Self::Truncated { seq, .. }
            | Self::Rewritten { seq, .. }
            | Self::Envelope { seq, .. }
            | Self::Epoch { seq, .. }
            | Self::Disagrees { seq, .. }
            | Self::Checkpoint { seq, .. } => *seq,
            Self::Unreadable { .. } | Self::Roster { .. } => 0,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chain(fault) => fault.fmt(f),
            Self::Truncated { seq, held, by } => {
                write!(
                    f,
                    "the record was cut off before event {seq}: {by} vouches for it up to event {held}"
                )
            }
            Self::Rewritten { seq, by } => {
                write!(
                    f,
                    "event {seq} or one before it was rewritten: {by} vouches for another one"
                )
            }
            Self::Envelope { seq, why } => {
                write!(f, "a signed envelope of event {seq} is bad: {why}")
            }
            Self::Roster { why } => f.write_str(why),
            Self::Epoch { seq, why } => {
                write!(f, "event {seq} begins a new epoch of the record, and {why}")
            }
            Self::Disagrees { seq, by } => {
                write!(
                    f,
                    "{by} has another event {seq} than this record: one of the two was changed, or both were told different things"
                )
            }
            Self::Unreadable { line, by } => {
                write!(
                    f,
                    "line {line} of {by} begins as an event and is not a whole one"
                )
            }
            Self::Checkpoint { seq: 0, why } => {
                write!(f, "a checkpoint that was given is bad: {why}")
            }
            Self::Checkpoint { seq, why } => {
                write!(f, "the checkpoint in event {seq} is bad: {why}")
            }
        }
    }
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How many events follow one another without a fault, from the first.
    pub events: u64,
    /// The last of them.
    pub head: Head,
    /// The newest head of each witness, newest first. Only heads that fit.
    pub proofs: Vec<Proof>,
    /// All that does not fit, first event first. After a break in the chain nothing is looked at.
    pub problems: Vec<Problem>,
    /// Signed envelopes checked.
    pub envelopes_checked: u64,
    /// Signed envelopes that lines name and nobody brought.
    pub envelopes_missing: u64,
    /// Checkpoints by keys that are not known here: they prove nothing.
    pub checkpoints_unknown: u64,
    /// Where the store was put back from a backup; always to be shown.
    pub resets: Vec<Reset>,
    /// Where no head was signed for longer than the agent states.
    pub gaps: Vec<Gap>,
    /// How each copy stands to the record.
    pub copies: Vec<Standing>,
}

impl Report {
    /// Nothing that does not fit.
    pub fn is_good(&self) -> bool {
        self.problems.is_empty()
    }

    /// The last event proven by anybody; what follows is only the host's word. 0 if nothing is proven.
    pub fn proven_to(&self) -> u64 {
        self.proofs.iter().map(|p| p.seq).max().unwrap_or(0)
    }

    /// The newest proof: which event, and by whom.
    pub fn newest_proof(&self) -> Option<&Proof> {
        self.proofs.iter().max_by_key(|p| p.seq)
    }

    /// The last event proven by others than the agent's own checkpoint key.
    pub fn proven_by_others_to(&self) -> u64 {
        self.proofs
            .iter()
            .filter(|p| p.source != Source::Checkpoint)
            .map(|p| p.seq)
            .max()
            .unwrap_or(0)
    }

    /// The first thing that does not fit.
    pub fn first_problem(&self) -> Option<&Problem> {
        self.problems.first()
    }
}
