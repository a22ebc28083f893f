//! What an operator gave of a request, and what is still needed of it under a roster.

use rand_core::{OsRng, RngCore as _};

use crate::{
    cli::{span, ui::plain},
    protocol::{Code, Problem, job::Ask},
    trust::{
        Bytes,
        request::{BannedUse, MAX_INCIDENT, MAX_REASON, SESSION_SECONDS, check_subject},
        roster::{Access, Needed, Roster, Scenario},
        text::{check_name, check_text},
    },
};

/// A request as far as it was given: each part is well-formed, whether it is allowed is the roster's to say.
#[derive(Clone, Debug, Default)]
pub(in crate::cli) struct Given {
    pub(in crate::cli) access: Option<String>,
    pub(in crate::cli) scenario: Option<String>,
    pub(in crate::cli) incident: Option<String>,
    pub(in crate::cli) reason: Option<String>,
    pub(in crate::cli) seconds: Option<u32>,
    pub(in crate::cli) commander: Option<String>,
    pub(in crate::cli) subject: Option<String>,
    pub(in crate::cli) confirmed: Vec<BannedUse>,
    pub(in crate::cli) follows: Option<String>,
}

/// What a request needs and does not have yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lacking {
    Incident,
    Scenario,
    Reason,
    Access,
    Commander,
    Subject,
    NotFor,
}

impl Given {
    /// Whether each part is well-formed.
    pub(in crate::cli) fn check(&self) -> Result<(), Problem> {
        if let Some(access) = &self.access {
            check_name("access profile's name", access)?;
        }
        if let Some(scenario) = &self.scenario {
            check_name("scenario's name", scenario)?;
        }
        if let Some(incident) = &self.incident {
            check_text("incident", incident, MAX_INCIDENT)?;
        }
        if let Some(reason) = &self.reason {
            check_text("reason", reason, MAX_REASON)?;
        }
        if let Some(commander) = &self.commander {
            check_name("commander's name", commander)?;
        }
        if let Some(subject) = &self.subject {
            check_subject(subject)?;
        }
        match self.seconds {
            Some(seconds) if !SESSION_SECONDS.contains(&seconds) => Err(Problem::new(
                Code::Usage,
                "a session lasts 1 minute to 11 hours",
            )
            .hint("give --duration something in between, e.g. 4h")),
            _ => Ok(()),
        }
    }

    /// The scenario, where one is named that the roster has.
    pub(super) fn scenario_of<'r>(&self, roster: &'r Roster) -> Option<&'r Scenario> {
        roster.scenario(self.scenario.as_deref()?)
    }

    /// The access profiles that may be asked for: those that go with the scenario, where one is named.
    pub(super) fn profiles<'r>(&self, roster: &'r Roster) -> Vec<&'r Access> {
        let scenario = self.scenario_of(roster);
        let with = |a: &&Access| scenario.is_none_or(|s| s.access.contains(&a.name));
        roster.access.iter().filter(with).collect()
    }

    /// Takes what can only be one thing: the access profile of a scenario that has one alone.
    pub(super) fn conclude(&mut self, roster: &Roster) {
        if self.access.is_none()
            && let Some(scenario) = self.scenario_of(roster)
            && let [only] = &scenario.access[..]
        {
            self.access = Some(only.clone());
        }
    }

    /// What is needed and not there yet, in the order in which it is asked for.
    pub(super) fn lacks(&self, roster: &Roster) -> Vec<Lacking> {
        let scenario = self.scenario_of(roster);
        let needs = |needed| scenario.is_some_and(|s| s.asks_for(needed));
        let access = self.access.as_deref().and_then(|name| roster.access(name));
        let about = needs(Needed::Subject) || access.is_some_and(Access::is_about_a_subject);
        let all = [
            (Lacking::Incident, self.incident.is_none()),
            (
                Lacking::Scenario,
                self.scenario.is_none() && !roster.scenarios.is_empty(),
            ),
            (Lacking::Reason, self.reason.is_none()),
            (Lacking::Access, self.access.is_none()),
            (
                Lacking::Commander,
                self.commander.is_none() && needs(Needed::Commander),
            ),
            (Lacking::Subject, self.subject.is_none() && about),
            (
                Lacking::NotFor,
                !roster.scenarios.is_empty()
                    && BannedUse::ALL.iter().any(|b| !self.confirmed.contains(b)),
            ),
        ];
        let lacking = all.into_iter().filter(|(_, lacks)| *lacks);
        lacking.map(|(what, _)| what).collect()
    }

    /// The request, where nothing is lacking.
    pub(in crate::cli) fn into_ask(self, vault: String) -> Result<Ask, Problem> {
        self.check()?;
        check_name("vault name", &vault)?;
        let missing = |flag: &str| Problem::new(Code::Usage, format!("the request lacks {flag}"));
        Ok(Ask {
            vault,
            access: self.access.ok_or_else(|| missing("--access"))?,
            incident: self.incident.ok_or_else(|| missing("--incident"))?,
            reason: self.reason.ok_or_else(|| missing("--reason"))?,
            duration_seconds: self.seconds,
            commander: self.commander,
            nonce: nonce(),
            close_only: None,
            drill: false,
            scenario: self.scenario,
            subject: self.subject,
            confirmed: self.confirmed,
            follows: self.follows,
        })
    }
}

