//! Running a command: signals go on to it, and its end becomes ours.

use std::{
    io::{self, Write as _},
    os::unix::process::ExitStatusExt as _,
    process::ExitCode,
    time::Duration,
};

use tokio::{io::AsyncReadExt as _, process::ChildStderr};

use crate::protocol::{Code, Problem};

use super::{
    super::{
        hygiene::Before,
        ui::{Ui, plain},
    },
    signals::{self, Passed},
};

/// The exit code of failures that are not the command's.
pub(in crate::cli) const OWN_FAILURE: u8 = 125;
const CANNOT_RUN: u8 = 126;
const NOT_FOUND: u8 = 127;

/// The end of what a command wrote to standard error.
#[derive(Default)]
pub(in crate::cli) struct Tail(Vec<u8>);

impl Tail {
    /// The most that is kept, in bytes: an error of AWS's with its encoded message is some 2 KiB.
    const MOST: usize = 16 * 1024;

    /// Adds to it, and lets go of what is no longer the end.
    pub(in crate::cli) fn keep(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
        let surplus = self.0.len().saturating_sub(Self::MOST);
        self.0.drain(..surplus);
    }

    /// As text; what is none is replaced.
    pub(in crate::cli) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }
}

/// How long a command that has ended may leave its standard error open to something of its own before nothing more is passed on.
const LEFT_OPEN: Duration = Duration::from_millis(200);

/// Starts the command and waits for it; `meanwhile` begins once it runs and lasts as long. Signals to us go on to it, so that the folder is
/// always removed; those that the terminal sends to both are not sent twice. With a `tail` its standard error is a pipe that is passed on and
/// kept; else it is ours.
pub(in crate::cli) fn supervise<T>(
    mut command: std::process::Command,
    before: &Before,
    meanwhile: impl FnOnce() -> T,
    tail: Option<&mut Tail>,
) -> io::Result<std::process::ExitStatus> {
    if tail.is_some() {
        command.stderr(std::process::Stdio::piped());
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut signals = Passed::listen()?;
        let mut command = tokio::process::Command::from(command);
        let mut child = before.restored(|| command.spawn())?;
        let _meanwhile = meanwhile();
        let mut spoken = Spoken {
            from: child.stderr.take(),
            tail,
        };
        let pid = signals::pid_of(&child);
        loop {
            let (which, from_keys) = tokio::select! {
                status = child.wait() => {
                    while let Ok(true) = tokio::time::timeout(LEFT_OPEN, spoken.pass_on()).await {}
                    return status;
                }
                true = spoken.pass_on() => continue,
                signal = signals.next() => signal,
            };
            if !(from_keys && signals::in_foreground()) {
                signals::send(pid, which);
            }
        }
    })
}

/// A command's standard error on its way to ours.
struct Spoken<'t> {
    from: Option<ChildStderr>,
    tail: Option<&'t mut Tail>,
}

impl Spoken<'_> {
    /// Passes on what comes next; answers false once there is nothing more to come.
    async fn pass_on(&mut self) -> bool {
        let Some(from) = &mut self.from else {
            return false;
        };
        let mut bytes = [0; 4096];
        match from.read(&mut bytes).await {
            Ok(length @ 1..) => {
                // Who closed our standard error does not want it; the command is not to suffer for that.
                let _ = io::stderr().write_all(&bytes[..length]);
                if let Some(tail) = &mut self.tail {
                    tail.keep(&bytes[..length]);
                }
                true
            }
            Ok(0) | Err(_) => {
                self.from = None;
                false
            }
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_kept_and_bounded() {
        let mut tail = Tail::default();
        tail.keep(&[b'a'; Tail::MOST]);
        tail.keep("é and the error\n\u{7f}".as_bytes());
        tail.keep(&[0xff]);
        let text = tail.text();
        assert!(text.ends_with("é and the error\n\u{7f}\u{fffd}"), "{text}");
        assert_eq!(tail.0.len(), Tail::MOST);
    }
}
