//! A thousand programs that ask for the session at the same moment.

use std::{
    io::Write as _,
    os::unix::net::UnixStream,
    process::{Child, Stdio},
};

use rustix::process::{Resource, Rlimit, Uid, getrlimit, setrlimit};
use twotap::ceremony::Stage;

use crate::{
    agent_support::{DANA, read_reply, worker::session},
    bench::Desk,
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
        let own = u64::from(e.action.as_deref() != Some("count_deliveries"));
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
