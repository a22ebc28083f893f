//! The worker's own journal: what it is about to do to the world, and what it did; one JSON line each, fsynced.
//!
//! It is the source of the agent's record of these acts: an entry stands here first and is reported second. Several workers of one
//! vault may append (one closes while another rotates), so numbers are given out under a lock on the file.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use crate::{
    fail,
    protocol::{
        Code, Problem,
        job::{AwsTrace, Entry, Step},
    },
    trust::Timestamp,
};

/// One vault's journal.
pub(super) struct Journal {
    path: PathBuf,
}

impl Journal {
    /// The journal in this file, which need not exist yet.
    pub(super) fn at(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
        }
    }

    /// Appends an entry and makes it durable.
    pub(super) fn append(
        &self,
        request: Option<&str>,
        step: Step,
        aws: Option<AwsTrace>,
    ) -> Result<Entry, Problem> {
        self.try_append(request, step, aws)
            .map_err(|why| self.problem(&why))
    }

    /// The entries with a number above `since`, in order.
    pub(super) fn since(&self, since: u64) -> Result<Vec<Entry>, Problem> {
        let mut text = String::new();
        match File::open(&self.path) {
            Ok(mut file) => file
                .read_to_string(&mut text)
                .map_err(|why| self.problem(&why))?,
            Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(why) => return Err(self.problem(&why)),
        };
        let entries = parse(&text).map_err(|why| self.problem(&why))?;
        Ok(entries.into_iter().filter(|e| e.n > since).collect())
    }

    fn try_append(
        &self,
        request: Option<&str>,
        step: Step,
        aws: Option<AwsTrace>,
    ) -> io::Result<Entry> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&self.path)?;
        file.lock()?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let entries = parse(&text)?;
        // A line that a crash cut short was never reported: it is overwritten.
        let whole = text.rfind('\n').map_or(0, |at| at + 1);
        file.set_len(whole as u64)?;
        file.seek(SeekFrom::End(0))?;

        let entry = Entry {
            n: entries.last().map_or(0, |e| e.n) + 1,
            at: Timestamp::now(),
            request: request.map(str::to_owned),
            step,
            aws,
        };
        let mut line = serde_json::to_vec(&entry)?;
        line.push(b'\n');
        fail::entry(|| format!("journal:{}:before", super::close::receipt_step(&entry).step))?;
        file.write_all(&line)?;
        file.sync_all()?;
        fail::point(|| format!("journal:{}:after", super::close::receipt_step(&entry).step));
        Ok(entry)
    }

    fn problem(&self, why: &io::Error) -> Problem {
        Problem::new(
            Code::Internal,
            format!("the journal {} cannot be used: {why}", self.path.display()),
        )
        .hint("nothing was done that it does not hold; check the disk")
    }
}

/// All whole lines; numbers must count up by one.
fn parse(text: &str) -> io::Result<Vec<Entry>> {
    let whole = text.rfind('\n').map_or("", |at| &text[..at]);
    let mut entries: Vec<Entry> = Vec::new();
    for line in whole.lines() {
        let entry: Entry = serde_json::from_str(line)?;
        if entry.n != entries.last().map_or(0, |e| e.n) + 1 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("entry {} is out of order", entry.n),
            ));
        }
        entries.push(entry);
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(id: &str) -> Step {
        Step::KeyCreated {
            access_key_id: id.to_owned(),
        }
    }

    #[test]
    fn entries_count_up_and_a_cut_line_is_overwritten() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("journal");
        let journal = Journal::at(&path);
        assert!(journal.since(0).expect("none").is_empty());
        journal
            .append(Some("r-a"), step("one"), None)
            .expect("first");
        let mut text = std::fs::read_to_string(&path).expect("there");
        text.push_str("{\"n\":2,\"at\":\"2026");
        std::fs::write(&path, &text).expect("a cut line");
        assert_eq!(journal.since(0).expect("one").len(), 1);
        assert_eq!(
            journal.append(None, step("two"), None).expect("second").n,
            2
        );
        let all = journal.since(0).expect("both");
        assert_eq!(all.iter().map(|e| e.n).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(journal.since(1).expect("one").len(), 1);
    }

    #[test]
    fn a_missing_entry_is_noticed() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("journal");
        let journal = Journal::at(&path);
        for id in ["one", "two", "three"] {
            journal.append(None, step(id), None).expect("appended");
        }
        let text = std::fs::read_to_string(&path).expect("there");
        let cut: String = text
            .lines()
            .filter(|l| !l.contains("two"))
            .map(|l| format!("{l}\n"))
            .collect();
        std::fs::write(&path, cut).expect("written");
        assert!(journal.since(0).is_err());
        assert!(journal.append(None, step("four"), None).is_err());
    }
}
