//! Text broken into lines that fit, between words.

use ratatui_core::text::Span;

/// How many columns a text takes at a terminal.
pub(in crate::cli) fn width(text: &str) -> usize {
    Span::raw(text).width()
}

/// Lines of at most `columns` columns; words that are longer are broken, and there is always at least one line.
pub(in crate::cli) fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split(' ').filter(|w| !w.is_empty()) {
        let long = width(word);
        let gap = usize::from(used > 0);
        if used + gap + long <= columns {
            push(&mut lines, if gap == 1 { " " } else { "" });
            push(&mut lines, word);
            used += gap + long;
            continue;
        }
        if used > 0 {
            lines.push(String::new());
            used = 0;
        }
        for c in word.chars() {
            let one = width(c.encode_utf8(&mut [0; 4]));
            if used > 0 && used + one > columns {
                lines.push(String::new());
                used = 0;
            }
            push(&mut lines, c.encode_utf8(&mut [0; 4]));
            used += one;
        }
    }
    lines
}

fn push(lines: &mut [String], text: &str) {
    if let Some(last) = lines.last_mut() {
        last.push_str(text);
    }
}

/// Rows of two columns as [`super::columns`] makes them, the second broken so that nothing goes beyond `columns`; whole where there is no such
/// bound.
pub(in crate::cli) fn columns_within(rows: &[(&str, String)], columns: Option<usize>) -> String {
    let Some(columns) = columns else {
        return super::columns(rows);
    };
    let first = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let room = columns.saturating_sub(first + 4).max(20);
    let mut text = String::new();
    for (name, value) in rows {
        for (at, line) in wrapped(value, room).iter().enumerate() {
            let name = if at == 0 { name } else { "" };
            let row = format!("  {name:<first$}  {line}");
            text.push_str(row.trim_end());
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words_and_only_long_words_within() {
        assert_eq!(wrapped("", 10), [""]);
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("a  b", 7), ["a b"]);
        assert_eq!(wrapped("ab abcdefgh c", 3), ["ab", "abc", "def", "gh", "c"]);
        assert_eq!(wrapped("x", 0), ["x"]);
        // Two columns each.
        assert_eq!(wrapped("日本語", 4), ["日本", "語"]);
    }

    #[test]
    fn rows_stay_within_the_columns_and_lose_nothing() {
        let words = "one two three four five six seven eight nine ten".repeat(3);
        let rows = [("reason", words.clone()), ("x", "y".to_owned())];
        for columns in [30, 40, 80] {
            let text = columns_within(&rows, Some(columns));
            assert!(text.lines().all(|l| width(l) <= columns), "{text}");
            let kept: String = text.split_whitespace().collect();
            let given: String = format!("reason{words}xy");
            assert_eq!(kept, given.replace(' ', ""));
        }
        assert_eq!(columns_within(&rows, None), super::super::columns(&rows));
    }
}
