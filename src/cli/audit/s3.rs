//! `twotap audit verify --s3`: the record as it stands in the bucket, read with the person's own credentials.

mod first;
mod locks;
mod together;

use std::{
    cell::RefCell,
    collections::VecDeque,
    io::{self, BufReader, Read},
};

use serde_json::Value;

use crate::{
    audit::{
        chain::Hash,
        event::read_time,
        note::NoteKey,
        signed::{Checked, Rosters},
        sinks::s3::{
            SEVEN_YEARS,
            copy::{Copy, Finding, Inventory, Listed, twice, whole},
            names::EventsName,
        },
        verify,
    },
    protocol::{Code, Problem},
};

use crate::cli::{
    Door,
    aws_cli::{Aws, Failed, Options},
    stop,
    ui::{Ui, Waiting},
};

use super::pages::Progress;

use self::first::First;
use self::locks::{Lock, Locks};
use self::together::{Listing, Place, Together};

/// How many versions are listed by one call.
const PAGE: &str = "20000";
/// How many objects are read at the same time, where each is a run of `aws`.
const TOGETHER: usize = 4;

/// Arguments of `audit verify --s3`. Without it the others mean nothing, and are refused.
#[derive(clap::Args)]
#[command(
    mut_arg("profile", |arg| arg.requires("s3").conflicts_with("export")),
    mut_arg("region", |arg| arg.requires("s3").conflicts_with("export"))
)]
pub(super) struct BucketArgs {
    /// The record in a bucket, where the S3 sink has put it: checked with its locks, through the AWS CLI
    #[arg(long, value_name = "s3://BUCKET/PREFIX", group = "elsewhere")]
    s3: Option<String>,
    /// How long the S3 sink locks what it writes
    #[arg(long, value_name = "DAYS", requires = "s3", conflicts_with = "export", default_value_t = SEVEN_YEARS, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    retention_days: u32,
    #[command(flatten)]
    aws: Options,
}

/// What a bucket shows beside the lines.
#[derive(Default)]
pub(super) struct InBucket {
    pub(super) findings: Vec<Finding>,
    objects: usize,
    envelopes: usize,
    modes: Vec<String>,
    /// Why nobody can say whether some of them are locked.
    pub(super) hidden: Option<Problem>,
}

impl InBucket {
    pub(super) fn json(&self) -> Value {
        serde_json::json!({
            "objects": self.objects, "envelopes": self.envelopes, "lock_modes": self.modes,
        })
    }

    pub(super) fn shown(&self) -> String {
        format!(
            "in the bucket: {} objects with events and {} signed envelopes, locked in mode {}\n",
            self.objects,
            self.envelopes,
            self.modes.join(" and ")
        )
    }
}

impl BucketArgs {
    /// Where the record is, if it is in a bucket.
    pub(super) fn place(&self) -> Option<&str> {
        self.s3.as_deref()
    }

