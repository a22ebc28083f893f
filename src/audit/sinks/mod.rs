//! Sinks: where the record goes so that it outlives the host.
//!
//! Each sink has a thread and a cursor of its own and reads from the store, so a dead one delays neither the ceremony nor
//! another sink: it falls behind, says so in [`SinkStatus`], and catches up. Delivery is at least once and in order; `seq`
//! tells a repetition.

mod file;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub use self::file::FileSink;

use super::chain::{Hash, Head};
use super::event::{Envelope, EventType, Record};
use super::export::envelopes_of;
use super::store::{Entry, Store, StoreError, Table};

/// The most events in one batch.
const BATCH: usize = 256;

/// Something that takes up the record.
pub trait Sink: Send + 'static {
    /// A name, unique in the agent: its cursor stands under it.
    fn name(&self) -> &str;

    /// Called before the first batch and after every failure: the last event that the sink holds for certain. `cursor` is what the
    /// store remembers; a sink that cannot look returns it.
    fn resume(&mut self, cursor: Head) -> Result<Head, SinkError>;

    /// Takes a batch that follows what it holds. `Ok` means that all of it is held durably; after an error the runner
    /// resumes, so part of the batch may come again.
    fn send(&mut self, batch: &[Delivery]) -> Result<(), SinkError>;
}

/// One event on its way to a sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its place.
    pub seq: u64,
    /// The line's hash.
    pub hash: Hash,
    /// The line without newline.
    pub line: Vec<u8>,
    /// The signed envelopes that the line names. They carry requests in clear: a sink that leaves the host sends them only
    /// where its configuration says so.
    pub envelopes: Vec<Envelope>,
    /// The signed note, if the event is a checkpoint.
    pub checkpoint: Option<String>,
}

impl Delivery {
    /// An event as it stands in the store, with what goes beside it.
    fn of(store: &Store, entry: Entry) -> Result<Self, StoreError> {
        let envelopes = envelopes_of(store, &entry.line)?;
        let checkpoint = note_of(&entry.line);
        Ok(Self {
            seq: entry.seq,
            hash: entry.hash,
            line: entry.line,
            envelopes,
            checkpoint,
        })
    }
}

/// The signed note in a `CHECKPOINT` line.
pub(super) fn note_of(line: &[u8]) -> Option<String> {
    // The event type stands right after `prev`, so most lines are told apart by a look at their head.
    let name = EventType::Checkpoint.name().as_bytes();
    let head = line.get(..line.len().min(160))?;
    if !head.windows(name.len()).any(|w| w == name) {
        return None;
    }
    let record = Record::parse(line)
        .ok()
        .filter(|r| r.known_type() == Some(EventType::Checkpoint))?;
    record.what.get("note")?.as_str().map(str::to_owned)
}

/// How long to wait after a failure: doubled each time up to the longest.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// After the first failure.
    pub first: Duration,
    /// At most.
    pub longest: Duration,
}

impl Default for Backoff {
    /// A quarter of a second up to a minute.
    fn default() -> Self {
        Self {
            first: Duration::from_millis(250),
            longest: Duration::from_secs(60),
        }
    }
}

/// How a sink is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkStatus {
    /// The sink's name.
    pub name: String,
    /// The last event that it holds for certain.
    pub acknowledged: u64,
    /// Events that it does not hold yet.
    pub lag: u64,
    /// How long it has been failing; `None` while it works.
    pub failing_for: Option<Duration>,
    /// The last failure.
    pub error: Option<SinkError>,
}

/// Why a sink does not take up events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkError {
    /// It cannot be reached or written to now.
    Unavailable(String),
    /// What it holds is not what the store has: one of the two was changed or rolled back. Never goes away by itself.
    Diverged {
        /// The first event on which they differ, as far as known.
        seq: u64,
        /// How it shows.
        why: String,
    },
}

impl fmt::Display for SinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(why) => f.write_str(why),
            Self::Diverged { seq, why } => write!(f, "sink and store differ at event {seq}: {why}"),
        }
    }
}

