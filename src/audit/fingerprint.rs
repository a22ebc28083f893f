//! Keyed fingerprints: how a token or a subject appears in the record without being readable from it.
//!
//! HMAC-SHA-256 under a pepper, over `purpose || 0x00 || value`, so that the same value gives different fingerprints for
//! different purposes. Each carries the id of the pepper that made it (`kid_dev` at first, `kid_YYYYMM` later): after a
//! change of pepper old records stay checkable with the archived one.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use data_encoding::{BASE64, HEXLOWER};
use hmac::{Hmac, Mac};
use rand_core::{OsRng, RngCore};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::files;

mod peppers;

pub use peppers::{FingerprintTable, PepperError, Peppers, Surroundings};

/// The pepper's id on the first day.
pub const DEFAULT_KID: &str = "kid_dev";

/// A pepper with its id. No `Debug`, no `Clone`; zeroized on drop.
pub struct FingerprintKey {
    kid: String,
    pepper: Zeroizing<[u8; 32]>,
}

impl FingerprintKey {
    /// From 32 bytes in base64 (RFC 4648, padded), as a secret store or a file has them; white space around is ignored.
    pub fn from_base64(kid: &str, text: &str) -> Result<Self, FingerprintError> {
        if !kid_is_good(kid) {
            return Err(FingerprintError::Kid);
        }
        let mut buffer = Zeroizing::new([0_u8; 33]);
        let text = text.trim().as_bytes();
        // 32 bytes are 44 characters, for which the decoder wants 33 bytes of room.
        if text.len() != 44 {
            return Err(FingerprintError::Pepper);
        }
        let length = BASE64
            .decode_mut(text, &mut buffer[..])
            .map_err(|_| FingerprintError::Pepper)?;
        let mut pepper = Zeroizing::new([0; 32]);
        if length != pepper.len() {
            return Err(FingerprintError::Pepper);
        }
        pepper.copy_from_slice(&buffer[..32]);
        Ok(Self {
            kid: kid.to_owned(),
            pepper,
        })
    }

    /// Reads the pepper file, or makes it (base64, 0600) where there is none.
    pub fn open_or_create(path: &Path, kid: &str) -> Result<Self, FingerprintError> {
        let text = files::secret_file(path, || {
            let mut pepper = Zeroizing::new([0_u8; 32]);
            OsRng.fill_bytes(&mut pepper[..]);
            let mut text = Zeroizing::new(vec![0_u8; 45]);
            BASE64.encode_mut(&pepper[..], &mut text[..44]);
            text[44] = b'\n';
            Ok(text)
        })
        .map_err(|e| FingerprintError::File(e.to_string()))?;
        let text = std::str::from_utf8(&text).map_err(|_| FingerprintError::Pepper)?;
        Self::from_base64(kid, text)
    }

    /// The id that its fingerprints carry.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The fingerprint of `value` for `purpose` (one word, e.g. `access-key`).
    pub fn fingerprint(&self, purpose: &str, value: &[u8]) -> Fingerprint {
        Fingerprint {
            kid: self.kid.clone(),
            mac: self.mac(purpose, value).finalize().into_bytes().into(),
        }
    }

    /// Whether `fingerprint` was made by this pepper from this purpose and value; compared in constant time.
    pub fn matches(&self, fingerprint: &Fingerprint, purpose: &str, value: &[u8]) -> bool {
        fingerprint.kid == self.kid
            && self
                .mac(purpose, value)
                .verify_slice(&fingerprint.mac)
                .is_ok()
    }

    fn mac(&self, purpose: &str, value: &[u8]) -> Hmac<Sha256> {
        // HMAC fills a short key up with zeros to SHA-256's block (RFC 2104, section 2); done here, nothing can fail.
        let mut block = Zeroizing::new([0_u8; 64]);
        block[..32].copy_from_slice(&self.pepper[..]);
        let mut mac = Hmac::<Sha256>::new((&*block).into());
        mac.update(purpose.as_bytes());
        mac.update(&[0]);
        mac.update(value);
        mac
    }
}

/// A fingerprint; written `kid_dev:<64 hex>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint {
    kid: String,
    mac: [u8; 32],
}

impl Fingerprint {
    /// The id of the pepper that made it.
    pub fn kid(&self) -> &str {
        &self.kid
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kid, HEXLOWER.encode(&self.mac))
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let (kid, hex) = text.split_once(':').ok_or(FingerprintError::Text)?;
        let bytes = HEXLOWER
            .decode(hex.as_bytes())
            .map_err(|_| FingerprintError::Text)?;
        let mac = bytes.try_into().map_err(|_| FingerprintError::Text)?;
        if !kid_is_good(kid) {
            return Err(FingerprintError::Kid);
        }
        Ok(Self {
            kid: kid.to_owned(),
            mac,
        })
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = FingerprintError;