    /// Verifies what stands at `place`.
    pub(super) fn verify(
        &self,
        place: &str,
        args: &super::verify::Args,
        door: &Door,
    ) -> Result<(Checked, Rosters, InBucket), Problem> {
        let (bucket, prefix) = parse(place)?;
        // A copy of the record lies in a folder of our own meanwhile.
        stop::begin()?;
        let mut from = Bucket {
            aws: Aws::of(&self.aws),
            copied: None,
            bucket: bucket.to_owned(),
            retention: time::Duration::days(i64::from(self.retention_days)),
            locks: RefCell::default(),
            failed: RefCell::default(),
        };
        let said = Waiting::begin(format!("{place} to be listed"));
        let listed = from.list(&prefix)?;
        let listing = Listing::of(&listed);
        let mut stock = Inventory::of(&prefix, listed);
        if stock.events.is_empty() && stock.findings.is_empty() {
            return Err(
                Problem::new(Code::Usage, format!("there is no record at {place}"))
                    .hint("name the bucket and the prefix as [sinks.NAME] of agent.toml does"),
            );
        }
        let mut seen = InBucket {
            objects: stock.events.len(),
            envelopes: stock.envelopes.len(),
            findings: std::mem::take(&mut stock.findings),
            ..InBucket::default()
        };
        let rosters = super::verify::rosters(None, &args.roster, door)?;
        said.now_for(format!("{} objects to be read and checked", seen.objects));
        let place_of = Place {
            bucket,
            prefix: &prefix,
            again: &|| from.list(&prefix),
        };
        let copied = Together::of(&from.aws, &place_of, &stock, &listing, &door.ui)?;
        from.copied = copied;
        let (copy, others) = from.histories(&stock.events, place, &rosters)?;
        let mut objects = Objects {
            from: &from,
            ui: &door.ui,
            all: stock.events.len(),
            progress: Progress::begin(),
            left: stock.events.into(),
            ready: VecDeque::new(),
            copy,
            bytes: io::Cursor::default(),
            failed: None,
        };
        let find = |sha256: &Hash| {
            let listed = stock.envelopes.get(sha256)?;
            match from.read(listed) {
                Ok((bytes, _)) => Some(bytes),
                Err(why) => {
                    from.failed.replace(Some(why));
                    None
                }
            }
        };
        let lines = BufReader::with_capacity(1 << 20, &mut objects);
        let checked = super::verify::examine_with(lines, &rosters, &find, others, args);
        // Verifying stops at the first break; the rest of the bucket is looked at all the same.
        let drained = io::copy(&mut objects, &mut io::sink());
        let failed = objects.failed.take().or(from.failed.take());
        if let Some(why) = failed {
            return Err(why.into());
        }
        drained.map_err(|why| Problem::new(Code::Internal, why.to_string()))?;
        seen.findings.append(&mut objects.copy.findings);
        let locks = from.locks.into_inner();
        seen.findings.extend(locks.findings);
        seen.modes = locks.modes;
        seen.hidden = locks.hidden.map(Problem::from);
        Ok((checked?, rosters, seen))
    }
}

/// `s3://BUCKET/PREFIX`; the prefix ends in `/`, said or not.
fn parse(place: &str) -> Result<(&str, String), Problem> {
    let bad = || {
        Problem::new(Code::Usage, "this is no place in a bucket")
            .hint("write it as s3://BUCKET/PREFIX/, as [sinks.NAME] of agent.toml names them")
    };
    let rest = place.strip_prefix("s3://").ok_or_else(bad)?;
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let plain = |b: u8| b.is_ascii_alphanumeric() || b".-".contains(&b);
    let good = !bucket.is_empty() && bucket.bytes().all(plain) && !bucket.starts_with('-');
    let end = match prefix.is_empty() || prefix.ends_with('/') {
        true => "",
        false => "/",
    };
    good.then(|| (bucket, format!("{prefix}{end}")))
        .ok_or_else(bad)
}

/// The bucket as the AWS CLI shows it.
struct Bucket {
    aws: Aws,
    /// What was copied by one run.
    copied: Option<Together>,
    bucket: String,
    retention: time::Duration,
    locks: RefCell<Locks>,
    /// Why an envelope could not be read: then it is not one that is missing.
    failed: RefCell<Option<Failed>>,
}

/// One object's bytes, and its lock: mode and end.
type Got = (Vec<u8>, Option<Lock>);

