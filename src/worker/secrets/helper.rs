//! The setters' helper: a process that may start programs, because the worker may not.
//!
//! It is this program once more, started before the worker gives up `execve`, on a socketpair, with no environment, no session and no
//! file of the vault. It learns one secret at a time, from the worker, and gives it to the program that `worker.toml` names:
//!
//! ```text
//! worker ──Ask──▶ helper ──JSON on stdin──▶ program        (own process group, time-limited, killed at the end)
//!        ◀─Verdict─      ◀──exit code, JSON──
//! ```

use std::{
    collections::BTreeMap,
    os::{fd::OwnedFd, unix::net::UnixStream as StdStream},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::net::UnixStream;

use super::super::config::{Config, SetterProgram};
use super::{program, sandbox};
use crate::protocol::{Code, Problem, frame};

/// The helper's verb on the worker's command line.
pub(in crate::worker) const VERB: &str = "setter-helper";
/// How much longer than its program the helper may take.
const GRACE: Duration = Duration::from_secs(5);

/// What a setter is to do.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ask {
    pub(super) setter: String,
    pub(super) action: String,
    pub(super) secret: Value,
    pub(super) new: Value,
}

/// What a setter has said.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", content = "why", rename_all = "snake_case")]
pub(super) enum Verdict {
    /// It is set; it works.
    Done,
    /// `set`: nothing was changed. `test`: the new value does not work.
    Refused(String),
    /// It cannot be told.
    Unknown(String),
}

/// The worker's end.
pub(in crate::worker) struct Setters {
    stream: Option<UnixStream>,
    programs: BTreeMap<String, SetterProgram>,
}

/// Starts the helper where the configuration names setters. Before hardening: from then on nothing can be started.
pub(in crate::worker) fn start(config: &Config, path: &Path) -> Result<Option<StdStream>, Problem> {
    if config.setters.is_empty() {
        return Ok(None);
    }
    let failed = |why: std::io::Error| {
        Problem::new(
            Code::Internal,
            format!("the setters' helper cannot be started: {why}"),
        )
    };
    let (ours, theirs) = StdStream::pair().map_err(failed)?;
    // The same file, whatever stands at its path by now. Nobody waits for it: it ends with this end of the pair.
    Command::new("/proc/self/exe")
        .arg("--config")
        .arg(path)
        .arg(VERB)
        .env_clear()
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .spawn()
        .map_err(failed)?;
    ours.set_nonblocking(true).map_err(failed)?;
    Ok(Some(ours))
}

impl Setters {
    /// Takes over the connection that [`start`] has made.
    pub(in crate::worker) fn new(stream: StdStream, config: &Config) -> Result<Self, Problem> {
        let stream = UnixStream::from_std(stream)
            .map_err(|why| Problem::new(Code::Internal, format!("the setters' helper: {why}")))?;
        Ok(Self {
            stream: Some(stream),
            programs: config.setters.clone(),
        })
    }

    /// Has a setter do something.
    pub(super) async fn ask(&mut self, ask: &Ask) -> Verdict {
        let Some(program) = self.programs.get(&ask.setter) else {
            return Verdict::Refused(format!("worker.toml names no setter '{}'", ask.setter));
        };
        let patience = program.time() + GRACE;
        let Some(stream) = &mut self.stream else {
            return Verdict::Unknown("the setters' helper has gone".to_owned());
        };
        let answered = tokio::time::timeout(patience, async {
            frame::write(stream, ask).await?;
            frame::read(stream).await
        });
        match answered.await {
            Ok(Ok(Some(verdict))) => verdict,
            _ => {
                // Whatever it says later would be taken for the answer to another question.
                self.stream = None;
                Verdict::Unknown("the setters' helper has gone".to_owned())
            }
        }
    }
}

/// The helper itself: standard input is the worker.
pub(in crate::worker) fn main(config: &Path) -> Result<(), Problem> {
    let config = Config::read(config)?;
    let failed = |why: std::io::Error| {
        Problem::new(Code::Usage, format!("the setters' helper: {why}"))
            .hint("it is started by a worker, not by hand")
    };
    let stdin = std::os::fd::AsFd::as_fd(&std::io::stdin())
        .try_clone_to_owned()
        .map_err(failed)?;
    let stream = StdStream::from(stdin);
    // A file or a terminal is refused here.
    stream.local_addr().map_err(failed)?;
    stream.set_nonblocking(true).map_err(failed)?;
    // No terminal for programs that would ask a person there.
    rustix::process::setsid().map_err(|why| failed(why.into()))?;
    sandbox::enter(config.setters.values().map(|s| s.program.as_path()))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed)?;
    runtime.block_on(async {
        let mut stream = UnixStream::from_std(stream).map_err(failed)?;
        serve(&mut stream, &config.setters).await.map_err(failed)
    })
}

async fn serve(
    stream: &mut UnixStream,
    programs: &BTreeMap<String, SetterProgram>,
) -> std::io::Result<()> {
    while let Some(ask) = frame::read::<Ask>(stream).await? {
        let verdict = match programs.get(&ask.setter) {
            None => Verdict::Refused(format!("worker.toml names no setter '{}'", ask.setter)),
            Some(program) => {
                let input = program::Input {
                    action: &ask.action,
                    secret: &ask.secret,
                    new: &ask.new,
                };
                let running = program::run(program, &input);
                tokio::select! {
                    verdict = running => verdict,
                    // The worker is gone: what it has started ends with it, and the next one asks what came of it.
                    () = gone(stream) => return Ok(()),
                }
            }
        };
        frame::write(stream, &verdict).await?;
    }
    Ok(())
}

/// Until the worker closes its end, or speaks out of turn.
async fn gone(stream: &UnixStream) {
    loop {
        if stream.readable().await.is_err() {
            return;
        }
        match stream.try_read(&mut [0]) {
            Err(why) if why.kind() == std::io::ErrorKind::WouldBlock => {}
            _ => return,
        }
    }
}

/// What a program has answered, beside its exit code.
#[derive(Default, Deserialize)]
pub(super) struct Said {
    /// Why not, in plain words.
    #[serde(default)]
    pub(super) error: String,
}

impl Said {
    /// Reads a program's answer; one that is none says nothing.
    pub(super) fn parse(text: &[u8]) -> Self {
        serde_json::from_slice(text).unwrap_or_default()
    }
}