    fn try_from(text: String) -> Result<Self, FingerprintError> {
        text.parse()
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.to_string()
    }
}

impl From<Fingerprint> for serde_json::Value {
    fn from(fingerprint: Fingerprint) -> Self {
        Self::String(fingerprint.to_string())
    }
}

/// What is wrong with a pepper or a fingerprint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FingerprintError {
    /// The key id is neither `kid_dev` nor `kid_YYYYMM`.
    Kid,
    /// The pepper is not 32 bytes in base64.
    Pepper,
    /// The text is not `kid:<64 hex>`.
    Text,
    /// The file could not be read or made.
    File(String),
}

impl fmt::Display for FingerprintError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kid => f.write_str("a fingerprint key id is kid_dev or kid_YYYYMM"),
            Self::Pepper => f.write_str("the pepper is not 32 bytes in base64"),
            Self::Text => f.write_str("not a fingerprint of the form kid:64 hex digits"),
            Self::File(why) => write!(f, "the pepper file cannot be used: {why}"),
        }
    }
}

impl std::error::Error for FingerprintError {}

fn kid_is_good(kid: &str) -> bool {
    kid == DEFAULT_KID
        || kid.strip_prefix("kid_").is_some_and(|date| {
            let month = date.get(4..).and_then(|m| m.parse::<u8>().ok());
            date.len() == 6
                && date.bytes().all(|b| b.is_ascii_digit())
                && matches!(month, Some(1..=12))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(kid: &str, byte: u8) -> FingerprintKey {
        FingerprintKey::from_base64(kid, &BASE64.encode(&[byte; 32]))
            .unwrap_or_else(|e| panic!("{e}"))
    }

    #[test]
    fn is_hmac_sha256_over_purpose_and_value() {
        // python3: hmac.new(b'\x0b'*32, b'access-key\0AKIAEXAMPLE', 'sha256').hexdigest()
        let fingerprint = key("kid_dev", 0x0b).fingerprint("access-key", b"AKIAEXAMPLE");
        assert_eq!(fingerprint.to_string(), EXPECTED);
    }
    const EXPECTED: &str =
        "kid_dev:548c9a265cb697c4cf7b4017367800a6678bba63003b3e20b1de078ac9c4a871";

    #[test]
    fn differs_by_key_purpose_and_value_and_reads_back() {
        let one = key("kid_dev", 1);
        let fingerprint = one.fingerprint("token", b"abc");
        assert!(one.matches(&fingerprint, "token", b"abc"));
        assert!(!one.matches(&fingerprint, "token", b"abd"));
        assert!(!one.matches(&fingerprint, "subject", b"abc"));
        assert!(!key("kid_dev", 2).matches(&fingerprint, "token", b"abc"));
        assert!(!key("kid_202601", 1).matches(&fingerprint, "token", b"abc"));
        let text = serde_json::to_string(&fingerprint).unwrap();
        assert_eq!(
            serde_json::from_str::<Fingerprint>(&text).unwrap(),
            fingerprint
        );
        assert!("kid_dev:00".parse::<Fingerprint>().is_err());
        assert!(
            format!("kid_202613:{}", "00".repeat(32))
                .parse::<Fingerprint>()
                .is_err()
        );
    }

    #[test]
    fn bad_peppers_and_ids_are_refused() {
        let good = BASE64.encode(&[7; 32]);
        for kid in [
            "",
            "kid_",
            "kid_2026",
            "kid_202600",
            "kid_2026010",
            "kid_2026é",
        ] {
            assert_eq!(
                FingerprintKey::from_base64(kid, &good).err(),
                Some(FingerprintError::Kid),
                "{kid}"
            );
        }
        for text in [
            "",
            "AAAA",
            &BASE64.encode(&[7; 31]),
            &BASE64.encode(&[7; 33]),
        ] {
            assert_eq!(
                FingerprintKey::from_base64("kid_dev", text).err(),
                Some(FingerprintError::Pepper)
            );
        }
    }

    #[test]
    fn the_pepper_file_is_made_once_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pepper");
        let open =
            || FingerprintKey::open_or_create(&path, DEFAULT_KID).unwrap_or_else(|e| panic!("{e}"));
        let first = open().fingerprint("token", b"abc");
        assert!(open().matches(&first, "token", b"abc"));
    }
}
