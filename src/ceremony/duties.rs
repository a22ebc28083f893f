//! Separation of duties: operator, commander, custodians and officer of one request are different people.
//!
//! A roster may let two of these coincide in one person; operator and custodian never do, because two others have to approve.

use std::fmt;

use crate::trust::{
    request::Request,
    roster::{Role, Roster},
};

/// Who holds which duty in one request, as far as it has come.
#[derive(Clone, Debug)]
pub struct Duties {
    held: Vec<(Role, String)>,
    may_coincide: Vec<[Role; 2]>,
}

/// Somebody holds another duty in this request already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clash {
    /// Who.
    pub person: String,
    /// The duty that this person holds.
    pub is: Role,
    /// The one that does not go with it.
    pub would_be: Role,
}

impl Duties {
    /// What the request itself says: its operator, and the commander that the operator names.
    pub fn of(request: &Request, roster: &Roster) -> Self {
        Self::asked(
            &request.operator,
            request.commander_claimed.as_deref(),
            roster,
        )
    }

    /// The same before there is a request.
    pub fn asked(operator: &str, commander: Option<&str>, roster: &Roster) -> Self {
        let mut duties = Self {
            held: vec![(Role::Operator, operator.to_owned())],
            may_coincide: roster.may_coincide.clone(),
        };
        if let Some(commander) = commander {
            duties.add(Role::Commander, commander);
        }
        duties
    }

    /// Somebody has taken a duty on.
    pub fn add(&mut self, role: Role, person: &str) {
        self.held.push((role, person.to_owned()));
    }

    /// Whether `person` may take a duty on beside what that person holds already.
    pub fn may(&self, person: &str, would_be: Role) -> Result<(), Clash> {
        let clash = self
            .held
            .iter()
            .find(|(is, name)| name == person && !self.go_together(*is, would_be));
        match clash {
            None => Ok(()),
            Some((is, _)) => Err(Clash {
                person: person.to_owned(),
                is: *is,
                would_be,
            }),
        }
    }

    /// The custodians who may vote.
    pub fn electorate<'r>(&self, roster: &'r Roster) -> impl Iterator<Item = &'r str> {
        let custodians = roster.custodians().map(|p| p.name.as_str());
        custodians.filter(|name| self.may(name, Role::Custodian).is_ok())
    }

    fn go_together(&self, a: Role, b: Role) -> bool {
        if a == b {
            return true;
        }
        let pair = |of: [Role; 2], x, y| of == [x, y] || of == [y, x];
        !pair([a, b], Role::Operator, Role::Custodian)
            && self.may_coincide.iter().any(|of| pair(*of, a, b))
    }
}

impl fmt::Display for Clash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            person,
            is,
            would_be,
        } = self;
        let article = |role: Role| match role {
            Role::Operator => "its operator",
            Role::Custodian => "a custodian of it",
            Role::Commander => "its commander",
            Role::Officer => "its officer",
        };
        let held = match is {
            Role::Custodian => "has voted on this request".to_owned(),
            _ => format!("is the {} of this request", is.name()),
        };
        write!(
            f,
            "{person} {held} and cannot be {} too",
            article(*would_be)
        )
    }
}

impl std::error::Error for Clash {}

/// Why a request cannot be made by this operator under this commander.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// The commander who is named has another duty.
    Clash(Clash),
    /// The roster does not list the one who is named as a commander.
    NoCommander {
        /// Who was named.
        name: String,
        /// Those whom it lists.
        listed: Vec<String>,
    },
    /// Those who are left could not approve it.
    TooFew {
        /// Who has another duty beside the operator.
        besides: Option<String>,
        /// The group that lacks somebody; where there are none, how many custodians it takes and how many are left.
        lacks: Result<String, (u8, usize)>,
    },
}

/// Whether the people of a roster can carry a request by this operator under this commander. Where the roster lists commanders, it has to be one
/// of them. A roster without any knows nobody who could confirm it, so whoever is named stays the operator's word; but nobody is named as what
/// the roster says that person is not.
pub fn separate(roster: &Roster, operator: &str, commander: Option<&str>) -> Result<(), Unfit> {
    if let Some(name) = commander {
        Duties::asked(operator, None, roster)
            .may(name, Role::Commander)
            .map_err(Unfit::Clash)?;
        let people = roster.people.iter();
        let listed = people.filter(|p| p.roles.contains(&Role::Commander));
        let listed: Vec<String> = listed.map(|p| p.name.clone()).collect();
        let unknown = listed.is_empty() && roster.person(name).is_none();
        if !unknown && !listed.iter().any(|is| is == name) {
            let name = name.to_owned();
            return Err(Unfit::NoCommander { name, listed });
        }
    }
    let duties = Duties::asked(operator, commander, roster);
    let left: Vec<&str> = duties.electorate(roster).collect();
    let lacking = roster.lacking(left.iter().copied());
    let Some(first) = lacking.first() else {
        return Ok(());
    };
    let custodian = |name: &&str| roster.custodians().any(|p| p.name == *name);
    Err(Unfit::TooFew {
        besides: commander.filter(custodian).map(str::to_owned),
        lacks: first.group.clone().ok_or((roster.threshold, left.len())),
    })
}

