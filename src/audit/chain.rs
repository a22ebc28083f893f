//! The hash chain: each line names the SHA-256 of the line before, so a change anywhere shows, and where.
//!
//! A line's hash is SHA-256 over its bytes without the newline. `seq` and `prev` stand in fixed form at the head of the
//! line (`{"v":1,"seq":N,"prev":"<64 hex>",`), so following the chain reads two fields without building any JSON.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use super::event::MAX_LINE;

/// A SHA-256 value; written as 64 lower-case hex digits.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash([u8; 32]);

impl Hash {
    /// The `prev` of the first line.
    pub const ZERO: Self = Self([0; 32]);

    /// From the 32 raw bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// SHA-256 of a line (without its newline).
    pub fn of(line: &[u8]) -> Self {
        Self(Sha256::digest(line).into())
    }

    /// The 32 raw bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Hash {
    type Err = NotAHash;

    fn from_str(text: &str) -> Result<Self, NotAHash> {
        hash_from_hex(text.as_bytes()).ok_or(NotAHash)
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The text is not 64 lower-case hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAHash;

impl fmt::Display for NotAHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a SHA-256 value of 64 lower-case hex digits")
    }
}

impl std::error::Error for NotAHash {}

/// Where a record stands: its last line's number and hash. An empty record has seq 0 and [`Hash::ZERO`].
///
/// In JSON `{"seq":N,"hash":"<64 hex>"}`, the form in which requests and manifests carry it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Number of the last line; the first has 1.
    pub seq: u64,
    /// Hash of the last line.
    pub hash: Hash,
}

impl Head {
    /// The head after `line` was appended. The caller made `line` to follow this head.
    pub fn after(&self, line: &[u8]) -> Self {
        Self {
            seq: self.seq + 1,
            hash: Hash::of(line),
        }
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.seq, self.hash)
    }
}

/// The two fields that make the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Links {
    /// The line's own number.
    pub seq: u64,
    /// Hash of the line before.
    pub prev: Hash,
}

impl Links {
    /// Reads the fixed head of a line. No other spelling is accepted: no space, no sign, no leading zero, no upper case.
    pub fn parse(line: &[u8]) -> Result<Self, Malformed> {
        let rest = line
            .strip_prefix(b"{\"v\":1,\"seq\":")
            .ok_or(Malformed::Head)?;
        let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        let (number, rest) = rest.split_at(digits);
        if number.first().is_none_or(|b| *b == b'0') {
            return Err(Malformed::Head);
        }
        let seq = std::str::from_utf8(number)
            .ok()
            .and_then(|n| n.parse().ok())
            .ok_or(Malformed::Head)?;
        let rest = rest.strip_prefix(b",\"prev\":\"").ok_or(Malformed::Head)?;
        let (hex, rest) = rest.split_at_checked(64).ok_or(Malformed::Head)?;
        let prev = hash_from_hex(hex).ok_or(Malformed::Head)?;
        if !rest.starts_with(b"\",\"event_type\":\"") {
            return Err(Malformed::Head);
        }
        Ok(Self { seq, prev })
    }
}

/// Why a line is no line of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// It does not begin with version, seq, prev and event type in their fixed form.
    Head,
    /// It is not one whole JSON object in UTF-8.
    Json,
    /// It is longer than [`MAX_LINE`].
    Long,
    /// The last line has no newline.
    Torn,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Head => "does not begin with v, seq, prev and event_type",
            Self::Json => "is not one whole JSON object",
            Self::Long => "is too long",
            Self::Torn => "ends without a newline",
        })
    }
}

/// A line looked at by itself: what can be said of it without its neighbours. Independent for each line, so
/// it can be done on many threads.
#[derive(Clone, Copy, Debug)]
pub struct Examined {
    /// The chain's fields, or why the line is none.
    pub links: Result<Links, Malformed>,
    /// The line's own hash.
    pub hash: Hash,
}

/// Looks at one line: its fixed head, that it is JSON, its hash.
pub fn examine(line: &[u8]) -> Examined {
    Examined {
        links: examine_links(line),
        hash: Hash::of(line),
    }
}

fn examine_links(line: &[u8]) -> Result<Links, Malformed> {
    if line.len() > MAX_LINE {
        return Err(Malformed::Long);
    }
    let links = Links::parse(line)?;
    // serde_json does not check the UTF-8 of what it skips.
    let text = std::str::from_utf8(line).map_err(|_| Malformed::Json)?;
    match serde_json::from_str::<IgnoredAny>(text) {
        Ok(_) if line.ends_with(b"}") => Ok(links),
        _ => Err(Malformed::Json),
    }
}

/// What is wrong with a line of a record, and which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The event concerned, by its number in the record.
    pub seq: u64,
    /// The line at which it shows, counted from the first line read, which is 1.
    pub line: u64,
    /// What is wrong.
    pub why: Why,
}

