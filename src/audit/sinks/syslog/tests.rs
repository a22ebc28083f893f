//! Settings, and receivers made up at the wire; a real rsyslog is asked by `tests/sinks.rs`.

use super::*;
use crate::audit::samples;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::thread;

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
            let patience = Some(Duration::from_millis(500));
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
            assert!(sent.is_err(), "{what}, {confirm}");
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
    // The reader has gone: what it had may not have been kept, and all of it comes again.
    assert!(sink.send(&batch(4..=4)).is_err());
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
