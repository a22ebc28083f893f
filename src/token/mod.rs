//! Tokens: YubiKeys with PIV keys, reached through PC/SC.
//!
//! ```text
//! readers ──▶ Token::open ──▶ pin_tries ──▶ approve        a custodian's tap: nine commands in all
//!                 │                          sign, unseal   each alone
//!                 └────────▶ manage ──▶ generate, certify, set_management_key     enrolment
//!                            attest, certificate, metadata                        what is there
//! ```
//!
//! From the wire upwards: `link` (one thread a card, every wait bounded), `apdu` and `tlv` (the encodings), `piv`
//! (one function a command), `session` and `enrol` (what people do). Whatever shows a secret to the card does
//! so in one exclusive transaction that ends with a reset.

mod age;
mod apdu;
mod certificate;
mod enrol;
mod error;
mod holders;
mod link;
mod management;
mod pin;
mod piv;
mod readers;
mod session;
mod slot;
mod tlv;

pub use age::{identity, recipient, tag};
pub use certificate::Purpose;
pub use enrol::Manage;
pub use error::TokenError;
pub use management::{ManagementAlgorithm, ManagementKey};
pub use pin::{Pin, PinError, Puk};
pub use piv::Metadata;
pub use readers::{Contents, Reader, readers};
pub use session::{Approved, Prompt, Token, Why};
pub use slot::Slot;

pub use crate::trust::{
    firmware::{Capability, Firmware},
    policy::{PinPolicy, TouchPolicy},
};

use std::time::Duration;

/// How long to wait for what. Nothing in this module waits without a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// For the other readers to say what is in them, once there is a token that could be meant (1 s).
    pub probe: Duration,
    /// For another program to end its transaction or to let go of the reader, and for a first token to answer (5 s).
    pub lock: Duration,
    /// For the answer to one command (60 s); a touch runs out on the token itself after 15 to 30 s.
    pub answer: Duration,
    /// Until a command that may ride on the touch before is taken to want one of its own (1 s).
    pub again: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            probe: Duration::from_secs(1),
            lock: Duration::from_secs(5),
            answer: Duration::from_secs(60),
            again: Duration::from_secs(1),
        }
    }
}
