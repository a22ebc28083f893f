//! What the process does before it touches anything: no core, no debugger of the same user, private files, quiet panics.

use std::sync::OnceLock;

use rustix::{
    fs::Mode,
    process::{self, DumpableBehavior, Resource, Rlimit},
};

use crate::protocol::{Code, Problem};

/// What the shell had set; a command that `exec` runs gets it back.
#[derive(Clone)]
pub(super) struct Before {
    umask: Mode,
    core: Rlimit,
}

static UMASK: OnceLock<Mode> = OnceLock::new();
static PANICKED_AT: OnceLock<String> = OnceLock::new();

/// Called once, first thing, while there is one thread.
pub(super) fn begin() -> Before {
    // A payload could carry a secret (`expect` on something read); the place alone is enough to find the fault.
    std::panic::set_hook(Box::new(|info| {
        let at = info.location().map_or_else(
            || "an unknown place".to_owned(),
            |at| format!("{}:{}", at.file(), at.line()),
        );
        let _ = PANICKED_AT.set(at);
    }));
    // RLIMIT_CORE is ignored where core_pattern is a pipe; not being dumpable is what counts (core(5)).
    let _ = process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let core = process::getrlimit(Resource::Core);
    let none = Rlimit {
        current: Some(0),
        maximum: core.maximum,
    };
    let _ = process::setrlimit(Resource::Core, none);
    let umask = process::umask(Mode::RWXG | Mode::RWXO);
    let _ = UMASK.set(umask);
    Before { umask, core }
}

impl Before {
    /// Runs `start` (which starts a child) with what the shell had set. Call it while there is one thread.
    pub(super) fn restored<T>(&self, start: impl FnOnce() -> T) -> T {
        let _ = process::setrlimit(Resource::Core, self.core);
        let ours = process::umask(self.umask);
        let started = start();
        process::umask(ours);
        let none = Rlimit {
            current: Some(0),
            maximum: self.core.maximum,
        };
        let _ = process::setrlimit(Resource::Core, none);
        started
    }
}

/// The mode for a file that is meant for others: what the shell's umask leaves of 0644. Before [`begin`]: 0600.
pub(super) fn public_mode() -> u32 {
    UMASK.get().map_or(0o600, |umask| 0o644 & !umask.bits())
}

/// What is said after a panic.
pub(super) fn broke_off() -> Problem {
    let at = PANICKED_AT.get().map_or("an unknown place", |at| at);
    Problem::new(Code::Internal, format!("a fault inside twotap at {at}"))
        .hint("this should not happen: please report it with this line")
}
