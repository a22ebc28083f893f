//! HPKE's receiving half (RFC 9180, base mode) for a key that can only do ECDH.
//!
//! DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305: what age's `p256tag` stanza uses. No crate takes the shared point from
//! outside, and a token gives out nothing else.

use hkdf::{Hkdf, hmac::Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

type Key = Zeroizing<[u8; 32]>;

const VERSION: &[u8] = b"HPKE-v1";
/// "KEM" and DHKEM(P-256, HKDF-SHA256).
const KEM_SUITE: &[u8] = b"KEM\x00\x10";
/// "HPKE", the KEM, HKDF-SHA256, ChaCha20-Poly1305.
const HPKE_SUITE: &[u8] = b"HPKE\x00\x10\x00\x01\x00\x03";
const MODE_BASE: u8 = 0;

/// The AEAD key and nonce of the first message (RFC 9180, sections 4.1 and 5.1).
///
/// `shared` is the ECDH result's x, `enc` and `receiver` are uncompressed points. `None` cannot happen with these lengths.
pub(super) fn open_key(
    shared: &[u8; 32],
    enc: &[u8; 65],
    receiver: &[u8; 65],
    info: &[u8],
) -> Option<(Key, [u8; 12])> {
    let prk = extract(KEM_SUITE, b"", b"eae_prk", shared);
    let mut secret = Zeroizing::new([0; 32]);
    expand(
        KEM_SUITE,
        &prk,
        b"shared_secret",
        &[enc, receiver],
        &mut *secret,
    )?;

    let psk_id_hash = extract(HPKE_SUITE, b"", b"psk_id_hash", b"");
    let info_hash = extract(HPKE_SUITE, b"", b"info_hash", info);
    let context: [&[u8]; 3] = [&[MODE_BASE], &*psk_id_hash, &*info_hash];
    let prk = extract(HPKE_SUITE, &*secret, b"secret", b"");
    let mut key = Zeroizing::new([0; 32]);
    let mut nonce = [0; 12];
    expand(HPKE_SUITE, &prk, b"key", &context, &mut *key)?;
    expand(HPKE_SUITE, &prk, b"base_nonce", &context, &mut nonce)?;
    Some((key, nonce))
}

/// LabeledExtract. HKDF-Extract is HMAC with the salt as key (RFC 5869, section 2.2).
fn extract(suite: &[u8], salt: &[u8], label: &[u8], ikm: &[u8]) -> Key {
    hmac(salt, &[VERSION, suite, label, ikm])
}

/// LabeledExpand.
fn expand(suite: &[u8], prk: &Key, label: &[u8], info: &[&[u8]], out: &mut [u8]) -> Option<()> {
    let length = u16::try_from(out.len()).ok()?.to_be_bytes();
    let labeled: Vec<&[u8]> = [&length[..], VERSION, suite, label]
        .into_iter()
        .chain(info.iter().copied())
        .collect();
    Hkdf::<Sha256>::from_prk(prk.as_slice())
        .ok()?
        .expand_multi_info(&labeled, out)
        .ok()
}

/// HMAC-SHA256 over the parts one after another.
pub(super) fn hmac(key: &[u8], parts: &[&[u8]]) -> Key {
    // HMAC takes keys of every length.
    let mut mac = <hkdf::hmac::Hmac<Sha256> as hkdf::hmac::Mac>::new_from_slice(key)
        .unwrap_or_else(|_| unreachable!());
    for part in parts {
        mac.update(part);
    }
    Zeroizing::new(mac.finalize().into_bytes().into())
}
