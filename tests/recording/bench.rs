//! A host with an open session, dana's and sofia's homes, and sofia's key.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use age::secrecy::ExposeSecret as _;
use serde_json::Value;
use twotap::{
    protocol::socket::RequestView,
    trust::roster::{Recording, Roster},
};
use twotap_rig::{terminal::Terminal, tools};

use crate::agent_support::{ALICE, DANA, Host, SOFIA, paper::Paper};

pub(crate) struct Bench {
    pub(crate) host: Host,
    /// The open session's request.
    pub(crate) id: String,
    homes: tempfile::TempDir,
    twotap: PathBuf,
}

impl Bench {
    /// Sofia has a key, and the profile says this about recording.
    pub(crate) fn new(recording: Recording) -> Self {
        Self::with(recording, |_| ())
    }

    /// The same with something else in the roster.
    pub(crate) fn with(recording: Recording, change: impl FnOnce(&mut Roster)) -> Self {
        let homes = tempfile::Builder::new()
            .prefix("twotap-recording-")
            .tempdir()
            .expect("a folder");
        open_to_all(homes.path());
        for (name, uid) in [("dana", DANA), ("sofia", SOFIA), ("alice", ALICE)] {
            let home = homes.path().join(name);
            fs::create_dir(&home).expect("a home");
            chown(&home, Some(uid), Some(uid)).expect("an owner");
        }
        let key = age::x25519::Identity::generate();
        let file = format!(
            "# public key: {}\n{}\n",
            key.to_public(),
            key.to_string().expose_secret()
        );
        write_for(SOFIA, &homes.path().join("sofia/key"), file.as_bytes());
        let paper = Paper::of(&["alice", "bob"], |roster, _| {
            let mut people = roster.people.iter_mut();
            let sofia = people.find(|p| p.name == "sofia").expect("sofia");
            sofia.recipient = Some(key.to_public().to_string());
            roster.access[0].recording = recording;
            change(roster);
        });
        let mut host = Host::prepare(paper);
        host.start_agent();
        let id = host.open().id;
        let twotap = host.path("twotap");
        tools::install(Path::new(env!("CARGO_BIN_EXE_twotap")), &twotap).expect("copied");
        Self {
            host,
            id,
            homes,
            twotap,
        }
    }

    /// A path in somebody's home.
    pub(crate) fn home(&self, path: &str) -> PathBuf {
        self.homes.path().join(path)
    }

    /// `twotap` as somebody.
    pub(crate) fn twotap(&self, who: &str, args: &[&str]) -> Command {
        let uid = match who {
            "dana" => DANA,
            "sofia" => SOFIA,
            "alice" => ALICE,
            other => panic!("nobody is called {other}"),
        };
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid", &uid.to_string(), "--regid", &uid.to_string()])
            .arg("--clear-groups")
            .arg(&self.twotap)
            .args(args)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.home(who))
            .env("LANG", "C.UTF-8")
            .env("TERM", "xterm")
            .env("SHELL", "/bin/bash")
            .env("TWOTAP_AGENT", self.host.socket())
            .current_dir(self.home(who));
        command
    }

    /// Runs it without a terminal.
    pub(crate) fn run(&self, who: &str, args: &[&str]) -> Output {
        let mut command = self.twotap(who, args);
        command.stdin(Stdio::null()).output().expect("it runs")
    }

    /// Runs it at a terminal that is its own.
    pub(crate) fn at_terminal(&self, who: &str, args: &[&str]) -> Terminal {
        Terminal::owned(&self.twotap(who, args)).expect("a terminal")
    }

    /// Dana's shell, once it asks for a command.
    pub(crate) fn shell(&self) -> Terminal {
        let mut shell = self.at_terminal("dana", &["shell"]);
        shell.until("[prod/admin ");
        shell
    }

    /// Sofia writes a recording to a file; what is in it.
    pub(crate) fn exported(&self, recording: u32) -> Cast {
        let file = self.home(&format!("sofia/{recording}.cast"));
        let _ = fs::remove_file(&file);
        let n = recording.to_string();
        let file_name = file.to_str().expect("plain");
        let args = ["replay", &self.id, "--identity", "key", "--recording", &n];
        let output = self.run("sofia", &[&args[..], &["--export", file_name]].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        let mode = fs::metadata(&file).expect("written").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        Cast::read(&file)
    }

    /// The names of the session's events about recordings, in order.
    pub(crate) fn recording_events(&self) -> Vec<String> {
        let all = self.host.events_of(&self.id).into_iter();
        all.filter(|name| name.starts_with("RECORDING_")).collect()
    }

    pub(crate) fn view(&self) -> RequestView {
        self.host.request(&self.id)
    }

    /// Where the agent keeps a recording.
    pub(crate) fn file(&self, recording: u32) -> PathBuf {
        let below = format!("state/recordings/{}/{recording}", self.id);
        self.host.path(&below)
    }
}

/// An asciicast, as any player reads it.
pub(crate) struct Cast {
    pub(crate) header: Value,
    pub(crate) events: Vec<(f64, String, String)>,
}

impl Cast {
    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).expect("a file");
        let mut lines = text.lines();
        let header = lines.next().expect("a header");
        let header: Value = serde_json::from_str(header).expect("json");
        assert_eq!(header["version"], 2);
        let events: Vec<(f64, String, String)> = lines
            .map(|line| serde_json::from_str(line).expect("an event"))
            .collect();
        let times: Vec<f64> = events.iter().map(|e| e.0).collect();
        assert!(times.is_sorted(), "{times:?}");
        Self { header, events }
    }

    /// All output.
    pub(crate) fn output(&self) -> String {
        let shown = self.events.iter().filter(|e| e.1 == "o");
        shown.map(|e| e.2.as_str()).collect()
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(crate) fn write_for(uid: u32, path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).expect("written");
    chown(path, Some(uid), Some(uid)).expect("an owner");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("a mode");
}

fn open_to_all(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("a mode");
}
