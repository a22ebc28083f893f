//! A worker over its own wire, and the usual question to it.

use std::{
    os::unix::net::UnixStream,
    process::{Child, ExitStatus},
};

use rand_core::{OsRng, RngCore as _};
use twotap::{
    protocol::{
        Code, Problem, frame,
        job::{self, Ask, FromWorker, ToWorker, Vote},
    },
    trust::Bytes,
};

use super::BOUND;

/// The usual question.
pub(crate) fn ask() -> Ask {
    Ask {
        vault: "prod".to_owned(),
        access: "admin".to_owned(),
        incident: "INC-42".to_owned(),
        reason: "the database is down and nobody can sign in".to_owned(),
        duration_seconds: None,
        commander: None,
        nonce: nonce(),
        close_only: None,
        drill: false,
        scenario: None,
        subject: None,
        confirmed: Vec::new(),
        follows: None,
    }
}

pub(crate) fn nonce() -> Bytes {
    let mut bytes = vec![0; 16];
    OsRng.fill_bytes(&mut bytes);
    Bytes(bytes)
}

/// A running worker, spoken to as the agent would.
pub(crate) struct Worker {
    child: Child,
    stream: tokio::net::UnixStream,
    runtime: tokio::runtime::Runtime,
}

impl Worker {
    /// A worker that was started with the other end of `stream`.
    pub(crate) fn new(child: Child, stream: UnixStream) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        stream.set_nonblocking(true).expect("a socket");
        let stream = {
            let _inside = runtime.enter();
            tokio::net::UnixStream::from_std(stream).expect("a socket")
        };
        Self {
            child,
            stream,
            runtime,
        }
    }

    pub(crate) fn send(&mut self, message: &impl serde::Serialize) {
        self.runtime
            .block_on(frame::write(&mut self.stream, message))
            .expect("the worker reads");
    }

    /// The next message; `None` at the orderly end.
    pub(crate) fn next(&mut self) -> Option<FromWorker> {
        let message = self
            .runtime
            .block_on(async { tokio::time::timeout(BOUND, frame::read(&mut self.stream)).await });
        message
            .expect("the worker answers in time")
            .expect("a whole message")
    }

    /// Hands in a yes, and gives what became of it.
    pub(crate) fn vote(&mut self, approval: job::Approval) -> Vote {
        self.send(&ToWorker::Approval(approval));
        match self.next() {
            Some(FromWorker::Vote(vote)) => vote,
            other => panic!("no vote: {other:?}"),
        }
    }

    /// Goes away as an agent that dies would; gives how the worker ended.
    pub(crate) fn hang_up(mut self) -> ExitStatus {
        self.runtime.block_on(async {
            use tokio::io::AsyncWriteExt as _;
            self.stream.shutdown().await.expect("a socket");
        });
        while self.next().is_some() {}
        self.child.wait().expect("it ends")
    }

    /// Everything up to the end: the session if one came, and the entries or what went wrong. Entries are acknowledged.
    pub(crate) fn rest(self) -> (Option<job::Session>, Result<Vec<job::Entry>, String>) {
        let (session, end) = self.finish();
        (session, end.map_err(|problem| problem.error))
    }

    /// The same, with the whole problem.
    pub(crate) fn finish(mut self) -> (Option<job::Session>, Result<Vec<job::Entry>, Problem>) {
        let mut entries = Vec::new();
        let mut session = None;
        loop {
            match self.next() {
                Some(FromWorker::Entry(entry)) => {
                    // After its last entry a worker is done and hears no more.
                    let heard = ToWorker::Recorded { n: entry.n };
                    let _ = self
                        .runtime
                        .block_on(frame::write(&mut self.stream, &heard));
                    entries.push(entry);
                }
                Some(FromWorker::Session(s)) => session = Some(s),
                Some(FromWorker::Done) => return (session, Ok(entries)),
                Some(FromWorker::Failed(problem)) => return (session, Err(problem)),
                Some(_) => {}
                None => {
                    let gone = Problem::new(Code::Agent, "the worker went away");
                    return (session, Err(gone));
                }
            }
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
