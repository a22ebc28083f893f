//! State and record, changed together: every change of a row goes through [`Book::commit`] with the event that explains it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use serde::{Serialize, de::DeserializeOwned};
use time::OffsetDateTime;

use super::{
    record::{Record, VaultRow},
    reviews,
};
use crate::{
    audit::{
        chain::Head,
        checkpoint::CheckpointKey,
        epoch::{self, Epoch, Reset},
        event::{Event, EventType, Place},
        fingerprint::Peppers,
        note::NoteKey,
        sinks::Found,
        store::{Store, StoreError, Table, Tx},
    },
    fail,
    protocol::{Code, Problem, review::ReviewOpen},
    trust::Timestamp,
};

/// How many requests the list shows, and about how many are kept in memory.
pub(super) const SHOWN: usize = 100;
/// How many checkpoints are kept at hand; all of them stand in the record.
const CHECKPOINTS: usize = 100;
pub(super) const CHECKPOINTS_ROW: &str = "checkpoints";

/// The store, and the requests in it that are in use.
pub(super) struct Book {
    store: Store,
    keys: Keys,
    place: Place,
    /// Held from the transaction until the memory below shows it.
    changing: Mutex<()>,
    requests: RwLock<HashMap<String, Arc<Record>>>,
    /// Sessions that are over and not reviewed, however old.
    reviews: RwLock<BTreeMap<String, ReviewOpen>>,
}

/// The agent's own keys.
pub(super) struct Keys {
    pub(super) checkpoint: CheckpointKey,
    pub(super) fingerprints: Peppers,
}

impl Book {
    /// The key that this host's checkpoints are signed with.
    pub(super) fn checkpoint_key(&self) -> &NoteKey {
        self.keys.checkpoint.public()
    }

    /// The peppers of fingerprints.
    pub(super) fn peppers(&self) -> &Peppers {
        &self.keys.fingerprints
    }
}

/// One transaction.
pub(super) struct Change<'a, 'c> {
    tx: &'a mut Tx<'c>,
    keys: &'a Keys,
    /// Where it happens.
    pub(super) place: &'a Place,
    now: OffsetDateTime,
    touched: Vec<Record>,
    /// Names of its events, for a failpoint's.
    events: fail::Names,
}

impl Book {
    /// Takes up where the store stands.
    pub(super) fn open(store: Store, keys: Keys, host_name: &str) -> Result<Self, Problem> {
        let mut all: Vec<Record> = store
            .records_as::<Record>(Table::Request)
            .map_err(|why| problem(&why))?
            .into_iter()
            .map(|(_, record)| record)
            .collect();
        let reviews = all.iter().filter_map(reviews::open);
        let reviews = reviews.map(|r| (r.request.clone(), r)).collect();
        all.sort_by_key(|r| std::cmp::Reverse(r.request.not_before));
        let requests = all
            .into_iter()
            .enumerate()
            .filter(|(i, r)| *i < SHOWN || !r.stage.is_final())
            .map(|(_, r)| (r.id().to_owned(), Arc::new(r)))
            .collect();
        Ok(Self {
            store,
            keys,
            place: Place {
                host: Some(host_name.to_owned()),
                ..Place::default()
            },
            changing: Mutex::new(()),
            requests: RwLock::new(requests),
            reviews: RwLock::new(reviews),
        })
    }

    /// Head of the record now.
    pub(super) async fn head(self: &Arc<Self>) -> Result<Head, Problem> {
        self.read(|store| store.head()).await
    }

    /// Reads from the store, off the loop that serves clients.
    pub(super) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        job: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Problem> {
        let book = Arc::clone(self);
        off_loop(move || job(&book.store).map_err(|why| problem(&why))).await
    }

