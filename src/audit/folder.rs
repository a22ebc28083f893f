//! The folder in which a record travels: what the file sink keeps, what an export is, what `audit verify` reads.
//!
//! ```text
//! events.jsonl                 the lines, byte for byte, each with a newline; only appended to
//! events-<12 digits>.jsonl     lines before those, each file by the number of its first event, where files are begun anew by size or age
//! checkpoint.note              the newest signed checkpoint
//! envelopes/<sha256>.json      signed envelopes, where they were asked for
//! ```
//!
//! Older checkpoints need no file: each stands as a `CHECKPOINT` event among the lines.

mod parts;

use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::FlockOperation;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub use self::parts::{Parts, files, is_record_file, live, move_aside, move_into, new_folder};

use self::parts::{EVENTS, numbered, same};
use super::chain::{Hash, Head, Links};
use super::event::{Envelope, MAX_ENVELOPE, MAX_LINE, Record};
use super::files;
use super::note::MAX_NOTE;

const CHECKPOINT: &str = "checkpoint.note";
const ENVELOPES: &str = "envelopes";

/// Writes a folder. After an error it has to be opened anew: what reached the disk is then read from the disk.
pub struct FolderWriter {
    dir: PathBuf,
    events: File,
    tail: Head,
    /// The beginning of a line whose writing was cut off; the next line has to complete it.
    torn: Vec<u8>,
    rotate: Rotate,
}

/// When another file is begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotate {
    /// Once a file has so many bytes.
    pub bytes: u64,
    /// Once its first line is so much older than the next, by what both say.
    pub age: Duration,
}

impl Rotate {
    /// Never.
    pub const NEVER: Self = Self {
        bytes: u64::MAX,
        age: Duration::MAX,
    };
}

impl FolderWriter {
    /// A new folder (0700) for an export; one that has events already is refused.
    pub fn create(dir: &Path) -> Result<Self, FolderError> {
        files::private_folder(dir)?;
        let path = dir.join(EVENTS);
        let events = files::private().append(true).create_new(true).open(&path)?;
        let writer = Self {
            dir: dir.to_owned(),
            events,
            tail: Head::default(),
            torn: Vec::new(),
            rotate: Rotate::NEVER,
        };
        writer.lock()?;
        files::sync_parent(&path)?;
        Ok(writer)
    }

    /// Opens a folder to go on where its last line ends; makes it where it is missing.
    pub fn open(dir: &Path) -> Result<Self, FolderError> {
        files::private_folder(dir)?;
        let path = dir.join(EVENTS);
        let events = files::private()
            .read(true)
            .append(true)
            .create(true)
            .open(&path)?;
        files::sync_parent(&path)?;
        let mut writer = Self {
            dir: dir.to_owned(),
            events,
            tail: Head::default(),
            torn: Vec::new(),
            rotate: Rotate::NEVER,
        };
        writer.lock()?;
        writer.find_tail()?;
        // A process that was killed may have written what it did not sync.
        writer.events.sync_data()?;
        Ok(writer)
    }

    /// Begins another file when it is time.
    #[must_use]
    pub fn rotated(mut self, rotate: Rotate) -> Self {
        self.rotate = rotate;
        self
    }

    /// The last whole line.
    pub fn tail(&self) -> Head {
        self.tail
    }

    /// Appends lines that follow [`tail`](Self::tail) and syncs. A line that was cut off before is completed, not repeated.
    pub fn append<L: AsRef<[u8]>>(&mut self, lines: &[L]) -> Result<(), FolderError> {
        self.is_in_place()?;
        let mut tail = self.tail;
        let mut bytes = Vec::new();
        for line in lines.iter().map(AsRef::as_ref) {
            let follows =
                Links::parse(line).is_ok_and(|l| l.seq == tail.seq + 1 && l.prev == tail.hash);
            if !follows {
                return Err(FolderError::Diverged { seq: tail.seq + 1 });
            }
            bytes.extend_from_slice(line);
            bytes.push(b'\n');
            tail = tail.after(line);
        }
        let rest = match bytes.strip_prefix(self.torn.as_slice()) {
            Some(rest) => rest,
            None if bytes.is_empty() => return Ok(()),
            None => {
                return Err(FolderError::Diverged {
                    seq: self.tail.seq + 1,
                });
            }
        };
        match self.due(&bytes)? {
            Some(first) => self.begin_another(first, &bytes)?,
            None => {
                self.events.write_all(rest)?;
                self.events.sync_data()?;
            }
        }
        self.tail = tail;
        self.torn.clear();
        Ok(())
    }

