//! Makes the signed documents that the targets' corpora begin with anew, where their form changes. Keys are thrown away.
//!
//! `cargo test --test fuzz_corpus -- --ignored make_the_corpus`

// What these were written for uses more of them.
#![allow(dead_code)]

#[path = "../attestation/maker.rs"]
mod maker;
#[path = "../agent_support/paper.rs"]
mod paper;

use std::{fs, path::Path};

use p256::ecdsa::{Signature, SigningKey, signature::Signer as _};
use twotap::{
    protocol::job,
    trust::{
        Bytes, Envelope, Head, PublicKey, Signer, Timestamp, enrollment::Enrollment, roster::Token,
    },
    vault::{OneTime, seal_to},
};

use maker::Case;
use paper::{Paper, Times};

struct Key(SigningKey);

impl Signer for Key {
    fn public(&self) -> PublicKey {
        PublicKey::P256(*self.0.verifying_key())
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let signature: Signature = self.0.sign(message);
        let signature = signature.normalize_s().unwrap_or(signature);
        signature.to_der().as_bytes().to_vec()
    }
}

fn put(name: &str, bytes: impl AsRef<[u8]>) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz")
        .join(name);
    fs::create_dir_all(file.parent().expect("a folder")).expect("made");
    fs::write(file, bytes).expect("written");
}

#[test]
#[ignore = "writes fuzz/corpus and fuzz/good anew"]
fn make_the_corpus() {
    attestations();
    signed();
}

/// A token's certificates, good and not.
fn attestations() {
    let case = maker::sound();
    let mut token: Token = case.listed.clone();
    token.attestation = Some(case.attestation());
    put(
        "good/token.json",
        serde_json::to_string(&token).expect("JSON"),
    );
    put("good/root.der", case.authority.der());
    let parts = |case: &Case| {
        let all = case.attestation();
        let part = |der: &Bytes| {
            let length = u16::try_from(der.0.len()).expect("small").to_be_bytes();
            [&length[..], &der.0].concat()
        };
        [part(&all.approve), part(&all.unseal), part(&all.f9)].concat()
    };
    // Signing again would give other bytes: the good one is the token's own.
    let all = token.attestation.expect("there");
    let good: Vec<u8> = [&all.approve, &all.unseal, &all.f9]
        .into_iter()
        .flat_map(|der| {
            let length = u16::try_from(der.0.len()).expect("small").to_be_bytes();
            [&length[..], &der.0].concat()
        })
        .collect();
    put("corpus/attestation/good", good);
    put("corpus/attestation/another-maker", parts(&maker::sound()));
    put(
        "corpus/attestation/old-firmware",
        parts(&case.clone().firmware([4, 2, 0])),
    );
    put("corpus/attestation/one-certificate", &all.approve.0);
    let mut swapped = case;
    std::mem::swap(&mut swapped.approve, &mut swapped.unseal);
    put("corpus/attestation/swapped", parts(&swapped));

    let enrollment = |name: &str, attestation| {
        let key = Key(SigningKey::random(&mut rand_core::OsRng));
        let mut approve = token.approve.clone();
        approve.key = key.public();
        let enrollment = Enrollment {
            v: 1,
            name: name.to_owned(),
            serial: token.serial,
            firmware: token.firmware.clone(),
            approve,
            unseal: token.unseal.clone(),
            attestation,
            created_at: Timestamp::now(),
        };
        Envelope::signed(&enrollment, &key).expect("a good enrollment")
    };
    let attested = enrollment("alice", Some(all));
    put("corpus/enrollment/attested", attested.to_json());
    let bare = enrollment("bob", None);
    put("corpus/enrollment/bare", bare.to_json());
    put("corpus/enrollment/payload", &attested.payload);
    let mut unsigned = bare.clone();
    unsigned.signatures.clear();
    put("corpus/enrollment/unsigned", unsigned.to_json());
    let mut by_another = bare.clone();
    by_another.signatures = attested.signatures;
    put("corpus/enrollment/by-another", by_another.to_json());
    let mut twice = bare;
    twice.signatures.extend(twice.signatures.clone());
    put("corpus/enrollment/signed-twice", twice.to_json());
}

/// Rosters, an offer and what custodians say to it.
fn signed() {
    let paper = Paper::new();
    let second = paper.version_after(&paper.chain, |next| next.accept_risk.clear());
    let json = |chain: &[&Envelope]| serde_json::to_string(chain).expect("JSON");
    let first = &paper.chain[0];
    put("corpus/roster/chain", json(&[first, &second]));
    put("corpus/roster/first", first.to_json());
    put("corpus/roster/payload", &second.payload);
    put("corpus/roster/second-alone", second.to_json());
    put("corpus/roster/turned-back", json(&[&second, first]));
    let mut by_one = second.clone();
    by_one.signatures.truncate(1);
    put("corpus/roster/signed-by-one", json(&[first, &by_one]));

    let times = Times {
        approve: 600,
        session: 3600,
    };
    let manifest = paper.manifest(1, "AKIA0000000000000001", Head::EMPTY);
    let offer = paper.offer(&paper::ask(), "dana", Head::EMPTY, times, &manifest);
    put("corpus/envelope/offer", offer.to_json());
    put("corpus/envelope/manifest", manifest.to_json());
    put(
        "corpus/envelope/denial",
        paper.denial(&offer, "bob").to_json(),
    );
    put("corpus/envelope/roster", first.to_json());
    let approval = paper.approval(&offer, "alice");
    put("corpus/envelope/approval", approval.to_json());

    let sealed = seal_to(&OneTime::generate().recipient(), b"a share").expect("a recipient");
    let file = |approval: Envelope| {
        serde_json::to_string(&job::Approval {
            approval,
            sealed_share: Bytes(sealed.clone()),
        })
        .expect("JSON")
    };
    put("corpus/approval/alice", file(approval));
    put("corpus/approval/bob", file(paper.approval(&offer, "bob")));
    put(
        "corpus/approval/a-stranger",
        file(paper.approval(&offer, "stranger")),
    );
    put("corpus/approval/the-offer", file(offer.clone()));
    put(
        "corpus/approval/a-denial",
        file(paper.denial(&offer, "alice")),
    );
}
