//! `--agent ssh://HOST` through a real sshd: the custodian is whoever the agent's host logs in, and nobody else.
//!
//! sshd looks accounts up in `/etc/passwd`, which knows no custodian here: it runs in a view of `/etc` of its own that does. It is started for each
//! connection on a socket of the test's, as `inetd` would, so that no port is chosen twice and no daemon is left.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::TcpListener,
    os::{
        fd::OwnedFd,
        unix::fs::{PermissionsExt as _, chown},
    },
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
};

use serde_json::Value;
use twotap_rig::{Site, people::ALICE};

use crate::{events, ready};

/// A host that lets alice in with her key. Ended when dropped.
struct Sshd {
    holder: Child,
    _alive: ChildStdin,
}

impl Sshd {
    fn start(site: &Site) -> Self {
        let folder = site.stage().path().join("sshd");
        fs::create_dir(&folder).expect("a folder");
        let home = site.stage().home("alice");
        let (host_key, own_key) = (folder.join("host"), folder.join("alice"));
        for key in [&host_key, &own_key] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"])
                .arg(key)
                .status()
                .expect("ssh-keygen: apt-get install openssh-client");
            assert!(made.success());
        }
        let accounts = |name: &str, line: String| {
            let text = fs::read_to_string(Path::new("/etc").join(name)).expect("readable");
            let path = folder.join(name);
            fs::write(&path, format!("{}\n{line}\n", text.trim_end())).expect("written");
            path
        };
        let passwd = accounts(
            "passwd",
            format!("alice:x:{ALICE}:{ALICE}::{}:/bin/sh", home.display()),
        );
        let shadow = accounts("shadow", "alice:*:19000:0:99999:7:::".to_owned());
        fs::set_permissions(&shadow, fs::Permissions::from_mode(0o600)).expect("mode");

        let mut holder = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-c"])
            .arg("mkdir -p /run/sshd && mount --bind \"$1\" /etc/passwd && mount --bind \"$2\" /etc/shadow && echo ready && exec cat")
            .arg("sh")
            .args([&passwd, &shadow])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare");
        let mut ready = String::new();
        let out = holder.stdout.take().expect("a pipe");
        BufReader::new(out).read_line(&mut ready).expect("a line");
        assert_eq!(ready, "ready\n");
        let alive = holder.stdin.take().expect("a pipe");

        let config = folder.join("config");
        let text = format!(
            "HostKey {host}\nAuthorizedKeysFile {own}.pub\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPidFile none\nPrintMotd no\nSetEnv PATH={bin}:/usr/bin:/bin TWOTAP_AGENT={socket}\n",
            host = host_key.display(),
            own = own_key.display(),
            bin = site.programs().display(),
            socket = site.socket().display(),
        );
        fs::write(&config, text).expect("written");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        alices_side(&home, port, &own_key, &host_key);
        serve(listener, holder.id(), config, folder.join("log"));
        Self {
            holder,
            _alive: alive,
        }
    }

    /// `twotap` as alice, where her account has a name.
    fn twotap(&self, site: &Site, args: &[&str], input: &str) -> (Option<i32>, String, String) {
        let typed = site.twotap("alice", args).expect("alice").into_command();
        let mut command = Command::new("nsenter");
        command
            .arg("--mount")
            .args(["--target", &self.holder.id().to_string(), "--"])
            .arg(typed.get_program())
            .args(typed.get_args())
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        for (name, value) in typed.get_envs() {
            match value {
                // The agent is named on the command line, or not at all.
                Some(_) if name == "TWOTAP_AGENT" => {}
                Some(value) => drop(command.env(name, value)),
                None => {}
            }
        }
        let mut child = command.spawn().expect("started");
        {
            use std::io::Write as _;
            let mut stdin = child.stdin.take().expect("a pipe");
            let _ = stdin.write_all(input.as_bytes());
        }
        let done = child.wait_with_output().expect("it ends");
        (
            done.status.code(),
            String::from_utf8_lossy(&done.stdout).into_owned(),
            String::from_utf8_lossy(&done.stderr).into_owned(),
        )
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// One sshd a connection.
fn serve(listener: TcpListener, holder: u32, config: PathBuf, log: PathBuf) {
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let log = fs::File::options().create(true).append(true).open(&log);
            let Ok(log) = log else { return };
            let Ok(copy) = stream.try_clone() else { return };
            let sshd = Command::new("nsenter")
                .arg("--mount")
                .args(["--target", &holder.to_string(), "--"])
                .args(["/usr/sbin/sshd", "-i", "-e", "-f"])
                .arg(&config)
                .stdin(OwnedFd::from(stream))
                .stdout(OwnedFd::from(copy))
                .stderr(log)
                .spawn();
            if let Ok(mut sshd) = sshd {
                std::thread::spawn(move || sshd.wait());
            }
        }
    });
}

