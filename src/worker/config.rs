//! `worker.toml`: the only source of folders, endpoint and Regions; never the agent, never the environment.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;

use super::places::PlaceConfig;
use crate::{
    aws::Endpoints,
    protocol::{Code, Problem},
    trust::text::check_name,
};

/// The worker's configuration.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    /// Host key, pins, generations, journals. Default `/var/lib/twotap-worker`.
    #[serde(default = "default_state")]
    pub(super) state: PathBuf,
    /// Sessions, one file a request; must be on a tmpfs. Default `/run/twotap-worker`.
    #[serde(default = "default_runtime")]
    pub(super) runtime: PathBuf,
    /// The account that the agent runs under; where absent, only the worker's own account may connect.
    pub(super) agent_uid: Option<u32>,
    /// Where AWS is.
    aws: AwsConfig,
    /// Limits that this host lowers.
    #[serde(default)]
    limits: Limits,
    /// Programs that set new values of secrets, by the name that the roster calls them by.
    #[serde(default)]
    pub(super) setters: BTreeMap<String, SetterProgram>,
    /// How this host reaches the roster's places, by their names.
    #[serde(default)]
    pub(super) places: BTreeMap<String, PlaceConfig>,
    /// Watching the sealed key between ceremonies.
    watch: Option<WatchConfig>,
    /// Failpoints.
    #[cfg(feature = "failpoints")]
    rig: Option<crate::fail::Rig>,
}

/// Lowered limits; none can be raised here.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Limits {
    /// How long a worker goes on trying to replace the sealed key while it holds it, in seconds: 1 to 600.
    #[serde(default = "longest_rotation")]
    rotation_seconds: u64,
    /// How long a closing worker waits for a secret's rotation function before it says what it waits for, in seconds: 1 to 120.
    #[serde(default = "longest_function")]
    function_seconds: u64,
}

/// A program that sets a secret's new value; see `packaging/setters/README.md`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SetterProgram {
    /// Absolute path; it and every folder on the way belong to root alone.
    pub(super) program: PathBuf,
    /// How long it may take, in seconds: 1 to 300.
    #[serde(default = "setter_seconds")]
    seconds: u64,
}

impl SetterProgram {
    /// How long it may take.
    pub(super) fn time(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

fn setter_seconds() -> u64 {
    30
}

/// A standing identity that may ask when the break-glass user's keys were used last, and nothing else.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WatchConfig {
    /// A file that holds what `aws iam create-access-key` prints; mode 0600, owned by the worker's account.
    credential: PathBuf,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            rotation_seconds: longest_rotation(),
            function_seconds: longest_function(),
        }
    }
}

/// The default, and the most, of `rotation_seconds`.
fn longest_rotation() -> u64 {
    10 * 60
}

/// The default, and the most, of `function_seconds`.
fn longest_function() -> u64 {
    2 * 60
}

/// How long a worker goes on asking STS for the sessions of one ceremony, at most. The agent takes one that is silent for two minutes
/// there for lost.
const LONGEST_MINTING: Duration = Duration::from_secs(60);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AwsConfig {
    #[serde(default = "default_partition")]
    partition: String,
    /// Asked in this order.
    sts_regions: Vec<String>,
    /// Signs requests to IAM; the partition's own where it is absent.
    iam_region: Option<String>,
    /// For AWS-compatible endpoints; plain http to loopback alone.
    endpoint: Option<String>,
    /// PEM file of trusted roots, instead of the system's.
    ca_file: Option<PathBuf>,
}

impl Config {
    /// Reads and checks the file.
    pub(super) fn read(path: &Path) -> Result<Self, Problem> {
        let hint = format!(
            "see the worker's section of the README; the file is {}",
            path.display()
        );
        let text = fs::read_to_string(path).map_err(|why| {
            Problem::new(Code::Usage, format!("{}: {why}", path.display())).hint(&hint)
        })?;
        let config: Self = toml::from_str(&text).map_err(|why| {
            let line = why.message().lines().next().unwrap_or_default().to_owned();
            Problem::new(Code::Usage, format!("{}: {line}", path.display())).hint(&hint)
        })?;
        for (name, value, most) in [
            (
                "rotation_seconds",
                config.limits.rotation_seconds,
                longest_rotation(),
            ),
            (
                "function_seconds",
                config.limits.function_seconds,
                longest_function(),
            ),
        ] {
            if !(1..=most).contains(&value) {
                let said = format!(
                    "{}: {name} is {value}, and may be 1 to {most}",
                    path.display()
                );
                return Err(Problem::new(Code::Usage, said)
                    .hint("limits can be lowered in worker.toml, not raised"));
            }
        }
        for (name, setter) in &config.setters {
            let wrong = |what: &str| {
                let said = format!("{}: setters.{name}: {what}", path.display());
                Err(Problem::new(Code::Usage, said).hint(&hint))
            };
            if check_name("setter's name", name).is_err() {
                return wrong("its name is not a short name: a-z, 0-9, '-', '_', '.'");
            }
            if !setter.program.is_absolute() {
                return wrong("'program' is not an absolute path");
            }
            if !(1..=300).contains(&setter.seconds) {
                return wrong("'seconds' is not between 1 and 300");
            }
        }
        #[cfg(feature = "failpoints")]
        crate::fail::arm(config.rig.as_ref());
        Ok(config)
    }

