//! The sink for evidence in Git: a commit an incident, and beside it the whole record, pushed to a remote where there is one.
//!
//! ```toml
//! [sinks.evidence]
//! kind = "git"
//! remote = "ssh://git@git.example/evidence.git"  # a folder, file://, ssh:// or https://; without it the repository stays here
//! ssh_key = "/etc/twotap/evidence.key"           # 0600; with known_hosts
//! known_hosts = "/etc/twotap/evidence.hosts"
//! credentials_file = "/etc/twotap/evidence.cred" # https: what `git credential-store` reads, 0600; with ca_file where it is needed
//! signing_key = "/etc/twotap/evidence.sign"      # an ssh key without passphrase, 0600: commits are signed (gpg.format=ssh)
//! branch = "evidence/bg-1"                       # default: evidence/HOST; the record goes to record/... in the same way
//! folder = "/var/lib/twotap/evidence.git"        # default: in the agent's own folder
//! envelopes = true                               # signed envelopes go along
//! ```
//!
//! | branch | what is in it |
//! | --- | --- |
//! | `record/HOST` | `record/*.jsonl`, the lines byte for byte, a thousand a file; `checkpoint.note`, the newest; `envelopes/`; `open/`, the lines of requests that are not over |
//! | `evidence/HOST` | `incidents/INCIDENT/REQUEST/`: `events.jsonl`, `summary.md`, `checkpoint.note`, `envelopes/`. One commit when it is over and a checkpoint covers it, one more for what comes later |
//!
//! An event is held once it is pushed, or, without a remote, once it is committed and on disk. While the remote is away each try commits what there
//! is and goes on to push later, so that the host has its evidence in Git all the time. Nothing is pushed by force: a
//! remote that has something else, be it only more, is said, never written over and never taken over. It keeps the whole record, so `only` is
//! refused. After a `STORE_RESET` that says that events were lost which are committed, it goes on in `record/HOST.eN` and `evidence/HOST.eN`,
//! N the epoch's number, from the last event that both histories have; the branches before stay as they were.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use serde::Deserialize;
use time::OffsetDateTime;

use self::{
    evidence::{head_of, joined, message, open_file, segment, time_of},
    objects::{AT_ONCE, Adds},
    pairs::Pair,
    remote::{Pushed, Remote, RemoteKeys, key_path},
    repo::{Change, Repo},
    settle::With,
};
use super::{Delivery, Flaw, FlawKind, Most, Opening, Sink, SinkConfigError, SinkError};
use crate::audit::{alert::clean, chain::Head, epoch::Epoch, event::Record};

mod evidence;
mod objects;
mod pairs;
mod remote;
mod repo;
mod settle;
mod summary;

/// So many requests are looked at together.
const TOGETHER: usize = 256;
/// What was pushed.
const PUSHED: &str = "refs/twotap/pushed";
/// What was taken back from the remote and not yet compared with the record to its end.
const TAKEN_BACK: &str = "refs/twotap/taken-back";
/// How long committing may take, and how long pushing: together below [`BOUND`](super::BOUND).
const COMMIT: Duration = Duration::from_secs(12);
const PUSH: Duration = Duration::from_secs(15);
/// How often it is looked whether the remote still has what it had.
const TEND: Duration = Duration::from_secs(15 * 60);

/// The settings of a git sink.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GitConfig {
    remote: Option<String>,
    ssh_key: Option<PathBuf>,
    known_hosts: Option<PathBuf>,
    credentials_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    signing_key: Option<PathBuf>,
    branch: Option<String>,
    folder: Option<PathBuf>,
}

impl GitConfig {
    /// The sink; refuses settings with which it could not work or would not be safe.
    pub fn open(self, at: &Opening<'_>) -> Result<Box<dyn Sink>, SinkConfigError> {
        let branch = match &self.branch {
            Some(branch) => branch.clone(),
            None => format!("evidence/{}", at.host),
        };
        let host = branch.strip_prefix("evidence/").unwrap_or(&branch);
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if host.is_empty() || host.len() > 100 || host.starts_with('-') || !host.chars().all(good) {
            let why = "it is evidence/NAME, the name of letters, digits, - and _";
            return Err(SinkConfigError::new("branch", why));
        }
        let remote = Remote::open(
            &RemoteKeys {
                url: self.remote.as_deref(),
                ssh_key: self.ssh_key.as_deref(),
                known_hosts: self.known_hosts.as_deref(),
                credentials_file: self.credentials_file.as_deref(),
                ca_file: self.ca_file.as_deref(),
            },
            at,
        )?;
        let signing_key = match &self.signing_key {
            Some(path) => Some(key_path("signing_key", &at.path(path))?),
            None => None,
        };
        let dir = match &self.folder {
            Some(folder) => at.path(folder),
            None => at.state.join("git").join(at.name),
        };
        let dir = std::path::absolute(&dir)
            .map_err(|why| SinkConfigError::new("folder", why.to_string()))?;
        Ok(Box::new(GitSink {
            name: at.name.to_owned(),
            repo: Repo::new(dir, at.host, signing_key)?,
            remote,
            host: host.to_owned(),
            epochs: Vec::new(),
            pair: Pair::of(host, 1),
            closed: Vec::new(),
            taken_back: false,
            proven: Head::default(),
            committed: Head::default(),
            look: true,
            beside: None,
            had_lost: None,
        }))
    }
}

