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
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

use self::{
    evidence::{
        folder, head_of, is_over, joined, lines, message, open_file, records, segment, time_of,
    },
    pairs::Pair,
    remote::{Pushed, Remote, RemoteKeys, key_path},
    repo::{Change, Repo},
    summary::summary,
};
use super::{Delivery, Most, Opening, Sink, SinkConfigError, SinkError};
use crate::audit::{
    alert::clean,
    chain::{Hash, Head},
    epoch::Epoch,
    event::Record,
};

mod evidence;
mod pairs;
mod remote;
mod repo;
mod summary;

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
            complaint: None,
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
    complaint: Option<String>,
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
        let before = |path: &str| match &tip {
            Some(tip) => self.repo.read(tip, path).map(Option::unwrap_or_default),
            None => Ok(Vec::new()),
        };
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
        for (path, lines) in by_file {
            let all = joined(&before(&path)?, &lines);
            files.insert(path, all);
        }
        if let Some(note) = new.iter().rev().find_map(|d| d.checkpoint.as_deref()) {
            files.insert("checkpoint.note".to_owned(), note.into());
            for path in self.open_files(tip.as_deref(), &files)? {
                let lines = match files.get(&path) {
                    Some(lines) => lines.clone(),
                    None => before(&path)?,
                };
                if self.settle(&lines, note, tip.as_deref(), &files, last)? {
                    files.remove(&path);
                    gone.push(path);
                }
            }
        }
        let mut changes: Vec<Change> = Vec::new();
        for (path, bytes) in &files {
            changes.push((path.clone(), Some(self.repo.blob(bytes)?)));
        }
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

    /// The files under `open/`, those to be written among them.
    fn open_files(
        &self,
        tip: Option<&str>,
        files: &BTreeMap<String, Vec<u8>>,
    ) -> Result<Vec<String>, SinkError> {
        let mut all = match tip {
            Some(tip) => self.repo.files(tip, "open/")?,
            None => Vec::new(),
        };
        all.extend(
            files
                .keys()
                .filter(|path| path.starts_with("open/"))
                .cloned(),
        );
        all.sort();
        all.dedup();
        Ok(all)
    }

    /// Commits the evidence of one request, if it is over or was before; whether it is there now.
    fn settle(
        &self,
        lines: &[u8],
        note: &str,
        record_tip: Option<&str>,
        files: &BTreeMap<String, Vec<u8>>,
        last: &Delivery,
    ) -> Result<bool, SinkError> {
        let more = records(lines);
        let Some((first, request)) = more
            .first()
            .and_then(|r| Some((r, r.correlation_id.as_deref()?)))
        else {
            return Ok(false);
        };
        let dir = folder(first, request);
        let path = format!("{dir}/events.jsonl");
        let before = match self.repo.tip(&self.pair.evidence)? {
            Some(tip) => self.repo.read(&tip, &path)?,
            None => None,
        };
        let before = before
            .map(|file| self.still(file, record_tip, files))
            .transpose()?;
        if before.is_none() && !is_over(&more) {
            return Ok(false);
        }
        let again = before.is_some();
        let before = before.unwrap_or_default();
        let new: Vec<&[u8]> = self::lines(lines).collect();
        let all = joined(&before, &new);
        if all == before {
            return Ok(true);
        }
        let events = records(&all);
        let branch = self.pair.record.trim_start_matches("refs/heads/");
        let mut changes: Vec<Change> = vec![
            (path, Some(self.repo.blob(&all)?)),
            (
                format!("{dir}/summary.md"),
                Some(
                    self.repo
                        .blob(summary(request, &events, branch).as_bytes())?,
                ),
            ),
            (
                format!("{dir}/checkpoint.note"),
                Some(self.repo.blob(note.as_bytes())?),
            ),
        ];
        for named in more.iter().flat_map(|r| &r.envelopes) {
            let name = format!("envelopes/{}.json", named.sha256);
            let body = match (files.get(&name), record_tip) {
                (Some(body), _) => Some(body.clone()),
                (None, Some(tip)) => self.repo.read(tip, &name)?,
                (None, None) => None,
            };
            // Where envelopes are not asked for there is none; and what was taken back from the remote may be another.
            let ours =
                |body: &Vec<u8>| Hash::from_bytes(Sha256::digest(body).into()) == named.sha256;
            if let Some(body) = body.filter(ours) {
                changes.push((format!("{dir}/{name}"), Some(self.repo.blob(&body)?)));
            }
        }
        let incident = first.incident_id.as_deref().unwrap_or("no incident");
        let what = match again {
            true => "what came later",
            false => "evidence",
        };
        // Foreign words make no line and no trailer of their own.
        let subject = format!("{}: {what} of {}", clean(incident), clean(request));
        let names: Vec<String> = more
            .iter()
            .map(|r| {
                format!(
                    "{} {} {}",
                    r.timestamp,
                    clean(&r.event_type),
                    clean(&r.actor)
                )
            })
            .collect();
        let text = message(&subject, &names.join("\n"), &last.head());
        self.repo
            .commit(&self.pair.evidence, None, &changes, &text, &time_of(last))?;
        Ok(true)
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

    fn held_at(&self) -> Option<OffsetDateTime> {
        let held = match &self.remote {
            None => self.pair.record.as_str(),
            Some(_) => PUSHED,
        };
        let tip = self.repo.tip(held).ok().flatten()?;
        self.written_at(&tip, &self.head_at(held).ok()?)
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
            self.complaint = Some(format!(
                "{shown} had lost what was pushed to it, and has it again: find out who changed it"
            ));
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
        self.complaint.clone()
    }
}

#[cfg(test)]
mod tests;
