//! The two strings by which age tools know a key on a token (`age-plugin-yubikey`'s format, bech32 per BIP-173).

use super::Slot;
use bech32::{Bech32, Hrp};
use p256::elliptic_curve::sec1::ToEncodedPoint;
use sha2::{Digest, Sha256};

/// The recipient: bech32 of the compressed point (33 bytes) under `age1yubikey`.
#[must_use]
pub fn recipient(public_key: &p256::PublicKey) -> String {
    let hrp = Hrp::parse_unchecked("age1yubikey");
    encode(bech32::encode::<Bech32>(
        hrp,
        public_key.to_encoded_point(true).as_bytes(),
    ))
}

/// The identity, which is no secret: it says in which token and slot the key is. Upper-case bech32 of serial
/// number (4 bytes, little-endian), slot (1 byte) and tag (4 bytes) under `AGE-PLUGIN-YUBIKEY-`.
#[must_use]
pub fn identity(serial: u32, slot: Slot, public_key: &p256::PublicKey) -> String {
    let mut stub = [0; 9];
    stub[..4].copy_from_slice(&serial.to_le_bytes());
    stub[4] = slot.reference();
    stub[5..].copy_from_slice(&tag(public_key));
    let hrp = Hrp::parse_unchecked("age-plugin-yubikey-");
    encode(bech32::encode_upper::<Bech32>(hrp, &stub))
}

/// The first four bytes of SHA-256 over the compressed point, by which a stanza names its key.
#[must_use]
pub fn tag(public_key: &p256::PublicKey) -> [u8; 4] {
    let digest = Sha256::digest(public_key.to_encoded_point(true).as_bytes());
    [digest[0], digest[1], digest[2], digest[3]]
}

/// Bech32 fails on over-long data alone; ours is 33 bytes at most.
fn encode(encoded: Result<String, bech32::EncodeError>) -> String {
    encoded.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_strings_decode_to_what_they_say() {
        // The generator of P-256, compressed form from SEC 2, 2.4.2.
        let point = data_encoding::HEXUPPER
            .decode(b"036B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296")
            .unwrap();
        let key = p256::PublicKey::from_sec1_bytes(&point).unwrap();

        let recipient = recipient(&key);
        assert!(recipient.starts_with("age1yubikey1q"));
        let (hrp, data) = bech32::decode(&recipient).unwrap();
        assert_eq!((hrp.as_str(), data), ("age1yubikey", point));

        let identity = identity(0x0102_0304, Slot::UNSEAL, &key);
        assert!(identity.starts_with("AGE-PLUGIN-YUBIKEY-1"));
        assert_eq!(identity, identity.to_uppercase());
        let (hrp, data) = bech32::decode(&identity).unwrap();
        assert_eq!(hrp.to_lowercase(), "age-plugin-yubikey-");
        assert_eq!(data[..5], [4, 3, 2, 1, 0x83]);
        assert_eq!(data[5..], tag(&key));
    }
}
