//! The connection to the agent, and the reports that go over it.

use std::{
    os::{fd::AsFd as _, unix::net::UnixStream as StdStream},
    time::Duration,
};

use tokio::net::UnixStream;

use super::config::Config;
use crate::protocol::{
    Code, Problem, frame,
    job::{Entry, FromWorker, Isolation, Job, ToWorker},
};

/// How long the worker waits for the agent to record an entry before it goes on by its own journal.
const RECORD_SECONDS: u64 = 5;

/// The connection; once it has failed the worker goes on without it.
pub(super) struct Link {
    stream: Option<UnixStream>,
    isolation: Isolation,
}

/// Standard input as the agent's connection, if the peer may be one.
pub(super) fn standard_input(config: &Config) -> Result<StdStream, Problem> {
    let not_ours = || {
        Problem::new(
            Code::Usage,
            "standard input is not a connection of the agent",
        )
        .hint("the worker is started by the agent or by systemd, not by hand")
    };
    let fd = std::io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .map_err(|_| not_ours())?;
    let stream = StdStream::from(fd);
    let peer = rustix::net::sockopt::socket_peercred(&stream).map_err(|_| not_ours())?;
    let own = rustix::process::getuid().as_raw();
    let uid = peer.uid.as_raw();
    if uid != own && Some(uid) != config.agent_uid {
        return Err(
            Problem::new(Code::Refused, format!("uid {uid} is not the agent"))
                .hint("'agent_uid' in worker.toml names the agent's account"),
        );
    }
    Ok(stream)
}

impl Link {
    /// Takes over the connection.
    pub(super) fn new(stream: StdStream) -> Result<Self, Problem> {
        let failed = |why| Problem::new(Code::Internal, format!("standard input: {why}"));
        let peer =
            rustix::net::sockopt::socket_peercred(&stream).map_err(|why| failed(why.into()))?;
        let isolation = if peer.uid == rustix::process::getuid() {
            Isolation::None
        } else {
            Isolation::Account
        };
        stream.set_nonblocking(true).map_err(failed)?;
        Ok(Self {
            stream: Some(UnixStream::from_std(stream).map_err(failed)?),
            isolation,
        })
    }

    /// How this worker is kept apart from the agent.
    pub(super) fn isolation(&self) -> Isolation {
        self.isolation
    }

    /// The job, or nothing where the agent went away first.
    pub(super) async fn job(&mut self) -> Result<Option<Job>, Problem> {
        self.read().await
    }

    /// The next message; `None` once the agent has gone.
    pub(super) async fn receive(&mut self) -> Result<Option<ToWorker>, Problem> {
        self.read().await
    }

    /// Sends a message. A lost agent is no error: whatever matters stands in the journal or in the runtime folder.
    pub(super) async fn send(&mut self, message: &FromWorker) {
        if let Some(stream) = &mut self.stream
            && frame::write(stream, message).await.is_err()
        {
            self.stream = None;
        }
    }

    /// Reports a journal entry.
    pub(super) async fn report(&mut self, entry: Entry) {
        self.send(&FromWorker::Entry(entry)).await;
    }

    /// Reports an entry and waits, a few seconds at most, until it stands in the record.
    pub(super) async fn report_and_wait(&mut self, entry: Entry) {
        let n = entry.n;
        self.report(entry).await;
        let recorded = async {
            while let Ok(Some(message)) = self.receive().await {
                if matches!(message, ToWorker::Recorded { n: up_to } if up_to >= n) {
                    return;
                }
            }
        };
        // An agent that is gone or slow must not block an emergency: the journal holds the entry, and it will be taken up.
        let _ = tokio::time::timeout(Duration::from_secs(RECORD_SECONDS), recorded).await;
    }

    async fn read<T: serde::de::DeserializeOwned>(&mut self) -> Result<Option<T>, Problem> {
        let Some(stream) = &mut self.stream else {
            return Ok(None);
        };
        frame::read(stream).await.map_err(|why| {
            self.stream = None;
            Problem::new(
                Code::Agent,
                format!("the agent's message cannot be read: {why}"),
            )
        })
    }
}
