//! Ways to tamper with a record, at random places.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};
use twotap::audit::{
    chain::{Hash, Head},
    checkpoint::CheckpointKey,
    event::{Actor, Event, EventType, Record},
};

use crate::record::{Bundle, Signers};

/// A small generator that gives the same for the same seed (SplitMix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).expect("small")
    }

    pub(crate) fn pick<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        &from[self.below(from.len())]
    }
}

/// A record that was tampered with.
pub(crate) struct Case {
    pub(crate) bundle: Bundle,
    /// Which event has to be named.
    pub(crate) at: RangeInclusive<u64>,
    pub(crate) what: String,
}

pub(crate) type Kind = fn(&mut Random, &Base) -> Case;

/// What is tampered with.
pub(crate) struct Base {
    pub(crate) signers: Signers,
    pub(crate) whole: Bundle,
    /// Somebody else's checkpoint key under the same name.
    pub(crate) forger: CheckpointKey,
}

impl Base {
    fn last(&self) -> u64 {
        self.whole.lines.len() as u64
    }
}

fn case(bundle: Bundle, at: impl Into<RangeInclusive<u64>>, what: String) -> Case {
    Case {
        bundle,
        at: at.into(),
        what,
    }
}

fn only(at: usize) -> RangeInclusive<u64> {
    at as u64..=at as u64
}

/// Any byte within a line becomes another.
pub(crate) fn change(random: &mut Random, base: &Base) -> Case {
    let mut bundle = base.whole.clone();
    let line = random.below(bundle.lines.len());
    let at = random.below(bundle.lines[line].len());
    let was = bundle.lines[line][at];
    let mut now = was;
    while now == was || now == b'\n' {
        now = random.next().to_le_bytes()[0];
    }
    bundle.lines[line][at] = now;
    let what = format!("byte {at} of line {} from {was} to {now}", line + 1);
    case(bundle, only(line + 1), what)
}

/// Some lines in a row are taken out.
pub(crate) fn delete(random: &mut Random, base: &Base) -> Case {
    let mut bundle = base.whole.clone();
    let first = random.below(bundle.lines.len());
    let count = 1 + random.below((bundle.lines.len() - first).min(4));
    bundle.lines.drain(first..first + count);
    let what = format!("{count} lines from line {} on", first + 1);
    case(bundle, only(first + 1), what)
}

/// Two lines change places.
pub(crate) fn swap(random: &mut Random, base: &Base) -> Case {
    let mut bundle = base.whole.clone();
    let one = random.below(bundle.lines.len() - 1);
    let two = one + 1 + random.below(bundle.lines.len() - one - 1);
    bundle.lines.swap(one, two);
    let what = format!("lines {} and {}", one + 1, two + 1);
    case(bundle, only(one + 1), what)
}

/// A line that was never written stands among the others: well linked to what is before it, linked elsewhere, or no event at all.
pub(crate) fn insert(random: &mut Random, base: &Base) -> Case {
    let mut bundle = base.whole.clone();
    let before = random.below(bundle.lines.len());
    let heads = heads(&bundle.lines);
    let (line, named) = match random.below(3) {
        0 => (b"{\"v\":1}".to_vec(), before + 1),
        1 => (foreign(random, &heads[before]), before + 1),
        _ => {
            let after = random.below(heads.len());
            let line = foreign(random, &heads[after]);
            // One whose number was there before is named as the repetition of that.
            (line, (after + 1).min(before + 1))
        }
    };
    bundle.lines.insert(before, line);
    let what = format!("before line {}", before + 1);
    case(bundle, named as u64..=before as u64 + 1, what)
}

/// The end is cut off, at a line or within one.
pub(crate) fn truncate(random: &mut Random, base: &Base) -> Case {
    let mut bundle = base.whole.clone();
    let mut bytes = bundle.file();
    let left = match random.below(2) {
        0 => random.below(bytes.len()),
        _ => {
            let lines = random.below(bundle.lines.len());
            bundle.lines[..lines].iter().map(|l| l.len() + 1).sum()
        }
    };
    bytes.truncate(left);
    let whole = bytes.iter().filter(|b| **b == b'\n').count();
    bundle.bytes = Some(bytes);
    case(bundle, only(whole + 1), format!("after {left} bytes"))
}

