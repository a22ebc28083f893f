use super::*;
use crate::token::apdu::script::Script;
use p256::ecdsa::signature::hazmat::PrehashSigner;
use p256::ecdsa::{Signature, SigningKey};

const SELECT: &str = "00a40400";
const VERIFY: &str = "00200080";
const KIND: &str = "00f7009b";
const V574: Firmware = Firmware::new(5, 7, 4);

fn pin() -> Pin {
    Pin::parse(b"135790").ok().unwrap()
}

#[test]
fn the_factory_key_is_tried_only_on_the_tokens_own_word() {
    let mut card = Script::default()
        .then(SELECT, "9000")
        .then(VERIFY, "9000")
        .then(KIND, "01010a 050101 9000")
        .then("00870a9b", "6982");
    // The default is used at once, without a look for a stored one.
    assert!(enter(&mut card, V574, &pin(), None).is_err());
    assert!(card.finished());

    let mut card = Script::default()
        .then(SELECT, "9000")
        .then(VERIFY, "9000")
        .then(KIND, "01010a 050100 9000")
        .then("00cb3fff055c035fff00", "6a82");
    let error = enter(&mut card, V574, &pin(), None).err();
    assert_eq!(error, Some(TokenError::ManagementKeyNeeded));
    assert!(card.finished(), "nothing was guessed");
}

#[test]
fn a_wrong_pin_ends_it() {
    let mut card = Script::default().then(SELECT, "9000").then(VERIFY, "63c1");
    let error = enter(&mut card, V574, &pin(), None).err();
    assert_eq!(error, Some(TokenError::PinWrong { tries: 1 }));
}

#[test]
fn a_key_that_signs_something_else_gets_no_certificate() {
    let key = SigningKey::from_slice(&[7; 32]).unwrap();
    let other: Signature = key.sign_prehash(&[1; 32]).unwrap();
    let der = other.to_der();
    let length = der.as_bytes().len();
    let reply = format!(
        "7c{:02x} 82{length:02x} {} 9000",
        length + 2,
        data_encoding::HEXLOWER.encode(der.as_bytes())
    );
    let mut card = Script::default()
        .then(VERIFY, "9000")
        .then("00871182", &reply);
    let mut prompts = vec![];
    let made = certify(
        &mut card,
        &pin(),
        Slot::APPROVE,
        Purpose::Approve,
        "alice",
        &p256::PublicKey::from(key.verifying_key()),
        (PinPolicy::Always, TouchPolicy::Always),
        SystemTime::UNIX_EPOCH,
        &mut |prompt| prompts.push(prompt),
    );
    assert_eq!(
        made,
        Err(TokenError::Malformed {
            what: "the signature"
        })
    );
    assert_eq!(prompts, [Prompt::Touch(Why::Certify)]);
    assert!(card.finished(), "nothing was written");
}