    /// One transaction: rows and events, all or nothing.
    pub(super) async fn commit<T: Send + 'static>(
        self: &Arc<Self>,
        job: impl FnOnce(&mut Change<'_, '_>) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let book = Arc::clone(self);
        off_loop(move || book.commit_here(job)).await
    }

    fn commit_here<T>(
        &self,
        job: impl FnOnce(&mut Change<'_, '_>) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let _one_at_a_time = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let (value, touched, events) = self.store.commit_as(|tx| {
            let mut change = Change {
                tx,
                keys: &self.keys,
                place: &self.place,
                now: OffsetDateTime::now_utc(),
                touched: Vec::new(),
                events: fail::Names::default(),
            };
            let value = job(&mut change).map_err(Stopped)?;
            let Change {
                touched, events, ..
            } = change;
            // What changes nothing has nothing to lose.
            fail::book(&events, "before").map_err(StoreError::from)?;
            Ok::<_, Stopped>((value, touched, events))
        })?;
        // What is committed is committed.
        let _ = fail::book(&events, "after");
        if !touched.is_empty() {
            let mut requests = self
                .requests
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            let mut open = self.reviews.write().unwrap_or_else(PoisonError::into_inner);
            for record in touched {
                match reviews::open(&record) {
                    Some(review) => open.insert(record.id().to_owned(), review),
                    None => open.remove(record.id()),
                };
                requests.insert(record.id().to_owned(), Arc::new(record));
            }
            trim(&mut requests);
        }
        Ok(value)
    }

    /// The request with this id, if it is among those in use.
    pub(super) fn request(&self, id: &str) -> Option<Arc<Record>> {
        let requests = self.requests.read().unwrap_or_else(PoisonError::into_inner);
        requests.get(id).map(Arc::clone)
    }

    /// The request with this id, also an old one.
    pub(super) async fn any_request(
        self: &Arc<Self>,
        id: &str,
    ) -> Result<Option<Arc<Record>>, Problem> {
        if let Some(record) = self.request(id) {
            return Ok(Some(record));
        }
        let id = id.to_owned();
        let found = self
            .read(move |store| store.record_as::<Record>(Table::Request, &id))
            .await?;
        Ok(found.map(Arc::new))
    }

    /// The newest requests and all that are not at their end, newest first.
    pub(super) fn requests(&self) -> Vec<Arc<Record>> {
        let requests = self.requests.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = requests.values().map(Arc::clone).collect();
        drop(requests);
        all.sort_by(|a, b| (b.request.not_before, b.id()).cmp(&(a.request.not_before, a.id())));
        all
    }

    /// Sessions that are over and not reviewed, the most urgent first.
    pub(super) fn reviews(&self) -> Vec<ReviewOpen> {
        let open = self.reviews.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<ReviewOpen> = open.values().cloned().collect();
        drop(open);
        all.sort_by(|a, b| (a.due, &a.request).cmp(&(b.due, &b.request)));
        all
    }

    /// A vault's row.
    pub(super) async fn vault(self: &Arc<Self>, vault: &str) -> Result<VaultRow, Problem> {
        let vault = vault.to_owned();
        let row = self
            .read(move |store| store.record_as(Table::Vault, &vault))
            .await?;
        Ok(row.unwrap_or_default())
    }

    /// The last journal entry that stands in the record.
    pub(super) async fn cursor(self: &Arc<Self>, vault: &str) -> Result<u64, Problem> {
        let vault = vault.to_owned();
        let n = self
            .read(move |store| store.record_as(Table::Journal, &vault))
            .await?;
        Ok(n.unwrap_or(0))
    }

    /// A row of which there is one, by its name.
    pub(super) async fn setting<T: DeserializeOwned + Default + Send + 'static>(
        self: &Arc<Self>,
        name: &'static str,
    ) -> Result<T, Problem> {
        let row = self.read(move |store| store.record_as(Table::Setting, name));
        Ok(row.await?.unwrap_or_default())
    }

    /// Signs the head as it stands; stored, and so sent to every sink.
    pub(super) async fn checkpoint(self: &Arc<Self>, origin: String) -> Result<(), Problem> {
        self.commit(move |change| {
            let note = change
                .tx
                .checkpoint(&change.keys.checkpoint, &origin, change.now)
                .map_err(|why| problem(&why))?;
            keep_note(change.tx, note).map_err(|why| problem(&why))
        })
        .await
    }

    /// The newest checkpoints, oldest first.
    pub(super) async fn checkpoints(self: &Arc<Self>) -> Result<Vec<String>, Problem> {
        let notes = self
            .read(|store| store.record_as(Table::Setting, CHECKPOINTS_ROW))
            .await?;
        Ok(notes.unwrap_or_default())
    }
}

