//! Screens of the ceremony at 80 columns and 24 rows, as a real tmux shows them, kept under `tests/screens/`.

use crate::{
    bench::{ALICE, Bench, DANA},
    setup::{request, sealed_vault, words},
    snapshot::matches,
    tmux::Screen,
};

/// The same line where it is about noon: what is asked at night is shown as unusual.
fn at_noon(line: &str) -> String {
    let hour = time::OffsetDateTime::now_utc().hour();
    // POSIX counts westwards.
    line.replacen(
        "env -i",
        &format!("env -i TZ=NOON{:+}", i16::from(hour) - 12),
        1,
    )
}

/// What differs each time, by what stands for it.
fn without(screen: &str, random: &[(&str, &str)]) -> String {
    random
        .iter()
        .fold(screen.to_owned(), |text, (what, instead)| {
            assert!(text.contains(what), "{what}: {text}");
            text.replace(what, instead)
        })
}

#[test]
fn the_approving_screen_is_kept() {
    let bench = Bench::start();
    let (_alice, _bob) = sealed_vault(&bench);
    let asked = request(&bench, DANA);
    let id = asked["request"].as_str().expect("an id");
    let line = at_noon(&bench.line(ALICE, &["approve", id, "--token", "1001"]));
    // Taller than a terminal, so that all of it is seen; as wide as one.
    let screen = Screen::run(80, 60, &[], &format!("{line}; exec cat"));
    let shown = screen.until("(yes/no)");
    for line in shown.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    let words = words(&asked);
    let masked = without(
        &shown,
        &[
            (id, "r-aaaaaaaaaaaaa"),
            (&words, "one two three four five six"),
        ],
    );
    matches("approve", &masked);
}

#[test]
fn the_dialogue_of_a_request_is_kept() {
    let bench = Bench::start();
    let (_alice, _bob) = sealed_vault(&bench);
    let line = bench.line(DANA, &["request"]);
    let screen = Screen::run(80, 24, &[], &format!("{line}; exec cat"));
    for (question, answer) in [
        ("incident id", "INC-42"),
        ("why", "the orders database does not answer"),
    ] {
        screen.until(question);
        screen.types(answer);
        screen.press(&["Enter"]);
    }
    matches("request", &screen.until("how long"));
}
