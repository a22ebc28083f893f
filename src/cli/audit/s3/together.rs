//! Thousands of objects by one run of `aws`.
//!
//! A run of `aws` for each object costs half a second of a processor; a record of years is thousands of objects. So `aws s3 cp --recursive` copies
//! what the sink has written into a private folder, and the headers of its answers (see [`Headers`]) tell of each object's version and lock, which no
//! listing gives. A copy counts where its version is the one that was listed and its length the listed one; what it holds is held against its name and
//! its neighbours like any other object's. Everything else is read one by one: versions that something was put over or that a delete marker
//! hides, what is larger than one piece, and whatever `aws` could not copy.
//!
//! Whoever writes to the bucket may want other answers to be believed than AWS gave. `aws --debug` shows keys as they are, and one with a line break
//! makes lines of its own: where a listing has such a key, before or after the copy, nothing that was answered counts. Nor does it where
//! answers cannot be read, or where there are more of them than objects were copied.

use std::{
    collections::{HashMap, HashSet},
    fs, io,
    path::Path,
};

use crate::{
    audit::{
        event::read_time,
        sinks::s3::copy::{Inventory, Listed},
    },
    cli::{
        audit::pages::Progress,
        aws_cli::{Aws, Failed, debug::Headers},
        private::Private,
        ui::Ui,
    },
    protocol::Problem,
};

use super::Got;

/// Up to so many objects are read one by one.
const FEW: usize = 8;
/// What is larger is fetched in pieces: the AWS CLI's own `multipart_threshold`. The sink writes nothing so large.
const PIECE: u64 = 8 * 1024 * 1024;
/// So many objects that are too large are left out by their names.
const TOO_LARGE: usize = 64;
/// What a file and the answer that brings it take beside its bytes, at most, in bytes.
const BLOCK: u64 = 4096;
/// What answers may take beside objects (listings, redirects), in bytes.
const BESIDE: u64 = 1024 * 1024;
/// The most that is copied, in bytes: some ten million events. Of what is free where temporary files go never more than half is used.
const MOST: u64 = 16 * 1024 * 1024 * 1024;

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

/// Where objects are copied from.
pub(super) struct Place<'a> {
    /// The bucket.
    pub(super) bucket: &'a str,
    /// What their keys begin with.
    pub(super) prefix: &'a str,
    /// Lists it once more.
    pub(super) again: &'a dyn Fn() -> Result<Vec<Listed>, Failed>,
}

/// What a listing says of whether its objects can be copied together.
pub(super) struct Listing {
    /// Keys of which a version is too large.
    too_large: HashSet<String>,
    /// All versions together, in bytes on a disk: whatever the patterns of [`Together::arguments`] fit is among them.
    size: u64,
    plain: bool,
}

impl Listing {
    /// What all that is listed says, whoever wrote it.
    pub(super) fn of(listed: &[Listed]) -> Self {
        let large = listed.iter().filter(|version| version.size > PIECE);
        let sizes = listed
            .iter()
            .map(|version| version.size.saturating_add(BLOCK));
        Self {
            too_large: large.map(|version| version.key.clone()).collect(),
            size: sizes.fold(0, u64::saturating_add),
            plain: plain(listed),
        }
    }

    /// How much may be answered, in bytes. Twice what was listed, which is half of what is free: some is fetched again where the network fails, and the
    /// sink goes on writing. Whatever else comes into the bucket meanwhile does not fill the disk.
    fn most(&self) -> u64 {
        self.size.saturating_mul(2).saturating_add(BESIDE)
    }

    /// Why it is better to read its objects one by one.
    fn against(&self, too_large: usize) -> Option<&'static str> {
        if !self.plain {
            return Some("an object's name has a line break or the like in it");
        }
        if too_large > TOO_LARGE {
            return Some("many objects are larger than any that the sink writes");
        }
        let temporary = std::env::temp_dir();
        // Where that cannot be told, copying fails or does not.
        let room = rustix::fs::statvfs(&temporary).map_or(u64::MAX, |disk| {
            disk.f_bavail.saturating_mul(disk.f_frsize) / 2
        });
        (self.size > MOST.min(room))
            .then_some("there is no room for a copy where temporary files go (TMPDIR)")
    }
}

/// Whether no key has anything in it that begins another line.
fn plain(listed: &[Listed]) -> bool {
    let mut keys = listed.iter().map(|version| &version.key);
    !keys.any(|key| key.chars().any(char::is_control))
}

impl Together {
    /// Copies what the sink has written there; none where it is not worth it, or not possible.
    pub(super) fn of(
        aws: &Aws,
        place: &Place<'_>,
        stock: &Inventory,
        listing: &Listing,
        ui: &Ui,
    ) -> Result<Option<Self>, Problem> {
        let listed = || {
            let events = stock.events.iter().map(|(_, listed)| listed);
            events.chain(stock.envelopes.values())
        };
        let all = listed().count();
        if all <= FEW {
            return Ok(None);
        }
        let one_by_one = |why: &str, left: usize| {
            ui.warn(format!(
                "{why}: {left} objects are read one by one, which takes long"
            ));
        };
        // Others' names are no patterns for aws, and what they fit would be left out.
        let keys = listed().map(|listed| listed.key.as_str());
        let too_large: Vec<&str> = keys
            .filter(|key| listing.too_large.contains(*key))
            .collect();
        if let Some(why) = listing.against(too_large.len()) {
            one_by_one(why, all);
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
            prefix: place.prefix.to_owned(),
            answers: HashMap::new(),
        };
        let mut progress = Progress::begin();
        let (mut versions, mut unreadable) = (HashSet::new(), false);
        let (most, mut come) = (listing.most(), 0_u64);
        let arguments = copied.arguments(place.bucket, &too_large);
        let ended = aws.headers(&arguments, |headers| {
            let Some(headers) = headers else {
                unreadable = true;
                return true;
            };
            let length = headers.value("content-length").and_then(|n| n.parse().ok());
            come = come
                .saturating_add(length.unwrap_or(0))
                .saturating_add(BLOCK);
            if let Some(version) = headers.value("x-amz-version-id") {
                versions.insert(version.to_owned());
                if meant.contains(version) {
                    copied.answered(version, headers);
                }
            }
            progress.say(ui, || {
                format!("{} of {all} objects so far", copied.answers.len())
            });
            come <= most
        });
        if ended == Err(Failed::BrokenOff) {
            return Err(Failed::BrokenOff.into());
        }
        let files = count(copied.folder.path()).unwrap_or(0);
        if unreadable || versions.len() > files || !plain(&(place.again)()?) {
            copied.answers.clear();
        }
        let left = listed().filter(|listed| !copied.has(listed)).count();
        if come > most {
            one_by_one("more came into the bucket than was listed", left);
        } else if ended.is_err() || left > FEW {
            one_by_one("aws could not copy all objects together", left);
        }
        Ok(Some(copied))
    }

    fn arguments(&self, bucket: &str, too_large: &[&str]) -> Vec<String> {
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
        let bytes = fs::read(self.folder.path().join(name)).ok()?;
        if bytes.len() as u64 != listed.size {
            return None;
        }
        let until = answer.until.as_deref().and_then(read_time);
        Some((bytes, answer.mode.clone().zip(until)))
    }
}

/// How many files there are in a folder and below it.
fn count(folder: &Path) -> io::Result<usize> {
    let mut files = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        files += match entry.file_type()?.is_dir() {
            true => count(&entry.path())?,
            false => 1,
        };
    }
    Ok(files)
}
