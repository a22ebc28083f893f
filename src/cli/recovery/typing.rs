//! Typing the words of a sheet: what was typed, what it may mean, where it is in doubt. No terminal in here.
//!
//! Nothing is corrected silently: a word counts when it was confirmed, an unknown one gets near matches, and a checksum that does not fit
//! names the word to compare with the sheet, where one can be named.

use twotap_shares::{Error, Mnemonic, WORDS, suggestions, word_index};
use zeroize::Zeroizing;

/// A share of 256 bits.
const USUAL: usize = 33;
/// A share of 128 bits; none is shorter.
const LEAST: usize = 20;
/// A share of 512 bits; none is longer.
const MOST: usize = 59;
/// The longest word has eight letters.
const LETTERS: usize = 12;
/// As on the sheet.
const COLUMNS: usize = 3;

/// A key that was pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// A letter.
    Letter(char),
    /// The word is complete: space, tab or Enter.
    Accept,
    /// Take back a letter, or go back a word.
    Back,
    /// One word back.
    Left,
    /// One word on.
    Right,
    /// Give up.
    Quit,
    /// Anything else.
    Other,
}

/// What typing has come to.
pub(super) enum Outcome {
    /// Go on.
    Typing,
    /// A sound share.
    Share(Mnemonic),
    /// Broken off.
    Quit,
}

/// The sheet as far as it was typed.
pub(super) struct Entry {
    words: Zeroizing<Vec<Option<u16>>>,
    typed: Zeroizing<String>,
    at: usize,
    says: String,
}

impl Entry {
    pub(super) fn new() -> Self {
        let mut words = Zeroizing::new(Vec::with_capacity(MOST));
        words.resize(USUAL, None);
        Self {
            words,
            typed: Zeroizing::new(String::with_capacity(LETTERS)),
            at: 0,
            says: "type each word; four letters are enough, Enter confirms".to_owned(),
        }
    }

    pub(super) fn press(&mut self, key: Key) -> Outcome {
        match key {
            Key::Letter(c) if self.typed.len() < LETTERS => {
                self.typed.push(c.to_ascii_lowercase());
                self.preview();
            }
            Key::Back if self.typed.is_empty() => self.go(self.at.saturating_sub(1)),
            Key::Back => {
                self.typed.pop();
                self.preview();
            }
            Key::Left => self.go(self.at.saturating_sub(1)),
            Key::Right => self.go((self.at + 1).min(self.words.len() - 1)),
            Key::Accept => return self.accept(),
            Key::Quit => return Outcome::Quit,
            Key::Letter(_) | Key::Other => {}
        }
        Outcome::Typing
    }

    /// What the person sees: the sheet's own grid.
    pub(super) fn screen(&self) -> Zeroizing<String> {
        let rows = self.words.len().div_ceil(COLUMNS);
        let mut out = Zeroizing::new(String::with_capacity(4096));
        for row in 0..rows {
            for place in (row..self.words.len()).step_by(rows) {
                let here = place == self.at;
                let word = match self.words[place] {
                    _ if here && !self.typed.is_empty() => &self.typed,
                    Some(index) => WORDS[usize::from(index)],
                    None => "",
                };
                out.push_str(if here { " >" } else { "  " });
                out.push_str(&format!("{:>3} ", place + 1));
                let start = out.len();
                out.extend(word.chars().map(|c| c.to_ascii_uppercase()));
                if here {
                    out.push('_');
                }
                while out.len() < start + 11 {
                    out.push(' ');
                }
            }
            out.push('\n');
        }
        out.push('\n');
        out.push_str(&self.says);
        out
    }

    fn go(&mut self, to: usize) {
        self.at = to;
        self.clear();
        self.says = format!("word {}: type it again, or Enter to leave it", to + 1);
    }

    fn clear(&mut self) {
        use zeroize::Zeroize as _;
        self.typed.zeroize();
    }

    /// Says what the letters so far would be taken for.
    fn preview(&mut self) {
        self.says = match word_index(&self.typed) {
            Some(index) => format!(
                "{}? Enter confirms",
                WORDS[usize::from(index)].to_ascii_uppercase()
            ),
            None if self.typed.len() < 4 => String::new(),
            None => self.unknown(),
        };
    }

    fn unknown(&self) -> String {
        let near = suggestions(&self.typed);
        if near.is_empty() {
            "no such word: look at the sheet again".to_owned()
        } else {
            format!("no such word; near it: {}", near.join(", "))
        }
    }

    fn accept(&mut self) -> Outcome {
        if self.typed.is_empty() {
            return match self.words[self.at] {
                Some(_) => self.on(),
                // Shorter shares end before the grid does.
                None if self.at >= LEAST && self.words[self.at..].iter().all(Option::is_none) => {
                    self.words.truncate(self.at);
                    self.at -= 1;
                    self.finish()
                }
                None => Outcome::Typing,
            };
        }
        match word_index(&self.typed) {
            Some(index) => {
                self.words[self.at] = Some(index);
                self.clear();
                self.says.clear();
                self.on()
            }
            None => {
                self.says = self.unknown();
                Outcome::Typing
            }
        }
    }

    /// To the next word that is missing, or to the end.
    fn on(&mut self) -> Outcome {
        self.clear();
        match self.words.iter().position(Option::is_none) {
            Some(missing) => {
                self.at = missing;
                Outcome::Typing
            }
            None => self.finish(),
        }
    }

    fn finish(&mut self) -> Outcome {
        let words: Zeroizing<Vec<u16>> =
            Zeroizing::new(self.words.iter().copied().flatten().collect());
        match parse(&words) {
            Ok(share) => Outcome::Share(share),
            Err(why) => {
                self.says = self.doubt(&words, why);
                Outcome::Typing
            }
        }
    }

    /// Where to look when the whole does not fit.
    fn doubt(&mut self, words: &[u16], why: Error) -> String {
        match why {
            Error::Checksum {
                suspect: Some(word),
            } => {
                self.at = word - 1;
                format!("word {word} is not the one on the sheet: compare it and type it again")
            }
            Error::Checksum { suspect: None } => match swapped(words) {
                Some(first) => {
                    self.at = first;
                    format!(
                        "words {} and {} seem to have changed places: compare them",
                        first + 1,
                        first + 2
                    )
                }
                None => {
                    "more than one word differs from the sheet: go through them with the arrows"
                        .to_owned()
                }
            },
            Error::Length { .. } => {
                let grid = USUAL.max(self.words.len());
                self.words.resize(grid, None);
                self.at = self.words.iter().position(Option::is_none).unwrap_or(0);
                format!("no share has {} words", words.len())
            }
            other => other.to_string(),
        }
    }
}

/// The two neighbours (the first, from 0) whose change of places explains everything, if only one pair does.
fn swapped(words: &[u16]) -> Option<usize> {
    let mut tried = Zeroizing::new(words.to_vec());
    let mut found = None;
    for first in 0..words.len().saturating_sub(1) {
        tried.swap(first, first + 1);
        if words[first] != words[first + 1] && parse(&tried).is_ok() {
            if found.is_some() {
                return None;
            }
            found = Some(first);
        }
        tried.swap(first, first + 1);
    }
    found
}

fn parse(words: &[u16]) -> Result<Mnemonic, Error> {
    // The longest word has eight letters.
    let mut text = Zeroizing::new(String::with_capacity(words.len() * 9));
    for word in words {
        text.push_str(WORDS[usize::from(*word)]);
        text.push(' ');
    }
    Mnemonic::parse(&text)
}

#[cfg(test)]
mod tests;
