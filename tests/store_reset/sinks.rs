//! A sink that looks what it holds, and holds more than a store that was put back.

use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use time::OffsetDateTime;
use twotap::audit::{
    chain::Head,
    checkpoint::CheckpointKey,
    epoch::{self, Epoch, Reset},
    event::{Actor, Event, EventType, Place},
    sinks::{Ahead, Backoff, Delivery, Options, Sink, SinkError, Sinks},
    store::Store,
};

use crate::agent_support::{BOUND, until};

/// What a sink of this kind holds, a place that outlives the agent's host, and how often it was asked for that.
#[derive(Clone, Default)]
struct Elsewhere(Arc<Mutex<Vec<Held>>>, Arc<AtomicUsize>);

/// An event, and when it was written.
type Held = (Head, Option<OffsetDateTime>);

impl Elsewhere {
    fn head(&self) -> Head {
        self.last().0
    }

    fn last(&self) -> Held {
        let held = self.0.lock().expect("whole");
        held.last().copied().unwrap_or_default()
    }
}

impl Sink for Elsewhere {
    fn name(&self) -> &str {
        "elsewhere"
    }

    fn resume(&mut self, _cursor: Head) -> Result<Head, SinkError> {
        self.1.fetch_add(1, Ordering::SeqCst);
        Ok(self.head())
    }

    fn send(&mut self, batch: &[Delivery]) -> Result<(), SinkError> {
        self.0
            .lock()
            .expect("whole")
            .extend(batch.iter().map(|d| (d.head(), epoch::written_at(&d.line))));
        Ok(())
    }

    fn held_at(&self) -> Result<Option<OffsetDateTime>, SinkError> {
        Ok(self.last().1)
    }
}

fn grow(store: &Store, events: u64, what: &str) {
    grow_at(store, events, what, OffsetDateTime::UNIX_EPOCH);
}

fn grow_at(store: &Store, events: u64, what: &str, now: OffsetDateTime) {
    let grown = store.commit(|tx| {
        for n in 0..events {
            let event = Event::new(EventType::BreakGlassAction, Actor::agent())
                .correlation(format!("{what}-{n}"));
            tx.append(&event, now)?;
        }
        Ok(())
    });
    grown.expect("grown");
}

fn start(store: &Store, sink: &Elsewhere) -> Sinks {
    let backoff = Backoff {
        first: Duration::from_millis(10),
        longest: Duration::from_millis(20),
    };
    let sinks: Vec<(Box<dyn Sink>, Options)> = vec![(Box::new(sink.clone()), Options::default())];
    Sinks::start(store, sinks, backoff).expect("started")
}

/// A backup as SQLite makes one: what stands in the log goes with it.
fn copy(path: &Path, to: &Path) {
    let live = rusqlite::Connection::open(path).expect("opened");
    live.execute("VACUUM INTO ?1", [to.to_str().expect("text")])
        .expect("copied");
}

/// An epoch that says what was lost, begun at the same time as all that was lost.
fn begin(store: &Store, dir: &Path, agreed: Head, held: Head) -> Epoch {
    begin_at(store, dir, agreed, held, OffsetDateTime::UNIX_EPOCH)
}

fn begin_at(store: &Store, dir: &Path, agreed: Head, held: Head, now: OffsetDateTime) -> Epoch {
    let key = CheckpointKey::open_or_create(&dir.join("key"), "host-1").expect("a key");
    let reset = Reset {
        lost_from: Some(agreed.seq + 1),
        held,
        by: "sink elsewhere".into(),
        why: format!("it holds event {}", held.seq),
        taken_back: None,
    };
    let sign = (&key, "host-1");
    let begun = store.commit(|tx| epoch::begin(tx, &reset, &Place::default(), sign, now));
    begun.expect("begun").0
}

