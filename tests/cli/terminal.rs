//! At a terminal: what is asked there, what is not echoed, and what the process does not let out.

use std::os::unix::fs::MetadataExt as _;

use twotap_rig::Terminal;

use crate::bench::{ALICE, Bench, DANA, PIN};
use crate::setup::{request, sealed_vault, words};

/// `twotap` at a terminal of its own.
fn at_terminal(bench: &Bench, uid: u32, args: &[&str]) -> Terminal {
    Terminal::start(bench.at_terminal(uid, args)).expect("a terminal")
}

/// Makes the kernel answer this thread's, and its children's, terminal settings without doing anything: `errno` 0 says that it was done.
fn without_terminal_settings(requests: &[u64], errno: u32) {
    use seccompiler::{
        SeccompAction, SeccompCmpArgLen as Length, SeccompCmpOp as Op, SeccompCondition,
        SeccompFilter, SeccompRule,
    };
    let rule = |request: &u64| {
        let condition = SeccompCondition::new(1, Length::Dword, Op::Eq, *request);
        SeccompRule::new(vec![condition.expect("a condition")]).expect("a rule")
    };
    let rules = [(libc::SYS_ioctl, requests.iter().map(rule).collect())];
    let filter = SeccompFilter::new(
        rules.into_iter().collect(),
        SeccompAction::Allow,
        SeccompAction::Errno(errno),
        std::env::consts::ARCH.try_into().expect("an architecture"),
    );
    let program: seccompiler::BpfProgram = filter.and_then(TryInto::try_into).expect("a filter");
    seccompiler::apply_filter(&program).expect("for this thread");
}

/// `TCSETS`, `TCSETSW`, `TCSETSF`, and the same with speeds (asm-generic/ioctls.h).
const SET: [u64; 6] = [
    0x5402,
    0x5403,
    0x5404,
    0x402c_542b,
    0x402c_542c,
    0x402c_542d,
];
/// `TCGETS` and the same with speeds.
const LOOK: [u64; 2] = [0x5401, 0x802c_542a];

#[test]
fn a_terminal_without_echo_control_is_not_asked_for_a_pin() {
    let bench = Bench::start();
    let token = bench.insert(1001);
    let not_a_terminal = u32::try_from(libc::ENOTTY).expect("small");
    let cases: [(&[u64], u32, &str); 3] = [
        (
            &SET,
            0,
            "this terminal cannot be kept from showing what is typed",
        ),
        (&SET, not_a_terminal, "there is no terminal to ask"),
        (&LOOK, not_a_terminal, "there is no terminal to ask"),
    ];
    for (requests, errno, said) in cases {
        let (status, screen) = std::thread::scope(|scope| {
            let at = || {
                without_terminal_settings(requests, errno);
                let args = ["custodian", "enroll", "--name", "alice", "-o", "e.json"];
                at_terminal(&bench, ALICE, &args).end()
            };
            scope.spawn(at).join().expect("ended")
        });
        assert_eq!(status, Some(12), "{screen}");
        assert!(screen.contains(said), "{screen}");
        // Not even the question was put.
        assert!(
            !screen.contains("new pin (6 to 8 characters): "),
            "{screen}"
        );
    }
    let seen = token.control().expect("a hand").status().expect("counted");
    assert_eq!(
        seen.apdus.by_ins.get("20"),
        None,
        "no pin was shown to the token"
    );
    assert_eq!(seen.apdus.by_ins.get("24"), None, "and none was changed");
}

#[test]
fn a_custodian_reads_compares_and_types_the_pin_unseen() {
    let bench = Bench::start();
    let (_alice, _bob) = sealed_vault(&bench);
    let words = words(&request(&bench, DANA));
    let approve = ["approve", "--token", "1001"];

    // No is no, and costs no try; what is neither yes nor no is asked for again, and is no yes in the end.
    for answers in [&["no"][..], &["y", "no"], &["y", "", "YES"]] {
        let mut no = at_terminal(&bench, ALICE, &approve);
        no.until("read the same six words? (yes/no) ");
        for (at, answer) in answers.iter().enumerate() {
            if at > 0 {
                // Echoed as it was typed, and asked for on a line of its own.
                no.until(&format!(
                    "{}\r\r\ntype yes in full, or no (yes/no) ",
                    answers[at - 1]
                ));
            }
            no.press(&format!("{answer}\r"));
        }
        let (code, screen) = no.end();
        assert_eq!(code, Some(3), "{screen}");
        assert!(!screen.contains("pin of token"), "{screen}");
    }

    // A touch before its time types a one-time password.
    let mut early = at_terminal(&bench, ALICE, &approve);
    early.until("(yes/no) ");
    early.press("yes\r");
    early.until("pin of token 1001 (3 tries left): ");
    early.press("cccccccfhcbelrhifnjrrddcgrburluurftrgfdrdifj\r");
    let (code, screen) = early.end();
    assert_eq!(code, Some(5), "{screen}");
    assert!(screen.contains("one-time password"), "{screen}");
    assert!(!screen.contains("ifnjrr"), "not echoed: {screen}");

    let mut broken_off = at_terminal(&bench, ALICE, &approve);
    broken_off.until("(yes/no) ");
    broken_off.press("yes\r");
    broken_off.until("tries left): ");
    broken_off.press("4711\u{3}");
    let (code, screen) = broken_off.end();
    assert_eq!(code, Some(3), "{screen}");

    let mut yes = at_terminal(&bench, ALICE, &approve);
    yes.until("(yes/no) ");
    yes.press("y\r");
    yes.until("in full, or no (yes/no) ");
    yes.press("yes\r");
    yes.until("pin of token 1001 (3 tries left): ");
    // One key too many, taken back.
    yes.press(&format!("{PIN}0\u{7f}\r"));
    let (code, screen) = yes.end();
    assert_eq!(code, Some(0), "{screen}");
    assert!(!screen.contains(PIN), "not echoed: {screen}");
    let at = |text: &str| {
        screen
            .find(text)
            .unwrap_or_else(|| panic!("{text}: {screen}"))
    };
    let order = [
        "reason ",
        "role ",
        "access ends",
        &words,
        "(yes/no)",
        "pin of token",
        "touch token 1001 now",
        "approved as alice",
    ];
    let places: Vec<usize> = order.iter().map(|text| at(text)).collect();
    assert!(places.is_sorted(), "{screen}");
    assert_eq!(bench.agent.world().shares, ["alice"]);
}

#[test]
fn the_process_can_be_neither_traced_by_its_user_nor_dumped() {
    let bench = Bench::start();
    let (_alice, _bob) = sealed_vault(&bench);
    request(&bench, DANA);
    let mut waiting = at_terminal(&bench, ALICE, &["approve", "--token", "1001"]);
    waiting.until("(yes/no) ");
    let pid = bench.process_of("approve");
    let proc = |file: &str| format!("/proc/{pid}/{file}");
    // The kernel gives such a process's files to root (proc(5)).
    assert_eq!(std::fs::metadata(proc("mem")).expect("running").uid(), 0);
    let limits = std::fs::read_to_string(proc("limits")).expect("running");
    let core = limits
        .lines()
        .find(|l| l.starts_with("Max core file size"))
        .expect("a limit");
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    let status = std::fs::read_to_string(proc("status")).expect("running");
    assert!(status.contains("Umask:\t0077"), "{status}");
    assert!(status.contains(&format!("Uid:\t{ALICE}")), "{status}");
    waiting.press("no\r");
    assert_eq!(waiting.end().0, Some(3));
}
