//! Ten thousand events that wait for a sink of each kind: all of them arrive, in order, and the agent's memory hardly grows.

use std::{
    fs,
    io::Read as _,
    net::TcpListener,
    os::unix::fs::{PermissionsExt as _, chown},
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use time::OffsetDateTime;
use twotap::audit::{
    checkpoint::CheckpointKey,
    event::{Actor, Event, EventType as E, Record},
    folder::Folder,
};
use twotap_rig::{memory, tools::git};

use crate::{
    agent::configure,
    agent_support::{AGENT, DANA, Host, paper::Paper},
    outside_support::{Does, Receiver, SECRET},
    record_at_aws::{Bench, PREFIX, REGION},
};

/// How long a machine that does much else may need for all of them.
const BOUND: Duration = Duration::from_secs(300);
/// How many wait, each in a line of 4 kB: 40 MB.
const EVENTS: u64 = 10_000;
/// How many are of one request; a checkpoint is behind the last.
const REQUEST: u64 = 100;

/// An agent whose sinks have everything, and do not run.
struct Queue {
    host: Host,
    /// The most memory that it used while nothing waited, in bytes.
    idle: usize,
}

impl Queue {
    /// Runs an agent with these sinks until they hold what there is, and stops it.
    fn of(mut host: Host, sinks: &str) -> Self {
        configure(&host, sinks);
        host.start_agent();
        held(&host);
        let idle = peak(&host);
        host.stop_agent();
        Self { host, idle }
    }

    /// Puts the events on record while no agent runs, and runs it until every sink holds them. `grown` is the most that its memory may grow, in bytes.
    fn drains(&mut self, what: &str, grown: usize) {
        fill(&self.host);
        let begun = Instant::now();
        self.host.start_agent();
        // Asked often: the rest is to be still before it.
        holds(&self.host, EVENTS / 3, Duration::from_millis(5));
        let third = peak(&self.host);
        held(&self.host);
        let took = begun.elapsed();
        let peak = peak(&self.host);
        // The kernel's counts are near, not exact.
        let (more, later) = (peak.saturating_sub(self.idle), peak.saturating_sub(third));
        println!(
            "{what}: {EVENTS} events in {took:.1?}; idle {} MiB, at most {} MiB more, of that {} MiB after the first third",
            self.idle >> 20,
            more >> 20,
            later >> 20
        );
        assert!(more < grown, "{what}: {} MiB more than idle", more >> 20);
        // What waits behind costs nothing, however much it is.
        assert!(later < 12 << 20, "{what}: it goes on growing");
    }

    /// The record's lines.
    fn lines(&self) -> Vec<Vec<u8>> {
        let folder = Folder::open(&self.host.path("audit")).expect("its folder");
        let mut bytes = Vec::new();
        let mut lines = folder.lines().expect("lines");
        lines.read_to_end(&mut bytes).expect("read");
        let lines = bytes.split(|b| *b == b'\n').filter(|l| !l.is_empty());
        let lines: Vec<_> = lines.map(<[u8]>::to_vec).collect();
        assert!(lines.len() as u64 > EVENTS);
        lines
    }
}

/// Waits until every sink holds what is on record.
fn held(host: &Host) {
    holds(host, u64::MAX, Duration::from_millis(50));
}

/// Waits until every sink holds so many events, or what there is; between two looks is this pause.
fn holds(host: &Host, events: u64, pause: Duration) {
    let begun = Instant::now();
    loop {
        let status = host.status(DANA);
        let head = status.head.seq.min(events);
        if status.sinks.iter().all(|s| s.acknowledged >= head) {
            return;
        }
        assert!(begun.elapsed() < BOUND, "not in time: {:?}", status.sinks);
        thread::sleep(pause);
    }
}

/// The most memory that the agent has ever used, in bytes.
fn peak(host: &Host) -> usize {
    let pid = host.agent_pid().as_raw_nonzero().get().unsigned_abs();
    memory::peak(pid).expect("it runs")
}

/// Each event arrived, and none before the one ahead of it. What ran out of time is sent again, so some may have come twice.
fn came_in_order(numbers: impl IntoIterator<Item = u64>) {
    let mut next = 1;
    for number in numbers {
        assert!(number <= next, "{number} came before {next}");
        next = next.max(number + 1);
    }
    assert!(next > EVENTS, "{next} is the first that did not come");
}

/// The events of many incidents, each with its checkpoint.
fn fill(host: &Host) {
    let key = host.path("state/checkpoint.key");
    chown(&key, Some(0), Some(0)).expect("owner");
    let key = CheckpointKey::open_or_create(&key, "host-1").expect("its key");
    let text = "x".repeat(3_600);
    host.with_store(|store| {
        for request in 0..EVENTS / REQUEST {
            let done = store.commit(|tx| {
                let now = OffsetDateTime::now_utc();
                for n in 1..REQUEST {
                    let kind = match n {
                        1 => E::BreakGlassRequested,
                        _ if n == REQUEST - 1 => E::ReviewDue,
                        _ => E::BreakGlassAction,
                    };
                    let event = Event::new(kind, Actor::person("dana").expect("a name"))
                        .correlation(format!("r-{request:013}"))
                        .incident(format!("INC-{}", request / 2))
                        .justification(text.clone())
                        .detail("vault", "prod");
                    tx.append(&event, now)?;
                }
                tx.checkpoint(&key, "host-key-id", now)
            });
            done.expect("appended");
        }
    });
}

/// A file of the agent's own.
fn secret(host: &Host, name: &str, bytes: &[u8]) {
    let path = host.path(name);
    fs::write(&path, bytes).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("private");
    chown(&path, Some(AGENT), Some(AGENT)).expect("owner");
}

fn host() -> Host {
    Host::prepare(Paper::new())
}

/// A receiver that reads everything and keeps nothing.
fn drain(listener: TcpListener, read: Arc<AtomicUsize>) {
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut buffer = vec![0; 1 << 16];
            while let Ok(n @ 1..) = stream.read(&mut buffer) {
                read.fetch_add(n, Ordering::SeqCst);
            }
        }
    });
}

