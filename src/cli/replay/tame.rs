//! What a recording may do to the terminal that plays it: draw, and nothing else.
//!
//! It shows what a program wrote months ago on somebody else's terminal. Left as it is it could set the clipboard (OSC 52), the window's title,
//! make the terminal answer into the officer's keyboard (device reports, ENQ), or reprogram keys (DCS). So all strings of control (OSC, DCS,
//! SOS, PM, APC: ECMA-48, 5.6) are left out, and of control sequences (CSI) those that only draw are let through.

/// Where in a sequence the text so far has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    #[default]
    Ground,
    /// After ESC.
    Escape,
    /// After ESC and an intermediate character, e.g. `(`: one more ends it.
    Charset,
    /// In a control sequence.
    Sequence,
    /// In a string of control, to its end.
    String,
    /// After an ESC in such a string.
    StringEscape,
}

/// Lets drawing through.
#[derive(Default)]
pub(super) struct Tame {
    at: At,
    /// The sequence so far.
    held: String,
}

/// The longest sequence that is looked at; a longer one draws nothing that matters.
const LONGEST: usize = 64;

/// Final characters of control sequences that draw: cursor, erasing, scrolling, insertion, colours, margins, tabs.
const DRAWING: &str = "@ABCDEFGHIJKLMPSTXZ`abdefgmrsu";

impl Tame {
    /// What of `text` is let through; a sequence that it does not end is looked at with the next.
    pub(super) fn pass(&mut self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        for c in text.chars() {
            self.one(c, &mut out);
        }
        out
    }

    fn one(&mut self, c: char, out: &mut String) {
        // These end whatever was begun (ECMA-48, 5.5).
        if matches!(c, '\u{18}' | '\u{1a}') {
            self.at = At::Ground;
            return;
        }
        match (self.at, c) {
            (At::String, '\u{1b}') => self.at = At::StringEscape,
            (At::String, '\u{7}' | '\u{9c}') => self.at = At::Ground,
            (At::String, _) => {}
            (At::StringEscape, '\\') => self.at = At::Ground,
            // Not its end: a sequence of its own begins.
            (At::StringEscape, c) => {
                self.at = At::Escape;
                self.held = "\u{1b}".to_owned();
                self.escaped(c, out);
            }
            (_, '\u{1b}') => {
                self.at = At::Escape;
                self.held = "\u{1b}".to_owned();
            }
            (At::Ground, c) => self.plain(c, out),
            (At::Escape, c) => self.escaped(c, out),
            // Another character is none of its own: a control there (U+009B) would begin what is not looked at here.
            (At::Charset, c) => {
                if ('0'..='~').contains(&c) {
                    self.held.push(c);
                    out.push_str(&std::mem::take(&mut self.held));
                }
                self.at = At::Ground;
            }
            (At::Sequence, c) => self.sequence(c, out),
        }
    }

