use super::*;
use crate::audit::checkpoint::CheckpointKey;
use crate::audit::folder::Folder;
use crate::audit::samples::{NOW, event, file};
use std::path::Path;
use std::sync::mpsc;

const SOON: Duration = Duration::from_secs(60);
const FAST: Backoff = Backoff {
    first: Duration::from_millis(1),
    longest: Duration::from_millis(2),
};

fn append(store: &Store, numbers: std::ops::RangeInclusive<u64>) {
    for n in numbers {
        store.commit(|tx| tx.append(&event(n), NOW)).unwrap();
    }
}

/// A sink that is sent everything.
fn all(sink: impl Sink) -> (Box<dyn Sink>, Options) {
    let options = Options {
        envelopes: true,
        ..Options::default()
    };
    (Box::new(sink), options)
}

fn start(store: &Store, dir: &Path) -> Sinks {
    Sinks::start(store, vec![all(FileSink::new(dir))], FAST).unwrap()
}

fn stored(store: &Store) -> Vec<u8> {
    file(&store.lines().map(|e| e.unwrap().line).collect::<Vec<_>>())
}

#[test]
fn the_file_sink_follows_and_catches_up_without_loss_or_gap() {
    let dir = tempfile::tempdir().unwrap();
    let (path, out) = (dir.path().join("state.db"), dir.path().join("record"));
    let store = Store::open(&path).unwrap();
    append(&store, 1..=3);
    let sinks = start(&store, &out);
    assert!(sinks.wait_acknowledged("file", 3, SOON));
    append(&store, 4..=5);
    assert!(sinks.wait_acknowledged("file", 5, SOON));
    assert_eq!(sinks.status().unwrap()[0].lag, 0);
    assert!(sinks.shutdown(SOON));
    // An outage: events come, nobody takes them up, more than one batch of them.
    append(&store, 6..=300);
    assert_eq!(
        std::fs::read(out.join("events.jsonl"))
            .unwrap()
            .iter()
            .filter(|b| **b == b'\n')
            .count(),
        5
    );
    let sinks = start(&store, &out);
    assert!(sinks.wait_acknowledged("file", 300, SOON));
    assert!(sinks.shutdown(SOON));
    assert_eq!(
        std::fs::read(out.join("events.jsonl")).unwrap(),
        stored(&store)
    );
    assert_eq!(cursor(&store, "file").unwrap(), store.head().unwrap());
}

#[test]
fn envelopes_and_checkpoints_travel_with_their_lines() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("state.db")).unwrap();
    let key = CheckpointKey::open_or_create(&dir.path().join("key"), "twotap.example/audit")
        .unwrap_or_else(|e| panic!("{e}"));
    append(&store, 1..=3);
    let note = store
        .commit(|tx| tx.checkpoint(&key, "host-1", NOW))
        .unwrap();
    let out = dir.path().join("record");
    let sinks = start(&store, &out);
    assert!(sinks.wait_acknowledged("file", 4, SOON));
    assert!(sinks.shutdown(SOON));
    let folder = Folder::open(&out).unwrap();
    assert_eq!(folder.checkpoint().unwrap(), Some(note));
    let envelope = event(3).envelopes()[0].clone();
    assert_eq!(
        folder.envelope(&envelope.sha256()).unwrap().as_ref(),
        Some(&envelope.body)
    );
}

#[test]
fn a_file_that_was_cut_or_taken_away_is_made_whole() {
    let dir = tempfile::tempdir().unwrap();
    let (path, out) = (dir.path().join("state.db"), dir.path().join("record"));
    let store = Store::open(&path).unwrap();
    append(&store, 1..=4);
    for left in [Some(700), Some(0), None] {
        let sinks = start(&store, &out);
        assert!(sinks.wait_acknowledged("file", 4, SOON));
        assert!(sinks.shutdown(SOON));
        let events = out.join("events.jsonl");
        match left {
            Some(bytes) => std::fs::OpenOptions::new()
                .write(true)
                .open(&events)
                .unwrap()
                .set_len(bytes)
                .unwrap(),
            None => std::fs::remove_file(&events).unwrap(),
        }
        // The store believes that the sink has everything; the sink looks at its own file.
        let sinks = start(&store, &out);
        append(&store, 1..=1);
        let head = store.head().unwrap().seq;
        assert!(store.wait(Some(SOON), |_| {
            std::fs::read(&events).is_ok_and(|found| found == stored(&store))
        }));
        assert!(sinks.wait_acknowledged("file", head, SOON));
        assert!(sinks.shutdown(SOON));
    }
}

