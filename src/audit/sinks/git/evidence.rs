//! What goes where in the two branches, and when an incident's evidence is complete.

use sha2::{Digest as _, Sha256};

use crate::audit::{
    chain::{Hash, Head},
    event::{EventType as E, Record},
    sinks::Delivery,
};

/// Events in one file of the record.
pub(super) const SEGMENT: u64 = 1000;
/// The trailer that says where the record stands with a commit.
const HEAD: &str = "Twotap-Head";

/// The file of the record in which an event stands: named by the first of its thousand, so that they sort.
pub(super) fn segment(seq: u64) -> String {
    let first = (seq.saturating_sub(1)) / SEGMENT * SEGMENT + 1;
    format!("record/{first:012}.jsonl")
}

/// Where the lines of a request are gathered while it lasts.
pub(super) fn open_file(request: &str) -> String {
    format!("open/{}.jsonl", part(request))
}

/// The folder of a request's evidence.
pub(super) fn folder(record: &Record, request: &str) -> String {
    let incident = record.incident_id.as_deref().unwrap_or("no-incident");
    format!("incidents/{}/{}", part(incident), part(request))
}

/// One part of a path: letters, digits and a few signs; where something else stood, its digest keeps two apart.
fn part(name: &str) -> String {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let plain = name.chars().all(good)
        && name.len() <= 100
        && !name.is_empty()
        && !name.starts_with(['.', '-'])
        && !name.ends_with('.')
        && !name.to_ascii_lowercase().ends_with(".lock");
    if plain {
        return name.to_owned();
    }
    let kept: String = name
        .chars()
        .map(|c| if good(c) && c != '.' { c } else { '_' })
        .take(60)
        .collect();
    let digest = Hash::from_bytes(Sha256::digest(name.as_bytes()).into()).to_string();
    format!("x{kept}-{}", digest.get(..12).unwrap_or(&digest))
}

/// Whether what a request was for is over, so that its evidence can be put together. What comes later (a review, a report) is added then.
pub(super) fn is_over(lines: &[Record]) -> bool {
    let has = |kind: E| lines.iter().any(|r| r.known_type() == Some(kind));
    lines.iter().any(|record| match record.known_type() {
        Some(E::ReviewDue | E::RequestExpired | E::RequestFailed | E::DrillFullPassed) => true,
        Some(E::BreakGlassDenied) => {
            record.what.get("standing").and_then(|s| s.as_str()) == Some("denied")
        }
        // A ceremony that opens nothing: it closes, or takes up a roster.
        Some(E::CredentialRotated) => !has(E::MintIntent) && !has(E::BreakGlassAccess),
        _ => false,
    })
}

/// The message of a commit, with the trailer.
pub(super) fn message(subject: &str, body: &str, head: &Head) -> String {
    let gap = if body.is_empty() { "" } else { "\n\n" };
    format!(
        "{subject}{gap}{body}\n\n{HEAD}: {} {}\n",
        head.seq, head.hash
    )
}

/// Where the record stands with the commit that has this message.
pub(super) fn head_of(message: &str) -> Option<Head> {
    let line = message.lines().rev().find_map(|l| l.strip_prefix(HEAD))?;
    let (seq, hash) = line.strip_prefix(": ")?.split_once(' ')?;
    Some(Head {
        // No number that the record can have is larger.
        seq: seq.parse().ok().filter(|n| i64::try_from(*n).is_ok())?,
        hash: hash.trim().parse().ok()?,
    })
}

/// A file's lines with more of them behind; one that is there already is not written twice.
pub(super) fn joined(before: &[u8], more: &[&[u8]]) -> Vec<u8> {
    let last = lines(before)
        .last()
        .and_then(|line| Record::parse(line).ok())
        .map_or(0, |record| record.seq);
    let mut all = before.to_vec();
    for line in more {
        if Record::parse(line).is_ok_and(|record| record.seq > last) {
            all.extend_from_slice(line);
            all.push(b'\n');
        }
    }
    all
}

/// The events in a file's bytes.
pub(super) fn records(bytes: &[u8]) -> Vec<Record> {
    lines(bytes)
        .filter_map(|line| Record::parse(line).ok())
        .collect()
}

