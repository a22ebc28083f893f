//! Names of what a token holds: slots, policies, firmware.

use std::fmt;

/// A retired key management slot, 0x82 to 0x95 (NIST SP 800-73-4, table 4b). Those are the ones that nothing
/// else on the machine takes by itself, and the only ones that twotap uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(u8);

impl Slot {
    /// Where the approve key goes if the slot is free.
    pub const APPROVE: Self = Self(0x82);
    /// Where the unseal key goes if the slot is free.
    pub const UNSEAL: Self = Self(0x83);

    /// The slot with this key reference, if it is a retired one.
    #[must_use]
    pub fn parse(reference: u8) -> Option<Self> {
        matches!(reference, 0x82..=0x95).then_some(Self(reference))
    }

    /// All twenty, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0x82..=0x95).map(Self)
    }

    /// Key reference on the wire, 0x82 to 0x95.
    #[must_use]
    pub fn reference(self) -> u8 {
        self.0
    }

    /// Data object that holds the certificate: 5FC10D to 5FC120.
    pub(super) fn object(self) -> [u8; 3] {
        [0x5f, 0xc1, 0x0d + (self.0 - 0x82)]
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}", self.0)
    }
}

/// When a key wants the PIN (Yubico PIV extensions, "PIN and touch policies").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PinPolicy {
    /// Never (01).
    Never,
    /// Once while the application stays selected and the card unreset (02).
    Once,
    /// Directly before each use (03).
    Always,
    /// One that this program does not know, e.g. a fingerprint on a YubiKey Bio (04, 05).
    Other(u8),
}

/// When a key wants a touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TouchPolicy {
    /// Never (01).
    Never,
    /// For each use (02).
    Always,
    /// Unless the token was touched in the 15 seconds before (03).
    Cached,
    /// One that this program does not know.
    Other(u8),
}

impl PinPolicy {
    /// From its byte on the wire.
    #[must_use]
    pub fn from_byte(byte: u8) -> Self {
        match byte {
            1 => Self::Never,
            2 => Self::Once,
            3 => Self::Always,
            other => Self::Other(other),
        }
    }

    /// Its byte on the wire.
    #[must_use]
    pub fn byte(self) -> u8 {
        match self {
            Self::Never => 1,
            Self::Once => 2,
            Self::Always => 3,
            Self::Other(other) => other,
        }
    }
}

impl TouchPolicy {
    /// From its byte on the wire.
    #[must_use]
    pub fn from_byte(byte: u8) -> Self {
        match byte {
            1 => Self::Never,
            2 => Self::Always,
            3 => Self::Cached,
            other => Self::Other(other),
        }
    }

    /// Its byte on the wire.
    #[must_use]
    pub fn byte(self) -> u8 {
        match self {
            Self::Never => 1,
            Self::Always => 2,
            Self::Cached => 3,
            Self::Other(other) => other,
        }
    }
}

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

impl Firmware {
    /// The first that tells its serial number through PIV.
    pub(super) const SERIAL: Self = Self::new(5, 0, 0);
    /// The first with GET METADATA.
    pub(super) const METADATA: Self = Self::new(5, 3, 0);
    /// The first with AES management keys.
    pub(super) const AES: Self = Self::new(5, 4, 2);

    /// `major.minor.patch`.
    #[must_use]
    pub const fn new(major: u8, minor: u8, patch: u8) -> Self {
        Self {
            major,
            minor,
            patch,
        }
    }
}

impl fmt::Display for Firmware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_retired_slots_parse_and_each_has_its_object() {
        assert_eq!(Slot::all().count(), 20);
        assert_eq!(
            Slot::parse(0x82).map(Slot::object),
            Some([0x5f, 0xc1, 0x0d])
        );
        assert_eq!(
            Slot::parse(0x95).map(Slot::object),
            Some([0x5f, 0xc1, 0x20])
        );
        for reference in [0x00, 0x81, 0x96, 0x9a, 0x9b, 0x9c, 0xf9] {
            assert_eq!(Slot::parse(reference), None);
        }
        assert_eq!(Slot::APPROVE.to_string(), "82");
    }

    #[test]
    fn policies_survive_their_byte_and_firmware_is_ordered() {
        for byte in 0..=255 {
            assert_eq!(PinPolicy::from_byte(byte).byte(), byte);
            assert_eq!(TouchPolicy::from_byte(byte).byte(), byte);
        }
        assert!(Firmware::new(5, 7, 0) > Firmware::new(5, 4, 3));
        assert_eq!(Firmware::new(5, 7, 4).to_string(), "5.7.4");
    }
}
