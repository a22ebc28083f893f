//! Epochs: a store that was put back from a backup begins a new one, which says what was lost, and is signed.
//!
//! ```text
//! {"event_type":"STORE_RESET", ... "what":{"epoch":2,"lost_from":11,"held":{"seq":15,"hash":"<64 hex>"},"by":"...","why":"..."}}
//! ```
//!
//! The line goes on in the chain of the restored store, and the checkpoint right after it is its signature. Numbers from `lost_from` on stand
//! twice in the world then: in what others hold of the epoch before, and in this one. Without it the agent would write a second history, and
//! every sink that looks would refuse it for ever.

mod back;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

pub use self::back::{
    Beyond, REACH, beyond, is_known, lost_at, over, put_back, set_aside, signed, until,
};

use super::chain::{Hash, Head};
use super::checkpoint::{Checkpoint, CheckpointKey};
use super::event::{Actor, Event, EventType, Place, Record, read_time, timestamp};
use super::hosts::Owner;
use super::note::NoteKey;
use super::store::{Store, StoreError, Table, Tx};

/// Where the epochs are remembered.
const ROW: &str = "epochs";

/// An epoch after the first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Epoch {
    /// Its number; the first that is so begun has 2.
    pub epoch: u64,
    /// The event with which it begins.
    pub seq: u64,
    /// The first event that is lost.
    pub lost_from: u64,
    /// The newest head that anybody vouched for.
    pub held: Head,
    /// When it began: its event and the checkpoint that signs it have one time. Not kept beside the event, which says it.
    #[serde(skip, default = "unknown")]
    pub at: OffsetDateTime,
}

/// Earlier than anything was written: an epoch of which nobody knows when it began covers nothing.
fn unknown() -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH
}

impl Epoch {
    /// Whether a head that the chain does not have, and that was written or seen at `at`, is of what this epoch says was lost: it is the very one that
    /// the epoch names, or one before that by its number which is not younger than the epoch. The new history counts its events by the same
    /// numbers; where nobody knows when a head was seen, its number says nothing.
    pub fn covers(&self, head: &Head, at: Option<OffsetDateTime>) -> bool {
        let lost = (self.lost_from..self.held.seq).contains(&head.seq)
            && at.is_some_and(|at| at <= self.at);
        lost || (*head == self.held && self.lost_from <= head.seq)
    }
}

/// What a new epoch says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reset {
    /// The first event that is lost; absent where nothing is.
    pub lost_from: Option<u64>,
    /// The newest head that anybody vouches for.
    pub held: Head,
    /// Who does.
    pub by: String,
    /// How that is known, in words.
    pub why: String,
    /// The events that were taken back.
    pub taken_back: Option<(u64, u64)>,
}

/// The epochs after the first, oldest first.
pub fn all(store: &Store) -> Result<Vec<Epoch>, StoreError> {
    let mut epochs: Vec<Epoch> = store.record_as(Table::Setting, ROW)?.unwrap_or_default();
    for epoch in &mut epochs {
        let began = store.events(epoch.seq, 1)?;
        epoch.at = began
            .first()
            .and_then(|entry| written_at(&entry.line))
            .unwrap_or_else(unknown);
    }
    Ok(epochs)
}

/// When a line was written, as it says; to the millisecond, as everything in a record.
pub fn written_at(line: &[u8]) -> Option<OffsetDateTime> {
    read_time(&Record::parse(line).ok()?.timestamp)
}

/// Begins an epoch: its event, and the checkpoint that signs it; the epoch and the note. `origin` is the host key id. `now` is no earlier than what
/// was lost (see [`until`]), whatever the clock says that was put back with the host: a younger line would not be one that the epoch
/// [covers](Epoch::covers).
pub fn begin(
    tx: &mut Tx<'_>,
    reset: &Reset,
    place: &Place,
    (key, origin): (&CheckpointKey, &str),
    now: OffsetDateTime,
) -> Result<(Epoch, String), StoreError> {
    let mut epochs: Vec<Epoch> = tx.record_as(Table::Setting, ROW)?.unwrap_or_default();
    let seq = tx.head().seq + 1;
    let epoch = Epoch {
        epoch: epochs.last().map_or(1, |last| last.epoch) + 1,
        seq,
        lost_from: reset.lost_from.unwrap_or(seq).min(seq),
        held: reset.held,
        at: read_time(&timestamp(now)).unwrap_or(now),
    };
    let mut event = Event::new(EventType::StoreReset, Actor::agent())
        .place(place.clone())
        .detail("epoch", epoch.epoch)
        .detail("lost_from", epoch.lost_from)
        .detail(
            "held",
            serde_json::json!({ "seq": reset.held.seq, "hash": reset.held.hash.to_string() }),
        )
        .detail("by", reset.by.as_str())
        .detail("why", reset.why.as_str());
    if let Some((from, through)) = reset.taken_back {
        event = event
            .detail("taken_back_from", from)
            .detail("taken_back_through", through);
    }
    tx.append(&event, now)?;
    let note = tx.checkpoint(key, origin, now)?;
    epochs.push(epoch.clone());
    tx.put(Table::Setting, ROW, &epochs)?;
    Ok((epoch, note))
}

/// An epoch whose signature was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// The epoch.
    pub epoch: Epoch,
    /// The event that begins it: two epochs may have one number, where a store was put back twice.
    pub began: Head,
    /// How it came about, in words.
    pub why: String,
    /// Whether the host has had another key for its checkpoints since it signed this.
    pub replaced: bool,
}

/// The epoch that a `STORE_RESET` line begins, if `note` is a checkpoint over exactly that line, by that one of `keys` which is the owner's. The error
/// says in words what is wrong.
pub fn proven(
    line: &[u8],
    note: &str,
    keys: &[NoteKey],
    owner: &Owner<'_>,
) -> Result<Proven, String> {
    #[derive(Deserialize)]
    struct What {
        epoch: u64,
        lost_from: u64,
        held: Head,
        why: String,
    }
    let (checkpoint, key) = Checkpoint::open(note, keys).map_err(|why| why.to_string())?;
    owner.accepts(&checkpoint, key)?;
    let record = Record::parse(line).map_err(|why| why.to_string())?;
    let own = Head {
        seq: record.seq,
        hash: Hash::of(line),
    };
    if record.known_type() != Some(EventType::StoreReset) || checkpoint.head != own {
        return Err("its checkpoint is not over that event".to_owned());
    }
    let what: What = serde_json::from_value(record.what.into())
        .map_err(|_| "it does not say what was lost".to_owned())?;
    let at = read_time(&checkpoint.time)
        .ok_or_else(|| "its checkpoint does not say when it was signed".to_owned())?;
    let epoch = Epoch {
        epoch: what.epoch,
        seq: own.seq,
        lost_from: what.lost_from,
        held: what.held,
        at,
    };
    match epoch.lost_from <= epoch.seq {
        true => Ok(Proven {
            epoch,
            began: own,
            why: what.why,
            replaced: !owner.has_now(*key.key()),
        }),
        false => Err("it says that events were lost which cannot have been".to_owned()),
    }
}

#[cfg(test)]
mod tests;
