//! A terminal of its own for a program that asks a person: what stands on the screen, and keys to press.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    process::{Child, Command},
    sync::mpsc::{Receiver, channel},
    time::{Duration, Instant},
};

use rustix::{
    fs::{Mode, OFlags},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, tcgetattr},
};

use crate::{RigError, site::Invocation};

/// Longer than anything that a person waits for here.
const BOUND: Duration = Duration::from_secs(60);
/// How long what was written last may take to come through once the program has ended, where something that it left behind keeps the terminal.
const REST: Duration = Duration::from_secs(10);

/// Between two looks at what cannot be waited for.
const LOOK: Duration = Duration::from_millis(5);

/// What was said, but for what was waited for: on a busy machine anything may take the second after which that is said.
#[must_use]
pub fn without_waits(said: &str) -> String {
    let waits = |line: &&str| {
        line.starts_with("note: waiting for ") || line.starts_with("note: still waiting for ")
    };
    said.split_inclusive('\n').filter(|l| !waits(l)).collect()
}

/// A running program and its terminal. It ends with this value.
pub struct Terminal {
    child: Child,
    keys: File,
    written: Receiver<Vec<u8>>,
    screen: Screen,
}

/// What was written to a terminal.
#[derive(Default)]
struct Screen {
    text: String,
    /// Where in it what was waited for last ends.
    matched: usize,
    /// The beginning of a character that is not whole yet.
    begun: Vec<u8>,
}

impl Screen {
    fn show(&mut self, more: &[u8]) {
        self.begun.extend(more);
        let whole = match std::str::from_utf8(&self.begun) {
            Err(cut) if cut.error_len().is_none() => cut.valid_up_to(),
            _ => self.begun.len(),
        };
        let rest = self.begun.split_off(whole);
        self.text.push_str(&String::from_utf8_lossy(&self.begun));
        self.begun = rest;
    }

    /// Whether this stands there after what was waited for before; it was waited for then.
    fn has(&mut self, text: &str) -> bool {
        let found = self.text[self.matched..].find(text);
        self.matched += found.map_or(0, |at| at + text.len());
        found.is_some()
    }
}

