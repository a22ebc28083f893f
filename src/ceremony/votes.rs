//! Votes: people are counted, not keys, and nobody votes on the own request.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::duties::{Clash, Duties};
use crate::trust::{
    Envelope, KeyId, Timestamp, TrustError, Verified,
    request::{self, Denial, Offer},
    roster::{Group, Lacking, Role, Roster, Token, lacking},
};

/// Where a request stands after a vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// More approvals are needed.
    Waiting,
    /// The threshold is reached.
    Approved,
    /// The threshold can no longer be reached.
    Denied,
}

/// Why a vote does not count.
#[derive(Debug)]
pub enum Refusal {
    /// The time for approvals is over.
    TooLate {
        /// When it ended.
        at: Timestamp,
    },
    /// The voter is the operator of this request.
    OwnRequest {
        /// The voter.
        person: String,
    },
    /// The voter has another duty in this request.
    OtherDuty(Clash),
    /// This person has voted already, with this or another token.
    AlreadyVoted {
        /// The voter.
        person: String,
    },
    /// This person has no approval here that could be taken back.
    NothingToWithdraw {
        /// Who asked.
        person: String,
    },
    /// The vote itself is not to be believed.
    Trust(TrustError),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLate { at } => write!(f, "approvals were taken until {at}"),
            Self::OwnRequest { person } => {
                write!(
                    f,
                    "{person} is the operator of this request and cannot vote on it"
                )
            }
            Self::OtherDuty(clash) => write!(f, "{clash}"),
            Self::AlreadyVoted { person } => {
                write!(f, "{person} has voted on this request already")
            }
            Self::NothingToWithdraw { person } => {
                write!(f, "{person} has not approved this request")
            }
            Self::Trust(why) => write!(f, "{why}"),
        }
    }
}

impl std::error::Error for Refusal {}

impl From<Clash> for Refusal {
    fn from(clash: Clash) -> Self {
        match clash.is {
            Role::Operator => Self::OwnRequest {
                person: clash.person,
            },
            _ => Self::OtherDuty(clash),
        }
    }
}

impl From<TrustError> for Refusal {
    fn from(why: TrustError) -> Self {
        Self::Trust(why)
    }
}

/// Proof that a custodian's signature over this request was checked; made by [`super::Requested`] alone.
#[derive(Debug)]
pub struct Voter {
    person: String,
    serial: u32,
    key: KeyId,
    denial: Option<String>,
}

impl Voter {
    /// Whose vote.
    pub fn person(&self) -> &str {
        &self.person
    }

    /// The token that made it.
    pub fn serial(&self) -> u32 {
        self.serial
    }

    /// Key id of its approve key.
    pub fn key(&self) -> KeyId {
        self.key
    }

    /// The reason, if it is a no.
    pub fn denial(&self) -> Option<&str> {
        self.denial.as_deref()
    }
}

/// Proof that a custodian takes back an approval that was counted; made by [`super::Requested`] alone.
#[derive(Debug)]
pub struct Withdrawer(Voter);

impl Withdrawer {
    /// Whose approval.
    pub fn person(&self) -> &str {
        &self.0.person
    }

    /// The token that signed the withdrawal.
    pub fn serial(&self) -> u32 {
        self.0.serial
    }

    /// Key id of its approve key.
    pub fn key(&self) -> KeyId {
        self.0.key
    }
}

/// The votes on one request.
#[derive(Debug)]
pub(super) struct Votes {
    threshold: u8,
    groups: Vec<Group>,
    /// Custodians who may vote: all but the operator and the commander who is named.
    electorate: Vec<String>,
    approved: Vec<String>,
    denied: Vec<String>,
    /// Approved and taken back. Final: the approval itself could be handed in again by whoever has kept it.
    withdrawn: Vec<String>,
}

impl Votes {
    pub(super) fn new(roster: &Roster, duties: &Duties) -> Self {
        Self {
            threshold: roster.threshold,
            groups: roster.groups.clone(),
            electorate: duties.electorate(roster).map(str::to_owned).collect(),
            approved: Vec::new(),
            denied: Vec::new(),
            withdrawn: Vec::new(),
        }
    }

    pub(super) fn approved(&self) -> &[String] {
        &self.approved
    }

    pub(super) fn denied(&self) -> &[String] {
        &self.denied
    }

    pub(super) fn has_voted(&self, person: &str) -> bool {
        self.approved
            .iter()
            .chain(&self.denied)
            .chain(&self.withdrawn)
            .any(|p| p == person)
    }

    pub(super) fn count(&mut self, person: String, denied: bool) {
        if !self.electorate.contains(&person) || self.has_voted(&person) {
            return;
        }
        if denied {
            self.denied.push(person);
        } else {
            self.approved.push(person);
        }
    }

    pub(super) fn withdraw(&mut self, person: &str) {
        if let Some(at) = self.approved.iter().position(|p| p == person) {
            self.withdrawn.push(self.approved.remove(at));
        }
    }

    /// Who is still missing.
    pub(super) fn lacking(&self) -> Vec<Lacking> {
        self.without(&self.approved)
    }

    pub(super) fn standing(&self) -> Standing {
        if self.lacking().is_empty() {
            return Standing::Approved;
        }
        let may_yet = self
            .electorate
            .iter()
            .filter(|p| !self.denied.contains(p) && !self.withdrawn.contains(p));
        if self.without(may_yet).is_empty() {
            Standing::Waiting
        } else {
            Standing::Denied
        }
    }

    fn without<'p>(&self, people: impl IntoIterator<Item = &'p String>) -> Vec<Lacking> {
        let people = people.into_iter().map(String::as_str);
        lacking(self.threshold, &self.groups, people)
    }
}

pub(super) fn check_approval(
    approval: &Envelope,
    offer: &Verified<Offer>,
    roster: &Verified<Roster>,
) -> Result<Voter, Refusal> {
    let token = request::verify_approval(approval, offer, roster)?;
    Ok(voter(token, None))
}

pub(super) fn check_denial(
    denial: &Envelope,
    offer: &Verified<Offer>,
    roster: &Verified<Roster>,
) -> Result<Voter, Refusal> {
    let (token, Denial { reason, .. }) = request::verify_denial(denial, offer, roster)?;
    Ok(voter(token, Some(reason)))
}

pub(super) fn check_withdrawal(
    withdrawal: &Envelope,
    offer: &Verified<Offer>,
    roster: &Verified<Roster>,
) -> Result<Withdrawer, Refusal> {
    let token = request::verify_withdrawal(withdrawal, offer, roster)?;
    Ok(Withdrawer(voter(token, None)))
}

fn voter(token: Token, denial: Option<String>) -> Voter {
    Voter {
        key: token.approve.key.id(),
        person: token.person,
        serial: token.serial,
        denial,
    }
}
