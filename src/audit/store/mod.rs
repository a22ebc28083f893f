//! State and record in one SQLite database, changed in one transaction: nothing happens unrecorded.
//!
//! [`Store::commit`] runs a closure with a [`Tx`]; what it puts and appends becomes durable together (WAL,
//! `synchronous=FULL`) when it returns `Ok`, and nothing of it stays when it does not. All calls block: asynchronous callers
//! wrap them in `spawn_blocking`.

mod error;
mod reread;
mod schema;
mod tx;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};
use serde::de::DeserializeOwned;

pub use self::error::StoreError;
pub use self::tx::Tx;

use super::chain::{self, Hash, Head, Links};
use super::event::Envelope;

/// What a state row is about. Rows are JSON, typed by who puts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Table {
    /// A roster as it was signed.
    Roster,
    /// A vault as the agent knows it: its public files' digests, never a secret.
    Vault,
    /// A request and its stage.
    Request,
    /// Approvals and denials of a request.
    Approval,
    /// A session and its stage.
    Session,
    /// How far the agent has taken up a worker's journal.
    Journal,
    /// How far a sink has taken up the record.
    Cursor,
    /// What is wrong with what a sink's receiver holds, and was not looked at yet.
    Flaw,
    /// Anything of which there is one.
    Setting,
}

impl Table {
    /// The name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Roster => "roster",
            Self::Vault => "vault",
            Self::Request => "request",
            Self::Approval => "approval",
            Self::Session => "session",
            Self::Journal => "journal",
            Self::Cursor => "cursor",
            Self::Flaw => "flaw",
            Self::Setting => "setting",
        }
    }
}

/// An event as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place.
    pub seq: u64,
    /// The line's hash.
    pub hash: Hash,
    /// The line, byte for byte, without a newline.
    pub line: Vec<u8>,
}

/// A handle on the database; cheap to clone, usable from any thread.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    /// Device and inode of the file that was opened.
    id: (u64, u64),
    writer: Mutex<Connection>,
    reader: Mutex<Connection>,
    /// The number of the newest event, for those who wait for it.
    newest: Mutex<u64>,
    bell: Condvar,
}

