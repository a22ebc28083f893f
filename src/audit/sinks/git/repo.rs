//! Stock `git` on a repository of our own, and nothing of the host's with it: no configuration, no hooks, no prompts, no helper, no variable
//! of the environment; each call within a time limit, and ended with all that it started when that is over.

use std::{
    ffi::OsString,
    io,
    path::PathBuf,
    process::{Output, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group};
use time::OffsetDateTime;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    process::Command,
    runtime::Runtime,
    time::timeout,
};

use super::evidence::SEGMENT;
use crate::audit::{
    event::MAX_LINE,
    sinks::{SinkConfigError, SinkError, net::runtime},
};

/// What is asked of every call, above anything that a file says.
const ALWAYS: [&str; 9] = [
    "core.hooksPath=/dev/null",
    "core.fsync=all",
    "core.fsmonitor=false",
    "core.quotePath=false",
    "core.alternateRefsCommand=",
    "credential.helper=",
    "gc.auto=0",
    "http.followRedirects=false",
    "gpg.format=ssh",
];
/// The longest complaint of git's that is passed on, in characters.
const MAX_SAID: usize = 300;
/// How long one that was ended is waited for.
const REAPED: Duration = Duration::from_secs(1);
/// The most that is read of what git prints, in bytes: more than a file of the record with the longest lines.
const MOST: u64 = (SEGMENT + 1) * (MAX_LINE as u64 + 1);
/// The same of a call to a remote, which prints one line a branch.
pub(super) const MOST_OF_A_REMOTE: u64 = 1 << 20;
/// The most that is read of its complaints: a remote may put its own words there.
const MOST_COMPLAINTS: u64 = 64 << 10;

/// The repository.
pub(super) struct Repo {
    dir: PathBuf,
    runtime: Runtime,
    /// Until when calls may take.
    until: Instant,
    /// Who commits: name and address.
    pub(super) identity: (String, String),
    pub(super) signing_key: Option<PathBuf>,
}

/// What a call needs beside its arguments.
#[derive(Default)]
pub(super) struct With<'a> {
    pub(super) input: &'a [u8],
    pub(super) env: Vec<(&'static str, OsString)>,
    /// More settings, `key=value`.
    pub(super) settings: Vec<String>,
    /// The most that it may print, in bytes; where absent as much as the largest file of ours.
    pub(super) most: Option<u64>,
}

/// Why a call failed.
#[derive(Debug)]
pub(super) enum GitError {
    /// It could not be started, or not awaited.
    Io(io::Error),
    /// It took too long.
    Late,
    /// It printed more than it may.
    Long,
    /// It said no; with its words.
    Said(String),
}

impl std::fmt::Display for GitError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(why) if why.kind() == io::ErrorKind::NotFound => {
                f.write_str("git is not installed")
            }
            Self::Io(why) => write!(f, "git: {why}"),
            Self::Late => f.write_str("git did not come to its end in time"),
            Self::Long => f.write_str("git, or the remote, said more than anybody asked for"),
            Self::Said(words) => write!(f, "git: {words}"),
        }
    }
}

impl From<GitError> for SinkError {
    fn from(why: GitError) -> Self {
        Self::Unavailable(why.to_string())
    }
}

/// One change of a tree: a file's path, and its blob; without one it goes.
pub(super) type Change = (String, Option<String>);

impl Repo {
    /// The repository in `dir`; [`prepare`](Self::prepare) makes it where it is missing.
    pub(super) fn new(
        dir: PathBuf,
        host: &str,
        signing_key: Option<PathBuf>,
    ) -> Result<Self, SinkConfigError> {
        Ok(Self {
            dir,
            runtime: runtime()?,
            until: Instant::now(),
            identity: (format!("twotap on {host}"), format!("twotap@{host}")),
            signing_key,
        })
    }

    /// From now on calls may take so long all together.
    pub(super) fn within(&mut self, limit: Duration) {
        self.until = Instant::now() + limit;
    }

    /// Makes the repository where it is missing, from no template.
    pub(super) fn prepare(&self) -> Result<(), GitError> {
        if self.dir.join("HEAD").exists() {
            return Ok(());
        }
        crate::audit::files::private_folder(&self.dir).map_err(GitError::Io)?;
        self.run(
            &["init", "--quiet", "--bare", "--template="],
            With::default(),
        )?;
        Ok(())
    }

    /// What git prints, without the last newline.
    pub(super) fn run(&self, args: &[&str], with: With<'_>) -> Result<String, GitError> {
        let output = self.output(args, with)?;
        if !output.status.success() {
            return Err(GitError::Said(said(&output)));
        }
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(text.trim_end_matches('\n').to_owned())
    }

    /// Whether git says yes: exit codes 0 and 1 are answers.
    pub(super) fn asks(&self, args: &[&str]) -> Result<bool, GitError> {
        let output = self.output(args, With::default())?;
        match output.status.code() {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            _ => Err(GitError::Said(said(&output))),
        }
    }

