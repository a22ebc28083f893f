//! `worker.toml`: the only source of folders, endpoint and Regions; never the agent, never the environment.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use crate::{
    aws::{Endpoints, Timeouts},
    protocol::{Code, Problem},
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
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AwsConfig {
    #[serde(default = "default_partition")]
    partition: String,
    /// Asked in this order.
    sts_regions: Vec<String>,
    #[serde(default = "default_iam_region")]
    iam_region: String,
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
        toml::from_str(&text).map_err(|why| {
            let line = why.message().lines().next().unwrap_or_default().to_owned();
            Problem::new(Code::Usage, format!("{}: {line}", path.display())).hint(&hint)
        })
    }

    /// Where AWS is, as the `aws` module wants it.
    pub(super) fn endpoints(&self) -> Endpoints {
        Endpoints {
            partition: self.aws.partition.clone(),
            sts_regions: self.aws.sts_regions.clone(),
            iam_region: self.aws.iam_region.clone(),
            override_url: self.aws.endpoint.clone(),
            ca_file: self.aws.ca_file.clone(),
            timeouts: Timeouts::default(),
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

fn default_iam_region() -> String {
    "us-east-1".to_owned()
}
