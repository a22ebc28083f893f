//! Whether each session that was opened was asked for and approved by a quorum of the roster that counted then.
//!
//! The agent writes approvals and openings by different ways, and one that was killed in between may lack what its worker saw. So what is
//! missing here is shown to whoever verifies, and not called tampering.

use std::collections::{BTreeMap, BTreeSet};

use super::Rosters;
use crate::audit::event::Record;
use crate::trust::{Digest, KeyId, request::Request};

/// What a record should show and does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// The event.
    pub seq: u64,
    /// What it does not show.
    pub why: String,
}

/// A request that a listed host offered.
pub(super) struct Asked {
    seq: u64,
    pub(super) id: String,
    pub(super) operator: String,
    vault: String,
    pub(super) roster: Digest,
    approved: BTreeSet<String>,
}

/// Requests, who approved them, which roster counts, and which sessions were opened.
#[derive(Default)]
pub(super) struct Openings {
    asked: BTreeMap<Digest, Asked>,
    /// By vault: each version that came to count, with the event that says so.
    counts: BTreeMap<String, Vec<(u64, u64, Digest)>>,
    /// By request: the first event that opened, and how many envelopes were not at hand up to there.
    opened: BTreeMap<String, (u64, u64)>,
}

impl Openings {
    pub(super) fn asked(&self, request: &Digest) -> Option<&Asked> {
        self.asked.get(request)
    }

    pub(super) fn ask(&mut self, seq: u64, digest: Digest, request: &Request) {
        self.asked.entry(digest).or_insert_with(|| Asked {
            seq,
            id: request.id.clone(),
            operator: request.operator.clone(),
            vault: request.vault.clone(),
            roster: request.roster_sha256,
            approved: BTreeSet::new(),
        });
    }

    pub(super) fn approve(&mut self, request: &Digest, person: &str) {
        if let Some(asked) = self.asked.get_mut(request) {
            asked.approved.insert(person.to_owned());
        }
    }

    pub(super) fn withdraw(&mut self, request: &Digest, person: &str) {
        if let Some(asked) = self.asked.get_mut(request) {
            asked.approved.remove(person);
        }
    }

    pub(super) fn counts(&mut self, seq: u64, vault: &str, version: u64, digest: KeyId) {
        let versions = self.counts.entry(vault.to_owned()).or_default();
        versions.push((seq, version, digest));
    }

    pub(super) fn open(&mut self, record: &Record, missing: u64) {
        if let Some(id) = &record.correlation_id {
            let opened = self.opened.entry(id.clone());
            opened.or_insert((record.seq, missing));
        }
    }

    /// What is not shown, first event first.
    pub(super) fn doubts(&self, rosters: &Rosters) -> Vec<Doubt> {
        let opened = self.opened.iter();
        // What was not brought is counted elsewhere, and says nothing here.
        let judged = opened.filter(|(_, (_, missing))| *missing == 0);
        let mut doubts: Vec<Doubt> = judged
            .filter_map(|(id, (seq, _))| {
                let why = self.doubt(id, rosters)?;
                Some(Doubt { seq: *seq, why })
            })
            .collect();
        doubts.sort_by_key(|doubt| doubt.seq);
        doubts
    }

    fn doubt(&self, id: &str, rosters: &Rosters) -> Option<String> {
        let shown = super::plain(id);
        let Some(asked) = self.asked.values().find(|asked| asked.id == id) else {
            return Some(format!(
                "a session was opened for {shown}, and no signed request of that name is in the record"
            ));
        };
        let roster = rosters.version(&asked.roster)?;
        let counted = self.counts.get(&asked.vault);
        let newer = counted
            .into_iter()
            .flatten()
            .find(|(seq, version, _)| *seq < asked.seq && *version > roster.version);
        if let Some((seq, version, _)) = newer {
            return Some(format!(
                "a session was opened for {shown}, asked for under version {} of the roster when version {version} counted since event {seq}",
                roster.version
            ));
        }
        let people: Vec<&str> = asked.approved.iter().map(String::as_str).collect();
        if roster.is_quorum(people.iter().copied()) {
            return None;
        }
        let by = match people[..] {
            [] => "nobody's approval".to_owned(),
            _ => format!("approvals of {} alone", people.join(" and ")),
        };
        Some(format!(
            "a session was opened for {shown}, and the record has {by}: it takes {}",
            roster.quorum_in_words()
        ))
    }
}
