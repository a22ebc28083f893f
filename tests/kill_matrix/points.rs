//! The rig's end of the failpoints: what was reached, where to stop, and the killing.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};
use twotap_rig::memory;

use crate::{host::Host, wait::until};

/// A process that stands still at a point.
pub(crate) struct Stopped {
    pub(crate) pid: u32,
    /// Whether it is the agent; a worker otherwise.
    pub(crate) agent: bool,
}

/// Who is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Victim {
    Worker,
    Agent,
    Both,
}

impl Host {
    /// Begins a new list of points, and stops whoever comes to one of these.
    pub(crate) fn arm(&self, stops: &[&str]) {
        let rig = self.path("rig");
        let _ = fs::remove_file(rig.join("at"));
        fs::write(rig.join("stop"), stops.join("\n")).expect("written");
        for name in ["stop", "reached"] {
            let path = rig.join(name);
            if name == "reached" {
                fs::write(&path, "").expect("written");
            }
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o666);
            fs::set_permissions(&path, mode).expect("mode");
        }
    }

    /// Stops nobody any more, and keeps no list.
    pub(crate) fn disarm(&self) {
        let rig = self.path("rig");
        for name in ["stop", "reached", "at"] {
            let _ = fs::remove_file(rig.join(name));
        }
    }

    /// The points that were reached, in order, with their numbers.
    pub(crate) fn reached(&self) -> Vec<String> {
        let list = fs::read_to_string(self.path("rig/reached")).unwrap_or_default();
        list.lines().map(str::to_owned).collect()
    }

    /// Whoever stands still at a point now; asked once, it is forgotten.
    pub(crate) fn stopped(&self) -> Option<Stopped> {
        let marker = self.path("rig/at");
        let text = fs::read_to_string(&marker).ok()?;
        let pid = text.lines().nth(1)?.parse().ok()?;
        fs::remove_file(&marker).expect("ours");
        until("the process stands still", || {
            let states = memory::states(pid).unwrap_or_default();
            states.iter().all(|s| matches!(s, 'T' | 'Z' | 'X'))
        });
        Some(Stopped {
            pid,
            agent: self.agent_pid() == Some(pid),
        })
    }

    /// Kills, right where they are, and lets whoever is left go on.
    pub(crate) fn strike(&self, victim: Victim, stopped: &Stopped) {
        if victim != Victim::Agent {
            // Those alone that were there: the agent may start others at once.
            for pid in self.workers() {
                kill(pid);
            }
        }
        if victim != Victim::Worker {
            self.kill_agent();
        }
        go_on(stopped.pid);
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
