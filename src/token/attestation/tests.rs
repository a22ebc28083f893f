use super::*;
use x509_cert::der::{DecodePem, asn1::OctetString};

/// A real YubiKey's, of firmware 5.2.7, published as test data by the crate `attestation-validator`.
const GENUINE: &str = include_str!("genuine-9c.pem");

fn genuine() -> CertificateInner<Rfc5280> {
    CertificateInner::from_pem(GENUINE).unwrap()
}

#[test]
fn a_genuine_attestation_is_read() {
    let certificate = genuine();
    let facts = Attestation::parse(&certificate.to_der().unwrap()).unwrap();
    assert_eq!(facts.firmware, Firmware::new(5, 2, 7));
    assert_eq!(facts.serial, Some(0x00eb_5403));
    assert_eq!(facts.pin_policy, PinPolicy::Always);
    assert_eq!(facts.touch_policy, TouchPolicy::Never);
    assert_eq!(facts.form_factor, Some(FormFactor::UsbCKeychain));
    assert_eq!(facts.slot, None, "9c is no retired slot");
    assert_eq!(facts.public_key[..3], [4, 0x0d, 0x1b]);
    assert_eq!(facts.signature_algorithm, "1.2.840.113549.1.1.11");
    assert_eq!(facts.signed, certificate.tbs_certificate.to_der().unwrap());
    assert_eq!(facts.signature.len(), 256);
}

#[test]
fn missing_doubled_or_odd_facts_are_refused() {
    let changed = |change: &dyn Fn(&mut Vec<x509_cert::ext::Extension>)| {
        let mut certificate = genuine();
        change(certificate.tbs_certificate.extensions.as_mut().unwrap());
        Attestation::parse(&certificate.to_der().unwrap())
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
        let error = changed(&|all| all[index].extn_value = value(bad)).err();
        assert_eq!(
            error,
            Some(TokenError::Malformed {
                what: "the attestation"
            }),
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
        assert!(Attestation::parse(&der[..length]).is_err());
    }
}

#[test]
fn the_slot_is_read_from_the_subject() {
    assert_eq!(slot("CN=YubiKey PIV Attestation 82"), Some(Slot::APPROVE));
    assert_eq!(slot("O=x,CN=YubiKey PIV Attestation 95"), Slot::parse(0x95));
    for other in [
        "",
        "CN=YubiKey PIV Attestation 9c",
        "CN=YubiKey PIV Attestation +2",
        "CN=82",
    ] {
        assert_eq!(slot(other), None, "{other}");
    }
}
