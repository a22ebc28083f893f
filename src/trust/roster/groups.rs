//! Groups of custodians: *one of security and one of platform*, pure.
//!
//! Where a roster has groups, each custodian stands in exactly one, each group gives at least as many people as its threshold, and the
//! thresholds add up to the roster's own. So a quorum is the same in the count, in the signatures under the next version, and in the
//! mathematics: each group is a group of the SLIP-39 set, and all groups are needed to combine it.

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};

use super::Roster;

/// Some of the custodians, of whom a number must be among those who approve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Short name, e.g. `security`.
    pub name: String,
    /// How many of its members must approve, at least 1.
    pub threshold: u8,
    /// The custodians in it; nobody stands in two groups.
    pub members: Vec<String>,
}

/// People who are missing from a quorum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lacking {
    /// Whose: a group's name; none where anybody will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// How many.
    pub people: usize,
}

/// Who is still missing from a quorum when these people agree; nobody where they are one. A name that comes twice counts once.
pub fn lacking<'p>(
    threshold: u8,
    groups: &[Group],
    people: impl IntoIterator<Item = &'p str>,
) -> Vec<Lacking> {
    let people: BTreeSet<&str> = people.into_iter().collect();
    let mut found: Vec<Lacking> = Vec::new();
    for group in groups {
        let there = group.members.iter().filter(|m| people.contains(m.as_str()));
        let missing = usize::from(group.threshold).saturating_sub(there.count());
        if missing > 0 {
            found.push(Lacking {
                group: Some(group.name.clone()),
                people: missing,
            });
        }
    }
    let missing = usize::from(threshold).saturating_sub(people.len());
    if found.is_empty() && missing > 0 {
        found.push(Lacking {
            group: None,
            people: missing,
        });
    }
    found
}

impl Roster {
    /// Who is still missing from a quorum of this version when these people agree. Who is no custodian counts for nothing.
    pub fn lacking<'p>(&self, people: impl IntoIterator<Item = &'p str>) -> Vec<Lacking> {
        let custodians: BTreeSet<&str> = self.custodians().map(|p| p.name.as_str()).collect();
        let people = people.into_iter().filter(|p| custodians.contains(p));
        lacking(self.threshold, &self.groups, people)
    }

    /// Whether these people are a quorum.
    pub fn is_quorum<'p>(&self, people: impl IntoIterator<Item = &'p str>) -> bool {
        self.lacking(people).is_empty()
    }

    /// The group that a custodian stands in.
    pub fn group_of(&self, custodian: &str) -> Option<&Group> {
        self.groups
            .iter()
            .find(|g| g.members.iter().any(|m| m == custodian))
    }

    /// What a quorum is, in plain words: `2 custodians`, or `2 custodians: one of security and one of platform`.
    pub fn quorum_in_words(&self) -> String {
        let groups: Vec<String> = self.groups.iter().map(Group::to_string).collect();
        let all = format!("{} custodians", self.threshold);
        if groups.is_empty() {
            all
        } else {
            format!("{all}: {}", groups.join(" and "))
        }
    }
}

/// What a group has to give: `one of security`.
impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        of(f, usize::from(self.threshold), &self.name)
    }
}

/// Who is missing: `one of platform`, `one more custodian`.
impl fmt::Display for Lacking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.group, self.people) {
            (Some(group), people) => of(f, people, group),
            (None, 1) => f.write_str("one more custodian"),
            (None, people) => write!(f, "{people} more custodians"),
        }
    }
}

fn of(f: &mut fmt::Formatter<'_>, people: usize, group: &str) -> fmt::Result {
    match people {
        1 => write!(f, "one of {group}"),
        _ => write!(f, "{people} of {group}"),
    }
}
