//! Scenarios: for what a vault may be opened at all, and on which terms.
//!
//! Where a roster has scenarios every request for a session names one of them, and is held to it: by the operator's own program, by the
//! worker that draws it up, and by everybody who checks the worker's offer.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Access, Change, Role, Roster};
use crate::trust::{
    TrustError, pattern,
    request::{MAX_REASON, SESSION_SECONDS},
    text::check_name,
};

/// The most scenarios of a roster.
pub const MAX_SCENARIOS: usize = 32;
/// The most checks of a scenario: all their outputs stand in the request.
pub const MAX_CHECKS: usize = 8;
/// By when a session that names no scenario is reviewed, in hours after its end.
pub const REVIEW_HOURS: u16 = 48;

/// A kind of emergency.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Short name, e.g. `security-patch`.
    pub name: String,
    /// Names of the access profiles that it may be used with, at least one.
    pub access: Vec<String>,
    /// Session length where the request names none, in seconds; never more than the access profile allows.
    pub default_seconds: u32,
    /// Longest session, in seconds: the smaller of this and the access profile's counts.
    pub max_seconds: u32,
    /// By when the session is reviewed, in hours after its end, 1 to 168.
    pub review_hours: u16,
    /// What the request must have beside incident and reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<Needed>,
    /// A [pattern](crate::trust::pattern) that the whole of the incident's id must match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// How many characters the reason has at least.
    pub min_reason: u16,
    /// The programs that are run before custodians are asked, by their names in the host's `agent.toml`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Check>,
    /// The sinks of the record that have to acknowledge the request before custodians are asked, by their names in `agent.toml`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sinks: Vec<String>,
}

/// What a request must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Needed {
    /// Whom or what it is about.
    Subject,
    /// Somebody who authorises it.
    Commander,
    /// An incident id that is a ticket's: [`Scenario::ticket`] says how one looks.
    Ticket,
}

/// A program that is run before custodians are asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// Short name: `[checks.NAME]` in the host's `agent.toml`.
    pub name: String,
    /// Whether the request is refused where it does not pass; else custodians see that it did not.
    pub required: bool,
}

impl Needed {
    /// As it is written in `policy.toml`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Subject => "subject",
            Self::Commander => "commander",
            Self::Ticket => "ticket",
        }
    }
}

impl Scenario {
    /// The longest session that it allows in this access profile, in seconds.
    pub fn longest(&self, access: &Access) -> u32 {
        self.max_seconds.min(access.max_seconds)
    }

    /// The session's length where the request names none, in seconds.
    pub fn usual(&self, access: &Access) -> u32 {
        self.default_seconds.min(self.longest(access))
    }

    /// Whether a request must have this.
    pub fn asks_for(&self, needed: Needed) -> bool {
        self.needs.contains(&needed)
    }
}

impl Roster {
    /// The scenario with this name.
    pub fn scenario(&self, name: &str) -> Option<&Scenario> {
        self.scenarios.iter().find(|s| s.name == name)
    }

    pub(super) fn check_scenarios(&self) -> Result<(), TrustError> {
        ensure(
            self.scenarios.len() <= MAX_SCENARIOS,
            "it has over 32 scenarios",
        )?;
        let mut names = BTreeSet::new();
        for scenario in &self.scenarios {
            ensure(
                names.insert(&scenario.name),
                "a scenario stands in it twice",
            )?;
            ensure(
                scenario.access.iter().all(|a| self.access(a).is_some()),
                "a scenario names an access profile that the roster does not have",
            )?;
            ensure(
                !scenario.asks_for(Needed::Commander) || !self.commanders().is_empty(),
                "a scenario needs a commander, and nobody is one",
            )?;
            scenario.check()?;
        }
        for [one, other] in &self.may_coincide {
            ensure(one != other, "a role always coincides with itself")?;
            let pair = [*one, *other];
            ensure(
                !(pair.contains(&Role::Operator) && pair.contains(&Role::Custodian)),
                "nobody approves the own request: operator and custodian never coincide",
            )?;
        }
        Ok(())
    }
}

