//! What the journal has of a secret: the only memory of a rotation that another worker began.

use crate::protocol::job::{Entry, SecretStep, Step};

/// One secret's rotation after one request, as far as it came.
#[derive(Default)]
pub(super) struct History {
    /// The version that is being made; none before the first intent, and after one was withdrawn.
    pub(super) version: Option<String>,
    /// Whether AWS has taken the call that starts its rotation function.
    pub(super) requested: bool,
    /// Whether its new value was written, and may be in use.
    pub(super) staged: bool,
    /// Whether it is done.
    pub(super) rotated: bool,
    /// The last word, if that was a failure.
    pub(super) last_failure: Option<SecretStep>,
    /// Its entries.
    pub(super) steps: Vec<Entry>,
    /// Versions that this host has begun after any request.
    ours: Vec<String>,
}

impl History {
    /// Reads it from a vault's journal.
    pub(super) fn of(entries: &[Entry], request: &str, secret: &str) -> Self {
        let mut history = Self::default();
        for entry in entries {
            let Step::Secret { secret: of, did } = &entry.step else {
                continue;
            };
            if of != secret {
                continue;
            }
            if let SecretStep::Intent { version } = did {
                history.ours.push(version.clone());
            }
            if entry.request.as_deref() == Some(request) {
                history.take(entry);
            }
        }
        history
    }

    /// Takes up an entry of this secret and request.
    pub(super) fn take(&mut self, entry: &Entry) {
        let Step::Secret { did, .. } = &entry.step else {
            return;
        };
        self.last_failure = None;
        match did {
            SecretStep::Intent { version } => {
                self.version = Some(version.clone());
                (self.requested, self.staged) = (false, false);
            }
            SecretStep::Requested { .. } => self.requested = true,
            SecretStep::Staged { .. } => self.staged = true,
            SecretStep::Withdrawn { .. } => {
                self.version = None;
                self.staged = false;
            }
            SecretStep::Rotated { .. } => self.rotated = true,
            SecretStep::Failed { .. } => self.last_failure = Some(did.clone()),
            SecretStep::Set { .. } | SecretStep::Tested { .. } => {}
        }
        self.steps.push(entry.clone());
    }

    /// Whether this host has begun this version, after whichever request.
    pub(super) fn is_ours(&self, version: &str) -> bool {
        self.ours.iter().any(|ours| ours == version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::Timestamp;

    fn entries(steps: &[(&str, &str, SecretStep)]) -> Vec<Entry> {
        let entry = |(n, (request, secret, did)): (usize, &(&str, &str, SecretStep))| Entry {
            n: n as u64 + 1,
            at: Timestamp(0),
            request: Some((*request).to_owned()),
            step: Step::Secret {
                secret: (*secret).to_owned(),
                did: did.clone(),
            },
            aws: None,
        };
        steps.iter().enumerate().map(entry).collect()
    }

    #[test]
    fn a_rotation_goes_on_where_the_journal_ends() {
        let version = |v: &str| v.to_owned();
        let why = SecretStep::Failed {
            why: "no answer".to_owned(),
            again: true,
        };
        let mut steps = vec![
            (
                "r-1",
                "db",
                SecretStep::Intent {
                    version: version("old"),
                },
            ),
            (
                "r-2",
                "db",
                SecretStep::Intent {
                    version: version("new"),
                },
            ),
            (
                "r-2",
                "other",
                SecretStep::Intent {
                    version: version("x"),
                },
            ),
            (
                "r-2",
                "db",
                SecretStep::Staged {
                    version: version("new"),
                },
            ),
            ("r-2", "db", why.clone()),
        ];
        let history = History::of(&entries(&steps), "r-2", "db");
        assert_eq!(history.version.as_deref(), Some("new"));
        assert!(history.staged && !history.rotated && history.steps.len() == 3);
        assert_eq!(history.last_failure, Some(why));
        assert!(history.is_ours("old") && history.is_ours("new") && !history.is_ours("x"));

        steps.push((
            "r-2",
            "db",
            SecretStep::Withdrawn {
                version: version("new"),
            },
        ));
        let history = History::of(&entries(&steps), "r-2", "db");
        assert_eq!(history.version, None);
        assert!(!history.staged && history.last_failure.is_none());
    }
}