impl Bucket {
    fn list(&self, prefix: &str) -> Result<Vec<Listed>, Failed> {
        let mut listed = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let mut call = vec!["s3api", "list-object-versions", "--bucket", &self.bucket];
            call.extend(["--max-items", PAGE]);
            if !prefix.is_empty() {
                call.extend(["--prefix", prefix]);
            }
            if let Some(token) = &token {
                call.extend(["--starting-token", token]);
            }
            let page = self.aws.json(&call)?;
            for (list, delete_marker) in [("Versions", false), ("DeleteMarkers", true)] {
                let entries = page[list].as_array().into_iter().flatten();
                for entry in entries {
                    listed.push(entry_of(entry, delete_marker).ok_or_else(|| {
                        Failed::Unreadable("aws printed a listing that is none".to_owned())
                    })?);
                }
            }
            match page["NextToken"].as_str() {
                Some(next) => token = Some(next.to_owned()),
                None => return Ok(listed),
            }
        }
    }

    /// Where objects hold the same numbers twice: which history is told now, and what else stands there, for the verifier to say whether a signed
    /// epoch lost it.
    fn histories(
        &self,
        events: &[(EventsName, Listed)],
        place: &str,
        rosters: &Rosters,
    ) -> Result<(Copy, Option<verify::Copy>), Failed> {
        let twice = twice(events);
        let mut others = verify::Copy::new(format!("what else stands in {place}"));
        for some in twice.chunks(TOGETHER) {
            for ((name, _), got) in some.iter().zip(self.together(some)) {
                let (bytes, _) = got?;
                if whole(name, &bytes) {
                    let read = others.read(&*bytes);
                    read.map_err(|why| Failed::Unreadable(why.to_string()))?;
                }
            }
        }
        let (hosts, own) = (rosters.hosts(), self.first_host(events, &twice)?);
        let foreign = |key: &NoteKey| {
            own.as_ref()
                .is_some_and(|own| hosts.is_beside(own, *key.key()))
        };
        let followed = |key: &NoteKey, by: &NoteKey| hosts.is_followed(*key.key(), *by.key());
        let told = others.take_newest(&rosters.checkpoint_keys(), foreign, followed);
        let parted = twice.into_iter().map(|(_, listed)| listed.key).collect();
        let others = (!others.is_empty()).then_some(others);
        Ok((Copy::of(told, parted), others))
    }

    /// The host that the record's first event names. Where several first events stand there, the one that all of them name.
    fn first_host(
        &self,
        events: &[(EventsName, Listed)],
        twice: &[(EventsName, Listed)],
    ) -> Result<Option<String>, Failed> {
        if twice.is_empty() {
            return Ok(None);
        }
        let mut named = First::default();
        for (name, first) in events.iter().filter(|(name, _)| name.first == 1) {
            let (bytes, _) = match self.copied(first) {
                Some(got) => got,
                None => get(&self.aws, &self.bucket, first)?,
            };
            named.add(name, &bytes);
        }
        Ok(named.host())
    }

    /// Reads some objects at the same time, where each is a run of `aws`, which takes its time to start.
    fn together(&self, some: &[(EventsName, Listed)]) -> Vec<Result<Got, Failed>> {
        let (aws, bucket) = (&self.aws, self.bucket.as_str());
        std::thread::scope(|scope| {
            let reading: Vec<_> = some
                .iter()
                .map(|(_, listed)| match self.copied(listed) {
                    Some(got) => Err(got),
                    None => Ok(scope.spawn(move || get(aws, bucket, listed))),
                })
                .collect();
            let lost = || Failed::Unreadable("a reader ended by an error of its own".to_owned());
            let ended = reading.into_iter();
            ended
                .map(|thread| match thread {
                    Ok(thread) => thread.join().unwrap_or_else(|_| Err(lost())),
                    Err(got) => Ok(got),
                })
                .collect()
        })
    }

    fn copied(&self, listed: &Listed) -> Option<Got> {
        self.copied.as_ref()?.read(listed)
    }

    /// Reads one version, and notes what its lock is.
    fn read(&self, listed: &Listed) -> Result<Got, Failed> {
        let got = match self.copied(listed) {
            Some(got) => got,
            None => get(&self.aws, &self.bucket, listed)?,
        };
        self.note(listed, &got)?;
        Ok(got)
    }

    fn note(&self, listed: &Listed, (_, lock): &Got) -> Result<(), Failed> {
        let ask = || locks::of(&self.aws, &self.bucket, listed);
        let mut locks = self.locks.borrow_mut();
        locks.note(listed, lock.clone(), self.retention, ask)
    }
}

/// The bytes first, then what `aws` prints about them.
fn get(aws: &Aws, bucket: &str, listed: &Listed) -> Result<Got, Failed> {
    let (key, version) = (listed.key.as_str(), listed.version.as_str());
    let mut bytes = aws.run(&[
        "s3api",
        "get-object",
        "--bucket",
        bucket,
        "--key",
        key,
        "--version-id",
        version,
        "/dev/stdout",
    ])?;
    let bad = |why: &str| Failed::Unreadable(format!("{key}: {why}"));
    let size = usize::try_from(listed.size).map_err(|_| bad("it is too large"))?;
    if bytes.len() < size {
        return Err(bad("it is shorter than it was listed"));
    }
    let about: Value = serde_json::from_slice(&bytes[size..])
        .map_err(|_| bad("what aws printed of it is not JSON"))?;
    if about["ContentLength"].as_u64() != Some(listed.size) {
        return Err(bad("it is not as long as it was listed"));
    }
    bytes.truncate(size);
    let mode = about["ObjectLockMode"].as_str().map(str::to_owned);
    let until = about["ObjectLockRetainUntilDate"]
        .as_str()
        .and_then(read_time);
    Ok((bytes, mode.zip(until)))
}

