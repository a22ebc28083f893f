//! The token module against the real pcscd, the real vpcd driver and virtual YubiKeys.
//!
//! Needs root, and the packages that `twotap_token::Pcscd` names.

#[path = "token_session/bench.rs"]
mod bench;

use bench::{
    IS_VERIFIED, PATIENT, Plugged, Rival, VERIFY, assert_signed, error, is_victim, isolated, peer,
    pin, tapping,
};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};
use twotap::token::{
    Bounds, Contents, Firmware, Pin, Prompt, Puk, Slot, Token, TokenError, TouchPolicy, Why,
    readers,
};
use twotap_token::{Fault, FaultKind};

const DIGEST: [u8; 32] = [0x5a; 32];
/// A token that keeps the PIN over a new SELECT, so that only a reset makes it forget.
const FORGETFUL_ONLY_WHEN_RESET: &str = "keeps_pin_over_select = true\ntouch_timeout_ms = 400";

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
fn a_reader_that_hangs_hides_no_other() {
    isolated("a_reader_that_hangs_hides_no_other", |bench| {
        let silent = bench.insert(1001, "5.7.4");
        let well = bench.insert(1002, "5.7.4");
        silent
            .control()
            .fault(Fault::next(FaultKind::Silent))
            .unwrap();

        let began = Instant::now();
        let found = readers(Bounds::default()).unwrap();
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "{:?}",
            began.elapsed()
        );
        assert!(
            matches!(found[0].contents, Contents::Held { .. }),
            "{:?}",
            found[0]
        );
        assert!(matches!(
            found[1].contents,
            Contents::Token { serial: 1002, .. }
        ));
        // Still hanging from the look before: the other one opens all the same.
        let token = Token::open_within(Some(1002), Bounds::default());
        assert_eq!(token.ok().unwrap().serial(), well.serial);
        silent.control().clear_faults().unwrap();
    });
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

#[test]
fn a_wrong_pin_is_counted_and_blocks_in_the_end() {
    isolated("a_wrong_pin_is_counted_and_blocks_in_the_end", |bench| {
        // The last one has no metadata: its tries are asked for by VERIFY.
        let old = "version = '5.2.7'\nmetadata = false\nmanagement_key = 'tdes'";
        for (serial, profile) in [(1001, "5.7.4"), (1002, old)] {
            let plugged = bench.insert(serial, profile);
            let mut token = plugged.open(PATIENT);
            let wrong = Pin::parse(b"654321").ok().unwrap();
            let mut prompts = vec![];
            let mut try_one = |token: &mut Token| {
                error(token.sign(&wrong, Slot::APPROVE, &DIGEST, &mut |prompt| {
                    prompts.push(prompt)
                }))
            };
            assert_eq!(token.pin_tries(), Ok(3));
            assert_eq!(try_one(&mut token), TokenError::PinWrong { tries: 2 });
            assert_eq!(token.pin_tries(), Ok(2));
            assert_eq!(try_one(&mut token), TokenError::PinWrong { tries: 1 });
            assert_eq!(try_one(&mut token), TokenError::PinBlocked);
            assert_eq!(token.pin_tries(), Ok(0));
            assert_eq!(try_one(&mut token), TokenError::PinBlocked);
            assert_eq!(prompts, [], "nobody is asked to touch for a wrong pin");

            let puk = Puk::parse(b"12345678").ok().unwrap();
            let bad = Puk::parse(b"00000000").ok().unwrap();
            assert_eq!(
                error(token.unblock_pin(&bad, &wrong)),
                TokenError::PukWrong { tries: 2 }
            );
            token.unblock_pin(&puk, &wrong).unwrap();
            assert_eq!(token.pin_tries(), Ok(3));
        }
    });
}

#[test]
fn tries_are_told_while_another_program_has_the_pin_verified() {
    isolated(
        "tries_are_told_while_another_program_has_the_pin_verified",
        |bench| {
            let old = "version = '5.2.7'\nmetadata = false\nmanagement_key = 'tdes'\n\
                   keeps_pin_over_select = true";
            let plugged = bench.insert(1001, old);
            let mut rival = Rival::connect(pcsc::ShareMode::Shared);
            assert_eq!(rival.status(VERIFY), 0x9000);
            rival.leave();
            assert_eq!(plugged.open(PATIENT).pin_tries(), Ok(3));
        },
    );
}

