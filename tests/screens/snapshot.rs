//! Screens that are kept: compared with times masked, and drawn anew where that is asked for.

use std::path::Path;

use twotap_rig::terminal::without_waits;

/// Compares a screen with the one that is kept under this name.
#[track_caller]
pub(crate) fn matches(name: &str, screen: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/screens")
        .join(format!("{name}.txt"));
    let screen = without_waits(&masked(screen));
    if std::env::var_os("TWOTAP_REMAKE").is_some() {
        std::fs::write(&path, &screen).expect("written");
        return;
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        screen == kept,
        "{name} is not what is kept; TWOTAP_REMAKE=1 draws it anew\n--- kept\n{kept}\n--- now\n{screen}"
    );
}

/// Times, dates and lengths of time with each digit as `0`: what stands between blanks, brackets and commas and has digits, dashes and
/// colons alone, and numbers of hours, minutes and seconds.
pub(crate) fn masked(screen: &str) -> String {
    let edge = |c: char| c.is_whitespace() || "(),".contains(c);
    let pieces: Vec<&str> = screen.split_inclusive(edge).collect();
    let word = |at: usize| pieces.get(at).map_or("", |p| p.trim_end_matches(edge));
    let digit = |c: char| c.is_ascii_digit();
    let time = |at: usize| {
        let word = word(at);
        word.chars().all(|c| digit(c) || ":-".contains(c))
            && word.contains([':', '-'])
            && word.starts_with(digit)
            && word.ends_with(digit)
    };
    let length = |at: usize| {
        let number = !word(at).is_empty() && word(at).chars().all(digit);
        number && ["h", "min", "s"].contains(&word(at + 1))
    };
    let mut out = String::new();
    for (at, piece) in pieces.iter().enumerate() {
        match time(at) || length(at) {
            true => out.extend(piece.chars().map(|c| if digit(c) { '0' } else { c })),
            false => out.push_str(piece),
        }
    }
    out
}

#[test]
fn times_are_masked_and_nothing_else_is() {
    assert_eq!(
        masked(
            "r-2 28:04 left, until 2026-01-06 10:00:05 UTC (1 of 2: bob) -- 7 events in 28 min\n"
        ),
        "r-2 00:00 left, until 0000-00-00 00:00:00 UTC (1 of 2: bob) -- 7 events in 00 min\n"
    );
}
