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

#[test]
fn before_firmware_5_3_a_stored_key_that_was_never_set_does_not_lock_us_out() {
    let witness = "7c0a 8008 0102030405060708 9000";
    let key = format!("531c 881a 8918 {} 9000", "09".repeat(24));
    let script = || {
        Script::default()
            .then(SELECT, "9000")
            .then(VERIFY, "9000")
            .then("00cb3fff055c035fff00", "5305 8003 810102 9000")
            .then("00cb3fff055c035fc109", &key)
            .then("0087039b 04 7c02 8000", witness)
            .then("0087039b", "6982")
    };
    let old = Firmware::new(5, 2, 7);
    // Then the factory's; where that is not it either, it has to be given.
    let mut card = script()
        .then("0087039b 04 7c02 8000", witness)
        .then("0087039b", "6982");
    let error = enter(&mut card, old, &pin(), None).err();
    assert_eq!(error, Some(TokenError::ManagementKeyNeeded));
    assert!(card.finished());
    // Another failure is not taken for a wrong key.
    let mut card = script().then_fail("0087039b", TokenError::Removed);
    assert_eq!(
        enter(&mut card, old, &pin(), None).err(),
        Some(TokenError::Removed)
    );
}
