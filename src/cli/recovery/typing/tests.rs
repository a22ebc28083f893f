use proptest::prelude::*;
use rand_core::OsRng;
use twotap_shares::{Scheme, Secret, split};

use super::*;

fn share(bytes: usize) -> Mnemonic {
    let secret = Secret::new(&vec![9; bytes]).unwrap();
    let mut groups = split(&secret, b"", &Scheme::single(2, 3), &mut OsRng).unwrap();
    groups[0].remove(1)
}

fn words(share: &Mnemonic) -> Vec<String> {
    share.expose().split(' ').map(str::to_owned).collect()
}

fn type_word(entry: &mut Entry, word: &str) -> Outcome {
    for c in word.chars() {
        assert!(matches!(entry.press(Key::Letter(c)), Outcome::Typing));
    }
    entry.press(Key::Accept)
}

/// Types all words; answers what the last key came to.
fn type_all(entry: &mut Entry, words: &[String]) -> Outcome {
    let mut outcome = Outcome::Typing;
    for word in words {
        outcome = type_word(entry, word);
    }
    outcome
}

#[test]
fn four_letters_of_each_word_are_enough() {
    let share = share(32);
    let short: Vec<String> = words(&share)
        .iter()
        .map(|w| w.chars().take(4).collect())
        .collect();
    let mut entry = Entry::new();
    let Outcome::Share(read) = type_all(&mut entry, &short) else {
        panic!("{}", &*entry.screen());
    };
    assert!(read.expose() == share.expose());
}

#[test]
fn a_shorter_share_ends_with_an_empty_word() {
    let share = share(16);
    let mut entry = Entry::new();
    assert!(matches!(
        type_all(&mut entry, &words(&share)),
        Outcome::Typing
    ));
    let Outcome::Share(read) = entry.press(Key::Accept) else {
        panic!("{}", &*entry.screen());
    };
    assert!(read.expose() == share.expose());
}

#[test]
fn an_unknown_word_gets_near_matches_and_does_not_count() {
    let mut entry = Entry::new();
    assert!(matches!(type_word(&mut entry, "acadmic"), Outcome::Typing));
    assert!(
        entry.screen().contains("near it: academic"),
        "{}",
        &*entry.screen()
    );
    assert_eq!(entry.at, 0);
    for _ in 0..7 {
        entry.press(Key::Back);
    }
    type_word(&mut entry, "acad");
    assert!(
        entry.screen().contains("  1 ACADEMIC"),
        "{}",
        &*entry.screen()
    );
    assert_eq!(entry.at, 1);
}

#[test]
fn a_word_can_be_corrected_in_place() {
    let share = share(32);
    let right = words(&share);
    let mut typed = right.clone();
    typed[6] = if right[6] == "zero" {
        "academic"
    } else {
        "zero"
    }
    .to_owned();
    let mut entry = Entry::new();
    assert!(matches!(type_all(&mut entry, &typed), Outcome::Typing));
    assert!(
        entry
            .screen()
            .contains("word 7 is not the one on the sheet"),
        "{}",
        &*entry.screen()
    );
    assert_eq!(entry.at, 6);
    let Outcome::Share(read) = type_word(&mut entry, &right[6]) else {
        panic!("{}", &*entry.screen());
    };
    assert!(read.expose() == share.expose());
}

#[test]
fn two_neighbours_that_changed_places_are_named() {
    let share = share(32);
    let mut typed = words(&share);
    let first = (8..20).find(|n| typed[*n] != typed[n + 1]).unwrap();
    typed.swap(first, first + 1);
    let mut entry = Entry::new();
    assert!(matches!(type_all(&mut entry, &typed), Outcome::Typing));
    let says = format!(
        "words {} and {} seem to have changed places",
        first + 1,
        first + 2
    );
    assert!(entry.screen().contains(&says), "{}", &*entry.screen());
}

#[test]
fn nothing_is_lost_by_going_back() {
    let share = share(32);
    let words = words(&share);
    let mut entry = Entry::new();
    type_all(&mut entry, &words[..10]);
    for _ in 0..4 {
        entry.press(Key::Left);
    }
    assert_eq!(entry.at, 6);
    // Enter leaves it as it is and goes to the first that is missing.
    entry.press(Key::Accept);
    assert_eq!(entry.at, 10);
    let Outcome::Share(read) = type_all(&mut entry, &words[10..]) else {
        panic!("{}", &*entry.screen());
    };
    assert!(read.expose() == share.expose());
}

#[test]
fn whatever_goes_wrong_fits_a_line_of_the_terminal() {
    let share = share(32);
    let right = words(&share);
    let mut entry = Entry::new();
    // Three words wrong, which no rule can name.
    let mut typed = right.clone();
    for place in [10, 15, 20] {
        typed[place] = if right[place] == "zero" {
            "academic"
        } else {
            "zero"
        }
        .to_owned();
    }
    assert!(matches!(type_all(&mut entry, &typed), Outcome::Typing));
    for entry in [entry, {
        // The word with the longest near matches.
        let mut entry = Entry::new();
        type_word(&mut entry, "smirkk");
        entry
    }] {
        let screen = entry.screen();
        assert!(
            screen.lines().all(|line| line.chars().count() <= 79),
            "{}",
            &*screen
        );
        assert!(screen.lines().count() <= 20, "{}", &*screen);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is pressed: no panic, and no share that was not typed.
    #[test]
    fn any_keys_do_no_harm(keys in prop::collection::vec(0u8..8, 0..400)) {
        let mut entry = Entry::new();
        for key in keys {
            let key = match key {
                0 => Key::Letter('a'),
                1 => Key::Letter('e'),
                2 => Key::Letter('c'),
                3 => Key::Accept,
                4 => Key::Back,
                5 => Key::Left,
                6 => Key::Right,
                _ => Key::Other,
            };
            prop_assert!(matches!(entry.press(key), Outcome::Typing));
            entry.screen();
        }
    }
}
