//! The key that a vault is sealed to: 32 bytes that can be split into shares, and an age identity.

use rand_core::CryptoRngCore;
use twotap_shares::Secret;
use zeroize::Zeroizing;

use super::VaultError;

const HRP: bech32::Hrp = bech32::Hrp::parse_unchecked("age-secret-key-");
/// `AGE-SECRET-KEY-1`, 52 characters of data, 6 of checksum.
const TEXT_LEN: usize = 16 + 52 + 6;

/// An age X25519 identity by its 32 bytes (<https://c2sp.org/age#the-x25519-recipient-type>): what SLIP-39 splits.
///
/// ```compile_fail,E0277
/// # fn show(secret: twotap::vault::VaultIdentity) {
/// println!("{secret:?}");
/// # }
/// ```
///
/// ```compile_fail,E0599
/// # fn copy(secret: twotap::vault::VaultIdentity) {
/// let copy = secret.clone();
/// # }
/// ```
///
/// ```compile_fail,E0369
/// # fn compare(secret: twotap::vault::VaultIdentity) {
/// assert!(secret == secret);
/// # }
/// ```
pub struct VaultIdentity(Zeroizing<[u8; 32]>);

impl VaultIdentity {
    /// A fresh one.
    pub fn generate(rng: &mut impl CryptoRngCore) -> Result<Self, VaultError> {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.try_fill_bytes(bytes.as_mut_slice())
            .map_err(|_| VaultError::Shares(twotap_shares::Error::Random))?;
        Ok(Self(bytes))
    }

    /// The one that shares were combined to; they must yield 32 bytes.
    pub fn from_secret(secret: &Secret) -> Result<Self, VaultError> {
        let mut bytes = Zeroizing::new([0; 32]);
        if secret.expose().len() != bytes.len() {
            return Err(VaultError::malformed(
                "the shares' secret",
                "it does not have 32 bytes, so it is no age identity",
            ));
        }
        bytes.copy_from_slice(secret.expose());
        Ok(Self(bytes))
    }

    /// The bytes as a secret that can be split.
    pub fn to_secret(&self) -> Result<Secret, VaultError> {
        Ok(Secret::new(self.0.as_slice())?)
    }

    /// The 32 bytes.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// `AGE-SECRET-KEY-1...`, as stock `age -i` reads it.
    pub fn expose_text(&self) -> Result<Zeroizing<String>, VaultError> {
        let mut text = Zeroizing::new(String::with_capacity(TEXT_LEN));
        bech32::encode_upper_to_fmt::<bech32::Bech32, _>(&mut *text, HRP, self.0.as_slice())
            .map_err(|_| VaultError::malformed("the identity", "it has no bech32 form"))?;
        Ok(text)
    }

    /// `age1...`, which files are sealed to.
    pub fn recipient(&self) -> Result<String, VaultError> {
        Ok(self.age()?.to_public().to_string())
    }

    /// Opens an age file that was sealed to it; `what` names the file in errors.
    pub fn decrypt(&self, what: &str, file: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        super::age_file::decrypt(what, file, &self.age()?)
    }

    /// The identity for the `age` crate, which has no constructor from bytes.
    pub(super) fn age(&self) -> Result<age::x25519::Identity, VaultError> {
        self.expose_text()?
            .parse()
            .map_err(|why: &str| VaultError::malformed("the identity", why))
    }
}

/// Reads an age X25519 recipient (`age1...`); `what` names it in errors.
pub(super) fn recipient(what: &str, text: &str) -> Result<age::x25519::Recipient, VaultError> {
    text.parse()
        .map_err(|why: &str| VaultError::malformed(what, why))
}
