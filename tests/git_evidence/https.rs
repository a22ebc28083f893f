//! A remote over https, through stock `git http-backend` behind a server that asks for a password.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Child, Command, Stdio},
};

use twotap::audit::chain::Head;

use crate::{Bench, log, outside_support::authority};

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
    bench.incident("r-aaaaaaaaaaaaa");
    bench.checkpoint();
    for (file, ca) in [("wrong", "ours"), ("right", "theirs")] {
        let mut sink = bench.open(&table(file, ca));
        sink.resume(Head::default())
            .expect("it is met when it is pushed to");
        let why = sink
            .send(&bench.deliveries(1))
            .expect_err("it is not let in");
        let said = why.to_string();
        assert!(
            !said.contains("password") && !said.contains("a-guess"),
            "{said}"
        );
    }
    // Whoever says no does not make the host forget its password: it may be the server that is wrong.
    let kept = fs::read_to_string(bench.path("wrong")).expect("a file");
    assert!(kept.contains("a-guess"), "git took it out: {kept:?}");
    assert_eq!(
        fs::read_dir(remote.join("refs/heads"))
            .expect("read")
            .count(),
        0
    );
    let sinks = bench.run(&table("right", "ours"), false);
    bench.holds_all(&sinks);
    assert_eq!(
        log(&remote, "evidence/bg-1"),
        ["INC-42: evidence of r-aaaaaaaaaaaaa"]
    );
    // It stands nowhere but in its file.
    let config = fs::read_to_string(bench.path("git/evidence/config")).expect("a configuration");
    assert!(!config.contains("password"), "{config}");
}
