//! Running a command: signals go on to it, and its end becomes ours.

use std::{io, os::unix::process::ExitStatusExt as _, process::ExitCode};

use rustix::process::{Pid, Signal, getpgrp, kill_process};
use tokio::signal::unix::{SignalKind, signal};

use crate::protocol::{Code, Problem};

use super::super::{
    hygiene::Before,
    ui::{Ui, plain},
};

/// The exit code of failures that are not the command's.
pub(in crate::cli) const OWN_FAILURE: u8 = 125;
const CANNOT_RUN: u8 = 126;
const NOT_FOUND: u8 = 127;

/// Starts the command and waits for it. Signals to us go on to it, so that the folder is always removed; those that the terminal sends to
/// both are not sent twice.
pub(in crate::cli) fn supervise(
    command: std::process::Command,
    before: &Before,
) -> io::Result<std::process::ExitStatus> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut signals = [
            (signal(SignalKind::interrupt())?, Signal::INT),
            (signal(SignalKind::quit())?, Signal::QUIT),
            (signal(SignalKind::terminate())?, Signal::TERM),
            (signal(SignalKind::hangup())?, Signal::HUP),
            (signal(SignalKind::user_defined1())?, Signal::USR1),
            (signal(SignalKind::user_defined2())?, Signal::USR2),
        ];
        let mut command = tokio::process::Command::from(command);
        let mut child = before.restored(|| command.spawn())?;
        let pid = child
            .id()
            .and_then(|pid| i32::try_from(pid).ok())
            .and_then(Pid::from_raw);
        let [int, quit, term, hup, usr1, usr2] = &mut signals;
        loop {
            let (which, from_keys) = tokio::select! {
                status = child.wait() => return status,
                _ = int.0.recv() => (int.1, true),
                _ = quit.0.recv() => (quit.1, true),
                _ = term.0.recv() => (term.1, false),
                _ = hup.0.recv() => (hup.1, false),
                _ = usr1.0.recv() => (usr1.1, false),
                _ = usr2.0.recv() => (usr2.1, false),
            };
            if let Some(pid) = pid
                && !(from_keys && in_foreground())
            {
                let _ = kill_process(pid, which);
            }
        }
    })
}

/// Whether a Ctrl-C at the terminal reaches our process group, and so the command too.
pub(super) fn in_foreground() -> bool {
    std::fs::File::open("/dev/tty")
        .ok()
        .and_then(|tty| rustix::termios::tcgetpgrp(&tty).ok())
        == Some(getpgrp())
}

/// The code with which we end when a command ended so: its own, or 128 and the number of the signal that ended it.
pub(in crate::cli) fn code_of(status: std::process::ExitStatus) -> u8 {
    match (status.code(), status.signal()) {
        (Some(code), _) => u8::try_from(code).unwrap_or(OWN_FAILURE),
        (None, Some(signal)) => u8::try_from(128 + signal).unwrap_or(OWN_FAILURE),
        (None, None) => OWN_FAILURE,
    }
}

/// A command that could not be started: says so, and answers the code that shells use.
pub(in crate::cli) fn not_started(command: &std::ffi::OsStr, why: &io::Error, ui: &Ui) -> ExitCode {
    let shown = plain(&command.to_string_lossy());
    ui.fail(&Problem::new(
        Code::Usage,
        format!("cannot run {shown}: {why}"),
    ));
    ExitCode::from(match why.kind() {
        io::ErrorKind::NotFound => NOT_FOUND,
        _ => CANNOT_RUN,
    })
}
