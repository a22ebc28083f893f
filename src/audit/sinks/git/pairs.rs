//! Which branches are ours: a pair, and a further pair for each epoch that lost what the pair before it holds; and whether what is in
//! them is what the record has.
//!
//! A remote is believed in nothing: what it has beyond this repository was put there by somebody else, and what is taken back from it
//! after this repository was lost is compared with the record from its first event on before anything is built on it.

use std::collections::{BTreeMap, BTreeSet};

use time::OffsetDateTime;

use super::{
    GitSink, TAKEN_BACK,
    evidence::{head_of, lines, message, segment, time_of},
    repo::Change,
};
use crate::audit::{
    chain::{Hash, Head, Links},
    epoch::{Epoch, written_at},
    sinks::{Delivery, SinkError},
};

/// A head that a branch has, and when it was written.
type Seen = (Head, Option<OffsetDateTime>);

/// The two branches of an epoch, as whole refs.
pub(super) struct Pair {
    pub(super) epoch: u64,
    pub(super) record: String,
    pub(super) evidence: String,
}

impl Pair {
    /// `record/HOST` and `evidence/HOST`; of a later epoch `record/HOST.e2`: no host is called so.
    pub(super) fn of(host: &str, epoch: u64) -> Self {
        let name = match epoch {
            0 | 1 => host.to_owned(),
            later => format!("{host}.e{later}"),
        };
        Self {
            epoch,
            record: format!("refs/heads/record/{name}"),
            evidence: format!("refs/heads/evidence/{name}"),
        }
    }
}

impl GitSink {
    /// Those of the first epoch and of all that followed, oldest first.
    pub(super) fn pairs(&self) -> Vec<Pair> {
        let all = std::iter::once(1).chain(self.epochs.iter().map(|e| e.epoch));
        all.map(|epoch| Pair::of(&self.host, epoch)).collect()
    }

    /// Takes up the newest pair that is here, and where the record stands with it.
    pub(super) fn take_up(&mut self) -> Result<(), SinkError> {
        self.pair = Pair::of(&self.host, 1);
        for pair in self.pairs() {
            if self.repo.tip(&pair.record)?.is_some() {
                self.pair = pair;
            }
        }
        self.committed = self.head_at(&self.pair.record)?;
        self.taken_back = self.repo.tip(TAKEN_BACK)?.is_some();
        Ok(())
    }

    /// Compares the remote's branches with ours, and takes back those that were lost here. Whether it could be asked.
    pub(super) fn meet_remote(&mut self) -> Result<bool, SinkError> {
        let Some(remote) = &self.remote else {
            return Ok(true);
        };
        let pairs = self.pairs();
        let both = pairs.iter().flat_map(|p| [&p.record, &p.evidence]);
        let branches: Vec<String> = both.cloned().collect();
        let Ok(there) = remote.look(&self.repo, &branches) else {
            return Ok(false);
        };
        remote.fetch(&self.repo, &branches, &there)?;
        let shown = remote.shown().to_owned();
        let mut records: BTreeSet<String> = there.iter().step_by(2).flatten().cloned().collect();
        for pair in &pairs {
            records.extend(self.repo.tip(&pair.record)?);
        }
        self.closed.clear();
        let mut next = None;
        for (n, (branch, theirs)) in branches.iter().zip(there).enumerate() {
            let (Some(theirs), Some(pair)) = (theirs, pairs.get(n / 2)) else {
                continue;
            };
            let is_record = n % 2 == 0;
            let Some(ours) = self.repo.tip(branch)? else {
                let requests = if is_record { "open/" } else { "incidents/" };
                self.stands(&theirs, requests, &records)?;
                if is_record {
                    self.repo.point(TAKEN_BACK, &theirs)?;
                }
                self.repo.point(branch, &theirs)?;
                continue;
            };
            if self.repo.follows(&theirs, &ours)? {
                if is_record {
                    self.repo.point(super::PUSHED, &theirs)?;
                }
                continue;
            }
            let head = head_of(&self.repo.message(&theirs)?);
            // A commit says to the second when its last event was written, and only the record has that event itself.
            let at = match (is_record, head) {
                (true, Some(head)) => self.written_at(&theirs, &head)?,
                (false, _) => self.repo.time(&theirs)?,
                (true, None) => None,
            };
            let why = format!("{shown} has commits on {branch} that this host did not make");
            let lost = head.and_then(|head| self.lost(pair.epoch, &[(head, at)]));
            let Some(epoch) = lost.map(|e| e.epoch) else {
                let seq = self.head_at(branch)?.seq;
                return Err(SinkError::Diverged { seq, why });
            };
            // It was put there before this host was put back: it stays as it is, and we go on beside it.
            self.beside = Some(format!("{why}; epoch {epoch} says that they were lost"));
            self.closed
                .extend([pair.record.clone(), pair.evidence.clone()]);
            next = Some(epoch);
        }
        self.take_up()?;
        if let Some(epoch) = next.filter(|_| self.closed.contains(&self.pair.record)) {
            let next = Pair::of(&self.host, epoch);
            for (from, to) in [
                (&self.pair.evidence, &next.evidence),
                (&self.pair.record, &next.record),
            ] {
                if let Some(tip) = self.repo.tip(from)? {
                    self.repo.point(to, &tip)?;
                }
            }
        }
        Ok(true)
    }

