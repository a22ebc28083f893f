//! Screens that are kept: compared with times masked, and drawn anew where that is asked for.

use std::path::Path;

/// Compares a screen with the one that is kept under this name.
#[track_caller]
pub(crate) fn matches(name: &str, screen: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/screens")
        .join(format!("{name}.txt"));
    let screen = masked(screen);
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

/// Times and dates with each digit as `0`: what stands between blanks, brackets and commas and has digits, dashes and colons alone.
pub(crate) fn masked(screen: &str) -> String {
    let mut out = String::new();
    let edge = |c: char| c.is_whitespace() || "(),".contains(c);
    for piece in screen.split_inclusive(edge) {
        let word = piece.trim_end_matches(edge);
        let time = word.chars().all(|c| c.is_ascii_digit() || ":-".contains(c))
            && word.contains([':', '-'])
            && word.starts_with(|c: char| c.is_ascii_digit())
            && word.ends_with(|c: char| c.is_ascii_digit());
        match time {
            true => out.extend(
                piece
                    .chars()
                    .map(|c| if c.is_ascii_digit() { '0' } else { c }),
            ),
            false => out.push_str(piece),
        }
    }
    out
}

#[test]
fn times_are_masked_and_nothing_else_is() {
    assert_eq!(
        masked("r-2 28:04 left, until 2026-01-06 10:00:05 UTC (1 of 2: bob) -- 7\n"),
        "r-2 00:00 left, until 0000-00-00 00:00:00 UTC (1 of 2: bob) -- 7\n"
    );
}
