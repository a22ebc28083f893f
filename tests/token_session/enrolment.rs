//! Enrolment: keys, certificates, management key, PIN and PUK, attestations.

use crate::bench::{PATIENT, Rival, error, isolated, pin};
use p256::elliptic_curve::sec1::ToEncodedPoint;
use std::time::SystemTime;
use twotap::token::{
    ManagementAlgorithm, Pin, PinPolicy, Puk, Purpose, Slot, TokenError, TouchPolicy, identity,
    recipient,
};
use twotap::trust::{
    PublicKey,
    attestation::{FormFactor, Statement},
};
use x509_cert::der::{Decode, Encode};

const OLD: &str = "version = '5.2.7'\nmetadata = false\nmanagement_key = 'tdes'\nchain = 'root'";

#[test]
fn a_token_is_enrolled_from_the_factorys_state() {
    isolated(
        "enrolment::a_token_is_enrolled_from_the_factorys_state",
        |bench| {
            for (profile, algorithm) in [
                ("5.7.4", ManagementAlgorithm::Aes192),
                ("5.4.3", ManagementAlgorithm::Aes192),
                (OLD, ManagementAlgorithm::Tdes),
            ] {
                let has_metadata = profile != OLD;
                let plugged = bench.insert(1001, profile);
                let mut control = plugged.control();
                control.tap_always().unwrap();
                let mut token = plugged.open(PATIENT);
                let firmware = token.firmware();
                assert_eq!(ManagementAlgorithm::preferred(firmware), algorithm);
                assert_eq!(token.free_slots(), Ok(Some((Slot::APPROVE, Slot::UNSEAL))));
                assert_eq!(token.slot_in_use(Slot::APPROVE), Ok(false));
                assert_eq!(token.certificate(Slot::APPROVE), Ok(None));
                assert_eq!(
                    token.attest(Slot::APPROVE),
                    Err(TokenError::NoKey {
                        slot: Slot::APPROVE
                    })
                );

                // PIN and PUK are the factory's by the token's word; then they are not.
                let default = |yes: bool| Ok(has_metadata.then_some(yes));
                assert_eq!(token.default_pin_in_use(), default(true));
                assert_eq!(token.default_puk_in_use(), default(true));
                let new = Pin::parse(b"246801").ok().unwrap();
                let (old_puk, new_puk) = (puk(b"12345678"), puk(b"86421357"));
                token.change_pin(&pin(), &new).unwrap();
                token.change_puk(&old_puk, &new_puk).unwrap();
                assert_eq!(token.default_pin_in_use(), default(false));
                assert_eq!(token.default_puk_in_use(), default(false));
                assert_eq!(
                    token.change_pin(&pin(), &new),
                    Err(TokenError::PinWrong { tries: 2 })
                );
                let wrong_pin = error(token.manage(&pin(), None).map(drop));
                assert_eq!(wrong_pin, TokenError::PinWrong { tries: 1 });

                // The management key is replaced, and found again under the PIN.
                let mut manage = token.manage(&new, None).ok().unwrap();
                assert!(manage.factory_management_key());
                manage.set_management_key(algorithm).unwrap();
                assert!(!manage.factory_management_key());
                manage.finish().unwrap();

                let policies = [
                    (Slot::APPROVE, Purpose::Approve, TouchPolicy::Always),
                    (Slot::UNSEAL, Purpose::Unseal, TouchPolicy::Cached),
                ];
                let mut manage = token.manage(&new, None).ok().unwrap();
                assert!(!manage.factory_management_key());
                assert_eq!(manage.management_algorithm(), algorithm);
                let mut made = vec![];
                for (slot, purpose, touch) in policies {
                    let policies = (PinPolicy::Always, touch);
                    let key = manage.generate(slot, policies.0, policies.1).unwrap();
                    let now = SystemTime::now();
                    let der = manage
                        .certify(
                            &new,
                            slot,
                            purpose,
                            "alice",
                            &key,
                            policies,
                            now,
                            &mut |_| {},
                        )
                        .unwrap();
                    made.push((slot, touch, key, der));
                }
                manage.finish().unwrap();

                for (slot, touch, key, der) in &made {
                    let point = key.to_encoded_point(false);
                    assert_eq!(token.certificate(*slot).as_ref(), Ok(&Some(der.clone())));
                    assert_eq!(token.slot_in_use(*slot), Ok(true));
                    if has_metadata {
                        let metadata = token.metadata(*slot).unwrap().unwrap();
                        assert_eq!(
                            metadata.public_key.as_ref().map(|k| &k[..]),
                            Some(point.as_bytes())
                        );
                        assert_eq!(metadata.pin_policy, Some(PinPolicy::Always));
                        assert_eq!(metadata.touch_policy, Some(*touch));
                        assert_eq!(metadata.generated, Some(true));
                    }
                    let facts = Statement::parse(&token.attest(*slot).unwrap()).unwrap();
                    assert_eq!(facts.firmware, firmware);
                    assert_eq!(facts.serial, Some(1001));
                    assert_eq!(facts.slot, Some(slot.reference()));
                    assert_eq!(
                        (facts.pin_policy, facts.touch_policy),
                        (PinPolicy::Always, *touch)
                    );
                    assert_eq!(facts.form_factor, Some(FormFactor::UsbCKeychain));
                    let point = p256::PublicKey::from_sec1_bytes(point.as_bytes());
                    assert_eq!(facts.key, PublicKey::from(point.unwrap()));
                }
                let next = (Slot::parse(0x84).unwrap(), Slot::parse(0x85).unwrap());
                assert_eq!(token.free_slots(), Ok(Some(next)));

                let f9 = token.attestation_certificate().unwrap().unwrap();
                let f9 = x509_cert::Certificate::from_der(&f9).unwrap();
                let issuer =
                    x509_cert::Certificate::from_der(&token.attest(Slot::APPROVE).unwrap());
                assert_eq!(
                    issuer.unwrap().tbs_certificate.issuer,
                    f9.tbs_certificate.subject
                );

                // What age tools are told is over the same key.
                let (slot, _, unseal, der) = &made[1];
                let spki = x509_cert::Certificate::from_der(der)
                    .unwrap()
                    .tbs_certificate
                    .subject_public_key_info
                    .to_der()
                    .unwrap();
                let in_certificate =
                    <p256::PublicKey as p256::pkcs8::DecodePublicKey>::from_public_key_der(&spki);
                assert_eq!(recipient(&in_certificate.unwrap()), recipient(unseal));
                assert!(identity(1001, *slot, unseal).starts_with("AGE-PLUGIN-YUBIKEY-1"));

                drop(plugged);
                std::fs::remove_file(bench.state(1001)).unwrap();
            }
        },
    );
}

