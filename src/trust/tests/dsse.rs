use data_encoding::BASE64;
use p256::ecdsa::Signature as EcdsaSignature;
use serde_json::{Value, json};

use super::{
    people::{self, SoftToken, host, low_s, manifest, verified},
    python::python,
};
use crate::trust::{
    Envelope, PublicKey, Signer as _, TrustError,
    dsse::{MAX_ENVELOPE, Signature},
    enrollment::Enrollment,
    manifest::Manifest,
    receipt::{Outcome, Proof, ProvenBy, Receipt, Step},
    roster::{Roster, verify_chain},
};

/// Reads {envelope, keys: [SPKI], threshold}; prints the ids of the keys that it accepts.
const VERIFIER: &str = r#"
import base64, hashlib, json, sys
from cryptography.hazmat.primitives.serialization import load_der_public_key
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey
given = json.load(sys.stdin)
keys = []
for text in given["keys"]:
    der = base64.b64decode(text)
    keys.append(SSlibKey.from_crypto(load_der_public_key(der), hashlib.sha256(der).hexdigest()))
try:
    accepted = Envelope.from_dict(given["envelope"]).verify(keys, given["threshold"])
except VerificationError:
    print("refused")
    sys.exit(0)
print(" ".join(sorted(accepted)))
"#;

fn witness(envelope: &Envelope, keys: &[PublicKey], threshold: usize) -> String {
    let given = json!({
        "envelope": serde_json::from_str::<Value>(&envelope.to_json()).expect("JSON"),
        "keys": keys.iter().map(|k| BASE64.encode(&k.to_spki())).collect::<Vec<_>>(),
        "threshold": threshold,
    });
    let output = python(&["-c", VERIFIER], &given.to_string());
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout)
        .expect("text")
        .trim()
        .to_owned()
}

fn trio() -> [SoftToken; 3] {
    ["alice", "bob", "carol"].map(SoftToken::new)
}

#[test]
fn an_independent_verifier_agrees_on_both_kinds_of_keys() {
    let [alice, bob, _] = trio();
    let roster = people::signed(&people::roster(2, &[&alice, &bob]), &[&alice, &bob]);
    let keys = [alice.public(), bob.public()];
    let mut ids = keys.clone().map(|k| k.id().to_string());
    ids.sort();
    assert_eq!(witness(&roster, &keys, 2), ids.join(" "));

    let sealed = manifest(&verified(2, &[&alice, &bob]), 1);
    let sealed = Envelope::signed(&sealed, &host()).expect("signed");
    assert_eq!(
        witness(&sealed, &[host().public()], 1),
        host().public().id().to_string()
    );

    for mut forged in [roster, sealed] {
        let last = forged.payload.len() - 2;
        forged.payload[last] ^= 1;
        assert_eq!(
            witness(&forged, &[alice.public(), bob.public(), host().public()], 1),
            "refused"
        );
    }
}

#[test]
fn what_is_signed_is_what_the_specification_says() {
    // The vector of the specification (protocol.md, "Test Vectors").
    let envelope = Envelope {
        payload_type: "http://example.com/HelloWorld".into(),
        payload: b"hello world".to_vec(),
        signatures: vec![],
    };
    assert_eq!(
        envelope.pae(),
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    );
}

#[test]
fn a_keyid_decides_nothing() {
    let [alice, bob, carol] = trio();
    let tokens = [&alice, &bob];
    let good = people::signed(&people::roster(2, &tokens), &tokens);

    // True signatures under each other's names, or under nobody's: still good.
    let mut swapped = good.clone();
    swapped.signatures[0].keyid = bob.public().id();
    swapped.signatures[1].keyid = carol.public().id();
    assert!(verify_chain(&[swapped]).is_ok());

    // A stranger's signature under the right name: not good.
    let mut forged = good.clone();
    forged.signatures[1] = Signature {
        keyid: bob.public().id(),
        sig: carol.sign(&good.pae()),
    };
    assert!(matches!(
        verify_chain(&[forged]),
        Err(TrustError::Unsigned { .. })
    ));
}

