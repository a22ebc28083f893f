//! The AWS side of a ceremony: minting sessions, rotating the sealed key, closing.
//!
//! | stage | what is called | where |
//! | --- | --- | --- |
//! | mint | `sts:AssumeRole` by the long-term key, Regions in order | [`sts`] |
//! | rotate | `iam:*AccessKey*` on the user itself; the old key proven dead | [`iam`], [`sts`] |
//! | close | `iam:PutRolePolicy` by the steward | [`iam`], [`policy`] |
//! | copy | a versioned secret with a label of ours, moved by compare-and-swap | [`bundle_secret`] |
//! | observe | a real call by the session itself, refused again and again | [`probe`] |
//! | tell a bus | `events:PutEvents` | [`events`] |
//! | keep the record | locked, write-once objects | [`s3`] |
//! | rotate named secrets | `secretsmanager:*` by the steward, or by a session for one secret | [`secrets`] |
//!
//! Everything is explicit: credentials, Regions, endpoint, trust roots and time-outs come from the
//! caller. No `AWS_*` or proxy variable, profile file or instance metadata is read.
//! Nothing that acts is repeated by the SDK; the few repeats are our own, and each says in a comment
//! why it is harmless. [`AwsError`] tells apart 'nobody answered' (nothing happened) and 'the answer
//! was lost' (it may have happened), because rotation has to know.

pub mod arn;
pub mod bundle_secret;
pub mod client;
mod clock;
pub mod endpoints;
pub mod error;
pub mod events;
mod http;
pub mod iam;
pub mod key_file;
pub mod last_used;
pub mod limits;
#[cfg(feature = "failpoints")]
mod points;
pub mod policy;
pub mod probe;
pub mod revocation;
pub mod s3;
pub mod secrets;
pub mod sts;

use time::OffsetDateTime;

pub use arn::Arn;
pub use aws_credential_types::Credentials;
pub use bundle_secret::{Labelled, Moved};
pub use client::Aws;
pub use endpoints::{ConfigError, Endpoints, Timeouts};
pub use error::{AwsError, Reply};
pub use iam::{KeyInfo, NewKey};
pub use key_file::{KeyFileError, read_key_file};
pub use last_used::LastUsed;
pub use limits::LimitError;
pub use policy::{PolicyError, PolicyVars};
pub use probe::{Observation, ProbeAction};
pub use secrets::{SecretFacts, SecretValue};
pub use sts::{AssumeRole, Identity, KeyState, Minted};

/// What a call gave, with what AWS said about the call itself.
#[derive(Debug, Clone)]
pub struct Answer<T> {
    /// The call's result.
    pub value: T,
    /// The Region that answered (for IAM: the Region that signs, e.g. `us-east-1`).
    pub region: String,
    /// AWS's request id, from the `x-amzn-requestid` header; the key for finding the call in CloudTrail.
    pub request_id: Option<String>,
    /// AWS's clock when it answered, from the HTTP `Date` header (whole seconds, UTC).
    pub date: Option<OffsetDateTime>,
}

impl<T> Answer<T> {
    /// The same answer with its value turned into another.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Answer<U> {
        Answer {
            value: f(self.value),
            region: self.region,
            request_id: self.request_id,
            date: self.date,
        }
    }
}
