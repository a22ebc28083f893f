//! A terminal whose person does other things between two prompts.

use std::{
    fs::{File, OpenOptions},
    io::{Read as _, Write as _},
    process::{Child, Command},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, tcgetattr},
};

const BOUND: Duration = Duration::from_secs(60);

/// A program on a terminal of its own; killed if it is dropped before its end.
pub struct Talk {
    child: Child,
    keyboard: File,
    screen: mpsc::Receiver<Vec<u8>>,
    shown: String,
    seen: usize,
}

impl Talk {
    pub fn start(command: &Command) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&master).expect("granted");
        unlockpt(&master).expect("unlocked");
        let name = ptsname(&master, Vec::new()).expect("its name");
        let slave = OpenOptions::new()
            .read(true)
            .write(true)
            .open(name.to_str().expect("ASCII"))
            .expect("its other end");
        let mut on_terminal = Command::new("setsid");
        on_terminal
            .args(["--ctty", "--wait"])
            .arg(command.get_program())
            .args(command.get_args())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(command.get_envs().filter_map(|(k, v)| Some((k, v?))))
            .env("TERM", "dumb")
            .current_dir(command.get_current_dir().expect("a folder"))
            .stdin(slave.try_clone().expect("a copy"))
            .stdout(slave.try_clone().expect("a copy"))
            .stderr(slave);
        let child = on_terminal.spawn().expect("a child");
        drop(on_terminal); // and with it the last copies of the slave's end
        let keyboard = File::from(master);
        let mut from = keyboard.try_clone().expect("a copy");
        let (send, screen) = mpsc::channel();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = from.read(&mut buffer) {
                if send.send(buffer[..n].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self {
            child,
            keyboard,
            screen,
            shown: String::new(),
            seen: 0,
        }
    }

    /// Waits until this is on the screen, after what was waited for before.
    pub fn wait_for(&mut self, text: &str) {
        let deadline = Instant::now() + BOUND;
        loop {
            if let Some(at) = self.shown[self.seen..].find(text) {
                self.seen += at + text.len();
                return;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.screen.recv_timeout(left) {
                Ok(bytes) => self.shown.push_str(&String::from_utf8_lossy(&bytes)),
                Err(_) => panic!("no '{text}' in:\n{}", self.shown),
            }
        }
    }

    /// Waits for a prompt and types an answer.
    pub fn answer(&mut self, prompt: &str, answer: &str) {
        self.wait_for(prompt);
        self.keyboard.write_all(answer.as_bytes()).expect("typed");
        self.keyboard.write_all(b"\r").expect("typed");
    }

    /// The same for what is not echoed: some programs throw away what was typed before they had switched the echo off.
    pub fn secret(&mut self, prompt: &str, answer: &str) {
        self.wait_for(prompt);
        let deadline = Instant::now() + BOUND;
        let echoes = |tty: &File| {
            let modes = tcgetattr(tty).expect("its modes");
            modes.local_modes.contains(LocalModes::ECHO)
        };
        while echoes(&self.keyboard) {
            assert!(Instant::now() < deadline, "'{prompt}' leaves the echo on");
            thread::sleep(Duration::from_millis(1));
        }
        self.answer("", answer);
    }

    /// Its end, which has to be a good one; all that was shown.
    pub fn end(mut self) -> String {
        while let Ok(bytes) = self.screen.recv_timeout(BOUND) {
            self.shown.push_str(&String::from_utf8_lossy(&bytes));
        }
        let status = self.child.wait().expect("ended");
        assert!(
            status.success(),
            "it failed on its terminal:\n{}",
            self.shown
        );
        std::mem::take(&mut self.shown)
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
