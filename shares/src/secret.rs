//! The bytes that are shared.

use crate::error::Error;
use crate::shamir::{Bytes, zeros};
use subtle::{Choice, ConstantTimeEq};

/// Bytes of the shortest secret (SLIP-0039: at least 128 bits).
pub const SECRET_MIN_BYTES: usize = 16;
/// Bytes of the longest secret: 512 bits, the longest that the standard's own use (BIP-0032 seeds) knows.
pub const SECRET_MAX_BYTES: usize = 64;

/// The secret that is split and recovered: 16 to 64 bytes, an even number of them.
///
/// Its memory is wiped when it is dropped. It cannot be printed, cloned or compared with `==`:
///
/// ```compile_fail,E0277
/// let secret = twotap_shares::Secret::new(&[7; 16]).unwrap();
/// println!("{secret:?}");
/// ```
///
/// ```compile_fail,E0599
/// let secret = twotap_shares::Secret::new(&[7; 16]).unwrap();
/// let copy = secret.clone();
/// ```
///
/// ```compile_fail,E0369
/// let secret = twotap_shares::Secret::new(&[7; 16]).unwrap();
/// assert!(secret == secret);
/// ```
pub struct Secret(Bytes);

impl Secret {
    /// Copies the bytes in; wiping the original is the caller's part.
    ///
    /// # Errors
    /// [`Error::SecretLength`] for anything but 16, 18, ... 64 bytes.
    pub fn new(bytes: &[u8]) -> Result<Secret, Error> {
        let fits = (SECRET_MIN_BYTES..=SECRET_MAX_BYTES).contains(&bytes.len())
            && bytes.len().is_multiple_of(2);
        if !fits {
            return Err(Error::SecretLength { bytes: bytes.len() });
        }
        let mut copy = zeros(bytes.len());
        copy.copy_from_slice(bytes);
        Ok(Secret(copy))
    }

    /// Takes over a buffer whose length was checked before.
    pub(crate) fn from_checked(bytes: Bytes) -> Secret {
        Secret(bytes)
    }

    /// The bytes themselves.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

/// Comparison whose time depends on the lengths alone.
impl ConstantTimeEq for Secret {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.0.as_slice().ct_eq(other.0.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_standards_lengths_are_taken() {
        for len in 0..=80 {
            let taken = Secret::new(&vec![7; len]);
            match len {
                16..=64 if len % 2 == 0 => assert_eq!(taken.unwrap().expose(), vec![7; len]),
                _ => assert_eq!(taken.err(), Some(Error::SecretLength { bytes: len })),
            }
        }
    }

    #[test]
    fn comparing_sees_any_difference() {
        let secret = Secret::new(&[7; 32]).unwrap();
        assert!(bool::from(secret.ct_eq(&Secret::new(&[7; 32]).unwrap())));
        assert!(!bool::from(secret.ct_eq(&Secret::new(&[7; 16]).unwrap())));
        let mut other = [7; 32];
        other[31] = 6;
        assert!(!bool::from(secret.ct_eq(&Secret::new(&other).unwrap())));
    }
}
