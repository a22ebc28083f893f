//! `[audit]`: the record's own files, how they are looked after, and what follows when they were tampered with.

use std::{path::PathBuf, time::Duration};

use serde::Deserialize;

use crate::audit::folder::Rotate;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AuditTable {
    #[serde(default = "default_audit")]
    pub(super) file: PathBuf,
    #[serde(default = "acknowledge_most")]
    acknowledge_seconds: u32,
    #[serde(default = "default_look")]
    look_seconds: u32,
    #[serde(default = "default_reread")]
    reread_seconds: u32,
    #[serde(default)]
    refuse_when_tampered: bool,
    #[serde(default = "default_degraded")]
    degraded_seconds: u32,
    #[serde(default = "default_rotate_mib")]
    rotate_mib: u32,
    #[serde(default = "default_rotate_days")]
    rotate_days: u32,
}

/// How the live record is looked after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::agent) struct Care {
    /// How often the files are looked at, where the kernel tells nothing.
    pub(in crate::agent) look: Duration,
    /// How often all of file and store is read again.
    pub(in crate::agent) reread: Duration,
    /// Whether nothing new is opened until an officer has seen what was done to the record.
    pub(in crate::agent) refuse: bool,
    /// How long a sink may lack events before that goes on record.
    pub(in crate::agent) degraded: Duration,
}

/// The longest time that an operator is kept waiting for a sink, in seconds.
fn acknowledge_most() -> u32 {
    30
}

fn default_audit() -> PathBuf {
    "/var/log/twotap".into()
}

fn default_look() -> u32 {
    10
}

fn default_reread() -> u32 {
    3600
}

fn default_degraded() -> u32 {
    60
}

/// 64 MiB: some hundred thousand events.
fn default_rotate_mib() -> u32 {
    64
}

fn default_rotate_days() -> u32 {
    366
}

impl AuditTable {
    /// When another file of the record is begun; zero is never.
    pub(super) fn rotate(&self) -> Rotate {
        let not_zero = |n: u32| (n > 0).then_some(u64::from(n));
        let never = Rotate::NEVER;
        Rotate {
            bytes: not_zero(self.rotate_mib).map_or(never.bytes, |mib| mib << 20),
            age: not_zero(self.rotate_days)
                .map_or(never.age, |days| Duration::from_secs(days * 24 * 3600)),
        }
    }

    pub(super) fn acknowledge(&self) -> Result<Duration, String> {
        let seconds = self.acknowledge_seconds;
        within("acknowledge_seconds", seconds, 1, acknowledge_most())
    }

    pub(super) fn care(&self) -> Result<Care, String> {
        Ok(Care {
            look: within("look_seconds", self.look_seconds, 1, 60)?,
            reread: within("reread_seconds", self.reread_seconds, 1, 24 * 3600)?,
            refuse: self.refuse_when_tampered,
            degraded: within("degraded_seconds", self.degraded_seconds, 1, 3600)?,
        })
    }
}

fn within(key: &str, seconds: u32, least: u32, most: u32) -> Result<Duration, String> {
    match seconds {
        seconds if (least..=most).contains(&seconds) => Ok(Duration::from_secs(seconds.into())),
        _ => Err(format!("audit.{key}: it is from {least} to {most}")),
    }
}

impl Default for AuditTable {
    fn default() -> Self {
        Self {
            file: default_audit(),
            acknowledge_seconds: acknowledge_most(),
            look_seconds: default_look(),
            reread_seconds: default_reread(),
            refuse_when_tampered: false,
            degraded_seconds: default_degraded(),
            rotate_mib: default_rotate_mib(),
            rotate_days: default_rotate_days(),
        }
    }
}
