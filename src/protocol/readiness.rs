//! Proofs that the vault would open: sheets that somebody has read, custodians' drills.

use serde::{Deserialize, Serialize};

use crate::trust::{Bytes, Envelope, Timestamp};

/// One printed recovery share was read and found sound. Nothing of its words is in here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SheetChecked {
    /// Fingerprint of its set, as it stands on every sheet: `AAAA BBBB CCCC DDDD`.
    pub fingerprint: String,
    /// Name of its group; absent where the set has one group alone.
    pub group: Option<String>,
    /// Its place in that group, from 1.
    pub share: u8,
    /// How many sheets that group has.
    pub of: u8,
}

/// The check stands in the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SheetNoted {
    /// Since when, by the agent's clock.
    pub at: Timestamp,
    /// By whom, as the agent knows the account.
    pub by: String,
    /// How many different sheets of this set were ever found sound.
    pub sheets: usize,
}

/// Everything that a custodian needs to try the own share, online or by file: public papers, and the share as it is sealed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrillBundle {
    /// The vault.
    pub vault: String,
    /// The generation's manifest.
    pub manifest: Envelope,
    /// All roster versions, oldest first.
    pub roster_chain: Vec<Envelope>,
    /// The custodian's own share: a binary age file.
    pub share: Bytes,
    /// The agent's 16 bytes, for the receipt.
    pub nonce: Bytes,
}

/// A share was opened and is the right one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrillReceipt {
    /// A signed [`crate::trust::drill::Drill`].
    pub receipt: Envelope,
}

/// A share could not be opened, or is not the right one; the word of whoever is logged in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrillFailure {
    /// Where it failed.
    pub layer: Layer,
    /// Why, in plain words; 512 bytes at most count.
    pub why: String,
}

/// What a drill came to, as it stands in the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrillNoted {
    /// Since when, by the agent's clock.
    pub at: Timestamp,
    /// Whose share it was about.
    pub custodian: String,
    /// Whether it opened.
    pub passed: bool,
}

/// What a share is wrapped in, from the outside in: a failed drill names one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// Roster or manifest are not to be believed.
    Papers,
    /// No token, the wrong one, or it holds other keys.
    Token,
    /// The PIN was wrong or is blocked.
    Pin,
    /// Nobody touched it in time.
    Touch,
    /// The vault was sealed anew meanwhile.
    Generation,
    /// The share's file is not the one that the manifest names.
    ShareFile,
    /// The age file does not open with this token's key.
    Age,
    /// What is inside is no share: the words' checksum does not hold.
    Checksum,
    /// A share, and not the one that was sealed.
    Words,
}

impl Layer {
    /// Its name in the record.
    pub fn name(self) -> &'static str {
        match self {
            Self::Papers => "papers",
            Self::Token => "token",
            Self::Pin => "pin",
            Self::Touch => "touch",
            Self::Generation => "generation",
            Self::ShareFile => "share_file",
            Self::Age => "age",
            Self::Checksum => "checksum",
            Self::Words => "words",
        }
    }
}

/// How sure one may be that a vault would open, and why not. It refuses nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Readiness {
    /// Each custodian, in the roster's order.
    pub custodians: Vec<CustodianProof>,
    /// How many people with a token there are beyond the threshold.
    pub spare: usize,
    /// Whether a quorum is left whichever one token is lost.
    pub survives_loss_of_one: bool,
    /// How many hosts the roster has.
    pub hosts: usize,
    /// The printed shares; absent where the roster names no recovery set.
    pub sheets: Option<SheetProof>,
    /// The newest full drills, oldest first.
    pub full_drills: Vec<FullDrill>,
    /// What is stale or has failed, in plain words.
    pub degraded: Vec<String>,
}

/// When a custodian's share was last shown to open.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CustodianProof {
    /// Whose.
    pub name: String,
    /// When; absent where it never was.
    pub at: Option<Timestamp>,
    /// By what: `drill` or `approval`.
    pub by: Option<String>,
    /// With which token.
    pub serial: Option<u32>,
    /// The layer in which a drill failed since, and when.
    pub failed: Option<(Layer, Timestamp)>,
    /// Whether it is older than is allowed.
    pub stale: bool,
}

/// When the printed shares were looked at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SheetProof {
    /// Fingerprint of the set.
    pub set: String,
    /// When one was read last.
    pub at: Option<Timestamp>,
    /// How many different ones ever were.
    pub sheets: usize,
    /// Whether the last look is longer ago than is allowed.
    pub stale: bool,
}

/// A whole ceremony that was a drill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FullDrill {
    /// The request.
    pub request: String,
    /// When the new key was proven and the old one dead.
    pub at: Timestamp,
    /// From the request to the last approval, in milliseconds.
    pub quorum_ms: u64,
    /// From the last approval to the session that was seen to be refused everything, in milliseconds.
    pub access_ms: u64,
}
