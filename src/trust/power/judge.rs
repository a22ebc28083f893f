//! Whether an access profile may stand in a roster that somebody vouches for.

use std::fmt;

use super::{
    analysis::{Power, power},
    document,
    render::{PolicyError, PolicyVars, session_policy},
};
use crate::trust::{
    Timestamp,
    roster::{Access, Role, Roster},
};

/// How long values are that a policy must have room for: an incident's id and a subject. Longer ones may still fit, and are refused when
/// asked for where they do not.
const ROOM: (usize, usize) = (32, 64);
/// The longest name of a person.
const LONGEST_NAME: usize = 32;

/// A profile that may not stand in a roster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The profile's name.
    pub access: String,
    /// Why not.
    pub why: Why,
}

/// Why a profile may not stand in a roster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// AWS would not take what its template becomes.
    Policy(PolicyError),
    /// It allows wholesale and does not say so.
    Broad(String),
    /// It hands out lasting power and does not say so.
    Lasting(String),
    /// Its template asks for a subject, and it does not say what one looks like.
    NoPattern,
    /// It says what a subject looks like, and its template asks for none: every subject would get the same.
    NoSubject,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "access '{}': ", self.access)?;
        match &self.why {
            Why::Policy(why) => write!(f, "{why}"),
            Why::Broad(what) => write!(f, "it allows {what}, and does not say that it is broad"),
            Why::Lasting(what) => write!(
                f,
                "it can change {what}, which outlives the session, and does not say so"
            ),
            Why::NoPattern => f.write_str(
                "its policy asks for ${subject}, and it does not say what a subject looks like",
            ),
            Why::NoSubject => f.write_str(
                "it says what a subject looks like, and its policy asks for no ${subject}",
            ),
        }
    }
}

impl std::error::Error for Refusal {}

impl Refusal {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match &self.why {
            Why::Policy(why) => return why.hint(),
            Why::Broad(_) => {
                "name the actions and resources; or say broad = true, which is shown in red whenever it is asked for".to_owned()
            }
            Why::Lasting(_) => {
                "leave it out or deny it; or say persistence = true, which is shown in red whenever it is asked for".to_owned()
            }
            Why::NoPattern => "say what one looks like: subject = \"u-[0-9]+\"".to_owned(),
            Why::NoSubject => "put ${subject} into the policy, or leave 'subject' out".to_owned(),
        })
    }
}

/// Judges one profile; `operators` are the names that may stand in its policy.
///
/// # Errors
/// A [`Refusal`], by the first rule that does not hold.
pub fn judge_access<'n>(
    access: &Access,
    operators: impl Iterator<Item = &'n str>,
) -> Result<Power, Refusal> {
    weigh(access, operators).map_err(|why| Refusal {
        access: access.name.clone(),
        why,
    })
}

/// Judges every profile of a roster.
///
/// # Errors
/// The first profile that may not stand in it.
pub fn judge_all(roster: &Roster) -> Result<(), Refusal> {
    for access in &roster.access {
        judge_access(access, operators(roster))?;
    }
    Ok(())
}

/// Judges what `after` has that `before` has not: a profile that was signed once stays until somebody changes it.
///
/// # Errors
/// The first new or changed profile that may not stand in it.
pub fn judge_change(before: &Roster, after: &Roster) -> Result<(), Refusal> {
    for access in &after.access {
        if before.access(&access.name) != Some(access) {
            judge_access(access, operators(after))?;
        }
    }
    Ok(())
}

/// What a profile's template amounts to, whatever the profile says of itself.
///
/// # Errors
/// [`PolicyError`] where AWS would not take it.
pub fn power_of(access: &Access) -> Result<Power, PolicyError> {
    Ok(power(&document::read(&access.policy.0)?))
}

fn weigh<'n>(access: &Access, operators: impl Iterator<Item = &'n str>) -> Result<Power, Why> {
    let found = power_of(access).map_err(Why::Policy)?;
    let longest = operators.map(str::len).max().unwrap_or(LONGEST_NAME);
    let sample = PolicyVars {
        subject: "x".repeat(ROOM.1),
        incident: "x".repeat(ROOM.0),
        operator: "x".repeat(longest.clamp(1, LONGEST_NAME)),
        request: "r-aaaaaaaaaaaaa".to_owned(),
    };
    let at = Timestamp(0).into();
    session_policy(&access.policy.0, &sample, at, &access.probe).map_err(Why::Policy)?;
    match (access.is_about_a_subject(), &access.subject) {
        (true, None) => return Err(Why::NoPattern),
        (false, Some(_)) => return Err(Why::NoSubject),
        _ => {}
    }
    if let (false, Some(what)) = (access.broad, found.broad.first()) {
        return Err(Why::Broad(what.clone()));
    }
    if let (false, Some(what)) = (access.persistence, found.lasting.first()) {
        return Err(Why::Lasting(what.clone()));
    }
    Ok(found)
}

fn operators(roster: &Roster) -> impl Iterator<Item = &str> {
    roster
        .people
        .iter()
        .filter(|p| p.roles.contains(&Role::Operator))
        .map(|p| p.name.as_str())
}

#[cfg(test)]
mod tests;
