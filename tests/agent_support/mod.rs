//! A running `twotapd`, people at accounts of their own, and a worker at the other end of the wire.
//!
//! People are uids: a connection's peer is whoever connected, so a client is a thread that takes the person's uid before it connects.
//! That takes root.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "each test file uses its part"
)]

pub mod paper;
mod wire;
pub mod worker;

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::{
        fs::{PermissionsExt as _, chown},
        net::UnixStream,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use serde_json::Value;
use twotap::{
    audit::{event::Record, store::Store},
    ceremony::Stage,
    protocol::{
        Problem,
        job::Approval,
        socket::{Credentials, RequestView, Status},
    },
    trust::Bytes,
};
use twotap_rig::tools;

#[allow(unused_imports, reason = "each test file uses its part")]
pub use twotap_rig::people::{AGENT, ALICE, BOB, CAROL, DANA, IVAN, SOFIA};

use paper::Paper;
use worker::FakeWorker;

/// Nobody's account.
pub const STRANGER: u32 = 61099;

/// How long anything may take before a test gives up on it.
pub const BOUND: Duration = Duration::from_secs(30);

/// A host: its folder, its worker, and its agent while one runs.
pub struct Host {
    pub folder: tempfile::TempDir,
    pub worker: FakeWorker,
    /// What the agent finds in its environment beside the usual.
    pub environment: Vec<(&'static str, PathBuf)>,
    agent: Option<Child>,
    /// The record has events that no agent wrote.
    made_up: AtomicBool,
}

impl Host {
    /// A host whose agent serves.
    pub fn start() -> Self {
        let mut host = Self::prepare(Paper::new());
        host.start_agent();
        host
    }

    /// A host without an agent.
    pub fn prepare(paper: Paper) -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "people are accounts of their own in these tests: run them as root"
        );
        let folder = tempfile::Builder::new()
            .prefix("twotap-agent-")
            .tempdir()
            .expect("a folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("mode");
        for name in ["run", "state", "audit"] {
            let path = folder.path().join(name);
            fs::create_dir(&path).expect("a folder");
            chown(&path, Some(AGENT), Some(AGENT)).expect("owner");
        }
        let state = folder.path().join("state");
        fs::set_permissions(state, fs::Permissions::from_mode(0o700)).expect("mode");
        let worker = FakeWorker::start(&folder.path().join("worker.sock"), paper);
        let config = format!(
            "socket = 'run/agent.sock'\nstate = 'state'\nhost_name = 'host-1'\nvaults = ['prod']\n\
             [worker]\nsocket = '{}'\n[audit]\nfile = 'audit'\n",
            folder.path().join("worker.sock").display()
        );
        fs::write(folder.path().join("agent.toml"), config).expect("written");
        Self {
            folder,
            worker,
            environment: Vec::new(),
            agent: None,
            made_up: AtomicBool::new(false),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn socket(&self) -> PathBuf {
        self.path("run/agent.sock")
    }

    /// The agent's command line, under the agent's account.
    pub fn command(&self) -> Command {
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid", "61001", "--regid", "61001", "--clear-groups"])
            .arg(self.binary())
            .arg("--config")
            .arg(self.path("agent.toml"))
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    /// The binary at a place where the agent's account can read it.
    fn binary(&self) -> PathBuf {
        let built = Path::new(env!("CARGO_BIN_EXE_twotapd"));
        let open = |p: &Path| fs::metadata(p).is_ok_and(|m| m.permissions().mode() & 0o001 != 0);
        if built
            .ancestors()
            .filter(|p| !p.as_os_str().is_empty())
            .all(open)
        {
            return built.to_owned();
        }
        let copy = self.path("twotapd");
        if !copy.exists() {
            tools::install(built, &copy).expect("copied");
        }
        copy
    }

    /// Starts the agent and waits until it answers.
    pub fn start_agent(&mut self) {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.path("log"))
            .expect("a log");
        let child = self
            .command()
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("setpriv and twotapd start");
        self.agent = Some(child);
        until("the agent answers", || {
            let child = self.agent.as_mut().expect("started");
            if let Some(status) = child.try_wait().expect("waited") {
                panic!("the agent ended with {status}: {}", self.log());
            }
            try_call(&self.socket(), STRANGER, "GET", "/v1/status", &[], b"").is_some()
        });
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// The agent's process.
    pub fn agent_pid(&self) -> rustix::process::Pid {
        let child = self.agent.as_ref().expect("an agent runs");
        rustix::process::Pid::from_child(child)
    }

    /// Ends the agent without a warning.
    pub fn kill_agent(&mut self) {
        if let Some(mut child) = self.agent.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Ends the agent as systemd does; it has to end orderly.
    pub fn stop_agent(&mut self) {
        let pid = self.agent_pid();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("signalled");
        let mut child = self.agent.take().expect("an agent runs");
        let mut ended = None;
        until("the agent ends", || {
            ended = child.try_wait().expect("waited");
            ended.is_some()
        });
        assert!(ended.expect("ended").success(), "{}", self.log());
    }

    /// Works on the store of an agent that does not run, and gives its files back to the agent. What is written so is nothing that an agent
    /// wrote: the record is not kept.
    pub fn with_store(&self, work: impl FnOnce(&Store)) {
        self.made_up.store(true, Ordering::SeqCst);
        let store = Store::open(&self.path("state/state.db")).expect("its store");
        work(&store);
        drop(store);
        let state = fs::read_dir(self.path("state")).expect("its state");
        for file in state.flatten() {
            chown(file.path(), Some(AGENT), Some(AGENT)).expect("owner");
        }
    }

    /// A call by a person.
    pub fn call(&self, uid: u32, method: &str, path: &str, body: &impl serde::Serialize) -> Reply {
        let body = serde_json::to_vec(body).expect("json");
        try_call(&self.socket(), uid, method, path, &[], &body).expect("the agent answers")
    }

    pub fn get(&self, uid: u32, path: &str) -> Reply {
        try_call(&self.socket(), uid, "GET", path, &[], b"").expect("the agent answers")
    }

    pub fn status(&self, uid: u32) -> Status {
        self.get(uid, "/v1/status").json()
    }

    /// Dana asks; the request as it was offered.
    pub fn ask(&self) -> RequestView {
        self.try_ask(DANA).json()
    }

    pub fn try_ask(&self, uid: u32) -> Reply {
        let ask = paper::ask();
        self.call(uid, "POST", "/v1/requests", &ask)
    }

    /// A custodian approves what was offered.
    pub fn approve(&self, view: &RequestView, who: &str) -> Reply {
        let approval = Approval {
            approval: self.worker.paper().approval(&view.offer, who),
            sealed_share: Bytes(b"sealed".to_vec()),
        };
        self.vote(view, who, "approvals", &approval)
    }

    pub fn deny(&self, view: &RequestView, who: &str) -> Reply {
        let denial = twotap::protocol::socket::Denial {
            denial: self.worker.paper().denial(&view.offer, who),
        };
        self.vote(view, who, "denials", &denial)
    }

    fn vote(
        &self,
        view: &RequestView,
        who: &str,
        what: &str,
        body: &impl serde::Serialize,
    ) -> Reply {
        let uid = match who {
            "alice" => ALICE,
            "carol" => CAROL,
            _ => BOB,
        };
        self.call(
            uid,
            "POST",
            &format!("/v1/requests/{}/{what}", view.id),
            body,
        )
    }

    /// Both custodians approve; the request once its session is open.
    pub fn open(&self) -> RequestView {
        let view = self.ask();
        assert_eq!(self.approve(&view, "alice").status, 200);
        assert_eq!(self.approve(&view, "bob").status, 200);
        self.reach(&view.id, Stage::Open)
    }

    pub fn request(&self, id: &str) -> RequestView {
        self.get(DANA, &format!("/v1/requests/{id}")).json()
    }

    /// Waits until a request stands at `stage`.
    pub fn reach(&self, id: &str, stage: Stage) -> RequestView {
        let mut view = self.request(id);
        let what = format!("{id} is {stage}");
        let began = Instant::now();
        while view.stage != stage {
            assert!(
                began.elapsed() < BOUND,
                "not in time: {what}, it is {}: {:?}\n{}",
                view.stage,
                view.outcome,
                self.log()
            );
            std::thread::sleep(Duration::from_millis(20));
            view = self.request(id);
        }
        view
    }

    pub fn close(&self, uid: u32, id: &str, force: bool) -> Reply {
        let close = twotap::protocol::socket::Close { force };
        self.call(uid, "POST", &format!("/v1/requests/{id}/close"), &close)
    }

    pub fn credentials(&self, uid: u32, id: &str) -> Reply {
        self.get(uid, &format!("/v1/requests/{id}/credentials"))
    }

    /// The record's lines.
    pub fn events(&self) -> Vec<Record> {
        let reply = self.get(DANA, "/v1/audit/events");
        assert_eq!(reply.status, 200);
        reply
            .body
            .split(|b| *b == b'\n')
            .filter(|l| !l.is_empty())
            .map(|l| Record::parse(l).expect("a line of the record"))
            .collect()
    }

    /// The names of the events of one request, in order.
    pub fn events_of(&self, id: &str) -> Vec<String> {
        self.events()
            .into_iter()
            .filter(|r| r.correlation_id.as_deref() == Some(id))
            .map(|r| r.event_type)
            .collect()
    }

    /// The events of one type.
    pub fn events_named(&self, name: &str) -> Vec<Record> {
        self.events()
            .into_iter()
            .filter(|r| r.event_type == name)
            .collect()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.kill_agent();
        if !self.made_up.load(Ordering::SeqCst) {
            twotap_rig::records::keep(&self.path("audit"));
        }
    }
}

/// What a program says that is to refuse its start: one that serves after all is ended, and the test with it.
pub fn refused(command: &mut Command) -> Output {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let began = Instant::now();
    while child.try_wait().expect("waited").is_none() {
        if began.elapsed() > BOUND {
            let _ = child.kill();
            let _ = child.wait();
            panic!("it serves, or has not ended within {BOUND:?}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.wait_with_output().expect("it ended")
}

/// An answer.
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> T {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        serde_json::from_slice(&self.body).expect("the answer's type")
    }

    pub fn problem(&self) -> Problem {
        assert_ne!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        serde_json::from_slice(&self.body).expect("a problem")
    }

    pub fn credentials(&self) -> Credentials {
        self.json()
    }

    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.body).expect("json")
    }
}

/// A call as `uid`; `None` where nobody answers.
pub fn try_call(
    socket: &Path,
    uid: u32,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Option<Reply> {
    let mut request = format!("{method} {path} HTTP/1.1\r\nhost: twotap\r\nconnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
    let mut bytes = request.into_bytes();
    bytes.extend_from_slice(body);
    raw(socket, uid, bytes)
}

/// Bytes as `uid`, and what comes back.
pub fn raw(socket: &Path, uid: u32, bytes: Vec<u8>) -> Option<Reply> {
    let mut stream = connect(socket, uid)?;
    // A peer that has answered and closed before it read everything is no fault.
    let _ = stream.write_all(&bytes);
    read_reply(&mut stream)
}

/// Reads until the agent closes.
pub fn read_reply(stream: &mut UnixStream) -> Option<Reply> {
    stream.set_read_timeout(Some(BOUND)).expect("a bound");
    let mut answer = Vec::new();
    let mut buffer = [0; 16 * 1024];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(n) => answer.extend_from_slice(&buffer[..n]),
        }
    }
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n")?;
    let head = String::from_utf8(answer[..end].to_vec()).ok()?;
    Some(Reply {
        status: head.split(' ').nth(1)?.parse().ok()?,
        head,
        body: answer[end + 4..].to_vec(),
    })
}

/// A connection of a person: made by a thread that has the person's uid.
pub fn connect(socket: &Path, uid: u32) -> Option<UnixStream> {
    let socket = socket.to_owned();
    std::thread::spawn(move || {
        let uid = rustix::process::Uid::from_raw(uid);
        // Of this thread alone: the kernel notes it at connect(2).
        rustix::thread::set_thread_res_uid(uid, uid, uid).expect("root may");
        UnixStream::connect(socket).ok()
    })
    .join()
    .expect("the thread ends")
}

/// Waits for a condition, with a bound.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < BOUND, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
