//! People at their terminals: each under an account of its own, with a home of its own, and no terminal at all.

use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use twotap_rig::terminal::without_waits;
use twotap_token::{
    Pcscd, TokenOptions, TokenProcess,
    pki::{Authority, Pki},
};

use crate::agent::Agent;

#[allow(unused_imports, reason = "each test file uses its part")]
pub(crate) use twotap_rig::people::{ALICE, BOB, DANA};

/// The PIN that custodians choose at enrolment.
pub(crate) const PIN: &str = "471147";

/// A folder that all accounts may walk, a pcscd, a stand-in for the agent, and the program.
pub(crate) struct Bench {
    dir: TempDir,
    pcscd: Option<Pcscd>,
    pub(crate) agent: Agent,
}

impl Bench {
    /// Without a card reader.
    pub(crate) fn bare() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(dir.path(), open).expect("mode");
        // A copy: the build's folder need not be open to other accounts.
        let program = dir.path().join("twotap");
        let built = std::path::Path::new(env!("CARGO_BIN_EXE_twotap"));
        twotap_rig::tools::install(built, &program).expect("the program");
        let agent = Agent::start(dir.path());
        Self {
            dir,
            pcscd: None,
            agent,
        }
    }

    /// With two readers.
    pub(crate) fn start() -> Self {
        let mut bench = Self::bare();
        let folder = bench.path("pcsc");
        bench.pcscd = Some(Pcscd::start(&folder, 2).expect("a private pcscd"));
        bench
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).expect("written");
        path
    }

    /// A factory-fresh token.
    pub(crate) fn insert(&self, serial: u32) -> TokenProcess {
        self.insert_like(serial, "5.7.4")
    }

    /// The same of another make: a built-in profile's name, or the text of one.
    pub(crate) fn insert_like(&self, serial: u32, profile: &str) -> TokenProcess {
        let program = TokenOptions::beside_tests().expect("twotap-token");
        let mut options = TokenOptions::new(program, self.dir.path(), serial);
        options.touch_timeout_ms = Some(400);
        options.profile = match profile.contains('=') {
            false => profile.to_owned(),
            true => {
                let file = self.write(&format!("{serial}.toml"), profile);
                file.to_str().expect("a plain path").to_owned()
            }
        };
        let pcscd = self.pcscd.as_ref().expect("a bench with readers");
        pcscd.insert(&options).expect("a virtual token")
    }

    /// Who vouches for the virtual tokens, as `--attestation-root` takes it; readable by everybody.
    pub(crate) fn attestation_root(&self) -> String {
        self.authority(Authority::PivIntermediate, "rig")
    }

    /// The same, of another authority and under another name.
    pub(crate) fn authority(&self, of: Authority, name: &str) -> String {
        let pki = Pki::open(&self.path("pki")).expect("the tokens' authority");
        let to = self.path(of.file_name());
        std::fs::copy(pki.certificate_path(of), &to).expect("copied");
        format!("{name}={}", to.display())
    }

    /// A home that is this account's alone.
    pub(crate) fn home(&self, uid: u32) -> PathBuf {
        let home = self.path(&format!("home-{uid}"));
        if !home.exists() {
            std::fs::create_dir(&home).expect("a home");
            chown(&home, Some(uid), Some(uid)).expect("root");
        }
        home
    }

    /// Runs a shell script as somebody.
    pub(crate) fn shell(&self, uid: u32, script: &str, input: &str) -> Done {
        self.run(uid, Path::new("sh"), &["-c", script])
            .input(input)
            .output()
    }

    /// Runs `twotap ARGS` as somebody, in that one's home and without a terminal.
    pub(crate) fn twotap(&self, uid: u32, args: &[&str]) -> Run<'_> {
        self.run(uid, &self.path("twotap"), args)
    }

    /// `twotap ARGS`, to be started at the terminal that will be its standard input.
    pub(crate) fn at_terminal(&self, uid: u32, args: &[&str]) -> Command {
        self.command(uid, "-cw", &self.path("twotap"), args)
    }

    /// `twotap ARGS` as a line for a shell at a terminal of its own.
    pub(crate) fn line(&self, uid: u32, args: &[&str]) -> String {
        let command = self.at_terminal(uid, args);
        let quoted = |text: &std::ffi::OsStr| format!("'{}'", text.to_str().expect("plain"));
        let mut line = format!("cd {} && env -i", quoted(self.home(uid).as_os_str()));
        for (name, value) in command.get_envs() {
            let (name, value) = (quoted(name), quoted(value.unwrap_or_default()));
            line.push_str(&format!(" {name}={value}"));
        }
        line.push_str(" \"TERM=$TERM\" setpriv");
        // The terminal is its own already.
        let session = ["setsid", "-cw"];
        let args = command
            .get_args()
            .filter(|a| !session.iter().any(|s| a == s));
        for arg in args {
            line.push_str(&format!(" {}", quoted(arg)));
        }
        line
    }

    /// The id of the running `twotap` with this argument.
    pub(crate) fn process_of(&self, argument: &str) -> u32 {
        let program = self.path("twotap");
        let folders = std::fs::read_dir("/proc").expect("proc");
        let pids = folders.filter_map(|f| f.ok()?.file_name().to_str()?.parse().ok());
        let ours = |pid: &u32| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let mut parts = line.split(|b| *b == 0);
            parts.next() == program.to_str().map(str::as_bytes)
                && parts.any(|part| part == argument.as_bytes())
        };
        let mut found = pids.filter(ours);
        found.next().expect("it runs")
    }

    fn run(&self, uid: u32, program: &Path, args: &[&str]) -> Run<'_> {
        let mut command = self.command(uid, "-w", program, args);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Run {
            command,
            input: String::new(),
            _bench: self,
        }
    }

    fn command(&self, uid: u32, session: &str, program: &Path, args: &[&str]) -> Command {
        let id = uid.to_string();
        let mut command = Command::new("setpriv");
        command
            .args([
                "--reuid",
                &id,
                "--regid",
                &id,
                "--clear-groups",
                "--",
                "setsid",
                session,
            ])
            .arg(program)
            .args(args)
            .current_dir(self.home(uid))
            .env_clear()
            .env(
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            )
            .env("HOME", self.home(uid))
            .env("TWOTAP_AGENT", &self.agent.socket);
        if let Some(pcscd) = &self.pcscd {
            command.env("PCSCLITE_CSOCK_NAME", pcscd.socket());
        }
        command
    }
}

