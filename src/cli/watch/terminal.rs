//! The terminal of a live view: its own screen and raw keys while it is shown, everything as it was afterwards, however it ends.

use std::{
    fs::File,
    io::{self, Write as _},
};

use ratatui_core::{
    backend::{Backend, ClearType, WindowSize},
    buffer::Cell,
    layout::{Position, Size},
    style::{Color, Modifier},
};
use rustix::termios::{self, OptionalActions, Termios};

/// The alternate screen without a cursor.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[?25l\x1b[0m\x1b[2J";
const LEAVE: &[u8] = b"\x1b[0m\x1b[?25h\x1b[?1049l";
/// Where a terminal does not say how large it is.
const USUAL: Size = Size {
    width: 80,
    height: 24,
};

/// A terminal that shows a view; dropped, it is what it was before.
pub(super) struct Tty {
    tty: File,
    before: Termios,
    /// What is written at the next flush, so that a frame comes in one piece.
    frame: Vec<u8>,
    cursor: Position,
}

impl Tty {
    /// Takes the terminal over.
    pub(super) fn enter(tty: File) -> io::Result<Self> {
        let before = termios::tcgetattr(&tty)?;
        let mut taken = Self {
            tty,
            before,
            frame: Vec::new(),
            cursor: Position::ORIGIN,
        };
        taken.again()?;
        Ok(taken)
    }

    /// Takes it over once more, after whoever else had it (a stopped program goes on).
    pub(super) fn again(&mut self) -> io::Result<()> {
        let mut raw = self.before.clone();
        raw.make_raw();
        termios::tcsetattr(&self.tty, OptionalActions::Flush, &raw)?;
        self.tty.write_all(ENTER)
    }
}

impl Drop for Tty {
    fn drop(&mut self) {
        let _ = self.tty.write_all(LEAVE);
        let _ = termios::tcsetattr(&self.tty, OptionalActions::Flush, &self.before);
    }
}

impl Backend for Tty {
    type Error = io::Error;

    fn draw<'a, I>(&mut self, content: I) -> io::Result<()>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        let mut next = None;
        let mut style = (Color::Reset, Modifier::empty());
        for (x, y, cell) in content {
            if next != Some((x, y)) {
                write!(self.frame, "\x1b[{};{}H", y + 1, x + 1)?;
            }
            if style != (cell.fg, cell.modifier) {
                style = (cell.fg, cell.modifier);
                self.frame.extend(sgr(cell.fg, cell.modifier).bytes());
            }
            self.frame.extend(cell.symbol().bytes());
            // What is no single column wide is not counted on.
            next = (cell.symbol().len() == 1).then_some((x + 1, y));
        }
        self.frame.extend(b"\x1b[0m");
        Ok(())
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        self.frame.extend(b"\x1b[?25l");
        Ok(())
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        self.frame.extend(b"\x1b[?25h");
        Ok(())
    }

    fn get_cursor_position(&mut self) -> io::Result<Position> {
        Ok(self.cursor)
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        self.cursor = position.into();
        write!(
            self.frame,
            "\x1b[{};{}H",
            self.cursor.y + 1,
            self.cursor.x + 1
        )
    }

    fn clear(&mut self) -> io::Result<()> {
        self.clear_region(ClearType::All)
    }

    fn clear_region(&mut self, what: ClearType) -> io::Result<()> {
        let code: &[u8] = match what {
            ClearType::All => b"\x1b[2J",
            ClearType::AfterCursor => b"\x1b[0J",
            ClearType::BeforeCursor => b"\x1b[1J",
            ClearType::CurrentLine => b"\x1b[2K",
            ClearType::UntilNewLine => b"\x1b[0K",
        };
        self.frame.extend(code);
        Ok(())
    }

    fn size(&self) -> io::Result<Size> {
        let size = termios::tcgetwinsize(&self.tty)?;
        Ok(match (size.ws_col, size.ws_row) {
            (0, _) | (_, 0) => USUAL,
            (width, height) => Size { width, height },
        })
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        Ok(WindowSize {
            columns_rows: self.size()?,
            pixels: Size::default(),
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tty.write_all(&self.frame)?;
        self.frame.clear();
        self.tty.flush()
    }
}

/// The escape sequence for what a view uses: three colours that are readable on light and on dark, bold, and reversed.
fn sgr(colour: Color, modifier: Modifier) -> String {
    let mut codes = String::from("\x1b[0");
    if modifier.contains(Modifier::BOLD) {
        codes.push_str(";1");
    }
    if modifier.contains(Modifier::REVERSED) {
        codes.push_str(";7");
    }
    match colour {
        Color::Red => codes.push_str(";31"),
        Color::Green => codes.push_str(";32"),
        Color::Magenta => codes.push_str(";35"),
        _ => {}
    }
    codes.push('m');
    codes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_style_is_whole_and_names_no_background() {
        assert_eq!(sgr(Color::Reset, Modifier::empty()), "\x1b[0m");
        let loud = Modifier::BOLD | Modifier::REVERSED;
        assert_eq!(sgr(Color::Red, loud), "\x1b[0;1;7;31m");
    }
}
