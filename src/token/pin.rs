//! PIN and PUK as typed by a person: parsed once, padded as the token wants them, wiped when dropped.

use std::fmt;
use zeroize::Zeroizing;

/// Bytes of a PIN on the wire; shorter ones are padded with FF (NIST SP 800-73-4 part 2, 2.4.3).
pub(super) const PADDED: usize = 8;

/// A PIN of 6 to 8 bytes. Neither shown, copied nor compared; wiped when dropped.
///
/// ```compile_fail,E0277
/// # fn show(secret: twotap::token::Pin) {
/// println!("{secret:?}");
/// # }
/// ```
///
/// ```compile_fail,E0599
/// # fn copy(secret: twotap::token::Pin) {
/// let copy = secret.clone();
/// # }
/// ```
///
/// ```compile_fail,E0369
/// # fn compare(secret: twotap::token::Pin) {
/// assert!(secret == secret);
/// # }
/// ```
pub struct Pin(Zeroizing<[u8; PADDED]>);

/// A PUK of 6 to 8 bytes, under the same rules as [`Pin`].
///
/// ```compile_fail,E0277
/// # fn show(secret: twotap::token::Puk) {
/// println!("{secret:?}");
/// # }
/// ```
///
/// ```compile_fail,E0599
/// # fn copy(secret: twotap::token::Puk) {
/// let copy = secret.clone();
/// # }
/// ```
///
/// ```compile_fail,E0369
/// # fn compare(secret: twotap::token::Puk) {
/// assert!(secret == secret);
/// # }
/// ```
pub struct Puk(Pin);

/// Why typed text is no PIN. It says nothing about the text itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PinError {
    /// Fewer than 6 bytes.
    TooShort,
    /// More than 8 bytes.
    TooLong,
    /// A touch typed a one-time password into the prompt.
    Otp,
    /// Control characters, which no keyboard types into a PIN.
    Unprintable,
}

impl Pin {
    /// Takes what was typed, without the newline.
    ///
    /// # Errors
    /// [`PinError`] when it has not 6 to 8 bytes, has control characters, or is what a YubiKey types when it
    /// is touched at the wrong moment.
    pub fn parse(typed: &[u8]) -> Result<Self, PinError> {
        if is_otp(typed) {
            return Err(PinError::Otp);
        }
        match typed.len() {
            ..6 => return Err(PinError::TooShort),
            6..=PADDED => {}
            _ => return Err(PinError::TooLong),
        }
        if typed.iter().any(u8::is_ascii_control) {
            return Err(PinError::Unprintable);
        }
        let mut padded = Zeroizing::new([0xff; PADDED]);
        padded[..typed.len()].copy_from_slice(typed);
        Ok(Self(padded))
    }

    pub(super) fn padded(&self) -> &[u8; PADDED] {
        &self.0
    }
}

impl Puk {
    /// Takes what was typed, without the newline.
    ///
    /// # Errors
    /// As [`Pin::parse`].
    pub fn parse(typed: &[u8]) -> Result<Self, PinError> {
        Pin::parse(typed).map(Self)
    }

    pub(super) fn padded(&self) -> &[u8; PADDED] {
        self.0.padded()
    }
}

/// A one-time password ends in 32 characters of modhex, after a public part of 12 by default, and perhaps
/// after the beginning of a PIN (<https://developers.yubico.com/OTP/OTPs_Explained.html>).
fn is_otp(typed: &[u8]) -> bool {
    typed
        .last_chunk::<32>()
        .is_some_and(|tail| tail.iter().all(|byte| b"cbdefghijklnrtuv".contains(byte)))
}

impl fmt::Display for PinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooShort => "too short for a pin: it has 6 to 8 characters",
            Self::TooLong => "too long for a pin: it has 6 to 8 characters",
            Self::Otp => "that is a one-time password, not a pin: the token was touched too early",
            Self::Unprintable => "a pin has no control characters",
        })
    }
}

impl PinError {
    /// What to do, as one lower-case line.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Otp => Some("type the pin first; touch the token only when you are asked to"),
            _ => None,
        }
    }
}

impl std::error::Error for PinError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(typed: &str) -> Option<PinError> {
        Pin::parse(typed.as_bytes()).err()
    }

    #[test]
    fn six_to_eight_bytes_are_padded_with_ff() {
        let pin = Pin::parse(b"123456").ok().unwrap();
        assert_eq!(pin.padded(), b"123456\xff\xff");
        assert!(Pin::parse(b"12345678").is_ok());
        assert_eq!(error("12345"), Some(PinError::TooShort));
        assert_eq!(error("123456789"), Some(PinError::TooLong));
        // Bytes count, not characters: the token sees four umlauts as eight.
        assert!(error("öäüö").is_none());
        assert_eq!(error("12345\n"), Some(PinError::Unprintable));
        assert_eq!(Puk::parse(b"1234").err(), Some(PinError::TooShort));
    }

    #[test]
    fn a_one_time_password_is_told_apart() {
        let otp = "cccccccfhcbelrhifnjrrddcgrburluurftrgfdrdifj";
        assert_eq!(otp.len(), 44);
        assert_eq!(error(otp), Some(PinError::Otp));
        assert_eq!(error(&format!("1234{otp}")), Some(PinError::Otp));
        assert_eq!(error(&otp.to_uppercase()), Some(PinError::TooLong));
        assert!(PinError::Otp.hint().is_some());
    }
}
