//! What the objects of a record are called.
//!
//! ```text
//! PREFIX events/00000000000000000001-00000000000000000017-5f0c3b2a9d8e7f61.jsonl    lines of events 1 to 17, byte for byte
//! PREFIX envelopes/<sha256>.json                                                    signed envelopes, where they were asked for
//! ```
//!
//! Names sort by sequence, and a gap shows in a listing. The last part is the beginning of the last line's hash: the same batch sent twice has
//! the same name, and two histories never share one, so that neither hides the other.

use std::fmt;

use crate::audit::chain::{Hash, Head};

/// The name of an object with events.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventsName {
    /// The first event.
    pub first: u64,
    /// The last one.
    pub last: u64,
    /// The first 16 hex digits of the last line's hash.
    pub hash: String,
}

impl EventsName {
    /// The name of the events from `first` to `end`.
    pub fn of(first: u64, end: &Head) -> Self {
        Self {
            first,
            last: end.seq,
            hash: end.hash.to_string()[..16].to_owned(),
        }
    }

    /// The key under `prefix`.
    pub fn key(&self, prefix: &str) -> String {
        format!("{prefix}{self}")
    }

    /// Reads a key under `prefix`; only the very spelling that [`key`](Self::key) writes.
    pub fn parse(prefix: &str, key: &str) -> Option<Self> {
        let rest = key.strip_prefix(prefix)?.strip_prefix("events/")?;
        let mut parts = rest.strip_suffix(".jsonl")?.split('-');
        let number = |text: &str| -> Option<u64> {
            let digits = text.len() == 20 && text.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| text.parse().ok()).flatten()
        };
        let (first, last) = (number(parts.next()?)?, number(parts.next()?)?);
        let hash = parts.next()?.to_owned();
        let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        let good = parts.next().is_none()
            && (1..=last).contains(&first)
            && hash.len() == 16
            && hash.bytes().all(hex);
        good.then_some(Self { first, last, hash })
    }

    /// Whether the name is that of a record that ends here.
    pub fn ends_at(&self, end: &Head) -> bool {
        self.last == end.seq && end.hash.to_string().starts_with(&self.hash)
    }
}

impl fmt::Display for EventsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, last, hash } = self;
        write!(f, "events/{first:020}-{last:020}-{hash}.jsonl")
    }
}

/// Where keys with events after `seq` begin.
pub fn after(prefix: &str, seq: u64) -> String {
    format!("{prefix}events/{seq:020}-~")
}

/// The folder of all events.
pub fn events(prefix: &str) -> String {
    format!("{prefix}events/")
}

/// The key of an envelope.
pub fn envelope(prefix: &str, sha256: &Hash) -> String {
    format!("{prefix}envelopes/{sha256}.json")
}

/// The digest of an envelope by its key.
pub fn envelope_of(prefix: &str, key: &str) -> Option<Hash> {
    let rest = key.strip_prefix(prefix)?.strip_prefix("envelopes/")?;
    rest.strip_suffix(".json")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_sort_by_sequence() {
        let names: Vec<_> = [(1, 9), (10, 99), (100, 1_000), (1_001, u64::MAX)]
            .into_iter()
            .map(|(first, seq)| {
                let hash = Hash::of(&first.to_string().into_bytes());
                let end = Head { seq, hash };
                let name = EventsName::of(first, &end);
                assert!(name.ends_at(&end));
                assert!(!name.ends_at(&Head::default()));
                let key = name.key("a/b/");
                assert_eq!(EventsName::parse("a/b/", &key), Some(name));
                assert!(after("a/b/", first - 1) < key && key < after("a/b/", first));
                key
            })
            .collect();
        assert!(names.is_sorted());
    }

    #[test]
    fn another_spelling_is_no_name() {
        let good = EventsName::of(
            1,
            &Head {
                seq: 2,
                hash: Hash::of(b"x"),
            },
        )
        .key("p/");
        assert!(EventsName::parse("p/", &good).is_some());
        for bad in [
            good.replace("p/", "q/"),
            good.replace("events", "event"),
            good.replace(".jsonl", ".json"),
            good.replace("00001-", "00003-"),
            good.replace("0000", "000"),
            good.replace("00001-", "00000-"),
            good.to_uppercase(),
            format!("{good}.jsonl"),
            good.replace(".jsonl", "-x.jsonl"),
        ] {
            assert_eq!(EventsName::parse("p/", &bad), None, "{bad}");
        }
        let sha256 = Hash::of(b"envelope");
        assert_eq!(envelope_of("p/", &envelope("p/", &sha256)), Some(sha256));
        assert_eq!(envelope_of("p/", "p/envelopes/x.json"), None);
    }
}
