mod found;

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
    assert_eq!(cursor(&store, "scripted").unwrap(), Head::default());
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

/// A clock as far ahead, and dice, as the test says.
#[derive(Clone)]
struct Loaded(std::sync::Arc<std::sync::Mutex<(Duration, f64)>>);

impl Loaded {
    fn new(random: f64) -> Self {
        Self(std::sync::Arc::new(std::sync::Mutex::new((
            Duration::ZERO,
            random,
        ))))
    }

    fn set(&self, ahead: Duration, random: f64) {
        *self.0.lock().unwrap() = (ahead, random);
    }
}

impl Pace for Loaded {
    fn now(&self) -> std::time::Instant {
        std::time::Instant::now() + self.0.lock().unwrap().0
    }

    fn random(&self) -> f64 {
        self.0.lock().unwrap().1
    }
}

/// A scripted sink, with what answers it and what it got.
type Script = (
    mpsc::Sender<Result<(), SinkError>>,
    mpsc::Receiver<Vec<u64>>,
);

fn scripted(store: &Store, backoff: Backoff, pace: &Loaded) -> (Sinks, Script) {
    let (answer, answers) = mpsc::channel();
    let (got, batches) = mpsc::channel();
    let sinks = vec![all(Scripted { answers, got })];
    let pace = std::sync::Arc::new(pace.clone());
    let sinks = Sinks::start_at(store, sinks, backoff, pace).unwrap();
    (sinks, (answer, batches))
}

/// Pauses from 10 ms to a day.
const LONG: Backoff = Backoff {
    first: Duration::from_millis(10),
    longest: Duration::from_secs(24 * 60 * 60),
};

/// So many failures in a row that a whole pause takes minutes; with these dice each takes a thousandth of it.
fn fails_often(pace: &Loaded, (answer, batches): &Script) {
    pace.set(Duration::ZERO, 0.0);
    for _ in 0..16 {
        answer
            .send(Err(SinkError::Unavailable("no route".to_owned())))
            .unwrap();
        assert_eq!(batches.recv_timeout(SOON).unwrap(), [1]);
    }
}

#[test]
fn pauses_are_drawn_grow_with_failures_in_a_row_and_end_with_the_agent() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("state.db")).unwrap();
    let pace = Loaded::new(0.0);
    let (sinks, script) = scripted(&store, LONG, &pace);
    append(&store, 1..=1);
    assert_eq!(script.1.recv_timeout(SOON).unwrap(), [1]);
    fails_often(&pace, &script);
    pace.set(Duration::ZERO, 1.0);
    let down = SinkError::Unavailable("no route".to_owned());
    script.0.send(Err(down)).unwrap();
    // Now it would take eleven minutes.
    let early = script.1.recv_timeout(Duration::from_millis(300));
    assert_eq!(early, Err(mpsc::RecvTimeoutError::Timeout));
    sinks.shutdown(Duration::from_millis(1));
    assert!(sinks_ended(&script), "who pauses hears that it ends");
}

/// Whether the thread has let go of its sink.
fn sinks_ended((_, batches): &Script) -> bool {
    batches.recv_timeout(SOON) == Err(mpsc::RecvTimeoutError::Disconnected)
}

#[test]
fn after_a_success_pauses_begin_anew() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("state.db")).unwrap();
    let pace = Loaded::new(0.0);
    let (sinks, script) = scripted(&store, LONG, &pace);
    append(&store, 1..=1);
    assert_eq!(script.1.recv_timeout(SOON).unwrap(), [1]);
    fails_often(&pace, &script);
    script.0.send(Ok(())).unwrap();
    assert!(sinks.wait_acknowledged("scripted", 1, SOON));
    append(&store, 2..=2);
    assert_eq!(script.1.recv_timeout(SOON).unwrap(), [2]);
    pace.set(Duration::ZERO, 1.0);
    let down = SinkError::Unavailable("no route".to_owned());
    script.0.send(Err(down)).unwrap();
    assert_eq!(script.1.recv_timeout(SOON).unwrap(), [2]);
    drop(sinks);
    drop(script);
}

#[test]
fn a_receiver_that_asks_for_time_is_given_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("state.db")).unwrap();
    let (sinks, script) = scripted(&store, FAST, &Loaded::new(1.0));
    append(&store, 1..=1);
    assert_eq!(script.1.recv_timeout(SOON).unwrap(), [1]);
    let busy = SinkError::Busy {
        why: "later".to_owned(),
        wait: Duration::from_secs(600),
    };
    script.0.send(Err(busy)).unwrap();
    let early = script.1.recv_timeout(Duration::from_millis(300));
    assert_eq!(early, Err(mpsc::RecvTimeoutError::Timeout));
    // Who lets go of the sinks ends them.
    drop(sinks);
    assert!(sinks_ended(&script));
}

