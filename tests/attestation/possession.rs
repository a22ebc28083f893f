//! An enrollment is signed by the key that it enrols. What becomes of changed bytes stands in `fuzz_corpus.rs`.

use twotap::trust::{Envelope, Signer, Timestamp, enrollment::Enrollment};

use crate::maker::sound;

struct Key(p256::ecdsa::SigningKey);

impl Signer for Key {
    fn public(&self) -> twotap::trust::PublicKey {
        twotap::trust::PublicKey::P256(*self.0.verifying_key())
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        use p256::ecdsa::{Signature, signature::Signer as _};
        let signature: Signature = self.0.sign(message);
        let signature = signature.normalize_s().unwrap_or(signature);
        signature.to_der().as_bytes().to_vec()
    }
}

/// An enrollment as `custodian enroll` writes it.
fn enrollment() -> Envelope {
    let case = sound();
    let key = Key(p256::ecdsa::SigningKey::random(&mut rand_core::OsRng));
    let mut listed = case.listed.clone();
    listed.approve.key = Signer::public(&key);
    let enrollment = Enrollment {
        v: 1,
        name: "alice".to_owned(),
        serial: listed.serial,
        firmware: listed.firmware,
        approve: listed.approve,
        unseal: listed.unseal,
        attestation: Some(case.attestation()),
        created_at: Timestamp::now(),
    };
    Envelope::signed(&enrollment, &key).expect("a good enrollment")
}

#[test]
fn an_enrollment_is_signed_by_the_key_that_it_enrols() {
    let good = enrollment();
    assert!(Enrollment::verify(&good).is_ok());
    // One whose keys are swapped by name is none: the proof of possession is the approve key's.
    let mut other: Enrollment = good.unverified().expect("read");
    std::mem::swap(&mut other.approve, &mut other.unseal);
    let mut forged = Envelope::new(&other).expect("good in itself");
    forged.signatures = good.signatures;
    assert!(Enrollment::verify(&forged).is_err());
    // Nor is one that somebody else has signed.
    let mut theirs = enrollment();
    theirs.payload = good.payload;
    assert!(Enrollment::verify(&theirs).is_err());
}