    fn plain(&mut self, c: char, out: &mut String) {
        match c {
            '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}' => self.at = At::String,
            '\u{9b}' => {
                self.at = At::Sequence;
                self.held = "\u{1b}[".to_owned();
            }
            '\u{7}'..='\u{f}' => out.push(c),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }

    fn escaped(&mut self, c: char, out: &mut String) {
        match c {
            '[' => {
                self.at = At::Sequence;
                self.held.push(c);
            }
            ']' | 'P' | 'X' | '^' | '_' => self.at = At::String,
            '(' | ')' => {
                self.at = At::Charset;
                self.held.push(c);
            }
            // Saving and restoring the cursor, moving it, tabs, the keypad's mode.
            '7' | '8' | 'D' | 'E' | 'H' | 'M' | '=' | '>' => {
                out.push('\u{1b}');
                out.push(c);
                self.at = At::Ground;
            }
            _ => self.at = At::Ground,
        }
    }

    fn sequence(&mut self, c: char, out: &mut String) {
        match c {
            '\u{20}'..='\u{3f}' if self.held.len() < LONGEST => self.held.push(c),
            '\u{40}'..='\u{7e}' => {
                self.held.push(c);
                let held = std::mem::take(&mut self.held);
                if draws(&held) {
                    out.push_str(&held);
                }
                self.at = At::Ground;
            }
            _ => self.at = At::Ground,
        }
    }
}

/// Whether a whole control sequence only draws.
fn draws(sequence: &str) -> bool {
    let Some(body) = sequence.strip_prefix("\u{1b}[") else {
        return false;
    };
    let Some(last) = body.chars().last() else {
        return false;
    };
    let parameters = &body[..body.len() - last.len_utf8()];
    let digits = |text: &str| {
        text.chars()
            .all(|c| c.is_ascii_digit() || matches!(c, ';' | ':'))
    };
    if digits(parameters) {
        return DRAWING.contains(last) || matches!(last, 'h' | 'l' if parameters == "4");
    }
    // Private modes that change how it looks: wrapping, the cursor, the other screen.
    let modes = [
        "?7", "?12", "?25", "?47", "?1047", "?1048", "?1049", "?2026",
    ];
    matches!(last, 'h' | 'l') && modes.contains(&parameters)
        || last == 'q' && parameters.strip_suffix(' ').is_some_and(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pass(text: &str) -> String {
        Tame::default().pass(text)
    }

    #[test]
    fn drawing_is_let_through() {
        for text in [
            "plain\r\n\ttext €",
            "\u{1b}[1;31mred\u{1b}[0m",
            "\u{1b}[2J\u{1b}[H\u{1b}[10;20H",
            "\u{1b}[38:2::1:2:3m",
            "\u{1b}[?1049h\u{1b}[?25l",
            "\u{1b}7\u{1b}8\u{1b}(B",
            "\u{1b}[2 q",
        ] {
            assert_eq!(pass(text), text, "{text:?}");
        }
    }

    #[test]
    fn what_reaches_out_of_the_screen_is_not() {
        for (text, left) in [
            // The clipboard, the title, a link.
            ("a\u{1b}]52;c;ZXZpbA==\u{7}b", "ab"),
            ("a\u{1b}]0;title\u{1b}\\b", "ab"),
            ("a\u{9d}0;title\u{9c}b", "ab"),
            // What the terminal would answer, as if it were typed.
            ("a\u{1b}[cb", "ab"),
            ("a\u{1b}[>0cb", "ab"),
            ("a\u{1b}[6nb", "ab"),
            ("a\u{1b}[21tb", "ab"),
            ("a\u{1b}[?1$pb", "ab"),
            ("a\u{1b}Zb", "ab"),
            ("a\u{5}b", "ab"),
            ("a\u{9b}6nb", "ab"),
            // Keys, mouse, paste, a reset, a program for the terminal.
            ("a\u{1b}[?1000hb", "ab"),
            ("a\u{1b}[?2004hb", "ab"),
            ("a\u{1b}cb", "ab"),
            ("a\u{1b}P1$r0m\u{1b}\\b", "ab"),
            ("a\u{1b}_Gi=1;AAAA\u{1b}\\b", "ab"),
            ("a\u{1b}^x\u{1b}\\b\u{1b}Xy\u{1b}\\c", "abc"),
            // Cut short, and in pieces that hide one in another.
            ("a\u{1b}]0;title", "a"),
            ("a\u{1b}]0;\u{1b}[6nb", "ab"),
            ("a\u{1b}\u{18}[6nb", "a[6nb"),
            ("a\u{1b}(\u{9b}6nb", "a6nb"),
            ("a\u{1b})\u{9d}52;c;x\u{7}b", "a52;c;x\u{7}b"),
        ] {
            assert_eq!(pass(text), left, "{text:?}");
        }
    }

    #[test]
    fn a_sequence_that_comes_in_pieces_is_one() {
        let mut tame = Tame::default();
        let out: String = [
            "a\u{1b}",
            "]5",
            "2;c;x",
            "\u{7}b\u{1b}[",
            "6",
            "n",
            "c\u{1b}[1",
            "m",
        ]
        .iter()
        .map(|part| tame.pass(part))
        .collect();
        assert_eq!(out, "abc\u{1b}[1m");
    }
}
