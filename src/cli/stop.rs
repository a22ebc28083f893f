//! Being told to end (SIGINT, SIGTERM, SIGHUP) by a verb that has something to put away first.
//!
//! A verb that calls [`begin`] is not ended by a signal: it asks [`asked`] where it may take long, waits with [`wait`] beside what it waits for, and
//! ends as it does after any error, with everything dropped. What ends by itself when we do (a terminal's own keys, a command that is run for
//! somebody) is `session/signals.rs`.

use std::{io, sync::OnceLock};

use tokio::{
    signal::unix::{SignalKind, signal},
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
        let listen = |kind| signal(kind).map_err(failed);
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
                    _ = int.recv() => {}
                    _ = term.recv() => {}
                    _ = hup.recv() => {}
                }
                say.send_replace(true);
            }
        });
    });
    listening.map_err(failed)?;
    let _ = CAME.set(came);
    Ok(())
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
