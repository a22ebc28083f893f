//! The record in a shape that other systems read, one JSON object a line: to a file, or to standard output as it comes.
//!
//! A page is written before the next is asked for, so a record of any length takes no more memory than one page.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, BufWriter, Read as _, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use crate::{
    audit::{
        event::{MAX_LINE, Record},
        shapes::Shape,
    },
    cli::{client::Agent, files, ui::Ui},
    protocol::{Code, Problem},
    trust::Timestamp,
};

use super::pages::each_page;

/// Which events, and in which shape.
pub(super) struct Wanted {
    /// The shape of each.
    pub shape: Shape,
    /// None before it.
    pub since: Option<Timestamp>,
    /// None at or after it.
    pub until: Option<Timestamp>,
    /// Those of this request alone.
    pub request: Option<String>,
}

impl Wanted {
    /// Whether it is all of them.
    pub(super) fn all(&self) -> bool {
        self.since.is_none() && self.until.is_none() && self.request.is_none()
    }

    /// The event in its shape; `None` where it is not wanted.
    fn line(&self, line: &[u8]) -> Result<Option<Vec<u8>>, Problem> {
        let bad = |why: &dyn std::fmt::Display| {
            Problem::new(
                Code::Tampering,
                format!("a line of the record cannot be read: {why}"),
            )
            .hint("see which: twotap audit verify")
        };
        if !self.all() {
            let record = Record::parse(line).map_err(|why| bad(&why))?;
            // Times of one form, in UTC, compare as text.
            let second = record.timestamp.get(..19).unwrap_or_default();
            let at = |time: &Timestamp| time.to_string().get(..19).unwrap_or_default().to_owned();
            let early = self
                .since
                .as_ref()
                .is_some_and(|since| second < at(since).as_str());
            let late = self
                .until
                .as_ref()
                .is_some_and(|until| second >= at(until).as_str());
            let other = self.request.is_some() && record.correlation_id != self.request;
            if early || late || other {
                return Ok(None);
            }
        }
        self.shape.of(line).map(Some).map_err(|why| bad(&why))
    }
}

/// Writes what is wanted of the events up to `end`; how many those are.
pub(super) fn write(
    agent: &Agent,
    wanted: &Wanted,
    end: u64,
    ui: &Ui,
    out: impl Write,
    failed: impl Fn(&io::Error) -> Problem,
) -> Result<u64, Problem> {
    let mut out = BufWriter::with_capacity(64 * 1024, out);
    let mut written = 0;
    each_page(agent, end, ui, |_, lines| {
        for line in lines {
            if let Some(line) = wanted.line(line)? {
                out.write_all(&line)
                    .and_then(|()| out.write_all(b"\n"))
                    .map_err(|why| failed(&why))?;
                written += 1;
            }
        }
        Ok(())
    })?;
    out.flush().map_err(|why| failed(&why))?;
    Ok(written)
}

/// The same into a new file, 0600; what is not whole does not stay.
pub(super) fn to_file(
    agent: &Agent,
    wanted: &Wanted,
    end: u64,
    ui: &Ui,
    path: &Path,
) -> Result<u64, Problem> {
    let failed = |why: &io::Error| files::unwritable(path, why);
    let file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|why| failed(&why))?;
    let written = write(agent, wanted, end, ui, &file, failed).and_then(|written| {
        file.sync_all().map_err(|why| failed(&why))?;
        Ok(written)
    });
    if written.is_err() {
        // Ours alone, and not whole.
        let _ = std::fs::remove_file(path);
    }
    written
}

/// Refuses a file that is a copy for reading, as [`to_file`] writes it in any shape but the record's own: to say that it was tampered with would be a
/// false alarm. Its first line has none of the fields by which lines of a record follow one another.
pub(super) fn not_for_reading(path: &Path) -> Result<(), Problem> {
    let file = File::open(path).map_err(|why| files::unreadable(path, &why))?;
    let mut first = Vec::new();
    BufReader::new(file.take(MAX_LINE as u64))
        .read_until(b'\n', &mut first)
        .map_err(|why| files::unreadable(path, &why))?;
    let object: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(&first).unwrap_or_default();
    let has = |names: &[&str]| names.iter().any(|name| object.contains_key(*name));
    if has(&["v", "seq", "prev"]) || !has(&["event_type", "class_uid"]) {
        return Ok(());
    }
    let error = format!(
        "{} is a copy for reading: it proves nothing",
        files::shown(path)
    );
    Err(Problem::new(Code::Usage, error)
        .hint("take a folder with all events: twotap audit export -o DIR"))
}
