//! The rig's end of the failpoints: what was reached, where to stop, and the killing.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use twotap_rig::memory;

use crate::{host::Host, wait::until};

/// By how much pauses and observing windows are shorter than in earnest.
const QUICKER: u32 = 40;

/// Who is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Victim {
    Worker,
    Agent,
    Both,
    /// Nobody: the disk of whoever comes to the point is full from there on, until all is quiet.
    FullDisk,
    /// The same, with a file system that has become read-only.
    ReadOnlyDisk,
}

/// The folder in which programs find what to do.
pub(crate) struct Rig(TempDir);

impl Rig {
    /// One that every account can write to.
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("twotap-rig-")
            .tempdir_in("/dev/shm")
            .expect("a folder in memory");
        open_to_all(folder.path(), 0o777);
        Self(folder)
    }

    /// What stands of it in a program's configuration.
    pub(crate) fn table(&self) -> String {
        let folder = self.0.path();
        format!("\n[rig]\nfolder = {folder:?}\nquicker = {QUICKER}\n")
    }

    /// Begins a new list of points, and stops whoever comes to one of these.
    pub(crate) fn arm(&self, stops: &[&str]) {
        let _ = fs::remove_file(self.path("at"));
        for (name, text) in [("stop", stops.join("\n")), ("reached", String::new())] {
            fs::write(self.path(name), text).expect("written");
            open_to_all(&self.path(name), 0o666);
        }
    }

    /// From this point on writes are refused, as by a disk that is `full` or `read-only`.
    pub(crate) fn refuse(&self, point: &str, disk: &str) {
        fs::write(self.path("refuse"), format!("{point}\n{disk}")).expect("written");
        open_to_all(&self.path("refuse"), 0o666);
    }

    /// Whether writes are being refused.
    pub(crate) fn is_refusing(&self) -> bool {
        self.path("refusing").exists()
    }

    /// Writes are allowed again.
    pub(crate) fn allow(&self) {
        for name in ["refuse", "refusing"] {
            let _ = fs::remove_file(self.path(name));
        }
    }

    /// Stops nobody any more, refuses nothing, and keeps no list.
    pub(crate) fn disarm(&self) {
        self.allow();
        for name in ["stop", "reached", "at"] {
            let _ = fs::remove_file(self.path(name));
        }
    }

    /// The points that were reached, in order, with their numbers.
    pub(crate) fn reached(&self) -> Vec<String> {
        let list = fs::read_to_string(self.path("reached")).unwrap_or_default();
        list.lines().map(str::to_owned).collect()
    }

    /// Whoever stands still at a point now; asked once, it is forgotten.
    pub(crate) fn stopped(&self) -> Option<u32> {
        let text = fs::read_to_string(self.path("at")).ok()?;
        let pid = text.lines().nth(1)?.parse().ok()?;
        fs::remove_file(self.path("at")).expect("ours");
        until("the process stands still", || {
            let states = memory::states(pid).unwrap_or_default();
            states.iter().all(|s| matches!(s, 'T' | 'Z' | 'X'))
        });
        Some(pid)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

impl Host {
    /// Kills, right where they are, and lets whoever is left go on.
    pub(crate) fn strike(&self, victim: Victim, stopped: u32) {
        if victim != Victim::Agent {
            for pid in self.workers() {
                kill(pid);
            }
        }
        if victim != Victim::Worker {
            self.kill_agent();
        }
        go_on(stopped);
    }
}

/// Ends a process of ours.
pub(crate) fn kill(pid: u32) {
    signal(pid, Signal::KILL);
}

/// Lets a process go on that stands still.
pub(crate) fn go_on(pid: u32) {
    signal(pid, Signal::CONT);
}

fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // It may have ended meanwhile.
        let _ = kill_process(pid, signal);
    }
}

fn open_to_all(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("mode");
}
