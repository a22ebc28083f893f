use super::*;
use crate::trust::{Bytes, Digest, roster::Attestation};
use x509_cert::der::{DecodePem, asn1::OctetString};

/// A real YubiKey's, of firmware 5.2.7, published as test data by the crate `attestation-validator`: a key in slot 9C.
const GENUINE: &str = include_str!("genuine-9c.pem");
/// The same token's own certificate.
const GENUINE_TOKEN: &str = include_str!("genuine-f9.pem");

fn genuine() -> CertificateInner<Rfc5280> {
    CertificateInner::from_pem(GENUINE).unwrap()
}

fn der(pem: &str) -> Bytes {
    Bytes(
        CertificateInner::<Rfc5280>::from_pem(pem)
            .unwrap()
            .to_der()
            .unwrap(),
    )
}

/// A genuine chain; the one statement that there is stands for both keys.
fn genuine_chain() -> Attestation {
    Attestation {
        approve: der(GENUINE),
        unseal: der(GENUINE),
        f9: der(GENUINE_TOKEN),
    }
}

#[test]
fn a_genuine_attestation_is_read() {
    let certificate = genuine();
    let facts = Statement::parse(&certificate.to_der().unwrap()).unwrap();
    assert_eq!(facts.firmware, Firmware::new(5, 2, 7));
    assert_eq!(facts.serial, Some(0x00eb_5403));
    assert_eq!(facts.pin_policy, PinPolicy::Always);
    assert_eq!(facts.touch_policy, TouchPolicy::Never);
    assert_eq!(facts.form_factor, Some(FormFactor::UsbCKeychain));
    assert_eq!(facts.slot, Some(0x9c));
    let spki = &certificate.tbs_certificate.subject_public_key_info;
    assert_eq!(facts.key.to_spki(), spki.to_der().unwrap());
}

#[test]
fn a_genuine_chain_ends_at_yubicos_root() {
    let attested = verify(&genuine_chain(), &[]).unwrap();
    let name = "CN=Yubico PIV Root CA Serial 263751";
    assert_eq!(attested.root, Root::Yubico(name.to_owned()));
    assert_eq!(attested.firmware(), Firmware::new(5, 2, 7));
    assert_eq!(attested.form_factor(), Some(FormFactor::UsbCKeychain));
    assert_eq!((attested.fips, attested.cspn), (false, false));
    assert_eq!(attested.model(), crate::trust::firmware::Model::default());
}

#[test]
fn every_changed_bit_breaks_a_genuine_chain() {
    let sound = genuine_chain();
    // Every byte once, another bit each time: of either certificate there is none that does not matter.
    for length in 0..sound.f9.0.len() {
        let mut changed = sound.clone();
        changed.f9.0[length] ^= 1 << (length % 8);
        assert!(verify(&changed, &[]).is_err(), "f9, byte {length}");
    }
    for length in 0..sound.approve.0.len() {
        for unseal in [false, true] {
            let mut changed = sound.clone();
            let statement = if unseal {
                &mut changed.unseal
            } else {
                &mut changed.approve
            };
            statement.0[length] ^= 1 << (length % 8);
            assert!(verify(&changed, &[]).is_err(), "byte {length}");
        }
    }
}

#[test]
fn yubicos_certificates_are_those_that_were_published_and_sign_each_other() {
    let all = certificates().unwrap();
    let places = all.iter().enumerate();
    for (place, der) in places {
        assert_eq!(Some(Digest::of(der).to_string().as_str()), digest_of(place));
    }
    let distinct: std::collections::BTreeSet<_> = all.iter().map(|der| Digest::of(der)).collect();
    assert_eq!(distinct.len(), 8);
    // Of the newer generation no genuine token is published; what is above one is checked link by link all the same.
    chain::tests::each_authority_is_issued_by_the_next();
}

#[test]
fn missing_doubled_or_odd_facts_are_refused() {
    let changed = |change: &dyn Fn(&mut Vec<x509_cert::ext::Extension>)| {
        let mut certificate = genuine();
        change(certificate.tbs_certificate.extensions.as_mut().unwrap());
        Statement::parse(&certificate.to_der().unwrap())
    };
    let value = |bytes: &[u8]| OctetString::new(bytes).unwrap();
    assert!(changed(&|_| {}).is_ok());
    // In the certificate's order: firmware, serial number, policies, form factor.
    for (index, bad) in [
        (0, &[5, 2][..]),
        (1, &[2, 5, 1, 0, 0, 0, 0]),
        (2, &[3]),
        (3, &[]),
    ] {
        let error = changed(&|all| all[index].extn_value = value(bad));
        assert!(
            matches!(error, Err(TrustError::Malformed { .. })),
            "{index}"
        );
    }
    for needed in [0, 2] {
        assert!(changed(&|all| drop(all.remove(needed))).is_err());
        assert!(changed(&|all| all.push(all[needed].clone())).is_err());
    }
    let without = changed(&|all| drop(all.remove(1))).unwrap();
    assert_eq!(without.serial, None);
    let odd = changed(&|all| all[3].extn_value = value(&[0x87])).unwrap();
    assert_eq!(odd.form_factor, Some(FormFactor::UsbCBio));
}

#[test]
fn no_cut_makes_it_panic() {
    let der = genuine().to_der().unwrap();
    for length in 0..der.len() {
        assert!(Statement::parse(&der[..length]).is_err());
    }
}

#[test]
fn the_slot_is_read_from_the_subject() {
    for (subject, found) in [
        ("CN=YubiKey PIV Attestation 82", Some(0x82)),
        ("O=x,CN=YubiKey PIV Attestation 95", Some(0x95)),
        ("CN=YubiKey PIV Attestation 9c", Some(0x9c)),
        ("", None),
        ("CN=YubiKey PIV Attestation +2", None),
        ("CN=YubiKey PIV Attestation 820", None),
        ("CN=82", None),
    ] {
        assert_eq!(slot(subject), found, "{subject}");
    }
}