impl Unfit {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Clash(_) => "name the commander who is not you".to_owned(),
            Self::NoCommander { listed, .. } if listed.is_empty() => {
                "it lists none: see twotap roster show".to_owned()
            }
            Self::NoCommander { listed, .. } => format!("it has: {}", listed.join(", ")),
            Self::TooFew { besides: None, .. } => {
                "somebody who is not a custodian has to ask".to_owned()
            }
            Self::TooFew { .. } => {
                "name a commander who is not a custodian, or let somebody ask who is none"
                    .to_owned()
            }
        }
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clash(clash) => write!(f, "{clash}"),
            Self::NoCommander { name, .. } => write!(f, "{name} is no commander of this vault"),
            Self::TooFew { besides, lacks } => {
                let and = besides.as_ref().map(|name| format!(" and {name}"));
                let besides = format!("besides you{}", and.unwrap_or_default());
                match lacks {
                    Ok(group) => write!(
                        f,
                        "this vault needs custodians of {group} {besides}, and has too few"
                    ),
                    Err((threshold, left)) => write!(
                        f,
                        "this vault needs {threshold} custodians {besides}, and has {left}"
                    ),
                }
            }
        }
    }
}

impl std::error::Error for Unfit {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::tests::people::{self, SoftToken};

    const ALL: [Role; 4] = [
        Role::Operator,
        Role::Commander,
        Role::Custodian,
        Role::Officer,
    ];

    fn held(role: Role, may_coincide: &[[Role; 2]]) -> Duties {
        Duties {
            held: vec![(role, "alice".to_owned())],
            may_coincide: may_coincide.to_vec(),
        }
    }

    #[test]
    fn nobody_holds_two_duties_in_one_request() {
        for is in ALL {
            for would_be in ALL {
                let may = held(is, &[]).may("alice", would_be);
                assert_eq!(may.is_ok(), is == would_be, "{is:?} and {would_be:?}");
                assert!(held(is, &[]).may("bob", would_be).is_ok());
            }
        }
    }

    #[test]
    fn a_roster_may_let_two_coincide_but_never_operator_and_custodian() {
        for a in ALL {
            for b in ALL {
                let never = [a, b] == [Role::Operator, Role::Custodian]
                    || [a, b] == [Role::Custodian, Role::Operator];
                for pair in [[a, b], [b, a]] {
                    let may = held(a, &[pair]).may("alice", b);
                    assert_eq!(may.is_ok(), !never, "{a:?} and {b:?}");
                }
            }
        }
        // What is let coincide is that pair and no other.
        let commander = held(Role::Commander, &[[Role::Commander, Role::Officer]]);
        assert!(commander.may("alice", Role::Custodian).is_err());
    }

    #[test]
    fn neither_operator_nor_the_named_commander_is_among_those_who_may_vote() {
        let [alice, bob, carol] = ["alice", "bob", "carol"].map(SoftToken::new);
        let roster = people::verified(2, &[&alice, &bob, &carol]);
        let left = |operator, commander| -> Vec<&str> {
            Duties::asked(operator, commander, &roster)
                .electorate(&roster)
                .collect()
        };
        assert_eq!(left("dana", None), ["alice", "bob", "carol"]);
        assert_eq!(left("bob", None), ["alice", "carol"]);
        assert_eq!(left("dana", Some("ivan")), ["alice", "bob", "carol"]);
        assert_eq!(left("bob", Some("alice")), ["carol"]);
    }

    #[test]
    fn what_is_said_names_both_duties() {
        let clash = |is, would_be| held(is, &[]).may("alice", would_be).expect_err("a clash");
        assert_eq!(
            clash(Role::Commander, Role::Custodian).to_string(),
            "alice is the commander of this request and cannot be a custodian of it too"
        );
        assert_eq!(
            clash(Role::Custodian, Role::Commander).to_string(),
            "alice has voted on this request and cannot be its commander too"
        );
    }

    /// Alice, bob and carol are custodians; of those, alice may command, and ivan does nothing else.
    fn with_commanders() -> Roster {
        let [alice, bob, carol] = ["alice", "bob", "carol"].map(SoftToken::new);
        let mut roster = people::roster(2, &[&alice, &bob, &carol]);
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
        assert_eq!(separate(&roster, "dana", None), Ok(()));
        assert_eq!(separate(&roster, "dana", Some("ivan")), Ok(()));
        for name in ["bob", "stranger"] {
            let problem = separate(&roster, "dana", Some(name)).expect_err("refused");
            assert_eq!(problem.hint(), "it has: alice, ivan");
        }
    }

    #[test]
    fn where_nobody_commands_a_name_stays_a_claim_and_nobody_is_made_one() {
        let mut roster = with_commanders();
        for person in &mut roster.people {
            person.roles.retain(|role| *role != Role::Commander);
        }
        assert_eq!(separate(&roster, "dana", Some("somebody")), Ok(()));
        assert!(separate(&roster, "dana", Some("bob")).is_err());
    }

    #[test]
    fn nobody_commands_the_own_request() {
        let problem = separate(&with_commanders(), "ivan", Some("ivan")).expect_err("refused");
        assert_eq!(
            problem.to_string(),
            "ivan is the operator of this request and cannot be its commander too"
        );
    }

    #[test]
    fn a_commander_who_is_a_custodian_must_leave_a_quorum() {
        let mut roster = with_commanders();
        assert_eq!(separate(&roster, "dana", Some("alice")), Ok(()));
        let problem = separate(&roster, "bob", Some("alice")).expect_err("carol alone is left");
        assert_eq!(
            problem.to_string(),
            "this vault needs 2 custodians besides you and alice, and has 1"
        );
        roster.threshold = 3;
        let problem = separate(&roster, "bob", None).expect_err("two are left");
        assert_eq!(
            problem.to_string(),
            "this vault needs 3 custodians besides you, and has 2"
        );
    }
}
