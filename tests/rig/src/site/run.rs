//! Running `twotap` as a person, and what came of it.

use std::{
    io::Write as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use super::Site;
use crate::RigError;

/// The longest that any verb may take.
const BOUND: Duration = Duration::from_secs(180);

/// A verb that has run.
#[derive(Debug)]
pub struct Done {
    /// The exit status; `None` when a signal ended it.
    pub status: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error: what a person sees.
    pub stderr: String,
    /// How long it took.
    pub took: Duration,
}

/// A verb about to be run by somebody.
pub struct Invocation {
    command: Command,
    input: Option<String>,
    shown: String,
}

impl Site {
    /// `twotap ARGS` as this person, on this person's machine.
    pub fn twotap(&self, name: &str, args: &[&str]) -> Result<Invocation, RigError> {
        let mut invocation = self.run(name, self.program("twotap"), args)?;
        invocation.command.env("TWOTAP_AGENT", self.socket());
        invocation.shown = format!("{name}$ twotap {}", typed(args));
        Ok(invocation)
    }

    /// Any program as this person.
    pub fn run(&self, name: &str, program: PathBuf, args: &[&str]) -> Result<Invocation, RigError> {
        let mut command = self.stage.command(name, &program)?;
        command.args(args);
        command.envs(self.options.environment.iter().map(|(n, v)| (n, v)));
        if let Some(socket) = self.pcsc_socket(name) {
            command.env("PCSCLITE_CSOCK_NAME", socket);
        }
        Ok(Invocation {
            shown: format!("{name}$ {} {}", program.display(), typed(args)),
            command,
            input: None,
        })
    }
}

/// Arguments as they are typed in a shell: what has spaces stands in quotes.
fn typed(args: &[&str]) -> String {
    let one = |arg: &&str| match arg.contains(' ') || arg.is_empty() {
        true => format!("\"{arg}\""),
        false => (*arg).to_owned(),
    };
    args.iter().map(one).collect::<Vec<_>>().join(" ")
}

impl Invocation {
    /// Gives it this text on standard input.
    #[must_use]
    pub fn input(mut self, text: impl Into<String>) -> Self {
        self.input = Some(text.into());
        self
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// The command itself, for a caller with other plans for its terminal.
    pub fn into_command(self) -> Command {
        self.command
    }

    /// How it would be typed.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Runs it with the caller's terminal.
    pub fn on_terminal(mut self) -> Result<Done, RigError> {
        let begun = Instant::now();
        let status = self
            .command
            .status()
            .map_err(|why| RigError::new(format!("{}: {why}", self.shown)))?;
        Ok(Done {
            status: status.code(),
            stdout: String::new(),
            stderr: String::new(),
            took: begun.elapsed(),
        })
    }

    /// Runs it to its end, whatever that is.
    pub fn go(self) -> Result<Done, RigError> {
        self.start()?.finish()
    }

    /// Starts it and gives it its input; the caller looks at it meanwhile.
    pub fn start(self) -> Result<Running, RigError> {
        let begun = Instant::now();
        let failed = |why: std::io::Error| RigError::new(format!("{}: {why}", self.shown));
        let mut child = without_terminal(&self.command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        if let Some(mut stdin) = child.stdin.take() {
            // A verb that ends before it has read everything is no fault of the rig.
            let _ = stdin.write_all(self.input.unwrap_or_default().as_bytes());
        }
        let (stdout, stderr) = read_both(&mut child);
        Ok(Running {
            child,
            begun,
            shown: self.shown,
            streams: Some((stdout, stderr)),
        })
    }

    /// Runs it and demands success.
    pub fn ok(self) -> Result<Done, RigError> {
        let shown = self.shown.clone();
        let done = self.go()?;
        if done.status == Some(0) {
            Ok(done)
        } else {
            Err(RigError::new(format!(
                "{shown}\nended with {:?}\n{}{}",
                done.status, done.stdout, done.stderr
            )))
        }
    }

    /// Runs it, demands success, and reads its one JSON object.
    pub fn json(self) -> Result<Value, RigError> {
        let shown = self.shown.clone();
        let done = self.ok()?;
        serde_json::from_str(&done.stdout).map_err(|why| {
            RigError::new(format!("{shown}\nprinted no JSON ({why}): {}", done.stdout))
        })
    }
}

/// A verb that runs; killed if it is dropped before its end.
pub struct Running {
    child: Child,
    begun: Instant,
    shown: String,
    streams: Option<(Reader, Reader)>,
}

impl Running {
    /// Its process id: whatever starts a person's program becomes that program.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end, whatever that is.
    pub fn finish(mut self) -> Result<Done, RigError> {
        let status = wait(&mut self.child, self.begun, &self.shown)?;
        let text = |reader: Reader| reader.join().unwrap_or_default();
        let (stdout, stderr) = self.streams.take().map_or_else(
            || (String::new(), String::new()),
            |(out, err)| (text(out), text(err)),
        );
        Ok(Done {
            status,
            stdout,
            stderr,
            took: self.begun.elapsed(),
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// The same command in a session of its own: a script's run must not find the terminal of whoever runs the rig.
fn without_terminal(command: &Command) -> Command {
    let mut alone = Command::new("setsid");
    alone
        .arg("--wait")
        .arg(command.get_program())
        .args(command.get_args())
        .env_clear()
        .envs(
            command
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
    if let Some(folder) = command.get_current_dir() {
        alone.current_dir(folder);
    }
    alone
}

impl Done {
    /// Whether it failed with this exit status.
    pub fn refused_with(&self, status: i32) -> bool {
        self.status == Some(status)
    }
}

type Reader = std::thread::JoinHandle<String>;

fn read_both(child: &mut Child) -> (Reader, Reader) {
    fn all(from: Option<impl std::io::Read + Send + 'static>) -> Reader {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            if let Some(mut from) = from {
                let _ = from.read_to_end(&mut bytes);
            }
            String::from_utf8_lossy(&bytes).into_owned()
        })
    }
    (all(child.stdout.take()), all(child.stderr.take()))
}

fn wait(child: &mut Child, begun: Instant, shown: &str) -> Result<Option<i32>, RigError> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status.code()),
            Ok(None) if begun.elapsed() < BOUND => {
                std::thread::park_timeout(Duration::from_millis(5))
            }
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(RigError::new(format!(
                    "{shown}\ndid not end within {BOUND:?}"
                )));
            }
            Err(why) => return Err(RigError::new(format!("{shown}: {why}"))),
        }
    }
}
