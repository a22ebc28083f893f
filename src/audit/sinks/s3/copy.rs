//! What a bucket shows of the record: gaps, removals, locks that are missing or too short, other histories, foreign objects.
//!
//! Nothing here reaches for the bucket: whoever can list it and read objects (`twotap audit verify --s3`, with a person's own credentials) says what
//! stands there, and [`Copy`] gives the lines that follow one another, for the chain and its signatures to be verified as anywhere else.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use time::OffsetDateTime;

use super::names::{self, EventsName};
use crate::audit::chain::{Hash, Head, Links};

/// A lock that was reckoned from the host's clock may end this much before one that is reckoned from AWS's.
const SLACK: time::Duration = time::Duration::DAY;

/// A version, or a delete marker, as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The key.
    pub key: String,
    /// The version's id.
    pub version: String,
    /// Whether it is a delete marker.
    pub delete_marker: bool,
    /// Bytes.
    pub size: u64,
    /// When it was made, by AWS's clock.
    pub modified: OffsetDateTime,
}

/// What does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Events that no object holds, although one holds later ones.
    Gap {
        /// The first that is missing.
        first: u64,
        /// The last.
        last: u64,
    },
    /// An object was removed: a delete marker stands over it.
    Deleted {
        /// Its key.
        key: String,
        /// When.
        at: OffsetDateTime,
        /// Whether the bytes are still there.
        kept: bool,
    },
    /// An object was written over, or somebody else wrote it again.
    Rewritten {
        /// Its key.
        key: String,
        /// How many versions it has.
        versions: usize,
    },
    /// An object that this sink did not write.
    Foreign {
        /// Its key.
        key: String,
    },
    /// An object has no lock: whoever may delete can remove it.
    Unlocked {
        /// Its key.
        key: String,
    },
    /// An object's lock ends before it should.
    Shortened {
        /// Its key.
        key: String,
        /// When its lock ends.
        until: OffsetDateTime,
        /// When it should end at the earliest.
        due: OffsetDateTime,
    },
    /// An object does not hold what its name says.
    Content {
        /// Its key.
        key: String,
    },
    /// An object holds other events of these numbers than the rest: two histories.
    Other {
        /// Its key.
        key: String,
        /// The first event that is another one.
        seq: u64,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gap { first, last } if first == last => {
                write!(f, "event {first} is missing in the bucket")
            }
            Self::Gap { first, last } => {
                write!(f, "events {first} to {last} are missing in the bucket")
            }
            Self::Deleted { key, at, kept } => {
                let at = at.replace_nanosecond(0).unwrap_or(*at);
                let rest = if *kept {
                    "its bytes are still there"
                } else {
                    "nothing of it is left"
                };
                write!(f, "{key} was deleted at {at}; {rest}")
            }
            Self::Rewritten { key, versions } => {
                write!(f, "{key} was written over: it has {versions} versions")
            }
            Self::Foreign { key } => write!(f, "{key} was not written by the sink"),
            Self::Unlocked { key } => write!(f, "{key} is not locked: it can be removed"),
            Self::Shortened { key, until, due } => write!(
                f,
                "the lock of {key} was shortened: it ends on {}, and is due until {}",
                until.date(),
                due.date()
            ),
            Self::Content { key } => write!(f, "{key} does not hold what its name says"),
            Self::Other { key, seq } => {
                write!(
                    f,
                    "{key} holds another event {seq}: there are two histories"
                )
            }
        }
    }
}

/// What a listing shows.
#[derive(Debug, Default)]
pub struct Inventory {
    /// Objects with events, in the order of their names; of each the oldest version.
    pub events: Vec<(EventsName, Listed)>,
    /// Signed envelopes.
    pub envelopes: BTreeMap<Hash, Listed>,
    /// What does not fit.
    pub findings: Vec<Finding>,
}

impl Inventory {
    /// Takes stock of what was listed under `prefix`, in any order.
    pub fn of(prefix: &str, listed: Vec<Listed>) -> Self {
        let mut by_key: BTreeMap<String, Vec<Listed>> = BTreeMap::new();
        for version in listed {
            by_key.entry(version.key.clone()).or_default().push(version);
        }
        let mut stock = Self::default();
        for (key, versions) in by_key {
            stock.take(prefix, key, versions);
        }
        stock.events.sort_by(|(a, _), (b, _)| a.cmp(b));
        stock
    }

