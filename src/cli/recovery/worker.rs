//! The worker that makes a set: the program beside this one, on a socketpair of its own.

use std::{
    os::{fd::OwnedFd, unix::net::UnixStream as StdStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use serde::{Serialize, de::DeserializeOwned};
use tokio::{net::UnixStream, runtime::Runtime};

use super::super::ui::Waiting;
use crate::protocol::{
    Code, Problem, frame,
    recovery::{Answer, Ask},
};

/// What is waited for where it takes long.
const WHAT: &str = "twotap-worker, which works on the vault";

/// A running worker.
pub(super) struct Worker {
    runtime: Runtime,
    stream: UnixStream,
    child: Child,
}

impl Worker {
    /// Starts one that makes a set.
    pub(super) fn start() -> Result<Self, Problem> {
        Self::begin(&["recovery"], Stdio::null())
    }

    /// Starts one for the job that `args` say, with a place for what does not go over its connection.
    pub(super) fn begin(args: &[&str], out: Stdio) -> Result<Self, Problem> {
        let (ours, theirs) = StdStream::pair().map_err(|why| failed(&why))?;
        let program = program()?;
        let child = Command::new(&program)
            .args(args)
            .env_clear()
            .stdin(OwnedFd::from(theirs))
            .stdout(out)
            .stderr(Stdio::inherit())
            .spawn()
            .map_err(|why| {
                Problem::new(Code::Internal, format!("{}: {why}", program.display()))
                    .hint("twotap-worker has to lie beside twotap")
            })?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()
            .map_err(|why| failed(&why))?;
        ours.set_nonblocking(true).map_err(|why| failed(&why))?;
        let stream = {
            let _inside = runtime.enter();
            UnixStream::from_std(ours).map_err(|why| failed(&why))?
        };
        Ok(Self {
            runtime,
            stream,
            child,
        })
    }

    /// Asks, and waits for the answer.
    pub(super) fn ask(&mut self, ask: &Ask) -> Result<Answer, Problem> {
        let stream = &mut self.stream;
        let _said = Waiting::begin(WHAT);
        let answer = self.runtime.block_on(async {
            frame::write(stream, ask).await?;
            frame::read(stream).await
        });
        read(answer)
    }

    /// Asks what another kind of job asks, and waits for the answer.
    pub(super) fn exchange<A: DeserializeOwned>(
        &mut self,
        ask: &impl Serialize,
    ) -> Result<A, Problem> {
        let stream = &mut self.stream;
        let _said = Waiting::begin(WHAT);
        let answer = self.runtime.block_on(async {
            frame::write(stream, ask).await?;
            frame::read(stream).await
        });
        answer.map_err(|why| failed(&why))?.ok_or_else(gone)
    }

    /// Waits for what comes unasked.
    pub(super) fn wait(&mut self) -> Result<Answer, Problem> {
        let _said = Waiting::begin(WHAT);
        let answer = self.runtime.block_on(frame::read(&mut self.stream));
        read(answer)
    }
}

fn read(answer: std::io::Result<Option<Answer>>) -> Result<Answer, Problem> {
    match answer {
        Ok(Some(Answer::Failed(problem))) => Err(problem),
        Ok(Some(answer)) => Ok(answer),
        Ok(None) => Err(gone()),
        Err(why) => Err(failed(&why)),
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Broken off in mid-way: the shares in it must not wait for anybody.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn gone() -> Problem {
    Problem::new(Code::Internal, "twotap-worker has gone")
}

fn program() -> Result<PathBuf, Problem> {
    let own = std::env::current_exe().map_err(|why| failed(&why))?;
    Ok(own.with_file_name("twotap-worker"))
}

fn failed(why: &std::io::Error) -> Problem {
    Problem::new(Code::Internal, format!("twotap-worker: {why}"))
}
