//! What a recovery identity signs with: an Ed25519 key that follows from its 32 bytes, so that a quorum of paper can sign.

use ed25519_dalek::{Signer as _, SigningKey};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::super::{VaultError, VaultIdentity};
use crate::trust::{PublicKey, Signer};

/// HKDF's info: the key serves this and nothing else.
const INFO: &[u8] = b"twotap recovery signer v1";

/// The signing half of a recovery identity: HKDF-SHA256 (RFC 5869) over the 32 bytes, without salt, is the seed of RFC 8032. Its memory
/// is wiped when it goes.
///
/// ```compile_fail,E0277
/// # fn show(secret: twotap::vault::recovery::RecoverySigner) {
/// println!("{secret:?}");
/// # }
/// ```
///
/// ```compile_fail,E0599
/// # fn copy(secret: twotap::vault::recovery::RecoverySigner) {
/// let copy = secret.clone();
/// # }
/// ```
pub struct RecoverySigner(SigningKey);

impl RecoverySigner {
    /// The signer of this identity.
    ///
    /// # Errors
    /// None that can occur; HKDF refuses lengths far above 32 bytes.
    pub fn of(identity: &VaultIdentity) -> Result<Self, VaultError> {
        let mut seed = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(None, identity.expose())
            .expand(INFO, seed.as_mut_slice())
            .map_err(|_| VaultError::malformed("the recovery signer", "it has no seed"))?;
        Ok(Self(SigningKey::from_bytes(&seed)))
    }
}

impl Signer for RecoverySigner {
    fn public(&self) -> PublicKey {
        PublicKey::Ed25519(self.0.verifying_key())
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.0.sign(message).to_bytes().to_vec()
    }
}
