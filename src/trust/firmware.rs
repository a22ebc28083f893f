//! What a token's firmware can do, and what is known against it.
//!
//! Both stand in `firmware-notes/firmware.toml`, with a page for each entry beside it: what changes there changes here. The table is data
//! about products; what follows from it for a roster is decided in [`super::standing`].

use std::{fmt, str::FromStr, sync::OnceLock};

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use super::TrustError;

const TABLE: &str = include_str!("../../firmware-notes/firmware.toml");

/// Firmware of a token, in order of age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Firmware {
    /// 5 in 5.7.4.
    pub major: u8,
    /// 7 in 5.7.4.
    pub minor: u8,
    /// 4 in 5.7.4.
    pub patch: u8,
}

/// What not every firmware can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Capability {
    /// Says of a key that it was made on the token.
    Attestation,
    /// Tells its serial number through PIV, and in attestations.
    SerialNumber,
    /// GET METADATA: policies, origin and public half of a key; whether PIN, PUK and management key are the factory's.
    Metadata,
    /// Management keys that are AES keys.
    AesManagementKeys,
    /// The factory's management key is an AES-192 key.
    Aes192Default,
}

/// What a maker has published against some of its products.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Advisory {
    /// The maker's number, e.g. `YSA-2024-03`.
    pub id: String,
    /// What people call it, e.g. `EUCLEAK`.
    pub name: String,
    /// The first firmware that has it, where not all did from the first on.
    #[serde(default, skip_serializing)]
    from: Option<Firmware>,
    /// The first firmware that is sound again.
    #[serde(skip_serializing)]
    before: Firmware,
    /// The first sound firmware of tokens with a fingerprint reader, where that is another one.
    #[serde(default, skip_serializing)]
    bio: Option<Firmware>,
    /// Whether tokens that are no FIPS models are sound.
    #[serde(default, skip_serializing)]
    fips_only: bool,
    /// How bad the maker says it is.
    pub severity: Severity,
    /// What follows.
    pub action: Action,
    /// What it means, in one lower-case line.
    pub what: String,
    /// Its page in `firmware-notes`.
    #[serde(skip_serializing)]
    pub page: String,
}

/// How bad an advisory is, by its publisher's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Low.
    Low,
    /// Moderate.
    Moderate,
    /// High.
    High,
}

/// What follows from an advisory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It is shown.
    Warn,
    /// The token stays out of rosters that do not accept the risk.
    Refuse,
}

/// What decides, besides the firmware, whether an advisory is about a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Model {
    /// Has a fingerprint reader.
    pub bio: bool,
    /// Is a FIPS model. Unknown counts as one: a doubt is shown.
    pub fips: bool,
}

impl Model {
    /// For tokens that say nothing of their model: whatever is true of any is said.
    pub const UNKNOWN: Self = Self {
        bio: false,
        fips: true,
    };
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    capability: Capabilities,
    advisory: Vec<Advisory>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Capabilities {
    attestation: Firmware,
    serial_number: Firmware,
    metadata: Firmware,
    aes_management_keys: Firmware,
    #[serde(rename = "aes-192-default")]
    aes_192_default: Firmware,
}

impl Firmware {
    /// `major.minor.patch`.
    #[must_use]
    pub const fn new(major: u8, minor: u8, patch: u8) -> Self {
        Self {
            major,
            minor,
            patch,
        }
    }

    /// Whether it can do that.
    #[must_use]
    pub fn has(self, capability: Capability) -> bool {
        // A table that cannot be read is found by a test; here it grants nothing.
        table().is_ok_and(|table| {
            let least = &table.capability;
            self >= match capability {
                Capability::Attestation => least.attestation,
                Capability::SerialNumber => least.serial_number,
                Capability::Metadata => least.metadata,
                Capability::AesManagementKeys => least.aes_management_keys,
                Capability::Aes192Default => least.aes_192_default,
            }
        })
    }
}

/// What is known against a token; most recent first.
///
/// # Errors
/// [`TrustError::Malformed`] if the table that this program was built with cannot be read.
pub fn advisories(firmware: Firmware, model: Model) -> Result<Vec<&'static Advisory>, TrustError> {
    Ok(table()?
        .advisory
        .iter()
        .filter(|a| a.is_about(firmware, model))
        .collect())
}

/// The advisory with this number.
///
/// # Errors
/// As [`advisories`].
pub fn advisory(id: &str) -> Result<Option<&'static Advisory>, TrustError> {
    Ok(table()?.advisory.iter().find(|a| a.id == id))
}

/// The numbers of all advisories, for people who misspelt one.
///
/// # Errors
/// As [`advisories`].
pub fn advisory_ids() -> Result<Vec<&'static str>, TrustError> {
    Ok(table()?.advisory.iter().map(|a| a.id.as_str()).collect())
}

impl Advisory {
    fn is_about(&self, firmware: Firmware, model: Model) -> bool {
        let sound = match self.bio {
            Some(bio) if model.bio => bio,
            _ => self.before,
        };
        self.from.is_none_or(|from| firmware >= from)
            && firmware < sound
            && (model.fips || !self.fips_only)
    }
}

