//! TLS: the receiver has to be vouched for by the authority that is named, and by no other.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned, crypto::ring};

use crate::{
    Bench,
    outside_support::{BOUND, authority},
};

/// A server that takes everything; how many messages it took.
fn serve(folder: &std::path::Path, name: &str) -> (std::net::SocketAddr, Arc<AtomicUsize>) {
    let pem = |file: String| fs::read(folder.join(file)).expect("read");
    let chain = CertificateDer::pem_slice_iter(&pem(format!("{name}.pem")))
        .collect::<Result<Vec<_>, _>>()
        .expect("certificates");
    let key = PrivateKeyDer::from_pem_slice(&pem(format!("{name}.key"))).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a pair");
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = listener.local_addr().expect("an address");
    let taken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&taken);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (Ok(stream), Ok(server)) = (stream, ServerConnection::new(Arc::clone(&config)))
            else {
                return;
            };
            let mut tls = StreamOwned::new(server, stream);
            let mut buffer = [0; 64 * 1024];
            // One message fits into what is read at once, or comes in two parts.
            let mut all = Vec::new();
            while let Ok(n @ 1..) = tls.read(&mut buffer) {
                all.extend_from_slice(&buffer[..n]);
                if all.ends_with(b"}}") {
                    count.fetch_add(1, Ordering::SeqCst);
                    all.clear();
                    if tls.write_all(b"HTTP/1.1 204 X\r\n\r\n").is_err() {
                        break;
                    }
                }
            }
        }
    });
    (address, taken)
}

#[test]
fn the_receiver_is_who_the_named_authority_says() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["ours", "theirs"] {
        authority(folder.path(), name);
    }
    let (address, taken) = serve(folder.path(), "ours");
    let table = |ca: &str| {
        format!(
            "url = 'https://{address}/hook'\nsecret_file = 'secret'\nca_file = '{}'\ntimeout_seconds = 5",
            folder.path().join(format!("{ca}.ca.pem")).display()
        )
    };
    let mut bench = Bench::new(&table("theirs"));
    let seq = bench.happens("the database is down");
    let failing = bench.until("it shows", |s| s.error.is_some());
    assert_eq!((failing.acknowledged, taken.load(Ordering::SeqCst)), (0, 0));
    let said = failing.error.expect("an error").to_string();
    assert!(said.contains("certificate"), "{said}");

    bench.sinks.take().expect("started").shutdown(BOUND);
    bench.start(&table("ours"));
    bench.holds("hook", seq);
    assert_eq!(taken.load(Ordering::SeqCst), 1);
}
