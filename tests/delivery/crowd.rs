//! A thousand programs that ask for the session at the same moment.

use std::{
    io::{Read as _, Write as _},
    os::unix::net::{UnixListener, UnixStream},
    process::{Child, Command, Stdio},
};

use rustix::{
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket},
    process::{Resource, Rlimit, Uid, getrlimit, setrlimit},
};
use twotap::ceremony::Stage;

use crate::{
    agent_support::{DANA, read_reply, until, worker::session},
    bench::{Desk, Running},
};

const CROWD: usize = 1000;
/// Whole programs at once; each is a process.
const PROGRAMS: usize = 50;

#[test]
fn a_thousand_reads_at_once_all_get_the_session_and_all_are_counted() {
    // Each connection is a descriptor of this process too.
    let most = getrlimit(Resource::Nofile).maximum;
    let all = Rlimit {
        current: most,
        maximum: most,
    };
    setrlimit(Resource::Nofile, all).expect("up to the hard limit");

    let desk = Desk::new();
    let id = desk.view.id.clone();
    let path = format!("/v1/requests/{id}/credentials");
    let socket = desk.host.socket();
    // All are connected before one of them asks, and all have asked before one answer is read.
    let mut crowd: Vec<UnixStream> = std::thread::spawn(move || {
        let uid = Uid::from_raw(DANA);
        rustix::thread::set_thread_res_uid(uid, uid, uid).expect("root may");
        (0..CROWD)
            .map(|n| UnixStream::connect(&socket).unwrap_or_else(|why| panic!("number {n}: {why}")))
            .collect()
    })
    .join()
    .expect("all are connected");
    let question = format!("GET {path} HTTP/1.1\r\nhost: twotap\r\nconnection: close\r\n\r\n");
    for stream in &mut crowd {
        stream.write_all(question.as_bytes()).expect("asked");
    }
    let minted = session(&desk.request()).targets.remove(0);
    for (n, stream) in crowd.iter_mut().enumerate() {
        let reply = read_reply(stream).unwrap_or_else(|| panic!("number {n} got no answer"));
        let got = reply.credentials();
        assert_eq!(got.access_key_id, minted.access_key_id, "number {n}");
        assert_eq!(*got.session_token, *minted.session_token, "number {n}");
    }
    drop(crowd);

    // The same by the program that SDKs call.
    let start = |_| -> Child {
        let mut command = desk.twotap(&["credentials", &id]);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.spawn().expect("it starts")
    };
    let programs: Vec<Child> = (0..PROGRAMS).map(start).collect();
    for program in programs {
        let ran = program.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert!(ran.status.success(), "{said}");
        let text = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert!(text.contains(&*minted.session_token));
    }

    // One writes for many, and none is forgotten.
    assert_eq!(desk.host.close(DANA, &id, false).status, 200);
    desk.host.reach(&id, Stage::Closed);
    let events = desk.deliveries();
    assert!(events.len() < 20, "coalesced: {}", events.len());
    let counted = |e: &twotap::audit::event::Record| {
        let own = u64::from(e.action != "count_deliveries");
        own + e.what["deliveries_since_last"].as_u64().expect("a number")
    };
    let counted: u64 = events.iter().map(counted).sum();
    // Those since the last one that was written stand with the closing.
    let rest: u64 = desk
        .host
        .events()
        .iter()
        .filter(|e| e.event_type != "CREDENTIALS_DELIVERED")
        .filter_map(|e| e.what.get("deliveries_since_last")?.as_u64())
        .sum();
    assert_eq!(counted + rest, (CROWD + PROGRAMS) as u64);
}

/// A unix socket's queue that is full refuses at once: whoever asks then waits and tries again.
#[test]
fn a_full_queue_is_waited_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("agent.sock");
    let socket = socket(AddressFamily::UNIX, SocketType::STREAM, None).expect("a socket");
    bind(&socket, &SocketAddrUnix::new(&path).expect("short")).expect("bound");
    listen(&socket, 0).expect("a queue for one");
    let listener = UnixListener::from(socket);
    let first = UnixStream::connect(&path).expect("there is room for one");
    let second = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::NONBLOCK,
        None,
    )
    .expect("a socket");
    let full = connect(&second, &SocketAddrUnix::new(&path).expect("short"));
    assert_eq!(full, Err(rustix::io::Errno::AGAIN), "and for no more");

    let mut command = Command::new(env!("CARGO_BIN_EXE_twotap"));
    command
        .args(["credentials", "r-aaaaaaaaaaaaa"])
        .env_clear()
        .env("TWOTAP_AGENT", &path);
    let program = Running::start(command);
    // It has tried at least once when it sleeps in between: epoll_wait and epoll_pwait, on either processor.
    until("it waits", || {
        let stat = std::fs::read_to_string(format!("/proc/{}/syscall", program.child.id()));
        stat.is_ok_and(|call| ["232 ", "281 ", "22 "].iter().any(|n| call.starts_with(n)))
    });
    let (queued, _) = listener.accept().expect("the first in the queue");
    drop((queued, first));
    let (mut asks, _) = listener.accept().expect("the program");
    let body = r#"{"error":"no such request","code":"refused"}"#;
    let answer = format!(
        "HTTP/1.1 404 X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let mut question = [0; 3];
    asks.read_exact(&mut question).expect("it asks");
    asks.write_all(answer.as_bytes()).expect("answered");
    drop(asks);
    let (code, said) = program.end();
    assert_eq!(code, Some(3), "it was answered: {said:?}");
}
