//! A person's program and a worker that makes a recovery set, or signs with one: no agent, no state, no network.
//!
//! The program starts the worker over a socketpair and sends [`Ask::Make`]; the worker answers with [`Answer::Made`]. Each
//! [`Ask::Next`] brings one [`Answer::Sheet`], then [`Answer::Done`]. [`Ask::Sign`] brings [`Answer::Signed`].

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::Problem;
use crate::trust::{Bytes, Envelope, recovery::RecoverySet};

/// What the worker is asked.
#[derive(Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case", deny_unknown_fields)]
pub enum Ask {
    /// Make a set.
    Make(Wanted),
    /// Hand out the next sheet.
    Next,
    /// Put shares together and sign a roster with what they give.
    Sign(ToSign),
}

/// The set that is wanted.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// The vault.
    pub vault: String,
    /// The day: year, month, day.
    pub made: (u16, u8, u8),
    /// How many groups are needed.
    pub group_threshold: u8,
    /// The groups.
    pub groups: Vec<WantedGroup>,
    /// The passphrase; empty for none.
    pub passphrase: Zeroizing<String>,
    /// Whether the sheets are for US letter paper instead of A4.
    pub letter: bool,
}

/// A roster that recovery shares are to stand for.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToSign {
    /// The words of each share: lower case, single spaces.
    pub shares: Vec<Zeroizing<String>>,
    /// The passphrase; empty for none.
    pub passphrase: Zeroizing<String>,
    /// The version that counts, which names the recovery identity.
    pub before: Envelope,
    /// The version after it.
    pub next: Envelope,
}

/// A group of sheets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedGroup {
    /// Its name, where there are several.
    pub name: Option<String>,
    /// How many sheets complete it.
    pub threshold: u8,
    /// How many sheets it has.
    pub count: u8,
}

/// What the worker says.
#[derive(Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// The set is made and was tried; sheets can be asked for.
    Made {
        /// Its public record.
        set: RecoverySet,
        /// The fingerprint on every sheet.
        fingerprint: String,
    },
    /// One sheet.
    Sheet {
        /// The group's name.
        group: Option<String>,
        /// Its place in the group, from 1.
        place: u8,
        /// A PDF of one page.
        pdf: Bytes,
    },
    /// The roster, signed; the worker has forgotten the shares.
    Signed {
        /// That version with one signature more.
        next: Envelope,
    },
    /// All sheets are handed out, and the worker has forgotten them.
    Done,
    /// It failed; nothing follows.
    Failed(Problem),
}