impl Scenario {
    fn check(&self) -> Result<(), TrustError> {
        check_name("scenario's name", &self.name)?;
        each_once(&self.access, "a scenario names an access profile twice")?;
        ensure(
            !self.access.is_empty(),
            "a scenario names no access profile",
        )?;
        ensure(
            SESSION_SECONDS.contains(&self.max_seconds)
                && (60..=self.max_seconds).contains(&self.default_seconds),
            "a session lasts 1 minute to 11 hours",
        )?;
        ensure(
            (1..=168).contains(&self.review_hours),
            "a review is due 1 to 168 hours after the session",
        )?;
        each_once(&self.needs, "a scenario needs the same twice")?;
        match &self.ticket {
            Some(pattern) => {
                pattern::compile("ticket's pattern", pattern)?;
            }
            None => ensure(
                !self.asks_for(Needed::Ticket),
                "a scenario needs a ticket and does not say how one looks",
            )?,
        }
        ensure(
            usize::from(self.min_reason) <= MAX_REASON / 2,
            "a scenario asks for a longer reason than fits",
        )?;
        let checks: Vec<&String> = self.checks.iter().map(|c| &c.name).collect();
        each_once(&checks, "a scenario runs a check twice")?;
        ensure(checks.len() <= MAX_CHECKS, "a scenario runs over 8 checks")?;
        for name in checks {
            check_name("check's name", name)?;
        }
        each_once(&self.sinks, "a scenario waits for a sink twice")?;
        for name in &self.sinks {
            check_name("sink's name", name)?;
        }
        Ok(())
    }
}

/// What a new version changes about scenarios, in plain words.
pub(super) fn changes(before: &Roster, after: &Roster) -> Vec<Change> {
    let mut found = Vec::new();
    let mut say = |text: String, widens: bool| found.push(Change { text, widens });
    match (before.scenarios.is_empty(), after.scenarios.is_empty()) {
        (true, false) => say("every request has to name a scenario".to_owned(), false),
        (false, true) => say("requests no longer name a scenario".to_owned(), true),
        _ => {}
    }
    for was in &before.scenarios {
        if after.scenario(&was.name).is_none() {
            say(
                format!("scenario {} can no longer be named", was.name),
                false,
            );
        }
    }
    for is in &after.scenarios {
        match before.scenario(&is.name) {
            None => say(
                format!(
                    "scenario {} can be named: access {} for at most {} minutes, review due after {} h",
                    is.name,
                    is.access.join(", "),
                    is.max_seconds / 60,
                    is.review_hours
                ),
                !before.scenarios.is_empty(),
            ),
            Some(was) if was != is => say(
                format!(
                    "scenario {} means something else: {}",
                    is.name,
                    differing(was, is).join(", ")
                ),
                true,
            ),
            Some(_) => {}
        }
    }
    for [one, other] in &after.may_coincide {
        if !before.may_coincide.contains(&[*one, *other]) {
            say(
                format!(
                    "{} and {} of one request may be one person",
                    one.name(),
                    other.name()
                ),
                true,
            );
        }
    }
    for [one, other] in &before.may_coincide {
        if !after.may_coincide.contains(&[*one, *other]) {
            say(
                format!(
                    "{} and {} of one request are different people again",
                    one.name(),
                    other.name()
                ),
                false,
            );
        }
    }
    found
}

fn differing(was: &Scenario, is: &Scenario) -> Vec<&'static str> {
    [
        ("its access profiles", was.access != is.access),
        (
            "its usual length",
            was.default_seconds != is.default_seconds,
        ),
        ("its longest length", was.max_seconds != is.max_seconds),
        ("when it is reviewed", was.review_hours != is.review_hours),
        ("what it needs", was.needs != is.needs),
        ("how a ticket looks", was.ticket != is.ticket),
        ("how long a reason is", was.min_reason != is.min_reason),
        ("its checks", was.checks != is.checks),
        ("its sinks", was.sinks != is.sinks),
    ]
    .into_iter()
    .filter_map(|(what, differs)| differs.then_some(what))
    .collect()
}

fn each_once<T: Ord>(all: &[T], why: &str) -> Result<(), TrustError> {
    let once: BTreeSet<&T> = all.iter().collect();
    ensure(once.len() == all.len(), why)
}

fn ensure(holds: bool, why: &str) -> Result<(), TrustError> {
    if holds {
        Ok(())
    } else {
        Err(TrustError::malformed("roster", why))
    }
}
