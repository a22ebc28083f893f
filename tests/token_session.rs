//! The token module against the real pcscd, the real vpcd driver and virtual YubiKeys.
//!
//! Needs root, and the packages that `twotap_token::Pcscd` names.

#[path = "token_session/bench.rs"]
mod bench;
#[path = "token_session/enrolment.rs"]
mod enrolment;
#[path = "token_session/failures.rs"]
mod failures;
#[path = "token_session/rivals.rs"]
mod rivals;
#[path = "token_session/witnesses.rs"]
mod witnesses;

use bench::{PATIENT, assert_signed, error, isolated, peer, pin, tapping};
use std::time::Duration;
use twotap::token::{
    Bounds, Contents, Firmware, Prompt, Slot, Token, TokenError, TouchPolicy, Why, readers,
};

const DIGEST: [u8; 32] = [0x5a; 32];

#[test]
fn without_pcscd_that_is_what_it_says() {
    // Not isolated: the socket named here never existed.
    let folder = tempfile::tempdir().unwrap();
    if std::env::var_os("PCSCLITE_CSOCK_NAME").is_some_and(|name| name == "/nowhere/pcscd.comm") {
        assert_eq!(error(Token::open(None)), TokenError::NoService);
        assert_eq!(readers(Bounds::default()), Err(TokenError::NoService));
        return;
    }
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "without_pcscd_that_is_what_it_says",
            "--test-threads=1",
        ])
        .env("PCSCLITE_CSOCK_NAME", "/nowhere/pcscd.comm")
        .current_dir(folder.path())
        .status();
    assert!(status.unwrap().success());
}

#[test]
fn the_token_is_chosen_by_serial_and_never_by_chance() {
    isolated(
        "the_token_is_chosen_by_serial_and_never_by_chance",
        |bench| {
            assert_eq!(
                error(Token::open_within(None, PATIENT)),
                TokenError::NoToken
            );
            let contents: Vec<_> = readers(PATIENT)
                .unwrap()
                .into_iter()
                .map(|reader| reader.contents)
                .collect();
            assert_eq!(contents, [Contents::Empty, Contents::Empty]);

            let one = bench.insert(1001, "5.7.4");
            let only = Token::open_within(None, PATIENT).ok().unwrap();
            assert_eq!(
                (only.serial(), only.firmware()),
                (1001, Firmware::new(5, 7, 4))
            );
            assert!(only.reader().contains("YubiKey"));
            drop(only);

            let two = bench.insert(1002, "5.4.3");
            assert_eq!(
                error(Token::open_within(None, PATIENT)),
                TokenError::SeveralTokens {
                    found: vec![1001, 1002]
                }
            );
            for plugged in [&one, &two] {
                assert_eq!(plugged.open(PATIENT).serial(), plugged.serial);
            }
            assert_eq!(
                error(Token::open_within(Some(1003), PATIENT)),
                TokenError::WrongToken {
                    wanted: 1003,
                    found: vec![1001, 1002]
                }
            );
            let contents: Vec<_> = readers(PATIENT)
                .unwrap()
                .into_iter()
                .map(|reader| reader.contents)
                .collect();
            let token = |serial, firmware| Contents::Token { serial, firmware };
            assert_eq!(
                contents,
                [
                    token(1001, Firmware::new(5, 7, 4)),
                    token(1002, Firmware::new(5, 4, 3))
                ]
            );
        },
    );
}

