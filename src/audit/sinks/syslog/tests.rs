//! Settings, and receivers made up at the wire; a real rsyslog is asked by `tests/sinks.rs`.

use super::*;
use crate::audit::samples;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use rustix::net::{RecvFlags, recv, sockopt};

/// How long anything may take before a test gives up on it.
const BOUND: Duration = Duration::from_secs(60);

fn opening(folder: &Path) -> Opening<'_> {
    Opening {
        name: "siem",
        folder,
        state: folder,
        host: "host-1",
    }
}

fn sink(folder: &Path, text: &str) -> Result<Box<dyn Sink>, SinkConfigError> {
    let config: SyslogConfig = toml::from_str(text).unwrap();
    config.open(&opening(folder))
}

fn batch(numbers: std::ops::RangeInclusive<u64>) -> Vec<Delivery> {
    let lines = samples::lines(*numbers.end());
    let heads = samples::heads(&lines);
    let one = |seq: u64| Delivery {
        seq,
        hash: heads[seq as usize].hash,
        line: lines[seq as usize - 1].clone(),
        envelopes: Vec::new(),
        checkpoint: None,
    };
    numbers.map(one).collect()
}

/// What octet counting says of a stream: the messages, all whole.
fn messages(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let space = bytes.iter().position(|b| *b == b' ').unwrap();
        let length: usize = std::str::from_utf8(&bytes[..space])
            .unwrap()
            .parse()
            .unwrap();
        let rest = &bytes[space + 1..];
        found.push(rest[..length].to_vec());
        bytes = &rest[length..];
    }
    found
}

fn seqs(messages: &[Vec<u8>]) -> Vec<u64> {
    let seq = |message: &Vec<u8>| {
        let start = message.iter().position(|b| *b == b'{').unwrap();
        crate::audit::event::Record::parse(&message[start..])
            .unwrap()
            .seq
    };
    messages.iter().map(seq).collect()
}

/// A receiver on TCP, and a sink for it.
fn over_tcp(more: &str) -> (TcpListener, Box<dyn Sink>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let text = format!("tcp = '{}'\n{more}", listener.local_addr().unwrap());
    (listener, sink(Path::new("/"), &text).unwrap())
}

/// A receiver that answers the first connection as `answer` does.
fn answered(
    listener: &TcpListener,
    answer: impl FnOnce(TcpStream) + Send + 'static,
) -> thread::JoinHandle<()> {
    let listener = listener.try_clone().unwrap();
    thread::spawn(move || answer(listener.accept().unwrap().0))
}

#[test]
fn settings_with_which_it_cannot_work_are_named() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("empty.pem"), "").unwrap();
    for (text, words) in [
        ("", "kind: it has one of"),
        ("tcp = 'a:1'\nunix = '/dev/log'", "kind: it has one of"),
        ("tcp = 'a'", "tcp: \"a\" is not HOST:PORT"),
        ("tls = 'a:x'", "tls: \"a:x\" is not HOST:PORT"),
        ("tcp = 'a:1'\nca_file = 'x'", "tls: ca_file"),
        ("tls = 'a:1'\nca_file = 'none.pem'", "ca_file: "),
        ("tls = 'a:1'\nca_file = 'empty.pem'", "no certificate"),
        (
            "tls = 'a:1'\ncertificate = 'x'",
            "certificate: it goes with",
        ),
        ("tls = 'a:1'\nkey = 'x'", "key: it goes with"),
        ("tls = 'a:1'\nserver_name = 'a b'", "server_name: "),
    ] {
        let Err(why) = sink(dir.path(), text) else {
            panic!("{text:?} was taken");
        };
        assert!(why.to_string().contains(words), "{text:?}: {why}");
    }
}

#[test]
fn what_the_receiver_has_read_is_held() {
    let (listener, mut sink) = over_tcp("");
    let reader = answered(&listener, |mut stream| {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        assert_eq!(seqs(&messages(&bytes)), [1, 2, 3]);
    });
    sink.send(&batch(1..=3)).unwrap();
    reader.join().unwrap();
}

#[test]
fn newlines_tell_messages_apart_where_it_is_asked_for() {
    let (listener, mut sink) = over_tcp("framing = 'newline'");
    let reader = answered(&listener, |mut stream| {
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let lines: Vec<_> = text.lines().map(|l| l.as_bytes().to_vec()).collect();
        assert_eq!(seqs(&lines), [1, 2]);
    });
    sink.send(&batch(1..=2)).unwrap();
    reader.join().unwrap();
}