    /// What git prints, byte for byte.
    pub(super) fn output(&self, args: &[&str], with: With<'_>) -> Result<Output, GitError> {
        let mut command = Command::new("git");
        for setting in ALWAYS {
            command.args(["-c", setting]);
        }
        for setting in &with.settings {
            command.args(["-c", setting]);
        }
        command
            .args(args)
            .current_dir(&self.dir)
            .env_clear()
            .env("PATH", search_path())
            .env("HOME", &self.dir)
            .env("GIT_DIR", &self.dir)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_ATTR_NOSYSTEM", "1")
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_ASKPASS", "/bin/false")
            .env("SSH_ASKPASS", "/bin/false")
            .env("LC_ALL", "C")
            .envs(with.env)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let left = self.until.saturating_duration_since(Instant::now());
        self.runtime.block_on(async {
            let mut child = command.spawn().map_err(GitError::Io)?;
            let group = child
                .id()
                .and_then(|id| i32::try_from(id).ok())
                .and_then(Pid::from_raw);
            let stdin = child.stdin.take();
            let feed = async {
                if let Some(mut stdin) = stdin {
                    // One that has read enough is no fault; its exit code says more.
                    let _ = stdin.write_all(with.input).await;
                }
            };
            let out = bounded(child.stdout.take(), with.most.unwrap_or(MOST));
            let err = bounded(child.stderr.take(), MOST_COMPLAINTS);
            let all = async {
                let read = async { tokio::try_join!(out, err) };
                let read = async { tokio::join!(feed, read).1 };
                let (stdout, stderr) = read.await?;
                let status = child.wait().await.map_err(GitError::Io)?;
                Ok(Output {
                    status,
                    stdout,
                    stderr,
                })
            };
            let outcome = timeout(left, all).await.unwrap_or(Err(GitError::Late));
            // What it started (ssh, a helper for https) ends with it.
            if let (Err(GitError::Late | GitError::Long), Some(group)) = (&outcome, group) {
                let _ = kill_process_group(group, Signal::KILL);
                let _ = timeout(REAPED, child.wait()).await;
            }
            outcome
        })
    }

    /// The commit that a ref names, if there is one.
    pub(super) fn tip(&self, name: &str) -> Result<Option<String>, GitError> {
        let output = self.output(
            &[
                "rev-parse",
                "--verify",
                "--quiet",
                "--end-of-options",
                &format!("{name}^{{commit}}"),
            ],
            With::default(),
        )?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        match output.status.code() {
            Some(0) => Ok(Some(text)),
            Some(1) => Ok(None),
            _ => Err(GitError::Said(said(&output))),
        }
    }

    /// The names of all files of a commit in the folder `prefix` (with its slash), or of all.
    pub(super) fn files(&self, commit: &str, prefix: &str) -> Result<Vec<String>, GitError> {
        let mut args = vec!["ls-tree", "-r", "-z", "--name-only", commit];
        if !prefix.is_empty() {
            args.extend(["--", prefix]);
        }
        let text = self.run(&args, With::default())?;
        Ok(text
            .split('\0')
            .filter(|n| !n.is_empty())
            .map(str::to_owned)
            .collect())
    }

    /// Keeps bytes; their name.
    pub(super) fn blob(&self, bytes: &[u8]) -> Result<String, GitError> {
        let with = With {
            input: bytes,
            ..With::default()
        };
        self.run(&["hash-object", "-w", "--stdin"], with)
    }

    /// A commit on `branch` (a whole ref) with these changes and this message, dated `at` (RFC 3339); its name. A branch that is not there yet
    /// begins with the commit `from`, if there is one.
    pub(super) fn commit(
        &self,
        branch: &str,
        from: Option<&str>,
        changes: &[Change],
        message: &str,
        at: &str,
    ) -> Result<String, GitError> {
        let tip = self.tip(branch)?;
        let parent = tip.clone().or_else(|| from.map(str::to_owned));
        let index = self.dir.join("twotap-index").into_os_string();
        let indexed = |input| With {
            input,
            env: vec![("GIT_INDEX_FILE", index.clone())],
            ..With::default()
        };
        let start = match &parent {
            Some(parent) => vec!["read-tree", parent.as_str()],
            None => vec!["read-tree", "--empty"],
        };
        self.run(&start, indexed(&[]))?;
        let none = "0".repeat(40);
        let mut list = Vec::new();
        for (path, blob) in changes {
            let (mode, blob) = match blob {
                Some(blob) => ("100644", blob.as_str()),
                None => ("0", none.as_str()),
            };
            list.extend_from_slice(format!("{mode} {blob}\t{path}\0").as_bytes());
        }
        self.run(&["update-index", "-z", "--index-info"], indexed(&list))?;
        let tree = self.run(&["write-tree"], indexed(&[]))?;
        let mut args = vec!["commit-tree", tree.as_str()];
        if let Some(parent) = &parent {
            args.extend(["-p", parent]);
        }
        let mut settings = Vec::new();
        if let Some(key) = &self.signing_key {
            args.push("-S");
            settings.push(format!("user.signingKey={}", key.display()));
        }
        let (name, mail) = &self.identity;
        let env = vec![
            ("GIT_AUTHOR_NAME", name.into()),
            ("GIT_AUTHOR_EMAIL", mail.into()),
            ("GIT_AUTHOR_DATE", at.into()),
            ("GIT_COMMITTER_NAME", name.into()),
            ("GIT_COMMITTER_EMAIL", mail.into()),
            ("GIT_COMMITTER_DATE", at.into()),
        ];
        let with = With {
            input: message.as_bytes(),
            env,
            settings,
            ..With::default()
        };
        let commit = self.run(&args, with)?;
        let old = tip.as_deref().unwrap_or(&none);
        self.run(&["update-ref", branch, &commit, old], With::default())?;
        Ok(commit)
    }

