//! The locks of what was read, and whether they may be seen at all.
//!
//! S3 does not say that it hides an object's lock: to whom `s3:GetObjectRetention` is not allowed it shows the object as one that has none. So the first
//! that looks so is asked for by itself. Source: Amazon S3 API Reference, `GetObject`, `x-amz-object-lock-mode`.

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
    match aws.json(&[&call[..], &of].concat()) {
        Ok(said) => {
            let lock = &said["Retention"];
            let until = lock["RetainUntilDate"].as_str().and_then(read_time);
            Ok(lock["Mode"].as_str().map(str::to_owned).zip(until))
        }
        Err(Failed::Answered { .. }) => Ok(None),
        Err(why) => Err(why),
    }
}