#[test]
fn what_a_receiver_leaves_unread_is_not_held() {
    type Answer = fn(TcpStream);
    let answers: [(&str, Answer); 3] = [
        ("it goes without a look", drop),
        ("it reads a part and goes", |mut stream| {
            stream.read_exact(&mut [0; 100]).unwrap();
        }),
        ("it talks for ever", |mut stream| {
            // To a connection that is kept and not read from nobody can talk on: then it goes.
            let patience = Some(Duration::from_secs(5));
            stream.set_write_timeout(patience).unwrap();
            while stream.write_all(&[b'x'; 4096]).is_ok() {}
        }),
    ];
    for (what, answer) in answers {
        for confirm in ["close", "kernel"] {
            let (listener, mut sink) = over_tcp(&format!("confirm = '{confirm}'"));
            let reader = answered(&listener, answer);
            // A single one may be acknowledged by the receiving system before its process ends: then the next shows it, and both come again.
            let start = sink.resume(Head::default()).unwrap();
            let mut held = start;
            let sent = sink.send(&batch(1..=200)).and_then(|()| {
                assert_eq!(confirm, "kernel", "{what}");
                held = batch(200..=200)[0].head();
                reader.join().unwrap();
                sink.send(&batch(201..=201))
            });
            let why = sent.expect_err(what).to_string();
            if (what, confirm) == ("it talks for ever", "close") {
                assert!(why.contains("it talks, and is no syslog"), "{why}");
            }
            assert_eq!(sink.resume(held).unwrap(), start, "{what}, {confirm}");
        }
    }
}

#[test]
fn a_kept_connection_is_used_again_and_its_end_is_seen() {
    let (listener, mut sink) = over_tcp("confirm = 'kernel'");
    let (go, gone) = std::sync::mpsc::channel();
    let reader = answered(&listener, move |mut stream| {
        let mut bytes = Vec::new();
        while messages_whole(&bytes) < 3 {
            let mut more = [0; 4096];
            let n = stream.read(&mut more).unwrap();
            assert!(n > 0);
            bytes.extend_from_slice(&more[..n]);
        }
        assert_eq!(seqs(&messages(&bytes)), [1, 2, 3]);
        gone.recv().unwrap();
    });
    let cursor = sink.resume(Head::default()).unwrap();
    assert_eq!(cursor, Head::default());
    sink.send(&batch(1..=2)).unwrap();
    sink.send(&batch(3..=3)).unwrap();
    go.send(()).unwrap();
    reader.join().unwrap();
    // The reader has gone: what it had may not have been kept, and all of it comes again. On a machine that is busy its end may come later than ours.
    let began = Instant::now();
    while sink.send(&batch(4..=4)).is_ok() {
        assert!(began.elapsed() < BOUND, "its end is not seen");
    }
    assert_eq!(sink.resume(batch(3..=3)[0].head()).unwrap().seq, 0);
}

fn messages_whole(mut bytes: &[u8]) -> usize {
    let mut count = 0;
    while let Some(space) = bytes.iter().position(|b| *b == b' ') {
        let length: usize = std::str::from_utf8(&bytes[..space])
            .unwrap()
            .parse()
            .unwrap();
        match bytes.get(space + 1 + length..) {
            Some(rest) => (bytes, count) = (rest, count + 1),
            None => break,
        }
    }
    count
}

#[test]
fn local_streams_are_handed_over_alike() {
    let dir = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(dir.path().join("log")).unwrap();
    let mut sink = sink(dir.path(), "unix = 'log'").unwrap();
    let reader = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        drop(stream);
        let (mut stream, _) = listener.accept().unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        assert_eq!(seqs(&messages(&bytes)), [1, 2]);
    });
    assert!(sink.send(&batch(1..=2)).is_err(), "nobody has read it");
    sink.send(&batch(1..=2)).unwrap();
    reader.join().unwrap();
}

#[test]
fn datagrams_that_may_be_lost_with_their_reader_come_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let mut sink = sink(dir.path(), "unix = 'log'").unwrap();
    assert!(sink.send(&batch(1..=1)).is_err(), "there is no socket");
    let reader = UnixDatagram::bind(&path).unwrap();
    assert_eq!(sink.resume(Head::default()).unwrap().seq, 0);
    sink.send(&batch(1..=3)).unwrap();
    let mut message = vec![0; 1 << 18];
    let n = reader.recv(&mut message).unwrap();
    assert_eq!(seqs(&[message[..n].to_vec()]), [1]);
    // It goes with two unread, another one comes in its place.
    drop(reader);
    std::fs::remove_file(&path).unwrap();
    let reader = UnixDatagram::bind(&path).unwrap();
    assert!(sink.send(&batch(4..=4)).is_err());
    assert_eq!(sink.resume(batch(3..=3)[0].head()).unwrap().seq, 0);
    sink.send(&batch(1..=4)).unwrap();
    for seq in 1..=4 {
        let n = reader.recv(&mut message).unwrap();
        assert_eq!(seqs(&[message[..n].to_vec()]), [seq]);
    }
}

/// A reader that goes when a datagram socket's queue is full holds nobody up for ever.
#[test]
fn a_reader_of_datagrams_has_its_time() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let _reader = UnixDatagram::bind(&path).unwrap();
    let socket = datagrams(&path).unwrap().expect("it takes datagrams");
    assert_eq!(socket.write_timeout().unwrap(), Some(WRITE));
}

