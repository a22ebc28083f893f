//! Names of what a token holds.

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
}