    /// The newest epoch after `epoch` that says that one of these was lost.
    fn lost(&self, epoch: u64, held: &[Seen]) -> Option<&Epoch> {
        let mut later = self.epochs.iter().rev().filter(|e| e.epoch > epoch);
        later.find(|e| held.iter().any(|(head, at)| e.covers(head, *at)))
    }

    /// When an event was written that a commit of a record has, as it says itself.
    pub(super) fn written_at(
        &self,
        commit: &str,
        head: &Head,
    ) -> Result<Option<OffsetDateTime>, SinkError> {
        let file = self.repo.read(commit, &segment(head.seq))?;
        let file = file.unwrap_or_default();
        let line = lines(&file).find(|line| Hash::of(line) == head.hash);
        Ok(line.and_then(written_at))
    }

    /// Compares what a batch has of what is committed already. Where they differ and an epoch says why, its branches begin; else nothing
    /// goes on.
    pub(super) fn compare(&mut self, batch: &[Delivery]) -> Result<(), SinkError> {
        let diverged = |seq, why: &str| {
            let why = why.to_owned();
            Err(SinkError::Diverged { seq, why })
        };
        let Some((first, last)) = batch.first().zip(batch.last()) else {
            return Ok(());
        };
        if self.taken_back && first.seq > self.proven.seq + 1 {
            return diverged(
                first.seq,
                "what was taken back from the remote cannot be compared with the record from its first event on: give the remote's branches other names",
            );
        }
        if let Some((at, there)) = self.differs(batch)? {
            let tip = self.repo.tip(&self.pair.record)?;
            let written = match tip {
                Some(tip) => self.written_at(&tip, &self.committed)?,
                None => None,
            };
            let newest = (self.committed, written);
            let held: Vec<Seen> = there.into_iter().chain([newest]).collect();
            let lost = self.lost(self.pair.epoch, &held);
            // One that the branch has itself is no reason for what differs in it.
            let Some(epoch) = lost.filter(|e| !self.has(e).unwrap_or(true)) else {
                return diverged(at.seq, "the repository has another line there");
            };
            let epoch = epoch.epoch;
            return self.branch_off(epoch, at);
        }
        if self.taken_back && last.seq >= self.committed.seq {
            if let Some(tip) = self.repo.tip(TAKEN_BACK)? {
                self.repo.point(super::PUSHED, &tip)?;
            }
            self.believe()?;
        }
        Ok(())
    }

    /// What was taken back has been compared.
    fn believe(&mut self) -> Result<(), SinkError> {
        self.repo.unpoint(TAKEN_BACK)?;
        self.taken_back = false;
        Ok(())
    }

