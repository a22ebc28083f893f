//! Each failure is told apart from the others, and nothing comes out of it.

use crate::DIGEST;
use crate::bench::{PATIENT, Plugged, Rival, VERIFY, assert_signed, error, isolated, peer, pin};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;
use twotap::token::{Bounds, Pin, Prompt, Puk, Slot, Token, TokenError, TouchPolicy};
use twotap_token::{Fault, FaultKind};

#[test]
fn a_wrong_pin_is_counted_and_blocks_in_the_end() {
    isolated(
        "failures::a_wrong_pin_is_counted_and_blocks_in_the_end",
        |bench| {
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
        },
    );
}

#[test]
fn tries_are_told_while_another_program_has_the_pin_verified() {
    isolated(
        "failures::tries_are_told_while_another_program_has_the_pin_verified",
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
    isolated(
        "failures::no_touch_is_told_apart_and_nothing_comes_out",
        |bench| {
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
        },
    );
}

#[test]
fn pulled_out_in_the_middle_is_told_apart() {
    isolated(
        "failures::pulled_out_in_the_middle_is_told_apart",
        |bench| {
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
        },
    );
}

#[test]
fn a_token_that_was_pulled_out_meanwhile_is_not_another() {
    isolated(
        "failures::a_token_that_was_pulled_out_meanwhile_is_not_another",
        |bench| {
            for asked_again in [false, true] {
                let first = bench.insert(1001, "5.7.4");
                let mut token = first.open(PATIENT);
                // The PIN is asked for, saying how many tries are left; the person is still typing.
                assert_eq!(token.pin_tries(), Ok(3));
                drop(first);
                // Into the same reader.
                let second = bench.insert(1002, "5.7.4");
                let gone = match asked_again {
                    true => token.pin_tries().map(drop),
                    false => token
                        .sign(&pin(), Slot::APPROVE, &DIGEST, &mut |_| {})
                        .map(drop),
                };
                assert_eq!(error(gone), TokenError::Removed);
                // It was neither shown the other one's PIN nor asked to sign.
                let seen = second.control().status().unwrap().apdus.by_ins;
                assert_eq!((seen.get("20"), seen.get("87")), (None, None));
                assert_eq!(second.open(PATIENT).pin_tries(), Ok(3));
            }
        },
    );
}

#[test]
fn odd_answers_are_errors_of_their_own() {
    isolated("failures::odd_answers_are_errors_of_their_own", |bench| {
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