/// What is lacking, for somebody who cannot be asked: the options, each with what may stand behind it.
pub(super) fn unasked(lacking: &[Lacking], given: &Given, roster: &Roster) -> Problem {
    let options: Vec<&str> = lacking.iter().map(|l| l.option()).collect();
    let choices: Vec<String> = lacking
        .iter()
        .map(|l| format!("{} {}", l.option(), l.choices(given, roster)))
        .collect();
    Problem::new(
        Code::Usage,
        format!("the request lacks {}", options.join(", ")),
    )
    .hint(format!(
        "{}; at a terminal they are asked for",
        choices.join("; ")
    ))
}

impl Lacking {
    fn option(self) -> &'static str {
        match self {
            Self::Incident => "--incident",
            Self::Scenario => "--scenario",
            Self::Reason => "--reason",
            Self::Access => "--access",
            Self::Commander => "--commander",
            Self::Subject => "--subject",
            Self::NotFor => "--not-for",
        }
    }

    /// What may stand behind the option.
    fn choices(self, given: &Given, roster: &Roster) -> String {
        let scenario = given.scenario_of(roster);
        match self {
            Self::Incident => match scenario.and_then(|s| s.ticket.as_deref()) {
                Some(ticket) => format!("like {ticket}"),
                None => "ID".to_owned(),
            },
            Self::Scenario => {
                let names: Vec<&str> = roster.scenarios.iter().map(|s| s.name.as_str()).collect();
                names.join("|")
            }
            Self::Reason => match scenario.map_or(0, |s| s.min_reason) {
                0 => "TEXT".to_owned(),
                least => format!("TEXT of {least} characters or more"),
            },
            Self::Access => {
                let profiles = given.profiles(roster);
                let names: Vec<&str> = profiles.iter().map(|a| a.name.as_str()).collect();
                names.join("|")
            }
            Self::Commander => roster.commanders().join("|"),
            Self::Subject => "ID".to_owned(),
            Self::NotFor => {
                let names: Vec<&str> = BannedUse::ALL.iter().map(|b| b.name()).collect();
                format!("{}, if it is none of these", names.join(","))
            }
        }
    }
}

/// A banned use as it is written behind `--not-for`.
pub(super) fn banned_use(text: &str) -> Result<BannedUse, String> {
    let found = BannedUse::ALL.into_iter().find(|b| b.name() == text);
    found.ok_or_else(|| {
        let names: Vec<&str> = BannedUse::ALL.iter().map(|b| b.name()).collect();
        format!("one of {}", names.join(", "))
    })
}

/// A length of time as it is written behind `--duration`.
pub(super) fn duration(text: &str) -> Result<u32, String> {
    span::parse(text).map_err(|why| match why.hint {
        Some(hint) => format!("{}; {hint}", plain(&why.error)),
        None => plain(&why.error),
    })
}

/// 16 random bytes: proof that the offer answers this call.
pub(super) fn nonce() -> Bytes {
    let mut nonce = vec![0; 16];
    OsRng.fill_bytes(&mut nonce);
    Bytes(nonce)
}
