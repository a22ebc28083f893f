//! `kind = "s3"` in `agent.toml`.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::super::amazon::{Account, Place};
use super::super::{Opening, Sink, SinkConfigError};
use super::S3Sink;
use crate::aws::s3::{Bucket, LockMode};

/// Where the mode may stand instead of in the table.
pub const MODE_VARIABLE: &str = "KILL_SWITCH_AUDIT_WORM_MODE";

/// What the refusal says where no mode is named: a name to search for.
pub const MODE_NOT_SET: &str = "WORM_MODE_REQUIRED_BUT_NOT_SET";

/// How many days what is written is locked where nothing else is said: seven years, leap days included.
pub const SEVEN_YEARS: u32 = 2557;
/// The longest that S3 takes.
const HUNDRED_YEARS: u32 = 36_500;

/// The keys of the sink's own.
///
/// ```toml
/// [sinks.worm]
/// kind = "s3"
/// bucket = "twotap-audit-123456789012"
/// prefix = "bg-1/"                          # of this host alone; default "twotap/"
/// region = "eu-central-1"
/// mode = "COMPLIANCE"                       # or GOVERNANCE: has to be said
/// retention_days = 2557                     # seven years
/// credential = "/etc/twotap/audit-writer.json"
/// ```
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct S3Config {
    /// The bucket's name.
    bucket: String,
    /// What all keys begin with; ends in `/`.
    #[serde(default = "default_prefix")]
    prefix: String,
    /// The bucket's Region.
    region: String,
    /// `aws`, `aws-us-gov`, `aws-cn` or `aws-eusc`.
    #[serde(default = "default_partition")]
    partition: String,
    /// `GOVERNANCE` or `COMPLIANCE`; where absent, [`MODE_VARIABLE`] of the environment.
    mode: Option<String>,
    /// How long each object is kept, in days.
    #[serde(default = "seven_years")]
    retention_days: u32,
    /// A file with what `aws iam create-access-key` prints for the user that may only write here.
    credential: PathBuf,
    /// Another endpoint than AWS's: https, or http to loopback.
    endpoint: Option<String>,
    /// Root certificates instead of the system's.
    ca_file: Option<PathBuf>,
}

fn default_prefix() -> String {
    "twotap/".to_owned()
}

pub(in crate::audit::sinks) fn default_partition() -> String {
    "aws".to_owned()
}

fn seven_years() -> u32 {
    SEVEN_YEARS
}

impl S3Config {
    /// The sink. Reads the key's file; opens no connection.
    ///
    /// # Errors
    /// [`MODE_NOT_SET`] where no mode is named; else the key that is wrong.
    pub fn open(self, at: &Opening<'_>) -> Result<Box<dyn Sink>, SinkConfigError> {
        let from_environment = std::env::var(MODE_VARIABLE).ok();
        Ok(Box::new(self.sink(at, from_environment.as_deref())?))
    }

    /// The same with the environment's word given.
    pub fn sink(
        self,
        at: &Opening<'_>,
        from_environment: Option<&str>,
    ) -> Result<S3Sink, SinkConfigError> {
        let mode = mode(self.mode.as_deref(), from_environment)?;
        let bucket = Bucket::new(&self.bucket, &self.region)
            .map_err(|why| SinkConfigError::new("bucket", why.to_string()))?;
        check_prefix(&self.prefix)?;
        if !(1..=HUNDRED_YEARS).contains(&self.retention_days) {
            return Err(SinkConfigError::new(
                "retention_days",
                format!("it is from 1 to {HUNDRED_YEARS}"),
            ));
        }
        let account = Account::open(Place {
            partition: self.partition,
            region: self.region,
            endpoint: self.endpoint,
            ca_file: self.ca_file.map(|file| at.path(&file)),
            credential: at.path(&self.credential),
        })?;
        let retention = Duration::from_secs(u64::from(self.retention_days) * 24 * 60 * 60);
        Ok(S3Sink::new(
            at.name,
            account,
            bucket,
            self.prefix,
            mode,
            retention,
        ))
    }
}

fn mode(named: Option<&str>, from_environment: Option<&str>) -> Result<LockMode, SinkConfigError> {
    let (place, said) = match (named, from_environment) {
        (Some(named), _) => ("mode", named),
        (None, Some(said)) => (MODE_VARIABLE, said),
        (None, None) => {
            return Err(SinkConfigError::new("mode", MODE_NOT_SET).with_hint(format!(
                "say mode = \"GOVERNANCE\" (who holds a special right can lift locks, and is seen) or \"COMPLIANCE\" (nobody can), here or in {MODE_VARIABLE}"
            )));
        }
    };
    LockMode::parse(said).ok_or_else(|| {
        SinkConfigError::new(
            "mode",
            format!("{place} is neither GOVERNANCE nor COMPLIANCE"),
        )
    })
}

/// Plain characters alone: they mean the same in keys, policies, listings and shells.
fn check_prefix(prefix: &str) -> Result<(), SinkConfigError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/_.-".contains(&b);
    let good = prefix.len() <= 512
        && prefix.bytes().all(plain)
        && !prefix.starts_with('/')
        && !prefix.contains("//")
        && !prefix.split('/').any(|part| part == "." || part == "..")
        && (prefix.is_empty() || prefix.ends_with('/'));
    if good {
        return Ok(());
    }
    Err(SinkConfigError::new(
        "prefix",
        "it is made of letters, digits, '_', '.', '-' and single '/', and ends in '/'",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mode_has_to_be_said() {
        let why = mode(None, None).expect_err("none");
        assert!(why.to_string().contains("WORM_MODE_REQUIRED_BUT_NOT_SET"));
        assert!(why.hint().expect("a hint").contains(MODE_VARIABLE));
        let (governance, compliance) = (Some("GOVERNANCE"), Some("COMPLIANCE"));
        assert_eq!(mode(governance, None), Ok(LockMode::Governance));
        assert_eq!(mode(None, compliance), Ok(LockMode::Compliance));
        assert_eq!(mode(governance, compliance), Ok(LockMode::Governance));
        for bad in ["", "governance", "NONE"] {
            assert!(mode(Some(bad), compliance).is_err(), "{bad}");
            let why = mode(None, Some(bad)).expect_err(bad).to_string();
            assert!(why.contains(MODE_VARIABLE), "{why}");
        }
    }

    #[test]
    fn a_prefix_is_plain() {
        for good in ["", "twotap/", "a/b-1/c_d.e/"] {
            assert_eq!(check_prefix(good), Ok(()), "{good}");
        }
        for bad in ["x", "/x/", "a//b/", "a b/", "ä/", "../", "a/./", "a\n/"] {
            assert!(check_prefix(bad).is_err(), "{bad:?}");
        }
    }
}
