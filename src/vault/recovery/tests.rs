use rand_core::OsRng;
use twotap_shares::Group;

use super::*;
use crate::trust::PublicKey;

fn scheme(group_threshold: u8, groups: &[(u8, u8)]) -> Scheme {
    Scheme {
        extendable: true,
        iteration_exponent: 0,
        group_threshold,
        groups: groups
            .iter()
            .map(|&(threshold, count)| Group { threshold, count })
            .collect(),
    }
}

fn made(scheme: &Scheme, names: &[String], passphrase: &[u8]) -> Made {
    let wanted = Wanted {
        vault: "prod",
        made: "2026-11-22",
        scheme,
        names,
        passphrase,
    };
    make(&wanted, &mut OsRng).unwrap()
}

#[test]
fn every_share_takes_part_in_a_quorum() {
    for (needed, groups) in [
        (1, &[(3, 5)][..]),
        (1, &[(2, 3), (3, 5)]),
        (2, &[(2, 3), (3, 5), (1, 1)]),
        (3, &[(2, 2), (16, 16), (2, 7)]),
    ] {
        let scheme = scheme(needed, groups);
        let names: Vec<String> = (0..groups.len()).map(|n| format!("g{n}")).collect();
        let made = made(&scheme, &names, b"");
        let quorums = quorums(&scheme, &made.shares);
        for share in made.shares.iter().flatten() {
            let in_one = |q: &Vec<&Mnemonic>| q.iter().any(|s| s.expose() == share.expose());
            assert!(quorums.iter().any(in_one), "{groups:?}");
        }
    }
}

#[test]
fn its_recipient_is_that_of_the_shares() {
    let scheme = scheme(1, &[(2, 3)]);
    let made = made(&scheme, &[], b"correct horse");
    let two = reread(&[&made.shares[0][2], &made.shares[0][0]]).unwrap();
    let identity = VaultIdentity::from_secret(&combine(&two, b"correct horse").unwrap()).unwrap();
    assert_eq!(identity.recipient().unwrap(), made.set.recipient);
    // Another passphrase is not noticed by the shares; the recipient tells.
    let two = reread(&[&made.shares[0][2], &made.shares[0][0]]).unwrap();
    let other = VaultIdentity::from_secret(&combine(&two, b"wrong").unwrap()).unwrap();
    assert_ne!(other.recipient().unwrap(), made.set.recipient);
    assert!(made.set.passphrase);
}

#[test]
fn a_sheet_is_found_by_its_words() {
    let scheme = scheme(1, &[(2, 3), (3, 5)]);
    let names = ["executives".to_owned(), "board".to_owned()];
    let made = made(&scheme, &names, b"");
    let words = Digest::of(made.shares[1][4].expose().as_bytes());
    assert_eq!(made.set.find(&words), Some((1, 4)));
    assert_eq!(made.set.find(&Digest::of(b"other")), None);
    assert_eq!(made.set.groups[1].name.as_deref(), Some("board"));
}

#[test]
fn what_the_standard_forbids_is_refused() {
    for scheme in [
        scheme(1, &[(1, 3)]),
        scheme(2, &[(2, 3)]),
        scheme(1, &[(4, 3)]),
    ] {
        let wanted = Wanted {
            vault: "prod",
            made: "2026-11-22",
            scheme: &scheme,
            names: &[],
            passphrase: b"",
        };
        assert!(matches!(
            make(&wanted, &mut OsRng),
            Err(VaultError::Shares(_))
        ));
    }
}

#[test]
fn a_quorum_signs_with_the_key_that_the_record_names() {
    let scheme = scheme(1, &[(2, 3)]);
    let made = made(&scheme, &[], b"");
    let quorum = |places: [usize; 2]| {
        let two = reread(&places.map(|n| &made.shares[0][n])).unwrap();
        let identity = VaultIdentity::from_secret(&combine(&two, b"").unwrap()).unwrap();
        RecoverySigner::of(&identity).unwrap()
    };
    for places in [[0, 1], [2, 0]] {
        let signer = quorum(places);
        assert_eq!(signer.public(), made.set.signer);
        assert!(made.set.signer.verifies(b"said", &signer.sign(b"said")));
    }
    let entry = made.set.entry().unwrap();
    assert_eq!(entry.signer, made.set.signer);
    assert_eq!(entry.made.to_string(), "2026-11-22");
}

/// Computed with Python's standard library alone: HMAC-SHA256 twice, and RFC 8032's reference code for the public half.
#[test]
fn the_signer_follows_from_the_bytes_as_written_down() {
    let mut rng = Fixed(7);
    let identity = VaultIdentity::generate(&mut rng).unwrap();
    assert_eq!(identity.expose(), &[7; 32]);
    let PublicKey::Ed25519(key) = RecoverySigner::of(&identity).unwrap().public() else {
        panic!("another kind of key");
    };
    let hex = data_encoding::HEXLOWER.encode(key.as_bytes());
    assert_eq!(
        hex,
        "ab9e496f3263c6550d485ff8667c369669ae06c038cb8ff6af0b283b8f795be3"
    );
}

struct Fixed(u8);

impl rand_core::RngCore for Fixed {
    fn next_u32(&mut self) -> u32 {
        u32::from_le_bytes([self.0; 4])
    }

    fn next_u64(&mut self) -> u64 {
        u64::from_le_bytes([self.0; 8])
    }

    fn fill_bytes(&mut self, dest: &mut [u8]) {
        dest.fill(self.0);
    }

    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(dest);
        Ok(())
    }
}

impl rand_core::CryptoRng for Fixed {}