    /// The first event of a batch that the branch, which goes further, does not have so; and what it has there.
    fn differs<'b>(
        &self,
        batch: &'b [Delivery],
    ) -> Result<Option<(&'b Delivery, Option<Seen>)>, SinkError> {
        let held = batch.partition_point(|d| d.seq <= self.committed.seq);
        let Some(tip) = self.repo.tip(&self.pair.record)? else {
            return Ok(None);
        };
        let held = batch.get(..held).unwrap_or_default();
        for part in held.chunk_by(|a, b| segment(a.seq) == segment(b.seq)) {
            let Some(one) = part.first() else { continue };
            let file = self.repo.read(&tip, &segment(one.seq))?.unwrap_or_default();
            let lines: Vec<&[u8]> = lines(&file).collect();
            let begins = lines.first().and_then(|l| Links::parse(l).ok());
            let begins = begins.map_or(one.seq, |links| links.seq);
            for delivery in part {
                let n = delivery.seq.checked_sub(begins);
                let n = n.and_then(|n| usize::try_from(n).ok());
                let there = n.and_then(|n| lines.get(n)).copied();
                // It ends where its last commit says.
                let ends = delivery.seq != self.committed.seq
                    || n.is_some_and(|n| n + 1 == lines.len())
                        && delivery.hash == self.committed.hash;
                if there != Some(delivery.line.as_slice()) || !ends {
                    let there = there.map(|line| {
                        let head = Head {
                            seq: delivery.seq,
                            hash: Hash::of(line),
                        };
                        (head, written_at(line))
                    });
                    return Ok(Some((delivery, there)));
                }
            }
        }
        Ok(None)
    }

    /// Whether the branch has the event with which an epoch begins.
    fn has(&self, epoch: &Epoch) -> Result<bool, SinkError> {
        let Some(tip) = self.repo.tip(&self.pair.record)? else {
            return Ok(false);
        };
        let file = self.repo.read(&tip, &segment(epoch.seq))?;
        let records = super::evidence::records(&file.unwrap_or_default());
        Ok(records.iter().any(|record| {
            record.seq == epoch.seq
                && record.known_type() == Some(crate::audit::event::EventType::StoreReset)
        }))
    }

    /// Begins the branches of an epoch with what stands before an event, and goes on there. Those before it stay as they are.
    fn branch_off(&mut self, epoch: u64, at: &Delivery) -> Result<(), SinkError> {
        let next = Pair::of(&self.host, epoch);
        if let Some(evidence) = self.repo.tip(&self.pair.evidence)? {
            self.repo.point(&next.evidence, &evidence)?;
        }
        let Some(tip) = self.repo.tip(&self.pair.record)? else {
            return Ok(());
        };
        let earlier = |line: &&[u8]| Links::parse(line).is_ok_and(|links| links.seq < at.seq);
        let mut changes: Vec<Change> = Vec::new();
        for path in self.repo.files(&tip, "")? {
            let record = path.starts_with("record/") && path >= segment(at.seq);
            if path == "checkpoint.note" {
                changes.push((path, None));
            } else if record || path.starts_with("open/") {
                let file = self.repo.read(&tip, &path)?.unwrap_or_default();
                let kept: Vec<&[u8]> = lines(&file).filter(earlier).collect();
                let kept = match kept.is_empty() {
                    true => None,
                    false => Some(self.repo.blob(&[&kept.join(&b'\n')[..], b"\n"].concat())?),
                };
                changes.push((path, kept));
            }
        }
        let before = at.seq.saturating_sub(1);
        let file = self.repo.read(&tip, &segment(before))?.unwrap_or_default();
        let last = lines(&file).filter(earlier).last();
        let head = last.map_or_else(Head::default, |line| Head {
            seq: before,
            hash: Hash::of(line),
        });
        let subject = format!(
            "record: epoch {epoch} begins, events from {} on are others",
            at.seq
        );
        let text = message(&subject, "", &head);
        self.repo
            .commit(&next.record, Some(&tip), &changes, &text, &time_of(at))?;
        self.believe()?;
        (self.pair, self.committed) = (next, head);
        Ok(())
    }

    /// Whether all lines of requests in a commit are lines of one of these records.
    fn stands(
        &self,
        commit: &str,
        requests: &str,
        records: &BTreeSet<String>,
    ) -> Result<(), SinkError> {
        let mut known: BTreeMap<String, BTreeSet<Vec<u8>>> = BTreeMap::new();
        for path in self.repo.files(commit, requests)? {
            if !path.ends_with(".jsonl") {
                continue;
            }
            let file = self.repo.read(commit, &path)?.unwrap_or_default();
            for line in lines(&file) {
                let seq = Links::parse(line).map_or(0, |links| links.seq);
                let name = segment(seq);
                if !known.contains_key(&name) {
                    let mut all = BTreeSet::new();
                    for record in records {
                        let file = self.repo.read(record, &name)?.unwrap_or_default();
                        all.extend(lines(&file).map(<[u8]>::to_vec));
                    }
                    known.insert(name.clone(), all);
                }
                if !known.get(&name).is_some_and(|all| all.contains(line)) {
                    let why = format!("the remote's {path} has a line that its record has not");
                    return Err(SinkError::Diverged { seq, why });
                }
            }
        }
        Ok(())
    }

    /// The lines of a file of evidence that are in the record of this epoch: one before it may have had others.
    pub(super) fn still(
        &self,
        file: Vec<u8>,
        tip: Option<&str>,
        files: &BTreeMap<String, Vec<u8>>,
    ) -> Result<Vec<u8>, SinkError> {
        if self.pair.epoch == 1 {
            return Ok(file);
        }
        let mut kept = Vec::new();
        let mut at = (String::new(), Vec::new());
        for line in lines(&file) {
            let name = segment(Links::parse(line).map_or(0, |links| links.seq));
            if at.0 != name {
                let bytes = match (files.get(&name), tip) {
                    (Some(bytes), _) => bytes.clone(),
                    (None, Some(tip)) => self.repo.read(tip, &name)?.unwrap_or_default(),
                    (None, None) => Vec::new(),
                };
                at = (name, bytes);
            }
            if lines(&at.1).any(|l| l == line) {
                kept.extend_from_slice(line);
                kept.push(b'\n');
            }
        }
        Ok(kept)
    }
}