    fn take(&mut self, prefix: &str, key: String, versions: Vec<Listed>) {
        let name = EventsName::parse(prefix, &key);
        let envelope = names::envelope_of(prefix, &key);
        if name.is_none() && envelope.is_none() {
            self.findings.push(Finding::Foreign { key });
            return;
        }
        let (markers, mut data): (Vec<_>, Vec<_>) =
            versions.into_iter().partition(|v| v.delete_marker);
        if let Some(marker) = markers.iter().min_by_key(|m| m.modified) {
            self.findings.push(Finding::Deleted {
                key: key.clone(),
                at: marker.modified,
                kept: !data.is_empty(),
            });
        }
        if data.len() > 1 {
            self.findings.push(Finding::Rewritten {
                key,
                versions: data.len(),
            });
        }
        data.sort_by_key(|v| v.modified);
        let Some(oldest) = data.into_iter().next() else {
            return;
        };
        match (name, envelope) {
            (Some(name), _) => self.events.push((name, oldest)),
            (None, Some(sha256)) => {
                self.envelopes.insert(sha256, oldest);
            }
            (None, None) => {}
        }
    }
}

/// What is found about one version's lock: `until` when it holds, `None` where there is no lock.
pub fn lock_of(
    listed: &Listed,
    until: Option<OffsetDateTime>,
    retention: time::Duration,
) -> Option<Finding> {
    let key = listed.key.clone();
    let Some(until) = until else {
        return Some(Finding::Unlocked { key });
    };
    let due = listed.modified.checked_add(retention)?;
    (until < due - SLACK).then_some(Finding::Shortened { key, until, due })
}

/// Of which objects the names tell that they hold the same numbers more than once, as after the store was put back and the record went on from
/// there, or where the sink sent something again; and those right after them, which tell by what they follow which history goes on.
pub fn twice(events: &[(EventsName, Listed)]) -> Vec<(EventsName, Listed)> {
    let (mut from, mut to, mut end) = (u64::MAX, 0, 0);
    for (name, _) in events {
        if name.first <= end {
            from = from.min(name.first);
            to = to.max(end.max(name.last));
        }
        end = end.max(name.last);
    }
    let concerns = |name: &EventsName| name.last >= from && name.first <= to.saturating_add(1);
    let concerned = events.iter().filter(|(name, _)| concerns(name));
    concerned.cloned().collect()
}

/// The record as the objects hold it, one after the other.
#[derive(Debug, Default)]
pub struct Copy {
    /// Where there are several histories: the heads of the one that is told now, and the objects of which these are parts.
    told: HashSet<Head>,
    parted: HashSet<String>,
    /// The hash of each line since the last gap: another object may hold it again.
    hashes: Vec<Hash>,
    /// How many events are before those.
    base: u64,
    head: Head,
    /// What does not fit.
    pub findings: Vec<Finding>,
}

impl Copy {
    /// Of these objects only the lines at these heads are taken.
    pub fn of(told: HashSet<Head>, parted: HashSet<String>) -> Self {
        Self {
            told,
            parted,
            ..Self::default()
        }
    }

    /// Takes the next object, in the order of [`Inventory::events`], and gives the lines that it adds, with their newlines.
    pub fn add(&mut self, name: &EventsName, key: &str, bytes: &[u8]) -> Vec<u8> {
        let key = key.to_owned();
        let Some(mut lines) = lines_of(name, bytes) else {
            self.findings.push(Finding::Content { key });
            return Vec::new();
        };
        if self.parted.contains(&key) {
            lines.retain(|(links, line)| {
                let (seq, hash) = (links.seq, Hash::of(line));
                self.told.contains(&Head { seq, hash })
            });
        }
        let Some((links, _)) = lines.first() else {
            return Vec::new();
        };
        let (first, prev) = (links.seq, links.prev);
        if first > self.head.seq + 1 {
            self.findings.push(Finding::Gap {
                first: self.head.seq + 1,
                last: first - 1,
            });
            // Objects come in the order of their first events: none goes back before this.
            self.base = first - 1;
            self.hashes.clear();
            self.head = Head {
                seq: first - 1,
                hash: prev,
            };
        }
        let mut added = Vec::new();
        for (links, line) in lines {
            let index = links.seq.saturating_sub(1 + self.base);
            let index = usize::try_from(index).unwrap_or(usize::MAX);
            let same = match self.hashes.get(index) {
                Some(known) => *known == Hash::of(line),
                None => links.prev == self.head.hash,
            };
            if !same {
                let seq = links.seq;
                self.findings.push(Finding::Other { key, seq });
                return added;
            }
            if index < self.hashes.len() {
                continue;
            }
            self.head = self.head.after(line);
            self.hashes.push(self.head.hash);
            added.extend_from_slice(line);
            added.push(b'\n');
        }
        added
    }
}

/// Whether an object is what its name says.
pub fn whole(name: &EventsName, bytes: &[u8]) -> bool {
    lines_of(name, bytes).is_some()
}

