//! Stores that were put back from a backup: each begins an epoch, signed, that says what was lost.
//!
//! ```text
//! {"event_type":"STORE_RESET", ... "what":{"epoch":2,"lost_from":11,"held":{"seq":15,"hash":"<64 hex>"},"by":"...","why":"..."}}
//! ```
//!
//! The line goes on in the chain of the restored store. The checkpoint right after it is its signature: without that, anybody could excuse
//! a record that was cut off. What it says was lost no longer counts against the chain, and is always shown. The new history counts its events by the
//! same numbers: what somebody has seen since that checkpoint was signed is of the new one, and no number excuses it.

use ed25519_dalek::VerifyingKey;
use serde::Deserialize;

use super::claims::Claim;
use crate::audit::chain::{Hash, Head};
use crate::audit::epoch::Epoch;
use crate::audit::event::{Record, read_time};
use crate::audit::hosts::Owner;

/// A new epoch of the record: what was written from one event on is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reset {
    /// The event that says so; the first of the new epoch.
    pub seq: u64,
    /// The number of the new epoch; the first that is so begun has 2.
    pub epoch: u64,
    /// The first event that was lost, or that nobody vouches for.
    pub lost_from: u64,
    /// The newest head that anybody vouches for; what came up to it was written once.
    pub held: Head,
    /// Who vouches for it.
    pub by: String,
    /// How it came about, in words.
    pub why: String,
    /// The key that signed it; `None` where no key was given to check it with.
    pub signed_by: Option<String>,
    /// When, RFC 3339, as that checkpoint says.
    pub signed_at: Option<String>,
    /// Whether no roster lists that key any more, nor any that has signed the record since: the epoch may be a thief's.
    pub struck_out: bool,
    /// The key itself.
    pub(super) key: Option<VerifyingKey>,
}

impl Reset {
    /// How many events were lost, as far as anybody knows.
    pub fn lost(&self) -> u64 {
        (self.held.seq + 1).saturating_sub(self.lost_from)
    }

    /// Whether a head that was seen at `at` may belong to what was lost: see [`Epoch::covers`].
    pub(super) fn covers(&self, head: &Head, at: Option<&str>) -> bool {
        let signed = self.signed_at.as_deref().and_then(read_time);
        let epoch = signed.map(|at| Epoch {
            epoch: self.epoch,
            seq: self.seq,
            lost_from: self.lost_from,
            held: self.held,
            at,
        });
        epoch.is_some_and(|epoch| epoch.covers(head, at.and_then(read_time)))
    }
}

/// What such an event says.
#[derive(Deserialize)]
struct What {
    epoch: u64,
    lost_from: u64,
    held: Head,
    by: String,
    why: String,
}

/// The epochs of a record as it is read.
#[derive(Default)]
pub(super) struct Resets {
    found: Vec<Reset>,
    /// The last one still waits for its checkpoint.
    unsigned: bool,
}

impl Resets {
    /// Takes up a line that says so. `before` are the hashes of all events before it. The error says what is wrong with it.
    pub(super) fn take(&mut self, head: Head, line: &[u8], before: &[Hash]) -> Result<(), String> {
        let record = Record::parse(line).map_err(|why| why.to_string())?;
        let what: What = serde_json::from_value(record.what.into())
            .map_err(|why| format!("does not say what was lost: {why}"))?;
        let epoch = self.found.last().map_or(1, |last| last.epoch) + 1;
        if what.epoch != epoch {
            return Err(format!("calls itself epoch {}, not {epoch}", what.epoch));
        }
        if what.lost_from == 0 || what.lost_from > head.seq || what.held.seq + 1 < what.lost_from {
            return Err("says that events were lost which cannot have been".to_owned());
        }
        // Where nothing is lost the head that others hold is one of this chain.
        if what.held.seq < what.lost_from {
            let own = match what.held.seq {
                0 => Some(Hash::ZERO),
                seq => usize::try_from(seq - 1)
                    .ok()
                    .and_then(|i| before.get(i).copied()),
            };
            if own != Some(what.held.hash) {
                return Err("names a head that this record never had".to_owned());
            }
        }
        self.unsigned = true;
        self.found.push(Reset {
            seq: head.seq,
            epoch,
            lost_from: what.lost_from,
            held: what.held,
            by: what.by,
            why: what.why,
            signed_by: None,
            signed_at: None,
            struck_out: false,
            key: None,
        });
        Ok(())
    }

    /// The event whose checkpoint has to come next.
    pub(super) fn waiting(&self) -> Option<u64> {
        self.found
            .last()
            .filter(|_| self.unsigned)
            .map(|reset| reset.seq)
    }

    /// What came next: the checkpoint of a known key over exactly that event, or something else.
    pub(super) fn signed(&mut self, by: Option<&Claim>) {
        self.unsigned = false;
        if let (Some(last), Some(claim)) = (self.found.last_mut(), by) {
            let by = claim.witness.clone();
            (last.signed_by, last.signed_at, last.key) = (Some(by.by), by.at, claim.key);
        }
    }

    /// Whether a head that the chain does not have is of what a signed epoch says was lost. What was signed by one who came after that epoch's
    /// signer was not there to be lost.
    pub(super) fn excuse(&self, claim: &Claim, owner: &Owner<'_>) -> bool {
        let seen = &claim.witness;
        let may_lose = |reset: &Reset| match (reset.key, claim.key) {
            (Some(signer), Some(key)) => owner.may_lose((signer, reset.seq), key),
            _ => true,
        };
        self.signed_ones()
            .any(|reset| reset.covers(&seen.head, seen.at.as_deref()) && may_lose(reset))
    }

    pub(super) fn found(mut self, owner: &Owner<'_>) -> Vec<Reset> {
        for reset in &mut self.found {
            let signed = reset.key.map(|key| (key, reset.seq));
            reset.struck_out = signed.is_some_and(|signed| owner.is_struck_out(signed));
        }
        self.found
    }

    pub(super) fn signed_ones(&self) -> impl Iterator<Item = &Reset> {
        self.found.iter().filter(|reset| reset.signed_by.is_some())
    }
}