#[test]
fn no_touch_is_told_apart_and_nothing_comes_out() {
    isolated("no_touch_is_told_apart_and_nothing_comes_out", |bench| {
        let other = "no_touch_status = '6600'\ntouch_timeout_ms = 300\ntouch_cache = 'key'";
        for (serial, profile) in [(1001, "touch_timeout_ms = 300"), (1002, other)] {
            let plugged = bench.insert(serial, profile);
            plugged.enrol(TouchPolicy::Cached);
            let mut token = plugged.open(PATIENT);
            let (_, point) = peer();
            let mut approve = |prompt: &mut dyn FnMut(Prompt)| {
                token.approve(&pin(), Slot::APPROVE, Slot::UNSEAL, &DIGEST, &point, prompt)
            };
            assert_eq!(error(approve(&mut |_| {})), TokenError::NoTouch);
            // Touched for the signature, but not for the agreement where that wants its own.
            let mut control = plugged.control();
            let once = approve(&mut |_| control.tap_when_asked(1).unwrap());
            match serial {
                1001 => assert!(once.is_ok()),
                _ => assert_eq!(error(once), TokenError::NoTouch),
            }
        }
    });
}

#[test]
fn pulled_out_in_the_middle_is_told_apart() {
    isolated("pulled_out_in_the_middle_is_told_apart", |bench| {
        let plugged = bench.insert(1001, "5.7.4");
        let keys = plugged.enrol(TouchPolicy::Cached);
        let mut control = plugged.control();
        let approve = |plugged: &Plugged, prompt: &mut dyn FnMut(Prompt)| {
            let (_, point) = peer();
            let mut token = plugged.open(PATIENT);
            token.approve(&pin(), Slot::APPROVE, Slot::UNSEAL, &DIGEST, &point, prompt)
        };

        // While it blinks; then between signature and agreement.
        let fault = Fault::at(FaultKind::Remove, 0x20, 2);
        for second in [false, true] {
            if second {
                control.fault(fault.clone()).unwrap();
            }
            let (sender, receiver) = channel();
            thread::scope(|scope| {
                let mut control = plugged.control();
                scope.spawn(move || {
                    let Ok(()) = receiver.recv() else { return };
                    assert!(control.wait_for_touch(Duration::from_secs(20)).unwrap());
                    match second {
                        false => control.remove().unwrap(),
                        true => assert!(control.tap().unwrap()),
                    }
                });
                // Moved, so that it goes with a panic, and the thread above ends.
                let mut prompt = move |_| sender.send(()).unwrap();
                assert_eq!(error(approve(&plugged, &mut prompt)), TokenError::Removed);
            });
            plugged.insert_again();
        }

        // Plugged in again, all is as before.
        let mut prompt = |_| control.tap_when_asked(1).unwrap();
        let approved = approve(&plugged, &mut prompt).unwrap();
        assert_signed(&keys.approve, &DIGEST, &approved.signature);
    });
}

#[test]
fn a_token_that_was_pulled_out_meanwhile_is_not_another() {
    isolated(
        "a_token_that_was_pulled_out_meanwhile_is_not_another",
        |bench| {
            let first = bench.insert(1001, "5.7.4");
            let mut token = first.open(PATIENT);
            drop(first);
            // Into the same reader.
            let second = bench.insert(1002, "5.7.4");
            assert_eq!(error(token.pin_tries()), TokenError::Removed);
            assert_eq!(second.open(PATIENT).pin_tries(), Ok(3));
        },
    );
}