/// A line stands again further down.
pub(crate) fn duplicate(random: &mut Random, base: &Base) -> Case {
    let mut bundle = base.whole.clone();
    let line = random.below(bundle.lines.len());
    let before = line + 1 + random.below(bundle.lines.len() - line);
    let copy = bundle.lines[line].clone();
    bundle.lines.insert(before, copy);
    let what = format!("line {} before line {}", line + 1, before + 1);
    case(bundle, only(line + 1), what)
}

/// From some event on another history, each line on the one before, as a host writes that was put back and says nothing.
pub(crate) fn replay(random: &mut Random, base: &Base) -> Case {
    let mut bundle = base.whole.clone();
    let kept = random.below(bundle.lines.len());
    let mut head = heads(&bundle.lines)[kept];
    for line in &mut bundle.lines[kept..] {
        let mut fields = fields(line);
        fields.insert("timestamp".to_owned(), "2026-01-07T10:00:00.000Z".into());
        relink(line, fields, &head);
        head = head.after(line);
    }
    if random.below(2) == 0 {
        let more = random.below(bundle.lines.len() - kept);
        bundle.lines.truncate(kept + 1 + more);
    }
    let what = format!("after line {kept}");
    case(bundle, kept as u64 + 1..=base.last(), what)
}

/// A checkpoint, in the record or beside it, says or is signed otherwise.
pub(crate) fn checkpoint(random: &mut Random, base: &Base) -> Case {
    let mut bundle = base.whole.clone();
    let heads = heads(&bundle.lines);
    match random.below(5) {
        // Beside it: a byte of what is signed, or of the signature; the key's name and number stay.
        0 => {
            let name = bundle.note.rfind(" host-1 ").expect("signed");
            let signature = name + " host-1 ".len() + 6;
            let mut bytes = bundle.note.clone().into_bytes();
            let at = match random.below(2) {
                0 => random.below(name - 5),
                _ => signature + random.below(bytes.len() - signature - 4),
            };
            let was = bytes[at];
            while bytes[at] == was {
                bytes[at] = *random.pick(b"ABCDefgh0123+/");
            }
            bundle.note = String::from_utf8(bytes).expect("ascii beside the dash");
            case(bundle, 0..=0, format!("byte {at} of the note"))
        }
        // Beside it: another head, with the signature over this one.
        1 => {
            let other = base.signers.note(*random.pick(&heads[..heads.len() - 1]));
            let (text, _) = other.split_once("\n\n").expect("a note");
            let (_, signature) = bundle.note.split_once("\n\n").expect("a note");
            bundle.note = format!("{text}\n\n{signature}");
            case(bundle, 0..=0, "another text over the signature".to_owned())
        }
        // Beside it: rightly signed, over a head that never was.
        2 => {
            let seq = 1 + random.next() % (base.last() + 3);
            let hash = Hash::of(&random.next().to_le_bytes());
            bundle.note = base.signers.note(Head { seq, hash });
            let at = seq.min(base.last() + 1);
            case(bundle, at..=at, format!("event {seq} as it never was"))
        }
        // In the record: the note in a line, with all that follows written anew.
        _ => {
            let own: Vec<usize> = (0..bundle.lines.len())
                .filter(|i| kind_of(&bundle.lines[*i]) == "CHECKPOINT")
                .collect();
            let at = *random.pick(&own);
            let mut event = fields(&bundle.lines[at]);
            let head = heads[random.below(at)];
            let forged = base.forger.sign(&base.signers.origin, &head, NOW);
            let forged = forged.expect("signed");
            let note = match random.below(2) {
                // Of another key: its signature under the number of the real one.
                0 => forged,
                _ => base.signers.note(head).replacen("seq ", "seq 1", 1),
            };
            event["what"]["note"] = note.into();
            rewrite(&mut bundle, at, event, &heads[at]);
            // Where nobody knows the key it is the heads further on that tell.
            case(
                bundle,
                at as u64 + 1..=base.last(),
                format!("line {}", at + 1),
            )
        }
    }
}

const NOW: time::OffsetDateTime = time::macros::datetime!(2026-01-06 10:00:00 UTC);

/// A byte of an envelope's file.
pub(crate) fn envelope(random: &mut Random, base: &Base) -> Case {
    let all: Vec<&String> = base.whole.envelopes.keys().collect();
    let digest = (*random.pick(&all)).clone();
    of_envelope(random, base, &digest)
}