impl fmt::Display for Advisory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.id, self.name, self.what)
    }
}

fn table() -> Result<&'static Table, TrustError> {
    static READ: OnceLock<Result<Table, String>> = OnceLock::new();
    READ.get_or_init(|| toml::from_str(TABLE).map_err(|why| why.to_string()))
        .as_ref()
        .map_err(|why| TrustError::malformed("table of firmware", why))
}

impl fmt::Display for Firmware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl FromStr for Firmware {
    type Err = TrustError;

    /// Reads `major.minor.patch`, each 0 to 255.
    fn from_str(text: &str) -> Result<Self, TrustError> {
        let number = |part: &str| {
            let plain = part.bytes().all(|b| b.is_ascii_digit());
            part.parse::<u8>().ok().filter(|_| plain)
        };
        let parts: Option<Vec<u8>> = text.split('.').map(number).collect();
        match parts.as_deref() {
            Some([major, minor, patch]) => Ok(Self::new(*major, *minor, *patch)),
            _ => Err(TrustError::malformed(
                "firmware version",
                "it is not three numbers like 5.7.4",
            )),
        }
    }
}

impl<'de> Deserialize<'de> for Firmware {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?
            .parse()
            .map_err(|why: TrustError| D::Error::custom(why.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(firmware: &str, model: Model) -> Vec<&'static str> {
        let firmware = firmware.parse().unwrap();
        let found = advisories(firmware, model).unwrap();
        found.into_iter().map(|a| a.id.as_str()).collect()
    }

    #[test]
    fn the_table_can_be_read_and_every_entry_has_its_page() {
        let table = table().expect("a good table");
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("firmware-notes");
        for advisory in &table.advisory {
            let page = std::fs::read_to_string(folder.join(&advisory.page)).expect(&advisory.page);
            assert!(page.contains(&advisory.id), "{}", advisory.page);
        }
        // Each capability names its page in a comment.
        let pages = TABLE
            .lines()
            .filter_map(|l| l.split_once("# ")?.1.strip_suffix(".md"));
        let pages: Vec<&str> = pages.collect();
        assert_eq!(pages.len(), 5);
        for page in pages {
            assert!(folder.join(format!("{page}.md")).exists(), "{page}");
        }
    }

    #[test]
    fn milestones_are_where_they_are() {
        use Capability as C;
        for (capability, first, before) in [
            (C::Attestation, "4.3.0", "4.2.8"),
            (C::SerialNumber, "5.0.0", "4.4.5"),
            (C::Metadata, "5.3.0", "5.2.7"),
            (C::AesManagementKeys, "5.4.2", "5.4.1"),
            (C::Aes192Default, "5.7.0", "5.4.3"),
        ] {
            let at = |text: &str| text.parse::<Firmware>().unwrap().has(capability);
            assert!(at(first) && !at(before), "{capability:?}");
        }
    }

    #[test]
    fn each_advisory_has_its_range() {
        let plain = Model::default();
        let bio = Model { bio: true, ..plain };
        let fips = Model {
            fips: true,
            ..plain
        };
        assert_eq!(ids("5.7.0", plain), [""; 0]);
        assert_eq!(ids("5.6.9", plain), ["YSA-2024-03"]);
        assert_eq!(ids("5.7.1", bio), ["YSA-2024-03"]);
        assert_eq!(ids("5.7.2", bio), [""; 0]);
        assert_eq!(ids("4.3.4", plain), ["YSA-2024-03", "YSA-2017-01"]);
        assert_eq!(ids("4.3.5", plain), ["YSA-2024-03"]);
        assert_eq!(ids("4.1.9", plain), ["YSA-2024-03"]);
        assert_eq!(ids("4.4.4", plain), ["YSA-2024-03"]);
        assert_eq!(ids("4.4.4", fips), ["YSA-2024-03", "YSA-2019-02"]);
        assert_eq!(ids("4.4.2", Model::UNKNOWN), ["YSA-2024-03", "YSA-2019-02"]);
        assert_eq!(ids("4.4.5", fips), ["YSA-2024-03"]);
        assert_eq!(advisory("YSA-2024-03").unwrap().unwrap().name, "EUCLEAK");
        assert_eq!(advisory("YSA-2024-30").unwrap(), None);
    }

    #[test]
    fn versions_are_three_plain_numbers() {
        let parsed = "5.7.4".parse::<Firmware>().unwrap();
        assert_eq!(
            (parsed, parsed.to_string().as_str()),
            (Firmware::new(5, 7, 4), "5.7.4")
        );
        for bad in ["", "5.7", "5.7.4.1", "5.7.256", "+5.7.4", "5..4", " 5.7.4"] {
            assert!(bad.parse::<Firmware>().is_err(), "{bad}");
        }
        assert!(Firmware::new(5, 7, 0) > Firmware::new(5, 4, 3));
    }
}