/// The lines in a file's bytes.
pub(super) fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|b| *b == b'\n').filter(|l| !l.is_empty())
}

/// When an event was recorded, in whole seconds as git takes it.
pub(super) fn time_of(delivery: &Delivery) -> String {
    Record::parse(&delivery.line)
        .ok()
        .and_then(|r| r.timestamp.split_once('.').map(|(s, _)| format!("{s}Z")))
        .unwrap_or_else(|| "1970-01-01T00:00:00Z".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{
        event::{Actor, Event},
        samples,
    };

    #[test]
    fn files_of_the_record_sort_and_have_a_thousand_events() {
        for (seq, name) in [
            (1, "record/000000000001.jsonl"),
            (1000, "record/000000000001.jsonl"),
            (1001, "record/000000001001.jsonl"),
            (123_456_789, "record/000123456001.jsonl"),
        ] {
            assert_eq!(segment(seq), name);
        }
    }

    #[test]
    fn what_people_name_an_incident_leads_nowhere_else() {
        assert_eq!(part("INC-42"), "INC-42");
        let odd = [
            "",
            ".",
            "..",
            ".git",
            "../x",
            "a/b",
            "a\\b",
            "INC#42",
            "INC 42",
            "-x",
            "x.",
            "x.lock",
            "x.LOCK",
            "ä",
            "a\nb",
            &"x".repeat(200),
        ];
        let mut seen = std::collections::HashSet::new();
        for name in odd {
            let part = part(name);
            assert!(part.starts_with('x') && part.len() < 90, "{name:?}: {part}");
            assert!(
                !part.contains(['/', '\\', '.', ' ', '\n', '#']),
                "{name:?}: {part}"
            );
            assert!(seen.insert(part), "{name:?}");
        }
    }

    #[test]
    fn a_commit_says_where_the_record_stands() {
        let head = samples::heads(&samples::lines(7))[7];
        for body in ["", "two\nlines\n\nTwotap-Head: 1 x"] {
            let message = message("a subject", body, &head);
            assert_eq!(head_of(&message), Some(head));
            assert_eq!(message.lines().next(), Some("a subject"));
        }
        assert_eq!(head_of("nothing\n"), None);
        assert_eq!(head_of("x\n\nTwotap-Head: 1 x\n"), None);
        for (seq, good) in [(i64::MAX as u64, true), (1 << 63, false), (u64::MAX, false)] {
            let text = format!("x\n\nTwotap-Head: {seq} {}\n", head.hash);
            assert_eq!(head_of(&text).is_some(), good, "{seq}");
        }
    }

    #[test]
    fn lines_are_joined_once_and_in_order() {
        let lines = samples::lines(5);
        let refs: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
        let first = joined(b"", &refs[..3]);
        let all = joined(&first, &refs[1..]);
        assert_eq!(all, samples::file(&lines));
        assert_eq!(joined(&all, &refs), all);
        assert_eq!(records(&all).len(), 5);
    }

    #[test]
    fn a_request_is_over_when_what_it_was_for_is() {
        let record = |event: Event| {
            Record::parse(&event.line_after(&Head::default(), samples::NOW).unwrap()).unwrap()
        };
        let of = |kind| Event::new(kind, Actor::agent());
        let over =
            |events: Vec<Event>| is_over(&events.into_iter().map(record).collect::<Vec<_>>());
        let asked = || of(E::BreakGlassRequested);
        assert!(!over(vec![asked(), of(E::BreakGlassApproved)]));
        assert!(!over(vec![
            asked(),
            of(E::BreakGlassDenied).detail("standing", "waiting")
        ]));
        assert!(over(vec![
            asked(),
            of(E::BreakGlassDenied).detail("standing", "denied")
        ]));
        let open = vec![
            asked(),
            of(E::MintIntent),
            of(E::BreakGlassAccess),
            of(E::CredentialRotated),
        ];
        assert!(!over(open.clone()));
        assert!(over(
            [open, vec![of(E::SessionRevoked), of(E::ReviewDue)]].concat()
        ));
        assert!(over(vec![asked(), of(E::CredentialRotated)]));
        assert!(over(vec![asked(), of(E::RequestExpired)]));
    }
}
