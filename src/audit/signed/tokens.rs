//! What the rosters' tokens show of themselves: their attestation chains, up to the maker's root or one that the roster names.

use super::Rosters;
use crate::trust::standing::{Accepted, Told, Why, judge, told};

/// A token of a roster that counts or counted.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// The vault.
    pub vault: String,
    /// The roster's version.
    pub version: u64,
    /// The token, and who vouches for it.
    pub token: Told,
}

/// Every token of the newest version of each vault.
pub fn listed(rosters: &Rosters) -> Vec<Listed> {
    let newest = rosters.newest();
    newest
        .flat_map(|roster| {
            roster.tokens.iter().map(|token| Listed {
                vault: roster.vault.clone(),
                version: roster.version,
                token: told(token, roster),
            })
        })
        .collect()
}

/// What is wrong with attestations that are there, in any version. Custodians have signed rosters with tokens that carry none, or that
/// something became known against since: those are told, and not held against the record.
pub(super) fn bad(rosters: &Rosters) -> impl Iterator<Item = String> + '_ {
    rosters.all().flat_map(|roster| {
        roster.tokens.iter().filter_map(|token| {
            let refusal = judge(token, Accepted::by(roster)).err()?;
            match refusal.why {
                Why::Unattested | Why::Advisory(_) | Why::NoFirmware | Why::Broken(_) => None,
                _ => Some(format!(
                    "version {} of the roster of vault {}: {refusal}",
                    roster.version, roster.vault
                )),
            }
        })
    })
}
