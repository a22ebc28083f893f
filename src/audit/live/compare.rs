//! A file of the record against the store, line by line.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;

use super::{Finding, How, Known, Stat, seq_of};
use crate::audit::{
    chain::{Hash, Head, Links},
    event::MAX_LINE,
    store::{Entry, Store, StoreError},
};

/// How many lines of the store are held at once.
const BATCH: usize = 256;

/// A file at its beginning. Its first line follows the file before, or has the number that it had when it was seen first.
pub(super) fn begin(
    path: PathBuf,
    stat: Stat,
    file: Option<&File>,
    first: Option<u64>,
    before: Option<Head>,
) -> io::Result<Known> {
    let first = match (before, first) {
        (Some(before), _) => before.seq + 1,
        (None, Some(first)) => first,
        // Files before this one may have been taken to an archive: a first file begins where it begins.
        (None, None) => first_line(readable(file)?)?.unwrap_or(1),
    };
    Ok(Known {
        path,
        stat,
        first,
        checked: 0,
        head: Head {
            seq: first - 1,
            hash: Hash::ZERO,
        },
    })
}

/// Compares from where the file was compared to, up to its end.
pub(super) fn follow(
    store: &Store,
    file: Option<&File>,
    mut known: Known,
) -> io::Result<Result<Known, Finding>> {
    let path = known.path.clone();
    let changed = |seq: u64, what: &str| {
        Ok(Err(Finding {
            how: How::Changed,
            file: path.clone(),
            from: Some(seq),
            why: format!("{}: {what}", path.display()),
        }))
    };
    let mut file = readable(file)?;
    file.seek(SeekFrom::Start(known.checked))?;
    let mut lines = BufReader::with_capacity(64 * 1024, file);
    let mut stored = Stored::new(store);
    let mut line = Vec::new();
    loop {
        let next = known.head.seq + 1;
        line.clear();
        (&mut lines)
            .take(MAX_LINE as u64 + 1)
            .read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(Ok(known));
        }
        let whole = line.pop_if(|b| *b == b'\n').is_some();
        let Some(entry) = stored.take(next)? else {
            return changed(
                next,
                &format!(
                    "what follows event {} was not written by the agent",
                    next - 1
                ),
            );
        };
        if !whole {
            // The sink is writing it.
            if entry.line.starts_with(&line) {
                return Ok(Ok(known));
            }
            return changed(next, &format!("event {next} was changed"));
        }
        if entry.line != line && !stored.is_at_fault(&entry, &line)? {
            let what = match seq_of(&line) {
                Some(seq) if seq > next => format!("event {next} was removed"),
                Some(seq) if seq < next => format!("event {seq} stands in it again"),
                _ => format!("event {next} was changed"),
            };
            return changed(next, &what);
        }
        known.checked += line.len() as u64 + 1;
        known.head = known.head.after(&line);
    }
}

/// The last whole line, and whether what stands there is no line of a record.
pub(super) fn last_line(path: &Path) -> io::Result<(Option<Head>, bool)> {
    let mut file = open(path)?;
    let length = file.metadata()?.len();
    let window = length.min(2 * (MAX_LINE as u64 + 1) + 1);
    file.seek(SeekFrom::Start(length - window))?;
    let mut bytes = Vec::new();
    file.take(window).read_to_end(&mut bytes)?;
    let Some(end) = bytes.iter().rposition(|b| *b == b'\n') else {
        return Ok((None, false));
    };
    let whole = &bytes[..end];
    let start = whole.iter().rposition(|b| *b == b'\n').map_or(0, |n| n + 1);
    let line = &whole[start..];
    match seq_of(line) {
        Some(seq) => {
            let hash = Hash::of(line);
            Ok((Some(Head { seq, hash }), false))
        }
        None => Ok((None, true)),
    }
}

/// A link is never followed.
fn readable(file: Option<&File>) -> io::Result<&File> {
    file.ok_or_else(|| io::Error::other("a link stands where a file of the record was"))
}

fn first_line(mut file: &File) -> io::Result<Option<u64>> {
    file.seek(SeekFrom::Start(0))?;
    let mut line = Vec::new();
    BufReader::new(file)
        .take(MAX_LINE as u64 + 1)
        .read_until(b'\n', &mut line)?;
    Ok(seq_of(&line).filter(|seq| *seq > 0))
}

/// Never through a link, and never waiting for the other end of a pipe.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    File::options()
        .read(true)
        .custom_flags(flags.bits() as i32)
        .open(path)
}

/// The store's lines from a number on.
struct Stored<'s> {
    store: &'s Store,
    batch: std::vec::IntoIter<Entry>,
}

impl<'s> Stored<'s> {
    fn new(store: &'s Store) -> Self {
        Self {
            store,
            batch: Vec::new().into_iter(),
        }
    }

    fn take(&mut self, seq: u64) -> io::Result<Option<Entry>> {
        if self.batch.len() == 0 {
            self.batch = self.store.events(seq, BATCH).map_err(io_error)?.into_iter();
        }
        Ok(self.batch.next().filter(|entry| entry.seq == seq))
    }

    /// Whether of the two lines the file's is the one that the record has grown on: then the store was changed, which its own
    /// re-reading tells.
    fn is_at_fault(&self, entry: &Entry, line: &[u8]) -> io::Result<bool> {
        let hash = Hash::of(line);
        // The line's own hash stands beside it and in the next line's `prev`; who changes the store may have changed both.
        let next = self.store.events(entry.seq + 1, 1).map_err(io_error)?;
        let prev = next.first().and_then(|n| Links::parse(&n.line).ok());
        Ok(match prev {
            Some(links) => links.prev == hash,
            None => entry.hash == hash,
        })
    }
}

fn io_error(why: StoreError) -> io::Error {
    io::Error::other(why.to_string())
}
