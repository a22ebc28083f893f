//! The cases, each at a desk of its own.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use twotap_token::{Control, Fault, FaultKind, TokenProcess};

use crate::bench::{ALICE, BOB, Bench, DANA, PIN, Run};
use crate::setup::{approve, request, sealed_vault, words};

const PIN_CODE: i32 = 5;
const TOUCH_CODE: i32 = 6;
const TOKEN_CODE: i32 = 7;

/// ISO 7816's VERIFY, and PIV's GENERAL AUTHENTICATE, which signs and agrees.
const VERIFY: &str = "20";
const USE_KEY: &str = "87";

/// A sealed vault, a request that waits, and both custodians' tokens in one machine.
struct Desk {
    bench: Bench,
    alice: TokenProcess,
    bob: TokenProcess,
    words: String,
}

/// What a refusal says.
struct Refused {
    code: i32,
    error: String,
    hint: String,
}

impl Desk {
    fn new() -> Self {
        let bench = Bench::start();
        let (alice, bob) = sealed_vault(&bench);
        let words = words(&request(&bench, DANA));
        for token in [&alice, &bob] {
            hand(token).mark().expect("marked");
        }
        Self {
            bench,
            alice,
            bob,
            words,
        }
    }

    /// `twotap approve`, as somebody, with more arguments and a PIN.
    fn approving(&self, uid: u32, more: &[&str], pin: &str) -> Run<'_> {
        let mut args = vec!["approve", "--pin-fd", "0", "--confirm", &self.words];
        args.extend(more);
        self.bench.twotap(uid, &args).input(&format!("{pin}\n"))
    }

    /// Runs what has to be refused: it says what to do, and nothing has reached the agent.
    fn refused(&self, run: Run<'_>) -> Refused {
        let refused = self.turned_down(run);
        assert_ne!(refused.hint, "", "{}", refused.error);
        refused
    }

    /// The same where the error itself says what to do.
    fn turned_down(&self, run: Run<'_>) -> Refused {
        let done = run.output();
        let told = done.err();
        let line = |of: &str| {
            let mut lines = told.lines().filter_map(|l| l.strip_prefix(of));
            lines.next().unwrap_or_default().to_owned()
        };
        let refused = Refused {
            code: done.code(),
            error: line("error: "),
            hint: line("hint: "),
        };
        assert_ne!(refused.error, "", "{told}");
        assert_eq!(done.out(), "", "{told}");
        assert_eq!(self.bench.agent.world().handed_in, 0, "{told}");
        refused
    }

    /// The next try works, and is the only one that the agent heard of.
    fn next_try_works(&self) {
        hand(&self.alice).tap_always().expect("tapping");
        let approved = approve(&self.bench, ALICE, &self.words).json();
        assert_eq!(approved["person"], "alice");
        let world = self.bench.agent.world();
        assert_eq!(
            (world.handed_in, &world.shares[..]),
            (1, &["alice".to_owned()][..])
        );
    }
}

fn hand(token: &TokenProcess) -> Control {
    token.control().expect("a hand")
}

/// How many commands of this kind the card has seen since the mark.
fn seen(token: &TokenProcess, instruction: &str) -> u64 {
    let status = hand(token).status().expect("counted");
    let by_ins = status.apdus_since_mark.by_ins;
    by_ins.get(instruction).copied().unwrap_or(0)
}

/// The tries that the card has left, from its own state.
fn tries(desk: &Desk, serial: u32) -> Option<u64> {
    let state = std::fs::read_to_string(desk.bench.path(&format!("{serial}.json")));
    let state: Value = serde_json::from_str(&state.expect("the token's state")).expect("json");
    state["pin"]["tries"].as_u64()
}

