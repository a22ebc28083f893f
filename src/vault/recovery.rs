//! Making a recovery set: a fresh identity, its shares, and the proof that they give it back; and what the identity signs with.

use rand_core::CryptoRngCore;
use subtle::ConstantTimeEq as _;
use twotap_shares::{Mnemonic, Scheme, combine, split};

mod signer;

use super::{VaultError, VaultIdentity};
use crate::trust::{
    Digest, Signer as _,
    recovery::{RecoverySet, SetGroup},
};

pub use signer::RecoverySigner;

/// What a set is to be.
pub struct Wanted<'w> {
    /// The vault.
    pub vault: &'w str,
    /// The day, `YYYY-MM-DD`.
    pub made: &'w str,
    /// Groups and thresholds.
    pub scheme: &'w Scheme,
    /// The groups' names; empty for one group without a name.
    pub names: &'w [String],
    /// SLIP-39's passphrase; empty for none.
    pub passphrase: &'w [u8],
}

/// A set: its public record, and its shares by group.
pub struct Made {
    /// What may be known of it.
    pub set: RecoverySet,
    /// The shares.
    pub shares: Vec<Vec<Mnemonic>>,
}

/// Makes a recovery identity and splits it. The identity is gone when this returns; only a quorum of the shares can make it again, and
/// that they can was tried here with every share in at least one quorum.
///
/// # Errors
/// [`VaultError::Shares`] for a scheme or passphrase that SLIP-39 refuses; [`VaultError::SelfCheck`].
pub fn make(wanted: &Wanted<'_>, rng: &mut impl CryptoRngCore) -> Result<Made, VaultError> {
    let identity = VaultIdentity::generate(rng)?;
    let shares = split(
        &identity.to_secret()?,
        wanted.passphrase,
        wanted.scheme,
        rng,
    )?;
    for quorum in quorums(wanted.scheme, &shares) {
        let secret = combine(&reread(&quorum)?, wanted.passphrase)?;
        if !bool::from(secret.expose().ct_eq(identity.expose())) {
            return Err(VaultError::SelfCheck {
                why: "the shares combine to another identity".to_owned(),
            });
        }
    }
    let groups = wanted
        .scheme
        .groups
        .iter()
        .zip(&shares)
        .enumerate()
        .map(|(n, (group, shares))| SetGroup {
            name: wanted.names.get(n).cloned(),
            threshold: group.threshold,
            shares: shares
                .iter()
                .map(|s| Digest::of(s.expose().as_bytes()))
                .collect(),
        })
        .collect();
    let set = RecoverySet {
        v: 1,
        vault: wanted.vault.to_owned(),
        recipient: identity.recipient()?,
        signer: RecoverySigner::of(&identity)?.public(),
        made: wanted.made.to_owned(),
        group_threshold: wanted.scheme.group_threshold,
        groups,
        passphrase: !wanted.passphrase.is_empty(),
    };
    set.check()?;
    Ok(Made { set, shares })
}

/// Quorums in which every share takes part at least once: in turn, each run of as many groups as are needed, each with each run of as
/// many members as it needs.
fn quorums<'s>(scheme: &Scheme, shares: &'s [Vec<Mnemonic>]) -> Vec<Vec<&'s Mnemonic>> {
    let runs: Vec<Vec<&[Mnemonic]>> = scheme
        .groups
        .iter()
        .zip(shares)
        .map(|(group, members)| members.windows(usize::from(group.threshold)).collect())
        .collect();
    let most = runs.iter().map(Vec::len).max().unwrap_or(0);
    let mut quorums = Vec::new();
    for groups in runs.windows(usize::from(scheme.group_threshold)) {
        for turn in 0..most {
            quorums.push(
                groups
                    .iter()
                    .flat_map(|runs| runs[turn % runs.len()])
                    .collect(),
            );
        }
    }
    quorums
}

/// As somebody would type them.
fn reread(quorum: &[&Mnemonic]) -> Result<Vec<Mnemonic>, VaultError> {
    quorum
        .iter()
        .map(|share| Ok(Mnemonic::parse(share.expose())?))
        .collect()
}

#[cfg(test)]
mod tests;