impl Change<'_, '_> {
    /// The time that its events carry, in whole seconds.
    pub(super) fn now(&self) -> Timestamp {
        Timestamp::from(self.now)
    }

    /// The same in milliseconds since 1970, for measuring.
    pub(super) fn millis(&self) -> i64 {
        let millis = self.now.unix_timestamp_nanos() / 1_000_000;
        i64::try_from(millis).unwrap_or(i64::MAX)
    }

    /// Appends an event.
    pub(super) fn event(&mut self, event: &Event) -> Result<Head, Problem> {
        fail::add(&mut self.events, || event.event_type().name());
        // A release writes it all the same: an emergency does not wait for a table. Tests find what is missing there.
        if cfg!(debug_assertions) {
            let described = event.is_described();
            described.map_err(|why| Problem::new(Code::Internal, why))?;
        }
        self.tx.append(event, self.now).map_err(|why| problem(&why))
    }

    /// Begins an epoch of the record, and signs it.
    pub(super) fn begin_epoch(
        &mut self,
        reset: &Reset,
        until: Option<OffsetDateTime>,
        origin: &str,
    ) -> Result<Epoch, Problem> {
        fail::add(&mut self.events, || EventType::StoreReset.name());
        let sign = (&self.keys.checkpoint, origin);
        let now = until.map_or(self.now, |until| until.max(self.now));
        let begun = epoch::begin(self.tx, reset, self.place, sign, now);
        let (epoch, note) = begun.map_err(|why| problem(&why))?;
        keep_note(self.tx, note).map_err(|why| problem(&why))?;
        Ok(epoch)
    }

    /// A request as this transaction sees it.
    pub(super) fn request(&self, id: &str) -> Result<Option<Record>, Problem> {
        self.tx
            .record_as(Table::Request, id)
            .map_err(|why| problem(&why))
    }

    /// A request that must be there.
    pub(super) fn known(&self, id: &str) -> Result<Record, Problem> {
        self.request(id)?.ok_or_else(|| unknown_request(id))
    }

    /// A row of which there is one, by its name.
    pub(super) fn setting<T: DeserializeOwned + Default>(&self, name: &str) -> Result<T, Problem> {
        let row = self.tx.record_as(Table::Setting, name);
        Ok(row.map_err(|why| problem(&why))?.unwrap_or_default())
    }

    /// Puts such a row.
    pub(super) fn put_setting<T: Serialize>(&mut self, name: &str, row: &T) -> Result<(), Problem> {
        let put = self.tx.put(Table::Setting, name, row);
        put.map_err(|why| problem(&why))
    }

    /// Takes out what sinks found wrong and nobody has looked at.
    pub(super) fn take_found(&mut self) -> Result<Vec<Found>, Problem> {
        Found::take(self.tx).map_err(|why| problem(&why))
    }

    /// All requests, as this transaction sees them.
    pub(super) fn requests(&self) -> Result<Vec<Record>, Problem> {
        let all = self.tx.records_as(Table::Request);
        let all = all.map_err(|why| problem(&why))?;
        Ok(all.into_iter().map(|(_, record)| record).collect())
    }

    /// Puts a request. Whichever way its session ended, its review is due from here on.
    pub(super) fn put(&mut self, mut record: Record) -> Result<(), Problem> {
        reviews::fall_due(self, &mut record)?;
        self.tx
            .put(Table::Request, record.id(), &record)
            .map_err(|why| problem(&why))?;
        self.touched.push(record);
        Ok(())
    }