#[test]
fn a_wrong_pin_costs_one_try_and_the_card_is_asked_once() {
    let desk = Desk::new();
    let wrong = desk.refused(desk.approving(ALICE, &["--token", "1001"], "000000"));
    assert_eq!(
        (wrong.code, wrong.error.as_str()),
        (PIN_CODE, "wrong pin, 2 tries left")
    );
    assert!(
        wrong.hint.contains("blocks the pin after the last try"),
        "{}",
        wrong.hint
    );
    // Signing and opening the share each want the PIN; a wrong one goes to the card for the first alone.
    assert_eq!(seen(&desk.alice, VERIFY), 1);
    assert_eq!(seen(&desk.alice, USE_KEY), 0);
    assert_eq!(tries(&desk, 1001), Some(2));
    assert_eq!(
        hand(&desk.alice).status().expect("counted").taps_since_mark,
        0
    );

    // What cannot be a PIN is not tried at all: too long, too short, or what a touch types into a prompt.
    for typed in [
        "123456789",
        "12345",
        "cccccccccccbktbjhvkidvgtjklrlhbcufkglhrjdrhe",
    ] {
        let no_pin = desk.turned_down(desk.approving(ALICE, &["--token", "1001"], typed));
        assert_eq!(no_pin.code, PIN_CODE, "{}", no_pin.error);
        assert!(!no_pin.error.contains(typed), "{}", no_pin.error);
    }
    assert_eq!(
        (seen(&desk.alice, VERIFY), tries(&desk, 1001)),
        (1, Some(2))
    );
    desk.next_try_works();
    assert_eq!(tries(&desk, 1001), Some(3));
}

#[test]
fn a_blocked_pin_is_said_and_not_tried_again() {
    let desk = Desk::new();
    let attempt = |more: &[&str], pin| {
        let args = [&["--token", "1001"], more].concat();
        desk.refused(desk.approving(ALICE, &args, pin))
    };
    for left in ["2 tries", "1 try"] {
        let wrong = attempt(&[], "000000");
        assert_eq!(wrong.error, format!("wrong pin, {left} left"));
    }
    // The last one is spared, and taken only on purpose.
    let spared = attempt(&[], "000000");
    assert_eq!(spared.code, PIN_CODE);
    assert!(spared.error.contains("one try is left"), "{}", spared.error);
    assert!(spared.hint.contains("--last-try"), "{}", spared.hint);
    assert_eq!(
        (seen(&desk.alice, VERIFY), tries(&desk, 1001)),
        (2, Some(1))
    );
    let last = attempt(&["--last-try"], "000000");
    assert_eq!(
        (last.code, last.error.as_str()),
        (PIN_CODE, "the pin is blocked")
    );

    // From here on the card is left alone, even with the right PIN.
    hand(&desk.alice).mark().expect("marked");
    let blocked = attempt(&["--last-try"], PIN);
    assert_eq!(
        (blocked.code, blocked.error.as_str()),
        (PIN_CODE, "the pin is blocked")
    );
    assert!(blocked.hint.contains("unblock-pin"), "{}", blocked.hint);
    assert_eq!(seen(&desk.alice, VERIFY), 0);

    // As the hint says, with the PUK; bob's token is away, so that the tool finds the only one.
    let Desk {
        bench,
        alice,
        bob,
        words,
    } = desk;
    drop(bob);
    let script = format!("yubico-piv-tool -r '' -a unblock-pin -P 87654321 -N {PIN}");
    let unblocked = bench.shell(ALICE, &script, "");
    assert_eq!(
        unblocked.code(),
        0,
        "{}{}",
        unblocked.out(),
        unblocked.err()
    );
    let approved = approve(&bench, ALICE, &words).json();
    assert_eq!(approved["person"], "alice");
    assert_eq!(bench.agent.world().handed_in, 1);
    drop(alice);
}

#[test]
fn no_touch_in_time_has_its_own_code_and_costs_no_pin_try() {
    let desk = Desk::new();
    hand(&desk.alice).never().expect("nobody taps");
    for _ in 0..4 {
        let late = desk.refused(desk.approving(ALICE, &["--token", "1001"], PIN));
        assert_eq!(
            (late.code, late.error.as_str()),
            (TOUCH_CODE, "the token was not touched in time")
        );
        assert!(late.hint.contains("while it blinks"), "{}", late.hint);
    }
    // More often than there are tries.
    assert_eq!(tries(&desk, 1001), Some(3));
    desk.next_try_works();
}

