//! `audit export`: the record out of the store, once.

use std::io::{self, Write};

use super::chain::Head;
use super::event::{Envelope, Record};
use super::folder::{FolderError, FolderWriter};
use super::store::{Store, StoreError};

/// How many events are read and synced together.
const BATCH: usize = 1024;

/// Writes the events `from` to the head as JSON lines, byte for byte; the last one written.
pub fn to_writer(store: &Store, from: u64, mut out: impl Write) -> Result<Head, ExportError> {
    let (end, mut last, mut next) = (store.head()?.seq, Head::default(), from.max(1));
    while next <= end {
        let entries = store.events(next, BATCH)?;
        for entry in entries.iter().take_while(|e| e.seq <= end) {
            out.write_all(&entry.line)?;
            out.write_all(b"\n")?;
            last = Head {
                seq: entry.seq,
                hash: entry.hash,
            };
        }
        match entries.last() {
            Some(entry) => next = entry.seq + 1,
            None => break,
        }
    }
    out.flush()?;
    Ok(last)
}

/// Writes the whole record into a new folder. `checkpoint` is a note over its head, if one was made; signed envelopes carry
/// requests in clear and go along only where `with_envelopes` says so.
pub fn to_folder(
    store: &Store,
    folder: &mut FolderWriter,
    checkpoint: Option<&str>,
    with_envelopes: bool,
) -> Result<Head, ExportError> {
    let end = store.head()?.seq;
    while folder.tail().seq < end {
        let mut entries = store.events(folder.tail().seq + 1, BATCH)?;
        entries.retain(|e| e.seq <= end);
        if entries.is_empty() {
            break;
        }
        if with_envelopes {
            for entry in &entries {
                for envelope in envelopes_of(store, &entry.line)? {
                    folder.put_envelope(&envelope)?;
                }
            }
        }
        let lines: Vec<_> = entries.iter().map(|e| &e.line).collect();
        folder.append(&lines)?;
    }
    if let Some(note) = checkpoint {
        folder.put_checkpoint(note)?;
    }
    Ok(folder.tail())
}

/// The envelopes that a line names and the store has.
pub fn envelopes_of(store: &Store, line: &[u8]) -> Result<Vec<Envelope>, StoreError> {
    // Only lines with envelopes end this way; the rest need no reading.
    if !line.ends_with(b"]}") {
        return Ok(Vec::new());
    }
    let record = Record::parse(line)?;
    let found = record
        .envelopes
        .iter()
        .map(|e| store.envelope(&e.sha256))
        .filter_map(Result::transpose);
    found.collect()
}

/// Why an export stopped.
#[derive(Debug)]
pub enum ExportError {
    /// The store.
    Store(StoreError),
    /// The folder.
    Folder(FolderError),
    /// The writer.
    Io(io::Error),
}

impl std::fmt::Display for ExportError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Folder(error) => write!(f, "the export cannot be written: {error}"),
            Self::Io(error) => write!(f, "the export cannot be written: {error}"),
        }
    }
}

impl std::error::Error for ExportError {}

impl From<StoreError> for ExportError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<FolderError> for ExportError {
    fn from(error: FolderError) -> Self {
        Self::Folder(error)
    }
}

impl From<io::Error> for ExportError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
