//! Lines read in bounds, and examined on several threads.

use std::io::{self, BufRead, Read};

use serde::Deserialize;

use crate::audit::chain::{self, Examined, Malformed};
use crate::audit::event::{EventType, MAX_LINE};

/// A line without its newline, and whether it had one.
pub struct Line {
    /// Its bytes, without the newline.
    pub bytes: Vec<u8>,
    /// It ended without one.
    pub torn: bool,
}

impl Line {
    /// What the chain sees of it.
    pub fn examine(&self) -> Examined {
        let mut examined = chain::examine(&self.bytes);
        if self.torn && examined.links.is_ok() {
            examined.links = Err(Malformed::Torn);
        }
        examined
    }
}

/// The name of a line's event type, which stands in fixed form after its links; nothing where it does not.
pub(super) fn kind(line: &[u8]) -> &[u8] {
    const BEFORE: usize = b"{\"v\":1,\"seq\":".len();
    const AFTER: usize = b",\"prev\":\"\",\"event_type\":\"".len() + 64;
    let rest = line.get(BEFORE..).unwrap_or_default();
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    let name = rest.get(digits + AFTER..).unwrap_or_default();
    let end = name.iter().position(|b| *b == b'"').unwrap_or(0);
    &name[..end]
}

/// When a line was written, as it says. The first key of that name is the line's own: in text before it quotes are escaped.
pub(super) fn timestamp(line: &[u8]) -> Option<&str> {
    const KEY: &[u8] = b",\"timestamp\":\"";
    let at = line.windows(KEY.len()).position(|w| w == KEY)?;
    let rest = &line[at + KEY.len()..];
    let end = rest.iter().position(|b| *b == b'"')?;
    std::str::from_utf8(&rest[..end]).ok()
}

/// The signed note in a line, if that is a checkpoint. Of the line's fields it is the only one that is looked at: who signed it is told by itself.
pub(super) fn note_in(line: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Fields {
        what: What,
    }
    #[derive(Deserialize)]
    struct What {
        note: String,
    }
    if kind(line) != EventType::Checkpoint.name().as_bytes() {
        return None;
    }
    let fields: Fields = serde_json::from_slice(line).ok()?;
    Some(fields.what.note)
}

/// The lines of a record, one by one: one that never ends does not fill the memory.
pub struct Lines<R> {
    from: R,
}

impl<R: BufRead> Lines<R> {
    /// Of what is read here.
    pub fn of(from: R) -> Self {
        Self { from }
    }

    /// The next line; nothing at the end. One that is too long is cut one byte after the limit, which makes it malformed.
    pub fn line(&mut self) -> io::Result<Option<Line>> {
        let mut bytes = Vec::new();
        let mut bounded = self.from.by_ref().take(MAX_LINE as u64 + 1);
        if bounded.read_until(b'\n', &mut bytes)? == 0 {
            return Ok(None);
        }
        let torn = bytes.pop_if(|b| *b == b'\n').is_none();
        Ok(Some(Line { bytes, torn }))
    }

    /// Up to `count` lines; none at the end.
    pub(super) fn block(&mut self, count: usize) -> io::Result<Vec<Line>> {
        let mut lines = Vec::new();
        while lines.len() < count
            && let Some(line) = self.line()?
        {
            lines.push(line);
        }
        Ok(lines)
    }
}

/// Examines lines on as many threads as there are cores, up to four: each line stands by itself.
pub(super) fn examine_all(lines: &[Line]) -> Vec<Examined> {
    let threads = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(4);
    if lines.len() < 512 || threads == 1 {
        return lines.iter().map(Line::examine).collect();
    }
    let mut examined = Vec::with_capacity(lines.len());
    std::thread::scope(|scope| {
        let parts: Vec<_> = lines
            .chunks(lines.len().div_ceil(threads))
            .map(|part| {
                (
                    part,
                    scope.spawn(move || part.iter().map(Line::examine).collect::<Vec<_>>()),
                )
            })
            .collect();
        for (part, thread) in parts {
            // Examining cannot panic; if a thread is lost all the same, its part is done here.
            examined.extend(
                thread
                    .join()
                    .unwrap_or_else(|_| part.iter().map(Line::examine).collect()),
            );
        }
    });
    examined
}
