//! The small values that signed documents are made of: digests, times, byte strings, audit heads.

use std::fmt;

use data_encoding::{BASE64, HEXLOWER};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

/// A SHA-256 digest; in JSON 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// SHA-256 of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Reads 64 lower-case hex digits.
    pub fn parse(text: &str) -> Option<Self> {
        let mut out = [0; 32];
        (text.len() == 64).then_some(())?;
        HEXLOWER.decode_mut(text.as_bytes(), &mut out).ok()?;
        Some(Self(out))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("not a lower-case hex SHA-256"))
    }
}

/// Public bytes (a key, a certificate, a ciphertext); in JSON standard base64 with padding.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Bytes(pub Vec<u8>);

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&BASE64.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        BASE64
            .decode(text.as_bytes())
            .map(Self)
            .map_err(|_| D::Error::custom("not standard base64"))
    }
}

/// A point in time in whole seconds since 1970, UTC; in JSON `2026-01-06T10:00:00Z` and no other form.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The host's clock, now.
    pub fn now() -> Self {
        Self(OffsetDateTime::now_utc().unix_timestamp())
    }

    /// This time plus `seconds` (which may be negative).
    #[must_use]
    pub fn plus(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// Seconds from `self` until `later`; negative when `later` lies before.
    pub fn until(self, later: Self) -> i64 {
        later.0.saturating_sub(self.0)
    }

    /// Reads `YYYY-MM-DDTHH:MM:SSZ` strictly.
    pub fn parse(text: &str) -> Option<Self> {
        let parsed =
            OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).ok()?;
        let at = Self(parsed.unix_timestamp());
        // One spelling for each instant: what does not print back the same is refused.
        (at.to_string() == text).then_some(at)
    }
}

impl From<OffsetDateTime> for Timestamp {
    fn from(at: OffsetDateTime) -> Self {
        Self(at.unix_timestamp())
    }
}

impl From<Timestamp> for OffsetDateTime {
    fn from(at: Timestamp) -> Self {
        OffsetDateTime::from_unix_timestamp(at.0).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let t = OffsetDateTime::from(*self);
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
            t.year(),
            u8::from(t.month()),
            t.day(),
            t.hour(),
            t.minute(),
            t.second()
        )
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Self::parse(&text)
            .ok_or_else(|| D::Error::custom("not a UTC time like 2026-01-06T10:00:00Z"))
    }
}

/// A day, UTC, counted from 1970-01-01; in JSON `2026-01-06` and no other form.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(i64);

impl Day {
    /// Reads `YYYY-MM-DD` strictly.
    pub fn parse(text: &str) -> Option<Self> {
        let at = Timestamp::parse(&format!("{text}T00:00:00Z"))?;
        Some(Self(at.0 / 86_400))
    }

    /// Its beginning.
    pub fn begins(self) -> Timestamp {
        Timestamp(self.0.saturating_mul(86_400))
    }
}

impl From<Timestamp> for Day {
    fn from(at: Timestamp) -> Self {
        Self(at.0.div_euclid(86_400))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.begins().to_string();
        f.write_str(text.split('T').next().unwrap_or_default())
    }
}

impl fmt::Debug for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("not a day like 2026-01-06"))
    }
}

/// The head of the audit chain: the newest event's number and the SHA-256 of its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Number of the newest event; 0 for an empty chain.
    pub seq: u64,
    /// SHA-256 of the newest event's line; all zero for an empty chain.
    pub hash: Digest,
}

impl Head {
    /// The head of an empty chain.
    pub const EMPTY: Self = Self {
        seq: 0,
        hash: Digest([0; 32]),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_one_spelling() {
        let at = Timestamp::parse("2026-01-06T10:00:00Z").expect("valid");
        assert_eq!(at.to_string(), "2026-01-06T10:00:00Z");
        assert_eq!(Timestamp::parse("2026-01-06T10:00:00+00:00"), None);
        assert_eq!(Timestamp::parse("2026-01-06T10:00:00.0Z"), None);
        assert_eq!(Timestamp::parse("2026-01-06t10:00:00Z"), None);
        assert_eq!(Timestamp::parse("2026-13-06T10:00:00Z"), None);
    }

    #[test]
    fn a_day_has_one_spelling() {
        let day = Day::parse("2026-01-06").expect("valid");
        assert_eq!(day.to_string(), "2026-01-06");
        assert_eq!(day.begins().to_string(), "2026-01-06T00:00:00Z");
        assert_eq!(Day::from(day.begins().plus(86_399)), day);
        for bad in [
            "2026-1-6",
            "2026-13-06",
            "2026-02-30",
            "20260106",
            "2026-01-06 ",
            "",
        ] {
            assert_eq!(Day::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_digest_is_lower_case_hex() {
        let digest = Digest::of(b"");
        assert_eq!(Digest::parse(&digest.to_string()), Some(digest));
        assert_eq!(Digest::parse(&digest.to_string().to_uppercase()), None);
        assert_eq!(Digest::parse("e3b0"), None);
    }
}