/// A receiver whose system takes a few kilobytes for a process that does not read: the rest waits in ours.
fn narrow(confirm: &str, deliver: Duration) -> (TcpListener, Box<dyn Sink>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    sockopt::set_socket_recv_buffer_size(&listener, 4096).unwrap();
    let address = listener.local_addr().unwrap();
    let config: SyslogConfig =
        toml::from_str(&format!("tcp = '{address}'\nconfirm = '{confirm}'")).unwrap();
    let patience = Patience {
        deliver,
        ..Patience::default()
    };
    let sink = config.open_within(&opening(Path::new("/")), patience);
    (listener, sink.unwrap())
}

/// Hands over a batch on a thread of its own; what comes of it.
fn handed_over(mut sink: Box<dyn Sink>) -> mpsc::Receiver<Result<(), SinkError>> {
    let (done, outcome) = mpsc::channel();
    thread::spawn(move || {
        let sent = sink.send(&batch(1..=200));
        let _ = done.send(sent);
    });
    outcome
}

/// Waits until a receiver has something that it has not read.
fn has_come(stream: &TcpStream) {
    let (n, _) = recv(stream, &mut [0; 1][..], RecvFlags::PEEK).unwrap();
    assert_eq!(n, 1);
}

#[test]
fn what_the_receiving_system_has_not_taken_is_not_held_and_not_waited_for_for_ever() {
    let (listener, sink) = narrow("kernel", Duration::from_secs(1));
    let outcome = handed_over(sink);
    let (_stays, _) = listener.accept().unwrap();
    let sent = outcome.recv_timeout(BOUND).expect("it comes back");
    let why = sent.expect_err("it was not acknowledged").to_string();
    assert!(why.contains("no answer within"), "{why}");
}

/// There may be no further batch with which its end would be seen.
#[test]
fn a_kept_connection_that_ends_while_the_last_batch_is_taken_holds_nothing_of_it() {
    let (listener, sink) = narrow("kernel", BOUND);
    let outcome = handed_over(sink);
    let (mut stream, _) = listener.accept().unwrap();
    has_come(&stream);
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut bytes = Vec::new();
    while messages_whole(&bytes) < 200 {
        let mut more = [0; 4096];
        let n = stream.read(&mut more).unwrap();
        assert!(n > 0);
        bytes.extend_from_slice(&more[..n]);
    }
    let sent = outcome.recv_timeout(BOUND).expect("it comes back");
    let why = sent.expect_err("its end was seen").to_string();
    assert!(why.contains("closed the connection"), "{why}");
}

/// Its end comes after ours and in order, and it goes all the same with most of it on its way.
#[test]
fn an_orderly_end_before_everything_was_acknowledged_is_none() {
    let (listener, sink) = narrow("close", BOUND);
    let outcome = handed_over(sink);
    let (stream, theirs) = listener.accept().unwrap();
    has_come(&stream);
    // Our side has written all of it, has seen no end, and has ended: FIN_WAIT1.
    let began = Instant::now();
    let local = format!("{:04X}", theirs.port());
    let ended = || {
        let table = std::fs::read_to_string("/proc/thread-self/net/tcp").unwrap();
        table.lines().any(|row| {
            let mut columns = row.split_ascii_whitespace().skip(1);
            let address = columns.next().unwrap_or_default();
            address.ends_with(&format!(":{local}")) && columns.nth(1) == Some("04")
        })
    };
    while !ended() {
        assert!(began.elapsed() < BOUND, "it does not end");
        thread::yield_now();
    }
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let early = outcome.recv_timeout(Duration::from_millis(200));
    assert!(early.is_err(), "nothing was acknowledged yet: {early:?}");
    drop(stream);
    let sent = outcome.recv_timeout(BOUND).expect("it comes back");
    assert!(sent.is_err(), "it was reset");
}

/// Syslog has no answers: what is said is not taken for ever.
#[test]
fn a_kept_connection_that_talks_is_no_syslog_receiver() {
    let (listener, mut sink) = over_tcp("confirm = 'kernel'");
    let (say, said) = mpsc::channel();
    let reader = answered(&listener, move |mut stream| {
        let mut bytes = Vec::new();
        while messages_whole(&bytes) < 1 {
            let mut more = [0; 4096];
            let n = stream.read(&mut more).unwrap();
            bytes.extend_from_slice(&more[..n]);
        }
        said.recv().unwrap();
        let talk = stream.try_clone().unwrap();
        let talking = thread::spawn(move || (&talk).write_all(&[b'x'; 1 << 20]));
        while stream.read(&mut [0; 4096]).is_ok_and(|n| n > 0) {}
        let _ = stream.shutdown(std::net::Shutdown::Both);
        let _ = talking.join();
    });
    sink.send(&batch(1..=1)).unwrap();
    say.send(()).unwrap();
    let began = Instant::now();
    let why = loop {
        if let Err(why) = sink.send(&batch(2..=2)) {
            break why.to_string();
        }
        assert!(began.elapsed() < BOUND, "it may talk for ever");
    };
    assert!(why.contains("it talks, and is no syslog"), "{why}");
    drop(sink);
    reader.join().unwrap();
}
