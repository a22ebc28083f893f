//! The socket as a stranger, a broken client or a proxy meets it.

mod agent_support;

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::Shutdown,
    time::{Duration, Instant},
};

use agent_support::{
    AGENT, ALICE, BOUND, DANA, Host, STRANGER, connect, raw, read_reply, try_call,
};
use twotap::{
    protocol::{
        Code,
        job::Approval,
        socket::{AuditEnvelope, RequestView, VaultView},
    },
    trust::{Bytes, Envelope},
};

/// Every route that the wire's description names, with ids that exist where there are any.
fn every_route(view: &RequestView) -> Vec<(String, String)> {
    let description = include_str!("../src/protocol/socket.rs").lines();
    let rows = description.filter_map(|line| line.strip_prefix("//! | `"));
    let rows = rows.filter_map(|row| row.split_once('`')?.0.split_once(' '));
    let routes = rows.map(|(method, path)| {
        let path = path.split('?').next().unwrap_or_default();
        let path = path.replace("{vault}", "prod").replace("{id}", &view.id);
        (method.to_owned(), path)
    });
    routes.collect()
}

/// Alice's approval, as it would count.
fn approval(host: &Host, view: &RequestView) -> Vec<u8> {
    let approval = Approval {
        approval: host.worker.paper().approval(&view.offer, "alice"),
        sealed_share: Bytes(b"sealed".to_vec()),
    };
    serde_json::to_vec(&approval).expect("json")
}

#[test]
fn accounts_that_are_nobodys_are_refused() {
    let host = Host::start();
    let view = host.open();
    let paths = [
        "/v1/status".to_owned(),
        "/v1/audit/events".to_owned(),
        format!("/v1/requests/{}/credentials", view.id),
    ];
    for (uid, why) in [
        (0, "root"),
        (65534, "nobody"),
        (AGENT, "the agent's own account"),
        (STRANGER, "nobody's in the roster"),
    ] {
        for path in &paths {
            let reply = host.get(uid, path);
            assert_eq!(reply.status, 403);
            let problem = reply.problem();
            assert_eq!(problem.code, Code::Refused);
            assert!(problem.error.contains(why), "{uid}: {}", problem.error);
        }
    }
    // Strangers do not learn which requests there are.
    assert_eq!(
        host.get(STRANGER, "/v1/requests/r-aaaaaaaaaaaaa").status,
        403
    );
}

#[test]
fn no_route_serves_a_stranger_root_or_a_browser_and_nothing_is_recorded() {
    let host = Host::start();
    let view = host.ask();
    let routes = every_route(&view);
    assert!(routes.len() >= 18, "{}", routes.len());
    let events = host.events().len();
    let body = approval(&host, &view);
    for (method, path) in &routes {
        let call = |uid, headers: &[(&str, &str)]| {
            let body = if method == "POST" { &body[..] } else { b"" };
            try_call(&host.socket(), uid, method, path, headers, body).expect("an answer")
        };
        for uid in [0, 65534, AGENT, STRANGER] {
            let reply = call(uid, &[]);
            assert_eq!(reply.status, 403, "{uid}: {method} {path}");
            assert_eq!(
                reply.problem().code,
                Code::Refused,
                "{uid}: {method} {path}"
            );
        }
        for person in [ALICE, DANA] {
            let reply = call(person, &[("origin", "https://attacker.example")]);
            assert_eq!(reply.status, 403, "{person}: {method} {path}");
            assert!(reply.problem().error.contains("an Origin"));
        }
    }
    assert_eq!(host.events().len(), events);
    assert_eq!(host.request(&view.id).approved_by, [""; 0]);
    // The same bytes, by the same person and without the header, count.
    let path = format!("/v1/requests/{}/approvals", view.id);
    let reply = try_call(&host.socket(), ALICE, "POST", &path, &[], &body).expect("an answer");
    assert_eq!(reply.json::<RequestView>().approved_by, ["alice"]);
}