#[test]
fn a_token_pulled_out_while_it_blinks_is_said_and_may_come_back() {
    let mut desk = Desk::new();
    let mut fingers = hand(&desk.alice);
    fingers.never().expect("nobody taps");
    let gone = thread::scope(|scope| {
        scope.spawn(move || {
            assert!(
                fingers
                    .wait_for_touch(Duration::from_secs(30))
                    .expect("asked")
            );
            fingers.remove().expect("pulled out");
        });
        desk.refused(desk.approving(ALICE, &["--token", "1001"], PIN))
    });
    assert_eq!(
        (gone.code, gone.error.as_str()),
        (TOKEN_CODE, "the token was removed")
    );
    assert!(gone.hint.contains("nothing was approved"), "{}", gone.hint);
    // Away, it is away: bob's beside it is not taken instead.
    let absent = desk.refused(desk.approving(ALICE, &["--token", "1001"], PIN));
    assert_eq!(absent.code, TOKEN_CODE);
    assert_eq!(absent.error, "token 1001 is not plugged in; found 1002");
    assert_eq!(seen(&desk.bob, VERIFY), 0);

    hand(&desk.alice).insert().expect("plugged in");
    desk.alice.await_power().expect("powered up");
    desk.next_try_works();
}

#[test]
fn a_token_pulled_out_between_signature_and_share_hands_in_neither() {
    let mut desk = Desk::new();
    // The second VERIFY is the one for the share: the signature has been made by then.
    let fault = Fault::at(FaultKind::Remove, 0x20, 2);
    hand(&desk.alice).fault(fault).expect("set up");
    let gone = desk.refused(desk.approving(ALICE, &["--token", "1001"], PIN));
    assert_eq!(
        (gone.code, gone.error.as_str()),
        (TOKEN_CODE, "the token was removed")
    );
    assert_eq!(seen(&desk.alice, USE_KEY), 1, "it had signed");
    hand(&desk.alice).insert().expect("plugged in");
    desk.alice.await_power().expect("powered up");
    desk.next_try_works();
}

#[test]
fn with_both_tokens_in_one_is_named_and_the_right_one_answers() {
    let desk = Desk::new();
    let several = desk.refused(desk.approving(ALICE, &[], PIN));
    assert_eq!(
        (several.code, several.error.as_str()),
        (TOKEN_CODE, "several tokens are plugged in: 1001, 1002")
    );
    assert!(several.hint.contains("--token SERIAL"), "{}", several.hint);
    for token in [&desk.alice, &desk.bob] {
        assert_eq!(
            seen(token, VERIFY) + seen(token, USE_KEY),
            0,
            "no pin by chance"
        );
    }
    desk.next_try_works();
    assert_eq!(seen(&desk.alice, USE_KEY), 2, "a signature and a share");
    assert_eq!(seen(&desk.bob, VERIFY) + seen(&desk.bob, USE_KEY), 0);
    assert_eq!(
        hand(&desk.bob).status().expect("counted").taps_since_mark,
        0
    );
}

#[test]
fn the_wrong_custodians_token_is_told_before_the_pin() {
    let desk = Desk::new();
    let bobs = desk.refused(desk.approving(ALICE, &["--token", "1002"], PIN));
    assert_eq!(
        (bobs.code, bobs.error.as_str()),
        (
            TOKEN_CODE,
            "token 1002 is bob's, and the share that came is alice's"
        )
    );
    assert!(bobs.hint.contains("--token SERIAL"), "{}", bobs.hint);
    assert_eq!(seen(&desk.bob, VERIFY) + seen(&desk.bob, USE_KEY), 0);
    assert_eq!(tries(&desk, 1002), Some(3));
    desk.next_try_works();
}

#[test]
fn a_token_that_nobody_enrolled_is_told_before_the_pin() {
    let Desk {
        bench,
        alice,
        bob,
        words,
    } = Desk::new();
    drop(bob);
    // Until the reader has noticed.
    let begun = Instant::now();
    loop {
        let args = ["approve", "--token", "1003", "--confirm", &words];
        let (code, error) = bench.twotap(BOB, &args).fails();
        assert_eq!(code, TOKEN_CODE, "{error}");
        if error == "token 1003 is not plugged in; found 1001" {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{error}");
    }
    let desk = Desk {
        bob: bench.insert(1003),
        bench,
        alice,
        words,
    };
    // With the factory's PIN, which would be right.
    let strange = desk.refused(desk.approving(BOB, &["--token", "1003"], "123456"));
    assert_eq!(
        (strange.code, strange.error.as_str()),
        (TOKEN_CODE, "token 1003 is not in the roster of vault prod")
    );
    assert!(strange.hint.contains("enrolled"), "{}", strange.hint);
    assert_eq!(seen(&desk.bob, VERIFY) + seen(&desk.bob, USE_KEY), 0);
    desk.next_try_works();
}
