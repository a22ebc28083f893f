use super::*;
use crate::token::apdu::script::Script;
use p256::ecdsa::signature::hazmat::PrehashSigner;
use p256::ecdsa::{Signature, SigningKey};
use p256::elliptic_curve::sec1::ToEncodedPoint;

const V574: Firmware = Firmware::new(5, 7, 4);

fn pin() -> Pin {
    Pin::parse(b"135790").ok().unwrap()
}

fn peer() -> [u8; 65] {
    let key = p256::SecretKey::from_slice(&[5; 32]).unwrap().public_key();
    key.to_encoded_point(false).as_bytes().try_into().unwrap()
}

fn signature() -> String {
    let made: Signature = SigningKey::from_slice(&[7; 32])
        .unwrap()
        .sign_prehash(&[1; 32])
        .unwrap();
    let der = made.to_der();
    let length = der.as_bytes().len();
    let hex = data_encoding::HEXLOWER.encode(der.as_bytes());
    format!("7c{:02x} 82{length:02x} {hex} 9000", length + 2)
}

fn agreed() -> String {
    format!("7c22 8220 {} 9000", "ab".repeat(32))
}

fn approve(card: &mut Script) -> (Result<Approved, TokenError>, Vec<Prompt>) {
    let mut prompts = vec![];
    let result = run_approve(
        card,
        &pin(),
        Slot::APPROVE,
        Slot::UNSEAL,
        &[1; 32],
        &peer(),
        &mut |prompt| prompts.push(prompt),
    );
    (result, prompts)
}

const VERIFY: &str = "0020008008 313335373930ffff";

#[test]
fn an_approval_is_verify_sign_verify_agree() {
    let mut card = Script::default()
        .then(VERIFY, "9000")
        .then("00871182", &signature())
        .then(VERIFY, "9000")
        .then("00871183", &agreed());
    let (approved, prompts) = approve(&mut card);
    assert_eq!(approved.ok().unwrap().shared[..], [0xab; 32]);
    assert!(card.finished());
    assert_eq!(
        prompts,
        [Prompt::Touch(Why::Sign)],
        "one tap where the touch carries over"
    );
}

#[test]
fn a_token_that_waits_at_the_agreement_wants_a_second_touch() {
    let mut card = Script::default()
        .then(VERIFY, "9000")
        .then_late("00871182", &signature())
        .then(VERIFY, "9000")
        .then_late("00871183", &agreed());
    let (approved, prompts) = approve(&mut card);
    assert!(approved.is_ok());
    assert_eq!(
        prompts,
        [Prompt::Touch(Why::Sign), Prompt::TouchAgain(Why::Unseal)]
    );
}

#[test]
fn nothing_comes_out_of_half_an_approval() {
    let mut wrong = Script::default().then(VERIFY, "63c2");
    let (result, prompts) = approve(&mut wrong);
    assert_eq!(result.err(), Some(TokenError::PinWrong { tries: 2 }));
    assert_eq!(prompts, [], "nobody touches for a wrong pin");

    let mut untouched = Script::default()
        .then(VERIFY, "9000")
        .then("00871182", "6982");
    assert_eq!(approve(&mut untouched).0.err(), Some(TokenError::NoTouch));

    let mut second = Script::default()
        .then(VERIFY, "9000")
        .then("00871182", &signature())
        .then(VERIFY, "9000")
        .then("00871183", "6600");
    assert_eq!(approve(&mut second).0.err(), Some(TokenError::NoTouch));

    let mut gone = Script::default()
        .then(VERIFY, "9000")
        .then_fail("00871182", TokenError::Removed);
    assert_eq!(approve(&mut gone).0.err(), Some(TokenError::Removed));
}

#[test]
fn tries_select_only_when_another_application_answers() {
    let mut card = Script::default().then("00f70080", "0101ff 050100 06020302 9000");
    assert_eq!(run_tries(&mut card, V574), Ok(2));
    for foreign in ["6d00", "6a88", "9000", "060103 9000"] {
        let mut card = Script::default()
            .then("00f70080", foreign)
            .then("00a40400", "9000")
            .then("00f70080", "06020800 9000");
        assert_eq!(run_tries(&mut card, V574), Ok(0), "{foreign}");
    }
    let mut gone = Script::default().then_fail("00f70080", TokenError::Removed);
    assert_eq!(run_tries(&mut gone, V574), Err(TokenError::Removed));
}

#[test]
fn a_slot_with_a_key_or_a_certificate_is_in_use() {
    let old = Firmware::new(5, 2, 4);
    for (firmware, steps, expected) in [
        (V574, &[("00f70082", "010111 9000")][..], true),
        (
            V574,
            &[("00f70082", "6a88"), ("00cb3fff", "5302 7000 9000")][..],
            true,
        ),
        (
            V574,
            &[("00f70082", "6a88"), ("00cb3fff", "6a82")][..],
            false,
        ),
        (old, &[("00cb3fff", "5302 7000 9000")][..], true),
        (old, &[("00cb3fff", "6a82")][..], false),
    ] {
        let mut card = steps
            .iter()
            .fold(Script::default(), |card, (sent, answer)| {
                card.then(sent, answer)
            });
        assert_eq!(in_use(&mut card, firmware, Slot::APPROVE), Ok(expected));
        assert!(card.finished());
    }
}