#[test]
fn what_is_no_http_or_only_half_of_it_does_nothing() {
    let host = Host::start();
    let view = host.ask();
    let events = host.events().len();
    let path = format!("/v1/requests/{}/approvals", view.id);
    let body = String::from_utf8(approval(&host, &view)).expect("json");
    let length = body.len();
    let post = |rest: String| {
        format!("POST {path} HTTP/1.1\r\nhost: twotap\r\nconnection: close\r\n{rest}")
    };
    let whole = |headers: &str| post(format!("{headers}content-length: {length}\r\n\r\n{body}"));
    let filler = "x".repeat(20 * 1024);
    let many: String = (0..200).map(|n| format!("x-{n}: y\r\n")).collect();
    let cases = [
        ("tls", "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0".to_owned()),
        ("no request line", format!("\r\n\r\n\r\n{body}")),
        ("another protocol", whole("").replace("HTTP/1.1", "ICE/1.0")),
        ("http 0.9", format!("POST {path}\r\n")),
        ("http 2", format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{body}")),
        ("two lengths", whole("content-length: 2\r\n")),
        (
            "a list of lengths",
            post(format!("content-length: {length}, 2\r\n\r\n{body}")),
        ),
        (
            "a negative length",
            post(format!("content-length: -1\r\n\r\n{body}")),
        ),
        (
            "a signed length",
            post(format!("content-length: +{length}\r\n\r\n{body}")),
        ),
        ("no length", post(format!("\r\n{body}"))),
        (
            "a chunk of no size",
            post(format!(
                "transfer-encoding: chunked\r\n\r\nzz\r\n{body}\r\n0\r\n\r\n"
            )),
        ),
        (
            "a chunk cut short",
            post(format!(
                "transfer-encoding: chunked\r\n\r\n{length:x}\r\n{body}"
            )),
        ),
        ("another coding", whole("transfer-encoding: gzip\r\n")),
        ("a zero byte in a header", whole("x: a\0b\r\n")),
        ("a space in a name", whole("content length: 1\r\n")),
        ("a folded header", whole("x: a\r\n b\r\n")),
        ("a large head", whole(&format!("x: {filler}\r\n"))),
        ("many headers", whole(&many)),
        ("half a head", format!("POST {path} HTTP/1.1\r\nhost: tw")),
        (
            "half a body",
            post(format!(
                "content-length: {length}\r\n\r\n{}",
                &body[..length / 2]
            )),
        ),
        (
            "more than json",
            post(format!("content-length: {}\r\n\r\n{body}{{}}", length + 2)),
        ),
        ("a field twice", {
            let twice = body.replacen('{', "{\"sealed_share\":\"AAAA\",", 1);
            post(format!("content-length: {}\r\n\r\n{twice}", twice.len()))
        }),
        (
            "through a proxy",
            whole("").replace(&path, &format!("http://attacker.example{path}")),
        ),
    ];
    for (what, bytes) in cases {
        let mut stream = connect(&host.socket(), ALICE).expect("connected");
        let _ = stream.write_all(bytes.as_bytes());
        // What is not whole would be waited for; a client that is gone has said all.
        if [
            "tls",
            "http 0.9",
            "a chunk cut short",
            "half a head",
            "half a body",
        ]
        .contains(&what)
        {
            let _ = stream.shutdown(Shutdown::Write);
        }
        // An answer that says so, or none.
        if let Some(reply) = read_reply(&mut stream) {
            assert!((400..500).contains(&reply.status), "{what}: {}", reply.head);
        }
        assert_eq!(host.request(&view.id).approved_by, [""; 0], "{what}");
    }
    assert_eq!(host.events().len(), events, "nothing of it was recorded");
    let reply = raw(&host.socket(), ALICE, whole("").into_bytes()).expect("an answer");
    assert_eq!(reply.json::<RequestView>().approved_by, ["alice"]);
}

#[test]
fn a_client_that_never_reads_holds_nobody_up() {
    let host = Host::start();
    host.open();
    let mut deaf = connect(&host.socket(), ALICE).expect("connected");
    deaf.set_nonblocking(true).expect("set");
    let call = b"GET /v1/audit/events HTTP/1.1\r\nhost: twotap\r\n\r\n";
    // Until neither side takes any more.
    let mut sent = 0;
    while deaf.write(call).is_ok_and(|n| n == call.len()) && sent < 100_000 {
        sent += 1;
    }
    assert!(sent < 100_000, "the agent does not take calls without end");
    let began = Instant::now();
    assert_eq!(host.get(DANA, "/v1/status").status, 200);
    assert_eq!(host.get(ALICE, "/v1/status").status, 200);
    assert!(began.elapsed() < BOUND);
}

#[test]
fn origins_and_foreign_hosts_are_refused() {
    let host = Host::start();
    let get = |headers: &[(&str, &str)]| {
        try_call(&host.socket(), DANA, "GET", "/v1/status", headers, b"")
            .expect("an answer")
            .status
    };
    assert_eq!(get(&[]), 200);
    assert_eq!(get(&[("origin", "http://localhost")]), 403);
    assert_eq!(get(&[("origin", "null")]), 403);
    let with_host = |name: &str| {
        let bytes = format!("GET /v1/status HTTP/1.1\r\nhost: {name}\r\nconnection: close\r\n\r\n");
        raw(&host.socket(), DANA, bytes.into_bytes())
            .expect("an answer")
            .status
    };
    assert_eq!(with_host("localhost"), 200);
    assert_eq!(with_host("localhost:80"), 200);
    assert_eq!(with_host("attacker.example"), 403);
    assert_eq!(with_host("localhost.attacker.example"), 403);
}

#[test]
fn what_is_no_call_is_answered_with_a_problem() {
    let host = Host::start();
    let call = |method, path, body: &[u8]| {
        try_call(&host.socket(), DANA, method, path, &[], body).expect("an answer")
    };
    for (method, path, body, status) in [
        ("GET", "/", &b""[..], 404),
        ("GET", "/v2/status", b"", 404),
        ("DELETE", "/v1/status", b"", 405),
        ("POST", "/v1/status", b"", 405),
        ("GET", "/v1/requests/r-aaaaaaaaaaaaa", b"", 404),
        ("GET", "/v1/requests/..%2f..%2fetc", b"", 404),
        ("GET", "/v1/vaults/other", b"", 400),
        ("GET", "/v1/audit/events?from=x", b"", 400),
        ("POST", "/v1/requests", b"", 400),
        ("POST", "/v1/requests", b"{", 400),
        ("POST", "/v1/requests", b"[]", 400),
        (
            "POST",
            "/v1/requests",
            b"{\"vault\":\"prod\",\"more\":1}",
            400,
        ),
    ] {
        let reply = call(method, path, body);
        assert_eq!(reply.status, status, "{method} {path}");
        assert_eq!(reply.problem().code, Code::Usage, "{method} {path}");
    }
    // HEAD is no way around: it has no row in the table.
    assert_eq!(call("HEAD", "/v1/status", b"").status, 405);
    assert!(host.events_named("BREAK_GLASS_REQUESTED").is_empty());
}

#[test]
fn a_body_over_the_limit_is_not_read() {
    let host = Host::start();
    let large = vec![b' '; 64 * 1024 + 1];
    let reply =
        try_call(&host.socket(), DANA, "POST", "/v1/requests", &[], &large).expect("an answer");
    assert_eq!(reply.status, 413);
    // A length that says too much is refused without waiting for what it promises: that would end in a 408.
    let head = "POST /v1/requests HTTP/1.1\r\nhost: twotap\r\nconnection: close\r\ncontent-length: 1000000\r\n\r\n{";
    let told = raw(&host.socket(), DANA, head.as_bytes().to_vec());
    assert_eq!(told.expect("an answer").status, 413);
    // What has no length is counted as it comes, and its end is not waited for either.
    let head = "POST /v1/requests HTTP/1.1\r\nhost: twotap\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
    let mut bytes = head.as_bytes().to_vec();
    for _ in 0..5 {
        bytes.extend_from_slice(b"4000\r\n");
        bytes.extend(std::iter::repeat_n(b'x', 0x4000));
        bytes.extend_from_slice(b"\r\n");
    }
    assert_eq!(
        raw(&host.socket(), DANA, bytes).expect("an answer").status,
        413
    );
}

#[test]
fn slow_clients_are_let_go_and_hold_nobody_up() {
    let host = Host::start();
    // A head that never ends, and a body that never comes: both at once, so that the test waits once.
    let mut slow_head = connect(&host.socket(), DANA).expect("connected");
    slow_head
        .write_all(b"GET /v1/status HTTP/1.1\r\nhost: tw")
        .expect("sent");
    let mut slow_body = connect(&host.socket(), DANA).expect("connected");
    slow_body
        .write_all(b"POST /v1/requests HTTP/1.1\r\nhost: twotap\r\ncontent-length: 100\r\n\r\n{")
        .expect("sent");
    let began = Instant::now();
    assert_eq!(host.get(DANA, "/v1/status").status, 200);
    // Whoever had to wait for them would have waited until they were let go.
    for slow in [&mut slow_head, &mut slow_body] {
        slow.set_nonblocking(true).expect("set");
        let kind = slow.read(&mut [0; 1]).map_err(|why| why.kind());
        assert_eq!(kind, Err(ErrorKind::WouldBlock), "it is held still");
        slow.set_nonblocking(false).expect("set");
    }

    let body = read_reply(&mut slow_body).expect("an answer");
    assert_eq!(body.status, 408);
    assert_eq!(body.problem().code, Code::Usage);
    // hyper closes the connection of a head that is late, with or without a word.
    let head = read_reply(&mut slow_head);
    assert!(head.is_none_or(|r| r.status == 408));
    let took = began.elapsed();
    assert!(took > Duration::from_secs(8) && took < BOUND, "{took:?}");
}

#[test]
fn a_stranger_cannot_take_every_connection() {
    let host = Host::start();
    let mut held: Vec<_> = (0..40)
        .map(|_| connect(&host.socket(), STRANGER).expect("connected"))
        .collect();
    // The first sixteen wait for a head; the others were let go at once.
    let mut let_go = 0;
    for stream in &mut held {
        stream
            .set_read_timeout(Some(Duration::from_millis(200)))
            .expect("a bound");
        let mut byte = [0];
        if matches!(stream.read(&mut byte), Ok(0)) {
            let_go += 1;
        }
    }
    assert_eq!(let_go, 24);
    assert_eq!(host.get(DANA, "/v1/status").status, 200);
}

#[test]
fn one_connection_carries_many_calls_of_one_person() {
    let host = Host::start();
    let mut bytes = Vec::new();
    for _ in 0..3 {
        bytes.extend_from_slice(b"GET /v1/vaults/prod HTTP/1.1\r\nhost: twotap\r\n\r\n");
    }
    bytes
        .extend_from_slice(b"GET /v1/status HTTP/1.1\r\nhost: twotap\r\nconnection: close\r\n\r\n");
    let reply = raw(&host.socket(), ALICE, bytes).expect("answers");
    let text = String::from_utf8_lossy(&reply.body).into_owned();
    assert_eq!(text.matches("HTTP/1.1 200").count() + 1, 4);
}

#[test]
fn the_record_is_served_verbatim_with_its_envelopes() {
    let host = Host::start();
    let view = host.open();
    let vault: VaultView = host.get(DANA, "/v1/vaults/prod").json();
    assert_eq!(vault.roster_chain, host.worker.paper().chain);

    let all = host.get(DANA, "/v1/audit/events").body;
    let first = host.get(DANA, "/v1/audit/events?from=1&limit=2").body;
    let rest = host.get(DANA, "/v1/audit/events?from=3").body;
    assert!(
        rest.starts_with(&all[first.len()..]),
        "pages join to the same bytes"
    );
    assert_eq!(first.iter().filter(|b| **b == b'\n').count(), 2);

    let body = host.get(DANA, "/v1/audit/envelopes").body;
    let envelopes: Vec<AuditEnvelope> = body
        .split(|b| *b == b'\n')
        .filter(|l| !l.is_empty())
        .map(|l| serde_json::from_slice(l).expect("an envelope"))
        .collect();
    let offer = envelopes
        .iter()
        .find(|e| e.kind == "offer")
        .expect("the offer");
    assert_eq!(Envelope::parse(&offer.body.0).expect("dsse"), view.offer);
    assert_eq!(twotap::trust::Digest::of(&offer.body.0), offer.sha256);
    assert_eq!(envelopes.iter().filter(|e| e.kind == "approve").count(), 2);

    let notes = host.get(DANA, "/v1/audit/checkpoints").body;
    let notes = String::from_utf8(notes).expect("text");
    assert!(notes.starts_with("twotap audit checkpoint v1\n"), "{notes}");
}

#[test]
fn many_clients_are_served_at_once() {
    let host = Host::start();
    let streams: Vec<_> = (0..300)
        .map(|_| connect(&host.socket(), DANA).expect("connected"))
        .collect();
    for mut stream in streams {
        stream
            .write_all(b"GET /v1/status HTTP/1.1\r\nhost: twotap\r\nconnection: close\r\n\r\n")
            .expect("sent");
        assert_eq!(read_reply(&mut stream).expect("an answer").status, 200);
    }
}