impl std::error::Error for SinkError {}

/// The running sinks. Dropping it asks the threads to end and does not wait for them; [`shutdown`](Self::shutdown) does.
pub struct Sinks {
    store: Store,
    stop: Arc<AtomicBool>,
    runners: Vec<Runner>,
}

struct Runner {
    name: String,
    state: Arc<Mutex<State>>,
    thread: Option<JoinHandle<()>>,
}

struct State {
    acknowledged: u64,
    failing_since: Option<Instant>,
    error: Option<SinkError>,
}

impl Sinks {
    /// Starts a thread for each sink.
    pub fn start(
        store: &Store,
        sinks: Vec<Box<dyn Sink>>,
        backoff: Backoff,
    ) -> Result<Self, StoreError> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut running = Self {
            store: store.clone(),
            stop: Arc::clone(&stop),
            runners: Vec::new(),
        };
        for sink in sinks {
            let name = sink.name().to_owned();
            let state = Arc::new(Mutex::new(State {
                acknowledged: cursor(store, &name)?.seq,
                failing_since: None,
                error: None,
            }));
            let task = Task {
                store: store.clone(),
                stop: Arc::clone(&stop),
                state: Arc::clone(&state),
                backoff,
                sink,
            };
            let thread = std::thread::Builder::new()
                .name(format!("sink-{name}").chars().take(15).collect())
                .spawn(move || task.run())?;
            running.runners.push(Runner {
                name,
                state,
                thread: Some(thread),
            });
        }
        Ok(running)
    }

    /// How each sink is doing.
    pub fn status(&self) -> Result<Vec<SinkStatus>, StoreError> {
        let head = self.store.head()?;
        let status = |runner: &Runner| {
            let state = runner.state.lock().unwrap_or_else(PoisonError::into_inner);
            SinkStatus {
                name: runner.name.clone(),
                acknowledged: state.acknowledged,
                lag: head.seq.saturating_sub(state.acknowledged),
                failing_for: state.failing_since.map(|since| since.elapsed()),
                error: state.error.clone(),
            }
        };
        Ok(self.runners.iter().map(status).collect())
    }

    /// How one sink is doing now, without a look into the store: the last event that it holds for certain, and why it takes up no more. `None`
    /// where there is no such sink.
    pub fn held_by(&self, name: &str) -> Option<(u64, Option<SinkError>)> {
        let runner = self.runners.iter().find(|r| r.name == name)?;
        let state = runner.state.lock().unwrap_or_else(PoisonError::into_inner);
        Some((state.acknowledged, state.error.clone()))
    }

    /// Waits until the sink holds event `seq`, or until `timeout`; whether it does. For sinks that policy requires.
    pub fn wait_acknowledged(&self, name: &str, seq: u64, timeout: Duration) -> bool {
        let Some(runner) = self.runners.iter().find(|r| r.name == name) else {
            return false;
        };
        let holds = || {
            runner
                .state
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .acknowledged
                >= seq
        };
        self.store.wait(Some(timeout), |_| holds())
    }

    /// Ends the threads after they took up what is there, or after `patience`; whether all ended. One that hangs in its network is
    /// left behind: it catches up after the next start.
    pub fn shutdown(mut self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let head = self.store.head().map_or(0, |h| h.seq);
        let names: Vec<_> = self.runners.iter().map(|r| r.name.clone()).collect();
        for name in names {
            self.wait_acknowledged(
                &name,
                head,
                deadline.saturating_duration_since(Instant::now()),
            );
        }
        self.ask_to_stop();
        let left = deadline
            .saturating_duration_since(Instant::now())
            .max(Duration::from_millis(50));
        // A thread lets go of its state and rings the bell last of all.
        let all = self.store.wait(Some(left), |_| {
            self.runners
                .iter()
                .all(|r| Arc::strong_count(&r.state) == 1)
        });
        if all {
            for thread in self.runners.iter_mut().filter_map(|r| r.thread.take()) {
                let _ = thread.join();
            }
        }
        all
    }

    fn ask_to_stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
        self.store.wake();
    }
}

