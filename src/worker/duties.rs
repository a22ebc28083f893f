//! Whether a request can be made by this operator under this commander at all, so that a quorum of other people is left to approve it.

use super::home::Vault;
use crate::{
    ceremony::duties::Duties,
    protocol::{Code, Problem},
    trust::roster::{Role, Roster},
};

/// Refuses a commander who cannot be one, and a request that the people who are left could not approve.
pub(super) fn separate(
    vault: &Vault,
    operator: &str,
    commander: Option<&str>,
) -> Result<(), Problem> {
    check(&vault.roster, operator, commander)
}

fn check(roster: &Roster, operator: &str, commander: Option<&str>) -> Result<(), Problem> {
    if let Some(commander) = commander {
        may_command(roster, operator, commander)?;
    }
    let duties = Duties::asked(operator, commander, roster);
    let others: Vec<&str> = duties.electorate(roster).collect();
    let lacking = roster.lacking(others.iter().copied());
    if lacking.is_empty() {
        return Ok(());
    }
    let besides = match commander.filter(|c| roster.custodians().any(|p| p.name == *c)) {
        Some(commander) => format!("you and {commander}"),
        None => "you".to_owned(),
    };
    let what = match &lacking[0].group {
        Some(group) => {
            format!("this vault needs custodians of {group} besides {besides}, and has too few")
        }
        None => format!(
            "this vault needs {} custodians besides {besides}, and has {}",
            roster.threshold,
            others.len()
        ),
    };
    Err(Problem::new(Code::Refused, what).hint(match besides.as_str() {
        "you" => "somebody who is not a custodian has to ask",
        _ => "name a commander who is not a custodian, or somebody who is not a custodian has to ask",
    }))
}

/// Where the roster lists commanders, it is one of them. A roster without any knows nobody who could confirm it, so that whoever is named stays
/// the operator's word; but nobody is named as what the roster says that person is not.
fn may_command(roster: &Roster, operator: &str, commander: &str) -> Result<(), Problem> {
    Duties::asked(operator, None, roster)
        .may(commander, Role::Commander)
        .map_err(|clash| {
            Problem::new(Code::Refused, clash).hint("name the commander who is not you")
        })?;
    let listed = |role| {
        roster
            .people
            .iter()
            .filter(move |p| p.roles.contains(&role))
    };
    let commanders: Vec<&str> = listed(Role::Commander).map(|p| p.name.as_str()).collect();
    let unlisted = commanders.is_empty() && roster.person(commander).is_none();
    if commanders.contains(&commander) || unlisted {
        return Ok(());
    }
    let hint = match commanders.as_slice() {
        [] => "it lists none: see twotap roster show".to_owned(),
        _ => format!("it has: {}", commanders.join(", ")),
    };
    Err(Problem::new(
        Code::Refused,
        format!("{commander} is no commander of this vault"),
    )
    .hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::tests::people::{SoftToken, roster};

    /// Alice, bob and carol are custodians; of those, alice may command, and ivan does nothing else.
    fn with_commanders() -> Roster {
        let [alice, bob, carol] = ["alice", "bob", "carol"].map(SoftToken::new);
        let mut roster = roster(2, &[&alice, &bob, &carol]);
        roster.people[0].roles.push(Role::Commander);
        let mut ivan = roster.people[1].clone();
        ivan.name = "ivan".into();
        ivan.roles = vec![Role::Commander];
        roster.people.push(ivan);
        roster
    }

    #[test]
    fn a_commander_is_one_whom_the_roster_lists_as_that() {
        let roster = with_commanders();
        assert_eq!(check(&roster, "dana", None), Ok(()));
        assert_eq!(check(&roster, "dana", Some("ivan")), Ok(()));
        for name in ["bob", "mallory"] {
            let problem = check(&roster, "dana", Some(name)).expect_err("refused");
            assert_eq!(problem.code, Code::Refused);
            assert_eq!(problem.hint.as_deref(), Some("it has: alice, ivan"));
        }
    }

    #[test]
    fn where_nobody_commands_a_name_stays_a_claim_and_nobody_is_made_one() {
        let mut roster = with_commanders();
        for person in &mut roster.people {
            person.roles.retain(|role| *role != Role::Commander);
        }
        assert_eq!(check(&roster, "dana", Some("grace")), Ok(()));
        assert!(check(&roster, "dana", Some("bob")).is_err());
    }

    #[test]
    fn nobody_commands_the_own_request() {
        let problem = check(&with_commanders(), "ivan", Some("ivan")).expect_err("refused");
        assert_eq!(
            problem.error,
            "ivan is the operator of this request and cannot be its commander too"
        );
    }

    #[test]
    fn a_commander_who_is_a_custodian_must_leave_a_quorum() {
        let mut roster = with_commanders();
        assert_eq!(check(&roster, "dana", Some("alice")), Ok(()));
        let problem = check(&roster, "bob", Some("alice")).expect_err("carol alone is left");
        assert_eq!(
            problem.error,
            "this vault needs 2 custodians besides you and alice, and has 1"
        );
        roster.threshold = 3;
        let problem = check(&roster, "bob", None).expect_err("two are left");
        assert_eq!(
            problem.error,
            "this vault needs 3 custodians besides you, and has 2"
        );
    }
}
