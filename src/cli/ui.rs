//! What twotap says to people, and how it ends.
//!
//! The rules of wording, for every verb:
//!
//! * a failure is one lower-case line `error: WHAT IS WRONG` and, where something can be done, one line `hint: WHAT TO DO`, both on
//!   standard error, without a full stop; its kind is the exit code ([`Code::TABLE`]);
//! * `warning:` is something to look at before going on, `note:` something good to know; both go to standard error;
//! * what a verb is asked for goes to standard output; with `--json` that is exactly one JSON object, also for a failure
//!   (`{"error":{code,error,hint}}`), and nothing else;
//! * a question is put to the terminal (`/dev/tty`) and answered there, never through standard input or output; without a terminal it is a
//!   failure of its own ([`Code::NoTerminal`]);
//! * whatever is waited for over one second is said ([`Ui::waiting`]);
//! * text that came from elsewhere is shown through [`plain`], so that it cannot move the cursor or reorder what is read.

mod line;
mod wait;
mod wrap;

use std::{
    borrow::Cow,
    fs::{File, OpenOptions},
    io::{self, IsTerminal as _, Read as _, Write as _},
    os::fd::AsFd,
    process::ExitCode,
};

use rustix::termios::{self, LocalModes, OptionalActions, SpecialCodeIndex, Termios};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::{
    protocol::{Code, Problem},
    trust::text::check_text,
};

pub(super) use wait::Waiting;
use wrap::folded;
pub(super) use wrap::{columns_within, width, wrapped};

/// How often a confirmation is asked for; after so many answers that are neither it is a no.
const CONFIRMING: u32 = 3;
/// The longest answer to a question, in bytes. A YubiKey's one-time password has 44, and must be told apart from a PIN.
pub(super) const MAX_ANSWER: usize = 128;

/// Where a terminal does not say how wide it is.
const USUAL_COLUMNS: usize = 80;

/// The way to the person.
pub(super) struct Ui {
    json: bool,
}

impl Ui {
    pub(super) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether the caller is a program.
    pub(super) fn json(&self) -> bool {
        self.json
    }

    /// The result of a verb: `object` for programs, `text` for people.
    pub(super) fn result(&self, object: &impl Serialize, text: &str) -> Result<(), Problem> {
        if self.json {
            let json = serde_json::to_string(object)
                .map_err(|why| Problem::new(Code::Internal, format!("cannot write json: {why}")))?;
            write_out(json.as_bytes())?;
            write_out(b"\n")
        } else {
            write_out(text.trim_end().as_bytes())?;
            write_out(b"\n")
        }
    }

    /// One line, or some, of a result that people read as it comes; says nothing with `--json`.
    pub(super) fn out(&self, text: &str) -> Result<(), Problem> {
        if self.json {
            return Ok(());
        }
        write_out(text.as_bytes())?;
        write_out(b"\n")
    }

    /// Good to know.
    pub(super) fn note(&self, line: impl std::fmt::Display) {
        err_line(&format!("note: {line}"));
    }

    /// To look at before going on.
    pub(super) fn warn(&self, line: impl std::fmt::Display) {
        err_line(&format!("warning: {line}"));
    }

    /// What is being done right now; for people alone.
    pub(super) fn step(&self, line: impl std::fmt::Display) {
        if !self.json {
            err_line(&line.to_string());
        }
    }

    /// What has to be done at this moment (touch the token): always shown, at the terminal if standard error is not one.
    pub(super) fn prompt(&self, line: &str) {
        if !io::stderr().is_terminal()
            && let Ok(mut tty) = open_tty()
            && writeln!(tty, "{line}").is_ok()
        {
            return;
        }
        err_line(line);
    }

    /// Something to be read in full before a question about it is answered. `asks` says that the question will come at the terminal: then
    /// the text goes there too, wherever standard error goes.
    pub(super) fn screen(&self, text: &str, asks: bool) -> Result<(), Problem> {
        if asks {
            let mut tty = open_tty().map_err(|_| no_terminal("the request has to be read"))?;
            let text = fitted(text.trim_end(), &tty);
            return tty
                .write_all(format!("{text}\n").as_bytes())
                .map_err(|_| no_terminal("the request has to be read"));
        }
        err_line(text.trim_end());
        Ok(())
    }

    /// Asks; only the whole word `yes` is one. What is neither that nor a no is asked for again: a `y` is easily typed, and
    /// would else lose what was answered before it.
    pub(super) fn confirm(&self, question: &str) -> Result<bool, Problem> {
        let mut tty = open_tty().map_err(|_| no_terminal(question))?;
        let mut question = format!("{question} (yes/no) ");
        for _ in 0..CONFIRMING {
            let mut answer = Zeroizing::new([0; MAX_ANSWER]);
            let length = ask(&mut tty, &question, &mut answer, Echo::On)?;
            match answer[..length].trim_ascii() {
                b"yes" => return Ok(true),
                b"no" | b"n" => return Ok(false),
                _ => question = "type yes in full, or no (yes/no) ".to_owned(),
            }
        }
        Ok(false)
    }

