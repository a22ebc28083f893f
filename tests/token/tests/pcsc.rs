//! Programs that link PC/SC: the `yubikey` crate, and the `pcsc` crate with APDUs by hand.
//!
//! The library finds pcscd by an environment variable, which a running process cannot safely
//! change. So each test starts the token and then itself, once more, as the client.

mod common;

use common::Rig;
use p256::{
    PublicKey, SecretKey,
    ecdh::diffie_hellman,
    ecdsa::{Signature, VerifyingKey, signature::hazmat::PrehashVerifier},
    elliptic_curve::sec1::ToEncodedPoint,
};
use pcsc::{Card, Context, Disposition, Protocols, Scope, ShareMode};
use std::{env, ffi::CString, thread, time::Duration};
use twotap_token::{Control, Fault, FaultKind, TokenOptions};
use yubikey::{
    Certificate, MgmKey, PinPolicy, Serial, TouchPolicy, YubiKey,
    certificate::CertInfo,
    piv::{self, AlgorithmId, Origin, RetiredSlotId, SlotId},
};

const PIN: &[u8] = b"123456";
const SLOT: SlotId = SlotId::Retired(RetiredSlotId::R1);
const HASH: [u8; 32] = [5; 32];
const BOUND: Duration = Duration::from_secs(30);

/// In the test's own process: a rig, and the client beside it. In the client's: runs it.
fn as_client(name: &str, profile: &str, client: impl FnOnce(Control)) {
    const CONTROL: &str = "TWOTAP_TOKEN_TEST_CONTROL";
    if let Some(path) = env::var_os(CONTROL) {
        return client(Control::connect(path).expect("the control socket"));
    }
    let rig = Rig::new(profile);
    let mut again = rig.client(env::current_exe().expect("this program"));
    again.args(["--exact", name, "--nocapture"]);
    again.env(CONTROL, rig.path("1001.sock"));
    let out = common::succeed(again);
    assert!(out.contains("1 passed"), "{out}");
}

fn open() -> YubiKey {
    YubiKey::open_by_serial(Serial(1001)).expect("the token")
}

/// Generates a key in slot 82.
fn generate(key: &mut YubiKey, pin: PinPolicy, touch: TouchPolicy) -> PublicKey {
    let management = MgmKey::get_default(key).expect("its default");
    key.authenticate(&management).expect("authenticated");
    let spki = piv::generate(key, SLOT, AlgorithmId::EccP256, pin, touch).expect("a key");
    PublicKey::from_sec1_bytes(spki.subject_public_key.raw_bytes()).expect("a point")
}

fn yubikey_crate(mut control: Control) {
    let mut key = open();
    assert_eq!(key.get_pin_retries().expect("tries"), 3);
    let public = generate(&mut key, PinPolicy::Always, TouchPolicy::Always);
    let metadata = piv::metadata(&mut key, SLOT).expect("metadata");
    assert_eq!(
        metadata.policy,
        Some((PinPolicy::Always, TouchPolicy::Always))
    );
    assert_eq!(metadata.origin, Some(Origin::Generated));

    let statement = piv::attest(&mut key, SLOT).expect("attested");
    let certificate = Certificate::from_bytes(statement).expect("a certificate");
    certificate
        .write(&mut key, SLOT, CertInfo::Uncompressed)
        .expect("stored");
    let back = Certificate::read(&mut key, SLOT).expect("read");
    assert_eq!(back.subject(), "CN=YubiKey PIV Attestation 82");
    let spki = back.subject_pki().subject_public_key;
    assert_eq!(spki.raw_bytes(), public.to_encoded_point(false).as_bytes());

    control.tap_when_asked(2).expect("a finger");
    key.verify_pin(PIN).expect("the PIN");
    let der = piv::sign_data(&mut key, &HASH, AlgorithmId::EccP256, SLOT).expect("signed");
    let signature = Signature::from_der(&der).expect("DER");
    VerifyingKey::from(&public)
        .verify_prehash(&HASH, &signature)
        .expect("verifies");

    let ours = SecretKey::random(&mut rand_core::OsRng);
    let point = ours.public_key().to_encoded_point(false);
    key.verify_pin(PIN).expect("the PIN");
    let shared = piv::decrypt_data(&mut key, point.as_bytes(), AlgorithmId::EccP256, SLOT);
    let expected = diffie_hellman(ours.to_nonzero_scalar(), public.as_affine());
    assert_eq!(shared.expect("agreed")[..], expected.raw_secret_bytes()[..]);

    // Nobody taps any more.
    key.verify_pin(PIN).expect("the PIN");
    let refused = piv::sign_data(&mut key, &HASH, AlgorithmId::EccP256, SLOT);
    assert_eq!(refused, Err(yubikey::Error::AuthenticationError));
    assert_eq!(control.status().expect("status").taps, 2);
}

