//! Which YubiKey to imitate: two built-in profiles, more by a TOML or JSON file.

use crate::hex;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::{fmt, fs, path::Path, time::Duration};

/// A firmware version, `major.minor.patch`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u8, pub u8, pub u8);

impl Version {
    /// The three bytes that the card sends.
    #[must_use]
    pub fn bytes(self) -> [u8; 3] {
        [self.0, self.1, self.2]
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let parts: Option<Vec<u8>> = text.split('.').map(|p| p.parse().ok()).collect();
        match parts.as_deref() {
            Some([major, minor, patch]) => Ok(Self(*major, *minor, *patch)),
            _ => Err(D::Error::custom(format!(
                "'{text}' is no version such as 5.7.4"
            ))),
        }
    }
}

/// The cipher of the management key; the value is its PIV algorithm number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ManagementAlgorithm {
    /// Three-key triple DES.
    Tdes = 0x03,
    /// AES-128.
    Aes128 = 0x08,
    /// AES-192.
    Aes192 = 0x0a,
    /// AES-256.
    Aes256 = 0x0c,
}

impl ManagementAlgorithm {
    /// From the number in an APDU; 00 stands for triple DES.
    #[must_use]
    pub fn from_number(n: u8) -> Option<Self> {
        Some(match n {
            0x00 | 0x03 => Self::Tdes,
            0x08 => Self::Aes128,
            0x0a => Self::Aes192,
            0x0c => Self::Aes256,
            _ => return None,
        })
    }

    /// The length of a key, in bytes.
    #[must_use]
    pub fn key_len(self) -> usize {
        match self {
            Self::Aes128 => 16,
            Self::Tdes | Self::Aes192 => 24,
            Self::Aes256 => 32,
        }
    }

    /// The length of a block, and so of a witness and a challenge, in bytes.
    #[must_use]
    pub fn block_len(self) -> usize {
        if self == Self::Tdes { 8 } else { 16 }
    }
}

/// Who signs the attestation key (slot F9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Chain {
    /// The root itself, as before firmware 5.7.4.
    Root,
    /// A PIV intermediate under an intermediate under the root, as since 5.7.4. Neither
    /// intermediate is on the token.
    Intermediates,
}

/// How far one touch reaches for keys with the `cached` policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CacheScope {
    /// Every key of the token.
    Token,
    /// The key that was touched for.
    Key,
}

/// A status word in hex, `"6982"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusWord(pub u16);

impl<'de> Deserialize<'de> for StatusWord {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        hex::fixed(&text)
            .map(|b| Self(u16::from_be_bytes(b)))
            .ok_or_else(|| D::Error::custom(format!("'{text}' is no status word such as 6982")))
    }
}

impl Serialize for StatusWord {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&format!("{:04x}", self.0))
    }
}

/// A key slot in hex, `"82"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u8);

impl<'de> Deserialize<'de> for Slot {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        hex::fixed(&text)
            .map(|[b]: [u8; 1]| Self(b))
            .ok_or_else(|| D::Error::custom(format!("'{text}' is no slot such as 82")))
    }
}

impl Serialize for Slot {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&format!("{:02x}", self.0))
    }
}

/// What a token is like. In a file, whatever is left out is as in firmware 5.7.4.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Profile {
    /// Some other card, e.g. a bank's: it has none of the applications.
    pub foreign: bool,
    /// The firmware version.
    pub version: Version,
    /// The cipher of the factory management key (01 to 08, as often as it is long).
    pub management_key: ManagementAlgorithm,
    /// Whether there is an attestation key, with its certificate, and F9 attests; otherwise it answers 6D00.
    pub attestation: bool,
    /// Whether the command F9 exists; otherwise it answers 6D00 although slot F9 may have its certificate.
    pub attest_command: bool,
    /// Whether management keys may be AES keys where the version has them.
    pub aes_management_keys: bool,
    /// The chain above the attestation key.
    pub chain: Chain,
    /// Whether GET METADATA exists (firmware 5.3 and later).
    pub metadata: bool,
    /// How far a cached touch reaches.
    pub touch_cache: CacheScope,
    /// How long a touch is remembered, in milliseconds.
    pub touch_cache_ms: u64,
    /// How long a touch is waited for, in milliseconds.
    pub touch_timeout_ms: u64,
    /// The answer when no touch came: `6982`, on some cards `6600`.
    pub no_touch_status: StatusWord,
    /// Tries of the PIN.
    pub pin_tries: u8,
    /// Tries of the PUK.
    pub puk_tries: u8,
    /// Slots that this token has not.
    pub missing_slots: Vec<Slot>,
    /// The answer when a key is to be made in such a slot: `6b00`, on some cards `6a86` or `6a88`.
    pub missing_slot_status: StatusWord,
    /// Whether PIN and management key stay verified when PIV is selected again.
    pub keeps_pin_over_select: bool,
    /// Whether a PIN-always key wants VERIFY as the very last command before it. Otherwise
    /// VERIFY serves the next use of such a key, whatever came between.
    pub pin_always_immediate: bool,
    /// The form factor: 01 USB-A keychain, 03 USB-C keychain, and so on.
    pub form_factor: u8,
    /// Whether the attestation certificate says FIPS.
    pub fips: bool,
    /// Whether the attestation certificate says CSPN.
    pub cspn: bool,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            foreign: false,
            version: Version(5, 7, 4),
            management_key: ManagementAlgorithm::Aes192,
            attestation: true,
            attest_command: true,
            aes_management_keys: true,
            chain: Chain::Intermediates,
            metadata: true,
            touch_cache: CacheScope::Token,
            touch_cache_ms: 15_000,
            touch_timeout_ms: 15_000,
            no_touch_status: StatusWord(0x6982),
            pin_tries: 3,
            puk_tries: 3,
            missing_slots: Vec::new(),
            missing_slot_status: StatusWord(0x6b00),
            keeps_pin_over_select: false,
            pin_always_immediate: true,
            form_factor: 0x03,
            fips: false,
            cspn: false,
        }
    }
}