    /// A commit's message.
    pub(super) fn message(&self, commit: &str) -> Result<String, GitError> {
        self.run(
            &["show", "--no-patch", "--format=%B", commit],
            With::default(),
        )
    }

    /// When a commit was made, as it says; to the second.
    pub(super) fn time(&self, commit: &str) -> Result<Option<OffsetDateTime>, GitError> {
        let show = ["show", "--no-patch", "--format=%ct", commit];
        let seconds = self.run(&show, With::default())?.trim().parse().ok();
        Ok(seconds.and_then(|s| OffsetDateTime::from_unix_timestamp(s).ok()))
    }

    /// Moves a ref of ours.
    pub(super) fn point(&self, name: &str, commit: &str) -> Result<(), GitError> {
        self.run(&["update-ref", name, commit], With::default())?;
        Ok(())
    }

    /// Takes a ref of ours away, if it is there.
    pub(super) fn unpoint(&self, name: &str) -> Result<(), GitError> {
        self.run(&["update-ref", "-d", name], With::default())?;
        Ok(())
    }

    /// Whether all of `old` is in `new`.
    pub(super) fn follows(&self, old: &str, new: &str) -> Result<bool, GitError> {
        self.asks(&["merge-base", "--is-ancestor", old, new])
    }

    /// Packs what has gathered, where it is much.
    pub(super) fn tidy(&self) -> Result<(), GitError> {
        let with = With {
            settings: vec!["gc.auto=2000".to_owned(), "gc.autoDetach=false".to_owned()],
            ..With::default()
        };
        self.run(&["gc", "--auto", "--quiet"], with)?;
        Ok(())
    }
}

/// What comes out of a pipe, if that is not more than `most` bytes.
async fn bounded(pipe: Option<impl AsyncRead + Unpin>, most: u64) -> Result<Vec<u8>, GitError> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        let read = pipe.take(most + 1).read_to_end(&mut bytes).await;
        read.map_err(GitError::Io)?;
    }
    match bytes.len() as u64 > most {
        true => Err(GitError::Long),
        false => Ok(bytes),
    }
}

/// Where programs are: nothing else of our own environment goes to git.
fn search_path() -> OsString {
    std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into())
}

/// What git says beside the reason.
const BESIDE: [&str; 6] = [
    "warning:",
    "hint:",
    "fatal: Could not read from remote repository",
    "Please make sure you have the correct access rights",
    "and the repository exists",
    "error: failed to push some refs",
];

/// Why it failed in git's own words: one line without control characters.
pub(super) fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let lines = || {
        let lines = text.lines().map(str::trim).filter(|l| !l.is_empty());
        lines.filter(|l| !BESIDE.iter().any(|beside| l.starts_with(beside)))
    };
    let reason = lines()
        .find(|l| l.starts_with("fatal:") || l.starts_with("error:"))
        .or_else(|| lines().next_back())
        .or_else(|| text.lines().next_back())
        .unwrap_or("it said nothing");
    reason
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_SAID)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_ends_is_not_kept_in_memory() {
        let dir = tempfile::tempdir().unwrap();
        let mut repo = Repo::new(dir.path().join("r"), "bg-1", None).unwrap();
        repo.within(Duration::from_secs(60));
        repo.prepare().unwrap();
        for flood in ["!yes", "!yes >&2"] {
            let begun = Instant::now();
            let with = With {
                settings: vec![format!("alias.flood={flood}")],
                most: Some(MOST_OF_A_REMOTE),
                ..With::default()
            };
            let said = repo.output(&["flood"], with);
            assert!(matches!(said, Err(GitError::Long)), "{flood}: {said:?}");
            assert!(begun.elapsed() < Duration::from_secs(30), "{flood}");
        }
    }
}