    /// Asks which of several is meant: a number from 1 on, or the whole of one's text. `None` is an answer that names none of them.
    pub(super) fn choose(&self, question: &str, of: &[&str]) -> Result<Option<usize>, Problem> {
        let mut tty = open_tty().map_err(|_| no_terminal(question))?;
        let mut answer = Zeroizing::new([0; MAX_ANSWER]);
        let length = ask(&mut tty, &format!("{question} "), &mut answer, Echo::On)?;
        let answer = std::str::from_utf8(&answer[..length]).unwrap_or_default();
        let answer = answer.trim();
        let by_number = answer
            .parse::<usize>()
            .ok()
            .and_then(|n| n.checked_sub(1))
            .filter(|at| *at < of.len());
        Ok(by_number.or_else(|| of.iter().position(|one| *one == answer)))
    }

    /// How many columns a result may take; nothing where standard output is no terminal, and a row is one line for programs to find.
    pub(super) fn columns(&self) -> Option<usize> {
        if self.json || !io::stdout().is_terminal() {
            return None;
        }
        Some(columns_of(io::stdout()).unwrap_or(USUAL_COLUMNS))
    }

    /// Whether there is somebody to be asked.
    pub(super) fn has_terminal(&self) -> bool {
        !self.json && open_tty().is_ok()
    }

    /// Asks for something that nobody must see.
    pub(super) fn secret(
        &self,
        question: &str,
    ) -> Result<(Zeroizing<[u8; MAX_ANSWER]>, usize), Problem> {
        let mut tty = open_tty().map_err(|_| no_terminal(question))?;
        let mut answer = Zeroizing::new([0; MAX_ANSWER]);
        let length = ask(&mut tty, &format!("{question}: "), &mut answer, Echo::Off)?;
        Ok((answer, length))
    }

    /// Prints a failure and answers its exit code.
    pub(super) fn fail(&self, problem: &Problem) -> ExitCode {
        if self.json {
            let object = serde_json::json!({ "error": problem });
            let _ = write_out(format!("{object}\n").as_bytes());
        } else {
            err_line(&failure(problem));
        }
        ExitCode::from(problem.code.exit_status())
    }

    /// Prints help or the version, as asked for.
    pub(super) fn help(&self, text: &str) -> ExitCode {
        match write_out(text.as_bytes()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(problem) => ExitCode::from(problem.code.exit_status()),
        }
    }
}

/// A failure as people read it. What the agent says is escaped as well.
pub(super) fn failure(problem: &Problem) -> String {
    let mut text = format!("error: {}", plain(&problem.error));
    if let Some(hint) = &problem.hint {
        text.push_str(&format!("\nhint: {}", plain(hint)));
    }
    text
}

/// Text from elsewhere with every character escaped that could change how the rest is shown.
pub(super) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        // `trust` owns the table of deceptive characters; the letter keeps white space from counting as empty text.
        if c != ' ' && check_text("text", &format!("x{c}"), 8).is_err() {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// Rows of two columns, the first padded.
pub(super) fn columns(rows: &[(&str, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    rows.iter()
        .map(|(name, value)| format!("  {name:<width$}  {value}\n"))
        .collect()
}

/// A question that could not be put.
fn no_terminal(question: &str) -> Problem {
    Problem::new(
        Code::NoTerminal,
        format!("there is no terminal to ask: {question}"),
    )
    .hint("run it at a terminal, or see --help for the option that answers this")
}

/// How wide a terminal is, where it says so.
fn columns_of(terminal: impl AsFd) -> Option<usize> {
    let size = termios::tcgetwinsize(terminal).ok()?;
    (size.ws_col > 0).then(|| usize::from(size.ws_col))
}

/// A text with its lines no longer than a terminal is wide, where that is known.
fn fitted<'t>(text: &'t str, terminal: impl AsFd) -> Cow<'t, str> {
    match columns_of(terminal) {
        Some(columns) => folded(text, columns).into(),
        None => text.into(),
    }
}

fn write_out(bytes: &[u8]) -> Result<(), Problem> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)
        .and_then(|()| out.flush())
        .map_err(|why| {
            Problem::new(
                Code::Internal,
                format!("cannot write to standard output: {}", why.kind()),
            )
        })
}

fn err_line(line: &str) {
    // Nobody is left to be told when standard error is closed.
    let _ = writeln!(io::stderr(), "{}", fitted(line, io::stderr()));
}

/// The terminal of whoever started the program.
pub(super) fn open_tty() -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open("/dev/tty")
}

