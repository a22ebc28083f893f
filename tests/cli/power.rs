//! Wholesale power at a custodian's desk: it is not signed for where it is not declared, and it is read in red before a yes.

use twotap::trust::{Envelope, roster::Roster, strict::Json};
use twotap_rig::Terminal;

use crate::bench::{ALICE, BOB, Bench, DANA, PIN};
use crate::setup::{ACCESS, create, creating_with, enroll, request, seal_by, words};

const RED: &str = "\u{1b}[1;31m";

fn enrolled(bench: &Bench) -> [twotap_token::TokenProcess; 2] {
    let tokens = [bench.insert(1001), bench.insert(1002)];
    for token in &tokens {
        let mut hand = token.control().expect("a hand");
        hand.tap_always().expect("tapping");
    }
    enroll(bench, ALICE, "alice", 1001);
    enroll(bench, BOB, "bob", 1002);
    tokens
}

#[test]
fn a_custodian_does_not_sign_for_power_that_is_not_declared() {
    let bench = Bench::start();
    let _tokens = enrolled(&bench);
    create(&bench);
    let drawn_up = std::fs::read(bench.home(DANA).join("roster.json")).expect("there");
    let drawn_up = Envelope::parse(&drawn_up).expect("an envelope");
    // Whoever draws a roster up may have another program.
    let mut roster: Roster = drawn_up.unverified().expect("a roster");
    roster.access[0].policy = Json(serde_json::json!({ "Version": "2012-10-17",
        "Statement": [{ "Effect": "Allow", "Action": "iam:*", "Resource": "*" }] }));
    let odd = Envelope::new(&roster).expect("a roster");
    let odd = serde_json::to_string(&odd).expect("JSON");
    let path = bench.write("odd.json", &odd);
    let path = path.to_str().expect("plain");
    let args = [
        "roster",
        "sign",
        path,
        "--token",
        "1001",
        "--pin-fd",
        "0",
        "--confirm",
        "x",
    ];
    let run = bench.twotap(ALICE, &args).input(&format!("{PIN}\n"));
    let (code, error) = run.fails();
    assert_eq!(code, 3, "{error}");
    assert!(error.contains("does not say that it is broad"), "{error}");
    assert_eq!(std::fs::read_to_string(path).expect("there"), odd);
}

#[test]
fn what_is_dangerous_is_read_in_red_after_all_else_and_before_the_words() {
    let bench = Bench::start();
    let _tokens = enrolled(&bench);
    let everything = ACCESS.replace(r#""s3:ListAllMyBuckets""#, r#""*""#);
    assert_ne!(everything, ACCESS);
    let declared = format!("{everything}broad = true\npersistence = true\n");
    let root = bench.attestation_root();
    let created = creating_with(&bench, &declared, &["--attestation-root", &root]).json();
    seal_by(&bench, &created);
    let words = words(&request(&bench, DANA));

    let screen = |no_color: Option<&str>, term: &str| {
        let args = ["approve", "--token", "1001"];
        let mut command = bench.at_terminal(ALICE, &args);
        command.env("TERM", term).env_remove("NO_COLOR");
        if let Some(value) = no_color {
            command.env("NO_COLOR", value);
        }
        let mut no = Terminal::start(command).expect("a terminal");
        no.until("(yes/no) ");
        no.press("no\r");
        no.end().1
    };
    for (no_color, term, red) in [
        (None, "xterm-256color", true),
        (Some(""), "xterm-256color", true),
        (Some("1"), "xterm-256color", false),
        (None, "dumb", false),
    ] {
        let screen = screen(no_color, term);
        let at = |text: &str| {
            let found = screen.find(text);
            found.unwrap_or_else(|| panic!("{text}: {screen}"))
        };
        let order = [at("access ends"), at("BROAD"), at("LASTING"), at(&words)];
        assert!(order.is_sorted(), "{screen}");
        assert!(
            screen.contains("allows every action on everything"),
            "{screen}"
        );
        assert!(
            screen.contains("users, keys, roles and policies"),
            "{screen}"
        );
        assert_eq!(screen.contains(&format!("{RED}  BROAD")), red, "{screen:?}");
        assert_eq!(screen.contains('\u{1b}'), red, "{screen:?}");
    }
}