#[test]
fn an_approval_is_one_tap_and_nine_commands() {
    isolated("an_approval_is_one_tap_and_nine_commands", |bench| {
        for (serial, profile) in [(1001, "5.7.4"), (1002, "5.4.3")] {
            let plugged = bench.insert(serial, profile);
            let keys = plugged.enrol(TouchPolicy::Cached);
            let (secret, point) = peer();
            let (mut control, mut prompts) = (plugged.control(), vec![]);

            let mut token = plugged.open(PATIENT);
            assert_eq!(token.pin_tries(), Ok(3));
            let approved = token
                .approve(
                    &pin(),
                    Slot::APPROVE,
                    Slot::UNSEAL,
                    &DIGEST,
                    &point,
                    &mut tapping(&mut control, &mut prompts),
                )
                .unwrap();
            assert_signed(&keys.approve, &DIGEST, &approved.signature);
            let shared =
                p256::ecdh::diffie_hellman(secret.to_nonzero_scalar(), keys.unseal.as_affine());
            assert_eq!(approved.shared[..], shared.raw_secret_bytes()[..]);
            assert_eq!(prompts, [Prompt::Touch(Why::Sign)]);

            let status = control.status().unwrap();
            assert_eq!(status.taps_since_mark, 1);
            let expected = [
                ("20", 2),
                ("87", 2),
                ("a4", 2),
                ("f7", 1),
                ("f8", 1),
                ("fd", 1),
            ];
            let counted: Vec<_> = status
                .apdus_since_mark
                .by_ins
                .iter()
                .map(|(ins, count)| (ins.as_str(), *count))
                .collect();
            assert_eq!(counted, expected);
            assert_eq!(status.apdus_since_mark.total, 9);
        }
    });
}

#[test]
fn where_a_touch_does_not_carry_over_a_second_is_asked_for() {
    isolated(
        "where_a_touch_does_not_carry_over_a_second_is_asked_for",
        |bench| {
            let by_key = ("touch_cache = 'key'", TouchPolicy::Cached);
            let strict = ("5.7.4", TouchPolicy::Always);
            for (serial, (profile, touch)) in [(1001, by_key), (1002, strict)] {
                let plugged = bench.insert(serial, profile);
                let keys = plugged.enrol(touch);
                let (secret, point) = peer();
                let (mut control, mut prompts) = (plugged.control(), vec![]);
                // The signature's touch comes at once by itself, so only the agreement is late.
                let bounds = Bounds {
                    again: Duration::from_millis(300),
                    ..PATIENT
                };
                let approved = plugged
                    .open(bounds)
                    .approve(
                        &pin(),
                        Slot::APPROVE,
                        Slot::UNSEAL,
                        &DIGEST,
                        &point,
                        &mut tapping(&mut control, &mut prompts),
                    )
                    .unwrap();
                let shared =
                    p256::ecdh::diffie_hellman(secret.to_nonzero_scalar(), keys.unseal.as_affine());
                assert_eq!(approved.shared[..], shared.raw_secret_bytes()[..]);
                assert_eq!(
                    prompts,
                    [Prompt::Touch(Why::Sign), Prompt::TouchAgain(Why::Unseal)]
                );
                assert_eq!(control.status().unwrap().taps_since_mark, 2);
            }
        },
    );
}

#[test]
fn each_operation_works_alone() {
    isolated("each_operation_works_alone", |bench| {
        let plugged = bench.insert(1001, "5.7.4");
        let keys = plugged.enrol(TouchPolicy::Cached);
        let (secret, point) = peer();
        let (mut control, mut prompts) = (plugged.control(), vec![]);
        let mut token = plugged.open(PATIENT);
        let shared = token
            .unseal(
                &pin(),
                Slot::UNSEAL,
                &point,
                &mut tapping(&mut control, &mut prompts),
            )
            .unwrap();
        let expected =
            p256::ecdh::diffie_hellman(secret.to_nonzero_scalar(), keys.unseal.as_affine());
        assert_eq!(shared[..], expected.raw_secret_bytes()[..]);
        // The same handle goes on after its own reset.
        let signature = token
            .sign(
                &pin(),
                Slot::APPROVE,
                &DIGEST,
                &mut tapping(&mut control, &mut prompts),
            )
            .unwrap();
        assert_signed(&keys.approve, &DIGEST, &signature);
        assert_eq!(
            prompts,
            [Prompt::Touch(Why::Unseal), Prompt::Touch(Why::Sign)]
        );

        let empty = Slot::parse(0x90).unwrap();
        let missing = token.sign(&pin(), empty, &DIGEST, &mut |_| {});
        assert_eq!(error(missing), TokenError::NoKey { slot: empty });
        let off = token.unseal(&pin(), Slot::UNSEAL, &[4; 65], &mut |_| {});
        assert_eq!(error(off), TokenError::BadPoint);
    });
}
