//! What the setters' helper gives up, for itself and for every program that it starts.

use std::path::Path;

use landlock::{
    ABI, Access as _, AccessFs, CompatLevel, Compatible as _, PathBeneath, PathFd, Ruleset,
    RulesetAttr as _, RulesetCreatedAttr as _,
};
use rustix::process::{Resource, Rlimit};

use crate::protocol::{Code, Problem};

/// Processor time of one process, in seconds.
const CPU_SECONDS: u64 = 60;
/// The largest file that may be written, in bytes; there is none to write but a program's own in memory.
const FILE_BYTES: u64 = 1024 * 1024;
/// Open files of one process.
const FILES: u64 = 256;

/// Shrinks the process to what programs that talk to a server need: the system's files to read and to start, the network, and no
/// folder to write to. That nothing can be traced and no privilege gained holds for it as for every worker.
pub(super) fn enter<'p>(programs: impl Iterator<Item = &'p Path>) -> Result<(), Problem> {
    for (resource, most) in [
        (Resource::Cpu, CPU_SECONDS),
        (Resource::Fsize, FILE_BYTES),
        (Resource::Nofile, FILES),
    ] {
        let limit = Rlimit {
            current: Some(most),
            maximum: Some(most),
        };
        rustix::process::setrlimit(resource, limit).map_err(|why| failed(&why))?;
    }
    restrict_files(programs)
}

fn restrict_files<'p>(programs: impl Iterator<Item = &'p Path>) -> Result<(), Problem> {
    let abi = ABI::V3;
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(abi))
        .and_then(|r| r.create())
        .map_err(|why| failed(&why))?;
    let system = [
        "/usr",
        "/lib",
        "/lib64",
        "/bin",
        "/sbin",
        "/etc",
        "/proc",
        "/run/systemd/resolve",
    ];
    let readable = system
        .map(Path::new)
        .into_iter()
        .map(|folder| (folder, AccessFs::from_read(abi)))
        .chain(programs.map(|program| (program, AccessFs::Execute | AccessFs::ReadFile)))
        .chain([(
            Path::new("/dev/urandom"),
            AccessFs::from_file(abi) & AccessFs::from_read(abi),
        )])
        .chain([(
            Path::new("/dev/null"),
            (AccessFs::from_file(abi) & AccessFs::from_read(abi)) | AccessFs::WriteFile,
        )]);
    for (path, access) in readable {
        // What is not there needs no rule; a program that is not there is missed when it is called.
        let Ok(fd) = PathFd::new(path) else { continue };
        rules = rules
            .add_rule(PathBeneath::new(fd, access))
            .map_err(|why| failed(&why))?;
    }
    rules.restrict_self().map_err(|why| failed(&why))?;
    Ok(())
}

fn failed(why: &dyn std::fmt::Display) -> Problem {
    Problem::new(
        Code::Internal,
        format!("cannot confine the setters' helper: {why}"),
    )
}
