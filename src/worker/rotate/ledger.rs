//! What the journal says of the user's keys: which are ours, which were sealed, and whose end is owed.
//!
//! Pure: entries in, answers out. Whatever a killed worker left is told apart here.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    protocol::job::{Entry, PlaceStep, ProvenBy, Step, Whose},
    trust::{
        Digest, Timestamp,
        receipt::{Outcome, Proof, Receipt},
    },
};

/// How long after it was sent a request may still take effect: AWS takes signatures that are this old, in seconds.
const SIGNATURE_LASTS: i64 = 15 * 60;
/// How far two of AWS's servers' clocks may lie apart, in seconds.
const CLOCKS_APART: i64 = 5;

/// The keys of one vault, as its journal tells.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Made by us, each known by its answer.
    made: BTreeSet<String>,
    /// Tries to make a key whose answer is not known: AWS's time before each.
    open_tries: Vec<Timestamp>,
    /// Sealed at some time, in the order in which they came to count.
    sealed: Vec<Sealed>,
    /// Generations that were written: by digest of the manifest.
    written: BTreeMap<Digest, (Option<String>, u64, String)>,
    works: BTreeMap<String, Proof>,
    inactive: BTreeSet<String>,
    refused: BTreeMap<String, (Proof, ProvenBy)>,
    deleted: BTreeMap<String, Proof>,
    receipts: BTreeSet<String>,
    intents: BTreeMap<String, u64>,
}

/// A key that came to be sealed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sealed {
    pub(super) key: String,
    pub(super) generation: u64,
    pub(super) manifest: Digest,
    /// The request in whose name it was sealed.
    pub(super) request: Option<String>,
    /// When it came to count.
    pub(super) at: Timestamp,
}

/// A key that was sealed, is replaced, and has not come to its end.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Owed {
    pub(super) key: String,
    /// What replaced it.
    pub(super) by: Sealed,
    pub(super) inactive: bool,
    pub(super) refused: bool,
    pub(super) deleted: bool,
    pub(super) receipt: bool,
}

impl Ledger {
    /// Reads the journal from its beginning.
    pub(super) fn of(entries: &[Entry]) -> Self {
        let mut ledger = Self::default();
        for entry in entries {
            ledger.take(entry);
        }
        ledger
    }

    /// Takes up one entry more.
    pub(super) fn take(&mut self, entry: &Entry) {
        let proof = || Proof {
            at: entry.at,
            aws_request_id: entry.aws.as_ref().and_then(|a| a.request_id.clone()),
            aws_date: entry.aws.as_ref().and_then(|a| a.date),
        };
        match &entry.step {
            Step::RotationIntent { old_access_key_id } => {
                self.intents
                    .entry(old_access_key_id.clone())
                    .or_insert(entry.n);
            }
            Step::CreateIntent { aws_time } => self.open_tries.push(aws_time.unwrap_or(entry.at)),
            Step::CreateFailed { .. } => drop(self.open_tries.pop()),
            Step::KeyCreated { access_key_id } => {
                self.open_tries.pop();
                self.made.insert(access_key_id.clone());
            }
            Step::StrayFound {
                whose: Whose::Likely,
                created: Some(created),
                ..
            } => {
                // One try makes one key: whatever else is found has to answer for itself.
                if let Some(at) = self.try_of(*created) {
                    self.open_tries.remove(at);
                }
            }
            Step::GenerationWritten {
                generation,
                manifest,
            } => {
                if let Ok(named) = manifest.unverified::<crate::trust::manifest::Manifest>() {
                    let of = (entry.request.clone(), *generation, named.access_key_id);
                    self.written.insert(manifest.digest(), of);
                }
            }
            Step::KeyProven { access_key_id } => {
                self.works.insert(access_key_id.clone(), proof());
            }
            Step::GenerationCommitted {
                generation,
                manifest_sha256,
                access_key_id,
            } => self.sealed.push(Sealed {
                key: access_key_id.clone(),
                generation: *generation,
                manifest: *manifest_sha256,
                request: entry.request.clone(),
                at: entry.at,
            }),
            // Another host replaced what counted here, and owes its end; whatever of it is left is an orphan of ours.
            Step::Place(PlaceStep::GenerationAdopted {
                generation,
                manifest_sha256,
                access_key_id,
                ..
            }) => {
                self.made.extend(self.sealed.drain(..).map(|s| s.key));
                self.sealed.push(Sealed {
                    key: access_key_id.clone(),
                    generation: *generation,
                    manifest: *manifest_sha256,
                    request: entry.request.clone(),
                    at: entry.at,
                });
            }
            Step::StrangerDisabled { access_key_id } | Step::KeyDeactivated { access_key_id } => {
                self.inactive.insert(access_key_id.clone());
            }
            Step::KeyRefused { access_key_id, by } => {
                self.refused.insert(access_key_id.clone(), (proof(), *by));
            }
            Step::StrangerDeleted { access_key_id } | Step::KeyDeleted { access_key_id } => {
                self.deleted.insert(access_key_id.clone(), proof());
            }
            Step::Rotated { receipt } => {
                if let Ok(Receipt {
                    outcome:
                        Outcome::Rotated {
                            old_access_key_id, ..
                        },
                    ..
                }) = receipt.unverified::<Receipt>()
                {
                    self.receipts.insert(old_access_key_id);
                }
            }
            _ => {}
        }
    }

