//! The locks of what was read, and whether they may be seen at all.
//!
//! S3 does not say that it hides an object's lock: to whom `s3:GetObjectRetention` is not allowed it shows the object as one that has none. So the first
//! that looks so is asked for by itself. Source: Amazon S3 API Reference, `GetObject`, `x-amz-object-lock-mode`.

use serde_json::Value;
use time::{Duration, OffsetDateTime};

use crate::{
    audit::{
        event::read_time,
        sinks::s3::copy::{Finding, Listed, lock_of},
    },
    cli::aws_cli::{Aws, Failed},
    protocol::{Code, Problem},
};

/// A lock: its mode and its end.
pub(super) type Lock = (String, OffsetDateTime);

/// What it takes to see an object's lock.
const MAY_SEE: &str = "s3:GetObjectRetention";

/// What S3 answers where there is no lock to tell of: of an object that has none, and in a bucket that has no Object Lock.
const NONE: [&str; 2] = ["NoSuchObjectLockConfiguration", "InvalidRequest"];

/// The locks of the objects that were read.
#[derive(Default)]
pub(super) struct Locks {
    /// What is wrong with them.
    pub(super) findings: Vec<Finding>,
    /// The modes that there are.
    pub(super) modes: Vec<String>,
    /// Those that may not be seen.
    pub(super) hidden: Option<Hidden>,
    /// Locks may be seen: AWS itself has said of an object that it has none.
    seen: bool,
}

/// Locks that this person may not see.
pub(super) struct Hidden {
    /// The first object.
    key: String,
    /// How many there are.
    objects: usize,
    /// What AWS said.
    why: Failed,
}

impl From<Hidden> for Problem {
    fn from(hidden: Hidden) -> Self {
        let Hidden { key, objects, why } = hidden;
        let error = format!(
            "whether they are locked cannot be seen of {objects} objects, {key} the first: {why}"
        );
        Self::new(Code::AwsRefused, error)
            .hint(format!("use a profile that may {MAY_SEE}: --profile NAME"))
    }
}

impl Locks {
    /// Notes an object's lock. Of one that shows none `ask` tells.
    pub(super) fn note(
        &mut self,
        listed: &Listed,
        mut lock: Option<Lock>,
        retention: Duration,
        ask: impl FnOnce() -> Result<Option<Lock>, Failed>,
    ) -> Result<(), Failed> {
        if lock.is_none() && !self.seen {
            if let Some(hidden) = &mut self.hidden {
                hidden.objects += 1;
                return Ok(());
            }
            match ask() {
                Ok(told) => {
                    self.seen = told.is_none();
                    lock = told;
                }
                Err(why @ Failed::Refused { .. }) => {
                    self.hidden = Some(Hidden {
                        key: listed.key.clone(),
                        objects: 1,
                        why,
                    });
                    return Ok(());
                }
                Err(why) => return Err(why),
            }
        }
        let until = lock.as_ref().map(|(_, until)| *until);
        self.findings.extend(lock_of(listed, until, retention));
        if let Some((mode, _)) = lock
            && !self.modes.contains(&mode)
        {
            self.modes.push(mode);
        }
        Ok(())
    }
}

/// A version's lock, asked for by itself; none where AWS says that it has none.
pub(super) fn of(aws: &Aws, bucket: &str, listed: &Listed) -> Result<Option<Lock>, Failed> {
    let (key, version) = (listed.key.as_str(), listed.version.as_str());
    let call = ["s3api", "get-object-retention", "--bucket", bucket];
    let of = ["--key", key, "--version-id", version];
    told(aws.json(&[&call[..], &of].concat()))
}

/// What the answer to `get-object-retention` tells. Any other error (`SlowDown`, `InternalError`) tells nothing: taken for 'it has none', it would call a
/// bucket forged whose locks were hidden.
fn told(answer: Result<Value, Failed>) -> Result<Option<Lock>, Failed> {
    match answer {
        Ok(said) => {
            let lock = &said["Retention"];
            let until = lock["RetainUntilDate"].as_str().and_then(read_time);
            Ok(lock["Mode"].as_str().map(str::to_owned).zip(until))
        }
        Err(why) if NONE.iter().any(|code| why.is(code)) => Ok(None),
        Err(why) => Err(why),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answered(code: &str) -> Failed {
        Failed::Answered {
            code: code.to_owned(),
            operation: "GetObjectRetention".to_owned(),
            message: "said".to_owned(),
        }
    }

    #[test]
    fn only_what_aws_says_of_a_missing_lock_is_none() {
        for code in ["NoSuchObjectLockConfiguration", "InvalidRequest"] {
            assert_eq!(told(Err(answered(code))), Ok(None), "{code}");
        }
        for code in [
            "SlowDown",
            "InternalError",
            "ServiceUnavailable",
            "NoSuchVersion",
            "NoSuchKey",
        ] {
            assert_eq!(told(Err(answered(code))), Err(answered(code)), "{code}");
        }
        let said = |mode: &str| {
            let until = "2033-11-23T00:16:40+00:00";
            json!({ "Retention": { "Mode": mode, "RetainUntilDate": until } })
        };
        let lock = told(Ok(said("COMPLIANCE"))).expect("told");
        assert_eq!(lock.expect("a lock").0, "COMPLIANCE");
    }

    /// An account that is throttled breaks it off; it makes no findings.
    #[test]
    fn a_question_that_was_not_answered_calls_nothing_unlocked() {
        let listed = Listed {
            key: "host-1/events/1".to_owned(),
            version: "v1".to_owned(),
            delete_marker: false,
            size: 1,
            modified: OffsetDateTime::UNIX_EPOCH,
        };
        let mut locks = Locks::default();
        let slow = || told(Err(answered("SlowDown")));
        let noted = locks.note(&listed, None, Duration::days(1), slow);
        assert_eq!(noted, Err(answered("SlowDown")));
        assert!(locks.findings.is_empty() && locks.hidden.is_none());
        let none = || told(Err(answered("NoSuchObjectLockConfiguration")));
        let noted = locks.note(&listed, None, Duration::days(1), none);
        assert_eq!((noted, locks.findings.len()), (Ok(()), 1));
    }
}