/// A byte of a receipt's file.
pub(crate) fn receipt(random: &mut Random, base: &Base) -> Case {
    let records = base.whole.lines.iter().map(|l| record(l));
    let receipts: Vec<String> = records
        .flat_map(|r| r.envelopes)
        .filter(|e| e.kind == "receipt")
        .map(|e| e.sha256.to_string())
        .collect();
    let digest = random.pick(&receipts).clone();
    of_envelope(random, base, &digest)
}

fn of_envelope(random: &mut Random, base: &Base, digest: &str) -> Case {
    let mut bundle = base.whole.clone();
    let named = bundle
        .lines
        .iter()
        .map(|line| record(line))
        .find(|r| r.envelopes.iter().any(|e| e.sha256.to_string() == digest))
        .expect("named")
        .seq;
    let body = bundle.envelopes.get_mut(digest).expect("kept");
    let at = random.below(body.len());
    match random.below(3) {
        0 => body.truncate(at),
        1 => body.insert(at, b' '),
        _ => body[at] ^= 1 << random.below(7),
    }
    case(bundle, named..=named, format!("byte {at} of {digest}"))
}

/// Two fields of a line change places: the same JSON to most readers.
pub(crate) fn order(random: &mut Random, base: &Base) -> Case {
    let mut bundle = base.whole.clone();
    let line = random.below(bundle.lines.len());
    let fields: Vec<(String, Value)> = fields(&bundle.lines[line]).into_iter().collect();
    let one = random.below(fields.len() - 1);
    let two = one + 1 + random.below(fields.len() - one - 1);
    let mut fields = fields;
    fields.swap(one, two);
    let fields: Map<String, Value> = fields.into_iter().collect();
    bundle.lines[line] = serde_json::to_vec(&fields).expect("json");
    let what = format!("fields {one} and {two} of line {}", line + 1);
    case(bundle, only(line + 1), what)
}

/// White space where JSON allows it, and other ends of lines.
pub(crate) fn space(random: &mut Random, base: &Base) -> Case {
    let mut bundle = base.whole.clone();
    let line = random.below(bundle.lines.len());
    let bytes = &mut bundle.lines[line];
    let mut places = vec![0, bytes.len()];
    let mut quoted = false;
    for at in 0..bytes.len() {
        match bytes[at] {
            b'"' if at == 0 || bytes[at - 1] != b'\\' => quoted = !quoted,
            b':' | b',' | b'{' | b'}' if !quoted => {
                places.push(at + usize::from(bytes[at] != b'}'))
            }
            _ => {}
        }
    }
    let at = *random.pick(&places);
    bytes.insert(at, *random.pick(b" \t\r"));
    case(
        bundle,
        only(line + 1),
        format!("byte {at} of line {}", line + 1),
    )
}

/// The same text in other bytes: escapes, decomposed letters, another character set, a mark at the beginning.
pub(crate) fn encoding(random: &mut Random, base: &Base) -> Case {
    let mut bundle = base.whole.clone();
    let line = random.below(bundle.lines.len());
    let text = String::from_utf8(bundle.lines[line].clone()).expect("text");
    let (bytes, line) = match random.below(4) {
        0 => ([b"\xef\xbb\xbf", text.as_bytes()].concat(), line),
        1 if text.contains('ü') => (text.replace('ü', "u\u{308}").into_bytes(), line),
        2 if text.contains('ü') => {
            let at = text.find('ü').expect("there");
            let (before, after) = (&text.as_bytes()[..at], &text.as_bytes()[at + 2..]);
            ([before, b"\xfc", after].concat(), line)
        }
        _ => {
            // A letter of a value, written as an escape.
            let values: Vec<usize> = text
                .char_indices()
                .filter(|(at, c)| *at > 110 && c.is_ascii_lowercase())
                .map(|(at, _)| at)
                .collect();
            let at = *random.pick(&values);
            let escaped = format!("\\u{:04x}", text.as_bytes()[at]);
            (
                format!("{}{escaped}{}", &text[..at], &text[at + 1..]).into_bytes(),
                line,
            )
        }
    };
    bundle.lines[line] = bytes;
    case(bundle, only(line + 1), format!("line {}", line + 1))
}

