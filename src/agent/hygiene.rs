//! What the process does before it reads anything.

use rustix::process::{DumpableBehavior, Resource, Rlimit};

use crate::protocol::{Code, Problem};

/// No core, no tracing by the same account, no new privileges, private files, quiet panics; never as root.
pub(super) fn begin() -> Result<(), Problem> {
    std::panic::set_hook(Box::new(|panic| {
        // A payload may quote data; the place is enough to find the fault.
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        eprintln!("error: twotapd: a task stopped at {place}");
    }));
    let failed =
        |what: &str| Problem::new(Code::Internal, format!("cannot harden the process: {what}"));
    // Where core_pattern is a pipe the limit alone stops nothing.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|_| failed("dumpable"))?;
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    rustix::process::setrlimit(Resource::Core, none).map_err(|_| failed("core limit"))?;
    rustix::thread::set_no_new_privs(true).map_err(|_| failed("privileges"))?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));

    if rustix::process::geteuid().is_root() || rustix::process::getuid().is_root() {
        return Err(
            Problem::new(Code::Usage, "the agent does not run as root").hint(
                "start it under an account of its own, e.g. with User=twotap in its systemd unit",
            ),
        );
    }
    // Each client is a descriptor; the soft limit of 1024 is for programs that use select(2).
    let files = rustix::process::getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: files.maximum,
        maximum: files.maximum,
    };
    // With the old limit it works too, for fewer clients.
    let _ = rustix::process::setrlimit(Resource::Nofile, most);
    Ok(())
}
