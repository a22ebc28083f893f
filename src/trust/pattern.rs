//! Patterns that a roster sets for what people type: a ticket's id, a subject.

use std::fmt;

use regex_lite::{Regex, RegexBuilder};

/// The longest pattern, in bytes.
pub const MAX_PATTERN: usize = 256;
/// How large a pattern may become when it is made ready, in bytes: a short one can stand for a huge one (`x{9999}{9999}`).
const MAX_COMPILED: usize = 64 * 1024;

/// A regular expression in the syntax of the crate `regex-lite`, which takes time in proportion to the text. It has to match the whole
/// of a text, not a part of it.
pub struct Pattern(Regex);

/// A pattern that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadPattern(String);

impl fmt::Display for BadPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it is no pattern: {}", self.0)
    }
}

impl std::error::Error for BadPattern {}

impl Pattern {
    /// Reads a pattern, e.g. `INC-[0-9]+`.
    pub fn parse(text: &str) -> Result<Self, BadPattern> {
        if text.is_empty() || text.len() > MAX_PATTERN {
            return Err(BadPattern(format!("it has 1 to {MAX_PATTERN} bytes")));
        }
        // By itself first: what closes a bracket that it never opened must not get out of ours.
        made(text)?;
        made(&format!(r"\A(?:{text})\z")).map(Self)
    }

    /// Whether the whole of `text` is like this.
    pub fn fits(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

fn made(text: &str) -> Result<Regex, BadPattern> {
    RegexBuilder::new(text)
        .size_limit(MAX_COMPILED)
        .build()
        .map_err(|why| BadPattern(why.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_of_a_text_has_to_be_like_it() {
        let ticket = Pattern::parse("INC-[0-9]+|CHG-[0-9]+").expect("good");
        assert!(ticket.fits("INC-42") && ticket.fits("CHG-7"));
        for bad in [
            "", "INC-", "xINC-42", "INC-42 ", "INC-42\n", "inc-42", "INC-42x", "xCHG-7",
        ] {
            assert!(!ticket.fits(bad), "{bad:?}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for bad in [
            "",
            "(",
            "a)|(?:b",
            "[",
            "x{9999}{9999}",
            &"x".repeat(MAX_PATTERN + 1),
        ] {
            assert!(Pattern::parse(bad).is_err(), "{bad}");
        }
    }
}
