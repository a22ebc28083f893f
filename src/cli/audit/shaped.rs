//! The record in a shape that other systems read, one JSON object a line: to a file, or to standard output as it comes.
//!
//! A page is written before the next is asked for, so a record of any length takes no more memory than one page.

use std::{
    io::{self, BufRead, BufWriter, Cursor, Read as _, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use serde_json::{Map, Value};

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

/// Refuses what is no record but a copy for reading, as [`to_file`] writes it in any shape but the record's own: to say that it was tampered with
/// would be a false alarm. In such a copy no line has any of the fields by which lines of a record follow one another: where one has, the lines
/// are given back as they are to be verified, up to it those alone that say what is wrong. They are read once: a pipe has them once.
pub(super) fn not_for_reading<R: BufRead>(
    mut lines: R,
    path: &Path,
) -> Result<impl BufRead + use<R>, Problem> {
    let mut next = || -> Result<Vec<u8>, Problem> {
        let mut line = Vec::new();
        let mut some = lines.by_ref().take(MAX_LINE as u64);
        let read = some.read_until(b'\n', &mut line);
        read.map_err(|why| files::unreadable(path, &why))?;
        Ok(line)
    };
    let mut begins = next()?;
    let first = fields(&begins);
    let known = first.contains_key("event_type") || first.contains_key("class_uid");
    if known && !follows_another(&first) {
        let follows = loop {
            let line = next()?;
            if line.is_empty() {
                let error = format!(
                    "{} is a copy for reading: it proves nothing",
                    files::shown(path)
                );
                return Err(Problem::new(Code::Usage, error)
                    .hint("take a folder with all events: twotap audit export -o DIR"));
            }
            if follows_another(&fields(&line)) {
                break line;
            }
        };
        begins.extend(follows);
    }
    Ok(Cursor::new(begins).chain(lines))
}

/// A line's fields; none where it is no object.
fn fields(line: &[u8]) -> Map<String, Value> {
    serde_json::from_slice(line).unwrap_or_default()
}

fn follows_another(fields: &Map<String, Value>) -> bool {
    ["v", "seq", "prev"].iter().any(|n| fields.contains_key(*n))
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    /// A pipe that gives a byte at a time, and what it gives once.
    struct Pipe<'b>(&'b [u8]);

    impl io::Read for Pipe<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let most = into.len().min(1);
            self.0.read(&mut into[..most])
        }
    }

    fn given(bytes: &[u8]) -> Result<Vec<u8>, Problem> {
        let mut all = Vec::new();
        let lines = not_for_reading(BufReader::new(Pipe(bytes)), Path::new("x"))?;
        { lines }.read_to_end(&mut all).expect("read");
        Ok(all)
    }

    #[test]
    fn what_is_to_be_verified_is_given_whole_and_what_was_made_to_look_otherwise_as_well() {
        let line = |n| format!("{{\"v\":1,\"seq\":{n},\"prev\":\"ab\",\"event_type\":\"x\"}}\n");
        let record: Vec<u8> = (1..5).flat_map(|n| line(n).into_bytes()).collect();
        assert_eq!(given(&record).expect("a record"), record);
        for whole in [&b""[..], b"\n", b"[]\n", b"not JSON", b"{\"event_type\":1"] {
            assert_eq!(given(whole).expect("for the verifier"), whole);
        }
        let copy = "{\"event_type\":\"x\"}\n".repeat(3).into_bytes();
        for shape in [&copy[..], b"{\"class_uid\":6003}\n{}\n"] {
            let why = given(shape).expect_err("a copy");
            assert!(why.error.contains("a copy for reading"), "{}", why.error);
        }
        // One line put before, or the first one's fields taken out, and it is still a record, in which something is wrong.
        let (one, _) = copy.split_at(copy.len() / 3);
        let rest = line(2).len();
        for after in [&record[..], &record[rest..], &record[rest * 3..]] {
            let seen = given(&[&copy, after].concat()).expect("for the verifier");
            assert_eq!(seen, [one, after].concat());
        }
        let spaced = "{ \"v\": 1 , \"seq\": 2 }\n";
        assert!(given(&[one, spaced.as_bytes()].concat()).is_ok());
    }
}
