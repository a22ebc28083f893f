//! Shares sealed to a token: age's `piv-p256` stanza, written and read, and `p256tag`, read.
//!
//! `piv-p256` is what age-plugin-yubikey 0.5 writes and reads (its `src/format.rs`):
//!
//! ```text
//! -> piv-p256 base64(SHA-256(pk)[..4]) base64(epk)
//! base64(32-byte body)
//! key  = HKDF-SHA256(ikm = ECDH x, salt = epk || pk, info = "piv-p256")        both points compressed, 33 bytes
//! body = ChaCha20-Poly1305(key, nonce = 0, 16-byte file key)
//! ```
//!
//! `p256tag` is its successor in the specification (<https://c2sp.org/age#the-p256tag-recipient-type>).
//!
//! A token does one thing for us: it multiplies a point with its key. [`Ecdh`] is that operation in one call. Where it has to
//! happen inside a transaction with others, [`SealedShare`] splits the work: [`SealedShare::peer_point_for`] gives the point for the
//! token, [`SealedShare::open_with_shared`] takes what came back.

use std::{collections::HashSet, fmt};

use age::{DecryptError, EncryptError};
use age_core::{
    format::{FILE_KEY_BYTES, FileKey, Stanza},
    secrecy::ExposeSecret as _,
};
use chacha20poly1305::{AeadInPlace as _, ChaCha20Poly1305, KeyInit as _, Tag};
use data_encoding::BASE64_NOPAD;
use hkdf::Hkdf;
use p256::elliptic_curve::sec1::ToEncodedPoint as _;
use rand_core::OsRng;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::{VaultError, age_file, hpke};

const PIV_P256: &str = "piv-p256";
const P256TAG: &str = "p256tag";
const P256TAG_INFO: &[u8] = b"age-encryption.org/p256tag";
const BODY_BYTES: usize = FILE_KEY_BYTES + 16;
/// What errors call a share file.
const WHAT: &str = "the share file";

/// One multiplication by a private key that never leaves its token.
pub trait Ecdh {
    /// The x coordinate of private key times `peer` (an uncompressed point, `04 || x || y`), or why there is none.
    fn shared(&self, peer: &[u8; 65]) -> Result<Zeroizing<[u8; 32]>, String>;

    /// The public half.
    fn public(&self) -> p256::PublicKey;
}

/// A token's unseal key as an age recipient that writes `piv-p256`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient(p256::PublicKey);

impl Recipient {
    /// The recipient of a public key.
    pub fn new(key: p256::PublicKey) -> Self {
        Self(key)
    }
}

impl fmt::Display for Recipient {
    /// `age1yubikey1...`, as age-plugin-yubikey prints it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const HRP: bech32::Hrp = bech32::Hrp::parse_unchecked("age1yubikey");
        bech32::encode_lower_to_fmt::<bech32::Bech32, _>(f, HRP, &compressed(&self.0))
            .map_err(|_| fmt::Error)
    }
}

impl age::Recipient for Recipient {
    fn wrap_file_key(
        &self,
        file_key: &FileKey,
    ) -> Result<(Vec<Stanza>, HashSet<String>), EncryptError> {
        let ephemeral = p256::ecdh::EphemeralSecret::random(&mut OsRng);
        let epk = compressed(&ephemeral.public_key());
        let pk = compressed(&self.0);
        let shared = ephemeral.diffie_hellman(&self.0);
        let key = piv_key(shared.raw_secret_bytes(), &epk, &pk);

        let failed = || EncryptError::Io(std::io::Error::other("the file key was not encrypted"));
        // Only the first 16 bytes are ever secret, and they are encrypted where they lie.
        let mut body = vec![0; BODY_BYTES];
        let (sealed, tag) = body.split_at_mut(FILE_KEY_BYTES);
        sealed.copy_from_slice(file_key.expose_secret());
        let mac = ChaCha20Poly1305::new(key.as_slice().into())
            .encrypt_in_place_detached(&[0; 12].into(), b"", sealed)
            .map_err(|_| failed())?;
        tag.copy_from_slice(&mac);

        let stanza = Stanza {
            tag: PIV_P256.to_owned(),
            args: vec![
                BASE64_NOPAD.encode(&key_tag(&pk)),
                BASE64_NOPAD.encode(&epk),
            ],
            body,
        };
        Ok((vec![stanza], HashSet::new()))
    }
}

