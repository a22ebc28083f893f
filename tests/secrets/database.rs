//! A service with one password, and the setter that changes it: a program that asks this test over loopback what to do.

use std::{
    collections::VecDeque,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use twotap_rig::tools;

const BOUND: Duration = Duration::from_secs(60);

/// What the service does with the next `set`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Refuses, and changes nothing.
    Refuses,
    /// Refuses, in words that quote the new password.
    Quotes,
    /// Sets it, and never answers.
    SetsAndHangs,
    /// Never answers, and sets nothing.
    Hangs,
    /// Starts something that outlives the program, and answers well.
    LeavesOneBehind,
}

/// The service.
pub(crate) struct Database {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    password: String,
    moods: VecDeque<Mood>,
    /// Everything that the setter has said, in order.
    calls: Vec<Value>,
    /// Programs that have ended while they waited for an answer.
    gone: usize,
}

/// The setter. It tells the service what it was given, and what it runs in.
const PROGRAM: &str = r#"#!/usr/bin/python3 -I
import json, os, resource, socket, subprocess, sys
ask = json.load(sys.stdin)
def tries(what):
    try:
        what()
        return True
    except OSError:
        return False
ask["seen"] = {
    "argv": sys.argv, "env": sorted(os.environ), "cwd": os.getcwd(), "uid": os.getuid(),
    "core": resource.getrlimit(resource.RLIMIT_CORE)[1], "cpu": resource.getrlimit(resource.RLIMIT_CPU)[1],
    "terminal": tries(lambda: os.open("/dev/tty", os.O_RDWR)), "leads": os.getpgid(0) == os.getpid(),
    "privileges": [l for l in open("/proc/self/status") if l.startswith("NoNewPrivs")][0].split()[1],
    "writes": tries(lambda: open("@FOLDER@/written", "w")), "reads_state": tries(lambda: os.listdir("@FOLDER@/state")),
    "reads_runtime": tries(lambda: os.listdir("@FOLDER@/runtime")),
}
s = socket.create_connection(("127.0.0.1", @PORT@))
s.sendall(json.dumps(ask).encode() + b"\n")
reply = json.loads(s.makefile().readline())
if reply.get("leave"):
    subprocess.Popen(["python3", "-c", "import time; time.sleep(600)", "@LEFT@"])
print(json.dumps({"error": reply.get("error", "")}))
sys.exit(reply["code"])
"#;

impl Database {
    /// A service with this password.
    pub(crate) fn new(password: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("a port").port();
        let shared = Arc::new(Shared::default());
        shared.lock().password = password.to_owned();
        let serving = Arc::clone(&shared);
        // It ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&serving);
                std::thread::spawn(move || shared.serve(stream));
            }
        });
        Self { port, shared }
    }

    /// Writes the setter's program into a worker's folder, as root owns it.
    pub(crate) fn setter(&self, folder: &Path, name: &str) -> PathBuf {
        let program = folder.join(name);
        let text = PROGRAM
            .replace("@PORT@", &self.port.to_string())
            .replace("@LEFT@", &format!("left behind by {}", self.port))
            .replace("@FOLDER@", &folder.display().to_string());
        tools::install_text(&text, &program).expect("a program");
        program
    }

    /// How it is disposed to the next `set`s.
    pub(crate) fn mood(&self, mood: Mood) {
        self.shared.lock().moods.push_back(mood);
    }

    /// The password that works.
    pub(crate) fn password(&self) -> String {
        self.shared.lock().password.clone()
    }

    /// Whether something that the setter has started still runs.
    pub(crate) fn has_left_one_behind(&self) -> bool {
        let mark = format!("left behind by {}", self.port);
        let processes = std::fs::read_dir("/proc").expect("there").flatten();
        processes.map(|p| p.path().join("cmdline")).any(|cmdline| {
            std::fs::read(cmdline).is_ok_and(|c| String::from_utf8_lossy(&c).contains(&mark))
        })
    }

    /// What the setter was told, in order.
    pub(crate) fn calls(&self) -> Vec<Value> {
        self.shared.lock().calls.clone()
    }

    /// The actions, in order.
    pub(crate) fn actions(&self) -> Vec<String> {
        let action = |call: &Value| call["action"].as_str().expect("an action").to_owned();
        self.calls().iter().map(action).collect()
    }

    /// Waits until so many calls have come.
    pub(crate) fn wait_calls(&self, count: usize) {
        self.shared.wait(|state| state.calls.len() >= count);
    }

    /// Waits until so many programs have ended without an answer.
    pub(crate) fn wait_gone(&self, count: usize) {
        self.shared.wait(|state| state.gone >= count);
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn wait(&self, until: impl Fn(&State) -> bool) {
        let deadline = Instant::now() + BOUND;
        let mut state = self.lock();
        while !until(&state) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "it does not come: {:?}", state.calls);
            state = self.changed.wait_timeout(state, left).expect("a lock").0;
        }
    }

    fn serve(&self, mut stream: TcpStream) {
        let mut line = String::new();
        let read = BufReader::new(stream.try_clone().expect("a socket")).read_line(&mut line);
        let (Ok(_), Ok(call)) = (read, serde_json::from_str::<Value>(&line)) else {
            return;
        };
        let password = |version: &str| {
            let value = &call[version];
            let text = value.as_str().or_else(|| value["password"].as_str());
            text.expect("a password").to_owned()
        };
        let (old, new) = (password("secret"), password("new"));
        let reply = {
            let mut state = self.lock();
            let mood = match call["action"].as_str() {
                Some("set") => state.moods.pop_front(),
                _ => None,
            };
            let reply = match (call["action"].as_str(), mood) {
                (Some("test"), _) => Some(json!({"code": u8::from(state.password != new)})),
                (_, Some(Mood::Refuses)) => Some(json!({"code": 1, "error": "closed for today"})),
                (_, Some(Mood::Quotes)) => {
                    Some(json!({"code": 1, "error": format!("{new} is too good for me")}))
                }
                (_, Some(Mood::Hangs)) => None,
                (_, Some(Mood::SetsAndHangs)) => {
                    state.password = new;
                    None
                }
                (_, mood) if state.password == old => {
                    state.password = new;
                    Some(json!({"code": 0, "leave": mood == Some(Mood::LeavesOneBehind)}))
                }
                _ => Some(json!({"code": 1, "error": "that is not the current password"})),
            };
            state.calls.push(call);
            reply
        };
        self.changed.notify_all();
        match reply {
            Some(reply) => {
                let _ = writeln!(stream, "{reply}");
            }
            None => {
                // Until the program is ended.
                let _ = stream.read(&mut [0]);
                self.lock().gone += 1;
                self.changed.notify_all();
            }
        }
    }
}
