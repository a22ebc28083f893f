//! Whatever bytes come in place of an attestation or an enrollment: an answer, no panic, and nothing is believed that was not signed.

use proptest::{collection::vec, prelude::*};
use twotap::trust::{
    Bytes, Envelope, Timestamp,
    attestation::{Statement, verify},
    enrollment::Enrollment,
    roster::Attestation,
};

use crate::maker::{Case, sound};

/// Changes that keep much of a certificate's form: bytes set, cut out, put in twice.
#[derive(Clone, Debug)]
enum Change {
    Set(usize, u8),
    Cut(usize, usize),
    Double(usize, usize),
    Stop(usize),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        1 => (any::<usize>(), 1..40_usize).prop_map(|(at, n)| Change::Cut(at, n)),
        1 => (any::<usize>(), 1..40_usize).prop_map(|(at, n)| Change::Double(at, n)),
        1 => any::<usize>().prop_map(Change::Stop),
    ]
}

fn apply(bytes: &mut Vec<u8>, changes: &[Change]) {
    for change in changes {
        let length = bytes.len().max(1);
        let range = |at: usize, n: usize| {
            let at = at % length;
            at.min(bytes.len())..(at + n).min(bytes.len())
        };
        match *change {
            Change::Set(at, byte) => {
                if let Some(old) = bytes.get_mut(at % length) {
                    *old = byte;
                }
            }
            Change::Cut(at, n) => drop(bytes.drain(range(at, n))),
            Change::Double(at, n) => {
                let range = range(at, n);
                let (end, part) = (range.end, bytes[range].to_vec());
                bytes.splice(end..end, part);
            }
            Change::Stop(at) => bytes.truncate(at % length),
        }
    }
}

/// One case for the whole program: making keys is what costs.
fn base() -> &'static (Case, Attestation) {
    static BASE: std::sync::OnceLock<(Case, Attestation)> = std::sync::OnceLock::new();
    BASE.get_or_init(|| {
        let case = sound();
        let attestation = case.attestation();
        (case, attestation)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_an_attestation_or_an_error(bytes in vec(any::<u8>(), 0..600)) {
        prop_assert!(Statement::parse(&bytes).is_err());
        let (case, sound) = base();
        let mut changed = sound.clone();
        changed.f9 = Bytes(bytes.clone());
        prop_assert!(verify(&changed, &case.roots()).is_err());
    }

    #[test]
    fn a_changed_certificate_is_never_believed(which in 0..3_usize, changes in vec(change(), 1..4)) {
        let (case, sound) = base();
        let mut changed = sound.clone();
        let part = match which {
            0 => &mut changed.approve,
            1 => &mut changed.unseal,
            _ => &mut changed.f9,
        };
        let before = part.0.clone();
        apply(&mut part.0, &changes);
        let same = part.0 == before;
        // Reading alone may well succeed; it must end.
        let _ = Statement::parse(&part.0);
        prop_assert_eq!(case.judged_with(changed).is_ok(), same);
    }

    #[test]
    fn a_changed_enrollment_is_never_believed(changes in vec(change(), 1..4)) {
        let json = enrollment().to_json();
        let mut bytes = json.clone().into_bytes();
        apply(&mut bytes, &changes);
        let Ok(envelope) = Envelope::parse(&bytes) else {
            return Ok(());
        };
        // What still counts is the same document under the same signature.
        if let Ok(believed) = Enrollment::verify(&envelope) {
            prop_assert_eq!(believed.digest(), enrollment().digest());
        }
    }
}

struct Key(p256::ecdsa::SigningKey);

impl twotap::trust::Signer for Key {
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
fn enrollment() -> &'static Envelope {
    static MADE: std::sync::OnceLock<Envelope> = std::sync::OnceLock::new();
    MADE.get_or_init(|| {
        let (case, attestation) = base();
        let key = Key(p256::ecdsa::SigningKey::random(&mut rand_core::OsRng));
        let mut listed = case.listed.clone();
        listed.approve.key = twotap::trust::Signer::public(&key);
        let enrollment = Enrollment {
            v: 1,
            name: "alice".to_owned(),
            serial: listed.serial,
            firmware: listed.firmware,
            approve: listed.approve,
            unseal: listed.unseal,
            attestation: Some(attestation.clone()),
            created_at: Timestamp::now(),
        };
        Envelope::signed(&enrollment, &key).expect("a good enrollment")
    })
}

#[test]
fn the_enrollment_that_is_changed_is_good_before() {
    assert!(Enrollment::verify(enrollment()).is_ok());
    // And one whose keys are swapped by name is not: the proof of possession is the approve key's.
    let mut other: Enrollment = enrollment().unverified().expect("read");
    std::mem::swap(&mut other.approve, &mut other.unseal);
    let mut forged = Envelope::new(&other).expect("good in itself");
    forged.signatures = enrollment().signatures.clone();
    assert!(Enrollment::verify(&forged).is_err());
}