#[test]
fn one_key_counts_once() {
    let [alice, bob, carol] = trio();
    let all = [&alice, &bob, &carol];
    let first = people::signed(&people::roster(2, &all), &all);
    let next = people::next(&people::newest(std::slice::from_ref(&first)));

    let mut envelope = people::signed(&next, &[&alice]);
    // Twice the same bytes, and once more under another name.
    let again = envelope.signatures[0].clone();
    envelope.signatures.push(again.clone());
    envelope.signatures.push(Signature {
        keyid: bob.public().id(),
        sig: again.sig,
    });
    let keys = [alice.public(), bob.public(), alice.public()];
    assert_eq!(envelope.signers(&keys), [&alice.public()]);
    assert!(matches!(
        verify_chain(&[first.clone(), envelope]),
        Err(TrustError::Unsigned { .. })
    ));
    assert!(verify_chain(&[first, people::signed(&next, &[&alice, &bob])]).is_ok());
}

#[test]
fn a_signature_has_one_form() {
    let [alice, bob, _] = trio();
    let tokens = [&alice, &bob];
    let good = people::signed(&people::roster(2, &tokens), &tokens);
    let pae = good.pae();
    let low = low_s(&alice.approve, &pae);
    let high = EcdsaSignature::from_scalars(low.r(), -*low.s()).expect("a signature");
    assert!(alice.public().verifies(&pae, low.to_der().as_bytes()));

    let der = high.to_der().as_bytes().to_vec();
    let raw = low.to_bytes().to_vec();
    let long = [low.to_der().as_bytes(), &[0]].concat();
    for (what, sig) in [("high S", der), ("raw", raw), ("trailing byte", long)] {
        assert!(!alice.public().verifies(&pae, &sig), "{what}");
        let mut forged = good.clone();
        forged.signatures[0].sig = sig;
        assert!(verify_chain(&[forged]).is_err(), "{what}");
    }
}

#[test]
fn a_key_of_small_order_signs_nothing() {
    // The neutral element as a key, with R neutral and S zero: loose verifiers take it for any message.
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let key =
        PublicKey::Ed25519(ed25519_dalek::VerifyingKey::from_bytes(&neutral).expect("a point"));
    let signature = [neutral, [0; 32]].concat();
    assert!(!key.verifies(b"anything", &signature));
}

#[test]
fn fields_that_are_unknown_or_twice_there_are_refused() {
    let [alice, bob, _] = trio();
    let envelope = people::signed(&people::roster(2, &[&alice, &bob]), &[&alice, &bob]);
    let json = envelope.to_json();
    assert_eq!(Envelope::parse(json.as_bytes()).expect("good"), envelope);

    let unknown = json.replacen('{', "{\"note\":1,", 1);
    let twice = json.replacen('{', "{\"payload\":\"\",", 1);
    let inner = json.replacen("{\"keyid\"", "{\"cert\":\"\",\"keyid\"", 1);
    let tail = format!("{json} {{}}");
    let url = json.replace('+', "-").replace('/', "_");
    for bad in [unknown, twice, inner, tail, url] {
        assert_ne!(bad, json);
        assert!(Envelope::parse(bad.as_bytes()).is_err(), "{bad:.60}");
    }
    let large = format!("{}{json}", " ".repeat(MAX_ENVELOPE));
    assert!(Envelope::parse(large.as_bytes()).is_err());

    // Inside the payload too, signed or not.
    let text = String::from_utf8(envelope.payload.clone()).expect("JSON");
    for bad in [
        text.replacen('{', "{\"note\":1,", 1),
        text.replacen('{', "{\"threshold\":2,", 1),
        text.replacen(
            "{\"name\":\"alice\"",
            "{\"name\":\"ivan\",\"name\":\"alice\"",
            1,
        ),
        text.replacen("{\"Version\"", "{\"Statement\":1,\"Version\"", 1),
    ] {
        assert_ne!(bad, text);
        let mut forged = Envelope {
            payload: bad.into_bytes(),
            signatures: vec![],
            ..envelope.clone()
        };
        forged.sign(&alice);
        forged.sign(&bob);
        assert!(matches!(
            verify_chain(&[forged]),
            Err(TrustError::Malformed { .. })
        ));
    }
}