    /// Whose a key is that stands in the account and is not the sealed one.
    pub(super) fn whose(&self, key: &str, created: Option<Timestamp>) -> Whose {
        if self.made.contains(key) || self.was_sealed(key) {
            Whose::Ours
        } else if created.is_some_and(|created| self.try_of(created).is_some()) {
            Whose::Likely
        } else {
            Whose::Stranger
        }
    }

    /// Whether a key was sealed at some time.
    pub(super) fn was_sealed(&self, key: &str) -> bool {
        self.sealed.iter().any(|s| s.key == key)
    }

    /// Whether a key was seen to be deleted: a list that still shows it lags.
    pub(super) fn is_deleted(&self, key: &str) -> bool {
        self.deleted.contains_key(key)
    }

    /// A generation that counts by the folder, and of which the journal knows only that it was written: its worker was killed
    /// between the two.
    pub(super) fn committed_unnoted(&self, current: Digest) -> Option<(Option<String>, Step)> {
        if self.sealed.iter().any(|s| s.manifest == current) {
            return None;
        }
        let (request, generation, key) = self.written.get(&current)?;
        let step = Step::GenerationCommitted {
            generation: *generation,
            manifest_sha256: current,
            access_key_id: key.clone(),
        };
        Some((request.clone(), step))
    }

    /// Keys that were sealed before `current` and whose end is not complete.
    pub(super) fn owed(&self, current: &str) -> Vec<Owed> {
        let mut owed: Vec<Owed> = Vec::new();
        for pair in self.sealed.windows(2) {
            let (old, by) = (&pair[0], &pair[1]);
            if old.key == by.key || old.key == current {
                continue;
            }
            let one = self.state(&old.key, by);
            if !(one.deleted && one.receipt) && owed.iter().all(|o| o.key != one.key) {
                owed.push(one);
            }
        }
        owed
    }

    fn state(&self, key: &str, by: &Sealed) -> Owed {
        Owed {
            key: key.to_owned(),
            by: by.clone(),
            inactive: self.inactive.contains(key),
            refused: self.refused.contains_key(key),
            deleted: self.deleted.contains_key(key),
            receipt: self.receipts.contains(key),
        }
    }

    /// What is owed of one key, if anything.
    pub(super) fn owed_of(&self, key: &str, current: &str) -> Option<Owed> {
        self.owed(current).into_iter().find(|o| o.key == key)
    }

    /// The newest generation that came to count; 0 for none.
    pub(super) fn newest_generation(&self) -> u64 {
        self.sealed.iter().map(|s| s.generation).max().unwrap_or(0)
    }

    /// What replaced a key that was sealed.
    pub(super) fn successor(&self, key: &str) -> Option<Sealed> {
        let at = self.sealed.iter().rposition(|s| s.key == key)?;
        self.sealed[at..].iter().find(|s| s.key != key).cloned()
    }

    /// The proof that a key works.
    pub(super) fn works(&self, key: &str) -> Option<Proof> {
        self.works.get(key).cloned()
    }

    /// The proof that a key is dead.
    pub(super) fn refusal(&self, key: &str) -> Option<(Proof, ProvenBy)> {
        self.refused.get(key).cloned()
    }

    /// When and by which call a key was deleted.
    pub(super) fn deletion(&self, key: &str) -> Option<Proof> {
        self.deleted.get(key).cloned()
    }

    /// The entry with which the replacement of a key began.
    pub(super) fn begun(&self, key: &str) -> Option<u64> {
        self.intents.get(key).copied()
    }

    /// The manifest that counted before this one.
    pub(super) fn before(&self, manifest: Digest) -> Option<Digest> {
        let at = self.sealed.iter().position(|s| s.manifest == manifest)?;
        Some(self.sealed.get(at.checked_sub(1)?)?.manifest)
    }

    fn try_of(&self, created: Timestamp) -> Option<usize> {
        self.open_tries
            .iter()
            .position(|asked| (-CLOCKS_APART..=SIGNATURE_LASTS).contains(&asked.until(created)))
    }
}

#[cfg(test)]
mod tests;
