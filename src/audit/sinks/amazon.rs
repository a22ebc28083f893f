//! What the sinks at AWS and a pepper in Secrets Manager have in common: a way there, a key in a file, and a bound on how long anything takes.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use super::net::runtime;
use super::{SinkConfigError, SinkError};
use crate::aws::{Aws, AwsError, Credentials, Endpoints, Timeouts, read_key_file};

/// One call to a sink comes back within this, whatever AWS does; below the 30 s that a sink may take at most.
pub(super) const BOUND: Duration = Duration::from_secs(25);

/// A single request is given up well before that, so that a repeat has room.
const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(3),
    read: Duration::from_secs(8),
    call: Duration::from_secs(10),
    pause: Duration::from_millis(250),
};

/// How long a sink stays away at least where AWS asks for fewer calls.
pub(super) const THROTTLED: Duration = Duration::from_secs(1);

/// Where a sink's AWS is and whose key it uses.
pub(in crate::audit) struct Place {
    /// `aws` unless said otherwise.
    pub(in crate::audit) partition: String,
    /// The Region.
    pub(in crate::audit) region: String,
    /// Another endpoint: https, or http to loopback.
    pub(in crate::audit) endpoint: Option<String>,
    /// Root certificates instead of the system's.
    pub(in crate::audit) ca_file: Option<PathBuf>,
    /// The key's file.
    pub(in crate::audit) credential: PathBuf,
}

/// AWS as one sink reaches it.
pub(in crate::audit) struct Account {
    runtime: Runtime,
    aws: Aws,
    key_file: PathBuf,
    key: Credentials,
    /// How long one call to the sink may take: [`BOUND`], unless a test shortens it.
    pub(super) bound: Duration,
    until: Instant,
}

impl Account {
    /// Checks the settings and reads the key; opens no connection.
    pub(in crate::audit) fn open(place: Place) -> Result<Self, SinkConfigError> {
        let aws = Aws::new(Endpoints {
            override_url: place.endpoint,
            ca_file: place.ca_file,
            timeouts: TIMEOUTS,
            ..Endpoints::of(place.partition, [place.region])
        })
        .map_err(|why| {
            with_hint(
                SinkConfigError::new("endpoint", why.to_string()),
                why.hint(),
            )
        })?;
        let key = read(&place.credential)
            .map_err(|(why, hint)| SinkConfigError::new("credential", why).with_hint(hint))?;
        Ok(Self {
            runtime: runtime()?,
            aws,
            key_file: place.credential,
            key,
            bound: BOUND,
            until: Instant::now(),
        })
    }

    /// A call to the sink begins: all that it does at AWS is bounded together.
    pub(in crate::audit) fn begin(&mut self) {
        self.until = Instant::now() + self.bound;
    }

    /// Reads the key's file again: a key that was replaced is taken up without a restart.
    pub(super) fn refresh(&mut self) -> Result<(), SinkError> {
        self.key = read(&self.key_file).map_err(|(why, _)| SinkError::Unavailable(why))?;
        Ok(())
    }

    /// Does the work within what is left of the bound.
    pub(in crate::audit) fn run<'a, T, F>(
        &'a self,
        work: impl FnOnce(&'a Aws, &'a Credentials) -> F,
    ) -> Result<T, SinkError>
    where
        F: Future<Output = Result<T, SinkError>>,
    {
        let work = work(&self.aws, &self.key);
        self.runtime.block_on(async {
            let until = tokio::time::Instant::from_std(self.until);
            tokio::time::timeout_at(until, work)
                .await
                .unwrap_or_else(|_| {
                    let seconds = self.bound.as_secs();
                    Err(SinkError::Unavailable(format!(
                        "aws did not answer within {seconds} s"
                    )))
                })
        })
    }
}

fn with_hint(error: SinkConfigError, hint: Option<String>) -> SinkConfigError {
    match hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

fn read(path: &Path) -> Result<Credentials, (String, &'static str)> {
    read_key_file(path).map_err(|why| (format!("{}: {why}", path.display()), why.hint()))
}

/// A failed call in a sink's words.
pub(in crate::audit) fn failed(why: &AwsError) -> SinkError {
    let said = why.to_string();
    match why {
        AwsError::Throttled(_) => SinkError::Busy {
            why: said,
            wait: THROTTLED,
        },
        _ => SinkError::Unavailable(said),
    }
}
