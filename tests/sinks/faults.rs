//! Receivers that misbehave, made up at the wire: what each of them costs is its own lag, and nothing else.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use twotap::audit::{
    chain::Head,
    event::EventType,
    folder::{Folder, Rotate},
    sinks::{
        Backoff, Begins, Delivery, FileSink, Only, Options, Sink, SinkError, SinkStatus, Sinks,
        syslog::Patience,
    },
};

use crate::bench::{Ahead, BOUND, Bench, FAST, distinct, lines_of, status, until};

/// What a receiver is given to take a batch, where a test waits for the end of it.
const PATIENCE: Patience = Patience {
    deliver: Duration::from_secs(2),
    look: Duration::from_millis(100),
};

/// A receiver of octet-counted messages on TCP, in this process; it ends with the test.
struct Receiver {
    listener: TcpListener,
    got: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Receiver {
    fn new() -> Self {
        Self::at("127.0.0.1")
    }

    /// At an address that no other test uses: a port that is given back there is nobody else's before it is taken again.
    fn at(address: &str) -> Self {
        Self {
            listener: TcpListener::bind((address, 0)).expect("a port"),
            got: Arc::default(),
        }
    }

    fn keys(&self) -> String {
        format!(
            "tcp = '{}'",
            self.listener.local_addr().expect("its address")
        )
    }

    /// Takes connections from now on, each in turn as `answer` does; it stops when `answer` says so.
    fn answer(
        &self,
        mut answer: impl FnMut(TcpStream, &Mutex<Vec<Vec<u8>>>) -> bool + Send + 'static,
    ) {
        let listener = self.listener.try_clone().expect("a second handle");
        let got = Arc::clone(&self.got);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if !answer(stream, &got) {
                    break;
                }
            }
        });
    }

    /// The lines that it was sent, repetitions included.
    fn lines(&self) -> Vec<Vec<u8>> {
        self.got.lock().expect("a lock").clone()
    }
}

/// Reads a connection to its end and keeps its messages' lines.
fn read_whole(mut stream: TcpStream, got: &Mutex<Vec<Vec<u8>>>) -> bool {
    let mut bytes = Vec::new();
    if stream.read_to_end(&mut bytes).is_ok() {
        keep(&bytes, got);
    }
    true
}

/// Keeps the messages that are whole.
fn keep(mut bytes: &[u8], got: &Mutex<Vec<Vec<u8>>>) {
    while let Some(space) = bytes.iter().position(|b| *b == b' ') {
        let length = std::str::from_utf8(&bytes[..space]).expect("digits");
        let length: usize = length.parse().expect("a number");
        let Some(message) = bytes.get(space + 1..space + 1 + length) else {
            return;
        };
        let line = message.iter().position(|b| *b == b'{').expect("a line");
        got.lock().expect("a lock").push(message[line..].to_vec());
        bytes = &bytes[space + 1 + length..];
    }
}

fn file(bench: &Bench) -> (Box<dyn Sink>, Options) {
    let sink = FileSink::new(&bench.dir.path().join("record"));
    (Box::new(sink), Options::default())
}

/// Dead, slow, half-open, black hole: events are committed, and another sink has them, as if the receiver were not there.
#[test]
fn whatever_a_receiver_does_nobody_waits_for_it() {
    let bench = Bench::new();
    let dead = Receiver::at("127.77.4.1").keys();
    let (slow, half_open, hole) = (Receiver::new(), Receiver::new(), Receiver::new());
    slow.answer(|mut stream, _| {
        // A byte now and then, for ever.
        while stream.read(&mut [0; 1]).is_ok_and(|n| n > 0) {
            thread::sleep(Duration::from_millis(50));
        }
        true
    });
    let (keep_open, opened) = mpsc::channel();
    half_open.answer(move |stream, _| keep_open.send(stream).is_ok());
    let sinks = bench.start(vec![
        bench.syslog("dead", &dead),
        bench.syslog("slow", &slow.keys()),
        bench.patient("half-open", &half_open.keys(), PATIENCE),
        // Connections stand in its queue and are never taken.
        bench.patient("hole", &hole.keys(), PATIENCE),
        file(&bench),
    ]);
    // With two seconds for each of them, of two receivers, it would take minutes.
    let begun = Instant::now();
    for n in 1..=200 {
        bench.append(n..=n);
    }
    bench.held(&sinks, "file");
    assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());
    bench.fails(&sinks, "dead", "refused");
    for name in ["dead", "slow", "half-open", "hole"] {
        let status = status(&sinks, name);
        assert_eq!((status.acknowledged, status.lag), (0, 200), "{name}");
        assert!(status.oldest.is_some(), "{name}");
    }
    // A receiver that takes and does not answer is found out within the bound that a call has.
    bench.fails(&sinks, "half-open", "has not read and closed within 2 s");
    bench.fails(&sinks, "hole", "has not read and closed within 2 s");
    drop(opened);
}