#[test]
fn a_sink_that_does_not_come_back_shows_as_failing_and_since_when_it_lacks_something() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("state.db")).unwrap();
    let pace = Loaded::new(1.0);
    let (sinks, script) = scripted(&store, FAST, &pace);
    append(&store, 1..=1);
    assert_eq!(script.1.recv_timeout(SOON).unwrap(), [1]);
    script.0.send(Ok(())).unwrap();
    assert!(sinks.wait_acknowledged("scripted", 1, SOON));
    let later = NOW + ::time::Duration::HOUR;
    store.commit(|tx| tx.append(&event(2), later)).unwrap();
    assert_eq!(script.1.recv_timeout(SOON).unwrap(), [2]);
    let status = || sinks.status().unwrap().remove(0);
    assert_eq!(status().error, None);
    assert_eq!(status().oldest.as_deref(), Some("2026-01-06T11:00:00.123Z"));
    pace.set(BOUND * 2, 1.0);
    let why = status().error.expect("it hangs").to_string();
    assert!(why.contains("does not come back"), "{why}");
    // It does come back, twice with a failure: it has been failing since the first.
    let down = || Err(SinkError::Unavailable("no route".to_owned()));
    script.0.send(down()).unwrap();
    assert_eq!(script.1.recv_timeout(SOON).unwrap(), [2]);
    pace.set(BOUND * 20, 1.0);
    script.0.send(down()).unwrap();
    assert_eq!(script.1.recv_timeout(SOON).unwrap(), [2]);
    assert!(status().failing_for.is_some_and(|f| f > BOUND * 10));
    script.0.send(Ok(())).unwrap();
    assert!(sinks.shutdown(SOON));
}

/// Lines that are taken out of the store under the agent's feet: no sink goes round in circles for them.
#[test]
fn an_event_that_was_announced_and_is_not_there_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.db");
    let store = Store::open(&path).unwrap();
    let slow = Backoff {
        first: Duration::from_millis(200),
        longest: Duration::from_millis(200),
    };
    let (sinks, script) = scripted(&store, slow, &Loaded::new(1.0));
    append(&store, 1..=2);
    let first = script.1.recv_timeout(SOON).unwrap();
    let db = rusqlite::Connection::open(&path).unwrap();
    let triggers: Vec<String> = db
        .prepare("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    for name in triggers {
        db.execute_batch(&format!("DROP TRIGGER {name}")).unwrap();
    }
    let last = *first.last().unwrap();
    append(&store, 3..=3);
    db.pragma_update(None, "foreign_keys", false).unwrap();
    db.execute("DELETE FROM events WHERE seq > ?1", [last])
        .unwrap();
    script.0.send(Ok(())).unwrap();
    let says = |seq| {
        let error = sinks.status().unwrap().remove(0).error;
        matches!(error, Some(SinkError::Diverged { seq: found, .. }) if found == seq)
    };
    assert!(store.wait(Some(SOON), |_| says(last + 1)));
    drop(sinks);
}

/// A sink that looks after itself.
struct Tends {
    resumed: mpsc::Sender<()>,
    finds: mpsc::Receiver<Result<(), SinkError>>,
}

impl Sink for Tends {
    fn name(&self) -> &str {
        "tends"
    }

    fn resume(&mut self, cursor: Head) -> Result<Head, SinkError> {
        let _ = self.resumed.send(());
        Ok(cursor)
    }

    fn send(&mut self, _: &[Delivery]) -> Result<(), SinkError> {
        Ok(())
    }

    fn tend_every(&self) -> Option<Duration> {
        Some(Duration::from_millis(1))
    }

    fn tend(&mut self) -> Result<(), SinkError> {
        self.finds.recv_timeout(SOON).unwrap_or(Ok(()))
    }
}

#[test]
fn a_sink_with_nothing_to_do_looks_after_itself_and_begins_anew_where_it_finds_something() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("state.db")).unwrap();
    let ((find, finds), (resumed, resumes)) = (mpsc::channel(), mpsc::channel());
    let sinks = vec![all(Tends { resumed, finds })];
    let sinks = Sinks::start(&store, sinks, FAST).unwrap();
    resumes.recv_timeout(SOON).unwrap();
    find.send(Ok(())).unwrap();
    let gone = SinkError::Unavailable("the bucket is gone".to_owned());
    find.send(Err(gone)).unwrap();
    resumes.recv_timeout(SOON).expect("it begins anew");
    drop(find);
    drop(sinks);
}
