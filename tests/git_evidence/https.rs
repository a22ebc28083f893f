//! A remote over https, through stock `git http-backend` behind a server that asks for a password.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Child, Command, Stdio},
};

use crate::{Bench, let_in::only_with, outside_support::authority};

/// The server; ended when dropped.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start(bench: &Bench) -> Self {
        let python = std::env::var("TWOTAP_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let mut child = Command::new(python)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/git_evidence/serve.py"))
            .arg(bench.folder.path())
            .args([bench.path("ours.pem"), bench.path("ours.key")])
            .stdout(Stdio::piped())
            .spawn()
            .expect("python");
        let mut line = String::new();
        let out = child.stdout.take().expect("a pipe");
        BufReader::new(out).read_line(&mut line).expect("a line");
        let port = line.trim().parse().expect("a port");
        Self { child, port }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn evidence_goes_over_https_with_a_password_that_stands_in_its_file_alone() {
    let bench = Bench::new();
    let remote = bench.remote("remote.git");
    for name in ["ours", "theirs"] {
        authority(bench.folder.path(), name);
    }
    let server = Server::start(&bench);
    let credentials = |name: &str, password: &str| {
        let path = bench.path(name);
        let text = format!("https://agent:{password}@127.0.0.1%3a{}\n", server.port);
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("mode");
    };
    credentials("right", "the-password");
    credentials("wrong", "a-guess");
    let table = |credentials: &str, ca: &str| {
        format!(
            "remote = 'https://127.0.0.1:{}/remote.git'\ncredentials_file = '{credentials}'\nca_file = '{ca}.ca.pem'",
            server.port
        )
    };
    let refused = [
        (table("wrong", "ours"), "Authentication failed"),
        (table("right", "theirs"), "certificate"),
    ];
    only_with(
        &bench,
        &remote,
        &refused,
        &["the-password", "a-guess"],
        &table("right", "ours"),
    );
    // Whoever says no does not make the host forget its password: it may be the server that is wrong.
    let kept = fs::read_to_string(bench.path("wrong")).expect("a file");
    assert!(kept.contains("a-guess"), "git took it out: {kept:?}");
    // It stands nowhere but in its file.
    let config = fs::read_to_string(bench.path("git/evidence/config")).expect("a configuration");
    assert!(!config.contains("password"), "{config}");
}