#[test]
fn the_yubikey_crate_accepts_firmware_5_7_4() {
    as_client(
        "the_yubikey_crate_accepts_firmware_5_7_4",
        "5.7.4",
        yubikey_crate,
    );
}

#[test]
fn the_yubikey_crate_accepts_firmware_5_4_3() {
    as_client(
        "the_yubikey_crate_accepts_firmware_5_4_3",
        "5.4.3",
        yubikey_crate,
    );
}

/// The token by hand, shared.
fn connect(context: &Context) -> Card {
    let reader = CString::new(common::READER).expect("no NUL");
    context
        .connect(&reader, ShareMode::Shared, Protocols::ANY)
        .expect("a card")
}

/// The status word of the answer.
fn send(card: &Card, apdu: &[u8]) -> Result<u16, pcsc::Error> {
    let mut buffer = [0; 512];
    let reply = card.transmit(apdu, &mut buffer)?;
    let [.., hi, lo] = *reply else {
        panic!("an answer without a status word");
    };
    Ok(u16::from_be_bytes([hi, lo]))
}

const SELECT: [u8; 10] = [0, 0xa4, 4, 0, 5, 0xa0, 0, 0, 3, 8];
const VERIFY: [u8; 13] = *b"\x00\x20\x00\x80\x08123456\xff\xff";
const ASK_PIN: [u8; 4] = [0, 0x20, 0, 0x80];

fn sign_apdu() -> Vec<u8> {
    [
        &[0, 0x87, 0x11, 0x82, 38, 0x7c, 36, 0x82, 0, 0x81, 32][..],
        &HASH,
    ]
    .concat()
}

#[test]
fn a_reset_by_another_process_clears_the_pin() {
    as_client("a_reset_by_another_process_clears_the_pin", "5.7.4", |_| {
        let ours = Context::establish(Scope::User).expect("pcscd");
        let theirs = Context::establish(Scope::User).expect("pcscd");
        let mut card = connect(&ours);
        assert_eq!(send(&card, &SELECT), Ok(0x9000));
        assert_eq!(send(&card, &VERIFY), Ok(0x9000));
        assert_eq!(send(&card, &ASK_PIN), Ok(0x9000));
        let other = connect(&theirs);
        other
            .disconnect(Disposition::ResetCard)
            .map_err(|(_, e)| e)
            .expect("a reset");
        assert_eq!(send(&card, &ASK_PIN), Err(pcsc::Error::ResetCard));
        let leave = Disposition::LeaveCard;
        card.reconnect(ShareMode::Shared, Protocols::ANY, leave)
            .expect("again");
        assert_eq!(send(&card, &SELECT), Ok(0x9000));
        assert_eq!(send(&card, &ASK_PIN), Ok(0x63c3));
    });
}

