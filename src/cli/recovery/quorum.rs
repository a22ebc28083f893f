//! Shares as they come in, in any order, until there are enough of them. No terminal in here.

use std::fmt::Write as _;

use twotap_shares::{Mnemonic, Secret, ShareInfo, combine};
use zeroize::Zeroizing;

use crate::{
    protocol::{Code, Problem},
    trust::{Digest, recovery::RecoverySet},
};

/// The shares that were taken so far, and the set that they have to be of.
pub(super) struct Quorum<'s> {
    set: Option<&'s RecoverySet>,
    shares: Vec<Mnemonic>,
}

impl<'s> Quorum<'s> {
    /// With the set's public record a share of another set, or one that was never handed out, is refused as it comes; without it, the
    /// first share says what the others must be.
    pub(super) fn new(set: Option<&'s RecoverySet>) -> Self {
        Self {
            set,
            // No set has more.
            shares: Vec::with_capacity(256),
        }
    }

    /// Takes one more share; answers what to tell whoever gave it.
    ///
    /// # Errors
    /// It is not of the set, or it is here already; nothing is changed.
    pub(super) fn take(&mut self, share: Mnemonic) -> Result<String, Problem> {
        if let Some(set) = self.set {
            place(set, &share)?;
        }
        if let Some(first) = self.shares.first() {
            same_set(first.share(), share.share())?;
            if first.word_count() != share.word_count() {
                return Err(another("it has another number of words"));
            }
        }
        let info = share.share();
        for other in &self.shares {
            let other = other.share();
            if other.group_index == info.group_index {
                if other.member_index == info.member_index {
                    return Err(Problem::new(
                        Code::Refused,
                        format!("{} is here already", name(self.set, info)),
                    )
                    .hint("take another sheet"));
                }
                if other.member_threshold != info.member_threshold {
                    return Err(another("its group needs another number of sheets"));
                }
            }
        }
        let said = format!("{} is good", name(self.set, info));
        self.shares.push(share);
        Ok(said)
    }

    /// Whether there are enough.
    pub(super) fn is_complete(&self) -> bool {
        self.shares.first().is_some_and(|first| {
            self.complete_groups().count() >= usize::from(first.share().group_threshold)
        })
    }

    /// How many are here, and what is missing, in one line; empty before the first.
    pub(super) fn progress(&self) -> String {
        let Some(first) = self.shares.first() else {
            return String::new();
        };
        let common = first.share();
        let mut text = String::new();
        for group in self.groups() {
            let info = self.members(group).next().map(Mnemonic::share);
            let (here, needed) = (
                self.members(group).count(),
                info.map_or(0, |info| usize::from(info.member_threshold)),
            );
            let of = group_name(self.set, group, common.group_count);
            let space = if of.is_empty() { "" } else { " " };
            let _ = write!(text, "{of}{space}{here} of {needed}, ");
        }
        text.truncate(text.len().saturating_sub(2));
        if common.group_threshold > 1 || common.group_count > 1 {
            let _ = write!(
                text,
                "; {} of {} groups complete",
                self.complete_groups()
                    .count()
                    .min(usize::from(common.group_threshold)),
                common.group_threshold
            );
        }
        text
    }

    /// Puts the quorum together: exactly as many shares as are needed, of those that are here.
    ///
    /// # Errors
    /// Too few; a share that is sound by itself but was never handed out (found here where there was no record to compare it with).
    pub(super) fn combine(self, passphrase: &[u8]) -> Result<Secret, Problem> {
        combine(&self.into_shares()?, passphrase).map_err(|why| {
            Problem::new(Code::Refused, why)
                .hint("each sheet by itself: twotap recovery check --set RECORD")
        })
    }

    /// The words of exactly as many shares as are needed, for a process that puts them together.
    ///
    /// # Errors
    /// Too few.
    pub(super) fn into_words(self) -> Result<Vec<Zeroizing<String>>, Problem> {
        let shares = self.into_shares()?;
        Ok(shares
            .iter()
            .map(|share| Zeroizing::new(share.expose().to_owned()))
            .collect())
    }

    fn into_shares(self) -> Result<Vec<Mnemonic>, Problem> {
        if !self.is_complete() {
            return Err(
                Problem::new(Code::Approvals, "there are too few sheets").hint(self.progress())
            );
        }
        let Some(groups) = self
            .shares
            .first()
            .map(|first| usize::from(first.share().group_threshold))
        else {
            return Err(Problem::new(Code::Approvals, "there are no sheets"));
        };
        let wanted: Vec<u8> = self.complete_groups().take(groups).collect();
        let mut left: Vec<usize> = vec![0; 16];
        let mut quorum = Vec::with_capacity(self.shares.len());
        for share in self.shares {
            let info = share.share();
            let taken = &mut left[usize::from(info.group_index) & 15];
            if wanted.contains(&info.group_index) && *taken < usize::from(info.member_threshold) {
                *taken += 1;
                quorum.push(share);
            }
        }
        Ok(quorum)
    }

    fn groups(&self) -> impl Iterator<Item = u8> + '_ {
        (0..16).filter(|group| self.members(*group).next().is_some())
    }

    fn complete_groups(&self) -> impl Iterator<Item = u8> + '_ {
        self.groups().filter(|group| {
            let needed = self.members(*group).next().map(Mnemonic::share);
            needed.is_some_and(|info| {
                self.members(*group).count() >= usize::from(info.member_threshold)
            })
        })
    }

    fn members(&self, group: u8) -> impl Iterator<Item = &Mnemonic> {
        self.shares
            .iter()
            .filter(move |share| share.share().group_index == group)
    }
}

/// Group and place (both from 0) of a share in a set's record.
///
/// # Errors
/// It is none of the set.
pub(super) fn place(set: &RecoverySet, share: &Mnemonic) -> Result<(usize, usize), Problem> {
    let digest = Digest::of(share.expose().as_bytes());
    set.find(&digest).ok_or_else(|| {
        Problem::new(
            Code::Refused,
            format!(
                "the share is sound, but it is none of this set of vault {}",
                set.vault
            ),
        )
        .hint("compare the set's fingerprint on the sheet: an older set is void")
    })
}

fn same_set(first: ShareInfo, other: ShareInfo) -> Result<(), Problem> {
    let same = first.identifier == other.identifier
        && first.extendable == other.extendable
        && first.iteration_exponent == other.iteration_exponent;
    if !same {
        return Err(another("its first two words differ"));
    }
    if (first.group_count, first.group_threshold) != (other.group_count, other.group_threshold) {
        return Err(another("it speaks of other groups"));
    }
    Ok(())
}

fn another(why: &str) -> Problem {
    Problem::new(
        Code::Refused,
        format!("this sheet is of another set than the first one: {why}"),
    )
    .hint("compare the set's fingerprint on the sheets")
}

/// What people call a share.
fn name(set: Option<&RecoverySet>, info: ShareInfo) -> String {
    let group = group_name(set, info.group_index, info.group_count);
    let share = info.member_index + 1;
    if group.is_empty() {
        format!("share {share}")
    } else {
        format!("{group}, share {share}")
    }
}

/// What people call a group; nothing where there is one alone.
fn group_name(set: Option<&RecoverySet>, index: u8, count: u8) -> String {
    let named = set
        .and_then(|set| set.groups.get(usize::from(index)))
        .and_then(|group| group.name.clone());
    match named {
        Some(name) => name,
        None if count > 1 => format!("group {}", index + 1),
        None => String::new(),
    }
}