/// A call that has not been made yet.
pub(crate) struct Run<'b> {
    command: Command,
    input: String,
    _bench: &'b Bench,
}

impl Run<'_> {
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<Path>) -> Self {
        self.command.env(name, value.as_ref());
        self
    }

    pub(crate) fn input(mut self, text: &str) -> Self {
        self.input = text.to_owned();
        self
    }

    pub(crate) fn output(mut self) -> Done {
        let mut child = self.command.spawn().expect("setpriv");
        let mut stdin = child.stdin.take().expect("piped");
        // One that ends early does not read what it was given.
        let _ = stdin.write_all(self.input.as_bytes());
        drop(stdin);
        Done(child.wait_with_output().expect("ended"))
    }

    /// Runs it with `--json`, which must succeed with one object alone on standard output.
    pub(crate) fn json(mut self) -> Value {
        self.command.arg("--json");
        let done = self.output();
        assert_eq!(done.code(), 0, "{}{}", done.out(), done.err());
        done.object()
    }

    /// Runs it for people; it must fail, saying so in one line and perhaps a hint. Answers its exit code.
    pub(crate) fn fails_plainly(self) -> i32 {
        let done = self.output();
        assert!(done.err().starts_with("error: "), "{}", done.err());
        done.code()
    }

    /// Runs it with `--json`, which must fail with one object alone; answers its exit code and message.
    pub(crate) fn fails(mut self) -> (i32, String) {
        self.command.arg("--json");
        let done = self.output();
        let object = done.object();
        let error = object["error"]["error"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        assert_ne!(done.code(), 0, "{}", done.out());
        assert!(!error.is_empty(), "{}", done.out());
        (done.code(), error)
    }
}

/// A call that was made.
pub(crate) struct Done(Output);

impl Done {
    pub(crate) fn code(&self) -> i32 {
        self.0.status.code().unwrap_or(-1)
    }

    pub(crate) fn out(&self) -> String {
        String::from_utf8_lossy(&self.0.stdout).into_owned()
    }

    /// What was said, but for what was waited for.
    pub(crate) fn err(&self) -> String {
        without_waits(&String::from_utf8_lossy(&self.0.stderr))
    }

    fn object(&self) -> Value {
        let out = self.out();
        assert_eq!(out.lines().count(), 1, "one line: {out:?}; {}", self.err());
        let object: Value = serde_json::from_str(&out).expect("json");
        assert!(object.is_object());
        object
    }
}
