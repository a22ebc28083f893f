//! The threads that carry the record from the store to its sinks.
//!
//! What waits for a sink stays in the store: a thread holds one batch, bounded in events and bytes, however far its sink has fallen behind.

mod asked;
mod found;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub use self::asked::{Ahead, Lacking, SinkStatus};
pub use self::found::Found;

use super::{BOUND, Backoff, Begins, Delivery, Flaw, Options, Pace, Sink, SinkError, SystemPace};
use crate::audit::chain::Head;
use crate::audit::epoch;
use crate::audit::store::{Store, StoreError, Table};

/// Events that are read from the store at once: with the longest lines 2 MiB.
const READ: usize = 16;
/// After so many events that the filter kept back the cursor is written down.
const SKIPPED: u64 = 256;

/// The running sinks. Dropping it asks the threads to end and does not wait for them; [`shutdown`](Self::shutdown) does.
pub struct Sinks {
    store: Store,
    stop: Arc<AtomicBool>,
    pace: Arc<dyn Pace>,
    runners: Vec<Runner>,
}

struct Runner {
    name: String,
    options: Options,
    state: Arc<Mutex<State>>,
    thread: Option<JoinHandle<()>>,
}

struct State {
    acknowledged: u64,
    failing_since: Option<Instant>,
    error: Option<SinkError>,
    complaint: Option<String>,
    /// Those that were written down.
    flaws: Vec<Flaw>,
    /// What it holds and the store does not have.
    ahead: Option<Ahead>,
    /// Since when it has been in the sink's hands.
    called: Option<Instant>,
}

impl State {
    /// Since when it has been failing, and why. One that does not come back is failing although it has not said so.
    fn failure(&self, now: Instant) -> Option<(Instant, SinkError)> {
        if let (Some(since), Some(error)) = (self.failing_since, &self.error) {
            return Some((since, error.clone()));
        }
        let since = self.called?;
        let stuck = now.saturating_duration_since(since) > BOUND;
        stuck.then(|| {
            let why = "it does not come back from its receiver";
            (since, SinkError::Unavailable(why.to_owned()))
        })
    }
}

impl Sinks {
    /// Starts a thread for each sink. The first time that a sink is here, its options say where it begins.
    pub fn start(
        store: &Store,
        sinks: Vec<(Box<dyn Sink>, Options)>,
        backoff: Backoff,
    ) -> Result<Self, StoreError> {
        Self::start_at(store, sinks, backoff, Arc::new(SystemPace))
    }