    /// How long to go on trying to replace the sealed key while it is in memory.
    pub(super) fn rotation_patience(&self) -> Duration {
        Duration::from_secs(self.limits.rotation_seconds)
    }

    /// How long to go on asking for the sessions of a ceremony.
    pub(super) fn minting_patience(&self) -> Duration {
        self.rotation_patience().min(LONGEST_MINTING)
    }

    /// How long to wait for a secret's rotation function.
    pub(super) fn function_patience(&self) -> Duration {
        Duration::from_secs(self.limits.function_seconds)
    }

    /// The standing identity's credential, where there is one.
    pub(super) fn watch_credential(&self) -> Option<&Path> {
        self.watch.as_ref().map(|w| w.credential.as_path())
    }

    /// Where AWS is, as the `aws` module wants it.
    pub(super) fn endpoints(&self) -> Endpoints {
        let aws = &self.aws;
        let usual = Endpoints::of(aws.partition.as_str(), &aws.sts_regions);
        Endpoints {
            iam_region: aws.iam_region.clone().unwrap_or(usual.iam_region),
            override_url: aws.endpoint.clone(),
            ca_file: aws.ca_file.clone(),
            ..usual
        }
    }
}

fn default_state() -> PathBuf {
    "/var/lib/twotap-worker".into()
}

fn default_runtime() -> PathBuf {
    "/run/twotap-worker".into()
}

fn default_partition() -> String {
    "aws".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(limits: &str) -> Result<Config, Problem> {
        read_aws(&format!("\n{limits}"))
    }

    fn read_aws(more: &str) -> Result<Config, Problem> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let text = format!("[aws]\nsts_regions = [\"eu-central-1\"]\n{more}");
        std::fs::write(file.path(), text).expect("written");
        Config::read(file.path())
    }

    #[test]
    fn the_shipped_file_is_read() {
        let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/worker.toml");
        let config = Config::read(Path::new(shipped)).expect("good");
        assert_eq!(config.state, default_state());
        assert_eq!(config.runtime, default_runtime());
    }

    #[test]
    fn a_limit_can_be_lowered_and_never_raised() {
        let patience = |limits| read(limits).map(|c| (c.minting_patience(), c.rotation_patience()));
        let seconds = Duration::from_secs;
        assert_eq!(patience("").expect("good"), (seconds(60), seconds(600)));
        assert_eq!(
            patience("[limits]\nrotation_seconds = 5").expect("good"),
            (seconds(5), seconds(5))
        );
        for bad in ["0", "601", "-1", "'5'"] {
            let bad = format!("[limits]\nrotation_seconds = {bad}");
            assert_eq!(read(&bad).expect_err("refused").code, Code::Usage);
        }
        assert!(read("[limits]\nrotation_minutes = 5").is_err());
    }

    #[test]
    fn iam_is_asked_as_the_partition_has_it_unless_said_otherwise() {
        let signs = |more| read_aws(more).expect("good").endpoints().iam_region;
        assert_eq!(signs(""), "us-east-1");
        assert_eq!(signs("partition = 'aws-cn'"), "cn-north-1");
        let said = "partition = 'aws-us-gov'\niam_region = 'us-gov-east-1'";
        assert_eq!(signs(said), "us-gov-east-1");
    }

    #[test]
    fn setters_are_named_by_absolute_paths() {
        let config = read("[setters.postgresql]\nprogram = \"/usr/lib/x\"").expect("good");
        assert_eq!(config.setters["postgresql"].time(), Duration::from_secs(30));
        for bad in [
            "[setters.postgresql]\nprogram = \"lib/x\"",
            "[setters.\"a b\"]\nprogram = \"/usr/lib/x\"",
            "[setters.x]\nprogram = \"/x\"\nseconds = 0",
            "[setters.x]\nprogram = \"/x\"\nseconds = 301",
            "[setters.x]\nprogram = \"/x\"\nargs = []",
            "[limits]\nfunction_seconds = 121",
        ] {
            assert_eq!(read(bad).expect_err(bad).code, Code::Usage);
        }
    }
}
