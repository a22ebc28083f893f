//! Which characters names and free text may have: what is signed is what is seen.

use super::TrustError;

/// A short name: lower-case letters, digits, `-`, `_`, `.`; starts with a letter or digit; at most 32.
pub fn check_name(what: &'static str, name: &str) -> Result<(), TrustError> {
    let good = !name.is_empty()
        && name.len() <= 32
        && name.as_bytes()[0].is_ascii_alphanumeric()
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b));
    if good {
        Ok(())
    } else {
        Err(TrustError::malformed(
            what,
            "a name has 1 to 32 of a-z, 0-9, '-', '_', '.' and starts with a letter or digit",
        ))
    }
}

/// Free text on one line: no control characters, nothing that reorders or hides text, not empty, at most `max` bytes.
pub fn check_text(what: &'static str, text: &str, max: usize) -> Result<(), TrustError> {
    if text.trim().is_empty() {
        return Err(TrustError::malformed(what, "it is empty"));
    }
    if text.len() > max {
        return Err(TrustError::malformed(
            what,
            format!("it is {} bytes long, at most {max} are allowed", text.len()),
        ));
    }
    match text.chars().position(is_deceptive) {
        None => Ok(()),
        Some(at) => Err(TrustError::malformed(
            what,
            format!(
                "character {} is a control or text-direction character",
                at + 1
            ),
        )),
    }
}

/// Somebody else's text as one line that [`check_text`] takes: what it would refuse becomes a space, spaces are drawn together, and what
/// is over `max` characters is left out, with a `…` in its place. May come out empty.
pub fn plain(text: &str, max: usize) -> String {
    let shown = |c: char| if is_deceptive(c) { ' ' } else { c };
    let line: String = text.chars().map(shown).collect();
    let words: Vec<&str> = line.split_whitespace().collect();
    let line = words.join(" ");
    if line.chars().count() <= max {
        return line;
    }
    let kept: String = line.chars().take(max.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// Characters that change how other characters are shown: controls, bidi, zero-width, line separators, tags.
fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{00AD}' | '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{180E}'
            | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
            | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF9}'..='\u{FFFB}'
            | '\u{E0000}'..='\u{E0FFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_deceives_is_refused() {
        for bad in [
            "",
            "   ",
            "a\nb",
            "a\u{1b}[2Jb",
            "a\u{202e}b",
            "zero\u{200b}width",
            "x\u{e0041}",
        ] {
            assert!(check_text("reason", bad, 100).is_err(), "{bad:?}");
        }
        assert!(check_text("reason", &"x".repeat(101), 100).is_err());
        assert!(check_text("reason", "Datenbank läuft nicht: 日本", 100).is_ok());
    }

    #[test]
    fn foreign_text_becomes_one_plain_line() {
        for (text, line) in [
            (
                "merged,\n  approved\tby carol\n",
                "merged, approved by carol",
            ),
            ("\u{1b}[2Ja\u{202e}b\u{200b}c", "[2Ja b c"),
            ("  \u{0}\n", ""),
            ("äöü", "äöü"),
        ] {
            assert_eq!(plain(text, 100), line);
            assert!(line.is_empty() || check_text("line", line, 100).is_ok());
        }
        assert_eq!(plain("12345", 5), "12345");
        assert_eq!(plain("123456", 5), "1234…");
    }

    #[test]
    fn names_are_small_and_plain() {
        assert!(check_name("vault", "prod").is_ok());
        for bad in ["", "Prod", "-x", "a/b", "..", "a b", &"x".repeat(33)] {
            assert!(check_name("vault", bad).is_err(), "{bad:?}");
        }
    }
}