fn entry_of(entry: &Value, delete_marker: bool) -> Option<Listed> {
    Some(Listed {
        key: entry["Key"].as_str()?.to_owned(),
        version: entry["VersionId"].as_str()?.to_owned(),
        delete_marker,
        size: match delete_marker {
            true => 0,
            false => entry["Size"].as_u64()?,
        },
        modified: read_time(entry["LastModified"].as_str()?)?,
    })
}

/// The lines of the objects, one object after the other, some read ahead.
struct Objects<'b> {
    from: &'b Bucket,
    ui: &'b Ui,
    all: usize,
    progress: Progress,
    left: VecDeque<(EventsName, Listed)>,
    ready: VecDeque<(EventsName, Listed, Got)>,
    copy: Copy,
    bytes: io::Cursor<Vec<u8>>,
    failed: Option<Failed>,
}

impl Objects<'_> {
    /// Reads the next few objects.
    fn read_ahead(&mut self) -> Result<(), Failed> {
        if stop::asked() {
            return Err(Failed::BrokenOff);
        }
        let next: Vec<_> = self.left.drain(..self.left.len().min(TOGETHER)).collect();
        let got = self.from.together(&next);
        for ((name, listed), got) in next.into_iter().zip(got) {
            let got = got?;
            self.from.note(&listed, &got)?;
            self.ready.push_back((name, listed, got));
        }
        if !self.left.is_empty() {
            let (all, done) = (self.all, self.all - self.left.len());
            let how_far = || format!("{done} of {all} objects checked so far");
            self.progress.say(self.ui, how_far);
        }
        Ok(())
    }
}

impl Read for Objects<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.bytes.read(into)?;
            if read > 0 || into.is_empty() {
                return Ok(read);
            }
            if self.ready.is_empty()
                && let Err(why) = self.read_ahead()
            {
                let said = why.to_string();
                self.failed = Some(why);
                self.left.clear();
                return Err(io::Error::other(said));
            }
            let Some((name, listed, (bytes, _))) = self.ready.pop_front() else {
                return Ok(0);
            };
            self.bytes = io::Cursor::new(self.copy.add(&name, &listed.key, &bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_bucket_and_a_prefix() {
        for (place, prefix) in [
            ("s3://abc/x/y/", "x/y/"),
            ("s3://abc/x", "x/"),
            ("s3://abc/", ""),
            ("s3://abc", ""),
        ] {
            assert_eq!(parse(place).expect(place), ("abc", prefix.to_owned()));
        }
        for bad in [
            "abc/x/",
            "s3:///x/",
            "s3://a b/",
            "s3://-x/",
            "https://abc/",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
    #[test]
    fn what_is_about_a_bucket_is_not_taken_silently_where_there_is_none() {
        #[derive(clap::Parser)]
        struct Verb {
            #[command(flatten)]
            bucket: BucketArgs,
            #[arg(long)]
            export: Option<String>,
        }
        let parsed = |more: &[&str]| {
            let words = ["verify"].iter().chain(more);
            <Verb as clap::Parser>::try_parse_from(words).map(|verb| verb.bucket)
        };
        for option in [
            ["--retention-days", "7"],
            ["--profile", "sofia"],
            ["--region", "eu-central-1"],
        ] {
            let why = parsed(&option).map(|_| ()).expect_err(option[0]);
            assert!(why.to_string().contains("--s3"), "{why}");
            let [name, value] = option;
            let good = parsed(&[name, value, "--s3", "s3://abc/x/"]).expect("good");
            assert_eq!(good.place(), Some("s3://abc/x/"));
        }
        assert_eq!(parsed(&[]).expect("good").place(), None);
    }
}
