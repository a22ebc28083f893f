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
    for (never, head) in [(2, 3), (5, 6)] {
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
    assert_eq!(why, [picky_said("event 2"), picky_said("event 5")]);
    assert_eq!(take(), [], "once");
    // It says the same for as long as it runs: that is nothing new.
    let sinks = Sinks::start(&store, picky(8), FAST).unwrap();
    append(&store, 7..=8);
    assert!(sinks.wait_acknowledged("picky", 8, SOON));
    assert_eq!(take().len(), 1);
    append(&store, 9..=9);
    assert!(sinks.wait_acknowledged("picky", 9, SOON));
    assert_eq!(take(), []);
    assert!(sinks.shutdown(SOON));
}