    /// Keeps an envelope, whole or not at all; the same one twice is one file.
    pub fn put_envelope(&self, envelope: &Envelope) -> Result<(), FolderError> {
        let dir = self.dir.join(ENVELOPES);
        files::private_folder(&dir)?;
        let path = dir.join(format!("{}.json", envelope.sha256()));
        if fs::read(&path).is_ok_and(|found| found == envelope.body) {
            return Ok(());
        }
        Ok(files::replace(&path, &envelope.body)?)
    }

    /// Keeps a signed checkpoint in place of the one before.
    pub fn put_checkpoint(&self, note: &str) -> Result<(), FolderError> {
        Ok(files::replace(&self.dir.join(CHECKPOINT), note.as_bytes())?)
    }

    /// What is written to a file that was taken away is written for nobody.
    fn is_in_place(&self) -> Result<(), FolderError> {
        let (ours, there) = (
            self.events.metadata()?,
            fs::symlink_metadata(live(&self.dir)),
        );
        match there {
            Ok(there) if (there.dev(), there.ino()) == (ours.dev(), ours.ino()) => Ok(()),
            Err(why) if why.kind() != io::ErrorKind::NotFound => Err(why.into()),
            _ => Err(FolderError::Taken),
        }
    }

    fn lock(&self) -> Result<(), FolderError> {
        rustix::fs::flock(&self.events, FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| FolderError::InUse)
    }

    /// Whether these lines begin another file; the number of the first event in the one that is written to.
    fn due(&self, lines: &[u8]) -> Result<Option<u64>, FolderError> {
        let length = self.events.metadata()?.len();
        if length == 0 || !self.torn.is_empty() || self.rotate == Rotate::NEVER {
            return Ok(None);
        }
        let first = first_line(File::open(live(&self.dir))?)?;
        let next = first_line(lines)?;
        let (Some((seq, begun)), Some((_, now))) = (first, next) else {
            return Ok(None);
        };
        let age = Duration::try_from(now - begun).unwrap_or_default();
        let due = length >= self.rotate.bytes || age >= self.rotate.age;
        Ok(due.then_some(seq))
    }

    /// Puts another file with these lines in the place of the one that is written to, which goes on under its number. At no moment is there no file,
    /// or one without lines, and nothing is written over.
    fn begin_another(&mut self, first: u64, lines: &[u8]) -> Result<(), FolderError> {
        let (live, before) = (live(&self.dir), numbered(&self.dir, first));
        let beside = self.dir.join(format!(".{EVENTS}.new"));
        match fs::remove_file(&beside) {
            Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(why.into()),
            _ => {}
        }
        let mut events = files::private()
            .read(true)
            .append(true)
            .create_new(true)
            .open(&beside)?;
        events.write_all(lines)?;
        events.sync_all()?;
        match fs::hard_link(&live, &before) {
            // A crash came right after it.
            Err(why) if why.kind() == io::ErrorKind::AlreadyExists && same(&live, &before)? => {}
            linked => linked?,
        }
        let old = std::mem::replace(&mut self.events, events);
        self.lock()?;
        fs::rename(&beside, &live)?;
        files::sync_parent(&live)?;
        let _ = rustix::fs::flock(&old, FlockOperation::Unlock);
        Ok(())
    }

    fn find_tail(&mut self) -> Result<(), FolderError> {
        let mut events = self.events.try_clone()?;
        self.find_tail_in(&mut events)?;
        if self.tail.seq > 0 {
            return Ok(());
        }
        // Empty, or with the beginning of a line: it follows the file before it.
        let before = files(&self.dir)?.into_iter().rev().nth(1);
        let Some(before) = before else { return Ok(()) };
        let torn = std::mem::take(&mut self.torn);
        self.find_tail_in(&mut File::open(before)?)?;
        match std::mem::replace(&mut self.torn, torn).is_empty() {
            true => Ok(()),
            false => Err(FolderError::NotARecord),
        }
    }