impl Terminal {
    /// Starts a command that makes its terminal its own (`setsid --ctty` stands in it).
    ///
    /// # Errors
    /// Where there is no terminal to be had, or the program does not start.
    pub fn start(mut command: Command) -> Result<Self, RigError> {
        let failed = |what: &str, why: &dyn std::fmt::Display| {
            RigError::new(format!("a terminal {what}: {why}"))
        };
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
            .map_err(|why| failed("cannot be opened", &why))?;
        grantpt(&master).map_err(|why| failed("is not granted", &why))?;
        unlockpt(&master).map_err(|why| failed("is not unlocked", &why))?;
        let name = ptsname(&master, Vec::new()).map_err(|why| failed("has no name", &why))?;
        // Without NOCTTY it would become the terminal of the tests themselves where they lead a session that has none, and no program could have it.
        let how = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let other_end = || {
            rustix::fs::open(&name, how, Mode::empty())
                .map_err(|why| failed("has no other end", &why))
        };
        let child = command
            .stdin(other_end()?)
            .stdout(other_end()?)
            .stderr(other_end()?)
            .spawn()
            .map_err(|why| failed("has no program", &why))?;
        // With it go the last copies of the other end that are ours: the screen ends with the program.
        drop(command);
        let keys = File::from(master);
        let mut eyes = keys
            .try_clone()
            .map_err(|why| failed("is not read", &why))?;
        let (sender, written) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // The last one at the other end is gone: EIO.
            while let Ok(read @ 1..) = eyes.read(&mut buffer) {
                if sender.send(buffer[..read].to_vec()).is_err() {
                    break;
                }
            }
        });
        Ok(Self {
            child,
            keys,
            written,
            screen: Screen::default(),
        })
    }

    /// Starts what a person types, at a terminal that becomes the one it belongs to.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn of(typed: Invocation) -> Result<Self, RigError> {
        Self::owned(&typed.into_command())
    }

    /// The same of any command.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn owned(typed: &Command) -> Result<Self, RigError> {
        let mut command = Command::new("setsid");
        command
            .args(["--ctty", "--wait"])
            .arg(typed.get_program())
            .args(typed.get_args())
            .env_clear()
            .envs(typed.get_envs().filter_map(|(n, v)| Some((n, v?))));
        if let Some(folder) = typed.get_current_dir() {
            command.current_dir(folder);
        }
        Self::start(command)
    }

    /// The program's process id: `setsid` becomes the program that it starts.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything that was on the screen so far.
    pub fn seen(&self) -> &str {
        &self.screen.text
    }

    /// Waits until this stands on the screen, after what was waited for before: a prompt that comes again is not taken for the one that was
    /// answered.
    ///
    /// # Panics
    /// If it does not come.
    #[track_caller]
    pub fn until(&mut self, text: &str) {
        let deadline = Instant::now() + BOUND;
        while !self.screen.has(text) {
            let rest = deadline.saturating_duration_since(Instant::now());
            let Ok(more) = self.written.recv_timeout(rest) else {
                let Screen {
                    text: all, matched, ..
                } = &self.screen;
                let (before, after) = all.split_at(*matched);
                panic!("'{text}' is not on the screen: {before}[from here on] {after}");
            };
            self.screen.show(&more);
        }
    }

    /// Waits for a question, and types an answer and Enter.
    ///
    /// # Panics
    /// If it is not asked.
    #[track_caller]
    pub fn answer(&mut self, question: &str, answer: &str) {
        self.until(question);
        self.press(&format!("{answer}\r"));
    }

    /// The same for what is not echoed. Some programs ask first, switch the echo off then, and throw away what was typed in between.
    ///
    /// # Panics
    /// If it is not asked, or the echo stays on.
    #[track_caller]
    pub fn secret(&mut self, question: &str, answer: &str) {
        self.until(question);
        let deadline = Instant::now() + BOUND;
        while self.echoes() {
            assert!(
                Instant::now() < deadline,
                "'{question}' leaves the echo on: {}",
                self.screen.text
            );
            std::thread::park_timeout(LOOK);
        }
        self.press(&format!("{answer}\r"));
    }

    fn echoes(&self) -> bool {
        tcgetattr(&self.keys).is_ok_and(|modes| modes.local_modes.contains(LocalModes::ECHO))
    }

    /// Presses keys: `\r` is Enter, `\u{7f}` takes one back, `\u{3}` breaks off.
    ///
    /// # Panics
    /// If nobody is at the other end.
    #[track_caller]
    pub fn press(&mut self, keys: &str) {
        if let Err(why) = self.keys.write_all(keys.as_bytes()) {
            panic!("nothing can be typed ({why}): {}", self.screen.text);
        }
    }

    /// Waits for the end; answers the exit code and everything that was on the screen.
    ///
    /// # Panics
    /// If it does not end.
    #[track_caller]
    pub fn end(mut self) -> (Option<i32>, String) {
        let deadline = Instant::now() + BOUND;
        let status = loop {
            // What is on the screen has to be read, or a program that writes a lot never ends.
            while let Ok(more) = self.written.try_recv() {
                self.screen.show(&more);
            }
            match self.child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if Instant::now() < deadline => {}
                other => panic!("it does not end ({other:?}): {}", self.screen.text),
            }
            std::thread::park_timeout(LOOK);
        };
        while let Ok(more) = self.written.recv_timeout(REST) {
            self.screen.show(&more);
        }
        (status.code(), std::mem::take(&mut self.screen.text))
    }

    /// The same of a program that has to end well; everything that was on the screen.
    ///
    /// # Panics
    /// If it does not.
    #[track_caller]
    pub fn done(self) -> String {
        let (code, screen) = self.end();
        assert_eq!(code, Some(0), "it failed at its terminal: {screen}");
        screen
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Terminal {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Terminal::owned(&command).expect("a terminal")
    }

    #[test]
    fn what_was_waited_for_is_not_found_again() {
        let mut screen = Screen::default();
        screen.show(b"sure? no\r\nsure");
        assert!(screen.has("sure? "));
        assert!(!screen.has("sure? "));
        screen.show(b"? ");
        assert!(screen.has("sure? "));
        assert!(!screen.has("sure"));
    }

    #[test]
    fn a_character_that_comes_in_pieces_is_one() {
        let mut screen = Screen::default();
        for byte in "a\u{20ac}b".bytes() {
            screen.show(&[byte]);
        }
        screen.show(b"\xff!");
        assert_eq!(screen.text, "a\u{20ac}b\u{fffd}!");
    }

    #[test]
    fn a_secret_is_typed_once_it_is_not_echoed() {
        // As age's plugins do: the question first.
        let mut asks =
            sh("printf 'pin: '; sleep 0.5; stty -echo; read pin; echo \"it has ${#pin}\"");
        asks.secret("pin: ", "271828");
        let screen = asks.done();
        assert!(screen.contains("it has 6"), "{screen}");
        assert!(!screen.contains("271828"), "{screen}");
    }

    #[test]
    fn it_is_the_programs_own() {
        // Nobody's: root could take it away from whoever has it.
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .args(["setsid", "--ctty", "--wait"])
            .args(["sh", "-c", "echo here > /dev/tty"]);
        let screen = Terminal::start(command).expect("a terminal").done();
        assert_eq!(screen, "here\r\n");
    }

    #[test]
    fn it_is_so_where_the_tests_lead_a_session_without_one() {
        let same = std::env::current_exe().expect("this program");
        let name = "terminal::tests::it_is_the_programs_own";
        let led = Command::new("setsid")
            .arg("--wait")
            .arg(same)
            .args(["--exact", name])
            .output()
            .expect("setsid");
        let said = String::from_utf8_lossy(&led.stdout);
        assert!(led.status.success(), "{said}");
        assert!(said.contains("1 passed"), "{said}");
    }
}
