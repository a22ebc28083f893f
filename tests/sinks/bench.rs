//! A store, sinks on it as `agent.toml` would have them, and a clock that the test moves.

use std::{
    ops::RangeInclusive,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use time::OffsetDateTime;
use twotap::audit::{
    event::{Actor, Event, EventType, Record},
    sinks::{
        Backoff, Opening, Options, Pace, Sink, SinkConfigError, SinkStatus, Sinks,
        syslog::{Patience, SyslogConfig},
    },
    store::Store,
};

/// How long anything may take before a test gives up on it.
pub(crate) const BOUND: Duration = Duration::from_secs(60);

/// Hardly any pause between two tries.
pub(crate) const FAST: Backoff = Backoff {
    first: Duration::from_millis(2),
    longest: Duration::from_millis(50),
};

pub(crate) struct Bench {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) store: Store,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("twotap-sinks-")
            .tempdir()
            .expect("a folder");
        let store = Store::open(&dir.path().join("state.db")).expect("a store");
        Self { dir, store }
    }

    /// Events, all in one transaction.
    pub(crate) fn append(&self, numbers: RangeInclusive<u64>) {
        self.append_long(numbers, 40);
    }

    /// Events whose lines are at least so long.
    pub(crate) fn append_long(&self, numbers: RangeInclusive<u64>, length: usize) {
        let done = self.store.commit(|tx| {
            for n in numbers {
                tx.append(&event(n, length), OffsetDateTime::now_utc())?;
            }
            Ok(())
        });
        done.expect("appended");
    }

    /// The lines as they stand in the store.
    pub(crate) fn lines(&self) -> Vec<Vec<u8>> {
        let lines = self.store.lines();
        lines.map(|e| e.expect("a line").line).collect()
    }

    /// A syslog sink by the keys of its table.
    pub(crate) fn syslog(&self, name: &str, keys: &str) -> (Box<dyn Sink>, Options) {
        let sink = self.try_syslog(name, keys).expect("good settings");
        (sink, Options::default())
    }

    pub(crate) fn try_syslog(
        &self,
        name: &str,
        keys: &str,
    ) -> Result<Box<dyn Sink>, SinkConfigError> {
        let config: SyslogConfig = toml::from_str(keys).expect("settings");
        config.open(&self.opening(name))
    }

    /// One that waits for its receiver so long.
    pub(crate) fn patient(
        &self,
        name: &str,
        keys: &str,
        patience: Patience,
    ) -> (Box<dyn Sink>, Options) {
        let config: SyslogConfig = toml::from_str(keys).expect("settings");
        let sink = config.open_within(&self.opening(name), patience);
        (sink.expect("good settings"), Options::default())
    }

    fn opening<'a>(&'a self, name: &'a str) -> Opening<'a> {
        Opening {
            name,
            folder: self.dir.path(),
            state: self.dir.path(),
            host: "host-1",
        }
    }

    /// Sinks that try again fast.
    pub(crate) fn start(&self, sinks: Vec<(Box<dyn Sink>, Options)>) -> Sinks {
        Sinks::start(&self.store, sinks, FAST).expect("threads")
    }

    pub(crate) fn head(&self) -> u64 {
        self.store.head().expect("a head").seq
    }

    /// Waits until a sink holds everything.
    pub(crate) fn held(&self, sinks: &Sinks, name: &str) {
        let held = sinks.wait_acknowledged(name, self.head(), BOUND);
        assert!(held, "{:?}", status(sinks, name));
    }

    /// Waits until a sink says why it fails.
    pub(crate) fn fails(&self, sinks: &Sinks, name: &str, words: &str) {
        let says = |status: SinkStatus| status.error.is_some_and(|e| e.to_string().contains(words));
        let failed = self.store.wait(Some(BOUND), |_| says(status(sinks, name)));
        assert!(failed, "{words:?}: {:?}", status(sinks, name));
    }
}

pub(crate) fn status(sinks: &Sinks, name: &str) -> SinkStatus {
    let all = sinks.status().expect("status");
    all.into_iter().find(|s| s.name == name).expect("the sink")
}

fn event(n: u64, length: usize) -> Event {
    let text = format!("n° {n} \"quoted\" {}", "x".repeat(length));
    Event::new(
        EventType::BreakGlassAction,
        Actor::person("dana").expect("a name"),
    )
    .correlation("r-abcdefghijklm")
    .incident("INC-42")
    .justification(text)
}

/// What a reader makes of repetitions: each `seq` once, and every repetition the same bytes.
pub(crate) fn distinct(lines: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut found: Vec<Vec<u8>> = Vec::new();
    for line in lines {
        let record = Record::parse(line).unwrap_or_else(|why| {
            panic!("{why}: {}", String::from_utf8_lossy(line));
        });
        match record.seq - 1 {
            seq if seq == found.len() as u64 => found.push(line.clone()),
            seq => {
                let first = found.get(seq as usize);
                assert_eq!(first, Some(line), "event {} before its turn", record.seq);
            }
        }
    }
    found
}

/// The lines of a file; what is not ended by a newline yet is left out.
pub(crate) fn lines_of(path: &Path) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(path).unwrap_or_default();
    let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
    let lines = bytes[..whole].split(|b| *b == b'\n');
    lines
        .filter(|l| !l.is_empty())
        .map(<[u8]>::to_vec)
        .collect()
}

/// Waits for a condition, with a bound.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < BOUND, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A clock that stands as far ahead as the test says.
#[derive(Clone, Default)]
pub(crate) struct Ahead(Arc<AtomicU64>);

impl Ahead {
    pub(crate) fn by(&self, time: Duration) {
        self.0.fetch_add(time.as_secs(), Ordering::SeqCst);
    }
}

impl Pace for Ahead {
    fn now(&self) -> Instant {
        Instant::now() + Duration::from_secs(self.0.load(Ordering::SeqCst))
    }

    fn random(&self) -> f64 {
        1.0
    }
}
