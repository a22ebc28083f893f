//! Copies of the record that others hold: another sink's folder or file, a syslog file, a checkout. Where two disagree, one was told another
//! history.

use std::collections::{HashMap, HashSet};
use std::io::{self, BufRead, Read};

use super::Reset;
use super::lines::{note_in, timestamp};
use super::lost::Lost;
use crate::audit::chain::{self, Hash, Head};
use crate::audit::event::MAX_LINE;

/// How each line of a record begins, wherever it stands.
const BEGIN: &[u8] = b"{\"v\":1,\"seq\":";
/// What a receiver may put before it.
const PREFIX: usize = 16 * 1024;

/// What somebody else holds of the record. It may lack events, have them twice, and have other text around and between them.
#[derive(Clone, Debug)]
pub struct Copy {
    /// What it is called in the report: a file's name, a sink's.
    name: String,
    lines: Vec<Kept>,
    /// The signed heads in it, with the event that carries each.
    notes: Vec<(Head, String)>,
    /// The first line that begins as an event and is none, counted from 1.
    broken: Option<u64>,
}

#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) head: Head,
    pub(super) prev: Hash,
    /// When it was written, as it says itself.
    pub(super) at: Option<Box<str>>,
}

/// How a copy stands to the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The copy.
    pub name: String,
    /// How many events both have alike.
    pub agreed: u64,
    /// The newest of them; the copy vouches for all up to it.
    pub agreed_to: u64,
    /// Events up to there that the copy does not have; some sinks are not sent all.
    pub lacks: u64,
    /// Events in it that were lost from the record, as a signed epoch says.
    pub lost: u64,
    /// The epochs before which all lost events stand in it, whole and in order.
    pub holds_lost_of: Vec<u64>,
}

/// What was found of a copy.
pub(super) struct Compared<'c> {
    pub(super) standing: Standing,
    /// The first event that is another one in the copy.
    pub(super) differs: Option<u64>,
    /// The newest event that the copy has and the record does not.
    pub(super) beyond: Option<u64>,
    pub(super) broken: Option<u64>,
    /// Signed heads in events that the record does not have, and whether it lost those, as a signed epoch says.
    pub(super) notes: Vec<(&'c str, bool)>,
}

impl Copy {
    /// An empty one, to be read into.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            lines: Vec::new(),
            notes: Vec::new(),
            broken: None,
        }
    }

    /// Whether there is no event in it.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.broken.is_none()
    }

    /// Takes up every event in a text; lines that hold none are passed over. A line may have anything before its event (a syslog header, a
    /// file's name), and white space after it.
    pub fn read(&mut self, mut from: impl BufRead) -> io::Result<()> {
        let most = (PREFIX + MAX_LINE + 2) as u64;
        let mut number = 0;
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            if from.by_ref().take(most).read_until(b'\n', &mut bytes)? == 0 {
                return Ok(());
            }
            number += 1;
            let Some(at) = bytes.windows(BEGIN.len()).position(|w| w == BEGIN) else {
                continue;
            };
            let line = bytes[at..].trim_ascii_end();
            let examined = chain::examine(line);
            let Ok(links) = examined.links else {
                self.broken.get_or_insert(number);
                continue;
            };
            let head = Head {
                seq: links.seq,
                hash: examined.hash,
            };
            self.lines.push(Kept {
                head,
                prev: links.prev,
                at: timestamp(line).map(Into::into),
            });
            if let Some(note) = note_in(line) {
                self.notes.push((head, note));
            }
        }
    }

    pub(super) fn lines(&self) -> impl Iterator<Item = &Kept> {
        self.lines.iter()
    }

    /// The signed notes in it, with the event that carries each.
    pub(super) fn notes(&self) -> impl Iterator<Item = (&Head, &str)> {
        self.notes.iter().map(|(head, note)| (head, note.as_str()))
    }

    pub(super) fn keep(&mut self, which: impl Fn(&Head) -> bool) {
        self.lines.retain(|kept| which(&kept.head));
        self.notes.retain(|(head, _)| which(head));
    }

    /// Holds it against the record. `hashes` are those of the record's events; `excused` is what its signed epochs say was lost.
    pub(super) fn compare(&self, hashes: &[Hash], excused: &[Lost]) -> Compared<'_> {
        let ours = |seq: u64| {
            let i = usize::try_from(seq.checked_sub(1)?).ok()?;
            hashes.get(i)
        };
        let is_ours = |head: &Head| ours(head.seq) == Some(&head.hash);
        let (mut agreed, mut lost) = (Vec::new(), Vec::new());
        let mut lost_heads = HashSet::new();
        let (mut differs, mut beyond) = (None::<u64>, None::<u64>);
        for kept in &self.lines {
            let head = kept.head;
            if is_ours(&head) {
                agreed.push(head.seq);
            } else if excused.iter().any(|lost| lost.has(kept)) {
                lost.push(head.seq);
                lost_heads.insert(head);
            } else if ours(head.seq).is_some() || head.seq == 0 {
                differs = Some(differs.map_or(head.seq, |d| d.min(head.seq)));
            } else {
                beyond = beyond.max(Some(head.seq));
            }
        }
        for seqs in [&mut agreed, &mut lost] {
            seqs.sort_unstable();
            seqs.dedup();
        }
        let agreed_to = agreed.last().copied().unwrap_or(0);
        let holds_lost_of = excused
            .iter()
            .map(|lost| &lost.reset)
            .filter(|reset| self.holds_lost(reset, ours))
            .map(|reset| reset.epoch)
            .collect();
        let notes = self.notes.iter();
        Compared {
            standing: Standing {
                name: self.name.clone(),
                agreed: agreed.len() as u64,
                agreed_to,
                lacks: agreed_to - agreed.len() as u64,
                lost: lost.len() as u64,
                holds_lost_of,
            },
            differs,
            beyond,
            broken: self.broken,
            notes: notes
                .filter(|(head, _)| !is_ours(head))
                .map(|(head, note)| (note.as_str(), lost_heads.contains(head)))
                .collect(),
        }
    }

    /// Whether everything that an epoch says was lost stands here, each event on the one before, up to the head that others hold.
    fn holds_lost<'h>(&self, reset: &Reset, ours: impl Fn(u64) -> Option<&'h Hash>) -> bool {
        let range = reset.lost_from..=reset.held.seq;
        let by_head: HashMap<Head, Hash> = self
            .lines
            .iter()
            .filter(|kept| range.contains(&kept.head.seq))
            .map(|kept| (kept.head, kept.prev))
            .collect();
        // Backwards from the head that others hold: each line names the one before it.
        let mut hash = reset.held.hash;
        for seq in range.rev() {
            match by_head.get(&Head { seq, hash }) {
                Some(prev) => hash = *prev,
                None => return false,
            }
        }
        let before = reset.lost_from.saturating_sub(1);
        reset.lost() > 0 && (before == 0 && hash == Hash::ZERO || ours(before) == Some(&hash))
    }
}