/// The new history counts its events by the numbers of those that were lost: a second loss is not what the first epoch says.
#[test]
fn what_was_written_since_an_epoch_began_is_not_what_that_epoch_says_was_lost() {
    let dir = tempfile::tempdir().expect("a folder");
    let (path, old) = (dir.path().join("state.db"), dir.path().join("old.db"));
    let elsewhere = Elsewhere::default();
    let store = Store::open(&path).expect("opened");
    grow(&store, 5, "before");
    let agreed = store.head().expect("a head");
    drop(store);
    copy(&path, &old);
    let store = Store::open(&path).expect("opened");
    grow(&store, 15, "lost");
    let held = store.head().expect("a head");
    drop(store);
    // It was put back, and an epoch says what was lost: events 6 to 20.
    let store = Store::open(&old).expect("opened");
    begin(&store, dir.path(), agreed, held);
    let known = store.head().expect("a head");
    let (second, at) = (dir.path().join("second.db"), OffsetDateTime::UNIX_EPOCH);
    copy(&old, &second);
    let sinks = start(&store, &elsewhere);
    grow_at(&store, 4, "lost again", at + Duration::from_millis(1));
    until("it holds all", || elsewhere.head().seq == known.seq + 4);
    assert!(sinks.shutdown(BOUND));
    drop(store);

    // Put back once more, to where that epoch is known.
    let store = Store::open(&second).expect("opened");
    let sinks = start(&store, &elsewhere);
    until("it says so", || !sinks.ahead().is_empty());
    assert_eq!(sinks.ahead()[0].held, elsewhere.head());
    grow_at(&store, 9, "on", at + Duration::from_millis(2));
    let asked = elsewhere.1.load(Ordering::SeqCst);
    until("it was tried again with these", || {
        elsewhere.1.load(Ordering::SeqCst) > asked + 1
    });
    assert_eq!(elsewhere.head().seq, known.seq + 4, "it is sent nothing");
    let again = begin_at(
        &store,
        dir.path(),
        known,
        elsewhere.head(),
        at + Duration::from_millis(3),
    );
    assert_eq!(again.epoch, 3);
    until("it goes on", || {
        elsewhere.head() == store.head().expect("a head")
    });
    assert!(sinks.shutdown(BOUND));
}

#[test]
fn a_sink_that_holds_more_says_so_and_goes_on_once_an_epoch_covers_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("state.db");
    let elsewhere = Elsewhere::default();
    let store = Store::open(&path).expect("opened");
    grow(&store, 5, "before");
    let sinks = start(&store, &elsewhere);
    until("it holds five", || elsewhere.head().seq == 5);
    assert!(sinks.shutdown(BOUND));
    let agreed = store.head().expect("a head");
    drop(store);
    let old = dir.path().join("old.db");
    copy(&path, &old);
    let store = Store::open(&path).expect("opened");
    grow(&store, 5, "lost");
    let sinks = start(&store, &elsewhere);
    until("it holds ten", || elsewhere.head().seq == 10);
    assert!(sinks.ahead().is_empty());
    assert!(sinks.shutdown(BOUND));
    let held = elsewhere.head();

    // The copy in the store's place; the agent has not noticed, and has written two events.
    let store = Store::open(&old).expect("opened");
    grow(&store, 2, "after");
    let sinks = start(&store, &elsewhere);
    until("it says so", || !sinks.ahead().is_empty());
    let sink = "elsewhere".to_owned();
    assert_eq!(
        sinks.ahead(),
        [Ahead {
            sink,
            held,
            at: Some(OffsetDateTime::UNIX_EPOCH),
            agreed,
            note: None
        }]
    );
    assert!(matches!(
        sinks.held_by("elsewhere"),
        Some((_, Some(SinkError::Diverged { seq: 10, .. })))
    ));
    assert_eq!(elsewhere.head(), held, "nothing is written over it");

    let epoch = begin(&store, dir.path(), agreed, held);
    assert_eq!((epoch.seq, epoch.lost_from), (8, 6));
    // It is sent what has become of the record, from where both agree, and is as any other.
    until("it goes on", || {
        elsewhere.head() == store.head().expect("a head")
    });
    until("it works", || {
        matches!(sinks.held_by("elsewhere"), Some((9, None))) && sinks.ahead().is_empty()
    });
    let all: Vec<u64> = elsewhere
        .0
        .lock()
        .expect("whole")
        .iter()
        .map(|(head, _)| head.seq)
        .collect();
    assert_eq!(all, (1..=10).chain(6..=9).collect::<Vec<_>>());
    grow(&store, 3, "on");
    until("it follows", || elsewhere.head().seq == 12);
    assert!(sinks.shutdown(BOUND));
}
