//! A receiver over TLS that lets one client in, by stock `openssl s_server`. rsyslog's libraries let some strangers' first messages in when the
//! handshake comes in pieces (8.2302, `ossl` and `gtls`), so what our side does when it is refused cannot be seen there.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::bench::until;

/// An address that no other test uses: a port that is given back there is nobody else's before it is taken again.
const AT: &str = "127.77.4.6";

/// The receiver, and what it has been sent.
pub(crate) struct Strict {
    got: PathBuf,
    port: u16,
    child: Child,
}

impl Strict {
    /// One with the certificates of `dir`, which takes `client` alone.
    pub(crate) fn start(dir: &Path, client: &str) -> Self {
        let free = TcpListener::bind((AT, 0)).expect("a port");
        let port = free.local_addr().expect("its address").port();
        drop(free);
        let got = dir.join("strict.got");
        let file = |name| fs::File::create(dir.join(name)).expect("a file");
        let mut child = Command::new("openssl")
            .args(["s_server", "-quiet", "-accept"])
            .arg(format!("{AT}:{port}"))
            .args(["-cert", "server.pem", "-key", "server.key"])
            .args(["-CAfile", "ca.pem", "-Verify", "1", "-verify_return_error"])
            .args(["-verify_hostname", client])
            .current_dir(dir)
            // It would end with its input.
            .stdin(Stdio::piped())
            .stdout(file("strict.got"))
            .stderr(file("strict.err"))
            .spawn()
            .expect("openssl starts");
        until("openssl listens", || {
            let ended = child.try_wait().expect("waited");
            assert!(ended.is_none(), "openssl ended with {ended:?}");
            TcpStream::connect((AT, port)).is_ok()
        });
        Self { got, port, child }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> String {
        format!("{AT}:{}", self.port)
    }

    pub(crate) fn got(&self) -> Vec<u8> {
        fs::read(&self.got).expect("there")
    }
}

impl Drop for Strict {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