#[test]
fn after_days_all_of_it_comes_in_order() {
    let bench = Bench::new();
    let receiver = Receiver::at("127.77.4.2");
    let address = receiver.listener.local_addr().expect("its address");
    let (keys, clock) = (receiver.keys(), Ahead::default());
    drop(receiver);
    let sinks = vec![bench.syslog("siem", &keys)];
    let sinks = Sinks::start_at(&bench.store, sinks, FAST, Arc::new(clock.clone()));
    let sinks = sinks.expect("threads");
    bench.append(1..=1);
    bench.fails(&sinks, "siem", "refused");
    for _day in 0..3 {
        clock.by(Duration::from_secs(24 * 3600));
        let head = bench.head();
        bench.append(head + 1..=head + 400);
    }
    let late = status(&sinks, "siem");
    assert_eq!((late.acknowledged, late.lag), (0, 1_201));
    assert!(
        late.failing_for >= Some(Duration::from_secs(3 * 24 * 3600)),
        "{late:?}"
    );

    let listener = TcpListener::bind(address).expect("the same port");
    let receiver = Receiver {
        listener,
        got: Arc::default(),
    };
    receiver.answer(read_whole);
    bench.held(&sinks, "siem");
    assert_eq!(receiver.lines(), bench.lines(), "once each, in order");
    let now = status(&sinks, "siem");
    assert_eq!((now.lag, now.failing_for, now.error), (0, None, None));
}

/// It takes a batch, keeps it, and breaks the connection before it says so; every other time.
#[test]
fn what_comes_twice_is_told_by_its_number() {
    for confirm in ["close", "kernel"] {
        let bench = Bench::new();
        let receiver = Receiver::new();
        let mut turn = 0;
        receiver.answer(move |mut stream, got| {
            turn += 1;
            if turn % 2 == 0 {
                return read_whole(stream, got);
            }
            let mut bytes = vec![0; 2_000];
            let mut n = 0;
            while n < 2_000 {
                match stream.read(&mut bytes[n..]) {
                    Ok(0) | Err(_) => break,
                    Ok(more) => n += more,
                }
            }
            keep(&bytes[..n], got);
            // An answer that is none, and bytes unread behind: a reset.
            let _ = stream.write_all(b"x");
            true
        });
        let keys = format!("{}\nconfirm = '{confirm}'", receiver.keys());
        let sinks = bench.start(vec![bench.syslog("siem", &keys)]);
        for n in 0..20 {
            bench.append(n * 15 + 1..=n * 15 + 15);
            bench.held(&sinks, "siem");
        }
        if confirm == "kernel" {
            // What the receiving system holds may be on its way to its process.
            sinks.shutdown(BOUND);
            until("the last connection is read", || {
                receiver.lines().last() == bench.lines().last()
            });
        }
        let got = receiver.lines();
        assert!(got.len() > 300, "{confirm}: nothing came twice");
        assert_eq!(distinct(&got), bench.lines(), "{confirm}");
    }
}

/// A sink that is out of the network: it counts what it is handed, at once and all together.
struct Counts {
    most: Arc<Mutex<(usize, usize)>>,
    works: Arc<AtomicBool>,
}