#[test]
fn odd_answers_are_errors_of_their_own() {
    isolated("odd_answers_are_errors_of_their_own", |bench| {
        let plugged = bench.insert(1001, "5.7.4");
        plugged.enrol(TouchPolicy::Cached);
        let mut control = plugged.control();
        let mut token = plugged.open(PATIENT);
        let status = |sw: &str| FaultKind::Status { sw: sw.into() };
        control.fault(Fault::at(status("6f00"), 0x87, 1)).unwrap();
        let refused = token.sign(&pin(), Slot::APPROVE, &DIGEST, &mut |_| {});
        assert_eq!(
            error(refused),
            TokenError::Refused {
                what: "the signature",
                status: 0x6f00
            }
        );
        // A reply with status alone where data belong.
        control.fault(Fault::at(status("9000"), 0x87, 1)).unwrap();
        let malformed = token.sign(&pin(), Slot::APPROVE, &DIGEST, &mut |_| {});
        assert_eq!(
            error(malformed),
            TokenError::Malformed {
                what: "the signature"
            }
        );

        let bounds = Bounds {
            answer: Duration::from_millis(300),
            ..PATIENT
        };
        drop(token);
        let mut token = plugged.open(bounds);
        control
            .fault(Fault::at(FaultKind::Silent, 0x20, 1))
            .unwrap();
        let silent = token.sign(&pin(), Slot::APPROVE, &DIGEST, &mut |_| {});
        assert_eq!(error(silent), TokenError::Silent);
        assert_eq!(error(token.pin_tries()), TokenError::Silent, "and stays so");
        // The thread that was left behind lets go as soon as it can: the next one gets in.
        control.clear_faults().unwrap();
        assert_eq!(plugged.open(PATIENT).pin_tries(), Ok(3));
    });
}

#[test]
fn nobody_gets_in_between_pin_and_signature() {
    isolated("nobody_gets_in_between_pin_and_signature", |bench| {
        let plugged = bench.insert(1001, "keeps_pin_over_select = true");
        plugged.enrol(TouchPolicy::Cached);
        let (_, point) = peer();
        let mut token = plugged.open(PATIENT);
        let mut control = plugged.control();
        let (entered, entering) = channel();
        let (wanted, want) = channel();
        let rival = {
            let mut control = plugged.control();
            thread::spawn(move || {
                // The PIN is verified, the signature waits for its touch: now.
                want.recv().unwrap();
                assert!(control.wait_for_touch(Duration::from_secs(20)).unwrap());
                entered.send(()).unwrap();
                let mut rival = Rival::connect(pcsc::ShareMode::Shared);
                let when = control.status().unwrap().apdus_since_mark.by_ins["87"];
                let _ = entered.send(());
                (when, rival.status(IS_VERIFIED), rival.status(&sign_apdu()))
            })
        };
        let tapper = thread::spawn(move || {
            entering.recv().unwrap();
            // The rival is at the door, and stays there.
            assert!(entering.recv_timeout(Duration::from_millis(300)).is_err());
            assert!(control.tap().unwrap());
        });
        token
            .approve(
                &pin(),
                Slot::APPROVE,
                Slot::UNSEAL,
                &DIGEST,
                &point,
                &mut |_| {
                    wanted.send(()).unwrap();
                },
            )
            .unwrap();
        tapper.join().unwrap();
        let (uses, verified, signed) = rival.join().unwrap();
        assert_eq!(
            uses, 2,
            "signature and agreement were done before it got in"
        );
        assert_eq!(verified, 0x63c3, "it finds no verified pin");
        assert_eq!(signed, 0x6982, "and cannot sign");
    });
}

/// GENERAL AUTHENTICATE: a signature with the approve key.
fn sign_apdu() -> Vec<u8> {
    let mut apdu = vec![0, 0x87, 0x11, 0x82, 38, 0x7c, 36, 0x82, 0, 0x81, 32];
    apdu.extend_from_slice(&DIGEST);
    apdu.push(0);
    apdu
}

