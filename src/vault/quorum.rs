//! Which shares open a vault together: how a roster's threshold and groups stand in a SLIP-39 set.
//!
//! Where a roster has groups, each of them is a group of the set and all are needed, so that no tool of the standard combines shares of
//! too few groups. A group of which one is enough is one share, which each member holds: the standard has no other 1-of-n.

use std::collections::BTreeMap;

use twotap_shares::{Group, Mnemonic, Scheme};

use super::VaultError;
use crate::trust::roster::Roster;

/// The set that a roster's custodians hold, and the place of each one's share in it: group and member, in the custodians' order.
pub(super) fn scheme(roster: &Roster) -> (Scheme, Vec<(usize, usize)>) {
    // A roster has at most 16 custodians.
    let small = |n: usize| u8::try_from(n).unwrap_or(u8::MAX);
    let count = roster.custodians().count();
    if roster.groups.is_empty() {
        let places = (0..count).map(|member| (0, member)).collect();
        return (Scheme::single(roster.threshold, small(count)), places);
    }
    let groups = roster
        .groups
        .iter()
        .map(|group| Group {
            threshold: group.threshold,
            count: match group.threshold {
                1 => 1,
                _ => small(group.members.len()),
            },
        })
        .collect();
    let scheme = Scheme {
        group_threshold: small(roster.groups.len()),
        groups,
        ..Scheme::single(roster.threshold, small(count))
    };
    let place = |name: &str| {
        let group = |g: &crate::trust::roster::Group| {
            let member = g.members.iter().position(|m| m == name)?;
            Some(if g.threshold == 1 { 0 } else { member })
        };
        let found = |(n, g)| Some((n, group(g)?));
        roster.groups.iter().enumerate().find_map(found)
    };
    // A roster whose groups leave a custodian out is refused as a document; such a share would be outside any set.
    let places = roster
        .custodians()
        .map(|p| place(&p.name).unwrap_or((usize::MAX, 0)))
        .collect();
    (scheme, places)
}

/// Quorums in which each custodian's share takes part at least once: in turn, each run of as many members as each group needs.
/// `None` where a group has fewer shares than it needs.
pub(super) fn quorums<'s>(
    roster: &Roster,
    shares: &'s [Mnemonic],
) -> Option<Vec<Vec<&'s Mnemonic>>> {
    let (scheme, places) = scheme(roster);
    let mut runs: Vec<Vec<Vec<&Mnemonic>>> = Vec::new();
    for (n, group) in scheme.groups.iter().enumerate() {
        let of_group = shares.iter().zip(&places).filter(|(_, (g, _))| *g == n);
        let of_group: Vec<&Mnemonic> = of_group.map(|(share, _)| share).collect();
        let windows = of_group.windows(usize::from(group.threshold));
        let windows: Vec<Vec<&Mnemonic>> = windows.map(<[_]>::to_vec).collect();
        if windows.is_empty() {
            return None;
        }
        runs.push(windows);
    }
    let most = runs.iter().map(Vec::len).max().unwrap_or(0);
    let turn = |t: usize| runs.iter().flat_map(|r| r[t % r.len()].clone()).collect();
    Some((0..most).map(turn).collect())
}

/// As many of these shares as the standard combines: of each group exactly what it needs, each share once. They must be of one set.
///
/// # Errors
/// [`VaultError::TooFewShares`], [`VaultError::TooFewGroups`].
pub(super) fn exactly(given: &[Mnemonic]) -> Result<Vec<Mnemonic>, VaultError> {
    let mut groups: BTreeMap<u8, BTreeMap<u8, &Mnemonic>> = BTreeMap::new();
    for share in given {
        let info = share.share();
        let members = groups.entry(info.group_index).or_default();
        members.entry(info.member_index).or_insert(share);
    }
    let needed = given
        .first()
        .map_or(0, |s| usize::from(s.share().group_threshold));
    if groups.len() < needed {
        return Err(VaultError::TooFewGroups {
            given: groups.len(),
            needed,
        });
    }
    let mut chosen = Vec::new();
    for members in groups.into_values().take(needed) {
        let Some(first) = members.values().next() else {
            continue;
        };
        let needed = usize::from(first.share().member_threshold);
        if members.len() < needed {
            return Err(VaultError::TooFewShares {
                given: members.len(),
                needed,
            });
        }
        for share in members.into_values().take(needed) {
            chosen.push(Mnemonic::parse(share.expose())?);
        }
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests;
