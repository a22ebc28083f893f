//! Which uses of a key the journal explains. Pure.

use crate::protocol::job::{Entry, KeyUse, Step};

/// How far AWS's time of a use may lie from an entry that explains it, in seconds. A worker may go on for ten minutes without an entry
/// while something does not get through, and AWS rounds the time and adds some minutes of its own.
const TOLERANCE: i64 = 15 * 60;

/// What this host's workers did with its keys.
pub(super) struct Ours<'j> {
    pub(super) entries: &'j [Entry],
    /// Where this host asks STS.
    pub(super) sts_regions: Vec<String>,
}

impl Ours<'_> {
    /// Whether a use of `key` is one of ours: a call that workers make with it, where they make it, when one was at it.
    pub(super) fn explains(&self, key: &str, used: &KeyUse) -> bool {
        let ours = match used.service.as_str() {
            "sts" => self.sts_regions.contains(&used.region),
            // One control plane a partition, whatever Region AWS files it under.
            "iam" => true,
            _ => false,
        };
        ours && self.at_work(key).any(|e| {
            let by_aws = e.aws.as_ref().and_then(|a| a.date);
            [Some(e.at), by_aws]
                .into_iter()
                .flatten()
                .any(|at| at.until(used.at).abs() <= TOLERANCE)
        })
    }

    /// Entries of workers that were using `key`.
    fn at_work<'k>(&'k self, key: &'k str) -> impl Iterator<Item = &'k Entry> {
        let mut sealed = None;
        self.entries.iter().filter(move |entry| {
            if let Step::GenerationCommitted { access_key_id, .. } = &entry.step {
                sealed = Some(access_key_id.as_str());
            }
            match &entry.step {
                Step::RotationIntent {
                    old_access_key_id: id,
                }
                | Step::KeyCreated { access_key_id: id }
                | Step::KeyProven { access_key_id: id }
                | Step::GenerationCommitted {
                    access_key_id: id, ..
                } => id == key,
                // Before the commit the old key makes these calls, after it the new one.
                Step::MintIntent { .. }
                | Step::Minted { .. }
                | Step::MintFailed { .. }
                | Step::TargetFailed { .. }
                | Step::CloseOnlyIntent { .. }
                | Step::CloseOnlyDone { .. }
                | Step::StrayFound { .. }
                | Step::StrangerDisabled { .. }
                | Step::StrangerDeleted { .. }
                | Step::CreateIntent { .. }
                | Step::CreateFailed { .. }
                | Step::DeactivateIntent { .. }
                | Step::KeyDeactivated { .. }
                | Step::KeyRefused { .. }
                | Step::DeleteIntent { .. }
                | Step::KeyDeleted { .. }
                | Step::DeletionOwed { .. }
                | Step::RotationPending { .. }
                | Step::Rotated { .. } => sealed == Some(key),
                _ => false,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::{Digest, Timestamp};

    const NOON: Timestamp = Timestamp(1_800_000_000);

    fn entry(n: u64, at: Timestamp, step: Step) -> Entry {
        Entry {
            n,
            at,
            request: None,
            step,
            aws: None,
        }
    }

    fn journal() -> Vec<Entry> {
        let id = |id: &str| id.to_owned();
        vec![
            entry(
                1,
                NOON,
                Step::GenerationCommitted {
                    generation: 1,
                    manifest_sha256: Digest::of(b"m"),
                    access_key_id: id("OLD"),
                },
            ),
            entry(
                2,
                NOON.plus(3600),
                Step::MintFailed {
                    why: String::new(),
                    unsure: false,
                },
            ),
            entry(
                3,
                NOON.plus(3610),
                Step::KeyProven {
                    access_key_id: id("NEW"),
                },
            ),
        ]
    }

    fn explained(key: &str, seconds: i64, service: &str, region: &str) -> bool {
        let entries = journal();
        let ours = Ours {
            entries: &entries,
            sts_regions: vec!["eu-central-1".to_owned()],
        };
        let used = KeyUse {
            at: NOON.plus(seconds),
            region: region.to_owned(),
            service: service.to_owned(),
        };
        ours.explains(key, &used)
    }

    #[test]
    fn what_a_worker_did_with_the_key_is_explained_by_its_entries() {
        assert!(explained("OLD", 3600, "sts", "eu-central-1"));
        assert!(explained("OLD", 3600 + 14 * 60, "iam", "us-east-1"));
        assert!(explained("NEW", 3660, "sts", "eu-central-1"));
    }

    #[test]
    fn a_use_between_ceremonies_is_not() {
        assert!(!explained("OLD", 1800, "sts", "eu-central-1"));
        assert!(!explained("OLD", 3600 + 16 * 60, "sts", "eu-central-1"));
        assert!(!explained("NEW", 100, "sts", "eu-central-1"));
        assert!(!explained("OTHER", 3600, "sts", "eu-central-1"));
    }

    #[test]
    fn what_no_worker_ever_calls_is_not_explained_by_any_time() {
        assert!(!explained("OLD", 3600, "s3", "eu-central-1"));
        assert!(!explained("OLD", 3600, "sts", "ap-south-1"));
    }
}