#[test]
fn the_next_program_finds_no_pin() {
    isolated("the_next_program_finds_no_pin", |bench| {
        let plugged = bench.insert(1001, FORGETFUL_ONLY_WHEN_RESET);
        plugged.enrol(TouchPolicy::Cached);
        let look = || {
            let mut rival = Rival::connect(pcsc::ShareMode::Shared);
            let found = rival.status(IS_VERIFIED);
            rival.leave();
            found
        };
        assert_eq!(look(), 0x63c3, "after the enrolment");
        // That this can fail: a program without a reset leaves it behind.
        let mut careless = Rival::connect(pcsc::ShareMode::Shared);
        assert_eq!(careless.status(VERIFY), 0x9000);
        careless.leave();
        assert_eq!(look(), 0x9000);

        let mut token = plugged.open(PATIENT);
        let mut control = plugged.control();
        token
            .sign(&pin(), Slot::APPROVE, &DIGEST, &mut |_| {
                control.tap_when_asked(1).unwrap()
            })
            .unwrap();
        assert_eq!(look(), 0x63c3, "after a signature");
        assert_eq!(
            error(token.sign(&pin(), Slot::APPROVE, &DIGEST, &mut |_| {})),
            TokenError::NoTouch
        );
        assert_eq!(look(), 0x63c3, "after an error");
        drop(token.manage(&pin(), None).ok().unwrap());
        assert_eq!(look(), 0x63c3, "after a look with the management key");
        // Reading alone resets nobody.
        let mut careless = Rival::connect(pcsc::ShareMode::Shared);
        assert_eq!(careless.status(VERIFY), 0x9000);
        careless.leave();
        assert_eq!(token.pin_tries(), Ok(3));
        drop(token);
        assert_eq!(look(), 0x9000, "after reading");
    });
}

#[test]
fn a_killed_process_leaves_no_pin_and_is_named_while_it_holds_the_reader() {
    const NAME: &str = "a_killed_process_leaves_no_pin_and_is_named_while_it_holds_the_reader";
    isolated(NAME, |bench| {
        if is_victim() {
            let mut token = Token::open_within(Some(1001), PATIENT).ok().unwrap();
            let _ = token.sign(&pin(), Slot::APPROVE, &DIGEST, &mut |_| {});
            return;
        }
        let plugged = bench.insert(
            1001,
            "keeps_pin_over_select = true\ntouch_timeout_ms = 3000",
        );
        plugged.enrol(TouchPolicy::Cached);
        let victim = bench.victim(NAME);
        assert!(
            plugged
                .control()
                .wait_for_touch(Duration::from_secs(20))
                .unwrap()
        );
        let bounds = Bounds {
            probe: Duration::from_millis(500),
            ..PATIENT
        };
        let by = match error(Token::open_within(Some(1001), bounds)) {
            TokenError::Held { by } => by.expect("somebody is named"),
            other => panic!("{other}"),
        };
        assert!(by.starts_with("token_session"), "{by}");
        assert!(by.ends_with(&format!("(pid {})", victim.id())), "{by}");
        drop(victim);
        let mut rival = Rival::connect(pcsc::ShareMode::Shared);
        assert_eq!(rival.status(IS_VERIFIED), 0x63c3);
    });
}

#[test]
fn an_exclusive_connection_is_told_apart() {
    isolated("an_exclusive_connection_is_told_apart", |bench| {
        let plugged = bench.insert(1001, "5.7.4");
        let rival = Rival::connect(pcsc::ShareMode::Exclusive);
        let held = error(Token::open_within(Some(1001), PATIENT));
        assert!(matches!(held, TokenError::Held { .. }), "{held}");
        assert!(matches!(
            readers(PATIENT).unwrap()[0].contents,
            Contents::Held { .. }
        ));
        rival.leave();
        assert_eq!(plugged.open(PATIENT).serial(), 1001);

        // Or only for a transaction, after we had opened it.
        let mut token = plugged.open(Bounds {
            lock: Duration::from_millis(300),
            ..PATIENT
        });
        let mut rival = Rival::connect(pcsc::ShareMode::Shared);
        rival.transacted(|_| {
            let held = error(token.pin_tries());
            assert!(matches!(held, TokenError::Held { .. }), "{held}");
        });
        assert_eq!(plugged.open(PATIENT).pin_tries(), Ok(3));
    });
}

#[path = "token_session/enrolment.rs"]
mod enrolment;

#[path = "token_session/witnesses.rs"]
mod witnesses;
