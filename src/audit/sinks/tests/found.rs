//! What a sink passed over is known after a restart.

use super::*;

/// Its receiver takes anything but one event, which it passes over; it says so, and hands the test its place.
struct PassesOver {
    never: u64,
    over: Option<String>,
}

impl Sink for PassesOver {
    fn name(&self) -> &str {
        "picky"
    }

    fn resume(&mut self, cursor: Head) -> Result<Head, SinkError> {
        Ok(cursor)
    }

    fn send(&mut self, batch: &[Delivery]) -> Result<(), SinkError> {
        let over = batch.iter().find(|delivery| delivery.seq == self.never);
        if let Some(delivery) = over {
            self.over = Some(format!("event {}", delivery.seq));
        }
        Ok(())
    }

    fn flaws(&self) -> Vec<Flaw> {
        let flaw = |why: &String| Flaw {
            kind: FlawKind::PassedOver,
            why: why.clone(),
        };
        self.over.iter().map(flaw).collect()
    }
}

#[test]
fn what_was_passed_over_is_known_after_a_restart_until_somebody_has_looked() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.db");
    let picky = |never| vec![all(PassesOver { never, over: None })];
    // Whoever holds that it was passed over holds why: no process is between the two.
    for (never, head) in [(2, 3), (5, 6), (8, 9)] {
        let store = Store::open(&path).unwrap();
        append(&store, head - 2..=head);
        let sinks = Sinks::start(&store, picky(never), FAST).unwrap();
        assert!(sinks.wait_acknowledged("picky", head, SOON));
        assert!(Found::any(&store).unwrap());
        assert!(sinks.shutdown(SOON));
    }
    let store = Store::open(&path).unwrap();
    let take = || store.commit(Found::take).unwrap();
    let why: Vec<_> = take().into_iter().map(|f| (f.sink, f.flaw.why)).collect();
    let picky_said = |event: &str| ("picky".to_owned(), event.to_owned());
    assert_eq!(why, ["event 2", "event 5", "event 8"].map(picky_said));
    assert_eq!(take(), [], "once");
    // It says the same for as long as it runs: that is nothing new.
    let sinks = Sinks::start(&store, picky(11), FAST).unwrap();
    append(&store, 10..=11);
    assert!(sinks.wait_acknowledged("picky", 11, SOON));
    assert_eq!(take().len(), 1);
    append(&store, 12..=12);
    assert!(sinks.wait_acknowledged("picky", 12, SOON));
    assert_eq!(take(), []);
    assert!(sinks.shutdown(SOON));
}

/// Its receiver shows it that something is wrong, and then it stops by an error of its own.
struct FindsAndPanics(PassesOver);

impl Sink for FindsAndPanics {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn resume(&mut self, cursor: Head) -> Result<Head, SinkError> {
        Ok(cursor)
    }

    fn send(&mut self, batch: &[Delivery]) -> Result<(), SinkError> {
        self.0.send(batch)?;
        panic!("a sink with a bug")
    }

    fn flaws(&self) -> Vec<Flaw> {
        self.0.flaws()
    }
}

#[test]
fn what_a_sink_found_before_it_panicked_is_not_lost() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("state.db")).unwrap();
    append(&store, 1..=1);
    let over = PassesOver {
        never: 1,
        over: None,
    };
    let sinks = Sinks::start(&store, vec![all(FindsAndPanics(over))], FAST).unwrap();
    assert!(store.wait(Some(SOON), |_| sinks.status().unwrap()[0].error.is_some()));
    // Whoever holds that it is dead holds what it found.
    assert!(Found::any(&store).unwrap());
    assert!(sinks.shutdown(Duration::from_secs(1)));
}
