//! Public keys: custodians sign with P-256 on their tokens, hosts with Ed25519.

use std::fmt;

use data_encoding::BASE64;
use ed25519_dalek::pkcs8::{DecodePublicKey as _, EncodePublicKey as _};
use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::{Digest, TrustError};

/// A key's name: SHA-256 over its DER `SubjectPublicKeyInfo` (RFC 5280, section 4.1).
pub type KeyId = Digest;

/// Something that can sign the pre-authentication encoding of an envelope.
///
/// The private half stays with the implementor: a host key in the worker, a token behind PC/SC.
pub trait Signer {
    /// The public key that verifies what [`Signer::sign`] makes.
    fn public(&self) -> PublicKey;

    /// Signs `message` (raw Ed25519, or ECDSA over its SHA-256 as low-S DER).
    fn sign(&self, message: &[u8]) -> Vec<u8>;
}

/// A key that signatures are checked against.
#[derive(Clone, PartialEq, Eq)]
pub enum PublicKey {
    /// RFC 8032; hosts and checkpoints.
    Ed25519(ed25519_dalek::VerifyingKey),
    /// ECDSA over SHA-256 on NIST P-256 (FIPS 186-5); tokens.
    P256(p256::ecdsa::VerifyingKey),
}

impl PublicKey {
    /// Reads a DER `SubjectPublicKeyInfo`.
    pub fn from_spki(der: &[u8]) -> Result<Self, TrustError> {
        if let Ok(key) = ed25519_dalek::VerifyingKey::from_public_key_der(der) {
            return Ok(Self::Ed25519(key));
        }
        p256::ecdsa::VerifyingKey::from_public_key_der(der)
            .map(Self::P256)
            .map_err(|_| TrustError::malformed("public key", "neither Ed25519 nor P-256"))
    }

    /// The DER `SubjectPublicKeyInfo`.
    pub fn to_spki(&self) -> Vec<u8> {
        let der = match self {
            Self::Ed25519(key) => key.to_public_key_der(),
            Self::P256(key) => p256::PublicKey::from(key).to_public_key_der(),
        };
        // Encoding a key that was decoded (or generated) has no failing input.
        der.map(|d| d.into_vec()).unwrap_or_default()
    }

    /// The key's name.
    pub fn id(&self) -> KeyId {
        Digest::of(&self.to_spki())
    }

    /// Whether `signature` is this key's over `message`.
    ///
    /// Ed25519 is checked strictly (no small-order keys); ECDSA must be DER and low-S, so that a signature has one form only.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Ed25519(key) => ed25519_dalek::Signature::from_slice(signature)
                .is_ok_and(|s| key.verify_strict(message, &s).is_ok()),
            Self::P256(key) => p256::ecdsa::Signature::from_der(signature).is_ok_and(|s| {
                s.normalize_s().is_none() && key.verify_prehash(&Digest::of(message).0, &s).is_ok()
            }),
        }
    }

    /// The P-256 point, for keys that shares are sealed to.
    pub fn p256(&self) -> Option<p256::PublicKey> {
        match self {
            Self::P256(key) => Some(key.into()),
            Self::Ed25519(_) => None,
        }
    }
}

impl From<p256::PublicKey> for PublicKey {
    fn from(key: p256::PublicKey) -> Self {
        Self::P256(key.into())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.id())
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&BASE64.encode(&self.to_spki()))
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        let der = BASE64
            .decode(text.as_bytes())
            .map_err(|_| D::Error::custom("a public key is base64 of its SubjectPublicKeyInfo"))?;
        Self::from_spki(&der).map_err(D::Error::custom)
    }
}