/// An age identity over an [`Ecdh`]: opens `piv-p256` and `p256tag`.
pub struct Identity<'e>(pub &'e dyn Ecdh);

impl age::Identity for Identity<'_> {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        let public = self.0.public();
        let wrapped = match Wrapped::for_key(stanza, &public) {
            Ok(wrapped) => wrapped?,
            Err(why) => return Some(Err(why)),
        };
        Some(match self.0.shared(&uncompressed(&wrapped.peer)) {
            Ok(shared) => wrapped.unwrap(&public, &shared),
            Err(why) => Err(DecryptError::Io(std::io::Error::other(why))),
        })
    }
}

/// A share file, its header read: to be opened with a token's help.
#[derive(Debug)]
pub struct SealedShare {
    file: Vec<u8>,
    stanzas: Vec<Stanza>,
}

impl SealedShare {
    /// Reads the header of an age file. What it says is authenticated only when the file is opened.
    pub fn parse(file: &[u8]) -> Result<Self, VaultError> {
        Ok(Self {
            file: file.to_vec(),
            stanzas: age_file::stanzas(WHAT, file)?,
        })
    }

    /// The point (uncompressed, `04 || x || y`) that the token with this key is to multiply.
    ///
    /// # Errors
    /// [`VaultError::NotForThisKey`] when no stanza is for it, [`VaultError::Malformed`] when one is broken.
    pub fn peer_point_for(&self, public: &p256::PublicKey) -> Result<[u8; 65], VaultError> {
        Ok(uncompressed(&self.wrapped_for(public)?.peer))
    }

    /// Opens the file with what the token made of [`SealedShare::peer_point_for`]: the x coordinate.
    pub fn open_with_shared(
        self,
        public: &p256::PublicKey,
        shared: &Zeroizing<[u8; 32]>,
    ) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let key = self
            .wrapped_for(public)?
            .unwrap(public, shared)
            .map_err(|_| VaultError::Tampered {
                what: WHAT.to_owned(),
            })?;
        age_file::decrypt(WHAT, &self.file, &Known(key))
    }

    /// Opens the file in one go, where nothing else has to happen beside the multiplication.
    pub fn open(self, token: &dyn Ecdh) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let public = token.public();
        let peer = self.peer_point_for(&public)?;
        let shared = token
            .shared(&peer)
            .map_err(|why| VaultError::Token { why })?;
        self.open_with_shared(&public, &shared)
    }

    fn wrapped_for(&self, public: &p256::PublicKey) -> Result<Wrapped, VaultError> {
        for stanza in &self.stanzas {
            let found = Wrapped::for_key(stanza, public)
                .map_err(|_| VaultError::malformed(WHAT, "a stanza for tokens is malformed"))?;
            if let Some(wrapped) = found {
                return Ok(wrapped);
            }
        }
        Err(VaultError::NotForThisKey {
            what: WHAT.to_owned(),
        })
    }
}

/// An identity whose file key is already known.
struct Known(FileKey);

impl age::Identity for Known {
    fn unwrap_stanza(&self, _: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        Some(Ok(FileKey::init_with_mut(|key| {
            key.copy_from_slice(self.0.expose_secret())
        })))
    }
}

/// A file key, wrapped to a token.
struct Wrapped {
    kind: Kind,
    peer: p256::PublicKey,
    body: [u8; BODY_BYTES],
}

#[derive(Clone, Copy)]
enum Kind {
    PivP256,
    P256Tag,
}

