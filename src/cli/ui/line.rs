//! A line of text that a person types at the terminal. The terminal itself does the editing, so it goes as in a shell.

use std::io::{Read as _, Write as _};

use rustix::termios::{QueueSelector, tcflush};

use super::{Ui, fitted, no_terminal, open_tty};
use crate::protocol::{Code, Problem};

/// The longest line, in bytes: as much as the kernel's line editing takes.
const MAX_LINE: usize = 4095;

impl Ui {
    /// Asks for a line; what surrounds it of space is cut off. What was typed before the question is thrown away.
    pub(in crate::cli) fn line(&self, question: &str) -> Result<String, Problem> {
        let failed = |_| no_terminal(question.trim());
        let mut tty = open_tty().map_err(failed)?;
        let _ = tcflush(&tty, QueueSelector::IFlush);
        tty.write_all(question.as_bytes()).map_err(failed)?;
        let mut line = Vec::new();
        let mut byte = [0; 1];
        loop {
            match tty.read(&mut byte).map_err(failed)? {
                0 => {
                    let _ = tty.write_all(b"\n");
                    return Err(Problem::new(
                        Code::Refused,
                        "broken off at the question; nothing was asked for",
                    ));
                }
                _ if matches!(byte[0], b'\n' | b'\r') => break,
                _ if line.len() < MAX_LINE => line.push(byte[0]),
                _ => {}
            }
        }
        let line = String::from_utf8(line)
            .map_err(|_| Problem::new(Code::Usage, "what was typed is not text in UTF-8"))?;
        Ok(line.trim().to_owned())
    }

    /// Shows something at the terminal that belongs to the questions there.
    pub(in crate::cli) fn tell(&self, text: &str) -> Result<(), Problem> {
        let mut tty = open_tty().map_err(|_| no_terminal("something has to be read"))?;
        let text = fitted(text, &tty);
        tty.write_all(text.as_bytes())
            .map_err(|_| no_terminal("something has to be read"))
    }
}
