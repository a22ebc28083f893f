//! The sink that is always on: a folder of plain files, see [`folder`](crate::audit::folder).
//!
//! What its own file ends with decides where it goes on, not the cursor: a crash between writing and acknowledging repeats
//! nothing, a line cut off in the middle is completed, and a file that somebody took away is written anew, whole.

use std::path::{Path, PathBuf};

use super::{Delivery, Sink, SinkError};
use crate::audit::chain::Head;
use crate::audit::folder::{FolderError, FolderWriter, Rotate};
use crate::audit::live::Written;

/// The name under which its cursor stands.
const NAME: &str = "file";

/// Writes lines, the newest checkpoint and the envelopes into a folder on this host.
pub struct FileSink {
    dir: PathBuf,
    rotate: Rotate,
    written: Written,
    /// Absent before the first use and after a failure.
    writer: Option<FolderWriter>,
}

impl FileSink {
    /// A sink that keeps its files in `dir` (made 0700 where it is missing).
    pub fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            rotate: Rotate::NEVER,
            written: Written::default(),
            writer: None,
        }
    }

    /// Begins another file when it is time.
    #[must_use]
    pub fn rotated(mut self, rotate: Rotate) -> Self {
        self.rotate = rotate;
        self
    }

    /// Tells whoever looks after the file how far it is written.
    #[must_use]
    pub fn telling(mut self, written: &Written) -> Self {
        self.written = written.clone();
        self
    }

    fn open(&self) -> Result<FolderWriter, FolderError> {
        Ok(FolderWriter::open(&self.dir)?.rotated(self.rotate))
    }

    fn write(&mut self, batch: &[Delivery]) -> Result<(), FolderError> {
        let opened = match self.writer.take() {
            Some(writer) => writer,
            None => self.open()?,
        };
        let writer = self.writer.insert(opened);
        // What a line names is there before the line is.
        for envelope in batch.iter().flat_map(|d| &d.envelopes) {
            writer.put_envelope(envelope)?;
        }
        let lines: Vec<_> = batch.iter().map(|d| &d.line).collect();
        writer.append(&lines)?;
        match batch.iter().rev().find_map(|d| d.checkpoint.as_deref()) {
            Some(note) => writer.put_checkpoint(note),
            None => Ok(()),
        }
    }
}

impl Sink for FileSink {
    fn name(&self) -> &str {
        NAME
    }

    fn resume(&mut self, _cursor: Head) -> Result<Head, SinkError> {
        // The old one first: it holds the lock.
        self.writer = None;
        self.written.unknown();
        let writer = self.open().map_err(sink_error)?;
        let tail = writer.tail();
        self.written.reached(tail.seq);
        self.writer = Some(writer);
        Ok(tail)
    }

    fn send(&mut self, batch: &[Delivery]) -> Result<(), SinkError> {
        self.write(batch).map_err(|error| {
            self.writer = None;
            self.written.unknown();
            sink_error(error)
        })?;
        if let Some(last) = batch.last() {
            self.written.reached(last.seq);
        }
        Ok(())
    }
}

fn sink_error(error: FolderError) -> SinkError {
    match error {
        FolderError::Diverged { seq } => SinkError::Diverged {
            seq,
            why: error.to_string(),
        },
        other => SinkError::Unavailable(other.to_string()),
    }
}