/// Commits to a repository of its own, and pushes.
struct GitSink {
    name: String,
    repo: Repo,
    remote: Option<Remote>,
    /// The name in its branches.
    host: String,
    /// The epochs of the record after the first.
    epochs: Vec<Epoch>,
    /// Where it goes.
    pair: Pair,
    /// Branches of which the remote has what was lost here: they are not pushed to.
    closed: Vec<String>,
    /// Whether what is committed was taken back from the remote and is not compared to its end.
    taken_back: bool,
    /// Up to where it is.
    proven: Head,
    /// Where the record stands with the branch.
    committed: Head,
    /// Whether the remote has to be asked what it has: at first, and after it did not take a push.
    look: bool,
    /// What the remote has beside what this host made, in words.
    beside: Option<String>,
    /// That the remote had lost what it was sent, in words.
    had_lost: Option<String>,
}

impl GitSink {
    fn head_at(&self, name: &str) -> Result<Head, SinkError> {
        let Some(tip) = self.repo.tip(name)? else {
            return Ok(Head::default());
        };
        let message = self.repo.message(&tip)?;
        head_of(&message).ok_or_else(|| SinkError::Diverged {
            seq: self.committed.seq,
            why: format!("commit {tip} is none of ours"),
        })
    }

    /// Commits what is new of a batch: the record, and the evidence of what is over.
    fn commit(&mut self, batch: &[Delivery]) -> Result<(), SinkError> {
        self.compare(batch)?;
        let new: Vec<&Delivery> = batch
            .iter()
            .filter(|d| d.seq > self.committed.seq)
            .collect();
        let Some(last) = new.last() else {
            return Ok(());
        };
        let tip = self.repo.tip(&self.pair.record)?;
        let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        let mut gone: Vec<String> = Vec::new();
        let mut by_file: BTreeMap<String, Vec<&[u8]>> = BTreeMap::new();
        for delivery in &new {
            let line = delivery.line.as_slice();
            by_file.entry(segment(delivery.seq)).or_default().push(line);
            let request = Record::parse(line).ok().and_then(|r| r.correlation_id);
            if let Some(request) = request {
                by_file.entry(open_file(&request)).or_default().push(line);
            }
            for envelope in &delivery.envelopes {
                let path = format!("envelopes/{}.json", envelope.sha256());
                files.insert(path, envelope.body.clone());
            }
        }
        let by_file: Vec<(String, Vec<&[u8]>)> = by_file.into_iter().collect();
        for some in by_file.chunks(TOGETHER) {
            let paths: Vec<&str> = some.iter().map(|(path, _)| path.as_str()).collect();
            let before = self.before(tip.as_deref(), &paths)?;
            for ((path, lines), before) in some.iter().zip(before) {
                files.insert(path.clone(), joined(&before.unwrap_or_default(), lines));
            }
        }
        if let Some(note) = new.iter().rev().find_map(|d| d.checkpoint.as_deref()) {
            files.insert("checkpoint.note".to_owned(), note.into());
            let open = self.open_files(tip.as_deref(), &files)?;
            let evidence = self.repo.tip(&self.pair.evidence)?;
            let mut commits: Vec<Adds> = Vec::new();
            for some in open.chunks(TOGETHER) {
                let with = With {
                    note,
                    tip: tip.as_deref(),
                    evidence: evidence.as_deref(),
                    files: &files,
                    last,
                };
                let (more, over) = self.settle(some, &with)?;
                commits.extend(more);
                if commits.iter().map(Adds::size).sum::<usize>() > AT_ONCE {
                    self.repo.commit_all(&self.pair.evidence, &commits)?;
                    commits.clear();
                }
                for path in &over {
                    files.remove(path);
                }
                gone.extend(over);
            }
            self.repo.commit_all(&self.pair.evidence, &commits)?;
        }
        let all: Vec<&[u8]> = files.values().map(Vec::as_slice).collect();
        let blobs = self.repo.blobs(&all)?;
        let paths = files.keys().cloned();
        let mut changes: Vec<Change> = paths.zip(blobs.into_iter().map(Some)).collect();
        changes.extend(gone.into_iter().map(|path| (path, None)));
        let first = new.first().map_or(last.seq, |d| d.seq);
        let subject = match first == last.seq {
            true => format!("record: event {first}"),
            false => format!("record: events {first} to {}", last.seq),
        };
        let text = message(&subject, "", &last.head());
        self.repo
            .commit(&self.pair.record, None, &changes, &text, &time_of(last))?;
        self.committed = last.head();
        Ok(())
    }

