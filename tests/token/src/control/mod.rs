//! The outside of a token as a unix socket: one JSON object a line each way.
//!
//! `{"do":"tap"}` answers `{"ok":true,"used":true}`; a refused line answers
//! `{"ok":false,"error":"..."}`. The requests are [`Request`], in kebab case.

mod client;
mod server;

pub use client::Control;
pub(crate) use server::Server;

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What can be asked of a token from outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// A finger taps once, now. Whether the token was waiting for it stands in `used`.
    Tap,
    /// From now on a finger taps whenever the token asks: so often, or always.
    TapWhenAsked {
        /// How often; without it always.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        times: Option<u32>,
    },
    /// From now on nobody taps.
    Never,
    /// Blocks until the token asks for a touch, at most so long; see `waiting` in the answer.
    Waiting {
        /// The bound, in milliseconds.
        timeout_ms: u64,
    },
    /// Pulls the token out, also in the middle of an operation.
    Remove,
    /// Plugs it in again, with its power-on state.
    Insert,
    /// Asks for [`Status`].
    Status,
    /// Counters 'since the mark' start anew.
    Mark,
    /// Sets a fault up.
    Fault(Fault),
    /// Takes back the faults that have not struck, and ends a silence.
    ClearFaults,
    /// Moves the token's clock ahead, so that nobody has to sit out a touch cache.
    Advance {
        /// How far, in milliseconds.
        ms: u64,
    },
}

/// A fault: what happens, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What happens.
    #[serde(flatten)]
    pub kind: FaultKind,
    /// Only APDUs with this instruction count, in hex (`"87"`); without it all do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ins: Option<String>,
    /// At which of these APDUs, from now on, the fault strikes (once): 1 is the next.
    #[serde(default = "first")]
    pub nth: u32,
}

fn first() -> u32 {
    1
}

impl Fault {
    /// At the next APDU, whatever it is.
    #[must_use]
    pub fn next(kind: FaultKind) -> Self {
        Self {
            kind,
            ins: None,
            nth: 1,
        }
    }

    /// At the `nth` APDU from now with instruction `ins`.
    #[must_use]
    pub fn at(kind: FaultKind, ins: u8, nth: u32) -> Self {
        Self {
            kind,
            ins: Some(format!("{ins:02x}")),
            nth,
        }
    }
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "kebab-case")]
pub enum FaultKind {
    /// The token is pulled out instead of an answer.
    Remove,
    /// The answer comes late.
    Slow {
        /// By how much, in milliseconds.
        ms: u64,
    },
    /// No answer, until the token is removed or the faults are cleared.
    Silent,
    /// The command is not run and answered with this status word.
    Status {
        /// In hex, `"6f00"`.
        sw: String,
    },
    /// Before the command runs, PIN, management key and touch are forgotten, as after another
    /// process has reset the card.
    Reset,
}

/// How many APDUs came in; each link of a chain and each GET RESPONSE is one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Apdus {
    /// All of them.
    pub total: u64,
    /// By instruction, in hex.
    pub by_ins: BTreeMap<String, u64>,
}

/// How a token stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Its serial number.
    pub serial: u32,
    /// Whether it is plugged in.
    pub inserted: bool,
    /// Whether it has a connection to its reader.
    pub connected: bool,
    /// How often the reader gave power since the token was last plugged in.
    pub power_ons: u64,
    /// The slot (in hex) whose key waits for a touch right now.
    pub waiting: Option<String>,
    /// How often a finger tapped.
    pub taps: u64,
    /// How many of these taps nobody waited for.
    pub taps_unasked: u64,
    /// Taps since the mark.
    pub taps_since_mark: u64,
    /// APDUs since the token started.
    pub apdus: Apdus,
    /// APDUs since the mark.
    pub apdus_since_mark: Apdus,
    /// Faults that have not struck yet.
    pub faults: usize,
}

/// The answer to a [`Request`]. What was not asked for is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Whether the request was carried out.
    pub ok: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// To `tap`: whether the token was waiting for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<bool>,
    /// To `waiting`: whether the token asked in time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<bool>,
    /// To `status`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_read_as_they_are_documented() {
        let cases = [
            (r#"{"do":"tap"}"#, Request::Tap),
            (
                r#"{"do":"tap-when-asked","times":2}"#,
                Request::TapWhenAsked { times: Some(2) },
            ),
            (
                r#"{"do":"tap-when-asked"}"#,
                Request::TapWhenAsked { times: None },
            ),
            (
                r#"{"do":"fault","fault":"remove","ins":"87","nth":2}"#,
                Request::Fault(Fault::at(FaultKind::Remove, 0x87, 2)),
            ),
            (
                r#"{"do":"fault","fault":"status","sw":"6f00"}"#,
                Request::Fault(Fault::next(FaultKind::Status { sw: "6f00".into() })),
            ),
        ];
        for (text, request) in cases {
            assert_eq!(serde_json::from_str::<Request>(text).expect(text), request);
            let back = serde_json::to_string(&request).expect("to JSON");
            assert_eq!(
                serde_json::from_str::<Request>(&back).expect("from JSON"),
                request
            );
        }
        assert!(serde_json::from_str::<Request>(r#"{"do":"dance"}"#).is_err());
    }
}