impl Sink for Counts {
    fn name(&self) -> &str {
        "counts"
    }

    fn resume(&mut self, cursor: Head) -> Result<Head, SinkError> {
        Ok(cursor)
    }

    fn send(&mut self, batch: &[Delivery]) -> Result<(), SinkError> {
        let mut most = self.most.lock().expect("a lock");
        let bytes = batch.iter().map(|d| d.size()).sum();
        *most = (most.0.max(batch.len()), most.1.max(bytes));
        match self.works.load(Ordering::SeqCst) {
            true => Ok(()),
            false => Err(SinkError::Unavailable("down".into())),
        }
    }
}

#[test]
fn ten_thousand_events_are_handed_over_in_bounded_pieces() {
    let bench = Bench::new();
    let (most, works) = (
        Arc::<Mutex<(usize, usize)>>::default(),
        Arc::<AtomicBool>::default(),
    );
    let counts = Counts {
        most: Arc::clone(&most),
        works: Arc::clone(&works),
    };
    let receiver = Receiver::new();
    receiver.answer(read_whole);
    let sinks = bench.start(vec![
        (Box::new(counts), Options::default()),
        bench.syslog("siem", &receiver.keys()),
        file(&bench),
    ]);
    for some in 0..10 {
        bench.append_long(some * 1_000 + 1..=some * 1_000 + 1_000, 1_500);
    }
    // Lines that are far longer count by their bytes.
    bench.append_long(10_001..=10_030, 120_000);
    bench.held(&sinks, "file");
    bench.held(&sinks, "siem");
    assert_eq!(status(&sinks, "counts").lag, 10_030);
    works.store(true, Ordering::SeqCst);
    bench.held(&sinks, "counts");
    let most = *most.lock().expect("a lock");
    assert_eq!(most.0, 256);
    assert!(most.1 <= 1 << 20, "{most:?}");
    let lines = bench.lines();
    assert_eq!(receiver.lines(), lines);
    assert_eq!(
        lines_of(&bench.dir.path().join("record/events.jsonl")),
        lines
    );
}

#[test]
fn a_sink_is_sent_what_it_is_for_and_what_comes_after_it_was_named() {
    let bench = Bench::new();
    bench.append(1..=5);
    let alert = || {
        let denied = twotap::audit::event::Event::new(
            EventType::BreakGlassDenied,
            twotap::audit::event::Actor::person("bob").expect("a name"),
        );
        let now = time::OffsetDateTime::now_utc();
        let done = bench.store.commit(|tx| tx.append(&denied, now));
        done.expect("appended");
    };
    alert();
    let receiver = Receiver::new();
    receiver.answer(read_whole);
    let (mut sink, mut options) = bench.syslog("pager", &receiver.keys());
    options.only = Only::Alerts;
    // The history is nobody's alert; the syslog sink cannot look, so the cursor alone says where it begins.
    let sinks = bench.start(vec![(sink, options.clone())]);
    bench.held(&sinks, "pager");
    bench.append(7..=300);
    bench.held(&sinks, "pager");
    assert_eq!(
        receiver.lines(),
        Vec::<Vec<u8>>::new(),
        "steps are no alerts, and what was there before is none any more"
    );
    alert();
    bench.held(&sinks, "pager");
    assert_eq!(receiver.lines(), bench.lines()[300..]);
    assert!(sinks.shutdown(BOUND));
    // Started anew it goes on, and does not begin anew.
    (sink, _) = bench.syslog("pager", &receiver.keys());
    let sinks = bench.start(vec![(sink, options)]);
    bench.append(302..=302);
    bench.held(&sinks, "pager");
    assert_eq!(receiver.lines().len(), 1);
}

/// A sink that looks at its receiver before anything else, and cannot until it is allowed to.
struct Looks(Arc<AtomicBool>);

impl Sink for Looks {
    fn name(&self) -> &str {
        "looks"
    }

