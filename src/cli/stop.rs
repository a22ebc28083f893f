//! Being told to end (SIGINT, SIGTERM, SIGHUP) by a verb that has something to put away first.
//!
//! A verb that calls [`begin`] is not ended by a signal: it asks [`asked`] where it may take long, waits with [`wait`] beside what it waits for, and
//! ends as it does after any error, with everything dropped. A signal that whoever started us has told us not to heed (`nohup`, a shell's `&`) stays
//! unheeded. What ends by itself when we do (a terminal's own keys, a command that is run for
//! somebody) is `session/signals.rs`.

use std::{io, sync::OnceLock};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

use crate::protocol::{Code, Problem};

/// Whether a signal came; empty where nobody listens for one.
static CAME: OnceLock<watch::Receiver<bool>> = OnceLock::new();

/// From here on these signals do not end us.
pub(super) fn begin() -> Result<(), Problem> {
    if CAME.get().is_some() {
        return Ok(());
    }
    let failed = |why: io::Error| Problem::new(Code::Internal, format!("signals: {why}"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed)?;
    let (mut int, mut term, mut hup) = {
        let _in = runtime.enter();
        let ignored = ignored(&std::fs::read_to_string("/proc/self/status").unwrap_or_default());
        let listen = |kind: SignalKind| {
            let heeded = ignored >> (kind.as_raw_value() - 1) & 1 == 0;
            heeded.then(|| signal(kind)).transpose().map_err(failed)
        };
        (
            listen(SignalKind::interrupt())?,
            listen(SignalKind::terminate())?,
            listen(SignalKind::hangup())?,
        )
    };
    let (say, came) = watch::channel(false);
    let thread = std::thread::Builder::new().name("signals".to_owned());
    let listening = thread.spawn(move || {
        runtime.block_on(async {
            loop {
                tokio::select! {
                    () = next(&mut int) => {}
                    () = next(&mut term) => {}
                    () = next(&mut hup) => {}
                }
                say.send_replace(true);
            }
        });
    });
    listening.map_err(failed)?;
    let _ = CAME.set(came);
    Ok(())
}

/// The signals that are ignored: bit N - 1 is signal N, as `SigIgn` of `proc_pid_status(5)` has it; none where it cannot be told. Whoever listens for a signal
/// sets a handler for it, and does away with that.
fn ignored(status: &str) -> u64 {
    let mut lines = status.lines();
    let mask = lines.find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.unwrap_or(0)
}

/// Until the signal comes; for ever where it is not heeded.
async fn next(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// Whether one came.
pub(super) fn asked() -> bool {
    CAME.get().is_some_and(|came| *came.borrow())
}

/// Until one comes; for ever where nobody listens.
pub(super) async fn wait() {
    if let Some(came) = CAME.get()
        && came.clone().wait_for(|came| *came).await.is_ok()
    {
        return;
    }
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_that_are_ignored_are_read_as_the_kernel_says_it() {
        for (status, mask) in [
            (
                "SigBlk:\t0000000000000007\nSigIgn:\t0000000000000001\nSigCgt:\t0000000000000002\n",
                1,
            ),
            ("SigIgn:\t0000000000001006\n", 0x1006),
            ("Name:\tSigIgn: 1\n", 0),
            ("SigIgn:\tx\n", 0),
            ("", 0),
        ] {
            assert_eq!(ignored(status), mask, "{status}");
        }
    }

    /// As `nohup` starts a program.
    #[test]
    fn the_hang_up_that_nohup_keeps_off_is_among_them() {
        let hang_up = |said: std::process::Output| {
            let status = String::from_utf8(said.stdout).expect("text");
            assert!(status.contains("SigIgn:"), "{status}");
            ignored(&status) & 1
        };
        let shell = |script: &str| {
            let mut sh = std::process::Command::new("sh");
            hang_up(sh.args(["-c", script]).output().expect("sh"))
        };
        assert_eq!(shell("trap '' HUP; exec cat /proc/self/status"), 1);
    }
}
