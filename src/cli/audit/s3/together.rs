//! Thousands of objects by one run of `aws`.
//!
//! A run of `aws` for each object costs half a second of a processor; a record of years is thousands of objects. So `aws s3 cp --recursive` copies
//! what the sink has written into a private folder, and the headers of its answers (see [`Headers`]) tell of each object's version and lock, which no
//! listing gives. A copy counts where its version is the one that was listed and its length the listed one; what it holds is held against its name and
//! its neighbours like any other object's. Everything else is read one by one: versions that something was put over or that a delete marker
//! hides, what is larger than one piece, and whatever `aws` could not copy.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use crate::{
    audit::sinks::s3::copy::{Inventory, Listed},
    cli::{
        aws_cli::{Aws, Failed, debug::Headers},
        private::Private,
        ui::Ui,
    },
    protocol::Problem,
};

use super::{Got, time_of};

/// Up to so many objects are read one by one.
const FEW: usize = 8;
/// What is larger is fetched in pieces: the AWS CLI's own `multipart_threshold`. The sink writes nothing so large.
const PIECE: u64 = 8 * 1024 * 1024;
/// So many objects that are too large are left out by their names.
const TOO_LARGE: usize = 64;
/// How often it is said how far it is.
const PROGRESS: Duration = Duration::from_secs(3);

/// Objects that were copied together.
pub(super) struct Together {
    folder: Private,
    prefix: String,
    /// What was answered, by version.
    answers: HashMap<String, Answer>,
}

#[derive(PartialEq, Eq)]
struct Answer {
    length: u64,
    mode: Option<String>,
    until: Option<String>,
}

/// Which keys' newest or older versions are too large to be copied together.
pub(super) fn too_large(listed: &[Listed]) -> HashSet<String> {
    let large = listed.iter().filter(|version| version.size > PIECE);
    large.map(|version| version.key.clone()).collect()
}

impl Together {
    /// Copies what the sink has written under `prefix`; none where it is not worth it, or not possible.
    pub(super) fn of(
        aws: &Aws,
        bucket: &str,
        prefix: &str,
        stock: &Inventory,
        too_large: &HashSet<String>,
        ui: &Ui,
    ) -> Result<Option<Self>, Problem> {
        let listed = || {
            let events = stock.events.iter().map(|(_, listed)| listed);
            events.chain(stock.envelopes.values())
        };
        let all = listed().count();
        if all <= FEW || too_large.len() > TOO_LARGE {
            return Ok(None);
        }
        // A version that has a name of its own; 'null' is what was written before there were versions.
        let mut known = HashSet::new();
        let mut meant: HashSet<&str> = HashSet::new();
        for version in listed().map(|listed| listed.version.as_str()) {
            match version != "null" && known.insert(version) {
                true => meant.insert(version),
                false => meant.remove(version),
            };
        }
        let mut copied = Self {
            folder: Private::roomy()?,
            prefix: prefix.to_owned(),
            answers: HashMap::new(),
        };
        let mut due = Instant::now() + PROGRESS;
        let ended = aws.headers(&copied.arguments(bucket, too_large), |headers| {
            let version = headers.value("x-amz-version-id");
            if let Some(version) = version.filter(|version| meant.contains(version)) {
                copied.answered(version, headers);
            }
            if Instant::now() >= due {
                ui.note(format!("{} of {all} objects so far", copied.answers.len()));
                due = Instant::now() + PROGRESS;
            }
        });
        match ended {
            Ok(()) => {}
            Err(Failed::BrokenOff) => return Err(Failed::BrokenOff.into()),
            Err(_) => {
                let left = listed().filter(|listed| !copied.has(listed)).count();
                ui.warn(format!(
                    "aws could not copy all objects together: {left} are read one by one, which takes long"
                ));
            }
        }
        Ok(Some(copied))
    }

    fn arguments(&self, bucket: &str, too_large: &HashSet<String>) -> Vec<String> {
        let of = |n: usize| "?".repeat(n);
        let events = format!("events/{}-{}-{}.jsonl", of(20), of(20), of(16));
        let envelopes = format!("envelopes/{}.json", of(64));
        let mut arguments = vec![
            "s3".to_owned(),
            "cp".to_owned(),
            "--recursive".to_owned(),
            "--only-show-errors".to_owned(),
            format!("s3://{bucket}/{}", self.prefix),
            self.folder.path().display().to_string(),
        ];
        for (option, pattern) in [
            ("exclude", "*"),
            ("include", &events),
            ("include", &envelopes),
        ] {
            arguments.push(format!("--{option}={pattern}"));
        }
        let keys = too_large.iter();
        let names = keys.filter_map(|key| key.strip_prefix(&self.prefix));
        arguments.extend(names.map(|name| format!("--exclude={name}")));
        arguments
    }

    /// Notes what was answered of a version; two answers that differ are none.
    fn answered(&mut self, version: &str, headers: &Headers) {
        let length = headers.value("content-length");
        let Some(length) = length.and_then(|length| length.parse().ok()) else {
            return;
        };
        let value = |name| headers.value(name).map(str::to_owned);
        let answer = Answer {
            length,
            mode: value("x-amz-object-lock-mode"),
            until: value("x-amz-object-lock-retain-until-date"),
        };
        if let Some(other) = self.answers.insert(version.to_owned(), answer)
            && self.answers.get(version) != Some(&other)
        {
            // No object has this length: it is read by itself.
            self.answers.insert(
                version.to_owned(),
                Answer {
                    length: u64::MAX,
                    ..other
                },
            );
        }
    }

    fn has(&self, listed: &Listed) -> bool {
        let answer = self.answers.get(&listed.version);
        answer.is_some_and(|answer| answer.length == listed.size)
    }

    /// An object's bytes and lock, where it was copied.
    pub(super) fn read(&self, listed: &Listed) -> Option<Got> {
        if !self.has(listed) {
            return None;
        }
        let answer = self.answers.get(&listed.version)?;
        let name = listed.key.strip_prefix(&self.prefix)?;
        let bytes = std::fs::read(self.folder.path().join(name)).ok()?;
        if bytes.len() as u64 != listed.size {
            return None;
        }
        let until = answer.until.as_deref().and_then(time_of);
        Some((bytes, answer.mode.clone().zip(until)))
    }
}
