//! What is claimed of the record, by whom: still to be compared with it.

use ed25519_dalek::VerifyingKey;

use super::{Evidence, Problem, Source, Witness};
use crate::audit::checkpoint::{Checkpoint, CheckpointError};
use crate::audit::hosts::Owner;
use crate::audit::note::{NoteError, NoteKey};

/// A head that somebody claims, still to be compared with the chain.
pub(super) struct Claim {
    pub(super) witness: Witness,
    pub(super) source: Source,
    pub(super) time: Option<String>,
    /// The event that carries the claim; `None` if it was brought from outside.
    pub(super) carrier: Option<u64>,
    /// Of a checkpoint that was brought: itself, and the key that signed it.
    pub(super) signed: Option<(Checkpoint, NoteKey)>,
    /// Of any checkpoint: the key that signed it.
    pub(super) key: Option<VerifyingKey>,
}

impl Claim {
    /// Whether a checkpoint that was brought is by the host whose record this is; what is claimed by others is theirs to say.
    pub(super) fn is_owners(&self, owner: &Owner<'_>) -> Result<(), String> {
        match &self.signed {
            Some((checkpoint, key)) => owner.accepts(checkpoint, key),
            None => Ok(()),
        }
    }
}

/// What the caller brought, opened.
pub(super) struct Given {
    pub(super) claims: Vec<Claim>,
    pub(super) problems: Vec<Problem>,
    pub(super) unknown: u64,
}

impl Given {
    pub(super) fn open(evidence: &Evidence<'_>) -> Self {
        let held = |w: &Witness| Claim {
            witness: w.clone(),
            source: Source::Held,
            time: None,
            carrier: None,
            signed: None,
            key: None,
        };
        let mut given = Self {
            claims: evidence.held.iter().map(held).collect(),
            problems: Vec::new(),
            unknown: 0,
        };
        for note in evidence.checkpoints {
            match open_checkpoint(note, evidence.keys, None) {
                Ok(Some(claim)) => given.claims.push(claim),
                Ok(None) => given.unknown += 1,
                Err(error) => given.problems.push(Problem::Checkpoint {
                    seq: 0,
                    why: error.to_string(),
                }),
            }
        }
        given
    }
}

/// The claim of a signed checkpoint; `None` if no known key signed it.
pub(super) fn open_checkpoint(
    note: &str,
    keys: &[NoteKey],
    carrier: Option<u64>,
) -> Result<Option<Claim>, CheckpointError> {
    match Checkpoint::open(note, keys) {
        Ok((checkpoint, key)) => Ok(Some(Claim {
            witness: Witness {
                head: checkpoint.head,
                by: key.name().to_owned(),
                at: Some(checkpoint.time.clone()),
            },
            source: Source::Checkpoint,
            time: Some(checkpoint.time.clone()),
            carrier,
            key: Some(*key.key()),
            signed: Some((checkpoint, key.clone())),
        })),
        Err(CheckpointError::Note(NoteError::UnknownKey)) => Ok(None),
        Err(error) => Err(error),
    }
}
