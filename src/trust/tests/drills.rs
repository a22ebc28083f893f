//! Receipts of drills.

use super::people::{self, SoftToken, host};
use crate::trust::{
    Bytes, Digest, Envelope, Signer as _, Timestamp, TrustError, Verified,
    drill::{Drill, verify},
    manifest::Manifest,
    roster::Roster,
};

struct Case {
    alice: SoftToken,
    bob: SoftToken,
    roster: Verified<Roster>,
    manifest: Verified<Manifest>,
}

impl Case {
    fn new() -> Self {
        let [alice, bob] = ["alice", "bob"].map(SoftToken::new);
        let roster = people::verified(2, &[&alice, &bob]);
        let manifest = Envelope::signed(&people::manifest(&roster, 3), &host()).expect("good");
        Self {
            manifest: Manifest::verify(&manifest, &roster).expect("good"),
            alice,
            bob,
            roster,
        }
    }

    fn drill(&self) -> Drill {
        let share = self.manifest.share("alice").expect("a share");
        Drill {
            v: 1,
            vault: "prod".into(),
            generation: 3,
            manifest_sha256: self.manifest.digest(),
            custodian: "alice".into(),
            serial: self.alice.serial,
            share_sha256: share.mnemonic_sha256,
            at: Timestamp::parse("2026-01-06T12:00:00Z").expect("a time"),
            nonce: Bytes(vec![7; 16]),
        }
    }

    fn verify(&self, drill: &Drill, by: &SoftToken) -> Result<String, TrustError> {
        let envelope = Envelope::signed(drill, by)?;
        let (_, token) = verify(&envelope, &self.manifest, &self.roster)?;
        Ok(token.person)
    }
}

#[test]
fn a_receipt_is_the_signers_own_and_about_this_generation() {
    let case = Case::new();
    let good = case.verify(&case.drill(), &case.alice);
    assert_eq!(good.expect("good"), "alice");
    type Change = (&'static str, fn(&mut Drill));
    let changes: [Change; 6] = [
        ("vault", |d| d.vault = "test".into()),
        ("generation", |d| d.generation = 2),
        ("manifest", |d| d.manifest_sha256 = Digest([1; 32])),
        ("custodian", |d| d.custodian = "bob".into()),
        ("serial", |d| d.serial += 1),
        ("share", |d| d.share_sha256 = Digest([1; 32])),
    ];
    for (field, change) in changes {
        let mut other = case.drill();
        change(&mut other);
        let refused = case.verify(&other, &case.alice);
        assert!(
            matches!(refused, Err(TrustError::Mismatch { .. })),
            "{field}"
        );
    }
    // Bob cannot speak for alice, nor a token that the roster does not list, nor the unseal key's like.
    assert!(case.verify(&case.drill(), &case.bob).is_err());
    let carol = SoftToken::new("carol");
    let refused = case.verify(&case.drill(), &carol);
    assert!(matches!(refused, Err(TrustError::Unsigned { .. })));
}

#[test]
fn what_is_signed_for_another_purpose_is_no_receipt() {
    let case = Case::new();
    let mut envelope = Envelope::new(&case.drill()).expect("well-formed");
    envelope.payload_type = "application/vnd.twotap.approve.v1+json".to_owned();
    envelope.sign(&case.alice);
    // The signature is good, and for something else.
    assert!(!envelope.signers(&[case.alice.public()]).is_empty());
    let refused = verify(&envelope, &case.manifest, &case.roster).map(drop);
    assert!(matches!(refused, Err(TrustError::WrongType { .. })));
    envelope.payload_type = "application/vnd.twotap.drill.v1+json".to_owned();
    let refused = verify(&envelope, &case.manifest, &case.roster).map(drop);
    assert!(matches!(refused, Err(TrustError::Unsigned { .. })));
}

#[test]
fn a_receipt_out_of_its_form_is_not_even_made() {
    let case = Case::new();
    for change in [
        (|d: &mut Drill| d.v = 2) as fn(&mut Drill),
        |d| d.generation = 0,
        |d| d.nonce = Bytes(vec![7; 15]),
        |d| d.custodian = "Alice!".into(),
    ] {
        let mut other = case.drill();
        change(&mut other);
        assert!(Envelope::new(&other).is_err(), "{other:?}");
    }
}