/// What somebody does who has the agent: a line or its envelope changed, and all of it written and signed anew with the agent's own key. Custodians'
/// and workers' signatures are all that is left to find it by.
pub(crate) fn by_the_agent(random: &mut Random, base: &Base) -> Case {
    let mut bundle = base.whole.clone();
    let named: Vec<usize> = (0..bundle.lines.len())
        .filter(|i| !record(&bundle.lines[*i]).envelopes.is_empty())
        .collect();
    let at = *random.pick(&named);
    let mut event = fields(&bundle.lines[at]);
    let kind = event["event_type"].as_str().expect("text").to_owned();
    let votes = ["BREAK_GLASS_APPROVED", "BREAK_GLASS_DENIED"];
    let lie = match random.below(3) {
        0 if votes.contains(&&*kind) => {
            let other = if event["actor"] == "alice" {
                "bob"
            } else {
                "alice"
            };
            event["actor"] = other.into();
            "another custodian"
        }
        1 if event["correlation_id"].is_string() => {
            event["correlation_id"] = "r-aaaaaaaaaaaaa".into();
            "another request"
        }
        _ => {
            // A character of the signed document, and the digest in the line with it.
            let digest = event["envelopes"][0]["sha256"].as_str().expect("text");
            let mut body = bundle.envelopes[digest].clone();
            let text = String::from_utf8(body.clone()).expect("json");
            let from = text.find("\"payload\":\"").expect("a payload") + 11;
            let place = from + 8 + random.below(text[from..].find('"').expect("ends") - 16);
            body[place] = if body[place] == b'A' { b'B' } else { b'A' };
            let digest = Hash::of(&body).to_string();
            bundle.envelopes.insert(digest.clone(), body);
            event["envelopes"][0]["sha256"] = digest.into();
            "another document"
        }
    };
    let head = heads(&bundle.lines)[at];
    rewrite(&mut bundle, at, event, &head);
    // The agent signs what it has written.
    let all = heads(&bundle.lines);
    for i in at + 1..bundle.lines.len() {
        let head = heads(&bundle.lines)[i];
        let mut event = fields(&bundle.lines[i]);
        if event["event_type"] == "CHECKPOINT" {
            event["what"]["note"] = base.signers.note(head).into();
        }
        rewrite(&mut bundle, i, event, &head);
    }
    drop(all);
    let head = *heads(&bundle.lines).last().expect("one");
    bundle.note = base.signers.note(head);
    // Later documents carry the head as it was: they may be what does not fit.
    case(
        bundle,
        1..=base.last(),
        format!("{lie} in line {}, {kind}", at + 1),
    )
}

/// Puts a line in place of another, and links all that follow to it.
fn rewrite(bundle: &mut Bundle, at: usize, event: Map<String, Value>, before: &Head) {
    let mut head = *before;
    let mut event = Some(event);
    for line in &mut bundle.lines[at..] {
        let fields = event.take().unwrap_or_else(|| fields(line));
        relink(line, fields, &head);
        head = head.after(line);
    }
}

fn relink(line: &mut Vec<u8>, mut fields: Map<String, Value>, head: &Head) {
    fields.insert("seq".to_owned(), (head.seq + 1).into());
    fields.insert("prev".to_owned(), head.hash.to_string().into());
    *line = serde_json::to_vec(&fields).expect("json");
}

/// A line's fields, in their order.
fn fields(line: &[u8]) -> Map<String, Value> {
    serde_json::from_slice(line).expect("an object")
}

fn record(line: &[u8]) -> Record {
    Record::parse(line).expect("our own")
}

fn kind_of(line: &[u8]) -> String {
    record(line).event_type
}

fn foreign(random: &mut Random, head: &Head) -> Vec<u8> {
    let event = Event::new(EventType::BreakGlassAction, Actor::agent())
        .justification(format!("nothing {}", random.next()));
    event.line_after(head, NOW).expect("a line")
}

/// The head after each line, the empty record's first.
pub(crate) fn heads(lines: &[Vec<u8>]) -> Vec<Head> {
    let after = lines.iter().scan(Head::default(), |head, line| {
        *head = head.after(line);
        Some(*head)
    });
    std::iter::once(Head::default()).chain(after).collect()
}
