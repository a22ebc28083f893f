//! Other programs on the same machine: they neither get in between, nor find anything, nor hold us up for ever.

use crate::DIGEST;
use crate::bench::{IS_VERIFIED, PATIENT, Rival, VERIFY, error, is_victim, isolated, peer, pin};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};
use twotap::token::{Bounds, Contents, Slot, Token, TokenError, TouchPolicy, readers};
use twotap_token::{Fault, FaultKind};

/// A token that keeps the PIN over a new SELECT, so that only a reset makes it forget.
const FORGETFUL_ONLY_WHEN_RESET: &str = "keeps_pin_over_select = true\ntouch_timeout_ms = 400";

#[test]
fn a_reader_that_hangs_hides_no_other() {
    isolated("rivals::a_reader_that_hangs_hides_no_other", |bench| {
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
        // And without waiting for it: with all the patience in the world, as soon as it answers itself.
        let began = Instant::now();
        let token = Token::open_within(Some(1002), PATIENT);
        assert!(
            token.is_ok() && began.elapsed() < PATIENT.probe / 2,
            "{:?}",
            began.elapsed()
        );
        silent.control().clear_faults().unwrap();
    });
}

#[test]
fn nobody_gets_in_between_pin_and_signature() {
    isolated(
        "rivals::nobody_gets_in_between_pin_and_signature",
        |bench| {
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
        },
    );
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
    isolated("rivals::the_next_program_finds_no_pin", |bench| {
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
    const NAME: &str =
        "rivals::a_killed_process_leaves_no_pin_and_is_named_while_it_holds_the_reader";
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
            lock: Duration::from_millis(500),
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
    isolated("rivals::an_exclusive_connection_is_told_apart", |bench| {
        let plugged = bench.insert(1001, "5.7.4");
        let hasty = Bounds {
            lock: Duration::from_millis(300),
            ..PATIENT
        };
        let rival = Rival::connect(pcsc::ShareMode::Exclusive);
        let held = error(Token::open_within(Some(1001), hasty));
        assert!(matches!(held, TokenError::Held { .. }), "{held}");
        assert!(matches!(
            readers(hasty).unwrap()[0].contents,
            Contents::Held { .. }
        ));
        // One that lets go in time is waited for.
        let leaving = thread::spawn(move || {
            thread::sleep(Duration::from_millis(300));
            rival.leave();
        });
        assert_eq!(plugged.open(PATIENT).serial(), 1001);
        leaving.join().unwrap();

        // Or only for a transaction, after we had opened it.
        let mut token = plugged.open(hasty);
        let mut rival = Rival::connect(pcsc::ShareMode::Shared);
        rival.transacted(|_| {
            let held = error(token.pin_tries());
            assert!(matches!(held, TokenError::Held { .. }), "{held}");
        });
        assert_eq!(plugged.open(PATIENT).pin_tries(), Ok(3));
    });
}
