//! What this person has approved before on this machine, and what is unusual about a request because of it.
//!
//! `habits.json` beside `seen.json` remembers, for each vault, the operators, the longest session of each access profile and what that
//! profile meant. It decides nothing: what is lost with it are hints. So a file that cannot be read counts as an empty one.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, UtcOffset};

use crate::{
    protocol::Problem,
    trust::{
        Digest, Timestamp,
        file::write_atomic,
        request::{Clock, Request},
        roster::Roster,
    },
};

use super::{memory, span};

/// Working hours, local time: from this hour on, and before that one.
const DAY: std::ops::Range<u8> = 6..22;

/// What was approved before.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Habits {
    #[serde(default)]
    vaults: BTreeMap<String, Vault>,
    #[serde(skip)]
    path: PathBuf,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Vault {
    #[serde(default)]
    operators: BTreeMap<String, u64>,
    #[serde(default)]
    access: BTreeMap<String, Profile>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Profile {
    longest: i64,
    meant: Digest,
}

impl Habits {
    /// Reads the file beside the memory.
    pub(super) fn open() -> Result<Self, Problem> {
        Ok(Self::at(memory::folder()?.join("habits.json")))
    }

    fn at(path: PathBuf) -> Self {
        let read = std::fs::read(&path)
            .ok()
            .and_then(|json| serde_json::from_slice::<Self>(&json).ok());
        Self {
            path,
            ..read.unwrap_or_default()
        }
    }

    /// What is unusual about this request, in plain words.
    pub(super) fn unusual(&self, request: &Request, roster: &Roster) -> Vec<String> {
        let mut lines = Vec::new();
        let known = self.vaults.get(&request.vault);
        let operator = &request.operator;
        if known.is_none_or(|v| !v.operators.contains_key(operator)) {
            lines.push(format!(
                "it is the first request by {operator} that you are asked to approve here"
            ));
        }
        if let Some(before) = known.and_then(|v| v.access.get(&request.access)) {
            let length = request.not_before.until(request.not_after);
            if length > before.longest {
                lines.push(format!(
                    "{} is longer than any that you have approved for {} (so far {})",
                    span::show(length),
                    request.access,
                    span::show(before.longest)
                ));
            }
            if meaning(request, roster).is_some_and(|now| now != before.meant) {
                lines.push(format!(
                    "access {} means something else than when you last approved it: see --review",
                    request.access
                ));
            }
        }
        lines.extend(out_of_hours(request.not_before));
        if request.clock == Clock::Host {
            lines.push("AWS could not be asked for the time".to_owned());
        }
        lines
    }

    /// Remembers an approval. What cannot be written is not remembered, and stops nothing.
    pub(super) fn approved(&mut self, request: &Request, roster: &Roster) {
        let vault = self.vaults.entry(request.vault.clone()).or_default();
        *vault.operators.entry(request.operator.clone()).or_default() += 1;
        if let Some(meant) = meaning(request, roster) {
            let length = request.not_before.until(request.not_after);
            let profile = vault
                .access
                .entry(request.access.clone())
                .or_insert(Profile {
                    longest: length,
                    meant,
                });
            profile.longest = profile.longest.max(length);
            profile.meant = meant;
        }
        if let Ok(json) = serde_json::to_vec_pretty(self) {
            let _ = write_atomic(&self.path, &json, 0o600);
        }
    }
}

/// What the request's access profile means: a digest of all that the roster says of it.
fn meaning(request: &Request, roster: &Roster) -> Option<Digest> {
    let access = roster.access(&request.access)?;
    serde_json::to_vec(access)
        .ok()
        .map(|json| Digest::of(&json))
}

/// By this machine's time zone; by UTC where that is not known.
fn out_of_hours(asked: Timestamp) -> Option<String> {
    let utc: OffsetDateTime = asked.into();
    let offset = UtcOffset::local_offset_at(utc).unwrap_or(UtcOffset::UTC);
    let local = utc.to_offset(offset);
    (!DAY.contains(&local.hour())).then(|| {
        format!(
            "it was asked out of hours: at {:02}:{:02} your time",
            local.hour(),
            local.minute()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::tests::people::{self, SoftToken};

    #[test]
    fn what_was_never_approved_before_is_unusual_and_then_no_more() {
        let [alice, bob] = ["alice", "bob"].map(SoftToken::new);
        let roster = people::verified(2, &[&alice, &bob]);
        let request = people::request(&roster);
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("habits.json");
        let mut habits = Habits::at(path.clone());
        let first = habits.unusual(&request, &roster);
        assert!(
            first.iter().any(|l| l.contains("first request by dana")),
            "{first:?}"
        );
        habits.approved(&request, &roster);

        let habits = Habits::at(path.clone());
        let quiet = |lines: Vec<String>| -> Vec<String> {
            // The hour is the machine's.
            lines
                .into_iter()
                .filter(|l| !l.contains("out of hours"))
                .collect()
        };
        assert_eq!(quiet(habits.unusual(&request, &roster)), [""; 0]);

        let mut longer = request.clone();
        longer.not_after = longer.not_after.plus(60);
        let lines = quiet(habits.unusual(&longer, &roster));
        assert!(
            matches!(&lines[..], [line] if line.contains("longer than any")),
            "{lines:?}"
        );

        let mut by_ivan = request.clone();
        by_ivan.operator = "ivan".into();
        by_ivan.clock = Clock::Host;
        assert_eq!(quiet(habits.unusual(&by_ivan, &roster)).len(), 2);

        let mut changed = Roster::clone(&roster);
        changed.access[0].policy.0["Statement"] = serde_json::json!(["more"]);
        let lines = quiet(habits.unusual(&request, &changed));
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains("means something else"), "{lines:?}");

        // What cannot be read is no memory, and no obstacle.
        std::fs::write(&path, "{").expect("written");
        assert!(!Habits::at(path).unusual(&request, &roster).is_empty());
    }

    #[test]
    fn night_is_out_of_hours() {
        // Whatever the zone, of two times twelve hours apart at least one is by day, and some hour of the day is at night.
        let at = |hour: i64| {
            Timestamp::parse("2026-01-06T00:00:00Z")
                .expect("a time")
                .plus(hour * 3600)
        };
        let nights = (0..24).filter(|h| out_of_hours(at(*h)).is_some()).count();
        assert_eq!(nights, 8);
    }
}
