//! Signals to us that are for the command.

use std::{future::poll_fn, io, task::Poll};

use rustix::process::{Pid, Signal, getpgrp, kill_process};
use tokio::{
    process::Child,
    signal::unix::{SignalKind, signal},
};

/// Signals that are passed on: where each comes from, which it is, and whether keys send it.
pub(super) struct Passed([(tokio::signal::unix::Signal, Signal, bool); 6]);

impl Passed {
    /// From here on they do not end us.
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self([
            (signal(SignalKind::interrupt())?, Signal::INT, true),
            (signal(SignalKind::quit())?, Signal::QUIT, true),
            (signal(SignalKind::terminate())?, Signal::TERM, false),
            (signal(SignalKind::hangup())?, Signal::HUP, false),
            (signal(SignalKind::user_defined1())?, Signal::USR1, false),
            (signal(SignalKind::user_defined2())?, Signal::USR2, false),
        ]))
    }

    /// The next one, and whether keys may have sent it.
    pub(super) async fn next(&mut self) -> (Signal, bool) {
        poll_fn(|context| {
            for (come, which, keys) in &mut self.0 {
                if come.poll_recv(context).is_ready() {
                    return Poll::Ready((*which, *keys));
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// The command's number, as long as it has not been waited for.
pub(super) fn pid_of(child: &Child) -> Option<Pid> {
    let id = child.id().and_then(|pid| i32::try_from(pid).ok());
    id.and_then(Pid::from_raw)
}

/// Sends it a signal; one that has ended does not mind.
pub(super) fn send(pid: Option<Pid>, which: Signal) {
    if let Some(pid) = pid {
        let _ = kill_process(pid, which);
    }
}

/// Whether a Ctrl-C at the terminal reaches our process group, and so the command too.
pub(super) fn in_foreground() -> bool {
    std::fs::File::open("/dev/tty")
        .ok()
        .and_then(|tty| rustix::termios::tcgetpgrp(&tty).ok())
        == Some(getpgrp())
}