/// What is wrong at a [`Fault`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The line is no line of a record.
    Malformed(Malformed),
    /// Its content is not what the next line says it was, or its own links were changed.
    Changed,
    /// This line or the next was changed; no later line or checkpoint tells which.
    ChangedOrNext,
    /// The lines from [`Fault::seq`] through this number are missing.
    Removed {
        /// The last one missing.
        through: u64,
    },
    /// The line stands later than its number says.
    Reordered,
    /// A second line with this number.
    Duplicated,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seq, line, why } = self;
        match why {
            Why::Malformed(m) => write!(f, "event {seq} (line {line}) {m}"),
            Why::Changed => write!(f, "event {seq} (line {line}) was changed"),
            Why::ChangedOrNext => write!(
                f,
                "event {seq} (line {line}) or the one after it was changed"
            ),
            Why::Removed { through } if through == seq => {
                write!(f, "event {seq} was removed before line {line}")
            }
            Why::Removed { through } => write!(
                f,
                "events {seq} to {through} were removed before line {line}"
            ),
            Why::Reordered => write!(
                f,
                "event {seq} does not stand at line {line}: the order was changed"
            ),
            Why::Duplicated => write!(f, "event {seq} appears again at line {line}"),
        }
    }
}

impl std::error::Error for Fault {}

/// Follows a chain line by line.
#[derive(Clone, Debug)]
pub struct Walk {
    start: u64,
    head: Head,
}

impl Walk {
    /// Starts after `head`; [`Head::default`] for a whole record.
    pub fn after(head: Head) -> Self {
        Self {
            start: head.seq,
            head,
        }
    }

    /// The last line that followed.
    pub fn head(&self) -> Head {
        self.head
    }

    /// Takes the next line if it follows; the walk stays where it was if it does not.
    pub fn step(&mut self, line: &Examined) -> bool {
        let follows = line
            .links
            .is_ok_and(|l| l.prev == self.head.hash && self.head.seq.checked_add(1) == Some(l.seq));
        if follows {
            self.head = Head {
                seq: self.head.seq + 1,
                hash: line.hash,
            };
        }
        follows
    }

    /// Says what is wrong with `line`, at which [`step`](Self::step) stopped. `rest` are the lines after it, read as far as
    /// needed; `known` gives the hash of an event where a checkpoint or another witness has it.
    pub fn diagnose(
        &self,
        line: &Examined,
        rest: impl IntoIterator<Item = Examined>,
        known: impl Fn(u64) -> Option<Hash>,
    ) -> Fault {
        let mut rest = rest.into_iter();
        let expected = self.head.seq + 1;
        let at = |seq: u64, why: Why| Fault {
            seq,
            line: expected - self.start,
            why,
        };
        let links = match line.links {
            Ok(links) => links,
            Err(malformed) => return at(expected, Why::Malformed(malformed)),
        };
        if links.prev == self.head.hash {
            // It was written right after the line before, so its number was changed.
            return at(expected, Why::Changed);
        }
        if links.seq > expected {
            let later = rest.any(|l| l.links.is_ok_and(|l| l.seq == expected));
            let why = if later {
                Why::Reordered
            } else {
                Why::Removed {
                    through: links.seq - 1,
                }
            };
            return at(expected, why);
        }
        if links.seq < expected {
            return at(links.seq, Why::Duplicated);
        }
        // The number is right and `prev` is not: either the line before was changed, or this one's `prev`. Whoever vouches
        // for the bytes of one of them decides.
        let before = Fault {
            seq: self.head.seq,
            line: expected - self.start - 1,
            why: Why::Changed,
        };
        if expected == self.start + 1 {
            return at(expected, Why::Changed);
        }
        if let Some(hash) = known(self.head.seq) {
            return if hash == self.head.hash {
                at(expected, Why::Changed)
            } else {
                before
            };
        }
        let next = rest.next().and_then(|l| l.links.ok()).map(|l| l.prev);
        match known(expected).or(next) {
            Some(hash) if hash == line.hash => before,
            Some(_) => at(expected, Why::Changed),
            None => Fault {
                why: Why::ChangedOrNext,
                ..before
            },
        }
    }
}

/// Follows whole lines (without newlines) after `head`; the new head, or the first fault.
pub fn verify<L: AsRef<[u8]>>(
    head: Head,
    lines: impl IntoIterator<Item = L>,
) -> Result<Head, Fault> {
    let mut walk = Walk::after(head);
    let mut lines = lines.into_iter().map(|l| examine(l.as_ref()));
    while let Some(line) = lines.next() {
        if !walk.step(&line) {
            return Err(walk.diagnose(&line, lines, |_| None));
        }
    }
    Ok(walk.head())
}

/// 64 lower-case hex digits, nothing else. Written out because it is a fifth of the time of following a chain.
fn hash_from_hex(hex: &[u8]) -> Option<Hash> {
    let mut bytes = [0; 32];
    if hex.len() != 64 {
        return None;
    }
    // Bad digits are gathered, so that the loop has no branch.
    let mut bad = 0;
    for (byte, pair) in bytes.iter_mut().zip(hex.chunks_exact(2)) {
        let (high, low) = (NIBBLES[usize::from(pair[0])], NIBBLES[usize::from(pair[1])]);
        bad |= high | low;
        *byte = high << 4 | low & 0x0f;
    }
    (bad & 0xf0 == 0).then_some(Hash(bytes))
}

/// The value of each lower-case hex digit; 0xf0 for what is none.
const NIBBLES: [u8; 256] = {
    let mut table = [0xf0; 256];
    let digits = b"0123456789abcdef";
    let mut value = 0;
    while value < digits.len() {
        table[digits[value] as usize] = value as u8;
        value += 1;
    }
    table
};

#[cfg(test)]
mod tests;
