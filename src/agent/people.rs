//! From an account to a person, and what that person may do.

use std::sync::Arc;

use super::{Agent, record::Record, table::Permission, vaults::Known};
use crate::{
    audit::event::Actor,
    protocol::{Code, Problem, socket::Person},
    trust::roster::{self, Role},
};

/// The account that stands for nobody.
const NOBODY: u32 = 65534;

/// A person of a roster, at an account of this host.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    pub(super) name: String,
    pub(super) roles: Vec<Role>,
    pub(super) member_of: Vec<String>,
    /// The account as it stands in the record: `uid:UID@HOST-KEY-ID`.
    pub(super) who: String,
}

impl Listed {
    fn of(person: &roster::Person, uid: u32, known: &Known) -> Self {
        Self {
            name: person.name.clone(),
            roles: person.roles.clone(),
            member_of: person.member_of.clone(),
            who: format!("uid:{uid}@{}", known.host),
        }
    }

    /// As the status shows it.
    pub(super) fn to_person(&self) -> Person {
        Person {
            name: self.name.clone(),
            roles: self.roles.iter().map(|r| r.name().to_owned()).collect(),
            account: Some(self.who.clone()),
            member_of: self.member_of.clone(),
        }
    }

    /// Whether `permission` is this person's; `record` is the request that it is about.
    pub(super) fn may(
        &self,
        permission: Permission,
        record: Option<&Record>,
    ) -> Result<(), Problem> {
        let has = |role| self.roles.contains(&role);
        let own = record.is_some_and(|r| r.request.operator == self.name);
        let (holds, who) = match permission {
            Permission::Listed => (true, ""),
            Permission::Operator => (has(Role::Operator), "an operator of this vault"),
            Permission::Custodian => (has(Role::Custodian), "a custodian of this vault"),
            Permission::Commander => (has(Role::Commander), "a commander of this vault"),
            Permission::Officer => (has(Role::Officer), "an officer of this vault"),
            Permission::CustodianOrOfficer => (
                has(Role::Custodian) || has(Role::Officer),
                "a custodian or officer of this vault",
            ),
            Permission::OperatorOrOfficer => (
                has(Role::Operator) || has(Role::Officer),
                "an operator or officer of this vault",
            ),
            Permission::OwnRequest => (own, "the operator of this request"),
            Permission::OwnRequestOrOfficer => (
                own || has(Role::Officer),
                "the operator of this request, or an officer of this vault",
            ),
        };
        if holds {
            Ok(())
        } else {
            Err(
                Problem::new(Code::Refused, format!("{} may not do that", self.name))
                    .hint(format!("it takes {who}; see: twotap roster show")),
            )
        }
    }
}

impl Agent {
    /// Who uses this account, in any vault of this host.
    pub(super) async fn listed(self: &Arc<Self>, uid: u32) -> Result<Listed, Problem> {
        self.a_person(uid)?;
        if let Some(listed) = self.listed_now(uid) {
            return Ok(listed);
        }
        // A vault may have been installed since.
        self.look_for_vaults().await;
        self.listed_now(uid).ok_or_else(|| {
            if self.vaults.all(self).is_empty() {
                nothing_installed()
            } else {
                unlisted(uid)
            }
        })
    }

    /// Who uses this account in one vault.
    pub(super) async fn listed_in(
        self: &Arc<Self>,
        uid: u32,
        vault: &str,
    ) -> Result<Listed, Problem> {
        self.a_person(uid)?;
        let known = self.vault(vault).await?;
        known
            .roster
            .person_at(known.host, uid)
            .map(|p| Listed::of(p, uid, &known))
            .ok_or_else(|| unlisted(uid))
    }

    /// Whether one person answers for an account, whoever that is.
    fn a_person(&self, uid: u32) -> Result<(), Problem> {
        not_a_person(uid, self.own_uid)?;
        self.one_persons(uid)
    }

    /// Whether an account is somebody's, as far as is known now.
    pub(super) fn is_listed(&self, uid: u32) -> bool {
        self.a_person(uid).is_ok() && self.listed_now(uid).is_some()
    }

    /// Whether an account may see what a vault's people see.
    pub(super) fn sees(&self, uid: u32, vault: &str) -> bool {
        self.vaults
            .known(vault)
            .is_some_and(|known| known.roster.person_at(known.host, uid).is_some())
    }

    fn listed_now(&self, uid: u32) -> Option<Listed> {
        self.vaults.all(self).iter().find_map(|known| {
            let person = known.roster.person_at(known.host, uid)?;
            Some(Listed::of(person, uid, known))
        })
    }
}

/// A person of the roster, or an operator of a request, as the record names who did something.
pub(super) fn actor(name: &str) -> Result<Actor, Problem> {
    Actor::person(name).map_err(|why| Problem::new(Code::Internal, why))
}

/// Some accounts are nobody's, whatever a roster says.
fn not_a_person(uid: u32, own: u32) -> Result<(), Problem> {
    let what = match uid {
        0 => "root",
        NOBODY => "nobody",
        uid if uid == own => "the agent's own account",
        _ => return Ok(()),
    };
    Err(
        Problem::new(Code::Refused, format!("{what} is not a person"))
            .hint("run twotap under your own account"),
    )
}

fn nothing_installed() -> Problem {
    Problem::new(
        Code::Refused,
        "no vault is installed on this host yet, so nobody is known",
    )
    .hint("root pins the signed roster: twotap-worker install roster.json")
}

fn unlisted(uid: u32) -> Problem {
    Problem::new(
        Code::Refused,
        format!("account {uid} of this host is nobody's in the roster"),
    )
    .hint("the custodians list accounts in the roster: twotap roster show")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(roles: &[Role]) -> Listed {
        Listed {
            name: "dana".to_owned(),
            roles: roles.to_vec(),
            member_of: Vec::new(),
            who: String::new(),
        }
    }

    #[test]
    fn root_nobody_and_the_agent_are_not_people() {
        for uid in [0, NOBODY, 61001] {
            let why = not_a_person(uid, 61001).expect_err("refused");
            assert_eq!(why.code, Code::Refused);
        }
        assert!(not_a_person(61010, 61001).is_ok());
    }

    #[test]
    fn a_role_opens_what_is_its_own_and_nothing_else() {
        use Permission as P;
        for (role, may) in [
            (Role::Operator, P::Operator),
            (Role::Custodian, P::Custodian),
            (Role::Officer, P::Officer),
        ] {
            for permission in [P::Operator, P::Custodian, P::Officer] {
                assert_eq!(
                    person(&[role]).may(permission, None).is_ok(),
                    permission == may
                );
            }
        }
        for (role, may) in [
            (Role::Operator, false),
            (Role::Commander, false),
            (Role::Custodian, true),
            (Role::Officer, true),
        ] {
            let allowed = person(&[role]).may(P::CustodianOrOfficer, None);
            assert_eq!(allowed.is_ok(), may, "{role:?}");
        }
        assert!(person(&[]).may(P::Listed, None).is_ok());
        assert!(person(&[Role::Commander]).may(P::Officer, None).is_err());
    }

    #[test]
    fn without_a_record_nothing_is_anybodys_own() {
        let officer = person(&[Role::Officer]);
        assert!(officer.may(Permission::OwnRequest, None).is_err());
        assert!(officer.may(Permission::OwnRequestOrOfficer, None).is_ok());
        let operator = person(&[Role::Operator]);
        assert!(operator.may(Permission::OwnRequestOrOfficer, None).is_err());
    }
}
