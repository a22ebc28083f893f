//! The passphrase's layer: four Feistel rounds over the secret with PBKDF2 as the round function (SLIP-0039,
//! "Encryption of the master secret").
//!
//! There is no such thing as a wrong passphrase here: each one opens to another secret. That is the standard's intent.

use crate::shamir::{Bytes, zeros};
use sha2::Sha256;

const ROUNDS: [u8; 4] = [0, 1, 2, 3];
/// PBKDF2 iterations of one round at exponent 0; each step of the exponent doubles them.
const ITERATIONS: u32 = 2500;

/// What the rounds depend on beside the passphrase.
#[derive(Clone, Copy)]
pub(crate) struct Parameters {
    pub(crate) identifier: u16,
    pub(crate) extendable: bool,
    /// 0 to 15.
    pub(crate) iteration_exponent: u8,
}

/// Encrypts a secret of even length.
pub(crate) fn encrypt(secret: &[u8], passphrase: &[u8], parameters: Parameters) -> Bytes {
    run(secret, passphrase, parameters, ROUNDS)
}

/// Undoes [`encrypt`]: the same rounds, the other way around.
pub(crate) fn decrypt(encrypted: &[u8], passphrase: &[u8], parameters: Parameters) -> Bytes {
    let [a, b, c, d] = ROUNDS;
    run(encrypted, passphrase, parameters, [d, c, b, a])
}

fn run(input: &[u8], passphrase: &[u8], parameters: Parameters, rounds: [u8; 4]) -> Bytes {
    let half = input.len() / 2;
    let mut left = zeros(half);
    let mut right = zeros(half);
    left.copy_from_slice(&input[..half]);
    right.copy_from_slice(&input[half..]);

    let mut password = zeros(1 + passphrase.len());
    password[1..].copy_from_slice(passphrase);
    // Extendable shares leave the identifier out, so that later sets of the same secret need no new encryption.
    let mut prefix = *b"shamir\0\0";
    prefix[6..].copy_from_slice(&parameters.identifier.to_be_bytes());
    let prefix = if parameters.extendable {
        &[][..]
    } else {
        &prefix[..]
    };
    let mut salt = zeros(prefix.len() + half);
    salt[..prefix.len()].copy_from_slice(prefix);
    let mut output = zeros(half);

    for round in rounds {
        password[0] = round;
        salt[prefix.len()..].copy_from_slice(&right);
        pbkdf2::pbkdf2_hmac::<Sha256>(
            &password,
            &salt,
            ITERATIONS << parameters.iteration_exponent,
            &mut output,
        );
        for (byte, pad) in left.iter_mut().zip(output.iter()) {
            *byte ^= pad;
        }
        std::mem::swap(&mut left, &mut right);
    }

    let mut result = zeros(input.len());
    result[..half].copy_from_slice(&right);
    result[half..].copy_from_slice(&left);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_and_kind_decrypts_to_what_was_encrypted() {
        for half in 8..=32u8 {
            let secret: Vec<u8> = (0..half * 2).collect();
            for extendable in [false, true] {
                let parameters = Parameters {
                    identifier: 0x5a5a & 0x7fff,
                    extendable,
                    iteration_exponent: 0,
                };
                let encrypted = encrypt(&secret, b"TREZOR", parameters);
                assert_ne!(encrypted.as_slice(), secret);
                assert_eq!(
                    decrypt(&encrypted, b"TREZOR", parameters).as_slice(),
                    secret
                );
                assert_ne!(
                    decrypt(&encrypted, b"TREZOS", parameters).as_slice(),
                    secret
                );
            }
        }
    }

    #[test]
    fn the_identifier_counts_unless_extendable() {
        let with = |identifier, extendable| {
            let parameters = Parameters {
                identifier,
                extendable,
                iteration_exponent: 0,
            };
            encrypt(&[7; 32], b"", parameters).to_vec()
        };
        assert_ne!(with(1, false), with(2, false));
        assert_eq!(with(1, true), with(2, true));
        assert_ne!(with(1, false), with(1, true));
    }
}