#[derive(Clone, Copy, PartialEq)]
enum Echo {
    On,
    Off,
}

/// Puts the terminal back as it was, also when the question is broken off.
struct Restore<'t> {
    tty: &'t File,
    before: Termios,
}

impl Drop for Restore<'_> {
    fn drop(&mut self) {
        let _ = termios::tcsetattr(self.tty, OptionalActions::Flush, &self.before);
    }
}

/// Puts a question and reads one line into `answer`; answers its length. What was typed before the question is thrown away: a token that was
/// touched too early must not answer it.
fn ask(
    tty: &mut File,
    question: &str,
    answer: &mut [u8; MAX_ANSWER],
    echo: Echo,
) -> Result<usize, Problem> {
    let failed = |_| no_terminal(question.trim());
    let before = termios::tcgetattr(&*tty).map_err(|_| no_terminal(question.trim()))?;
    let mut raw = before.clone();
    // Signals are off while nothing is echoed: a Ctrl-C must not leave the terminal silent.
    raw.local_modes
        .remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
    raw.special_codes[SpecialCodeIndex::VMIN] = 1;
    raw.special_codes[SpecialCodeIndex::VTIME] = 0;
    termios::tcsetattr(&*tty, OptionalActions::Flush, &raw)
        .map_err(|_| no_terminal(question.trim()))?;
    // Setting succeeds as soon as any part of it was done: what counts is what is so now.
    let now = termios::tcgetattr(&*tty).map_err(|_| no_terminal(question.trim()))?;
    if now
        .local_modes
        .intersects(LocalModes::ECHO | LocalModes::ICANON)
    {
        return Err(Problem::new(
            Code::NoTerminal,
            "this terminal cannot be kept from showing what is typed",
        )
        .hint("use another terminal, or see --help for the option that answers this"));
    }
    let terminal = tty.try_clone().map_err(failed)?;
    let _restore = Restore {
        tty: &terminal,
        before,
    };
    tty.write_all(question.as_bytes()).map_err(failed)?;
    let line = read_line(tty, answer, echo);
    let _ = tty.write_all(b"\r\n");
    line
}

fn read_line(tty: &mut File, answer: &mut [u8; MAX_ANSWER], echo: Echo) -> Result<usize, Problem> {
    const CTRL_C: u8 = 3;
    const CTRL_D: u8 = 4;
    const CTRL_U: u8 = 21;
    let mut length = 0;
    let mut byte = Zeroizing::new([0; 1]);
    loop {
        let read = tty
            .read(&mut byte[..])
            .map_err(|_| no_terminal("the answer could not be read"))?;
        match (read, byte[0]) {
            (0, _) | (_, CTRL_C | CTRL_D) => return Err(broken_off()),
            (_, b'\r' | b'\n') => return Ok(length),
            (_, 8 | 127) if length > 0 => {
                length -= 1;
                if echo == Echo::On {
                    let _ = tty.write_all(b"\x08 \x08");
                }
            }
            (_, 8 | 127) => {}
            (_, CTRL_U) if echo == Echo::Off => length = 0,
            (_, other) if other >= 32 && length < MAX_ANSWER => {
                answer[length] = other;
                length += 1;
                if echo == Echo::On {
                    let _ = tty.write_all(&[other]);
                }
            }
            _ => {}
        }
    }
}

fn broken_off() -> Problem {
    Problem::new(
        Code::Refused,
        "broken off at the question; nothing was signed",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_line_and_a_hint() {
        let problem = Problem::new(Code::Pin, "wrong pin, 2 tries left");
        assert_eq!(failure(&problem), "error: wrong pin, 2 tries left");
        assert_eq!(
            failure(&problem.hint("try again")),
            "error: wrong pin, 2 tries left\nhint: try again"
        );
    }

    #[test]
    fn text_from_elsewhere_cannot_move_the_cursor() {
        assert_eq!(plain("läuft: 日本 ok"), "läuft: 日本 ok");
        assert_eq!(plain("a\u{1b}[2Jb"), "a\\u{1b}[2Jb");
        assert_eq!(plain("a\nb\u{202e}c"), "a\\u{a}b\\u{202e}c");
        let problem = Problem::new(Code::Refused, "no\nerror: fine");
        assert_eq!(failure(&problem), "error: no\\u{a}error: fine");
    }

    #[test]
    fn every_code_has_its_own_exit_status() {
        let mut statuses: Vec<u8> = Code::TABLE
            .iter()
            .map(|(code, ..)| code.exit_status())
            .collect();
        statuses.dedup();
        assert_eq!(statuses, (1..=12).collect::<Vec<u8>>());
    }

    #[test]
    fn columns_line_up() {
        assert_eq!(
            columns(&[("a", "1".into()), ("long", "2".into())]),
            "  a     1\n  long  2\n"
        );
    }
}
