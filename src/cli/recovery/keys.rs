//! The terminal while words are typed: its alternate screen, so that nothing stays in the scrollback.

use std::{
    fs::{File, OpenOptions},
    io::{Read as _, Write as _},
};

use rustix::termios::{self, LocalModes, OptionalActions, SpecialCodeIndex, Termios};
use twotap_shares::Mnemonic;
use zeroize::Zeroizing;

use super::typing::{Entry, Key, Outcome};
use crate::protocol::{Code, Problem};

/// What became of a share that was typed.
pub(super) enum Given {
    /// It is the last that is needed.
    Enough,
    /// It counts, and more are needed; what is said above the next sheet.
    Taken(String),
    /// It does not count; why.
    Refused(String),
}

/// Lets a person type one sheet after the other, until there are enough.
///
/// # Errors
/// There is no terminal, or the person gives up.
pub(super) fn type_shares(title: &str, give: impl FnMut(Mnemonic) -> Given) -> Result<(), Problem> {
    type_more(title, "", give)
}

/// The same, with a word on what is there already.
///
/// # Errors
/// As above.
pub(super) fn type_more(
    title: &str,
    there: &str,
    mut give: impl FnMut(Mnemonic) -> Given,
) -> Result<(), Problem> {
    let mut terminal = Terminal::open()?;
    let mut entry = Entry::new();
    let mut there = there.to_owned();
    loop {
        terminal.show(title, &there, &entry.screen())?;
        match entry.press(terminal.key()?) {
            Outcome::Typing => {}
            Outcome::Share(share) => {
                there = match give(share) {
                    Given::Enough => return Ok(()),
                    Given::Taken(said) => said,
                    Given::Refused(why) => format!("not taken: {why}"),
                };
                entry = Entry::new();
            }
            Outcome::Quit => {
                return Err(Problem::new(Code::Refused, "broken off; nothing was kept"));
            }
        }
    }
}

struct Terminal {
    tty: File,
    before: Termios,
}

impl Terminal {
    fn open() -> Result<Self, Problem> {
        let mut tty = OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/tty")
            .map_err(|_| no_terminal())?;
        let before = termios::tcgetattr(&tty).map_err(|_| no_terminal())?;
        let mut raw = before.clone();
        raw.local_modes
            .remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        raw.special_codes[SpecialCodeIndex::VMIN] = 1;
        raw.special_codes[SpecialCodeIndex::VTIME] = 0;
        termios::tcsetattr(&tty, OptionalActions::Flush, &raw).map_err(|_| no_terminal())?;
        // The alternate screen: what stands there is gone when it is left.
        tty.write_all(b"\x1b[?1049h").map_err(|_| no_terminal())?;
        Ok(Self { tty, before })
    }

    fn show(&mut self, title: &str, there: &str, screen: &str) -> Result<(), Problem> {
        let mut out = Zeroizing::new(String::with_capacity(8192));
        out.push_str("\x1b[H\x1b[2J");
        out.push_str(title);
        out.push_str("\r\n");
        out.push_str(there);
        out.push_str("\r\n");
        for line in screen.split('\n') {
            out.push_str(line);
            out.push_str("\r\n");
        }
        out.push_str("\r\narrow keys: go back to a word   Ctrl-C: break off\r\n");
        self.tty
            .write_all(out.as_bytes())
            .map_err(|_| no_terminal())
    }

    fn key(&mut self) -> Result<Key, Problem> {
        const CTRL_C: u8 = 3;
        const CTRL_D: u8 = 4;
        const ESCAPE: u8 = 27;
        Ok(match self.byte()? {
            CTRL_C | CTRL_D => Key::Quit,
            b'\r' | b'\n' | b' ' | b'\t' => Key::Accept,
            8 | 127 => Key::Back,
            // Arrows come as ESC [ A..D, or ESC O A..D.
            ESCAPE => match (self.byte()?, self.byte()?) {
                (b'[' | b'O', b'A' | b'D') => Key::Left,
                (b'[' | b'O', b'B' | b'C') => Key::Right,
                _ => Key::Other,
            },
            letter if letter.is_ascii_alphabetic() => Key::Letter(char::from(letter)),
            _ => Key::Other,
        })
    }

    fn byte(&mut self) -> Result<u8, Problem> {
        let mut byte = Zeroizing::new([0; 1]);
        match self.tty.read(&mut byte[..]) {
            Ok(1) => Ok(byte[0]),
            _ => Err(no_terminal()),
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.tty.write_all(b"\x1b[2J\x1b[?1049l");
        let _ = termios::tcsetattr(&self.tty, OptionalActions::Flush, &self.before);
    }
}

fn no_terminal() -> Problem {
    Problem::new(
        Code::NoTerminal,
        "there is no terminal to type the words at",
    )
    .hint("run it at a terminal, or give the words with --words-fd")
}