#[test]
fn a_tap_in_time_releases_the_waiting_signature() {
    as_client(
        "a_tap_in_time_releases_the_waiting_signature",
        "5.7.4",
        |mut control| {
            let mut key = open();
            generate(&mut key, PinPolicy::Never, TouchPolicy::Always);
            let hand = thread::spawn(move || {
                assert!(control.wait_for_touch(BOUND).expect("asked"));
                assert_eq!(
                    control.status().expect("status").waiting.as_deref(),
                    Some("82")
                );
                assert!(control.tap().expect("tapped"));
            });
            piv::sign_data(&mut key, &HASH, AlgorithmId::EccP256, SLOT).expect("signed");
            hand.join().expect("no panic");
        },
    );
}

#[test]
fn a_token_pulled_out_in_mid_operation_comes_back_with_its_keys() {
    let name = "a_token_pulled_out_in_mid_operation_comes_back_with_its_keys";
    as_client(name, "5.7.4", |mut control| {
        let mut key = open();
        generate(&mut key, PinPolicy::Never, TouchPolicy::Never);
        drop(key);
        let context = Context::establish(Scope::User).expect("pcscd");
        let card = connect(&context);
        assert_eq!(send(&card, &SELECT), Ok(0x9000));
        control
            .fault(Fault::at(FaultKind::Remove, 0x87, 2))
            .expect("set up");
        assert_eq!(send(&card, &sign_apdu()), Ok(0x9000));
        send(&card, &sign_apdu()).expect_err("pulled out");
        drop(card);
        await_state(&context, pcsc::State::EMPTY);
        control.insert().expect("plugged in");
        await_state(&context, pcsc::State::PRESENT);
        let card = connect(&context);
        assert_eq!(send(&card, &SELECT), Ok(0x9000));
        assert_eq!(send(&card, &sign_apdu()), Ok(0x9000));
    });
}

#[test]
fn pulling_it_out_while_it_blinks_ends_the_call() {
    as_client(
        "pulling_it_out_while_it_blinks_ends_the_call",
        "5.7.4",
        |mut control| {
            let mut key = open();
            generate(&mut key, PinPolicy::Never, TouchPolicy::Always);
            let hand = thread::spawn(move || {
                assert!(control.wait_for_touch(BOUND).expect("asked"));
                control.remove().expect("pulled out");
            });
            let refused = piv::sign_data(&mut key, &HASH, AlgorithmId::EccP256, SLOT);
            assert!(
                matches!(refused, Err(yubikey::Error::PcscError { .. })),
                "{refused:?}"
            );
            hand.join().expect("no panic");
        },
    );
}

/// Blocks until the reader shows this state.
fn await_state(context: &Context, state: pcsc::State) {
    let reader = CString::new(common::READER).expect("no NUL");
    let mut states = [pcsc::ReaderState::new(reader, pcsc::State::UNAWARE)];
    loop {
        context
            .get_status_change(BOUND, &mut states)
            .unwrap_or_else(|e| panic!("{e}: {:?}, not {state:?}", states[0].event_state()));
        if states[0].event_state().contains(state) {
            return;
        }
        states[0].sync_current_state();
    }
}

#[test]
fn another_uid_reaches_the_token_and_two_tokens_share_a_pcscd() {
    let rig = Rig::new("5.7.4");
    let dir = rig.path("second");
    let second = TokenOptions {
        profile: "5.4.3".into(),
        ..TokenOptions::new(common::PROGRAM, &dir, 1002)
    };
    std::fs::create_dir(&dir).expect("a folder");
    let _second = rig.pcscd.insert(&second).expect("a second token");
    for (reader, version) in [(common::READER, "5.7.4"), ("CCID 00 01", "5.4.3")] {
        let mut stranger = rig.client("setpriv");
        stranger.args(["--reuid", "61011", "--regid", "61011", "--clear-groups"]);
        stranger.args(["yubico-piv-tool", "-r", reader, "-a", "version"]);
        let out = common::succeed(stranger);
        assert!(out.contains(version), "{out}");
    }
    let refused = rig
        .pcscd
        .insert(&second)
        .err()
        .expect("both readers are taken");
    assert!(refused.to_string().contains("every reader"), "{refused}");
}