impl Wrapped {
    /// The stanza, if it is for `public`; an error if it is of our kinds and malformed.
    fn for_key(stanza: &Stanza, public: &p256::PublicKey) -> Result<Option<Self>, DecryptError> {
        let kind = match stanza.tag.as_str() {
            PIV_P256 => Kind::PivP256,
            P256TAG => Kind::P256Tag,
            _ => return Ok(None),
        };
        let (tag, point) = match (&stanza.args[..], kind) {
            ([tag, point], Kind::PivP256) => {
                (decode::<4>(tag), decode::<33>(point).map(|p| p.to_vec()))
            }
            ([tag, point], Kind::P256Tag) => {
                (decode::<4>(tag), decode::<65>(point).map(|p| p.to_vec()))
            }
            _ => (None, None),
        };
        let body = stanza.body.as_slice().try_into().ok();
        let (Some(tag), Some(point), Some(body)) = (tag, point, body) else {
            return Err(DecryptError::InvalidHeader);
        };
        // Refuses points that are not on the curve: a token might not.
        let peer =
            p256::PublicKey::from_sec1_bytes(&point).map_err(|_| DecryptError::InvalidHeader)?;
        let ours = key_tag(&compressed(public));
        let expected = match kind {
            Kind::PivP256 => ours,
            Kind::P256Tag => {
                let full = hpke::hmac(P256TAG_INFO, &[&point, &ours]);
                [full[0], full[1], full[2], full[3]]
            }
        };
        Ok((tag == expected).then_some(Self { kind, peer, body }))
    }

    fn unwrap(&self, public: &p256::PublicKey, shared: &[u8; 32]) -> Result<FileKey, DecryptError> {
        let (key, nonce) = match self.kind {
            Kind::PivP256 => (
                piv_key(shared, &compressed(&self.peer), &compressed(public)),
                [0; 12],
            ),
            Kind::P256Tag => hpke::open_key(
                shared,
                &uncompressed(&self.peer),
                &uncompressed(public),
                P256TAG_INFO,
            )
            .ok_or(DecryptError::DecryptionFailed)?,
        };
        let (sealed, tag) = self.body.split_at(FILE_KEY_BYTES);
        FileKey::try_init_with_mut(|file_key| {
            file_key.copy_from_slice(sealed);
            ChaCha20Poly1305::new(key.as_slice().into())
                .decrypt_in_place_detached(&nonce.into(), b"", file_key, Tag::from_slice(tag))
                .map_err(|_| DecryptError::DecryptionFailed)
        })
    }
}

fn piv_key(shared: &[u8], epk: &[u8; 33], pk: &[u8; 33]) -> Zeroizing<[u8; 32]> {
    let salt = [&epk[..], pk].concat();
    let mut key = Zeroizing::new([0; 32]);
    // 32 bytes are far below HKDF's limit of 255 blocks.
    Hkdf::<Sha256>::new(Some(&salt), shared)
        .expand(PIV_P256.as_bytes(), key.as_mut_slice())
        .unwrap_or_else(|_| unreachable!());
    key
}

/// What names a key in a stanza: the start of the SHA-256 of the compressed point.
fn key_tag(compressed: &[u8; 33]) -> [u8; 4] {
    let digest = Sha256::digest(compressed);
    [digest[0], digest[1], digest[2], digest[3]]
}

fn compressed(key: &p256::PublicKey) -> [u8; 33] {
    let mut out = [0; 33];
    out.copy_from_slice(key.to_encoded_point(true).as_bytes());
    out
}

fn uncompressed(key: &p256::PublicKey) -> [u8; 65] {
    let mut out = [0; 65];
    out.copy_from_slice(key.to_encoded_point(false).as_bytes());
    out
}

/// Base64 without padding of exactly `N` bytes, in its one canonical form.
fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    BASE64_NOPAD.decode(text.as_bytes()).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests;