impl Profile {
    /// A built-in profile by its version, else the profile in the file of that name.
    ///
    /// # Errors
    /// A line that says what is wrong with the file.
    pub fn load(name: &str) -> Result<Self, ProfileError> {
        match name {
            "5.7.4" => Ok(Self::default()),
            "5.4.3" => Ok(Self {
                version: Version(5, 4, 3),
                management_key: ManagementAlgorithm::Tdes,
                chain: Chain::Root,
                ..Self::default()
            }),
            path => Self::from_file(Path::new(path)),
        }
    }

    /// How long a touch is waited for.
    #[must_use]
    pub fn touch_timeout(&self) -> Duration {
        Duration::from_millis(self.touch_timeout_ms)
    }

    /// How long a touch is remembered.
    #[must_use]
    pub fn touch_cache_time(&self) -> Duration {
        Duration::from_millis(self.touch_cache_ms)
    }

    fn from_file(path: &Path) -> Result<Self, ProfileError> {
        let fault = |what: String| ProfileError(format!("profile {}: {what}", path.display()));
        let text = fs::read_to_string(path).map_err(|e| fault(e.to_string()))?;
        let profile: Self = if path.extension().is_some_and(|e| e == "json") {
            serde_json::from_str(&text).map_err(|e| fault(e.to_string()))?
        } else {
            toml::from_str(&text).map_err(|e| fault(e.to_string()))?
        };
        if !(1..=15).contains(&profile.pin_tries) || !(1..=15).contains(&profile.puk_tries) {
            return Err(fault("pin_tries and puk_tries are 1 to 15".into()));
        }
        Ok(profile)
    }
}

/// Why a profile cannot be used.
#[derive(Debug)]
pub struct ProfileError(String);

impl fmt::Display for ProfileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ProfileError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_text(name: &str, text: &str) -> Result<Profile, ProfileError> {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join(name);
        fs::write(&path, text).expect("write");
        Profile::load(path.to_str().expect("utf-8"))
    }

    #[test]
    fn the_two_built_in_profiles_differ_where_the_firmwares_do() {
        let new = Profile::load("5.7.4").expect("built in");
        let old = Profile::load("5.4.3").expect("built in");
        assert_eq!(new.management_key, ManagementAlgorithm::Aes192);
        assert_eq!(old.management_key, ManagementAlgorithm::Tdes);
        assert_eq!((new.chain, old.chain), (Chain::Intermediates, Chain::Root));
        assert!(old.version < new.version);
    }

    #[test]
    fn a_file_says_what_differs_from_the_newest_firmware() {
        let toml = "version = '5.2.7'\nmanagement_key = 'tdes'\nno_touch_status = '6600'\n\
                    missing_slots = ['83']\ntouch_cache = 'key'\nmetadata = false";
        let p = from_text("p.toml", toml).expect("a profile");
        assert_eq!(p.version, Version(5, 2, 7));
        assert_eq!(p.no_touch_status, StatusWord(0x6600));
        assert_eq!(p.missing_slots, [Slot(0x83)]);
        assert_eq!(p.touch_cache, CacheScope::Key);
        assert_eq!(p.pin_tries, 3);
        let json = from_text("p.json", r#"{"pin_tries": 8}"#).expect("a profile");
        assert_eq!(json.pin_tries, 8);
    }

    #[test]
    fn a_wrong_file_is_refused_with_its_name() {
        for text in ["versoin = '5.7.4'", "version = '5.7'", "pin_tries = 0"] {
            let e = from_text("bad.toml", text).expect_err("refused");
            assert!(e.to_string().contains("bad.toml"), "{e}");
        }
        assert!(Profile::load("/no/such/file").is_err());
    }
}