    fn resume(&mut self, cursor: Head) -> Result<Head, SinkError> {
        match self.0.load(Ordering::SeqCst) {
            true => Ok(cursor),
            false => Err(SinkError::Unavailable("down".into())),
        }
    }

    fn send(&mut self, _: &[Delivery]) -> Result<(), SinkError> {
        Ok(())
    }
}

/// No alert has to come before it is seen that the way to alert people is there again.
#[test]
fn a_sink_that_is_back_and_has_only_to_pass_over_events_fails_no_more() {
    let bench = Bench::new();
    let works = Arc::<AtomicBool>::default();
    let options = Options {
        only: Only::Alerts,
        from: Some(Begins::First),
        ..Options::default()
    };
    let sinks = bench.start(vec![(Box::new(Looks(Arc::clone(&works))), options)]);
    bench.append(1..=600);
    bench.fails(&sinks, "looks", "down");
    works.store(true, Ordering::SeqCst);
    bench.held(&sinks, "looks");
    let well = |status: SinkStatus| status.error.is_none() && status.failing_for.is_none();
    let seen = bench
        .store
        .wait(Some(BOUND), |_| well(status(&sinks, "looks")));
    assert!(seen, "{:?}", status(&sinks, "looks"));
}

#[test]
fn what_is_required_is_said_with_why_and_of_a_group_one_is_enough() {
    let bench = Bench::new();
    let (alive, dead) = (Receiver::new(), Receiver::at("127.77.4.3").keys());
    alive.answer(read_whole);
    let required = |group: Option<&str>| Options {
        required: true,
        group: group.map(str::to_owned),
        ..Options::default()
    };
    let sink = |name: &str, keys: &str, options| (bench.syslog(name, keys).0, options);
    let sinks = bench.start(vec![
        sink("alone", &dead, required(None)),
        sink("east", &dead, required(Some("offsite"))),
        sink("west", &alive.keys(), required(Some("offsite"))),
        sink("north", &dead, required(Some("paper"))),
        sink("south", &dead, required(Some("paper"))),
        sink("other", &dead, Options::default()),
    ]);
    bench.append(1..=1);
    bench.held(&sinks, "west");
    for name in ["alone", "east", "north", "south", "other"] {
        bench.fails(&sinks, name, "refused");
    }
    let lacking = sinks.lacking(1);
    let names: Vec<&[String]> = lacking.iter().map(|l| &l.sinks[..]).collect();
    assert_eq!(
        names,
        [&["alone".to_owned()][..], &["north".into(), "south".into()]]
    );
    assert!(
        lacking.iter().all(|l| l.why.contains("refused")),
        "{lacking:?}"
    );
    assert_eq!(lacking[1].group.as_deref(), Some("paper"));
    // Of an event that is yet to come nobody holds anything.
    assert_eq!(sinks.lacking(2).len(), 3);
}

#[test]
fn a_folder_of_many_files_is_one_record() {
    let bench = Bench::new();
    let dir = bench.dir.path().join("record");
    let rotate = Rotate {
        bytes: 8 * 1024,
        ..Rotate::NEVER
    };
    let open = || -> Vec<(Box<dyn Sink>, Options)> {
        let sink = FileSink::new(&dir).rotated(rotate);
        vec![(Box::new(sink), Options::default())]
    };
    for round in 0..4 {
        let sinks = Sinks::start(&bench.store, open(), Backoff::default()).expect("threads");
        for n in round * 25 + 1..=round * 25 + 25 {
            bench.append(n..=n);
            bench.held(&sinks, "file");
        }
        assert!(sinks.shutdown(BOUND));
    }
    let files = twotap::audit::folder::files(&dir).expect("its files");
    assert!(files.len() > 3, "{files:?}");
    let mut read = Vec::new();
    let mut lines = Folder::open(&dir)
        .expect("a folder")
        .lines()
        .expect("lines");
    lines.read_to_end(&mut read).expect("read");
    let stored: Vec<u8> = bench.lines().join(&b'\n');
    assert_eq!(read.strip_suffix(b"\n"), Some(&stored[..]));
}