    /// A vault's row.
    pub(super) fn vault(&self, vault: &str) -> Result<VaultRow, Problem> {
        let row = self
            .tx
            .record_as(Table::Vault, vault)
            .map_err(|why| problem(&why))?;
        Ok(row.unwrap_or_default())
    }

    /// Puts a vault's row.
    pub(super) fn put_vault(&mut self, vault: &str, row: &VaultRow) -> Result<(), Problem> {
        self.tx
            .put(Table::Vault, vault, row)
            .map_err(|why| problem(&why))
    }

    /// The last journal entry that stands in the record.
    pub(super) fn cursor(&self, vault: &str) -> Result<u64, Problem> {
        let n = self
            .tx
            .record_as(Table::Journal, vault)
            .map_err(|why| problem(&why))?;
        Ok(n.unwrap_or(0))
    }

    /// Moves the cursor.
    pub(super) fn put_cursor(&mut self, vault: &str, n: u64) -> Result<(), Problem> {
        self.tx
            .put(Table::Journal, vault, &n)
            .map_err(|why| problem(&why))
    }

    /// The fingerprint of something that the record names without saying it.
    pub(super) fn fingerprint(&self, purpose: &str, value: &str) -> serde_json::Value {
        self.keys
            .fingerprints
            .fingerprint(purpose, value.as_bytes())
            .into()
    }
}

/// Keeps a checkpoint at hand.
pub(super) fn keep_note(tx: &mut Tx<'_>, note: String) -> Result<(), StoreError> {
    let mut notes: Vec<String> = tx
        .record_as(Table::Setting, CHECKPOINTS_ROW)?
        .unwrap_or_default();
    notes.push(note);
    let surplus = notes.len().saturating_sub(CHECKPOINTS);
    notes.drain(..surplus);
    tx.put(Table::Setting, CHECKPOINTS_ROW, &notes)
}

/// Keeps what is not at its end and the newest of the rest.
fn trim(requests: &mut HashMap<String, Arc<Record>>) {
    while requests.len() > SHOWN {
        let oldest = requests
            .values()
            .filter(|r| r.stage.is_final())
            .min_by_key(|r| r.request.not_before)
            .map(|r| r.id().to_owned());
        match oldest {
            Some(id) => requests.remove(&id),
            None => return,
        };
    }
}

/// A transaction's own reason to stop; nothing was written.
struct Stopped(Problem);

impl From<StoreError> for Stopped {
    fn from(why: StoreError) -> Self {
        Self(problem(&why))
    }
}

impl From<Stopped> for Problem {
    fn from(Stopped(problem): Stopped) -> Self {
        problem
    }
}

/// No request has this id.
pub(super) fn unknown_request(id: &str) -> Problem {
    Problem::new(Code::Usage, format!("there is no request {id}")).hint("see twotap status")
}

/// A fault of the store as a problem that travels.
pub(super) fn problem(why: &StoreError) -> Problem {
    let code = match why {
        // What cannot be read in a file of our own, somebody else has changed, or a disk is failing: either way it proves nothing.
        StoreError::Tampered { .. } | StoreError::Corrupt(_) => Code::Tampering,
        _ => Code::Internal,
    };
    Problem::new(code, why).hint_if(why.hint())
}

/// The store blocks; the loop that serves clients does not.
async fn off_loop<T: Send + 'static>(
    job: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(job)
        .await
        .unwrap_or_else(|_| Err(Problem::new(Code::Internal, "a task stopped; see the log")))
}
/// The audit module's head in the form in which signed documents carry it.
pub(super) fn head(head: Head) -> crate::trust::Head {
    crate::trust::Head {
        seq: head.seq,
        hash: crate::trust::Digest(*head.hash.as_bytes()),
    }
}
