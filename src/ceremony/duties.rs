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
            may_coincide: may_coincide(roster).to_vec(),
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

/// The pairs that the roster lets coincide.
fn may_coincide(_: &Roster) -> &[[Role; 2]] {
    &[]
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
}
