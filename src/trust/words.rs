//! Six words to compare on a call.
//!
//! The words are 60 bits of an scrypt hash (RFC 7914; N = 2^15, r = 8, p = 1, about 100 ms), so that somebody who would make two
//! documents share their words has to pay that price for each try within the few minutes that a request lives.

use scrypt::Params;

use super::{Digest, TrustError, roster::SlotKey};

/// How many words.
pub const COUNT: usize = 6;

/// How likely it is at most that any two of so many documents share their words: each pair with one chance in 2^60.
///
/// Two documents that share them are of use only where the host has signed both, while both wait for approvals. So what counts is how many offers a
/// host can be made to sign in half an hour, and that is bounded by the few that may wait at once and by the process that each takes to make.
pub fn collision_bound(documents: u64) -> f64 {
    let n = documents as f64;
    n * (n - 1.0) / 2.0 / 2f64.powi(10 * COUNT as i32)
}

/// The verification words of a document's digest; the same for everybody who holds the same bytes.
pub fn verification_words(digest: &Digest) -> Result<[&'static str; COUNT], TrustError> {
    let failed = |_| TrustError::malformed("verification words", "scrypt refused its parameters");
    let params = Params::new(15, 8, 1, 32)
        .map_err(|_| TrustError::malformed("verification words", "scrypt parameters"))?;
    let mut hash = [0u8; 8];
    scrypt::scrypt(
        &digest.0,
        b"twotap verification words v1",
        &params,
        &mut hash,
    )
    .map_err(failed)?;
    let bits = u64::from_be_bytes(hash);
    Ok(std::array::from_fn(|i| {
        twotap_shares::WORDS[((bits >> (54 - 10 * i)) & 1023) as usize]
    }))
}

/// The verification words of a token: they cover its serial number and both keys with their slots, so that whoever enrolled it and
/// whoever lists it in a roster read the same six.
pub fn token_words(
    serial: u32,
    approve: &SlotKey,
    unseal: &SlotKey,
) -> Result<[&'static str; COUNT], TrustError> {
    let mut bytes = b"twotap token v1".to_vec();
    bytes.extend_from_slice(&serial.to_be_bytes());
    for key in [approve, unseal] {
        // P-256, always 91 bytes.
        bytes.push(key.slot);
        bytes.extend_from_slice(&key.key.to_spki());
    }
    verification_words(&Digest::of(&bytes))
}
