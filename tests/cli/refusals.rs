//! What goes wrong, and what is said about it.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use crate::bench::{ALICE, Bench, DANA, PIN};
use crate::setup::{approve, request, sealed_vault, words};

#[test]
fn what_is_wrong_at_the_token_has_its_own_exit_code_and_signs_nothing() {
    let bench = Bench::start();
    let (alice, _bob) = sealed_vault(&bench);
    let asked = request(&bench, DANA);
    let words = words(&asked);
    let id = asked["request"].as_str().expect("an id");
    let tries = |bench: &Bench| {
        assert_eq!(bench.agent.world().shares.len(), 0);
        let state = std::fs::read_to_string(bench.path("1001.json")).expect("the token's state");
        let state: Value = serde_json::from_str(&state).expect("json");
        state["pin"]["tries"].as_u64()
    };

    let (code, _) = approve(&bench, ALICE, "not the words that dana reads out").fails();
    assert_eq!(code, 11);
    let no_terminal = bench.twotap(ALICE, &["approve", "--token", "1001", "--pin-fd", "0"]);
    assert_eq!(no_terminal.input(&format!("yes\n{PIN}\n")).fails().0, 12);
    let reviewed = bench
        .twotap(ALICE, &["approve", id, "--token", "1001", "--review"])
        .output();
    assert_eq!(reviewed.code(), 0, "{}", reviewed.err());
    let screen = reviewed.err();
    assert!(
        screen.contains("reason         database is down"),
        "{screen}"
    );
    assert!(
        screen.contains(&words) && screen.contains("role/twotap/op-admin"),
        "{screen}"
    );
    assert_eq!(tries(&bench), Some(3));

    let wrong = approve(&bench, ALICE, &words).input("000000\n").fails();
    assert_eq!(wrong, (5, "wrong pin, 2 tries left".to_owned()));
    approve(&bench, ALICE, &words).input("000000\n").fails();
    assert_eq!(tries(&bench), Some(1));
    // One try is left: it is not taken without being told to, even with the right PIN.
    let (code, error) = approve(&bench, ALICE, &words).fails();
    assert_eq!(
        (code, error.contains("one try is left")),
        (5, true),
        "{error}"
    );
    assert_eq!(tries(&bench), Some(1));

    alice
        .control()
        .expect("a hand")
        .never()
        .expect("nobody taps");
    let last = [
        "approve",
        "--token",
        "1001",
        "--pin-fd",
        "0",
        "--last-try",
        "--confirm",
        &words,
    ];
    let (code, _) = bench
        .twotap(ALICE, &last)
        .input(&format!("{PIN}\n"))
        .fails();
    assert_eq!(code, 6);
    assert_eq!(tries(&bench), Some(3));
    let absent = bench.twotap(
        ALICE,
        &[
            "approve",
            "--token",
            "1003",
            "--pin-fd",
            "0",
            "--confirm",
            &words,
        ],
    );
    assert_eq!(absent.fails().0, 7);
    let gone = bench
        .twotap(ALICE, &["status"])
        .env("TWOTAP_AGENT", "/nowhere/agent.sock");
    assert_eq!(gone.fails().0, 8);

    // The PIN is read from the descriptor that is named, and stands in no argument and no variable.
    alice
        .control()
        .expect("a hand")
        .tap_always()
        .expect("tapping");
    let shell = format!(
        "exec {} approve --token 1001 --pin-fd 7 --confirm '{words}' --json 7<&0 0</dev/null",
        bench.path("twotap").display()
    );
    let done = bench.shell(ALICE, &shell, &format!("{PIN}\n"));
    assert_eq!(done.code(), 0, "{}{}", done.out(), done.err());
    assert_eq!(bench.agent.world().shares, ["alice"]);
}

#[test]
fn status_and_doctor_show_what_the_agent_says_and_no_control_characters() {
    let bench = Bench::start();
    let (_alice, _bob) = sealed_vault(&bench);
    request(&bench, DANA);
    let shown = bench.twotap(DANA, &["status"]).output().out();
    assert!(
        shown.contains("you are dana (operator, officer)"),
        "{shown}"
    );
    assert!(
        shown.contains("waiting for approvals") && shown.contains("0 of 2"),
        "{shown}"
    );
    assert!(
        shown.contains("x\\u{1b}[2J") && !shown.contains('\u{1b}'),
        "{shown}"
    );
    assert_eq!(
        bench.twotap(DANA, &["status"]).json()["you"]["name"],
        "dana"
    );

    let checked = bench.twotap(DANA, &["doctor"]).json();
    assert_eq!(checked["ok"], true);
    let whats: Vec<&str> = checked["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .filter_map(|f| f["what"].as_str())
        .collect();
    assert_eq!(
        whats,
        [
            "token",
            "token",
            "agent",
            "you",
            "vault",
            "enrolled",
            "enrolled",
            "recording",
            "degraded",
            "clock",
            "account",
            "own state"
        ]
    );
    let seen = bench.home(DANA).join(".local/state/twotap/seen.json");
    let mode = |path: &std::path::Path| {
        std::fs::metadata(path).expect("there").permissions().mode() & 0o777
    };
    assert_eq!(
        (mode(&seen), mode(seen.parent().expect("a folder"))),
        (0o600, 0o700)
    );
    std::fs::set_permissions(&seen, std::fs::Permissions::from_mode(0o666)).expect("mode");
    let done = bench.twotap(DANA, &["doctor"]).output();
    assert_eq!(done.code(), 1);
    assert!(done.out().contains("fail: own state"), "{}", done.out());
}

#[test]
fn a_wrong_line_and_a_far_agent_are_told_in_json_too() {
    let bench = Bench::bare();
    assert_eq!(bench.twotap(DANA, &["no-such-verb"]).fails().0, 2);
    let (code, error) = bench
        .twotap(DANA, &["status", "--agent", "http://host"])
        .fails();
    assert_eq!((code, error.contains("http")), (2, true), "{error}");
    // An option to ssh is no host's name.
    let (code, error) = bench
        .twotap(DANA, &["status", "--agent", "ssh://-oProxyCommand=x"])
        .fails();
    assert_eq!(
        (code, error.contains("names no host")),
        (2, true),
        "{error}"
    );
    let done = bench.twotap(DANA, &["request", "prod"]).output();
    assert_eq!((done.code(), done.out().as_str()), (2, ""));
    assert!(
        done.err().starts_with("error: ") && done.err().contains("\nhint: "),
        "{}",
        done.err()
    );
    assert_eq!(done.err().lines().count(), 2);
}
