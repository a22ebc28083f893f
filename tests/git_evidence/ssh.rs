//! A remote over ssh, through a real sshd that is started for each connection.

use std::{
    fs,
    net::TcpListener,
    os::fd::OwnedFd,
    path::Path,
    process::{Command, Stdio},
};

use crate::{Bench, let_in::only_with};

fn key(path: &Path) {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"])
        .arg(path)
        .status()
        .expect("ssh-keygen: apt-get install openssh-client");
    assert!(made.success());
}

/// A host that lets us in with the key; its port.
fn sshd(bench: &Bench) -> u16 {
    for name in ["host", "own", "other"] {
        key(&bench.path(name));
    }
    let config = bench.path("sshd.conf");
    let text = format!(
        "HostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\nPermitRootLogin yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPidFile none\n",
        bench.path("host").display(),
        bench.path("own.pub").display(),
    );
    fs::write(&config, text).expect("written");
    fs::create_dir_all("/run/sshd").expect("sshd's own folder");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let log = bench.path("sshd.log");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let log = fs::File::options().create(true).append(true).open(&log);
            let (Ok(log), Ok(copy)) = (log, stream.try_clone()) else {
                return;
            };
            let sshd = Command::new("/usr/sbin/sshd")
                .args(["-i", "-e", "-f"])
                .arg(&config)
                .stdin(Stdio::from(OwnedFd::from(stream)))
                .stdout(Stdio::from(OwnedFd::from(copy)))
                .stderr(log)
                .spawn();
            if let Ok(mut sshd) = sshd {
                std::thread::spawn(move || sshd.wait());
            }
        }
    });
    port
}

#[test]
fn evidence_goes_over_ssh_to_the_host_that_is_known_and_to_no_other() {
    let bench = Bench::new();
    let remote = bench.remote("remote.git");
    let port = sshd(&bench);
    let hosts = |name: &str, key: &str| {
        let public = fs::read_to_string(bench.path(key)).expect("there");
        fs::write(bench.path(name), format!("[127.0.0.1]:{port} {public}")).expect("written");
    };
    hosts("known", "host.pub");
    hosts("wrong", "other.pub");
    let table = |key: &str, hosts: &str| {
        format!(
            "remote = 'ssh://root@127.0.0.1:{port}{}'\nssh_key = '{key}'\nknown_hosts = '{hosts}'",
            remote.display()
        )
    };
    let refused = [
        (table("own", "wrong"), "Host key verification failed"),
        (table("other", "known"), "Permission denied"),
    ];
    only_with(&bench, &remote, &refused, &[], &table("own", "known"));
}
