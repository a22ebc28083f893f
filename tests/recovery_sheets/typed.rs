//! The words of a sheet typed at a terminal of 80 by 24.

use twotap_rig::Terminal;

use crate::bench::Bench;

/// Into and out of the terminal's alternate screen.
const ENTER: &str = "\u{1b}[?1049h";
const LEAVE: &str = "\u{1b}[?1049l";
/// What each picture of the screen begins with.
const CLEAR: &str = "\u{1b}[H\u{1b}[2J";

fn check(bench: &Bench) -> Terminal {
    let set = bench.text("prod.recovery.json");
    bench.at_terminal(&["recovery", "check", "--set", &set])
}

#[test]
fn typing_is_kind_and_leaves_nothing_behind() {
    let bench = Bench::new();
    bench
        .create("prod", &["--shares", "3", "--threshold", "2"])
        .done();
    let share = bench.words("prod/prod-share-2.pdf");
    let words: Vec<&str> = share.expose().split(' ').collect();

    let mut screen = check(&bench);
    screen.until("four letters are enough, Enter confirms");
    // A word that is none gets near matches and does not count; then it is typed again.
    screen.press("acadmic\r");
    screen.until("no such word; near it: academic");
    screen.press(&"\u{7f}".repeat(7));
    for (n, word) in words.iter().enumerate() {
        // One goes wrong on the way.
        let typed = match n {
            20 if *word == "zero" => "yoga",
            20 => "zero",
            _ => &word[..4],
        };
        screen.press(&format!("{typed}\r"));
    }
    screen.until("word 21 is not the one on the sheet: compare it and type it again");
    screen.press(&format!("{}\r", words[20]));
    screen.until("good: share 2 of 3 of vault prod");
    let (code, seen) = screen.end();
    assert_eq!(code, Some(0), "{seen}");

    // Words stood on the alternate screen alone, which was wiped before it was left.
    let (before, rest) = seen.split_once(ENTER).expect("entered");
    let (inside, after) = rest.rsplit_once(LEAVE).expect("left");
    assert!(inside.ends_with("\u{1b}[2J"), "wiped");
    assert!(!inside.contains(LEAVE) && !inside.contains(ENTER), "once");
    for word in &words {
        for outside in [before, after] {
            assert!(
                !outside
                    .split_whitespace()
                    .any(|w| w.eq_ignore_ascii_case(word)),
                "{word} is outside: {outside}"
            );
        }
    }
    assert!(
        inside.contains(&words[5].to_uppercase()),
        "seen while it is typed"
    );
    // It fits a terminal of 80 by 24, each picture of it.
    let pictures: Vec<&str> = inside.split(CLEAR).skip(1).collect();
    assert!(pictures.len() > 100, "{}", pictures.len());
    for picture in pictures {
        let lines: Vec<&str> = picture.split("\r\n").collect();
        assert!(lines.len() <= 24, "{picture}");
        assert!(
            lines.iter().all(|line| line.chars().count() <= 80),
            "{picture}"
        );
    }
}

#[test]
fn swapped_neighbours_are_named_and_the_arrows_go_back_to_them() {
    let bench = Bench::new();
    bench
        .create("prod", &["--shares", "3", "--threshold", "2"])
        .done();
    let share = bench.words("prod/prod-share-1.pdf");
    let words: Vec<&str> = share.expose().split(' ').collect();
    let mut typed = words.clone();
    let first = (8..30)
        .find(|n| words[*n] != words[n + 1])
        .expect("two that differ");
    typed.swap(first, first + 1);
    let mut screen = check(&bench);
    screen.until("four letters are enough");
    for word in &typed {
        screen.press(&format!("{word} "));
    }
    screen.until(&format!(
        "words {} and {} seem to have changed places",
        first + 1,
        first + 2
    ));
    // It stands on the first of them; once that is right, the second alone is wrong.
    screen.press(&format!("\u{1b}[D\u{1b}[C{}\r", words[first]));
    screen.until(&format!("word {} is not the one on the sheet", first + 2));
    screen.press(&format!("{}\r", words[first + 1]));
    screen.until("good: share 1 of 3");
    assert_eq!(screen.end().0, Some(0));
}

#[test]
fn breaking_off_gives_the_terminal_back() {
    let bench = Bench::new();
    bench
        .create("prod", &["--shares", "3", "--threshold", "2"])
        .done();
    let mut screen = check(&bench);
    screen.until("four letters are enough");
    screen.press("acad\r");
    screen.until("ACADEMIC");
    screen.press("\u{3}");
    let (code, seen) = screen.end();
    assert_eq!(code, Some(3), "{seen}");
    let (_, after) = seen.rsplit_once(LEAVE).expect("left");
    assert!(
        after.contains("error: broken off; nothing was kept"),
        "{after}"
    );
    assert!(!after.contains("ACADEMIC"), "{after}");
}