impl Store {
    /// Opens the database, or makes it (0600). Refuses a newer schema, another program's file, and a record whose head
    /// does not fit its last event; [`verify`](Self::verify) checks all of it.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let writer = schema::open_writer(path)?;
        let reader = schema::open_reader(path)?;
        let head = fitting_head(&reader)?;
        Ok(Self {
            inner: Arc::new(Inner {
                path: path.to_owned(),
                id: reread::id_of(path)?,
                writer: Mutex::new(writer),
                reader: Mutex::new(reader),
                newest: Mutex::new(head.seq),
                bell: Condvar::new(),
            }),
        })
    }

    /// One transaction: all of what `job` does is durable when this returns `Ok`, none of it otherwise.
    pub fn commit<T>(
        &self,
        job: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.commit_as(job)
    }

    /// [`commit`](Self::commit) for closures with an error of their own; theirs rolls back as ours does.
    pub fn commit_as<T, E: From<StoreError>>(
        &self,
        job: impl FnOnce(&mut Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        // A panic in `job` drops the transaction, which rolls it back, before it poisons the lock: nothing is half-done.
        let mut db = lock(&self.inner.writer);
        let transaction = db
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(StoreError::from)?;
        let mut tx = Tx::new(&transaction)?;
        let value = job(&mut tx)?;
        let head = tx.finish()?;
        transaction.commit().map_err(StoreError::from)?;
        drop(db);
        self.ring(head.seq);
        Ok(value)
    }

    /// Where the record stands.
    pub fn head(&self) -> Result<Head, StoreError> {
        stored_head(&lock(&self.inner.reader))
    }

    /// Up to `limit` events from number `from` on, in order.
    pub fn events(&self, from: u64, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let db = lock(&self.inner.reader);
        let mut query = db.prepare_cached(
            "SELECT seq, hash, line FROM events WHERE seq >= ?1 ORDER BY seq LIMIT ?2",
        )?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = query.query_map(params![to_sql(from), limit], entry)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// All events in order, read in batches, so that neither memory nor the reader's lock is held for long. It ends at the
    /// head that stands when it gets there.
    pub fn lines(&self) -> impl Iterator<Item = Result<Entry, StoreError>> + use<> {
        let store = self.clone();
        let mut next = 1;
        let mut batch = Vec::new().into_iter();
        std::iter::from_fn(move || {
            if batch.len() == 0 {
                match store.events(next, 256) {
                    Ok(entries) => batch = entries.into_iter(),
                    Err(error) => return Some(Err(error)),
                }
            }
            let entry: Entry = batch.next()?;
            next = entry.seq + 1;
            Some(Ok(entry))
        })
        // An error ends the stream, else a caller who skips errors would spin.
        .scan(false, |failed, item| {
            if *failed {
                return None;
            }
            *failed = item.is_err();
            Some(item)
        })
    }

    /// The envelope with this digest, if it is kept here.
    pub fn envelope(&self, sha256: &Hash) -> Result<Option<Envelope>, StoreError> {
        let db = lock(&self.inner.reader);
        let mut query = db.prepare_cached("SELECT kind, body FROM envelopes WHERE sha256 = ?1")?;
        let found = query
            .query_row([sha256.as_bytes()], |row| {
                Ok(Envelope {
                    kind: row.get(0)?,
                    body: row.get(1)?,
                })
            })
            .optional()?;
        Ok(found)
    }

    /// Reads the whole chain and compares it with the head. Takes time; for `doctor` and `audit verify` on the host.
    pub fn verify(&self) -> Result<Head, StoreError> {
        let head = self.head()?;
        let mut failed = None;
        let lines = self
            .lines()
            .map_while(|e| e.map_err(|e| failed = Some(e)).ok())
            .take_while(|e| e.seq <= head.seq);
        let walked = chain::verify(Head::default(), lines.map(|e| e.line));
        if let Some(error) = failed {
            return Err(error);
        }
        match walked {
            Ok(end) if end == head => Ok(head),
            Ok(end) => Err(StoreError::Tampered {
                seq: end.seq + 1,
                why: format!("the events end at {}, the head says {}", end.seq, head.seq),
            }),
            Err(fault) => Err(StoreError::Tampered {
                seq: fault.seq,
                why: fault.to_string(),
            }),
        }
    }

    /// The JSON of a state row.
    pub fn record(&self, table: Table, id: &str) -> Result<Option<String>, StoreError> {
        tx::record(&lock(&self.inner.reader), table, id)
    }

    /// A state row, typed.
    pub fn record_as<T: DeserializeOwned>(
        &self,
        table: Table,
        id: &str,
    ) -> Result<Option<T>, StoreError> {
        self.record(table, id)?
            .map(|json| tx::typed(table, id, &json))
            .transpose()
    }

    /// All rows of a table as (id, JSON), by id.
    pub fn records(&self, table: Table) -> Result<Vec<(String, String)>, StoreError> {
        tx::records(&lock(&self.inner.reader), table)
    }

    /// All rows of a table, typed.
    pub fn records_as<T: DeserializeOwned>(
        &self,
        table: Table,
    ) -> Result<Vec<(String, T)>, StoreError> {
        tx::typed_all(table, self.records(table)?)
    }

    /// Waits until `ready` holds for the number of the newest event, or until `timeout` has passed; whether it holds. Looked at
    /// again after every commit and every [`wake`](Self::wake).
    pub fn wait(&self, timeout: Option<Duration>, mut ready: impl FnMut(u64) -> bool) -> bool {
        // A time too far away to be counted is for ever.
        let deadline = timeout.and_then(|t| Instant::now().checked_add(t));
        let mut newest = lock(&self.inner.newest);
        loop {
            if ready(*newest) {
                return true;
            }
            newest = match deadline {
                None => self
                    .inner
                    .bell
                    .wait(newest)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let Some(left) = deadline
                        .checked_duration_since(Instant::now())
                        .filter(|d| !d.is_zero())
                    else {
                        return false;
                    };
                    self.inner
                        .bell
                        .wait_timeout(newest, left)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
            };
        }
    }

    /// Makes everybody in [`wait`](Self::wait) look again.
    pub fn wake(&self) {
        self.ring(0);
    }

    fn ring(&self, seq: u64) {
        let mut newest = lock(&self.inner.newest);
        *newest = seq.max(*newest);
        self.inner.bell.notify_all();
    }
}

/// A poisoned lock guards nothing half-done here, see [`Store::commit_as`].
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn stored_head(db: &Connection) -> Result<Head, StoreError> {
    let mut query = db.prepare_cached("SELECT seq, hash FROM head")?;
    let head = query
        .query_row([], |row| {
            Ok(Head {
                seq: from_sql(row, 0)?,
                hash: hash(row, 1)?,
            })
        })
        .optional()?;
    head.ok_or_else(|| StoreError::Tampered {
        seq: 0,
        why: "the head is missing".to_owned(),
    })
}

/// The head, if it fits the last event.
fn fitting_head(db: &Connection) -> Result<Head, StoreError> {
    // One snapshot for both reads.
    let db = db.unchecked_transaction()?;
    let head = stored_head(&db)?;
    let last = db
        .query_row(
            "SELECT seq, hash, line FROM events ORDER BY seq DESC LIMIT 1",
            [],
            entry,
        )
        .optional()?;
    let tampered = |seq: u64, why: &str| {
        Err(StoreError::Tampered {
            seq,
            why: why.to_owned(),
        })
    };
    match last {
        None if head == Head::default() => Ok(head),
        None => tampered(head.seq, "the head names an event and there is none"),
        Some(last) if last.seq < head.seq => {
            tampered(last.seq + 1, "events up to the head are missing")
        }
        Some(last) if last.seq > head.seq => {
            tampered(head.seq + 1, "there are events after the head")
        }
        Some(last) if Hash::of(&last.line) != last.hash || last.hash != head.hash => tampered(
            last.seq,
            "the last event is not the one that the head names",
        ),
        Some(last) => match Links::parse(&last.line) {
            Ok(links) if links.seq == last.seq => Ok(head),
            _ => tampered(last.seq, "the last event has another number in its line"),
        },
    }
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    Ok(Entry {
        seq: from_sql(row, 0)?,
        hash: hash(row, 1)?,
        line: row.get(2)?,
    })
}

fn hash(row: &Row<'_>, column: usize) -> rusqlite::Result<Hash> {
    row.get(column).map(Hash::from_bytes)
}

fn from_sql(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let value: i64 = row.get(column)?;
    u64::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, value))
}

fn to_sql(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
