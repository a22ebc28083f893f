//! A recording put together again: every chunk on record, in its place, unchanged.

use serde_json::Value;

use crate::{
    audit::event::Record,
    protocol::{
        Code, Problem,
        recording::{RecordingPage, RecordingView, START, chain},
        socket::RequestView,
    },
    trust::Digest,
    vault::recording::ReaderIdentity,
};

use super::{
    super::{
        checked::vault_problem,
        client::{Agent, request_path},
    },
    cast::{Header, Place},
};

/// What was seen, with when.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::cli) struct Seen {
    /// Seconds since the beginning.
    pub(in crate::cli) at: f64,
    /// `o` for output, `r` for another size.
    pub(in crate::cli) kind: String,
    /// The output, or `COLUMNSxROWS`.
    pub(in crate::cli) text: String,
}

/// A recording, opened.
#[derive(Debug)]
pub(in crate::cli) struct Opened {
    pub(in crate::cli) header: Header,
    pub(in crate::cli) seen: Vec<Seen>,
    /// How many chunks there are, and how many of them stand on record.
    pub(in crate::cli) chunks: (u64, u64),
}

impl Opened {
    /// As an asciicast file.
    pub(in crate::cli) fn to_cast(&self) -> Result<String, Problem> {
        let json = |why: serde_json::Error| {
            Problem::new(Code::Internal, format!("cannot write json: {why}"))
        };
        let mut cast = serde_json::to_string(&self.header).map_err(json)?;
        cast.push('\n');
        for seen in &self.seen {
            let line = (seen.at, &seen.kind, &seen.text);
            cast.push_str(&serde_json::to_string(&line).map_err(json)?);
            cast.push('\n');
        }
        Ok(cast)
    }
}

/// The recording that is meant: the one with that number, else the only one.
pub(in crate::cli) fn choose(
    view: &RequestView,
    number: Option<u32>,
) -> Result<&RecordingView, Problem> {
    let of_it = || {
        let all = view.recordings.iter().map(RecordingView::in_words);
        super::super::ui::plain(&all.collect::<Vec<_>>().join("; "))
    };
    let known = view.recordings.as_slice();
    match (number, known) {
        (_, []) => Err(
            Problem::new(Code::Usage, format!("nothing was recorded of {}", view.id))
                .hint("see twotap audit tail"),
        ),
        (None, [one]) => Ok(one),
        (None, _) => Err(Problem::new(
            Code::Usage,
            format!("there are several recordings of {}", view.id),
        )
        .hint(format!("name one with --recording N: {}", of_it()))),
        (Some(n), _) => known.iter().find(|r| r.recording == n).ok_or_else(|| {
            Problem::new(Code::Usage, format!("there is no recording {n}"))
                .hint(format!("there are: {}", of_it()))
        }),
    }
}

/// Every sealed chunk, and what is on record of them.
pub(in crate::cli) fn fetch(
    agent: &Agent,
    id: &str,
    recording: u32,
) -> Result<(RecordingView, Vec<Vec<u8>>), Problem> {
    let mut chunks: Vec<Vec<u8>> = Vec::new();
    loop {
        let from = chunks.len() + 1;
        let below = format!("/recording?recording={recording}&from={from}");
        let page: RecordingPage = agent.ask(&request_path(id, &below)?)?;
        if page.chunks.is_empty() {
            return Ok((page.recording, chunks));
        }
        chunks.extend(page.chunks.into_iter().map(|c| c.0));
    }
}

/// Checks that the chunks are those that the agent says, and that the record says the same.
pub(in crate::cli) fn on_record(
    agent: &Agent,
    id: &str,
    view: &RecordingView,
    chunks: &[Vec<u8>],
) -> Result<u64, Problem> {
    let path = format!("/v1/audit/events?from={}&limit=1", view.seq);
    let line = agent.ask_bytes(&path)?;
    let line = line.split(|b| *b == b'\n').next().unwrap_or_default();
    let record = Record::parse(line).map_err(|why| {
        Problem::new(
            Code::Tampering,
            format!("event {} cannot be read: {why}", view.seq),
        )
    })?;
    let said = |name: &str| record.what.get(name).cloned().unwrap_or(Value::Null);
    let its_own = record.seq == view.seq
        && record.correlation_id.as_deref() == Some(id)
        && said("recording") == view.recording;
    let counted = said("chunks").as_u64();
    let head = said("sha256").as_str().and_then(Digest::parse);
    let (true, Some(counted), Some(head)) = (its_own, counted, head) else {
        return Err(not_the_one("the record's event is about something else"));
    };
    let some = usize::try_from(counted).unwrap_or(usize::MAX);
    let there = chunks.get(..some).ok_or_else(|| {
        not_the_one(&format!(
            "{counted} chunks stand on record, and {} are there",
            chunks.len()
        ))
    })?;
    if there.iter().fold(START, |head, c| chain(head, c)) != head {
        return Err(not_the_one("a chunk is not the one that stands on record"));
    }
    Ok(counted)
}

/// Opens them: each has to be in its place.
pub(in crate::cli) fn open(
    (id, recording): (&str, u32),
    chunks: &[Vec<u8>],
    recorded: u64,
    identity: &ReaderIdentity,
) -> Result<Opened, Problem> {
    let mut head = START;
    let mut header = None;
    let mut seen = Vec::new();
    for (n, chunk) in (1u64..).zip(chunks) {
        let bad = |why: &str| not_the_one(&format!("chunk {n} {why}"));
        let plain = identity.open(chunk).map_err(|why| {
            let problem = vault_problem(why);
            match problem.code {
                Code::Token => Problem::new(
                    Code::Usage,
                    format!("this key ({}) does not open it", identity.recipient()),
                )
                .hint("take the identity whose recipient stands in the roster: twotap roster show"),
                _ => Problem {
                    error: format!("chunk {n}: {}", problem.error),
                    ..problem
                },
            }
        })?;
        let mut lines = plain.split(|b| *b == b'\n').filter(|l| !l.is_empty());
        let place: Option<Place> = lines.next().and_then(|l| serde_json::from_slice(l).ok());
        let expected = Place {
            v: 1,
            request: id.to_owned(),
            recording,
            chunk: n,
            before: head,
        };
        if place != Some(expected) {
            return Err(bad("is not in its place"));
        }
        if n == 1 {
            let first = lines.next().and_then(|l| serde_json::from_slice(l).ok());
            header = Some(first.ok_or_else(|| bad("has no header"))?);
        }
        for line in lines {
            let (at, kind, text): (f64, String, String) =
                serde_json::from_slice(line).map_err(|_| bad("cannot be read"))?;
            if !at.is_finite() || at < 0.0 {
                return Err(bad("has an event at no time"));
            }
            seen.push(Seen { at, kind, text });
        }
        head = chain(head, chunk);
    }
    Ok(Opened {
        header: header.ok_or_else(|| {
            Problem::new(Code::Usage, "there is nothing in it")
                .hint("it broke off before anything was kept; see: twotap audit tail")
        })?,
        seen,
        chunks: (chunks.len() as u64, recorded),
    })
}

fn not_the_one(why: &str) -> Problem {
    Problem::new(
        Code::Tampering,
        format!("the recording is not the one that was made: {why}"),
    )
    .hint("keep it and the record as they are; see: twotap audit verify")
}