impl Drop for Sinks {
    fn drop(&mut self) {
        self.ask_to_stop();
    }
}

/// Where the store remembers a sink to be.
pub fn cursor(store: &Store, sink: &str) -> Result<Head, StoreError> {
    Ok(store.record_as(Table::Cursor, sink)?.unwrap_or_default())
}

/// What a sink's thread owns.
struct Task {
    store: Store,
    stop: Arc<AtomicBool>,
    state: Arc<Mutex<State>>,
    backoff: Backoff,
    sink: Box<dyn Sink>,
}

impl Task {
    fn run(mut self) {
        // A bug in one sink must not look like a sink that works.
        if catch_unwind(AssertUnwindSafe(|| self.work())).is_err() {
            self.failed(SinkError::Unavailable(
                "it stopped by an error of its own".to_owned(),
            ));
        }
        let Self { store, state, .. } = self;
        drop(state);
        store.wake();
    }

    fn work(&mut self) {
        let mut pause = self.backoff.first;
        while !self.stopping() {
            match self.follow(&mut pause) {
                Ok(()) => break,
                Err(error) => self.failed(error),
            }
            self.store
                .wait(Some(pause), |_| self.stop.load(Ordering::SeqCst));
            pause = (pause * 2).min(self.backoff.longest);
        }
    }

    /// Resumes and follows the record until asked to stop.
    fn follow(&mut self, pause: &mut Duration) -> Result<(), SinkError> {
        let name = self.sink.name().to_owned();
        let mut held = self.sink.resume(cursor(&self.store, &name)?)?;
        self.check(&held)?;
        // A sink that cannot look says nothing new by resuming: while events wait it is sending that shows whether it works.
        let idle = held.seq >= self.store.head()?.seq;
        self.acknowledge(&name, held, idle)?;
        loop {
            self.store.wait(None, |newest| {
                newest > held.seq || self.stop.load(Ordering::SeqCst)
            });
            if self.stopping() {
                return Ok(());
            }
            let entries = self.store.events(held.seq + 1, BATCH)?;
            let batch: Vec<_> = entries
                .into_iter()
                .map(|e| Delivery::of(&self.store, e))
                .collect::<Result<_, StoreError>>()?;
            let Some(last) = batch.last() else {
                let why = "the store announced an event and has none".to_owned();
                return Err(SinkError::Diverged {
                    seq: held.seq + 1,
                    why,
                });
            };
            self.sink.send(&batch)?;
            held = Head {
                seq: last.seq,
                hash: last.hash,
            };
            self.acknowledge(&name, held, true)?;
            *pause = self.backoff.first;
        }
    }

    /// A sink that holds what the store does not have is evidence: the store was rolled back or rewritten.
    fn check(&self, held: &Head) -> Result<(), SinkError> {
        if held.seq == 0 {
            return Ok(());
        }
        let diverged = |why: String| Err(SinkError::Diverged { seq: held.seq, why });
        match self.store.events(held.seq, 1)?.first() {
            Some(entry) if entry.seq == held.seq && entry.hash == held.hash => Ok(()),
            Some(entry) if entry.seq == held.seq => {
                diverged("its line there is another one".to_owned())
            }
            _ => diverged(format!(
                "the sink holds it, the store ends at event {}",
                self.store.head()?.seq
            )),
        }
    }

    fn acknowledge(&self, name: &str, held: Head, works: bool) -> Result<(), SinkError> {
        if cursor(&self.store, name)? != held {
            self.store.commit(|tx| tx.put(Table::Cursor, name, &held))?;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.acknowledged = held.seq;
        if works {
            (state.failing_since, state.error) = (None, None);
        }
        drop(state);
        self.store.wake();
        Ok(())
    }

    fn failed(&self, error: SinkError) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.failing_since.get_or_insert_with(Instant::now);
        state.error = Some(error);
        drop(state);
        self.store.wake();
    }

    fn stopping(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}

impl From<StoreError> for SinkError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

#[cfg(test)]
mod tests;
