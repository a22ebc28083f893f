//! Rows as lines of a page: as wide as the terminal, with what does not fit to be scrolled to.

use ratatui_core::{
    buffer::Buffer,
    layout::Rect,
    style::{Color, Modifier, Style},
    text::Line,
};

use super::{
    super::ui::{width, wrapped},
    keys::Key,
    rows::{Row, Tone},
};

/// Columns before a fact's text.
const NAME: usize = 12;
/// Columns that a bar takes.
const BAR: usize = 20;

/// Whether colours are wanted: <https://no-color.org>.
#[derive(Clone, Copy)]
pub(super) struct Palette {
    pub(super) colours: bool,
}

impl Palette {
    fn style(self, tone: Tone) -> Style {
        let (colour, modifier) = match tone {
            Tone::Plain => return Style::new(),
            Tone::Good => (Color::Green, Modifier::empty()),
            Tone::Look => (Color::Magenta, Modifier::BOLD),
            Tone::Bad => (Color::Red, Modifier::BOLD),
        };
        let style = Style::new().add_modifier(modifier);
        if self.colours {
            style.fg(colour)
        } else {
            style
        }
    }
}

/// What stands around the rows.
pub(super) struct Frame<'a> {
    /// The first line, from edge to edge.
    pub(super) title: (String, String),
    /// The second: what the agent is doing, and whether that is bad.
    pub(super) state: (String, Tone),
    /// Everything between.
    pub(super) rows: &'a [Row],
    pub(super) palette: Palette,
}

/// How far somebody has scrolled, in lines.
#[derive(Clone, Copy, Default)]
pub(super) struct Scroll {
    from: usize,
    /// Lines of the page and of all, as they were drawn last.
    page: usize,
    all: usize,
}

impl Scroll {
    /// Moves; never beyond the last page.
    pub(super) fn press(&mut self, key: Key) {
        let page = self.page.saturating_sub(1).max(1);
        self.from = match key {
            Key::Up => self.from.saturating_sub(1),
            Key::Down => self.from + 1,
            Key::PageUp => self.from.saturating_sub(page),
            Key::PageDown => self.from + page,
            Key::Home => 0,
            Key::End => self.all,
            Key::Quit | Key::Redraw => self.from,
        };
        self.bound();
    }

    fn bound(&mut self) {
        self.from = self.from.min(self.all.saturating_sub(self.page));
    }
}

/// Draws it all.
pub(super) fn draw(frame: &Frame<'_>, scroll: &mut Scroll, buffer: &mut Buffer) {
    let area = buffer.area;
    let columns = usize::from(area.width);
    let mut line_at = |y: u16, line: &Line<'_>| {
        if y < area.height {
            let row = Rect::new(area.x, area.y + y, area.width, 1);
            buffer.set_line(row.x, row.y, line, row.width);
        }
    };
    let title = edges(&frame.title.0, &frame.title.1, columns);
    let loud = Style::new().add_modifier(Modifier::REVERSED);
    line_at(0, &Line::styled(title, loud));
    let state = fit(&frame.state.0, columns);
    line_at(1, &Line::styled(state, frame.palette.style(frame.state.1)));

    let lines = lines(frame.rows, columns, frame.palette);
    scroll.page = usize::from(area.height.saturating_sub(3));
    scroll.all = lines.len();
    scroll.bound();
    let shown = lines.iter().skip(scroll.from).take(scroll.page);
    for (y, line) in (2..).zip(shown) {
        line_at(y, line);
    }
    let foot = edges(" q quit   up, down, space scroll", &part(scroll), columns);
    line_at(
        area.height.saturating_sub(1).max(2),
        &Line::styled(foot, loud),
    );
}

/// Which lines of how many are seen; nothing where that is all.
fn part(scroll: &Scroll) -> String {
    if scroll.all <= scroll.page {
        return String::new();
    }
    let last = (scroll.from + scroll.page).min(scroll.all);
    format!("lines {} to {last} of {} ", scroll.from + 1, scroll.all)
}

