//! A host with the real agent, which starts real workers; custodians have their keys in software.

use std::{
    fs,
    io::{Read as _, Write as _},
    ops::Deref,
    os::unix::{
        fs::{DirBuilderExt as _, PermissionsExt as _, chown},
        net::UnixStream,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use serde::{Serialize, de::DeserializeOwned};
use tempfile::TempDir;
use twotap::{
    protocol::Problem,
    trust::{Envelope, PublicKey, roster::Role},
};
use twotap_rig::{Credentials, memory, people, tools};

use crate::{
    flow::Status,
    points::{Rig, kill},
    support::{Bench, account, person, program},
    wait::{BOUND, until},
};

/// Why a call came to nothing.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Nobody answers, or not to the end.
    Gone,
    /// No, with the reason.
    Refused(Problem),
}

/// The whole host. Dropping it ends its processes.
pub(crate) struct Host {
    bench: Bench,
    agent: Mutex<Option<Child>>,
    strikes: AtomicU32,
    /// Keys that were not made over the wire.
    brought: Mutex<Vec<Credentials>>,
    pub(crate) rig: Rig,
    bin: TempDir,
}

impl Host {
    /// A host that is pinned to its roster, with its agent running; nothing is sealed.
    pub(crate) fn new() -> Self {
        people::require_root().expect("root");
        let host = Self {
            bench: Bench::bare(),
            agent: Mutex::default(),
            strikes: AtomicU32::new(0),
            brought: Mutex::default(),
            rig: Rig::new(),
            bin: tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder"),
        };
        host.lay_out();
        host.install();
        host.start_agent();
        host
    }

    /// The folder of the vault, as the worker keeps it.
    pub(crate) fn vault(&self) -> PathBuf {
        self.path("worker/state/vaults/prod")
    }

    /// Folders, programs under paths that are this host's alone, and the two configurations.
    fn lay_out(&self) {
        let open = fs::Permissions::from_mode(0o755);
        fs::set_permissions(self.path(""), open).expect("mode");
        for (name, uid, mode) in [
            ("run", people::AGENT, 0o755),
            ("agent", people::AGENT, 0o700),
            ("agent/state", people::AGENT, 0o700),
            ("agent/audit", people::AGENT, 0o700),
            ("worker", people::AGENT, 0o700),
            ("sofia", people::SOFIA, 0o700),
        ] {
            let path = self.path(name);
            fs::DirBuilder::new()
                .mode(mode)
                .create(&path)
                .expect("a folder");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("mode");
            chown(&path, Some(uid), Some(uid)).expect("owner");
        }
        // Links: a host's processes are told by the path of their program.
        fs::set_permissions(self.bin.path(), fs::Permissions::from_mode(0o755)).expect("mode");
        for name in PROGRAMS {
            let (built, path) = (program(name), self.bin.path().join(name));
            fs::hard_link(&built, &path)
                .or_else(|_| tools::install(&built, &path))
                .expect("a program");
        }
        let rig = self.rig.table();
        let worker = format!(
            "state = {:?}\nruntime = {:?}\n\n[aws]\nsts_regions = [\"eu-central-1\"]\nendpoint = {:?}\n{rig}",
            self.path("worker/state"),
            self.path("worker/runtime"),
            self.world.endpoint(),
        );
        let agent = format!(
            "socket = {:?}\nstate = {:?}\nhost_name = \"host-1\"\nvaults = [\"prod\"]\n\n[worker]\nspawn = true\nconfig = {:?}\n\n[audit]\nfile = {:?}\n{rig}",
            self.path("run/agent.sock"),
            self.path("agent/state"),
            self.path("agent/worker.toml"),
            self.path("agent/audit"),
        );
        for (name, text) in [("worker.toml", worker), ("agent.toml", agent)] {
            let path = self.path("agent").join(name);
            fs::write(&path, text).expect("written");
            chown(&path, Some(people::AGENT), Some(people::AGENT)).expect("owner");
        }
    }

    /// `program` of this host under the agent's account.
    fn command(&self, program: &str) -> Command {
        let mut command =
            people::as_uid(people::AGENT, self.bin.path().join(program)).expect("root");
        command.env_clear().env("PATH", "/usr/bin:/bin");
        command.current_dir(self.path("run"));
        command
    }

    fn install(&self) {
        let keys = self
            .command("twotapd")
            .arg("--config")
            .arg(self.path("agent/agent.toml"))
            .arg("keys")
            .output()
            .expect("twotapd");
        assert!(keys.status.success(), "{keys:?}");
        let keys: serde_json::Value = serde_json::from_slice(&keys.stdout).expect("keys");
        let key = |name: &str| -> PublicKey {
            serde_json::from_value(keys[name].clone()).expect("a public key")
        };
        let mut paper = self.roster(key("key"));
        paper.hosts[0].checkpoint_key = key("checkpoint_key");
        let host = key("key").id();
        for (name, uid) in [("alice", people::ALICE), ("bob", people::BOB)] {
            let listed = paper.people.iter_mut().find(|p| p.name == name);
            listed.expect("a custodian").accounts = account(host, uid);
        }
        let officer = person("sofia", Role::Officer, account(host, people::SOFIA));
        paper.people.push(officer);
        let mut signed = Envelope::new(&paper).expect("a good roster");
        for custodian in &self.custodians {
            signed.sign(custodian);
        }
        let path = self.path("run/roster.json");
        fs::write(&path, signed.to_json()).expect("written");
        let installed = self
            .command("twotap-worker")
            .arg("--config")
            .arg(self.path("agent/worker.toml"))
            .arg("install")
            .arg(&path)
            .output()
            .expect("twotap-worker");
        assert!(installed.status.success(), "{installed:?}");
    }

    /// Starts the agent and waits until it answers.
    pub(crate) fn start_agent(&self) {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.path("log"))
            .expect("a log");
        let child = self
            .command("twotapd")
            .arg("--config")
            .arg(self.path("agent/agent.toml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("twotapd");
        let socket = self.path("run/agent.sock");
        *self.agent() = Some(child);
        until("the agent answers", || {
            let ended = self
                .agent()
                .as_mut()
                .and_then(|a| a.try_wait().expect("ours"));
            assert!(ended.is_none(), "twotapd ended: {}", self.log());
            UnixStream::connect(&socket).is_ok()
        });
    }

    /// Kills the agent where it stands.
    pub(crate) fn kill_agent(&self) {
        if let Some(mut child) = self.agent().take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// The agent's process, while it runs.
    pub(crate) fn agent_pid(&self) -> Option<u32> {
        self.agent().as_ref().map(Child::id)
    }

    fn agent(&self) -> std::sync::MutexGuard<'_, Option<Child>> {
        self.agent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The workers that run now.
    pub(crate) fn workers(&self) -> Vec<u32> {
        let running = memory::processes_of(self.bin.path()).expect("processes");
        let workers = running
            .into_iter()
            .filter(|(_, name)| name == "twotap-worker");
        workers.map(|(pid, _)| pid).collect()
    }

    /// Notes a key that was made past the wire.
    pub(crate) fn knows(&self, key: Credentials) {
        self.brought
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(key);
    }

    /// Every key that the break-glass user ever had.
    pub(crate) fn keys(&self) -> Vec<Credentials> {
        let brought = self.brought.lock().unwrap_or_else(PoisonError::into_inner);
        let mut keys = self.world.proxy().keys_made();
        keys.extend(brought.iter().cloned());
        keys.push(self.world.first_key().clone());
        keys
    }

    /// How often somebody was killed in this case.
    pub(crate) fn strikes(&self) -> u32 {
        self.strikes.load(Ordering::SeqCst)
    }

    /// Counts another, or begins anew.
    pub(crate) fn count_strikes(&self, strikes: u32) {
        self.strikes.store(strikes, Ordering::SeqCst);
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// A call by a person.
    pub(crate) fn call<T: DeserializeOwned>(
        &self,
        uid: u32,
        method: &str,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Trouble> {
        let body = serde_json::to_vec(body).expect("json");
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: twotap\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let (status, body) = send(
            &self.path("run/agent.sock"),
            uid,
            &[head.as_bytes(), &body].concat(),
        )
        .ok_or(Trouble::Gone)?;
        if status == 200 {
            return serde_json::from_slice(&body).map_err(|_| Trouble::Gone);
        }
        let problem = serde_json::from_slice(&body).map_err(|_| Trouble::Gone)?;
        Err(Trouble::Refused(problem))
    }

    pub(crate) fn get<T: DeserializeOwned>(&self, uid: u32, path: &str) -> Result<T, Trouble> {
        self.call(uid, "GET", path, &())
    }

    /// The agent's own account of how things are.
    pub(crate) fn status(&self) -> Result<Status, Trouble> {
        self.get(people::SOFIA, "/v1/status")
    }

    /// `twotap audit verify`, by the officer.
    pub(crate) fn verify_record(&self) -> Result<(), String> {
        let done = people::as_uid(people::SOFIA, self.bin.path().join("twotap"))
            .expect("root")
            .args(["audit", "verify"])
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.path("sofia"))
            .env("TWOTAP_AGENT", self.path("run/agent.sock"))
            .current_dir(self.path("sofia"))
            .stdin(Stdio::null())
            .output()
            .expect("twotap");
        if done.status.success() {
            Ok(())
        } else {
            Err(String::from_utf8_lossy(&done.stderr).into_owned())
        }
    }
}

/// The account, the custodians and the folder are the bench's.
impl Deref for Host {
    type Target = Bench;

    fn deref(&self) -> &Bench {
        &self.bench
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.kill_agent();
        for pid in self.workers() {
            kill(pid);
        }
    }
}

/// Sends bytes as `uid` and reads the whole answer; `None` where there is none, or half of one.
fn send(socket: &Path, uid: u32, bytes: &[u8]) -> Option<(u16, Vec<u8>)> {
    let mut stream = connect(socket, uid)?;
    let _ = stream.write_all(bytes);
    stream
        .set_read_timeout(Some(BOUND + Duration::from_secs(10)))
        .expect("a bound");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, answer[end + 4..].to_vec()))
}

/// A connection of a person: made by a thread that has the person's uid.
fn connect(socket: &Path, uid: u32) -> Option<UnixStream> {
    let socket = socket.to_owned();
    let connected = std::thread::spawn(move || {
        let uid = rustix::process::Uid::from_raw(uid);
        // Of this thread alone: the kernel notes it at connect(2).
        rustix::thread::set_thread_res_uid(uid, uid, uid).expect("root may");
        UnixStream::connect(socket).ok()
    });
    connected.join().expect("the thread ends")
}

/// The programs with failpoints in them, which stand where this one does.
pub(crate) const PROGRAMS: [&str; 3] = ["twotap", "twotapd", "twotap-worker"];
