//! From shares back to the secret.

use crate::error::Error;
use crate::feistel::{self, Parameters};
use crate::mnemonic::{Mnemonic, ShareInfo};
use crate::secret::Secret;
use crate::shamir::{self, Bytes};
use crate::split::MOST_SHARES;

/// Recovers the secret from exactly the shares that are needed, in any order (SLIP-0039, "Combining the shares").
///
/// Exactly: as many groups as the group threshold, and of each as many shares as its member threshold. The standard
/// refuses more as well as fewer, so that no share goes in unchecked.
///
/// A wrong passphrase is no error: it recovers another secret. Any bytes are taken, since other tools may have made
/// shares with more than ASCII. The time doubles with each step of the shares' iteration exponent, from a few
/// milliseconds at 0 to minutes at 15: look at [`Mnemonic::share`] first where shares come from strangers.
///
/// # Errors
/// [`Error::NoShares`], the `...Mismatch` variants, [`Error::DuplicateMember`], the `TooFew...` and `TooMany...`
/// variants, [`Error::MemberDigest`], [`Error::GroupDigest`].
pub fn combine(shares: &[Mnemonic], passphrase: &[u8]) -> Result<Secret, Error> {
    let first = shares.first().ok_or(Error::NoShares)?;
    for (place, share) in shares.iter().enumerate() {
        same_set(first, share, place + 1)?;
    }
    let groups = in_groups(shares)?;
    let common = first.share();
    let (given, needed) = (groups.len(), usize::from(common.group_threshold));
    if given < needed {
        return Err(Error::TooFewGroups { given, needed });
    }
    if given > needed {
        return Err(Error::TooManyGroups { given, needed });
    }
    for group in &groups {
        enough(group)?;
    }

    let group_values = groups
        .iter()
        .map(|group| recover_group(group))
        .collect::<Result<Vec<_>, Error>>()?;
    let points: Vec<_> = group_values
        .iter()
        .map(|(index, value)| (*index, value.as_slice()))
        .collect();
    let encrypted = shamir::recover(common.group_threshold, &points).ok_or(Error::GroupDigest)?;
    let parameters = Parameters {
        identifier: common.identifier,
        extendable: common.extendable,
        iteration_exponent: common.iteration_exponent,
    };
    Ok(Secret::from_checked(feistel::decrypt(
        &encrypted, passphrase, parameters,
    )))
}

/// A share and its place among those given, from 1.
type Placed<'a> = (usize, &'a Mnemonic);

/// Refuses a share that was not made together with the first.
fn same_set(first: &Mnemonic, other: &Mnemonic, share: usize) -> Result<(), Error> {
    let (a, b) = (first.share(), other.share());
    let lengths = (first.value().len(), other.value().len());
    for (same, error) in [
        (
            a.identifier == b.identifier,
            Error::IdentifierMismatch { share },
        ),
        (
            a.extendable == b.extendable,
            Error::ExtendableMismatch { share },
        ),
        (
            a.iteration_exponent == b.iteration_exponent,
            Error::ExponentMismatch { share },
        ),
        (
            a.group_threshold == b.group_threshold,
            Error::GroupThresholdMismatch { share },
        ),
        (
            a.group_count == b.group_count,
            Error::GroupCountMismatch { share },
        ),
        (lengths.0 == lengths.1, Error::LengthMismatch { share }),
    ] {
        if !same {
            return Err(error);
        }
    }
    Ok(())
}

/// The shares by group, in the groups' order; no group is empty, and none has two thresholds or one member twice.
fn in_groups(shares: &[Mnemonic]) -> Result<Vec<Vec<Placed<'_>>>, Error> {
    let mut groups: Vec<Vec<Placed<'_>>> = (0..MOST_SHARES).map(|_| Vec::new()).collect();
    for (place, share) in shares.iter().enumerate() {
        let place = place + 1;
        let ShareInfo {
            group_index,
            member_index,
            member_threshold,
            ..
        } = share.share();
        let group = &mut groups[usize::from(group_index)];
        for &(earlier, other) in group.iter() {
            if other.share().member_threshold != member_threshold {
                return Err(Error::MemberThresholdMismatch { share: place });
            }
            if other.share().member_index == member_index {
                return Err(Error::DuplicateMember {
                    share: place,
                    earlier,
                });
            }
        }
        group.push((place, share));
    }
    groups.retain(|group| !group.is_empty());
    Ok(groups)
}

fn enough(group: &[Placed<'_>]) -> Result<(), Error> {
    let Some((_, first)) = group.first() else {
        return Ok(());
    };
    let ShareInfo {
        group_index,
        member_threshold,
        ..
    } = first.share();
    let (group, given, needed) = (
        usize::from(group_index) + 1,
        group.len(),
        usize::from(member_threshold),
    );
    if given < needed {
        return Err(Error::TooFewMembers {
            group,
            given,
            needed,
        });
    }
    if given > needed {
        return Err(Error::TooManyMembers {
            group,
            given,
            needed,
        });
    }
    Ok(())
}

/// A group's index and value.
fn recover_group(group: &[Placed<'_>]) -> Result<(u8, Bytes), Error> {
    let points: Vec<_> = group
        .iter()
        .map(|(_, share)| (share.share().member_index, share.value()))
        .collect();
    let ShareInfo {
        group_index,
        member_threshold,
        ..
    } = group.first().ok_or(Error::NoShares)?.1.share();
    let value = shamir::recover(member_threshold, &points).ok_or(Error::MemberDigest {
        group: usize::from(group_index) + 1,
    })?;
    Ok((group_index, value))
}

#[cfg(test)]
mod tests;