fn lines(rows: &[Row], columns: usize, palette: Palette) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    for row in rows {
        match row {
            Row::Heading(text) => {
                let style = Style::new().add_modifier(Modifier::BOLD);
                let rule = columns.saturating_sub(width(text) + 4);
                let text = format!("-- {} {}", text.to_uppercase(), "-".repeat(rule));
                lines.push(Line::styled(fit(&text, columns), style));
            }
            Row::Title { left, right, tone } => {
                let text = edges(&format!(" {left}"), right, columns);
                lines.push(Line::styled(text, palette.style(*tone)));
            }
            Row::Line { name, text } => {
                let text = format!("   {name:<rest$}{text}", rest = NAME - 3);
                lines.push(Line::raw(fit(&text, columns)));
            }
            Row::Fact { name, text, tone } => said(&mut lines, name, text, *tone, columns, palette),
            Row::Bar {
                name,
                done,
                of,
                text,
                tone,
            } => {
                // On a narrow terminal the words have to do.
                let text = match columns {
                    60.. => format!("{} {text}", bar(*done, *of)),
                    _ => text.clone(),
                };
                said(&mut lines, name, &text, *tone, columns, palette);
            }
        }
    }
    lines
}

fn said(
    lines: &mut Vec<Line<'static>>,
    name: &str,
    text: &str,
    tone: Tone,
    columns: usize,
    palette: Palette,
) {
    let room = columns.saturating_sub(NAME + 1).max(1);
    for (at, piece) in wrapped(text, room).into_iter().enumerate() {
        let name = if at == 0 { name } else { "" };
        let text = format!("   {name:<rest$}{piece}", rest = NAME - 3);
        lines.push(Line::styled(fit(&text, columns), palette.style(tone)));
    }
}

/// `[#####...............]`, rounded up so that what is left shows.
fn bar(done: u64, of: u64) -> String {
    let cells = u64::try_from(BAR).unwrap_or(u64::MAX);
    let full = (done.min(of) * cells).div_ceil(of.max(1));
    let full = usize::try_from(full).unwrap_or(BAR).min(BAR);
    format!("[{}{}]", "#".repeat(full), ".".repeat(BAR - full))
}

/// One text at each edge; the left one gives way.
fn edges(left: &str, right: &str, columns: usize) -> String {
    let right = fit(right, columns);
    let room = columns.saturating_sub(width(&right) + usize::from(!right.is_empty()));
    let left = fit(left, room);
    let gap = columns.saturating_sub(width(&left) + width(&right));
    format!("{left}{}{right}", " ".repeat(gap))
}

/// Cut to so many columns, with two dots where something is missing.
fn fit(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = 0;
    for c in text.chars() {
        let one = width(c.encode_utf8(&mut [0; 4]));
        if used + one + 2 > columns {
            break;
        }
        kept.push(c);
        used += one;
    }
    kept.push_str(&".."[..columns.min(2)]);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_full_only_with_all_of_it_and_empty_only_with_nothing() {
        assert_eq!(bar(0, 4), format!("[{}]", ".".repeat(20)));
        assert_eq!(bar(4, 4), format!("[{}]", "#".repeat(20)));
        assert_eq!(bar(9, 4), format!("[{}]", "#".repeat(20)));
        assert_eq!(bar(1, 14_400), format!("[#{}]", ".".repeat(19)));
        assert_eq!(bar(1, 0), format!("[{}]", ".".repeat(20)));
    }

    #[test]
    fn what_is_cut_says_so() {
        assert_eq!(fit("abcdef", 6), "abcdef");
        assert_eq!(fit("abcdefg", 6), "abcd..");
        assert_eq!(fit("日本語", 5), "日..");
        assert_eq!(fit("abc", 1), ".");
        assert_eq!(edges("left", "right", 12), "left   right");
        assert_eq!(edges("a long one", "right", 12), "a lo.. right");
    }

    #[test]
    fn scrolling_ends_at_both_ends() {
        let mut scroll = Scroll {
            from: 0,
            page: 10,
            all: 25,
        };
        for (key, from) in [
            (Key::Up, 0),
            (Key::Down, 1),
            (Key::PageDown, 10),
            (Key::PageDown, 15),
            (Key::Down, 15),
            (Key::PageUp, 6),
            (Key::Home, 0),
            (Key::End, 15),
        ] {
            scroll.press(key);
            assert_eq!(scroll.from, from, "{key:?}");
        }
        scroll.all = 3;
        scroll.bound();
        assert_eq!(scroll.from, 0);
    }
}
