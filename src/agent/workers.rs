//! Connections to workers: one job each.

use std::{
    os::unix::net::UnixStream as StdStream,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{
    net::{UnixStream, unix::OwnedWriteHalf},
    sync::mpsc,
    time::timeout,
};

use super::config::WorkerAt;
use crate::{
    fail,
    protocol::{
        Code, Problem, frame,
        job::{FromWorker, Job, ToWorker},
    },
};

/// How long a worker may take to answer what it can answer by itself.
pub(super) const PROMPT: Duration = Duration::from_secs(20);
/// How long it may take to make an offer: it asks AWS for the time, endpoint by endpoint.
pub(super) const OFFER: Duration = Duration::from_secs(60);
/// How long it may be silent while it mints, rotates or seals: it gives up by itself after ten minutes of retries.
pub(super) const SILENCE: Duration = Duration::from_secs(15 * 60);
/// How many messages wait unread.
const BACKLOG: usize = 16;

/// Where workers come from.
pub(super) struct Workers {
    at: WorkerAt,
}

/// A connection that carries one job.
pub(super) struct Link {
    to: OwnedWriteHalf,
    from: mpsc::Receiver<Result<FromWorker, Problem>>,
}

impl Workers {
    /// Workers as the configuration says.
    pub(super) fn new(at: WorkerAt) -> Self {
        Self { at }
    }

    /// Opens a connection and hands the job over.
    pub(super) async fn start(&self, job: &Job) -> Result<Link, Problem> {
        let stream = match &self.at {
            WorkerAt::Socket(path) => timeout(PROMPT, UnixStream::connect(path))
                .await
                .map_err(|_| unreachable(path, &"it does not accept connections"))?
                .map_err(|why| unreachable(path, &why))?,
            WorkerAt::Spawn { config } => spawn(config)?,
        };
        let mut link = Link::new(stream);
        link.put(job).await?;
        Ok(link)
    }

    /// A job with a single answer.
    pub(super) async fn ask(&self, job: &Job) -> Result<FromWorker, Problem> {
        self.start(job).await?.expect(PROMPT).await
    }
}

impl Link {
    /// Takes over a connection.
    pub(super) fn new(stream: UnixStream) -> Self {
        let (mut read, to) = stream.into_split();
        let (sender, from) = mpsc::channel(BACKLOG);
        // A frame is read whole or not at all, so reading must not be broken off in the middle: it has a task of its own.
        tokio::spawn(async move {
            loop {
                let message = match frame::read(&mut read).await {
                    Ok(Some(message)) => Ok(message),
                    Ok(None) => return,
                    // Never the message's own text: it may be a session.
                    Err(why) => Err(Problem::new(
                        Code::Agent,
                        format!("the worker's message cannot be read ({})", why.kind()),
                    )
                    .hint("see the worker's log; agent and worker have to be of the same version")),
                };
                let last = message.is_err();
                if sender.send(message).await.is_err() || last {
                    return;
                }
            }
        });
        Self { to, from }
    }

    /// Sends a message.
    pub(super) async fn send(&mut self, message: &ToWorker) -> Result<(), Problem> {
        self.put(message).await
    }

    /// The next message; an error once the worker has gone without a last word. May be dropped while it waits.
    pub(super) async fn receive(&mut self) -> Result<FromWorker, Problem> {
        let message = self.from.recv().await.unwrap_or_else(|| Err(gone()));
        if let Ok(message) = &message {
            fail::point(|| format!("from-worker:{}", shown(message)));
        }
        message
    }

    /// The same, with a bound: a worker that is silent for so long is as good as gone.
    pub(super) async fn receive_within(
        &mut self,
        patience: Duration,
    ) -> Result<FromWorker, Problem> {
        timeout(patience, self.receive())
            .await
            .unwrap_or_else(|_| Err(silent()))
    }

    /// The first message, which has to come in time and be none of failure.
    pub(super) async fn expect(&mut self, patience: Duration) -> Result<FromWorker, Problem> {
        match timeout(patience, self.receive()).await {
            Ok(Ok(FromWorker::Failed(problem))) => Err(problem),
            Ok(answer) => answer,
            Err(_) => Err(silent()),
        }
    }

    async fn put<T: serde::Serialize>(&mut self, message: &T) -> Result<(), Problem> {
        match timeout(PROMPT, frame::write(&mut self.to, message)).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(gone()),
        }
    }
}

/// A message's name, for a failpoint's.
fn shown(message: &FromWorker) -> &'static str {
    match message {
        FromWorker::Entry(entry) => super::steps::step_name(&entry.step),
        FromWorker::Host(_) | FromWorker::Vault(_) => "facts",
        FromWorker::Bundle(_) => "bundle",
        FromWorker::SealOffer { .. } | FromWorker::Offer(_) => "offer",
        FromWorker::Session(_) => "session",
        FromWorker::Done => "done",
        FromWorker::Failed(_) => "failed",
        FromWorker::Vote(_) => "vote",
        FromWorker::Waiting(_) => "waiting",
        FromWorker::Watched(_) => "watched",
    }
}

/// An answer that does not belong to the job.
pub(super) fn out_of_turn() -> Problem {
    Problem::new(Code::Internal, "the worker's answer belongs to another job")
        .hint("agent and worker have to be of the same version")
}

/// Whether this is how a worker is lost, as against what it says.
pub(super) fn gone() -> Problem {
    Problem::new(Code::Agent, "the worker went away without a last word")
        .hint("see the worker's log; what it did stands in its journal")
}

fn silent() -> Problem {
    Problem::new(Code::Agent, "the worker does not answer in time").hint("see the worker's log")
}

/// Starts the sibling binary with one end of a socketpair as its standard input.
fn spawn(config: &Path) -> Result<UnixStream, Problem> {
    let program = sibling()?;
    let failed = |why: std::io::Error| {
        Problem::new(
            Code::Agent,
            format!("{} cannot be started: {why}", program.display()),
        )
        .hint("twotapd and twotap-worker have to lie in one folder")
    };
    let (ours, theirs) = StdStream::pair().map_err(failed)?;
    let mut child = tokio::process::Command::new(&program)
        .arg("--config")
        .arg(config)
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        // Nothing of the agent's surroundings decides anything in the worker.
        .env_clear()
        // A Ctrl-C at the agent's terminal must not end a rotation.
        .process_group(0)
        .spawn()
        .map_err(failed)?;
    tokio::spawn(async move {
        let _ = child.wait().await;
    });
    ours.set_nonblocking(true).map_err(failed)?;
    UnixStream::from_std(ours).map_err(failed)
}

fn sibling() -> Result<PathBuf, Problem> {
    let own = std::env::current_exe()
        .map_err(|why| Problem::new(Code::Internal, format!("who am i: {why}")))?;
    Ok(own.with_file_name("twotap-worker"))
}

fn unreachable(path: &Path, why: &dyn std::fmt::Display) -> Problem {
    Problem::new(
        Code::Agent,
        format!("the worker at {} cannot be reached: {why}", path.display()),
    )
    .hint("is twotap-worker.socket running? systemctl status twotap-worker.socket")
}
