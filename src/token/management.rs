//! The management key: which kind it is, the mutual authentication with it, and its place on the token.
//!
//! A changed key is kept on the token itself, readable with the PIN, where ykman puts and finds it: object
//! 5FC109 holds `88 { 89 key }`, object 5FFF00 holds `80 { 81 flags }` with flag 02 for "stored"
//! (<https://docs.yubico.com/yesdk/users-manual/application-piv/piv-objects.html>, "PIN-protected").

use super::apdu::Card;
use super::{Capability, Firmware, TokenError, piv, session, tlv};
use aes::cipher::generic_array::GenericArray;
use aes::cipher::{BlockDecrypt, BlockEncrypt, KeyInit};
use rand_core::{OsRng, RngCore};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Yubico's "printed information" object, which can be read with the PIN alone.
pub(super) const PROTECTED_OBJECT: [u8; 3] = [0x5f, 0xc1, 0x09];
/// ykman's notes about a token, readable by anyone.
pub(super) const NOTES_OBJECT: [u8; 3] = [0x5f, 0xff, 0x00];
const STORED: u8 = 0x02;

/// Kind of management key (Yubico PIV extensions, "AES management keys").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ManagementAlgorithm {
    /// Three-key triple DES, 24 bytes; the default before firmware 5.7.
    Tdes,
    /// AES with 16 bytes.
    Aes128,
    /// AES with 24 bytes; the default from firmware 5.7 on.
    Aes192,
    /// AES with 32 bytes.
    Aes256,
}

impl ManagementAlgorithm {
    fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0x03 => Self::Tdes,
            0x08 => Self::Aes128,
            0x0a => Self::Aes192,
            0x0c => Self::Aes256,
            _ => return None,
        })
    }

    pub(super) fn byte(self) -> u8 {
        match self {
            Self::Tdes => 0x03,
            Self::Aes128 => 0x08,
            Self::Aes192 => 0x0a,
            Self::Aes256 => 0x0c,
        }
    }

    fn key_length(self) -> usize {
        match self {
            Self::Tdes | Self::Aes192 => 24,
            Self::Aes128 => 16,
            Self::Aes256 => 32,
        }
    }

    fn block(self) -> usize {
        match self {
            Self::Tdes => 8,
            _ => 16,
        }
    }

    /// What a new key should be on this firmware: AES-192, as the factory does from 5.7 on, where AES exists.
    #[must_use]
    pub fn preferred(firmware: Firmware) -> Self {
        if firmware.has(Capability::AesManagementKeys) {
            Self::Aes192
        } else {
            Self::Tdes
        }
    }
}

/// A management key. Neither shown, copied nor compared; wiped when dropped.
///
/// ```compile_fail,E0277
/// # fn show(secret: twotap::token::ManagementKey) {
/// println!("{secret:?}");
/// # }
/// ```
///
/// ```compile_fail,E0599
/// # fn copy(secret: twotap::token::ManagementKey) {
/// let copy = secret.clone();
/// # }
/// ```
///
/// ```compile_fail,E0369
/// # fn compare(secret: twotap::token::ManagementKey) {
/// assert!(secret == secret);
/// # }
/// ```
pub struct ManagementKey(Zeroizing<Vec<u8>>);

impl ManagementKey {
    /// Takes 16, 24 or 32 bytes.
    #[must_use]
    pub fn from_bytes(bytes: Zeroizing<Vec<u8>>) -> Option<Self> {
        matches!(bytes.len(), 16 | 24 | 32).then_some(Self(bytes))
    }

    /// What the factory sets, in either default algorithm.
    pub(super) fn factory() -> Self {
        Self(Zeroizing::new([1, 2, 3, 4, 5, 6, 7, 8].repeat(3)))
    }