#[test]
fn ten_thousand_events_drain_to_four_syslog_receivers_and_a_file() {
    let read = Arc::<AtomicUsize>::default();
    let mut tables = String::new();
    for n in 0..4 {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let confirm = if n % 2 == 0 { "close" } else { "kernel" };
        tables.push_str(&format!(
            "[sinks.s{n}]\nkind = 'syslog'\ntcp = '{}'\nconfirm = '{confirm}'\n",
            listener.local_addr().expect("its address")
        ));
        drain(listener, Arc::clone(&read));
    }
    let mut queue = Queue::of(host(), &tables);
    // Five sinks, each with a batch of 1 MiB and what is made of it.
    queue.drains("four syslog receivers and a file", 32 << 20);
    let bytes: usize = queue.lines().iter().map(Vec::len).sum();
    // What was handed to the system may be on its way to the receiver.
    let begun = Instant::now();
    while read.load(Ordering::SeqCst) < 4 * bytes {
        assert!(begun.elapsed() < BOUND, "four times all of it");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn ten_thousand_events_drain_to_a_webhook() {
    let receiver = Receiver::start(Does::Takes);
    let host = host();
    secret(&host, "secret", SECRET.as_bytes());
    let url = receiver.url();
    let table = format!("[sinks.hook]\nkind = 'webhook'\nurl = '{url}'\nsecret_file = 'secret'\n");
    let mut queue = Queue::of(host, &table);
    queue.drains("webhook", 16 << 20);
    came_in_order(receiver.all().iter().map(|got| got.seq()));
}

#[test]
fn ten_thousand_events_drain_to_s3() {
    let bench = Bench::new();
    let host = host();
    let table = at_aws(&host, &bench, "worm", "s3");
    let (bucket, more) = (&bench.bucket, "mode = 'GOVERNANCE'\nretention_days = 7\n");
    let table = format!("{table}bucket = '{bucket}'\nprefix = '{PREFIX}'\n{more}");
    let mut queue = Queue::of(host, &table);
    // A batch of 4 MiB, which is an object, as it is sent and as it is read back.
    queue.drains("s3", 64 << 20);
    let lines = queue.lines();
    let stored = bench.held();
    let stored: Vec<&[u8]> = stored
        .split(|b| *b == b'\n')
        .filter(|l| !l.is_empty())
        .collect();
    assert!(stored.len() as u64 > EVENTS);
    assert!(stored.iter().zip(&lines).all(|(a, b)| a == b));
    // Batches, not an object each.
    assert!(bench.keys().len() < 200, "{}", bench.keys().len());
}

#[test]
fn ten_thousand_events_drain_to_eventbridge() {
    let bench = Bench::without_bucket();
    let made = bench.admin.json(
        "events",
        "AWSEvents.CreateEventBus",
        &json!({ "Name": "twotap" }),
    );
    made.and_then(|made| made.expect_ok("a bus"))
        .expect("a bus");
    let host = host();
    let table = at_aws(&host, &bench, "bus", "eventbridge");
    let mut queue = Queue::of(host, &format!("{table}bus = 'twotap'\n"));
    queue.drains("eventbridge", 16 << 20);
    let mut seen = Vec::new();
    for call in bench.proxy.calls_of("events:PutEvents") {
        let entries = call.param("Entries").expect("entries");
        let entries: Vec<Value> = serde_json::from_str(entries).expect("JSON");
        for entry in entries {
            let detail = entry["Detail"].as_str().expect("a detail");
            let detail: Value = serde_json::from_str(detail).expect("JSON");
            seen.push(detail["seq"].as_u64().expect("a number"));
        }
    }
    came_in_order(seen);
}

/// The keys that sinks at AWS have in common.
fn at_aws(host: &Host, bench: &Bench, name: &str, kind: &str) -> String {
    let key = fs::read(&bench.key).expect("its key");
    secret(host, "audit-writer.json", &key);
    let endpoint = bench.proxy.endpoint();
    format!(
        "[sinks.{name}]\nkind = '{kind}'\nregion = '{REGION}'\ncredential = 'audit-writer.json'\nendpoint = '{endpoint}'\n"
    )
}

#[test]
fn ten_thousand_events_drain_to_git() {
    let host = host();
    let remote = host.path("remote.git");
    git(
        Path::new("/"),
        &["init", "--quiet", "--bare", &remote.display().to_string()],
    );
    let owned = Command::new("chown")
        .args(["-R", &format!("{AGENT}:{AGENT}")])
        .arg(&remote)
        .status();
    assert!(owned.expect("chown").success());
    let mut queue = Queue::of(
        host,
        "[sinks.evidence]\nkind = 'git'\nremote = 'remote.git'\n",
    );
    // A batch of 4 MiB, the files of the record that it goes to, and those of the requests that it ends.
    queue.drains("git", 96 << 20);
    let commits = git(&remote, &["log", "--format=%s", "evidence/host-1"]);
    let (ended, batches) = (
        commits.lines().count() as u64,
        git(&remote, &["rev-list", "--count", "record/host-1"]),
    );
    println!(
        "git: {ended} commits with evidence, {} of the record",
        batches.trim()
    );
    assert_eq!(ended, EVENTS / REQUEST);
    let names = git(
        &remote,
        &["ls-tree", "--name-only", "record/host-1", "record/"],
    );
    let files = names
        .lines()
        .map(|name| git(&remote, &["show", &format!("record/host-1:{name}")]));
    let stored: String = files.collect();
    let stored: Vec<&str> = stored.lines().collect();
    assert!(stored.len() as u64 > EVENTS);
    let lines = queue.lines();
    assert!(stored.iter().zip(&lines).all(|(a, b)| a.as_bytes() == b));
    let first = Record::parse(stored[0].as_bytes()).expect("an event");
    assert_eq!(first.seq, 1);
}