    /// Pushes what there is; what it came to.
    fn push(&mut self) -> Result<Pushed, SinkError> {
        let Some(remote) = &self.remote else {
            return Ok(Pushed::Nothing);
        };
        let Some(tip) = self.repo.tip(&self.pair.record)? else {
            return Ok(Pushed::Nothing);
        };
        let mut branches = Vec::new();
        for branch in self
            .pairs()
            .into_iter()
            .flat_map(|p| [p.record, p.evidence])
        {
            if !self.closed.contains(&branch) && self.repo.tip(&branch)?.is_some() {
                branches.push(branch);
            }
        }
        let pushed = remote.push(&self.repo, &branches);
        let unavailable = |why| SinkError::Unavailable(format!("{}: {why}", remote.shown()));
        match pushed.map_err(unavailable)? {
            Pushed::Rejected(words) => {
                self.look = true;
                Err(SinkError::Unavailable(format!(
                    "{} did not take the push: {}",
                    remote.shown(),
                    clean(&words)
                )))
            }
            pushed => {
                self.repo.point(PUSHED, &tip)?;
                Ok(pushed)
            }
        }
    }
}

impl Sink for GitSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn epochs(&mut self, epochs: &[Epoch]) {
        self.epochs = epochs.to_vec();
    }

    fn resume(&mut self, _cursor: Head) -> Result<Head, SinkError> {
        self.repo.within(COMMIT);
        self.repo.prepare()?;
        if self.look {
            // A remote that is away is met when it is pushed to.
            self.look = !self.meet_remote()?;
            self.repo.within(COMMIT);
        }
        self.take_up()?;
        if self.taken_back {
            return Ok(self.proven);
        }
        match &self.remote {
            None => Ok(self.committed),
            Some(_) => self.head_at(PUSHED),
        }
    }

    fn send(&mut self, batch: &[Delivery]) -> Result<(), SinkError> {
        self.repo.within(COMMIT);
        self.commit(batch)?;
        if let Some(last) = batch.last().filter(|_| self.taken_back) {
            // The remote has it: it is where it was taken from.
            self.proven = last.head();
            return Ok(());
        }
        self.repo.within(PUSH);
        self.push()?;
        Ok(())
    }

    fn held_at(&self) -> Result<Option<OffsetDateTime>, SinkError> {
        let held = match &self.remote {
            None => self.pair.record.as_str(),
            Some(_) => PUSHED,
        };
        match self.repo.tip(held)? {
            Some(tip) => self.written_at(&tip, &self.head_at(held)?),
            None => Ok(None),
        }
    }

    fn vouched(&self) -> Option<String> {
        let tip = self.repo.tip(&self.pair.record).ok().flatten()?;
        let note = self.repo.read(&tip, "checkpoint.note").ok().flatten()?;
        String::from_utf8(note).ok()
    }

    /// Many: while the remote is away, all that waits is committed at each try.
    fn most(&self) -> Most {
        Most {
            events: 1024,
            bytes: 4 << 20,
        }
    }

    fn tend_every(&self) -> Option<Duration> {
        Some(TEND)
    }

    fn tend(&mut self) -> Result<(), SinkError> {
        self.repo.within(PUSH);
        if self.push()? == Pushed::Moved {
            let shown = self.remote.as_ref().map_or("the remote", Remote::shown);
            // By the event it is told from an earlier time.
            self.had_lost = Some(format!(
                "{shown} had lost what was pushed to it up to event {}, and has it again: find out who changed it",
                self.committed.seq
            ));
            // The evidence is mended, so nothing shows it any more: it is written down before anything else is done, which may take long.
            return Ok(());
        }
        self.repo.within(COMMIT);
        self.repo.tidy()?;
        Ok(())
    }

    fn complaint(&self) -> Option<String> {
        if self.taken_back {
            return Some(format!(
                "the record was taken back from the remote up to event {}; compared with the one here up to event {}",
                self.committed.seq, self.proven.seq
            ));
        }
        let all: Vec<String> = self.flaws().into_iter().map(|flaw| flaw.why).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }

    /// Not how far what was taken back is compared: that goes on by itself.
    fn flaws(&self) -> Vec<Flaw> {
        let known = [
            (FlawKind::OtherHistory, &self.beside),
            (FlawKind::HadLost, &self.had_lost),
        ];
        let said = known
            .into_iter()
            .filter_map(|(kind, why)| Some((kind, why.clone()?)));
        said.map(|(kind, why)| Flaw { kind, why }).collect()
    }
}

#[cfg(test)]
mod tests;
