//! The evidence of requests that are over: a commit each, with what comes later in one more.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use super::{
    GitSink,
    evidence::{folder, is_over, joined, lines, message, records, time_of},
    objects::Adds,
    summary::summary,
};
use crate::audit::{
    alert::clean,
    chain::Hash,
    event::Record,
    sinks::{Delivery, SinkError},
};

/// What evidence is committed with.
pub(super) struct With<'a> {
    /// The newest checkpoint.
    pub(super) note: &'a str,
    /// The record's branch before this batch.
    pub(super) tip: Option<&'a str>,
    /// The branch with evidence before this batch.
    pub(super) evidence: Option<&'a str>,
    /// What this batch makes of its files.
    pub(super) files: &'a BTreeMap<String, Vec<u8>>,
    /// The newest event.
    pub(super) last: &'a Delivery,
}

/// A request, by the lines that are gathered while it lasts.
struct Request {
    /// The folder of its evidence.
    dir: String,
    request: String,
    lines: Vec<u8>,
    events: Vec<Record>,
}

impl GitSink {
    /// The files under `open/`, those to be written among them.
    pub(super) fn open_files(
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

    /// The files of a branch's tip, where there is one.
    pub(super) fn before(
        &self,
        tip: Option<&str>,
        paths: &[&str],
    ) -> Result<Vec<Option<Vec<u8>>>, SinkError> {
        match tip {
            Some(tip) => Ok(self.repo.read_all(tip, paths)?),
            None => Ok(vec![None; paths.len()]),
        }
    }

    /// The evidence of some requests, of each that is over or was before: the commits that bring it, and the files under `open/` that go with them.
    pub(super) fn settle(
        &self,
        open: &[String],
        with: &With<'_>,
    ) -> Result<(Vec<Adds>, Vec<String>), SinkError> {
        let elsewhere: Vec<&str> = open
            .iter()
            .filter(|path| !with.files.contains_key(*path))
            .map(String::as_str)
            .collect();
        let mut read = self.before(with.tip, &elsewhere)?.into_iter();
        let mut requests = Vec::new();
        for path in open {
            let lines = match with.files.get(path) {
                Some(lines) => lines.clone(),
                None => read.next().flatten().unwrap_or_default(),
            };
            let events = records(&lines);
            let first = events.first();
            let named = first.and_then(|r| Some((r, r.correlation_id.clone()?)));
            let Some((first, request)) = named else {
                continue;
            };
            let dir = folder(first, &request);
            requests.push((
                path,
                Request {
                    dir,
                    request,
                    lines,
                    events,
                },
            ));
        }
        let evidence: Vec<String> = requests
            .iter()
            .map(|(_, request)| format!("{}/events.jsonl", request.dir))
            .collect();
        let evidence: Vec<&str> = evidence.iter().map(String::as_str).collect();
        let before = self.before(with.evidence, &evidence)?;
        let (mut over, mut commits) = (Vec::new(), Vec::new());
        for ((path, request), before) in requests.into_iter().zip(before) {
            let before = before
                .map(|file| self.still(file, with.tip, with.files))
                .transpose()?;
            if before.is_some() || is_over(&request.events) {
                commits.extend(self.evidence(&request, before, with)?);
                over.push(path.clone());
            }
        }
        Ok((commits, over))
    }

    /// The evidence of one request with its further lines, if there is more than `before`.
    fn evidence(
        &self,
        of: &Request,
        before: Option<Vec<u8>>,
        with: &With<'_>,
    ) -> Result<Option<Adds>, SinkError> {
        let again = before.is_some();
        let before = before.unwrap_or_default();
        let new: Vec<&[u8]> = lines(&of.lines).collect();
        let all = joined(&before, &new);
        if all == before {
            return Ok(None);
        }
        let events = records(&all);
        let branch = self.pair.record.trim_start_matches("refs/heads/");
        let dir = &of.dir;
        let mut kept: Vec<(String, Vec<u8>)> = vec![
            (
                format!("{dir}/summary.md"),
                summary(&of.request, &events, branch).into(),
            ),
            (format!("{dir}/checkpoint.note"), with.note.into()),
            (format!("{dir}/events.jsonl"), all),
        ];
        for named in of.events.iter().flat_map(|r| &r.envelopes) {
            let name = format!("envelopes/{}.json", named.sha256);
            let body = match (with.files.get(&name), with.tip) {
                (Some(body), _) => Some(body.clone()),
                (None, Some(tip)) => self.repo.read(tip, &name)?,
                (None, None) => None,
            };
            // Where envelopes are not asked for there is none; and what was taken back from the remote may be another.
            let ours =
                |body: &Vec<u8>| Hash::from_bytes(Sha256::digest(body).into()) == named.sha256;
            if let Some(body) = body.filter(ours) {
                kept.push((format!("{dir}/{name}"), body));
            }
        }
        let incident = of.events.first().and_then(|r| r.incident_id.as_deref());
        let incident = incident.unwrap_or("no incident");
        let what = match again {
            true => "what came later",
            false => "evidence",
        };
        // Foreign words make no line and no trailer of their own.
        let subject = format!("{}: {what} of {}", clean(incident), clean(&of.request));
        let names: Vec<String> = of
            .events
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
        Ok(Some(Adds {
            files: kept,
            message: message(&subject, &names.join("\n"), &with.last.head()),
            at: time_of(with.last),
        }))
    }
}
