//! `--group NAME:K:PEOPLE`: of which custodians how many have to be among those who approve.

use crate::{
    protocol::{Code, Problem},
    trust::roster::{Group, Roster},
};

/// How a group is written, for hints.
const FORM: &str = "e.g. --group security:1:alice,bob --group platform:1:carol,ivan";

/// Reads what stands behind each `--group`.
pub(super) fn read(arguments: &[String]) -> Result<Vec<Group>, Problem> {
    arguments
        .iter()
        .map(|argument| {
            let mut parts = argument.splitn(3, ':');
            let group = match (parts.next(), parts.next(), parts.next()) {
                (Some(name), Some(threshold), Some(members)) => threshold
                    .parse()
                    .ok()
                    .map(|threshold| (name, threshold, members)),
                _ => None,
            };
            let (name, threshold, members) = group.ok_or_else(|| {
                Problem::new(Code::Usage, "--group takes NAME:K:PEOPLE").hint(FORM)
            })?;
            Ok(Group {
                name: name.to_owned(),
                threshold,
                members: members.split(',').map(str::to_owned).collect(),
            })
        })
        .collect()
}

/// How many people groups have to give together.
pub(super) fn together(groups: &[Group]) -> u32 {
    groups.iter().map(|g| u32::from(g.threshold)).sum()
}

/// What would be refused as a document anyway, in words that name the option.
pub(super) fn sensible(roster: &Roster) -> Result<(), Problem> {
    let groups = &roster.groups;
    let usage = |what: String, hint: &str| Err(Problem::new(Code::Usage, what).hint(hint));
    if groups.is_empty() {
        return Ok(());
    }
    if groups.len() == 1 {
        return usage(
            "one --group alone says no more than --threshold".to_owned(),
            FORM,
        );
    }
    for group in groups {
        let members = group.members.len();
        if group.threshold == 0 || usize::from(group.threshold) > members {
            return usage(
                format!(
                    "group {} has to give {}, and has {members}",
                    group.name, group.threshold
                ),
                "say the groups anew, each with --group NAME:K:PEOPLE",
            );
        }
        for member in &group.members {
            if !roster.custodians().any(|p| p.name == *member) {
                return usage(
                    format!("{member}, of group {}, is not a custodian", group.name),
                    "a group's members are custodians of the roster, with commas between them",
                );
            }
            let times = groups
                .iter()
                .flat_map(|g| &g.members)
                .filter(|m| *m == member);
            if times.count() > 1 {
                return usage(
                    format!("{member} stands in two groups, or in one twice"),
                    "each custodian stands in one group: a tap counts once",
                );
            }
        }
    }
    if let Some(outside) = roster
        .custodians()
        .find(|p| roster.group_of(&p.name).is_none())
    {
        return usage(
            format!("custodian {} is in no group", outside.name),
            "where there are groups everybody is in one: say them all with --group",
        );
    }
    if together(groups) != u32::from(roster.threshold) {
        return usage(
            format!(
                "the groups have to give {} people together, and --threshold is {}",
                together(groups),
                roster.threshold
            ),
            "let the two agree: the sealed key is split by groups, and every group is needed",
        );
    }
    Ok(())
}

/// Each group with its people: `one of security (alice, bob)`; none where there are no groups.
pub(super) fn in_words(groups: &[Group]) -> Option<String> {
    let words: Vec<String> = groups
        .iter()
        .map(|g| format!("{g} ({})", g.members.join(", ")))
        .collect();
    (!words.is_empty()).then(|| words.join(" and "))
}
