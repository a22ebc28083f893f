//! A terminal of its own for a program that asks a person: what stands on the screen, and keys to press.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    os::fd::OwnedFd,
    process::{Child, Command},
    sync::mpsc::{Receiver, channel},
    time::{Duration, Instant},
};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::{RigError, site::Invocation};

/// Longer than anything that a person waits for here.
const BOUND: Duration = Duration::from_secs(60);
/// How long what was written last may take to come through, once the program has ended.
const REST: Duration = Duration::from_secs(2);

/// A running program and its terminal. It ends with this value.
pub struct Terminal {
    child: Child,
    keys: File,
    screen: Receiver<Vec<u8>>,
    /// Everything that was on the screen so far.
    pub seen: String,
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
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)
            .map_err(|why| failed("cannot be opened", &why))?;
        grantpt(&master).map_err(|why| failed("is not granted", &why))?;
        unlockpt(&master).map_err(|why| failed("is not unlocked", &why))?;
        let name = ptsname(&master, Vec::new()).map_err(|why| failed("has no name", &why))?;
        let name = name
            .into_string()
            .map_err(|why| failed("has no plain name", &why))?;
        let other_end = || {
            let open = File::options().read(true).write(true).open(&name);
            open.map(OwnedFd::from)
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
        let (sender, screen) = channel();
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
            screen,
            seen: String::new(),
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

    /// Waits until this stands on the screen.
    ///
    /// # Panics
    /// If it does not come.
    #[track_caller]
    pub fn until(&mut self, text: &str) {
        let deadline = Instant::now() + BOUND;
        while !self.seen.contains(text) {
            let rest = deadline.saturating_duration_since(Instant::now());
            let Ok(more) = self.screen.recv_timeout(rest) else {
                panic!("'{text}' is not on the screen: {}", self.seen);
            };
            self.seen.push_str(&String::from_utf8_lossy(&more));
        }
    }

    /// Presses keys: `\r` is Enter, `\u{7f}` takes one back, `\u{3}` breaks off.
    ///
    /// # Panics
    /// If nobody is at the other end.
    #[track_caller]
    pub fn press(&mut self, keys: &str) {
        if let Err(why) = self.keys.write_all(keys.as_bytes()) {
            panic!("nothing can be typed ({why}): {}", self.seen);
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
            while let Ok(more) = self.screen.try_recv() {
                self.seen.push_str(&String::from_utf8_lossy(&more));
            }
            match self.child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if Instant::now() < deadline => {}
                other => panic!("it does not end ({other:?}): {}", self.seen),
            }
            std::thread::park_timeout(Duration::from_millis(10));
        };
        while let Ok(more) = self.screen.recv_timeout(REST) {
            self.seen.push_str(&String::from_utf8_lossy(&more));
        }
        (status.code(), std::mem::take(&mut self.seen))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