#[test]
fn a_document_for_another_purpose_is_refused() {
    let [alice, bob, _] = trio();
    let roster = verified(2, &[&alice, &bob]);
    let mut as_manifest = roster.envelope().repurposed::<Manifest>();
    as_manifest.sign(&alice);
    assert!(matches!(
        as_manifest.unverified::<Roster>(),
        Err(TrustError::WrongType { .. })
    ));
    let other_version = Envelope {
        payload_type: "application/vnd.twotap.roster.v2+json".into(),
        ..roster.envelope().clone()
    };
    assert!(matches!(
        verify_chain(&[other_version]),
        Err(TrustError::WrongType { .. })
    ));

    // The purpose is under the signature: signatures do not move along.
    let mut moved = roster.envelope().repurposed::<Manifest>();
    moved.signatures = roster.envelope().signatures.clone();
    assert!(moved.signers(&roster.approve_keys()).is_empty());
}

#[test]
fn an_enrollment_proves_its_own_key() {
    let [alice, bob, _] = trio();
    let token = alice.listed();
    let enrollment = Enrollment {
        v: 1,
        name: "alice".into(),
        serial: token.serial,
        firmware: token.firmware,
        approve: token.approve,
        unseal: token.unseal,
        attestation: None,
        created_at: people::at("2026-01-06T09:00:00Z"),
    };
    let good = Envelope::signed(&enrollment, &alice).expect("signed");
    assert_eq!(*Enrollment::verify(&good).expect("good"), enrollment);
    let others = Envelope::signed(&enrollment, &bob).expect("signed");
    assert!(matches!(
        Enrollment::verify(&others),
        Err(TrustError::Unsigned { .. })
    ));
    let one_key = Enrollment {
        unseal: enrollment.approve.clone(),
        ..enrollment
    };
    assert!(Envelope::new(&one_key).is_err());
}

#[test]
fn a_receipt_reads_back_and_takes_nothing_more() {
    let proof = || Proof {
        at: people::at("2026-01-06T10:00:00Z"),
        aws_request_id: Some("2".into()),
        aws_date: None,
    };
    let receipt = Receipt {
        v: 1,
        vault: "prod".into(),
        request: None,
        host: host().public().id(),
        outcome: Outcome::Rotated {
            old_access_key_id: "AKIAIOSFODNN7EXAMPLE".into(),
            new_access_key_id: "AKIAI44QH8DHBEXAMPLE".into(),
            generation: 2,
            manifest_sha256: crate::trust::Digest::of(b"manifest"),
            previous_manifest_sha256: None,
            new_key_worked: proof(),
            counts_since: people::at("2026-01-06T10:00:01Z"),
            old_key_refused: proof(),
            proven_by: ProvenBy::Itself,
            old_key_deleted: None,
        },
        steps: vec![Step {
            step: "create".into(),
            at: people::at("2026-01-06T10:00:00Z"),
            aws_request_id: Some("1".into()),
            aws_date: None,
        }],
    };
    let envelope = Envelope::signed(&receipt, &host()).expect("signed");
    let keys = [host().public()];
    let (read, _) = envelope.verify::<Receipt>(&keys, "the host").expect("good");
    assert_eq!(*read, receipt);
    let text = String::from_utf8(envelope.payload.clone()).expect("JSON");
    for bad in [
        text.replacen("{\"kind\"", "{\"note\":1,\"kind\"", 1),
        text.replacen("\"generation\":2", "\"generation\":2,\"generation\":3", 1),
        text.replacen("\"kind\":\"rotated\"", "\"kind\":\"revoked\"", 1),
    ] {
        assert_ne!(bad, text);
        let forged = Envelope {
            payload: bad.into_bytes(),
            ..envelope.clone()
        };
        assert!(forged.unverified::<Receipt>().is_err());
    }
}
