//! A receiver over TLS in this process, which says how it was spoken to; and what our side does after the handshake.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    path::Path,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio_rustls::rustls::{
    HandshakeKind, ServerConfig, ServerConnection, StreamOwned, crypto::ring,
};
use twotap::audit::sinks::syslog::Patience;

use crate::{
    bench::{BOUND, Bench, status},
    rsyslog::{Input, Rsyslog},
};

type Stream = StreamOwned<ServerConnection, TcpStream>;

/// What the receiver is to do with a connection, once it has said hello.
type Then = fn(&mut Stream) -> Vec<u8>;

/// How each connection's handshake was, and what came over it.
type Met = mpsc::Receiver<(Option<HandshakeKind>, Vec<u8>)>;

/// Takes connections until the test ends; its port.
fn receiver(dir: &Path, then: Then) -> (u16, Met) {
    let read = |name| fs::read(dir.join(name)).expect("there");
    let chain = CertificateDer::pem_slice_iter(&read("server.pem"))
        .collect::<Result<Vec<_>, _>>()
        .expect("certificates");
    let key = PrivateKeyDer::from_pem_slice(&read("server.key")).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain, key);
    let config = Arc::new(config.expect("they fit"));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its address").port();
    let (met, meets) = mpsc::channel();
    thread::spawn(move || {
        for tcp in listener.incoming().flatten() {
            let connection = ServerConnection::new(Arc::clone(&config)).expect("a connection");
            let mut stream = StreamOwned::new(connection, tcp);
            while stream.conn.is_handshaking() {
                if stream.conn.complete_io(&mut stream.sock).is_err() {
                    break;
                }
            }
            let got = then(&mut stream);
            let kind = stream.conn.handshake_kind();
            // It ends in order, as one that has read all of it.
            stream.conn.send_close_notify();
            let _ = stream.flush();
            let _ = stream.sock.shutdown(Shutdown::Write);
            if met.send((kind, got)).is_err() {
                break;
            }
        }
    });
    (port, meets)
}

fn whole(stream: &mut Stream) -> Vec<u8> {
    let mut got = Vec::new();
    let _ = stream.read_to_end(&mut got);
    got
}

/// As rsyslog with OpenSSL does: whoever speaks before it has refused is read and dropped, and sees an orderly end.
fn hangs_up(stream: &mut Stream) -> Vec<u8> {
    let patience = Some(Duration::from_millis(500));
    stream.sock.set_read_timeout(patience).expect("set");
    let mut first = [0; 1];
    match stream.read(&mut first) {
        Ok(1) => [&first[..], &whole(stream)].concat(),
        _ => Vec::new(),
    }
}

#[test]
fn nothing_is_said_to_a_receiver_that_hangs_up_after_the_handshake() {
    let bench = Bench::new();
    bench.append(1..=3);
    let keys = Rsyslog::prepare(bench.dir.path(), Input::Tls("ossl"));
    let (port, met) = receiver(&bench.dir.path().join("rsyslog"), hangs_up);
    let patience = Patience {
        look: BOUND,
        ..Patience::default()
    };
    let sinks = bench.start(vec![bench.patient(
        "siem",
        &keys.keys_at(&format!("127.0.0.1:{port}")),
        patience,
    )]);
    bench.fails(&sinks, "siem", "it hung up after the handshake");
    assert_eq!(status(&sinks, "siem").acknowledged, 0);
    let (_, got) = met.recv_timeout(BOUND).expect("it was called");
    assert_eq!(got, b"");
    sinks.shutdown(Duration::ZERO);
}

/// Who takes up a session from a ticket may not look at our certificate again.
#[test]
fn each_connection_is_a_new_acquaintance() {
    let bench = Bench::new();
    let keys = Rsyslog::prepare(bench.dir.path(), Input::Tls("ossl"));
    let (port, met) = receiver(&bench.dir.path().join("rsyslog"), whole);
    let sinks = bench.start(vec![
        bench.syslog("siem", &keys.keys_at(&format!("127.0.0.1:{port}"))),
    ]);
    for n in 1..=3 {
        bench.append(n..=n);
        bench.held(&sinks, "siem");
        let (kind, got) = met.recv_timeout(BOUND).expect("it was called");
        assert_eq!(kind, Some(HandshakeKind::Full), "connection {n}");
        assert!(!got.is_empty());
    }
    assert!(sinks.shutdown(BOUND));
}