#[test]
fn a_store_that_was_rolled_back_or_rewritten_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("record");
    let store = Store::open(&dir.path().join("state.db")).unwrap();
    append(&store, 1..=4);
    assert!(start(&store, &out).shutdown(SOON));
    let written = std::fs::read(out.join("events.jsonl")).unwrap();
    for (name, numbers) in [("shorter.db", 1..=2), ("other.db", 2..=9)] {
        let store = Store::open(&dir.path().join(name)).unwrap();
        append(&store, numbers);
        let sinks = start(&store, &out);
        let diverged = || {
            matches!(
                sinks.status().unwrap()[0].error,
                Some(SinkError::Diverged { seq: 4, .. })
            )
        };
        assert!(store.wait(Some(SOON), |_| diverged()), "{name}");
        assert_eq!(
            std::fs::read(out.join("events.jsonl")).unwrap(),
            written,
            "nothing is written over evidence"
        );
    }
}

/// A sink on a wire that the test holds: each batch is answered by what the test sends.
struct Scripted {
    answers: mpsc::Receiver<Result<(), SinkError>>,
    got: mpsc::Sender<Vec<u64>>,
}

impl Sink for Scripted {
    fn name(&self) -> &str {
        "scripted"
    }

    fn resume(&mut self, cursor: Head) -> Result<Head, SinkError> {
        Ok(cursor)
    }

    fn send(&mut self, batch: &[Delivery]) -> Result<(), SinkError> {
        self.got
            .send(batch.iter().map(|d| d.seq).collect())
            .unwrap();
        self.answers.recv().unwrap_or(Ok(()))
    }
}

#[test]
fn a_dead_sink_delays_neither_commits_nor_another_sink() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("record");
    let store = Store::open(&dir.path().join("state.db")).unwrap();
    let (answer, answers) = mpsc::channel();
    let (got, batches) = mpsc::channel();
    let sinks = vec![all(Scripted { answers, got }), all(FileSink::new(&out))];
    let sinks = Sinks::start(&store, sinks, FAST).unwrap();
    append(&store, 1..=1);
    assert_eq!(batches.recv().unwrap(), [1]);
    // It hangs in `send`; the ceremony and the file sink go on.
    append(&store, 2..=9);
    assert!(sinks.wait_acknowledged("file", 9, SOON));
    let status = sinks.status().unwrap();
    assert_eq!(
        (status[0].acknowledged, status[0].lag, status[1].lag),
        (0, 9, 0)
    );
    assert!(!sinks.wait_acknowledged("scripted", 1, Duration::from_millis(1)));
    // It fails, comes again with what it did not take, and catches up.
    let down = SinkError::Unavailable("no route".to_owned());
    answer.send(Err(down.clone())).unwrap();
    assert_eq!(batches.recv().unwrap(), (1..=9).collect::<Vec<_>>());
    let status = sinks.status().unwrap();
    assert_eq!(status[0].error, Some(down));
    assert!(status[0].failing_for.is_some());
    answer.send(Ok(())).unwrap();
    assert!(sinks.wait_acknowledged("scripted", 9, SOON));
    assert_eq!(sinks.status().unwrap()[0].error, None);
    assert!(sinks.shutdown(SOON));
    assert_eq!(cursor(&store, "scripted").unwrap().seq, 9);
}

#[test]
fn a_sink_that_hangs_does_not_hang_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("state.db")).unwrap();
    let (answer, answers) = mpsc::channel();
    let (got, batches) = mpsc::channel();
    let sinks = Sinks::start(&store, vec![all(Scripted { answers, got })], FAST).unwrap();
    append(&store, 1..=1);
    assert_eq!(batches.recv().unwrap(), [1]);
    assert!(!sinks.shutdown(Duration::from_millis(10)));
    drop(answer);
}

struct Panics;

impl Sink for Panics {
    fn name(&self) -> &str {
        "panics"
    }

    fn resume(&mut self, _: Head) -> Result<Head, SinkError> {
        panic!("a sink with a bug")
    }

    fn send(&mut self, _: &[Delivery]) -> Result<(), SinkError> {
        Ok(())
    }
}

#[test]
fn a_sink_that_panics_shows_as_dead() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("state.db")).unwrap();
    let sinks = Sinks::start(&store, vec![all(Panics)], FAST).unwrap();
    assert!(store.wait(Some(SOON), |_| sinks.status().unwrap()[0].error.is_some()));
    assert!(sinks.shutdown(Duration::from_secs(1)));
}

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
