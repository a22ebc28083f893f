//! What the process gives up before it touches a secret.

use landlock::{
    ABI, Access as _, AccessFs, CompatLevel, Compatible as _, PathBeneath, PathFd, Ruleset,
    RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _,
};
use rustix::process::{DumpableBehavior, Resource, Rlimit};

use super::config::Config;
use crate::{
    fail,
    protocol::{Code, Problem},
};

/// First thing of all: no core dump, no tracing by the same account, no new privileges, private files.
pub(super) fn first() -> Result<(), Problem> {
    let failed =
        |what: &str| Problem::new(Code::Internal, format!("cannot harden the process: {what}"));
    // PR_SET_DUMPABLE counts even where core_pattern is a pipe, which RLIMIT_CORE does not stop.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|_| failed("dumpable"))?;
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    rustix::process::setrlimit(Resource::Core, none).map_err(|_| failed("core limit"))?;
    rustix::thread::set_no_new_privs(true).map_err(|_| failed("privileges"))?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    std::panic::set_hook(Box::new(|panic| {
        // A payload may quote data; the place is enough to find the fault.
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        eprintln!("error: twotap-worker stopped at {place}");
    }));
    Ok(())
}

/// Before the first job: the file system shrinks to the worker's own folders and what name look-ups and TLS read; then the kernel
/// takes no call that the worker has no use for.
pub(super) fn second(config: &Config) -> Result<(), Problem> {
    restrict_files(config)?;
    super::seccomp::install()
}

/// For a process that needs no file and no network: everything of the file system goes.
pub(super) fn alone() -> Result<(), Problem> {
    let failed =
        |why: &dyn std::fmt::Display| Problem::new(Code::Internal, format!("landlock: {why}"));
    Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(ABI::V3))
        .and_then(|rules| rules.create())
        .and_then(|rules| rules.restrict_self())
        .map_err(|why| failed(&why))?;
    super::seccomp::install_without_network()
}

/// For a process that needs the network and no file of its own: what name look-ups and TLS read is left.
pub(super) fn network_alone() -> Result<(), Problem> {
    let failed =
        |why: &dyn std::fmt::Display| Problem::new(Code::Internal, format!("landlock: {why}"));
    let rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(ABI::V3))
        .and_then(|r| r.create())
        .map_err(|why| failed(&why))?;
    let rules = for_the_network(rules, ABI::V3)?;
    rules.restrict_self().map_err(|why| failed(&why))?;
    super::seccomp::install()
}

/// Resolver, certificates, shared libraries that the resolver loads, entropy.
fn for_the_network(mut rules: RulesetCreated, abi: ABI) -> Result<RulesetCreated, Problem> {
    for read in [
        "/etc",
        "/usr",
        "/lib",
        "/lib64",
        "/run/systemd/resolve",
        "/dev/urandom",
        "/dev/null",
    ] {
        let Ok(fd) = PathFd::new(read) else { continue };
        let access = if read.starts_with("/dev") {
            AccessFs::from_file(abi) & AccessFs::from_read(abi)
        } else {
            AccessFs::from_read(abi)
        };
        rules = rules
            .add_rule(PathBeneath::new(fd, access))
            .map_err(|why| Problem::new(Code::Internal, format!("landlock: {why}")))?;
    }
    Ok(rules)
}

fn restrict_files(config: &Config) -> Result<(), Problem> {
    let failed =
        |why: &dyn std::fmt::Display| Problem::new(Code::Internal, format!("landlock: {why}"));
    let abi = ABI::V3;
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(abi))
        .and_then(|r| r.create())
        .map_err(|why| failed(&why))?;
    let own = [config.state.as_path(), &config.runtime];
    for own in own.into_iter().chain(fail::folder()) {
        let fd = PathFd::new(own).map_err(|why| failed(&why))?;
        rules = rules
            .add_rule(PathBeneath::new(fd, AccessFs::from_all(abi)))
            .map_err(|why| failed(&why))?;
    }
    for place in config.places.values() {
        // One that is not there cannot be opened later either, and shows as a copy that lags.
        if let Some(fd) = place.path.as_ref().and_then(|p| PathFd::new(p).ok()) {
            rules = rules
                .add_rule(PathBeneath::new(fd, AccessFs::from_all(abi)))
                .map_err(|why| failed(&why))?;
        }
        if let Some(fd) = place.identity.as_ref().and_then(|p| PathFd::new(p).ok()) {
            let read = AccessFs::from_file(abi) & AccessFs::from_read(abi);
            rules = rules
                .add_rule(PathBeneath::new(fd, read))
                .map_err(|why| failed(&why))?;
        }
    }
    rules = for_the_network(rules, abi)?;
    // Where it is missing, the job that needs it says so.
    if let Some(Ok(fd)) = config.watch_credential().map(PathFd::new) {
        let access = AccessFs::from_file(abi) & AccessFs::from_read(abi);
        rules = rules
            .add_rule(PathBeneath::new(fd, access))
            .map_err(|why| failed(&why))?;
    }
    rules.restrict_self().map_err(|why| failed(&why))?;
    Ok(())
}
