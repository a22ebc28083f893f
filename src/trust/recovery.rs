//! The public record of a recovery set: what its sheets are, and the digest of each, so that one sheet can be checked without the others.
//! And [`Record`], what a recovery leaves behind.
//!
//! Nothing in a set's record helps to open anything: a share has 256 bits that nobody can guess from its digest.

mod record;

use serde::{Deserialize, Serialize};

use super::{Day, Digest, PublicKey, TrustError, roster::Recovery, text::check_name};

pub use record::{How, Record, Took};

/// What stands on every sheet of the set with this recipient and signer.
pub(super) fn fingerprint(recipient: &str, signer: &PublicKey) -> String {
    twotap_shares::sheet::fingerprint(recipient, &signer.id().to_string())
}

/// The public record of a recovery set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecoverySet {
    /// Format version, 1.
    pub v: u8,
    /// The vault.
    pub vault: String,
    /// The recovery recipient, `age1...`, as the roster names it.
    pub recipient: String,
    /// The Ed25519 key that a quorum of the sheets can sign with.
    pub signer: PublicKey,
    /// The day on which it was made, `YYYY-MM-DD`.
    pub made: String,
    /// How many groups are needed.
    pub group_threshold: u8,
    /// The groups, in order.
    pub groups: Vec<SetGroup>,
    /// Whether a passphrase is needed besides.
    pub passphrase: bool,
}

/// One group of sheets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetGroup {
    /// Its name; absent where there is one group alone.
    pub name: Option<String>,
    /// How many of its sheets complete it.
    pub threshold: u8,
    /// SHA-256 of each sheet's words (lower case, single spaces, no newline), in order.
    pub shares: Vec<Digest>,
}

impl RecoverySet {
    /// Whether it makes sense by itself.
    ///
    /// # Errors
    /// [`TrustError::Malformed`].
    pub fn check(&self) -> Result<(), TrustError> {
        let bad = |why: &str| Err(TrustError::malformed("recovery set", why));
        if self.v != 1 {
            return bad("its format version is not 1");
        }
        check_name("vault name", &self.vault)?;
        if self.recipient.parse::<age::x25519::Recipient>().is_err() {
            return bad("its recipient is not an age X25519 recipient (age1...)");
        }
        if !matches!(self.signer, PublicKey::Ed25519(_)) {
            return bad("its signer is not Ed25519");
        }
        if Day::parse(&self.made).is_none() {
            return bad("the day on which it was made is not one like 2026-01-06");
        }
        if self.groups.is_empty() || self.groups.iter().any(|g| g.shares.is_empty()) {
            return bad("it has no sheets");
        }
        for name in self.groups.iter().filter_map(|g| g.name.as_deref()) {
            check_name("group's name", name)?;
        }
        Ok(())
    }

    /// What a roster says of it once it is taken up.
    ///
    /// # Errors
    /// [`TrustError::Malformed`].
    pub fn entry(&self) -> Result<Recovery, TrustError> {
        self.check()?;
        let made = Day::parse(&self.made)
            .ok_or_else(|| TrustError::malformed("recovery set", "it has no day"))?;
        Ok(Recovery {
            recipient: self.recipient.clone(),
            signer: self.signer.clone(),
            made,
            days: None,
        })
    }

    /// What stands on every sheet of the set: 16 hexadecimal digits in groups of four.
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.recipient, &self.signer)
    }

    /// Group and place (both from 0) of the sheet with these words.
    pub fn find(&self, words: &Digest) -> Option<(usize, usize)> {
        self.groups.iter().enumerate().find_map(|(g, group)| {
            let place = group.shares.iter().position(|share| share == words)?;
            Some((g, place))
        })
    }
}
