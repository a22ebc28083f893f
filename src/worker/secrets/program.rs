//! Running a setter's program: the contract in `packaging/setters/README.md`.

use std::{
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use serde::Serialize;
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    process::Command,
};
use zeroize::Zeroizing;

use super::super::config::SetterProgram;
use super::helper::{Said, Verdict};
use crate::trust::program::only_roots;

/// The most that a program's answer is read of, in bytes.
const ANSWER: u64 = 4096;
/// The most of its words that is passed on, in characters.
const WORDS: usize = 300;
/// How long its output is waited for once it has ended.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// All of its environment.
const ENVIRONMENT: [(&str, &str); 2] = [
    ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
    ("LC_ALL", "C.UTF-8"),
];

/// What a program reads.
#[derive(Serialize)]
pub(super) struct Input<'a> {
    /// `set` or `test`.
    pub(super) action: &'a str,
    /// The value that counts now.
    pub(super) secret: &'a Value,
    /// The value that is to count.
    pub(super) new: &'a Value,
}

/// Runs it once.
pub(super) async fn run(setter: &SetterProgram, input: &Input<'_>) -> Verdict {
    if let Err(why) = only_roots(&setter.program) {
        return Verdict::Refused(why);
    }
    let Ok(input) = serde_json::to_vec(input).map(Zeroizing::new) else {
        return Verdict::Refused("its input cannot be written".to_owned());
    };
    let child = Command::new(&setter.program)
        .env_clear()
        .envs(ENVIRONMENT)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // What a program says there is for whoever tries it by hand.
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(why) => {
            return Verdict::Refused(format!("{}: {why}", setter.program.display()));
        }
    };
    let _group = Group::of(child.id());
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let ended = async {
        let write = async {
            if let Some(mut stdin) = stdin {
                // One that does not read says so by its exit code.
                let _ = stdin.write_all(&input).await;
                let _ = stdin.shutdown().await;
            }
        };
        let (status, ()) = tokio::join!(child.wait(), write);
        status
    };
    let mut answer = tokio::spawn(read(stdout));
    let ended = tokio::time::timeout(setter.time(), ended).await;
    // Whatever it has left running holds its output open.
    drop(_group);
    let said = match tokio::time::timeout(LAST_WORDS, &mut answer).await {
        Ok(Ok(answer)) => Said::parse(&answer),
        _ => Said::default(),
    };
    answer.abort();
    match ended {
        Ok(Ok(status)) => verdict(status, &said),
        Ok(Err(why)) => Verdict::Unknown(why.to_string()),
        Err(_) => Verdict::Unknown(format!("it took longer than {} s", setter.time().as_secs())),
    }
}

/// Exit code 0 is done, 1 is 'no, and nothing was changed', everything else is 'it cannot be told'.
fn verdict(status: ExitStatus, said: &Said) -> Verdict {
    let words = || match words(&said.error) {
        words if words.is_empty() => status.to_string(),
        words => words,
    };
    match status.code() {
        Some(0) => Verdict::Done,
        Some(1) => Verdict::Refused(words()),
        _ => Verdict::Unknown(words()),
    }
}

/// Somebody else's text as one short line.
fn words(text: &str) -> String {
    let printable = |c: char| if c.is_control() { ' ' } else { c };
    let line: String = text.chars().map(printable).take(WORDS).collect();
    line.trim().to_owned()
}

async fn read(from: Option<impl AsyncRead + Unpin>) -> Zeroizing<Vec<u8>> {
    let mut answer = Zeroizing::new(Vec::with_capacity(ANSWER as usize));
    if let Some(from) = from {
        let mut from = from.take(ANSWER);
        let _ = from.read_to_end(&mut answer).await;
        // The rest is thrown away: a program that writes on must not wait for a reader.
        let mut rest = from.into_inner();
        let mut scratch = [0; 4096];
        while rest.read(&mut scratch).await.is_ok_and(|n| n > 0) {}
    }
    answer
}

/// A program's process group; killed when this goes, however it goes.
struct Group(Option<Pid>);

impl Group {
    fn of(leader: Option<u32>) -> Self {
        Self(
            leader
                .and_then(|id| i32::try_from(id).ok())
                .and_then(Pid::from_raw),
        )
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}