    /// [`start`](Self::start) with another clock.
    pub fn start_at(
        store: &Store,
        sinks: Vec<(Box<dyn Sink>, Options)>,
        backoff: Backoff,
        pace: Arc<dyn Pace>,
    ) -> Result<Self, StoreError> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut running = Self {
            store: store.clone(),
            stop: Arc::clone(&stop),
            pace: Arc::clone(&pace),
            runners: Vec::new(),
        };
        Found::keep_older(store)?;
        for (mut sink, options) in sinks {
            let name = sink.name().to_owned();
            sink.asked(&options);
            begin(store, &name, &options)?;
            let state = Arc::new(Mutex::new(State {
                acknowledged: cursor(store, &name)?.seq,
                failing_since: None,
                error: None,
                complaint: None,
                flaws: Vec::new(),
                ahead: None,
                called: None,
            }));
            let task = Task {
                name: name.clone(),
                store: store.clone(),
                stop: Arc::clone(&stop),
                state: Arc::clone(&state),
                pace: Arc::clone(&pace),
                options: options.clone(),
                backoff,
                failures: 0,
                sink,
            };
            let thread = std::thread::Builder::new()
                .name(format!("sink-{name}").chars().take(15).collect())
                .spawn(move || task.run())?;
            running.runners.push(Runner {
                name,
                options,
                state,
                thread: Some(thread),
            });
        }
        Ok(running)
    }

    /// Waits until the sink holds event `seq`, or until `timeout`; whether it does. For sinks that policy requires.
    pub fn wait_acknowledged(&self, name: &str, seq: u64, timeout: Duration) -> bool {
        let Some(runner) = self.runners.iter().find(|r| r.name == name) else {
            return false;
        };
        let holds = || lock(&runner.state).acknowledged >= seq;
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

/// The first time that a sink is here, its cursor is set where it begins.
fn begin(store: &Store, name: &str, options: &Options) -> Result<(), StoreError> {
    if options.begins_at() == Begins::First || store.record(Table::Cursor, name)?.is_some() {
        return Ok(());
    }
    store.commit(|tx| {
        let head = tx.head();
        tx.put(Table::Cursor, name, &head)
    })
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a sink's thread owns.
struct Task {
    name: String,
    store: Store,
    stop: Arc<AtomicBool>,
    state: Arc<Mutex<State>>,
    pace: Arc<dyn Pace>,
    options: Options,
    backoff: Backoff,
    /// In a row.
    failures: u32,
    sink: Box<dyn Sink>,
}

/// What comes next for a sink.
struct Batch {
    /// What it is sent; may be nothing, where the filter kept all back.
    deliveries: Vec<Delivery>,
    /// Where the record stands with them and with those kept back.
    head: Head,
}

impl Task {
    fn run(mut self) {
        // A bug in one sink must not look like a sink that works.
        if catch_unwind(AssertUnwindSafe(|| self.work())).is_err() {
            // What it has found until then it never looks at again. It may stop by the same error once more.
            let _ = catch_unwind(AssertUnwindSafe(|| self.write_down(None)));
            self.failed(SinkError::Unavailable(
                "it stopped by an error of its own".to_owned(),
            ));
        }
        let Self {
            store, state, sink, ..
        } = self;
        drop(sink);
        drop(state);
        store.wake();
    }

    fn work(&mut self) {
        while !self.stopping() {
            let wait = match self.follow() {
                Ok(()) => break,
                Err(error) => {
                    // What cannot be written down now is the next time.
                    let _ = self.write_down(None);
                    let wait = match &error {
                        SinkError::Busy { wait, .. } => Some(*wait),
                        _ => None,
                    };
                    self.failed(error);
                    wait
                }
            };
            self.failures = self.failures.saturating_add(1);
            let pause = self.backoff.pause(self.failures, self.pace.random(), wait);
            self.store
                .wait(Some(pause), |_| self.stop.load(Ordering::SeqCst));
        }
    }

    /// Resumes and follows the record until asked to stop.
    fn follow(&mut self) -> Result<(), SinkError> {
        let remembered = cursor(&self.store, &self.name)?;
        let epochs = epoch::all(&self.store)?;
        let mut held = self.call(|sink| {
            sink.epochs(&epochs);
            sink.resume(remembered)
        })?;
        // One that holds nothing and was to begin later does not begin at the first event now.
        if held.seq == 0 && self.options.begins_at() == Begins::Now {
            held = remembered;
        }
        if let Err(error) = self.check(&held) {
            let at = self.sink.held_at()?;
            if !epochs.iter().any(|e| e.covers(&held, at)) {
                let ahead = Ahead {
                    sink: self.name.clone(),
                    held,
                    at,
                    agreed: self.agreed(remembered)?,
                    note: self.sink.vouched(),
                };
                lock(&self.state).ahead = Some(ahead);
                return Err(error);
            }
            // What it holds was lost here, and an epoch says so: it is sent what has become of the record instead.
            held = self.agreed(remembered)?;
        }
        lock(&self.state).ahead = None;
        // A sink that cannot look says nothing new by resuming: while events wait it is sending that shows whether it works.
        let idle = held.seq >= self.store.head()?.seq;
        self.acknowledge(held, idle)?;
        loop {
            let tend = self.sink.tend_every();
            let more = self.store.wait(tend, |newest| {
                newest > held.seq || self.stop.load(Ordering::SeqCst)
            });
            if self.stopping() {
                return self.write_down(Some(held));
            }
            if !more {
                self.call(|sink| sink.tend())?;
                self.write_down(None)?;
                continue;
            }
            let batch = self.next(held)?;
            if !batch.deliveries.is_empty() {
                self.call(|sink| sink.send(&batch.deliveries))?;
                self.failures = 0;
            }
            held = batch.head;
            match batch.deliveries.is_empty() {
                true => self.skipped(held)?,
                false => self.acknowledge(held, true)?,
            }
        }
    }

    /// The next events, as many as the sink takes at once.
    fn next(&self, held: Head) -> Result<Batch, SinkError> {
        let most = self.sink.most();
        let mut batch = Batch {
            deliveries: Vec::new(),
            head: held,
        };
        let (mut bytes, mut skipped) = (0, 0);
        loop {
            let entries = self.store.events(batch.head.seq + 1, READ)?;
            let end = entries.len() < READ;
            for entry in entries {
                let head = Head {
                    seq: entry.seq,
                    hash: entry.hash,
                };
                if !self.options.only.takes(&entry.line) {
                    (batch.head, skipped) = (head, skipped + 1);
                    continue;
                }
                let delivery = Delivery::of(&self.store, entry, self.options.envelopes)?;
                bytes += delivery.size();
                if bytes > most.bytes && !batch.deliveries.is_empty() {
                    return Ok(batch);
                }
                batch.deliveries.push(delivery);
                batch.head = head;
                if batch.deliveries.len() >= most.events {
                    return Ok(batch);
                }
            }
            if end || skipped >= SKIPPED {
                break;
            }
        }
        if batch.head == held {
            let why = "the store announced an event and has none".to_owned();
            return Err(SinkError::Diverged {
                seq: held.seq + 1,
                why,
            });
        }
        Ok(batch)
    }

    /// Hands over to the sink; how long that takes shows in its status.
    fn call<T>(
        &mut self,
        job: impl FnOnce(&mut dyn Sink) -> Result<T, SinkError>,
    ) -> Result<T, SinkError> {
        lock(&self.state).called = Some(self.pace.now());
        let outcome = job(self.sink.as_mut());
        let complaint = self.sink.complaint();
        let mut state = lock(&self.state);
        (state.called, state.complaint) = (None, complaint);
        outcome
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

    /// Up to where sink and store are one, as far as the store remembers.
    fn agreed(&self, remembered: Head) -> Result<Head, SinkError> {
        Ok(match self.check(&remembered) {
            Ok(()) => remembered,
            Err(_) => Head::default(),
        })
    }

    fn acknowledge(&self, held: Head, works: bool) -> Result<(), SinkError> {
        self.write_down(Some(held))?;
        let mut state = lock(&self.state);
        state.acknowledged = held.seq;
        if works {
            (state.failing_since, state.error) = (None, None);
        }
        drop(state);
        self.store.wake();
        Ok(())
    }

    /// Moves on over events that the sink is not sent. Written down now and then: after a restart they are looked at once more, and that is all.
    fn skipped(&self, held: Head) -> Result<(), SinkError> {
        if held.seq >= cursor(&self.store, &self.name)?.seq + SKIPPED {
            self.write_down(Some(held))?;
        }
        // Nothing that it is sent waits behind: it resumed, and there is no more to show that it works.
        let idle = held.seq >= self.store.head()?.seq;
        let mut state = lock(&self.state);
        state.acknowledged = held.seq;
        if idle {
            (state.failing_since, state.error) = (None, None);
        }
        drop(state);
        self.store.wake();
        Ok(())
    }

    /// Where it is, and what it found is wrong: in one transaction, for what it has passed over it never looks at again.
    fn write_down(&self, held: Option<Head>) -> Result<(), SinkError> {
        let before = cursor(&self.store, &self.name)?;
        let moved = held.filter(|held| *held != before);
        let flaws = self.sink.flaws();
        let known = lock(&self.state).flaws.clone();
        let mut new = flaws.iter().filter(|flaw| !known.contains(flaw)).peekable();
        if moved.is_some() || new.peek().is_some() {
            self.store.commit(|tx| {
                if let Some(held) = moved {
                    tx.put(Table::Cursor, &self.name, &held)?;
                }
                new.try_for_each(|flaw| Found::put(tx, &self.name, flaw))
            })?;
        }
        lock(&self.state).flaws = flaws;
        Ok(())
    }

    fn failed(&self, error: SinkError) {
        let mut state = lock(&self.state);
        state.failing_since.get_or_insert_with(|| self.pace.now());
        state.error = Some(error);
        drop(state);
        self.store.wake();
    }

    fn stopping(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}
