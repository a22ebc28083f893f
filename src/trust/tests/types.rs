//! Every kind of signed document handed in where another is expected. Files with changed bytes stand in `tests/fuzz_corpus.rs`, running workers
//! in `tests/payloads.rs`.

use super::people::{self, SoftToken, host};
use crate::trust::{
    Bytes, Document, Envelope, Signer as _, Verified,
    enrollment::Enrollment,
    manifest::Manifest,
    receipt::Receipt,
    request::{
        Approval, Denial, Offer, SealOffer, Withdrawal, verify_approval, verify_denial,
        verify_withdrawal,
    },
    roster::{Roster, verify_chain},
};

/// One good document of each kind, signed by everybody who could have to: custodians and host.
fn documents(roster: &Verified<Roster>, tokens: [&SoftToken; 2]) -> Vec<(&'static str, Envelope)> {
    let [alice, bob] = tokens;
    let offer = Envelope::signed(&Offer(people::request(roster)), &host()).expect("good");
    let denial = Denial {
        v: 1,
        request_sha256: offer.digest(),
        reason: "no".into(),
    };
    let withdrawal = Withdrawal {
        v: 1,
        request_sha256: offer.digest(),
    };
    let seal = SealOffer {
        v: 1,
        vault: "prod".into(),
        roster_sha256: roster.digest(),
        host: host().public().id(),
        worker_key: "age1".into(),
        nonce: Bytes(vec![0; 16]),
    };
    let listed = alice.listed();
    let enrollment = Enrollment {
        v: 1,
        name: "alice".into(),
        serial: listed.serial,
        firmware: listed.firmware,
        approve: listed.approve,
        unseal: listed.unseal,
        attestation: None,
        created_at: people::at("2026-01-06T10:00:00Z"),
    };
    let manifest = Envelope::signed(&people::manifest(roster, 1), &host()).expect("good");
    let all = |mut envelope: Envelope| {
        for token in [alice, bob] {
            envelope.sign(token);
        }
        envelope
    };
    let both = |mut envelope: Envelope| {
        envelope.sign(&host());
        all(envelope)
    };
    vec![
        (Roster::WHAT, roster.envelope().clone()),
        (Offer::WHAT, both(offer.clone())),
        (Approval::WHAT, both(offer.repurposed::<Approval>())),
        (Denial::WHAT, both(Envelope::new(&denial).expect("good"))),
        (
            Withdrawal::WHAT,
            both(Envelope::new(&withdrawal).expect("good")),
        ),
        (SealOffer::WHAT, both(Envelope::new(&seal).expect("good"))),
        (
            Enrollment::WHAT,
            both(Envelope::new(&enrollment).expect("good")),
        ),
        (Manifest::WHAT, manifest),
        (Receipt::WHAT, {
            let mut receipt = offer.repurposed::<Receipt>();
            receipt.sign(&host());
            all(receipt)
        }),
    ]
}

#[test]
fn a_document_is_taken_for_its_own_purpose_and_no_other() {
    let [alice, bob] = ["alice", "bob"].map(SoftToken::new);
    let roster = people::verified(2, &[&alice, &bob]);
    let documents = documents(&roster, [&alice, &bob]);
    let offer = Offer::verify(
        &documents
            .iter()
            .find(|d| d.0 == Offer::WHAT)
            .expect("there")
            .1,
        &roster,
    )
    .expect("good");
    type Reader<'r> = Box<dyn Fn(&Envelope) -> bool + 'r>;
    let hosts = roster.host_keys();
    let readers: Vec<(&str, Reader<'_>)> = vec![
        (
            Roster::WHAT,
            Box::new(|e| verify_chain(std::slice::from_ref(e)).is_ok()),
        ),
        (Offer::WHAT, Box::new(|e| Offer::verify(e, &roster).is_ok())),
        (
            Approval::WHAT,
            Box::new(|e| verify_approval(e, &offer, &roster).is_ok()),
        ),
        (
            Denial::WHAT,
            Box::new(|e| verify_denial(e, &offer, &roster).is_ok()),
        ),
        (
            Withdrawal::WHAT,
            Box::new(|e| verify_withdrawal(e, &offer, &roster).is_ok()),
        ),
        (
            SealOffer::WHAT,
            Box::new(|e| e.verify::<SealOffer>(&hosts, "a host").is_ok()),
        ),
        (
            Enrollment::WHAT,
            Box::new(|e| Enrollment::verify(e).is_ok()),
        ),
        (
            Manifest::WHAT,
            Box::new(|e| Manifest::verify(e, &roster).is_ok()),
        ),
    ];
    for (what, read) in &readers {
        for (kind, envelope) in &documents {
            assert_eq!(read(envelope), what == kind, "a {kind} taken for a {what}");
            // The same bytes and signatures under the label of what is expected: the label is signed too.
            let expected = &documents.iter().find(|d| d.0 == *what).expect("there").1;
            let mut relabelled = envelope.clone();
            relabelled.payload_type.clone_from(&expected.payload_type);
            assert_eq!(read(&relabelled), what == kind, "a {kind} labelled {what}");
        }
    }
    // No two kinds have one label, and each is of its own version.
    let mut types: Vec<&str> = documents
        .iter()
        .map(|d| d.1.payload_type.as_str())
        .collect();
    types.sort_unstable();
    types.dedup();
    assert_eq!(types.len(), documents.len());
}
