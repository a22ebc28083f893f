//! What a live view shows beyond a request's own papers: deliveries of a session, and sinks of the record.

use serde::{Deserialize, Serialize};

use crate::trust::Timestamp;

/// What was handed out of a session so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delivered {
    /// How often its credentials were read, all its roles together.
    pub times: u64,
    /// When that last stood in the record, at most a minute before the newest.
    pub last_at: Timestamp,
    /// The account that read them then, e.g. `uid:1000`.
    pub who: String,
}

/// A sink of the record, as the agent sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SinkView {
    /// Its name in the agent's configuration.
    pub name: String,
    /// The last event that it holds for certain.
    pub acknowledged: u64,
    /// Events that it does not hold yet.
    pub lag: u64,
    /// When the oldest of them happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest: Option<Timestamp>,
    /// Whether custodians are asked only once it holds the request.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
    /// Of required sinks with one group any one suffices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// How long it has been failing, in seconds; absent while it works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_seconds: Option<u64>,
    /// Its last failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What people have to know although it works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub complaint: Option<String>,
}
