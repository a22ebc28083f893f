//! The form of a recording: asciicast v2, cut into chunks.
//!
//! A chunk in plain is lines of JSON: first a [`Place`], which says which chunk of what it is; in the first chunk then the header of the
//! asciicast; then events, `[seconds, "o", text]` for output and `[seconds, "r", "80x24"]` for a terminal that got another size. Lines are
//! never cut between chunks, so that each chunk that arrived can be played.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::trust::Digest;

/// Which chunk of what this is, and what came before: nobody can put one in the place of another, or leave one out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::cli) struct Place {
    /// Format version, 1.
    pub(in crate::cli) v: u8,
    /// The request.
    pub(in crate::cli) request: String,
    /// Number of the recording.
    pub(in crate::cli) recording: u32,
    /// Number of the chunk, from 1.
    pub(in crate::cli) chunk: u64,
    /// The chain over the sealed chunks before it.
    pub(in crate::cli) before: Digest,
}

/// The first line of an asciicast.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::cli) struct Header {
    /// 2.
    pub(in crate::cli) version: u8,
    /// Columns of the terminal.
    pub(in crate::cli) width: u16,
    /// Its rows.
    pub(in crate::cli) height: u16,
    /// When it began, in seconds since 1970.
    pub(in crate::cli) timestamp: i64,
    /// The command that is recorded, with its arguments.
    pub(in crate::cli) command: String,
    /// What it is a recording of.
    pub(in crate::cli) title: String,
}

/// Where a command wrote something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum To {
    /// Its terminal.
    Terminal,
    /// Its standard output, which is no terminal.
    Output,
    /// Its standard error, which is no terminal.
    Error,
}

/// Turns what a command writes into events.
#[derive(Default)]
pub(in crate::cli) struct Writer {
    lines: String,
    /// The beginnings of characters whose other bytes have not come yet: of the terminal or output, and of the error.
    begun: [Vec<u8>; 2],
}

impl Writer {
    /// The header.
    pub(in crate::cli) fn header(&mut self, header: &Header) -> serde_json::Result<()> {
        self.line(header)
    }

    /// Output, `at` after the beginning. What a pipe carries has bare line feeds, where a terminal would have gone back to its first column.
    pub(in crate::cli) fn output(
        &mut self,
        at: Duration,
        to: To,
        bytes: &[u8],
    ) -> serde_json::Result<()> {
        let begun = &mut self.begun[usize::from(to == To::Error)];
        begun.extend_from_slice(bytes);
        let text = whole(begun);
        let text = match to {
            To::Terminal => text,
            To::Output | To::Error => text.replace('\n', "\r\n"),
        };
        if text.is_empty() {
            return Ok(());
        }
        self.line(&(seconds(at), "o", text))
    }

    /// The terminal has another size.
    pub(in crate::cli) fn size(
        &mut self,
        at: Duration,
        (columns, rows): (u16, u16),
    ) -> serde_json::Result<()> {
        self.line(&(seconds(at), "r", format!("{columns}x{rows}")))
    }

    /// Nothing more comes: characters that were begun and never ended are written as what they are.
    pub(in crate::cli) fn end(&mut self, at: Duration) -> serde_json::Result<()> {
        for begun in std::mem::take(&mut self.begun) {
            if !begun.is_empty() {
                self.line(&(seconds(at), "o", String::from_utf8_lossy(&begun)))?;
            }
        }
        Ok(())
    }

    /// How many bytes of lines the next chunk has so far.
    pub(in crate::cli) fn len(&self) -> usize {
        self.lines.len()
    }

    /// The next chunk in plain, or nothing where there is nothing to say.
    pub(in crate::cli) fn chunk(&mut self, place: &Place) -> serde_json::Result<Option<Vec<u8>>> {
        if self.lines.is_empty() {
            return Ok(None);
        }
        let mut chunk = serde_json::to_string(place)?;
        chunk.push('\n');
        chunk.push_str(&std::mem::take(&mut self.lines));
        Ok(Some(chunk.into_bytes()))
    }

    fn line(&mut self, value: &impl Serialize) -> serde_json::Result<()> {
        self.lines.push_str(&serde_json::to_string(value)?);
        self.lines.push('\n');
        Ok(())
    }
}

/// Takes all whole characters out of `bytes`; what is none is replaced.
fn whole(bytes: &mut Vec<u8>) -> String {
    let mut text = String::new();
    let mut rest = &bytes[..];
    loop {
        match std::str::from_utf8(rest) {
            Ok(good) => {
                text.push_str(good);
                rest = &[];
            }
            Err(why) => {
                let (good, after) = rest.split_at(why.valid_up_to());
                text.push_str(&String::from_utf8_lossy(good));
                match why.error_len() {
                    Some(bad) => {
                        text.push(char::REPLACEMENT_CHARACTER);
                        rest = &after[bad..];
                        continue;
                    }
                    // The rest of a character may still come.
                    None => rest = after,
                }
            }
        }
        let left = rest.to_vec();
        *bytes = left;
        return text;
    }
}

/// Seconds with six places, as players expect them.
fn seconds(at: Duration) -> f64 {
    at.as_micros() as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place {
            v: 1,
            request: "r-aaaaaaaaaaaaa".to_owned(),
            recording: 1,
            chunk: 1,
            before: Digest([0; 32]),
        }
    }

    fn lines(writer: &mut Writer) -> Vec<String> {
        let chunk = writer.chunk(&place()).expect("json").unwrap_or_default();
        let text = String::from_utf8(chunk).expect("text");
        text.lines().skip(1).map(str::to_owned).collect()
    }

    #[test]
    fn output_becomes_events_with_their_times() {
        let mut writer = Writer::default();
        let at = Duration::from_micros(1_234_567);
        writer
            .output(at, To::Terminal, b"\x1b[1mhi\r\n")
            .expect("json");
        writer.size(at, (132, 50)).expect("json");
        assert_eq!(
            lines(&mut writer),
            [
                r#"[1.234567,"o","\u001b[1mhi\r\n"]"#,
                r#"[1.234567,"r","132x50"]"#
            ]
        );
        assert_eq!(writer.chunk(&place()).expect("json"), None);
    }

    #[test]
    fn a_character_that_comes_in_pieces_stays_whole_and_what_is_none_is_replaced() {
        let mut writer = Writer::default();
        let at = Duration::ZERO;
        let euro = "€".as_bytes();
        writer.output(at, To::Terminal, &euro[..1]).expect("json");
        assert!(lines(&mut writer).is_empty());
        writer.output(at, To::Terminal, &euro[1..2]).expect("json");
        writer
            .output(at, To::Terminal, &[euro[2], b'!', 0xff, b'?'])
            .expect("json");
        assert_eq!(lines(&mut writer), ["[0.0,\"o\",\"€!\u{fffd}?\"]"]);
        writer.output(at, To::Terminal, &euro[..2]).expect("json");
        writer.end(at).expect("json");
        assert_eq!(lines(&mut writer), ["[0.0,\"o\",\"\u{fffd}\"]"]);
    }

    #[test]
    fn two_streams_do_not_cut_each_others_characters() {
        let mut writer = Writer::default();
        let at = Duration::ZERO;
        let euro = "€".as_bytes();
        writer.output(at, To::Output, &euro[..2]).expect("json");
        writer.output(at, To::Error, b"error\n").expect("json");
        writer.output(at, To::Output, &euro[2..]).expect("json");
        assert_eq!(
            lines(&mut writer),
            [r#"[0.0,"o","error\r\n"]"#, "[0.0,\"o\",\"€\"]"]
        );
    }
}
