//! Running such a program: no shell, no terminal, no environment but what it is given; over when its time is, with everything that it has
//! started.

use std::{
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    process::Command,
};
use zeroize::Zeroizing;

use super::only_roots;

/// How long its output is waited for once it has ended.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A program and how it is run.
pub struct Program<'p> {
    /// Where it lies.
    pub path: &'p Path,
    /// What it is called with.
    pub arguments: &'p [String],
    /// All of its environment.
    pub environment: &'p [(&'p str, &'p str)],
    /// How long it may take.
    pub time: Duration,
    /// The most that is read of its standard output, in bytes; the rest is thrown away.
    pub most: u64,
}

/// Why there is no exit status, in plain words.
pub enum Without {
    /// It was not started: it is not root's alone, or the system does not start it.
    NotStarted(String),
    /// It was, and was ended because its time was over; or how it ended cannot be told.
    Unfinished(String),
}

impl Program<'_> {
    /// Runs it once with this standard input; answers how it ended and what it wrote to standard output. Both may hold secrets.
    pub async fn run(&self, input: &[u8]) -> Result<(ExitStatus, Zeroizing<Vec<u8>>), Without> {
        only_roots(self.path).map_err(Without::NotStarted)?;
        let mut child = Command::new(self.path)
            .args(self.arguments)
            .env_clear()
            .envs(self.environment.iter().copied())
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // What a program says there is for whoever tries it by hand.
            .stderr(Stdio::null())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|why| Without::NotStarted(format!("{}: {why}", self.path.display())))?;
        let group = Group::of(child.id());
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let ended = async {
            let write = async {
                if let Some(mut stdin) = stdin {
                    // One that does not read says so by its exit code.
                    let _ = stdin.write_all(input).await;
                    let _ = stdin.shutdown().await;
                }
            };
            tokio::join!(child.wait(), write).0
        };
        let mut said = tokio::spawn(read(stdout, self.most));
        let ended = tokio::time::timeout(self.time, ended).await;
        // Whatever it has left running holds its output open.
        drop(group);
        let output = match tokio::time::timeout(LAST_WORDS, &mut said).await {
            Ok(Ok(output)) => output,
            _ => Zeroizing::default(),
        };
        said.abort();
        match ended {
            Ok(Ok(status)) => Ok((status, output)),
            Ok(Err(why)) => Err(Without::Unfinished(why.to_string())),
            Err(_) => Err(Without::Unfinished(format!(
                "it took longer than {} s",
                self.time.as_secs()
            ))),
        }
    }
}

async fn read(from: Option<impl AsyncRead + Unpin>, most: u64) -> Zeroizing<Vec<u8>> {
    let mut said = Zeroizing::new(Vec::new());
    if let Some(from) = from {
        let mut from = from.take(most);
        let _ = from.read_to_end(&mut said).await;
        // A program that writes on must not wait for a reader.
        let mut rest = from.into_inner();
        let mut scratch = [0; 4096];
        while rest.read(&mut scratch).await.is_ok_and(|n| n > 0) {}
    }
    said
}

/// A program's process group; killed when this goes, however it goes.
struct Group(Option<Pid>);

impl Group {
    fn of(leader: Option<u32>) -> Self {
        let leader = leader.and_then(|id| i32::try_from(id).ok());
        Self(leader.and_then(Pid::from_raw))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}
