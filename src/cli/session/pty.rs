//! A terminal of our own making for a command, and the state of the terminal that we were given.
//!
//! A command on a terminal has to lead a session of its own, with that terminal as the one that controls it: else neither Ctrl-C nor job control
//! work in it. Only the process itself can bring that about, after it was forked; so this program starts itself once more, as the hidden verb
//! `on-terminal`, which does it and becomes the command (setsid(2), ioctl_tty(2) TIOCSCTTY, execve(2)).

use std::{
    ffi::{OsStr, OsString},
    fs::{File, OpenOptions},
    io,
    os::{
        fd::OwnedFd,
        unix::{ffi::OsStrExt as _, fs::OpenOptionsExt as _, process::CommandExt as _},
    },
    process::{Command, Stdio},
};

use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{
        OptionalActions, Termios, Winsize, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize,
    },
};

use super::super::{Door, Ended, hygiene::Before};
use super::run;

/// Arguments of `on-terminal`.
#[derive(clap::Args)]
pub(in crate::cli) struct Args {
    /// The command and its arguments, after --
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Makes standard input the controlling terminal, and becomes the command.
pub(in crate::cli) fn become_command(args: &Args, door: &Door, before: &Before) -> Ended {
    let taken = rustix::process::setsid()
        .and_then(|_| rustix::process::ioctl_tiocsctty(io::stdin()))
        .map_err(io::Error::from);
    let why = match taken {
        Ok(()) => {
            let mut command = Command::new(&args.command[0]);
            command.args(&args.command[1..]);
            // It returns only where the command cannot be run.
            before.restored(|| command.exec())
        }
        Err(why) => why,
    };
    Ok(run::not_started(&args.command[0], &why, &door.ui))
}

/// A terminal: what is written by its command is read here, and the other way round.
pub(in crate::cli) struct Pty {
    pub(in crate::cli) ours: OwnedFd,
    theirs: File,
}

impl Pty {
    /// A new one of this size, in columns and rows.
    pub(in crate::cli) fn open(size: (u16, u16)) -> io::Result<Self> {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&ours)?;
        unlockpt(&ours)?;
        let name = ptsname(&ours, Vec::new())?;
        let theirs = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NOCTTY)
            .open(OsStr::from_bytes(name.to_bytes()))?;
        resize(&ours, size)?;
        Ok(Self { ours, theirs })
    }

    /// The command line that runs `command` on it.
    pub(in crate::cli) fn command(&self, command: &[OsString]) -> io::Result<Command> {
        let mut itself = Command::new(std::env::current_exe()?);
        itself
            .args(["on-terminal", "--"])
            .args(command)
            .stdin(Stdio::from(self.theirs.try_clone()?))
            .stdout(Stdio::from(self.theirs.try_clone()?))
            .stderr(Stdio::from(self.theirs.try_clone()?));
        Ok(itself)
    }

    /// Lets go of the command's side, so that the command's end is seen.
    pub(in crate::cli) fn started(self) -> OwnedFd {
        self.ours
    }
}

/// The size of the terminal that we were given, in columns and rows; a usual one where it does not say.
pub(in crate::cli) fn size() -> (u16, u16) {
    match tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col, size.ws_row),
        _ => (80, 24),
    }
}

/// Gives a terminal another size; who is in its foreground hears of it.
pub(in crate::cli) fn resize(terminal: &OwnedFd, (columns, rows): (u16, u16)) -> io::Result<()> {
    let size = Winsize {
        ws_col: columns,
        ws_row: rows,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    Ok(tcsetwinsize(terminal, size)?)
}

/// The terminal that we were given, passing on every key as it is; as it was before when this is dropped.
pub(in crate::cli) struct Raw(Termios);

impl Raw {
    /// From here on.
    pub(in crate::cli) fn begin() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
        Ok(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}
