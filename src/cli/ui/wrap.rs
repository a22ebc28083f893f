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

/// A text as it is, but that lines longer than `columns` go on below their second column: never where a row of its own would begin. Sequences that
/// set colours take no room.
pub(in crate::cli) fn folded(text: &str, columns: usize) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let hang = second_column(line).filter(|hang| hang + 20 <= columns);
        fold(line, columns, hang.unwrap_or(4), &mut out);
    }
    out
}

/// Where the value of a row begins: after its name and at least two blanks.
fn second_column(line: &str) -> Option<usize> {
    let shown: String = pieces(line).filter(|p| width_of(p) > 0).collect();
    let indent = shown.len() - shown.trim_start_matches(' ').len();
    let name = shown.get(indent..)?.find("  ")?;
    let after = indent + name;
    let blanks = shown[after..].len() - shown[after..].trim_start_matches(' ').len();
    Some(width(&shown[..after]) + blanks)
}

fn fold(line: &str, columns: usize, hang: usize, out: &mut String) {
    let mut used = 0;
    // Where the last blank stands in `out`, and how wide the line is behind it.
    let mut blank: Option<(usize, usize)> = None;
    for piece in pieces(line) {
        let wide = width_of(piece);
        if piece == " " && used >= columns {
            out.push('\n');
            out.push_str(&" ".repeat(hang));
            (used, blank) = (hang, None);
            continue;
        }
        if wide > 0 && used + wide > columns {
            let (at, kept) = match blank.take() {
                Some((at, column)) => (at, used - column),
                None => (out.len(), 0),
            };
            // The blank gives way to the break.
            let rest = out.split_off(at);
            let rest = rest.strip_prefix(' ').unwrap_or(&rest);
            out.push('\n');
            out.push_str(&" ".repeat(hang));
            out.push_str(rest);
            used = hang + kept;
        }
        if piece == " " && used >= hang {
            blank = Some((out.len(), used + 1));
        }
        out.push_str(piece);
        used += wide;
    }
}

/// Characters, and whole sequences that set a colour (`ESC [ ... m`).
fn pieces(line: &str) -> impl Iterator<Item = &str> {
    let mut rest = line;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let long = match rest.strip_prefix("\u{1b}[") {
            Some(sequence) => sequence.find('m').map_or(1, |end| end + 3),
            None => first.len_utf8(),
        };
        let (piece, after) = rest.split_at(long);
        rest = after;
        Some(piece)
    })
}

/// How many columns a piece takes: none where it sets a colour.
fn width_of(piece: &str) -> usize {
    match piece.starts_with('\u{1b}') || piece == "\n" {
        true => 0,
        false => width(piece),
    }
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
    fn a_long_row_goes_on_below_its_value_and_nothing_else_is_changed() {
        let text = "title  x\n  reason  one two  three four five six seven\n\n  x       y\n";
        let narrow =
            "title  x\n  reason  one two  three four\n          five six seven\n\n  x       y\n";
        assert_eq!(folded(text, 30), narrow);
        assert_eq!(folded(text, 80), text);
        // What looks like a row of its own never comes to stand where one begins.
        let sly = format!("  reason  {}  needs   nobody\n", "x".repeat(18));
        for line in folded(&sly, 30).lines().skip(1) {
            assert!(line.starts_with(&" ".repeat(10)), "{line:?}");
        }
        let red = "\u{1b}[1;31m  BROAD  allows every action on everything there is\u{1b}[0m\n";
        let folded = folded(red, 34);
        assert_eq!(
            folded,
            "\u{1b}[1;31m  BROAD  allows every action on\n         everything there is\u{1b}[0m\n"
        );
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
