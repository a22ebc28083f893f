//! A sink that looks what it holds, and holds more than a store that was put back.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use time::OffsetDateTime;
use twotap::audit::{
    chain::Head,
    checkpoint::CheckpointKey,
    epoch::{self, Reset},
    event::{Actor, Event, EventType, Place},
    sinks::{Ahead, Backoff, Delivery, Options, Sink, SinkError, Sinks},
    store::Store,
};

use crate::agent_support::until;

/// What a sink of this kind holds: a place that outlives the agent's host.
#[derive(Clone, Default)]
struct Elsewhere(Arc<Mutex<Vec<Head>>>);

impl Elsewhere {
    fn head(&self) -> Head {
        let held = self.0.lock().expect("whole");
        held.last().copied().unwrap_or_default()
    }
}

impl Sink for Elsewhere {
    fn name(&self) -> &str {
        "elsewhere"
    }

    fn resume(&mut self, _cursor: Head) -> Result<Head, SinkError> {
        Ok(self.head())
    }

    fn send(&mut self, batch: &[Delivery]) -> Result<(), SinkError> {
        self.0
            .lock()
            .expect("whole")
            .extend(batch.iter().map(Delivery::head));
        Ok(())
    }
}

fn grow(store: &Store, events: u64, what: &str) {
    let grown = store.commit(|tx| {
        for n in 0..events {
            let event = Event::new(EventType::BreakGlassAction, Actor::agent())
                .correlation(format!("{what}-{n}"));
            tx.append(&event, OffsetDateTime::UNIX_EPOCH)?;
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

#[test]
fn a_sink_that_holds_more_says_so_and_goes_on_once_an_epoch_covers_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("state.db");
    let elsewhere = Elsewhere::default();
    let store = Store::open(&path).expect("opened");
    grow(&store, 5, "before");
    let sinks = start(&store, &elsewhere);
    until("it holds five", || elsewhere.head().seq == 5);
    assert!(sinks.shutdown(Duration::from_secs(5)));
    let agreed = store.head().expect("a head");
    drop(store);
    let old = dir.path().join("old.db");
    // A backup as SQLite makes one: what stands in the log goes with it.
    let live = rusqlite::Connection::open(&path).expect("opened");
    live.execute("VACUUM INTO ?1", [old.to_str().expect("text")])
        .expect("copied");
    drop(live);
    let store = Store::open(&path).expect("opened");
    grow(&store, 5, "lost");
    let sinks = start(&store, &elsewhere);
    until("it holds ten", || elsewhere.head().seq == 10);
    assert!(sinks.ahead().is_empty());
    assert!(sinks.shutdown(Duration::from_secs(5)));
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
            agreed,
            note: None
        }]
    );
    assert!(matches!(
        sinks.held_by("elsewhere"),
        Some((_, Some(SinkError::Diverged { seq: 10, .. })))
    ));
    assert_eq!(elsewhere.head(), held, "nothing is written over it");

    let key = CheckpointKey::open_or_create(&dir.path().join("key"), "host-1").expect("a key");
    let reset = Reset {
        lost_from: Some(agreed.seq + 1),
        held,
        by: "sink elsewhere".into(),
        why: "it holds event 10".into(),
        taken_back: None,
    };
    let sign = (&key, "host-1");
    let begun = store.commit(|tx| {
        epoch::begin(
            tx,
            &reset,
            &Place::default(),
            sign,
            OffsetDateTime::UNIX_EPOCH,
        )
    });
    let (epoch, _) = begun.expect("begun");
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
        .map(|h| h.seq)
        .collect();
    assert_eq!(all, (1..=10).chain(6..=9).collect::<Vec<_>>());
    grow(&store, 3, "on");
    until("it follows", || elsewhere.head().seq == 12);
    assert!(sinks.shutdown(Duration::from_secs(5)));
}
