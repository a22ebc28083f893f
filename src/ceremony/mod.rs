//! The ceremony, pure: who may, what next, until when. No I/O, no clock, no secret.
//!
//! Stages are types, and each consumes the one before ([`stages`]); a stage cannot be skipped because its value cannot be made
//! any other way:
//!
//! ```text
//! Requested ── quorum ──▶ Approved ── minted ──▶ Open ── asked, or time is up ──▶ Closing ── refused, or expired ──▶ Closed
//!     │  └─ threshold out of reach ─▶ Denied
//!     └─ nobody in time ─▶ Expired
//! ```
//!
//! [`Stage`] is the same as a label, for records and screens; [`Stage::may_become`] is the table of its arrows.

pub mod accounts;
pub mod duties;
pub mod readiness;
pub mod refusals;
pub mod rotation;
pub mod stages;
pub mod times;
mod votes;

pub use stages::{Approved, Closed, Closing, Open, Requested, Settled};
pub use votes::{Refusal, Standing, Voter, Withdrawer};

use serde::{Deserialize, Serialize};

/// Where a request stands, as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Waiting for approvals.
    Requested,
    /// The threshold is reached; the session is being minted.
    Approved,
    /// The operator has, or can have, the session.
    Open,
    /// The session is being revoked.
    Closing,
    /// Over.
    Closed,
    /// Too many custodians said no.
    Denied,
    /// Nobody approved in time.
    Expired,
    /// It could not be carried out.
    Failed,
}

impl Stage {
    /// All stages.
    pub const ALL: [Self; 8] = [
        Self::Requested,
        Self::Approved,
        Self::Open,
        Self::Closing,
        Self::Closed,
        Self::Denied,
        Self::Expired,
        Self::Failed,
    ];

    /// Whether a request in this stage may come to stand in `next`.
    pub fn may_become(self, next: Self) -> bool {
        use Stage as S;
        matches!(
            (self, next),
            (S::Requested, S::Approved | S::Denied | S::Expired | S::Failed)
                // An approved request whose minting failed after the intent is closed: something may have been minted.
                | (S::Approved, S::Open | S::Failed | S::Closing)
                | (S::Open, S::Closing | S::Closed)
                | (S::Closing, S::Closed)
        )
    }

    /// Whether nothing can follow.
    pub fn is_final(self) -> bool {
        Self::ALL.into_iter().all(|next| !self.may_become(next))
    }
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Requested => "requested",
            Self::Approved => "approved",
            Self::Open => "open",
            Self::Closing => "closing",
            Self::Closed => "closed",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Failed => "failed",
        })
    }
}

#[cfg(test)]
mod tests;