    fn find_tail_in(&mut self, events: &mut File) -> Result<(), FolderError> {
        let length = events.metadata()?.len();
        // Room for a whole line, a torn one, and their newlines.
        let window = length.min(2 * (MAX_LINE as u64 + 1) + 1);
        events.seek(SeekFrom::Start(length - window))?;
        let mut bytes = Vec::new();
        events.take(window).read_to_end(&mut bytes)?;
        let (whole, torn) = match bytes.iter().rposition(|b| *b == b'\n') {
            Some(end) => bytes.split_at(end + 1),
            None => (&[][..], bytes.as_slice()),
        };
        if torn.len() > MAX_LINE {
            return Err(FolderError::NotARecord);
        }
        self.torn = torn.to_vec();
        let Some(whole) = whole.strip_suffix(b"\n") else {
            return Ok(());
        };
        let start = whole
            .iter()
            .rposition(|b| *b == b'\n')
            .map_or(0, |newline| newline + 1);
        let line = &whole[start..];
        let links = Links::parse(line).map_err(|_| FolderError::NotARecord)?;
        self.tail = Head {
            seq: links.seq,
            hash: Hash::of(line),
        };
        Ok(())
    }
}

/// A child that is being started holds every open file for an instant: closing ours alone would leave the lock with it.
impl Drop for FolderWriter {
    fn drop(&mut self) {
        let _ = rustix::fs::flock(&self.events, FlockOperation::Unlock);
    }
}

/// A folder to read.
pub struct Folder {
    dir: PathBuf,
    events: Vec<File>,
}

impl Folder {
    /// Opens a folder; it has to have events.
    pub fn open(dir: &Path) -> Result<Self, FolderError> {
        Ok(Self {
            dir: dir.to_owned(),
            events: match files(dir)? {
                none if none.is_empty() => vec![File::open(live(dir))?],
                files => files.iter().map(File::open).collect::<Result<_, _>>()?,
            },
        })
    }

    /// The lines, from the first, of all files.
    pub fn lines(&self) -> Result<BufReader<Parts>, FolderError> {
        let again = |file: &File| {
            let mut file = file.try_clone()?;
            file.rewind()?;
            Ok::<_, io::Error>(file)
        };
        let events: Vec<File> = self.events.iter().map(again).collect::<Result<_, _>>()?;
        Ok(BufReader::with_capacity(1 << 20, Parts::new(events)))
    }

    /// The checkpoint's note, if there is one.
    pub fn checkpoint(&self) -> Result<Option<String>, FolderError> {
        let Some(bytes) = read_some(&self.dir.join(CHECKPOINT), MAX_NOTE)? else {
            return Ok(None);
        };
        // A note that is no text is shown as it is: verifying refuses it with a reason.
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// The envelope with this digest, if it is here. Its bytes are not compared with the digest yet.
    pub fn envelope(&self, sha256: &Hash) -> Result<Option<Vec<u8>>, FolderError> {
        read_some(
            &self.dir.join(ENVELOPES).join(format!("{sha256}.json")),
            MAX_ENVELOPE,
        )
    }
}

/// The number of the first line and when it happened; nothing where there is no such line.
fn first_line(bytes: impl Read) -> io::Result<Option<(u64, OffsetDateTime)>> {
    let mut line = Vec::new();
    BufReader::new(bytes)
        .take(MAX_LINE as u64 + 1)
        .read_until(b'\n', &mut line)?;
    let record = line.strip_suffix(b"\n").map(Record::parse);
    Ok(record.and_then(Result::ok).and_then(|record| {
        let at = OffsetDateTime::parse(&record.timestamp, &Rfc3339).ok()?;
        Some((record.seq, at))
    }))
}

/// A file's bytes, cut one after `most`; nothing where there is no file.
fn read_some(path: &Path, most: usize) -> Result<Option<Vec<u8>>, FolderError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut bytes = Vec::new();
    file.take(most as u64 + 1).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// Why a folder cannot be used.
#[derive(Debug)]
pub enum FolderError {
    /// Reading or writing failed.
    Io(io::Error),
    /// Another process writes it.
    InUse,
    /// The file that was written to does not stand in its place any more.
    Taken,
    /// Its last line is no line of a record.
    NotARecord,
    /// It does not go on where it ends: this event does not follow its last line.
    Diverged {
        /// The first event that does not fit.
        seq: u64,
    },
}

impl fmt::Display for FolderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::InUse => f.write_str("another process writes to this folder"),
            Self::Taken => f.write_str("its events.jsonl was taken away while it was written"),
            Self::NotARecord => f.write_str("its events.jsonl ends in what is no event"),
            Self::Diverged { seq } => write!(
                f,
                "event {seq} does not follow the last line of its events.jsonl"
            ),
        }
    }
}

impl std::error::Error for FolderError {}

impl From<io::Error> for FolderError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

#[cfg(test)]
mod tests;
