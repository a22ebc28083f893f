//! Dana at the agent's host, with an open session and the program as it ships.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    os::unix::fs::chown,
    path::{Path, PathBuf},
    process::{Child, ChildStderr, ChildStdin, Command, Output, Stdio},
    sync::mpsc::{Receiver, channel},
    time::{Duration, Instant},
};

use serde_json::Value;
use twotap::{
    audit::event::Record,
    protocol::socket::RequestView,
    trust::request::{Offer, Request},
};
use twotap_rig::{terminal::without_waits, tools};

use crate::agent_support::{BOUND, DANA, Host};

/// The host, and dana's open session.
pub(crate) struct Desk {
    pub(crate) host: Host,
    pub(crate) view: RequestView,
}

impl Desk {
    /// With a session that lasts.
    pub(crate) fn new() -> Self {
        Self::for_seconds(3600)
    }

    /// With a session of so many seconds.
    pub(crate) fn for_seconds(seconds: i64) -> Self {
        let mut host = Host::start();
        host.worker.told(|script| script.times.session = seconds);
        let twotap = host.path("twotap");
        tools::install(Path::new(env!("CARGO_BIN_EXE_twotap")), &twotap).expect("copied");
        home(&mut host, DANA);
        let view = host.open();
        Self { host, view }
    }

    pub(crate) fn request(&self) -> Request {
        let Offer(request) = self.view.offer.unverified().expect("an offer");
        request
    }

    /// `twotap ARGS` by dana, in a session without a terminal.
    pub(crate) fn twotap(&self, args: &[&str]) -> Command {
        self.by(DANA, "setsid", &self.host.path("twotap"), args)
    }

    /// A shell script by dana, with `twotap` in its path.
    pub(crate) fn shell(&self, script: &str) -> Command {
        self.by(DANA, "setsid", Path::new("sh"), &["-c", script])
    }

    /// `PROGRAM ARGS` by somebody, after `before` (`setsid`, which leaves the terminal of whoever runs the tests).
    pub(crate) fn by(&self, uid: u32, before: &str, program: &Path, args: &[&str]) -> Command {
        let id = uid.to_string();
        let path = format!("{}:/usr/bin:/bin", self.host.folder.path().display());
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid", &id, "--regid", &id, "--clear-groups", "--"])
            .args(before.split(' '))
            .arg(program)
            .args(args)
            .current_dir(self.home())
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.home())
            .env("TWOTAP_AGENT", self.host.socket());
        command
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.host.path("home-61010")
    }

    /// The deliveries that stand in the record.
    pub(crate) fn deliveries(&self) -> Vec<Record> {
        self.host.events_named("CREDENTIALS_DELIVERED")
    }

    /// In which forms the session was delivered, as the record has it.
    pub(crate) fn forms(&self) -> Vec<String> {
        let form = |event: &Record| {
            event
                .what
                .get("form")
                .and_then(Value::as_str)
                .map(str::to_owned)
        };
        self.deliveries().iter().filter_map(form).collect()
    }
}

fn home(host: &mut Host, uid: u32) {
    let home = host.path(&format!("home-{uid}"));
    fs::create_dir(&home).expect("a home");
    chown(&home, Some(uid), Some(uid)).expect("root");
}

/// Runs it to its end.
pub(crate) fn done(mut command: Command) -> Output {
    command.stdin(Stdio::null()).output().expect("it runs")
}

pub(crate) fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn err(output: &Output) -> String {
    without_waits(&String::from_utf8_lossy(&output.stderr))
}

/// A command that runs, with what it says on standard error line by line.
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    pub(crate) said: Vec<String>,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let stdin = child.stdin.take();
        let (sender, lines) = channel();
        let stderr: ChildStderr = child.stderr.take().expect("piped");
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self {
            child,
            stdin,
            lines,
            said: Vec::new(),
        }
    }

    /// Waits until a line of standard error has this in it.
    #[track_caller]
    pub(crate) fn until(&mut self, text: &str) -> String {
        let deadline = Instant::now() + BOUND;
        loop {
            let rest = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(rest) else {
                panic!("'{text}' is not said: {:?}", self.said);
            };
            self.said.push(line.clone());
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Waits until so much stands on standard output.
    #[track_caller]
    pub(crate) fn read(&mut self, text: &str) {
        let stdout = self.child.stdout.as_mut().expect("piped");
        let mut got = vec![0; text.len()];
        stdout.read_exact(&mut got).expect("it says so");
        assert_eq!(String::from_utf8_lossy(&got), text);
    }

    /// Lets it end, by the end of its input; its exit code and all that it said.
    #[track_caller]
    pub(crate) fn end(mut self) -> (Option<i32>, Vec<String>) {
        drop(self.stdin.take());
        let deadline = Instant::now() + BOUND;
        let status = loop {
            match self.child.try_wait().expect("waited") {
                Some(status) => break status,
                None => assert!(
                    Instant::now() < deadline,
                    "it does not end: {:?}",
                    self.said
                ),
            }
            std::thread::park_timeout(Duration::from_millis(5));
        };
        // The thread ends with the pipe.
        self.said.extend(self.lines.iter());
        (status.code(), std::mem::take(&mut self.said))
    }
}