/// The lines of an object that is what its name says.
fn lines_of<'b>(name: &EventsName, bytes: &'b [u8]) -> Option<Vec<(Links, &'b [u8])>> {
    let mut lines: Vec<(Links, &[u8])> = Vec::new();
    for line in bytes.strip_suffix(b"\n")?.split(|b| *b == b'\n') {
        let links = Links::parse(line).ok()?;
        let fits = match lines.last() {
            None => links.seq == name.first,
            Some((before, last)) => links.seq == before.seq + 1 && links.prev == Hash::of(last),
        };
        if !fits {
            return None;
        }
        lines.push((links, line));
    }
    let (links, last) = lines.last()?;
    let end = Head {
        seq: links.seq,
        hash: Hash::of(last),
    };
    name.ends_at(&end).then_some(lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::samples::{file, heads, lines};
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-01-06 10:00 UTC);

    fn object(lines: &[Vec<u8>], first: u64, last: u64) -> (EventsName, Vec<u8>) {
        let all = heads(lines);
        let at = |n: u64| usize::try_from(n).expect("small");
        let bytes = file(&lines[at(first) - 1..at(last)]);
        (EventsName::of(first, &all[at(last)]), bytes)
    }

    fn listed(key: &str, version: &str, delete_marker: bool) -> Listed {
        Listed {
            key: key.into(),
            version: version.into(),
            delete_marker,
            size: 1,
            modified: NOW,
        }
    }

    #[test]
    fn what_follows_is_given_once_and_what_does_not_is_named() {
        let own = lines(9);
        let mut other = lines(2);
        let mut head = *heads(&other).last().expect("a head");
        for n in 20..24 {
            let line = crate::audit::samples::event(n)
                .line_after(&head, NOW)
                .expect("a line");
            head = head.after(&line);
            other.push(line);
        }
        let mut copy = Copy::default();
        let mut given = Vec::new();
        let mut add = |copy: &mut Copy, of: &[Vec<u8>], first, last| {
            let (name, bytes) = object(of, first, last);
            given.extend(copy.add(&name, &name.key(""), &bytes));
        };
        add(&mut copy, &own, 1, 3);
        // The same again, and a part of it with more.
        add(&mut copy, &own, 1, 3);
        add(&mut copy, &own, 2, 4);
        assert_eq!(copy.findings, []);
        add(&mut copy, &other, 3, 6);
        assert!(matches!(copy.findings[..], [Finding::Other { seq: 3, .. }]));
        add(&mut copy, &own, 7, 9);
        assert_eq!(copy.findings[1], Finding::Gap { first: 5, last: 6 });
        assert_eq!(given, file(&[&own[..4], &own[6..]].concat()));
        // An object under another's name.
        let (name, _) = object(&own, 1, 3);
        let (_, bytes) = object(&own, 1, 4);
        assert_eq!(copy.add(&name, "k", &bytes), b"");
        assert_eq!(copy.findings[2], Finding::Content { key: "k".into() });
        assert_eq!(copy.add(&name, "k", b""), b"");
        assert_eq!(copy.findings.len(), 4);
    }

    #[test]
    fn a_listing_shows_removals_rewriting_and_strangers() {
        let own = lines(3);
        let key = |first, last| object(&own, first, last).0.key("p/");
        let stock = Inventory::of(
            "p/",
            vec![
                listed(&key(2, 3), "v1", false),
                listed(&key(1, 1), "v2", false),
                listed(&key(1, 1), "v3", true),
                listed(&key(1, 2), "v4", true),
                listed(&key(1, 3), "v5", false),
                listed(&key(1, 3), "v6", false),
                listed("p/readme", "v7", false),
                listed(&names::envelope("p/", &Hash::of(b"x")), "v8", false),
            ],
        );
        let names: Vec<_> = stock
            .events
            .iter()
            .map(|(n, _)| (n.first, n.last))
            .collect();
        assert_eq!(names, [(1, 1), (1, 3), (2, 3)]);
        assert!(stock.envelopes.contains_key(&Hash::of(b"x")));
        let said: Vec<_> = stock.findings.iter().map(Finding::to_string).collect();
        let has = |words: &str| said.iter().filter(|s| s.contains(words)).count();
        assert_eq!(said.len(), 4, "{said:?}");
        assert_eq!(has("its bytes are still there"), 1);
        assert_eq!(has("nothing of it is left"), 1);
        assert_eq!(has("2 versions"), 1);
        assert_eq!(has("p/readme was not written by the sink"), 1);
    }

    #[test]
    fn a_lock_is_due_from_when_the_object_was_written() {
        let (object, year) = (listed("k", "v", false), time::Duration::days(365));
        let after = |days| Some(NOW + time::Duration::days(days));
        assert_eq!(lock_of(&object, after(365), year), None);
        assert_eq!(lock_of(&object, after(400), year), None);
        let short = lock_of(&object, after(363), year).expect("short");
        assert!(short.to_string().contains("shortened"), "{short}");
        let none = lock_of(&object, None, year).expect("none");
        assert!(none.to_string().contains("not locked"), "{none}");
    }
}
