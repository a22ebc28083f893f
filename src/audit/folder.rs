//! The folder in which a record travels: what the file sink keeps, what an export is, what `audit verify` reads.
//!
//! ```text
//! events.jsonl                 the lines, byte for byte, each with a newline; only appended to
//! checkpoint.note              the newest signed checkpoint
//! envelopes/<sha256>.json      signed envelopes, where they were asked for
//! ```
//!
//! Older checkpoints need no file: each stands as a `CHECKPOINT` event among the lines.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use super::chain::{Hash, Head, Links};
use super::event::{Envelope, MAX_ENVELOPE, MAX_LINE};
use super::files;
use super::note::MAX_NOTE;

const EVENTS: &str = "events.jsonl";
const CHECKPOINT: &str = "checkpoint.note";
const ENVELOPES: &str = "envelopes";

/// Writes a folder. After an error it has to be opened anew: what reached the disk is then read from the disk.
pub struct FolderWriter {
    dir: PathBuf,
    events: File,
    tail: Head,
    /// The beginning of a line whose writing was cut off; the next line has to complete it.
    torn: Vec<u8>,
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
        };
        writer.lock()?;
        writer.find_tail()?;
        // A process that was killed may have written what it did not sync.
        writer.events.sync_data()?;
        Ok(writer)
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
        self.events.write_all(rest)?;
        self.events.sync_data()?;
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

    fn find_tail(&mut self) -> Result<(), FolderError> {
        let length = self.events.metadata()?.len();
        // Room for a whole line, a torn one, and their newlines.
        let window = length.min(2 * (MAX_LINE as u64 + 1) + 1);
        self.events.seek(SeekFrom::Start(length - window))?;
        let mut bytes = Vec::new();
        (&self.events).take(window).read_to_end(&mut bytes)?;
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

/// The file that is written to.
pub fn live(dir: &Path) -> PathBuf {
    dir.join(EVENTS)
}

/// Whether a file of this name holds lines of the record.
pub fn is_record_file(name: &str) -> bool {
    name == EVENTS
}

/// The files that hold the lines, in their order: the one that is written to is the last.
pub fn files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if is_record_file(&entry.file_name().to_string_lossy()) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// A folder to read.
pub struct Folder {
    dir: PathBuf,
    events: File,
}

impl Folder {
    /// Opens a folder; it has to have events.
    pub fn open(dir: &Path) -> Result<Self, FolderError> {
        Ok(Self {
            dir: dir.to_owned(),
            events: File::open(dir.join(EVENTS))?,
        })
    }

    /// The lines, from the first.
    pub fn lines(&self) -> Result<BufReader<File>, FolderError> {
        let mut events = self.events.try_clone()?;
        events.rewind()?;
        Ok(BufReader::with_capacity(1 << 20, events))
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