    pub(super) fn random(algorithm: ManagementAlgorithm) -> Self {
        let mut bytes = Zeroizing::new(vec![0; algorithm.key_length()]);
        OsRng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The management key's kind, and whether it still is the factory's (unknown before firmware 5.3).
pub(super) fn kind(
    card: &mut dyn Card,
    firmware: Firmware,
) -> Result<(ManagementAlgorithm, Option<bool>), TokenError> {
    const MALFORMED: TokenError = TokenError::Malformed {
        what: "get metadata",
    };
    // A token that does not tell has triple DES: AES came later than this command.
    let Some(metadata) = session::told(piv::metadata(card, firmware, piv::MANAGEMENT))? else {
        return Ok((ManagementAlgorithm::Tdes, None));
    };
    let metadata = metadata.ok_or(MALFORMED)?;
    let algorithm = metadata
        .algorithm
        .and_then(ManagementAlgorithm::from_byte)
        .ok_or(MALFORMED)?;
    Ok((algorithm, metadata.default))
}

/// Mutual authentication: we decrypt the card's witness, the card encrypts our challenge.
pub(super) fn authenticate(
    card: &mut dyn Card,
    algorithm: ManagementAlgorithm,
    key: &ManagementKey,
) -> Result<(), TokenError> {
    const WHAT: &str = "the management key";
    if key.0.len() != algorithm.key_length() {
        return Err(TokenError::ManagementKeyWrong);
    }
    let ask = tlv::element(0x80, &[]);
    let reply = piv::authenticate(card, algorithm.byte(), &ask)?.ok(WHAT)?;
    let witness = tlv::within(&reply, &[0x7c, 0x80], WHAT)?;
    if witness.len() != algorithm.block() {
        return Err(TokenError::Malformed { what: WHAT });
    }
    let mut witness = Zeroizing::new(witness.to_vec());
    crypt(algorithm, key, &mut witness, Direction::Decrypt);

    let mut challenge = Zeroizing::new(vec![0; algorithm.block()]);
    OsRng.fill_bytes(&mut challenge);
    let answer = Zeroizing::new(
        [
            &tlv::element(0x80, &[&witness])[..],
            &tlv::element(0x81, &[&challenge]),
        ]
        .concat(),
    );
    let reply = piv::authenticate(card, algorithm.byte(), &answer)?;
    if matches!(reply.status, 0x6982 | 0x6a80) {
        return Err(TokenError::ManagementKeyWrong);
    }
    let reply = reply.ok(WHAT)?;
    crypt(algorithm, key, &mut challenge, Direction::Encrypt);
    let proof = tlv::within(&reply, &[0x7c, 0x82], WHAT)?;
    match bool::from(proof.ct_eq(&challenge)) {
        true => Ok(()),
        false => Err(TokenError::ManagementKeyWrong),
    }
}

#[derive(Clone, Copy)]
enum Direction {
    Encrypt,
    Decrypt,
}

/// One block; lengths were checked by the caller.
fn crypt(algorithm: ManagementAlgorithm, key: &ManagementKey, block: &mut [u8], way: Direction) {
    fn one<C: KeyInit + BlockEncrypt + BlockDecrypt>(key: &[u8], block: &mut [u8], way: Direction) {
        let Ok(cipher) = C::new_from_slice(key) else {
            return;
        };
        let block = GenericArray::from_mut_slice(block);
        match way {
            Direction::Encrypt => cipher.encrypt_block(block),
            Direction::Decrypt => cipher.decrypt_block(block),
        }
    }
    match algorithm {
        ManagementAlgorithm::Tdes => one::<des::TdesEde3>(key.bytes(), block, way),
        ManagementAlgorithm::Aes128 => one::<aes::Aes128>(key.bytes(), block, way),
        ManagementAlgorithm::Aes192 => one::<aes::Aes192>(key.bytes(), block, way),
        ManagementAlgorithm::Aes256 => one::<aes::Aes256>(key.bytes(), block, way),
    }
}

/// The key that is stored under the PIN, if the notes say that there is one. The PIN must be verified.
pub(super) fn stored(card: &mut dyn Card) -> Result<Option<ManagementKey>, TokenError> {
    let notes = piv::object(card, NOTES_OBJECT)?;
    if notes
        .as_deref()
        .and_then(|notes| flags(notes))
        .is_none_or(|flags| flags & STORED == 0)
    {
        return Ok(None);
    }
    let Some(object) = piv::object(card, PROTECTED_OBJECT)? else {
        return Ok(None);
    };
    let key = tlv::within(&object, &[0x88, 0x89], "the stored management key")?;
    Ok(ManagementKey::from_bytes(Zeroizing::new(key.to_vec())))
}

fn flags(notes: &[u8]) -> Option<u8> {
    match tlv::find(tlv::find(notes, 0x80)?, 0x81)? {
        [flags] => Some(*flags),
        _ => None,
    }
}

/// Replaces the management key, which is authenticated, by a random one that is kept under the PIN, which is
/// verified; then proves it.
///
/// The new key is on the token, and noted, before it counts: killed at any point, either the factory's key
/// still works (which the token tells) or the new one is found. Only a former key that was stored as well is
/// overwritten a moment before it stops to count.
pub(super) fn replace(
    card: &mut dyn Card,
    algorithm: ManagementAlgorithm,
) -> Result<(), TokenError> {
    let notes = piv::object(card, NOTES_OBJECT)?;
    let before = piv::object(card, PROTECTED_OBJECT)?;
    let notes = notes.as_deref().map_or(&[][..], |notes| notes);
    let key = ManagementKey::random(algorithm);
    let protected = tlv::element(0x88, &[&tlv::element(0x89, &[key.bytes()])]);
    piv::put_object(card, PROTECTED_OBJECT, &protected)?;
    piv::put_object(card, NOTES_OBJECT, &noted(notes))?;
    if let Err(error) = piv::set_management_key(card, algorithm.byte(), key.bytes()) {
        // The former key still counts: put back what was there, or nothing. What matters to the caller is
        // why it was refused.
        let _ = piv::put_object(card, NOTES_OBJECT, notes);
        let _ = piv::put_object(card, PROTECTED_OBJECT, before.as_deref().map_or(&[], |b| b));
        return Err(error);
    }
    let key = stored(card)?.ok_or(TokenError::ManagementKeyNeeded)?;
    authenticate(card, algorithm, &key)
}

/// The notes with "stored" set, a salt (82) of a key once derived from the PIN left out, the rest kept.
fn noted(notes: &[u8]) -> Zeroizing<Vec<u8>> {
    let inner = tlv::find(notes, 0x80).unwrap_or_default();
    let flags = flags(notes).unwrap_or_default() | STORED;
    let mut kept = vec![];
    let mut rest = inner;
    while let Some((tag, value, after)) = tlv::first(rest) {
        if !matches!(tag, 0x81 | 0x82) {
            kept.extend_from_slice(&tlv::element(tag, &[value]));
        }
        rest = after;
    }
    tlv::element(0x80, &[&tlv::element(0x81, &[&[flags]]), &kept])
}

#[cfg(test)]
mod tests;
