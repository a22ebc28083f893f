//! When a key on a token wants its owner.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_survive_their_byte() {
        for byte in 0..=255 {
            assert_eq!(PinPolicy::from_byte(byte).byte(), byte);
            assert_eq!(TouchPolicy::from_byte(byte).byte(), byte);
        }
    }
}
