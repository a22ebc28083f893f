//! A store that is older than what others know of it: it was put back from a backup, or rolled back. Its lines are taken back from the file on
//! this host where they can be, and a signed epoch says what is lost.

use std::{
    collections::BTreeMap,
    io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use time::OffsetDateTime;

use super::{
    Agent,
    book::{self, Change, Keys},
    config::Config,
    tamper,
    vaults::Known,
};
use crate::{
    audit::{
        chain::{Hash, Head},
        epoch::{self, Beyond, Epoch, Reset, beyond, over, put_back, set_aside},
        event::{EventType, Place},
        sinks::{Ahead, note_of},
        store::{Store, StoreError, Table, Tx},
    },
    protocol::{Code, Problem, evidence::EpochProof},
};

/// Where it is remembered how far a journal stands in lines that were taken back.
const ROW: &str = "journal taken back";
/// Where it is remembered that files of an epoch that is over are still to be moved, and to which folder.
const ASIDE: &str = "files to set aside";
/// The sink whose files are on this host.
const FILE: &str = "file";

/// Looks before anything is written whether the store ends where the file on this host does; begins an epoch where it does not.
pub(super) fn at_start(store: &Store, config: &Config, keys: &Keys) -> Result<(), Problem> {
    let left = store.record_as(Table::Setting, ASIDE);
    finish(store, config, left.map_err(|why| book::problem(&why))?)?;
    let mut aside = None;
    let found = beyond(store, &config.audit, keys.checkpoint.public());
    let head = store.head().map_err(|why| book::problem(&why))?;
    let reset = match found {
        // What cannot be read is told by the sink.
        Ok(Beyond::Nothing) | Err(_) => return Ok(()),
        Ok(Beyond::Follows(held)) => Reset {
            lost_from: None,
            held,
            by: format!("the files in {}", config.audit.display()),
            why: format!(
                "the store ended at event {}, and the files go on up to event {}: they were taken back",
                head.seq, held.seq
            ),
            taken_back: Some((head.seq + 1, held.seq)),
        },
        Ok(Beyond::Other { held, from, why }) => {
            // The sink begins anew, and what it wrote is kept: moved once the epoch is on record, so that whoever is stopped in between
            // finds the files or the epoch.
            let kept = over(&config.audit).map_err(|why| unwritable(&why))?;
            aside = Some(kept.clone());
            Reset {
                lost_from: Some(from),
                held,
                by: format!("the files in {}", kept.display()),
                why: format!(
                    "the store ends at event {}, and the files on this host at event {}; they do not follow it: {why}",
                    head.seq, held.seq
                ),
                taken_back: None,
            }
        }
    };
    super::log(&reset.why);
    let place = Place {
        host: Some(config.host_name.clone()),
        ..Place::default()
    };
    let now = OffsetDateTime::now_utc();
    // The clock may have been put back with the store.
    let until = match reset.lost_from {
        Some(_) => epoch::lost_at(&config.audit, &reset.held, keys.checkpoint.public()),
        None => Ok(None),
    };
    let since = until.ok().flatten().map_or(now, |until| until.max(now));
    let begun = store.commit(|tx| {
        let mut journals: BTreeMap<String, u64> =
            tx.record_as(Table::Setting, ROW)?.unwrap_or_default();
        let mut origin = None;
        if reset.taken_back.is_some() {
            put_back(tx, &config.audit, |record| {
                let note = record.what.get("note").and_then(|n| n.as_str());
                if record.known_type() == Some(EventType::Checkpoint) {
                    origin = note.and_then(origin_in).or(origin.take());
                }
                let vault = record.what.get("vault").and_then(|v| v.as_str());
                let n = record
                    .what
                    .get("journal")
                    .and_then(serde_json::Value::as_u64);
                if let (Some(vault), Some(n)) = (vault, n) {
                    let known = journals.entry(vault.to_owned()).or_default();
                    *known = n.max(*known);
                }
            })?;
        } else {
            tx.put(Table::Cursor, FILE, &Head::default())?;
            tx.put(Table::Setting, ASIDE, &aside)?;
        }
        tx.put(Table::Setting, ROW, &journals)?;
        let origin = origin
            .or(known(tx)?)
            .unwrap_or_else(|| config.host_name.clone());
        let (epoch, note) = epoch::begin(tx, &reset, &place, (&keys.checkpoint, &origin), since)?;
        book::keep_note(tx, note)?;
        tamper::note(tx, epoch.seq, now.into(), &in_words(&epoch, &reset))
    });
    begun.map_err(|why| book::problem(&why))?;
    finish(store, config, aside)
}

/// Moves the files of an epoch that is over and on record to the folder that it names.
fn finish(store: &Store, config: &Config, aside: Option<PathBuf>) -> Result<(), Problem> {
    let Some(kept) = aside else {
        return Ok(());
    };
    set_aside(&config.audit, &kept).map_err(|why| unwritable(&why))?;
    store
        .commit(|tx| tx.remove(Table::Setting, ASIDE).map(drop))
        .map_err(|why| book::problem(&why))
}

fn unwritable(why: &io::Error) -> Problem {
    Problem::new(Code::Internal, format!("the files of the record: {why}"))
        .hint("see that the agent can write the folder that [audit] names")
}

/// The host key id in the newest checkpoint that is at hand.
fn known(tx: &Tx<'_>) -> Result<Option<String>, StoreError> {
    let notes: Vec<String> = tx
        .record_as(Table::Setting, book::CHECKPOINTS_ROW)?
        .unwrap_or_default();
    Ok(notes.last().and_then(|note| origin_in(note)))
}

fn origin_in(note: &str) -> Option<String> {
    let line = note.lines().find_map(|line| line.strip_prefix("origin "));
    line.map(str::to_owned)
}

fn in_words(epoch: &Epoch, reset: &Reset) -> String {
    let lost = match reset.lost_from {
        None => "nothing of the record is lost".to_owned(),
        Some(from) => format!("events {from} to {} are lost", reset.held.seq),
    };
    format!(
        "the store was put back to an earlier state, epoch {} begins and {lost}: {}",
        epoch.epoch, reset.why
    )
}

/// Up to which entry a journal stands in lines that were taken back: these entries change state, and are not told again.
pub(super) fn told(change: &Change<'_, '_>, vault: &str) -> Result<u64, Problem> {
    let journals: BTreeMap<String, u64> = change.setting(ROW)?;
    Ok(journals.get(vault).copied().unwrap_or(0))
}

/// The newest epochs, for clients that have seen what was lost.
#[derive(Default)]
pub(super) struct Epochs(Mutex<Vec<EpochProof>>);

/// How many epochs are shown to clients.
const SHOWN: usize = 4;

impl Epochs {
    pub(super) fn all(&self) -> Vec<EpochProof> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// The event of an epoch, and the note right after it.
fn proof(store: &Store, epoch: &Epoch) -> Result<Option<EpochProof>, StoreError> {
    let entries = store.events(epoch.seq, 2)?;
    let [event, checkpoint] = entries.as_slice() else {
        return Ok(None);
    };
    let line = String::from_utf8(event.line.clone()).ok();
    let note = note_of(&checkpoint.line);
    Ok(line.zip(note).map(|(line, note)| EpochProof { line, note }))
}

impl Agent {
    /// Takes up the epochs that the record has.
    pub(super) async fn remember_epochs(self: &Arc<Self>) -> Result<(), Problem> {
        let proofs = self.book.read(|store| {
            let all = epoch::all(store)?;
            let newest = all.iter().rev().take(SHOWN);
            let proofs: Result<Vec<_>, StoreError> = newest.map(|e| proof(store, e)).collect();
            Ok(proofs?.into_iter().flatten().collect::<Vec<_>>())
        });
        let proofs = proofs.await?;
        *self.epochs.0.lock().unwrap_or_else(PoisonError::into_inner) = proofs;
        Ok(())
    }

    /// Begins an epoch where a sink holds what the store does not have.
    pub(super) async fn take_up_ahead(self: &Arc<Self>) -> Result<(), Problem> {
        let ahead: Vec<Ahead> = {
            let sinks = self.sinks.lock().unwrap_or_else(PoisonError::into_inner);
            sinks.as_ref().map_or_else(Vec::new, |s| s.ahead())
        };
        for ahead in ahead {
            // What is wrong with the files on this host is found by looking at them; and a sink is believed once.
            if ahead.sink == FILE || self.evidence.was_ahead(&ahead.sink) {
                continue;
            }
            if !self.vouches(&ahead).await? {
                self.never_signed(ahead.sink, ahead.held).await?;
                continue;
            }
            let until = epoch::until(ahead.at, self.signed(&ahead).and_then(|(_, at)| at));
            let Ahead {
                sink,
                held,
                at,
                agreed,
                ..
            } = ahead;
            let why = format!(
                "sink {sink} holds event {}, which is not the store's; both had event {}",
                held.seq, agreed.seq
            );
            let reset = Reset {
                lost_from: Some(agreed.seq + 1),
                held,
                by: format!("sink {sink}"),
                why,
                taken_back: None,
            };
            self.begin_epoch(reset, at, until).await?;
            self.evidence.note_ahead(sink);
        }
        Ok(())
    }

    /// Whether a checkpoint of this host's own key shows that the store has lost what a sink holds. A sink's word alone does not: whoever may write
    /// there can make up lines.
    async fn vouches(self: &Arc<Self>, ahead: &Ahead) -> Result<bool, Problem> {
        let Some((signed, at)) = self.signed(ahead) else {
            return Ok(false);
        };
        let reach = signed.seq..=signed.seq.saturating_add(epoch::REACH);
        Ok(signed.seq > 0 && reach.contains(&ahead.held.seq) && !self.has(signed, at).await?)
    }

    /// The newest checkpoint of this host's own key that the sink has, and when it was signed.
    fn signed(&self, ahead: &Ahead) -> Option<(Head, Option<OffsetDateTime>)> {
        epoch::signed(ahead.note.as_deref()?, self.book.checkpoint_key())
    }

    /// Begins an epoch where the newest manifest of a vault carries a head that the store does not have.
    pub(super) async fn take_up_manifest(self: &Arc<Self>, known: &Known) -> Result<(), Problem> {
        // Another host's is about that host's record.
        let own = known.manifest.as_ref().filter(|m| m.host == known.host);
        let Some(manifest) = own else {
            return Ok(());
        };
        let held = Head {
            seq: manifest.audit.seq,
            hash: Hash::from_bytes(manifest.audit.hash.0),
        };
        let at = Some(manifest.created_at.into());
        if held.seq == 0 || self.has(held, at).await? {
            return Ok(());
        }
        let (head, generation) = (self.began, manifest.generation);
        let reset = Reset {
            // What was written since the start is not lost.
            lost_from: Some((head.seq + 1).min(held.seq)),
            held,
            by: format!(
                "the manifest of generation {generation} of vault {}",
                known.vault
            ),
            why: format!(
                "that manifest, signed by host {}, was made when the record stood at event {}, and the store has none such",
                known.host, held.seq
            ),
            taken_back: None,
        };
        self.begin_epoch(reset, at, at).await
    }

    /// Whether a head is one of this chain, or, written or seen at `at`, of what an epoch says was lost.
    async fn has(
        self: &Arc<Self>,
        held: Head,
        at: Option<OffsetDateTime>,
    ) -> Result<bool, Problem> {
        self.book
            .read(move |store| epoch::is_known(store, &held, at))
            .await
    }

    /// Begins an epoch, unless what it says was lost, which was there at `at`, is known by now. It begins no earlier than `until`: the clock may have
    /// been put back with the store.
    async fn begin_epoch(
        self: &Arc<Self>,
        reset: Reset,
        at: Option<OffsetDateTime>,
        until: Option<OffsetDateTime>,
    ) -> Result<(), Problem> {
        if self.has(reset.held, at).await? {
            return Ok(());
        }
        let host = *self.host.lock().unwrap_or_else(PoisonError::into_inner);
        let host = host.ok_or_else(|| {
            Problem::new(
                Code::Tampering,
                format!("{}; it is said once this host's key is known", reset.why),
            )
        })?;
        super::log(&reset.why);
        self.book
            .commit(move |change| {
                let epoch = change.begin_epoch(&reset, until, &host.to_string())?;
                tamper::stand(change, epoch.seq, &in_words(&epoch, &reset))
            })
            .await?;
        self.remember_epochs().await?;
        self.remember_tampering().await
    }
}