fn puk(text: &[u8]) -> Puk {
    Puk::parse(text).ok().unwrap()
}

#[test]
fn a_changed_management_key_that_is_not_stored_is_asked_for() {
    isolated(
        "enrolment::a_changed_management_key_that_is_not_stored_is_asked_for",
        |bench| {
            use twotap::token::ManagementKey;
            let plugged = bench.insert(1001, "5.7.4");
            let mut token = plugged.open(PATIENT);
            let key = |byte| ManagementKey::from_bytes(vec![byte; 24].into()).unwrap();
            let wrong = error(token.manage(&pin(), Some(&key(9))).map(drop));
            assert_eq!(wrong, TokenError::ManagementKeyWrong);

            // The token's own word that it is the factory's is what counts.
            assert!(
                token
                    .manage(&pin(), None)
                    .ok()
                    .unwrap()
                    .factory_management_key()
            );
            let factory = ManagementKey::from_bytes([1, 2, 3, 4, 5, 6, 7, 8].repeat(3).into());
            assert!(
                token
                    .manage(&pin(), factory.as_ref())
                    .ok()
                    .unwrap()
                    .factory_management_key()
            );

            // Set by somebody else's tool, which did not store it.
            drop(token);
            set_management_key(&[9; 24]);
            let mut token = plugged.open(PATIENT);
            let needed = error(token.manage(&pin(), None).map(drop));
            assert_eq!(needed, TokenError::ManagementKeyNeeded);
            assert_eq!(token.pin_tries(), Ok(3));
            let given = key(9);
            let mut manage = token.manage(&pin(), Some(&given)).ok().unwrap();
            assert!(!manage.factory_management_key());
            manage
                .set_management_key(ManagementAlgorithm::Aes256)
                .unwrap();
            drop(manage);
            let manage = token.manage(&pin(), None).ok().unwrap();
            assert_eq!(manage.management_algorithm(), ManagementAlgorithm::Aes256);
        },
    );
}

/// Sets the management key as a program that knows nothing of Yubico's notes does.
fn set_management_key(key: &[u8; 24]) {
    use aes::cipher::{BlockDecrypt, KeyInit, generic_array::GenericArray};
    let mut rival = Rival::connect(pcsc::ShareMode::Shared);
    rival.transacted(|send| {
        let reply = send(&[0, 0x87, 0x0a, 0x9b, 4, 0x7c, 2, 0x80, 0, 0]);
        let mut witness = GenericArray::clone_from_slice(&reply[4..20]);
        let factory = [1, 2, 3, 4, 5, 6, 7, 8].repeat(3);
        aes::Aes192::new_from_slice(&factory)
            .unwrap()
            .decrypt_block(&mut witness);
        let mut answer = vec![0, 0x87, 0x0a, 0x9b, 38, 0x7c, 36, 0x80, 16];
        answer.extend_from_slice(&witness);
        answer.extend_from_slice(&[0x81, 16]);
        answer.extend_from_slice(&[7; 16]);
        answer.push(0);
        assert!(send(&answer).ends_with(&[0x90, 0]));
        let mut set = vec![0, 0xff, 0xff, 0xff, 27, 0x0a, 0x9b, 24];
        set.extend_from_slice(key);
        assert_eq!(send(&set), [0x90, 0]);
    });
    rival.leave();
}