/// Her `~/.ssh`: where the host is, its key, and her own.
fn alices_side(home: &Path, port: u16, own_key: &Path, host_key: &Path) {
    let folder = home.join(".ssh");
    fs::create_dir(&folder).expect("a folder");
    let host = fs::read_to_string(host_key.with_extension("pub")).expect("there");
    let files = [
        ("id", fs::read_to_string(own_key).expect("there")),
        ("known_hosts", format!("[127.0.0.1]:{port} {host}")),
        (
            "config",
            format!(
                "Host host-1\n  HostName 127.0.0.1\n  Port {port}\n  User alice\n  IdentityFile {0}/id\n  UserKnownHostsFile {0}/known_hosts\n  StrictHostKeyChecking yes\n",
                folder.display()
            ),
        ),
    ];
    for (name, text) in files {
        let path = folder.join(name);
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("mode");
        chown(&path, Some(ALICE), Some(ALICE)).expect("hers");
    }
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).expect("mode");
    chown(&folder, Some(ALICE), Some(ALICE)).expect("hers");
}

#[test]
fn a_custodian_far_away_approves_over_ssh_with_the_token_in_her_own_hand() {
    let site = ready();
    let sshd = Sshd::start(&site);
    let request = site.request("INC-1", "far away").expect("asked");
    let far = ["--json", "--agent", "ssh://host-1"];

    let looked = sshd.twotap(&site, &[&far[..], &["approve", "--review"]].concat(), "");
    assert_eq!(looked.0, Some(0), "{looked:?}");
    let looked: Value = serde_json::from_str(&looked.1).expect("JSON");
    assert_eq!(
        twotap_rig::site::words_of(&looked).expect("six words"),
        request.words,
        "both sides read the same"
    );

    site.tap("alice", 1).expect("a finger");
    let approve = [
        "approve",
        &request.id,
        "--pin-fd",
        "0",
        "--confirm",
        &request.words,
    ];
    let approved = sshd.twotap(&site, &[&far[..], &approve].concat(), "271828");
    assert_eq!(approved.0, Some(0), "{approved:?}");
    assert_eq!(
        site.view(&request).expect("there")["approved_by"],
        serde_json::json!(["alice"])
    );
    // The record names the account that ssh logged in.
    let by = events(&site)
        .into_iter()
        .find(|e| e["event_type"] == "BREAK_GLASS_APPROVED")
        .expect("recorded");
    let handed_in = by["what"]["handed_in_by"]
        .as_str()
        .expect("text")
        .to_owned();
    assert!(
        handed_in.starts_with(&format!("uid:{ALICE}@")),
        "{handed_in}"
    );

    // A session does not travel, and neither does anything to a host that is not who it was.
    let session = ["credentials", &request.id];
    let refused = sshd.twotap(&site, &[&far[..], &session].concat(), "");
    // Not only because it is another's: the relay hands out none at all.
    assert_eq!(refused.0, Some(3), "{refused:?}");
    assert!(
        refused.1.contains("a session is not handed over ssh"),
        "{refused:?}"
    );
    let known = site.stage().home("alice").join(".ssh/known_hosts");
    fs::write(&known, "").expect("emptied");
    let stranger = sshd.twotap(&site, &[&far[..], &["status"]].concat(), "");
    assert_eq!(stranger.0, Some(8), "{stranger:?}");
    assert!(stranger.1.contains("ssh does not get to"), "{stranger:?}");
}
