//! Patterns that a roster states for what people type: a subject, a ticket.

use regex_lite::{Regex, RegexBuilder};

use super::TrustError;

/// The longest pattern, in bytes.
pub const MAX: usize = 256;
/// What a compiled pattern may weigh, in bytes: enough for what people write, too little for what would hang a request.
const WEIGHT: usize = 64 * 1024;

/// Compiles `pattern` so that it holds for the whole of a text and never for a part of it.
///
/// The syntax is that of the crate `regex-lite`: ASCII classes, no look-around, and a match takes time in proportion to the text.
///
/// # Errors
/// [`TrustError::Malformed`], naming `what`.
pub fn compile(what: &'static str, pattern: &str) -> Result<Regex, TrustError> {
    let wrong = |why: String| TrustError::malformed(what, why);
    if pattern.is_empty() || pattern.len() > MAX {
        return Err(wrong(format!("a pattern has 1 to {MAX} characters")));
    }
    if !pattern.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        return Err(wrong("a pattern is written in printable ASCII".to_owned()));
    }
    let built = |text: &str| {
        RegexBuilder::new(text)
            .size_limit(WEIGHT)
            .build()
            .map_err(|why| wrong(format!("it is not a pattern: {why}")))
    };
    // By itself first: `a)|(b` would only be one between the brackets below, and would escape from its anchors.
    built(pattern)?;
    built(&format!(r"\A(?:{pattern})\z"))
}

/// Whether the whole of `text` is as `pattern` says; a pattern that cannot be read matches nothing.
pub fn matches(pattern: &str, text: &str) -> bool {
    compile("pattern", pattern).is_ok_and(|regex| regex.is_match(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_holds_for_the_whole_text() {
        assert!(matches("INC-[0-9]+", "INC-42"));
        for text in ["", "INC-", "XINC-42", "INC-42x", "INC-42\n", "INC-4\n2"] {
            assert!(!matches("INC-[0-9]+", text), "{text:?}");
        }
        assert!(matches("a|bc", "bc"));
        assert!(!matches("a|bc", "abc"), "the anchors hold for every branch");
        assert!(!matches("(?m)a$", "a\nb"));
        assert!(!matches("(?x)a # rest", "ab"));
    }

    #[test]
    fn what_is_no_pattern_is_refused_and_matches_nothing() {
        let heavy = "((x{100}){100}){100}";
        let long = "x".repeat(MAX + 1);
        for bad in ["", "a)|(b", "(", "[z-a]", "a\nb", "é", heavy, &long] {
            assert!(compile("subject", bad).is_err(), "{bad:?}");
            assert!(!matches(bad, "b"), "{bad:?}");
        }
    }
}
