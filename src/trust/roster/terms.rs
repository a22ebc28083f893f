//! Whether a session may be asked for like this: what the operator's program, the agent, the worker and whoever checks an offer all hold a
//! request to. Pure.

use std::fmt;

use super::{Access, Needed, Role, Roster, Scenario};
use crate::trust::{
    pattern,
    request::{BannedUse, CheckResult, check_subject},
};

/// What is declared for a session.
#[derive(Clone, Copy, Debug)]
pub struct Declared<'d> {
    /// Who asks.
    pub operator: &'d str,
    /// Name of the access profile.
    pub access: &'d str,
    /// Name of the scenario.
    pub scenario: Option<&'d str>,
    /// Whom or what it is about.
    pub subject: Option<&'d str>,
    /// Who authorised it, as the operator says.
    pub commander: Option<&'d str>,
    /// Incident reference.
    pub incident: &'d str,
    /// Why.
    pub reason: &'d str,
    /// What it is not, as the operator confirmed.
    pub confirmed: &'d [BannedUse],
}

/// The terms on which a session may be asked for.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'r> {
    /// The access profile.
    pub access: &'r Access,
    /// The scenario; absent where the roster has none.
    pub scenario: Option<&'r Scenario>,
}

/// Why a session may not be asked for like this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotOnTheseTerms {
    /// The roster has no such access profile.
    Access {
        /// Those that it has.
        known: Vec<String>,
    },
    /// No scenario is named, and the roster has some.
    NoScenario {
        /// Those that it has.
        known: Vec<String>,
    },
    /// The roster has no such scenario.
    Scenario {
        /// The one that was named.
        named: String,
        /// Those that it has.
        known: Vec<String>,
    },
    /// The scenario is not for this access profile.
    OtherAccess {
        /// The scenario.
        scenario: String,
        /// The access profile that was asked for.
        access: String,
        /// Those that go with the scenario.
        with_it: Vec<String>,
        /// Scenarios that the access profile goes with.
        instead: Vec<String>,
    },
    /// The session would be shorter than a minute, or longer than is allowed.
    Length {
        /// The access profile.
        access: String,
        /// The scenario, where it is the scenario that sets the limit.
        scenario: Option<String>,
        /// The longest, in seconds.
        longest: u32,
    },
    /// The reason is too short.
    Reason {
        /// How many characters it has.
        has: usize,
        /// How many it must have.
        least: u16,
    },
    /// It has to be said whom or what it is about.
    NoSubject {
        /// What asks for it, e.g. `scenario 'pii-access'`.
        by: String,
    },
    /// The subject cannot stand in a policy.
    BadSubject,
    /// The subject is none that the access profile is about.
    OtherSubject {
        /// The access profile.
        access: String,
        /// How one looks.
        pattern: String,
    },
    /// It has to be said who authorised it.
    NoCommander {
        /// The scenario.
        scenario: String,
        /// Who could have.
        commanders: Vec<String>,
    },
    /// Whoever is said to have authorised it may not.
    OtherCommander {
        /// Who was named.
        named: String,
        /// Who could have.
        commanders: Vec<String>,
    },
    /// The incident's id is not a ticket's.
    Ticket {
        /// The scenario.
        scenario: String,
        /// How one looks.
        pattern: String,
    },
    /// It was not confirmed what the vault is not opened for.
    Unconfirmed {
        /// What is still to be confirmed.
        missing: Vec<BannedUse>,
    },
    /// The results are not of the scenario's checks.
    OtherChecks {
        /// The scenario's.
        wanted: Vec<String>,
    },
    /// A required check has not passed.
    Failed {
        /// Its name.
        check: String,
        /// What it printed.
        output: String,
    },
}

impl Roster {
    /// The terms for what is declared, where it may be asked for at all. How long, and what the checks came to, is asked of the [`Terms`].
    pub fn terms(&self, declared: &Declared<'_>) -> Result<Terms<'_>, NotOnTheseTerms> {
        let Some(access) = self.access(declared.access) else {
            let known = self.access.iter().map(|a| a.name.clone()).collect();
            return Err(NotOnTheseTerms::Access { known });
        };
        if let Some(subject) = declared.subject {
            check_subject(subject).map_err(|_| NotOnTheseTerms::BadSubject)?;
            if let Some(like) = &access.subject
                && !pattern::matches(like, subject)
            {
                return Err(NotOnTheseTerms::OtherSubject {
                    access: access.name.clone(),
                    pattern: like.clone(),
                });
            }
        } else if access.is_about_a_subject() {
            return Err(NotOnTheseTerms::NoSubject {
                by: format!("access '{}'", access.name),
            });
        }
        let scenario = self.scenario_for(declared, access)?;
        if let Some(scenario) = scenario {
            self.fulfils(declared, scenario)?;
        }
        Ok(Terms { access, scenario })
    }

    /// The scenario that is named, where it goes with this access profile.
    fn scenario_for(
        &self,
        declared: &Declared<'_>,
        access: &Access,
    ) -> Result<Option<&Scenario>, NotOnTheseTerms> {
        let known = || self.scenarios.iter().map(|s| s.name.clone()).collect();
        let Some(named) = declared.scenario else {
            return match self.scenarios.is_empty() {
                true => Ok(None),
                false => Err(NotOnTheseTerms::NoScenario { known: known() }),
            };
        };
        let Some(scenario) = self.scenario(named) else {
            return Err(NotOnTheseTerms::Scenario {
                named: named.to_owned(),
                known: known(),
            });
        };
        if scenario.access.contains(&access.name) {
            return Ok(Some(scenario));
        }
        let with = self.scenarios.iter();
        Err(NotOnTheseTerms::OtherAccess {
            scenario: scenario.name.clone(),
            access: access.name.clone(),
            with_it: scenario.access.clone(),
            instead: with
                .filter(|s| s.access.contains(&access.name))
                .map(|s| s.name.clone())
                .collect(),
        })
    }

    /// Whether everything is there that the scenario asks for.
    fn fulfils(&self, declared: &Declared<'_>, scenario: &Scenario) -> Result<(), NotOnTheseTerms> {
        let name = || scenario.name.clone();
        if let Some(ticket) = &scenario.ticket
            && !pattern::matches(ticket, declared.incident)
        {
            return Err(NotOnTheseTerms::Ticket {
                scenario: name(),
                pattern: ticket.clone(),
            });
        }
        let has = length_of(declared.reason);
        if has < usize::from(scenario.min_reason) {
            return Err(NotOnTheseTerms::Reason {
                has,
                least: scenario.min_reason,
            });
        }
        if scenario.asks_for(Needed::Commander) {
            self.has_a_commander(declared, scenario)?;
        }
        if scenario.asks_for(Needed::Subject) && declared.subject.is_none() {
            return Err(NotOnTheseTerms::NoSubject {
                by: format!("scenario '{}'", scenario.name),
            });
        }
        let missing: Vec<BannedUse> = BannedUse::ALL
            .into_iter()
            .filter(|banned| !declared.confirmed.contains(banned))
            .collect();
        match missing.is_empty() {
            true => Ok(()),
            false => Err(NotOnTheseTerms::Unconfirmed { missing }),
        }
    }

    fn has_a_commander(
        &self,
        declared: &Declared<'_>,
        scenario: &Scenario,
    ) -> Result<(), NotOnTheseTerms> {
        let commanders = self.commanders();
        match declared.commander {
            None => Err(NotOnTheseTerms::NoCommander {
                scenario: scenario.name.clone(),
                commanders,
            }),
            Some(named) if commanders.iter().any(|c| c == named) => Ok(()),
            Some(named) => Err(NotOnTheseTerms::OtherCommander {
                named: named.to_owned(),
                commanders,
            }),
        }
    }

    /// Who may authorise, in roster order.
    pub fn commanders(&self) -> Vec<String> {
        let may = self
            .people
            .iter()
            .filter(|p| p.roles.contains(&Role::Commander));
        may.map(|p| p.name.clone()).collect()
    }
}

impl Access {
    /// Whether what it allows depends on whom or what a request is about.
    pub fn is_about_a_subject(&self) -> bool {
        fn asks(value: &serde_json::Value) -> bool {
            match value {
                serde_json::Value::String(text) => text.contains("${subject}"),
                serde_json::Value::Array(list) => list.iter().any(asks),
                serde_json::Value::Object(fields) => fields.values().any(asks),
                _ => false,
            }
        }
        asks(&self.policy.0)
    }
}

impl Terms<'_> {
    /// The longest session, in seconds.
    pub fn longest(&self) -> u32 {
        self.scenario
            .map_or(self.access.max_seconds, |s| s.longest(self.access))
    }

    /// The session's length where nothing is said, in seconds.
    pub fn usual(&self) -> u32 {
        self.scenario
            .map_or(self.access.default_seconds, |s| s.usual(self.access))
    }

    /// The length of a session that is asked for, in seconds.
    pub fn seconds(&self, asked: Option<u32>) -> Result<u32, NotOnTheseTerms> {
        let seconds = asked.unwrap_or(self.usual());
        let longest = self.longest();
        if (60..=longest).contains(&seconds) {
            return Ok(seconds);
        }
        let sets_it = self.scenario.filter(|_| longest < self.access.max_seconds);
        Err(NotOnTheseTerms::Length {
            access: self.access.name.clone(),
            scenario: sets_it.map(|s| s.name.clone()),
            longest,
        })
    }

    /// Whether these are the results of the scenario's checks, all of them and in its order, and every required one passed.
    pub fn checked(&self, results: &[CheckResult]) -> Result<(), NotOnTheseTerms> {
        let wanted = self.scenario.map_or(&[][..], |s| &s.checks);
        let same = results.len() == wanted.len()
            && results
                .iter()
                .zip(wanted)
                .all(|(r, w)| r.name == w.name && r.required == w.required);
        if !same {
            return Err(NotOnTheseTerms::OtherChecks {
                wanted: wanted.iter().map(|w| w.name.clone()).collect(),
            });
        }
        match results.iter().find(|r| r.required && !r.passed) {
            None => Ok(()),
            Some(failed) => Err(NotOnTheseTerms::Failed {
                check: failed.name.clone(),
                output: failed.output.clone(),
            }),
        }
    }
}

/// How many characters somebody wrote: more space between two words than one does not count.
fn length_of(reason: &str) -> usize {
    let words = reason.split_whitespace();
    let letters: usize = words.clone().map(|word| word.chars().count()).sum();
    letters + words.count().saturating_sub(1)
}

impl NotOnTheseTerms {
    /// What would be allowed.
    pub fn hint(&self) -> String {
        match self {
            Self::Access { known } => format!("it has: {}", known.join(", ")),
            Self::NoScenario { known } => {
                format!("name one with --scenario: {}", known.join(", "))
            }
            Self::Scenario { known, .. } => match known.is_empty() {
                true => "leave --scenario out: this vault has no scenarios".to_owned(),
                false => format!("it has: {}", known.join(", ")),
            },
            Self::OtherAccess {
                with_it,
                instead,
                access,
                ..
            } => {
                let with_it = format!("with it goes access {}", with_it.join(", "));
                match instead.is_empty() {
                    true => with_it,
                    false => format!(
                        "{with_it}; access {access} goes with {}",
                        instead.join(", ")
                    ),
                }
            }
            Self::Length { .. } => "ask for less time; a new request can follow".to_owned(),
            Self::Reason { least, .. } => {
                format!("say what is broken and why it cannot wait, in {least} characters or more")
            }
            Self::NoSubject { .. } => "name it with --subject".to_owned(),
            Self::BadSubject => {
                "it has 1 to 128 ascii letters, digits and _ . @ + = , -".to_owned()
            }
            Self::NoCommander { commanders, .. } => {
                format!("name one with --commander: {}", commanders.join(", "))
            }
            Self::OtherCommander { commanders, .. } => {
                format!("commanders of this vault are: {}", commanders.join(", "))
            }
            Self::Ticket { pattern, .. } | Self::OtherSubject { pattern, .. } => {
                format!("the whole of it has to be like {pattern}")
            }
            Self::Unconfirmed { missing } => {
                let names: Vec<&str> = missing.iter().map(|b| b.name()).collect();
                format!(
                    "if it is none of these say so: --not-for {}; if it is one, go the usual way",
                    names.join(",")
                )
            }
            Self::OtherChecks { .. } => "the agent runs them; tell the security officer".to_owned(),
            Self::Failed { .. } => "put right what it found, then ask again".to_owned(),
        }
    }
}

impl fmt::Display for NotOnTheseTerms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Access { .. } => f.write_str("the roster has no such access profile"),
            Self::NoScenario { .. } => f.write_str("the request names no scenario"),
            Self::Scenario { named, .. } => write!(f, "the roster has no scenario '{named}'"),
            Self::OtherAccess {
                scenario, access, ..
            } => write!(f, "scenario '{scenario}' is not for access '{access}'"),
            Self::Length {
                access,
                scenario,
                longest,
            } => {
                write!(f, "access '{access}'")?;
                if let Some(scenario) = scenario {
                    write!(f, " in scenario '{scenario}'")?;
                }
                write!(f, " lasts 1 minute to {} minutes", longest / 60)
            }
            Self::Reason { has, least } => {
                write!(
                    f,
                    "the reason has {has} characters, and {least} are asked for"
                )
            }
            Self::NoSubject { by } => write!(f, "{by} is about one subject, and none is named"),
            Self::OtherSubject { access, .. } => {
                write!(f, "the subject is none that access '{access}' is about")
            }
            Self::BadSubject => f.write_str("the subject cannot stand in a policy"),
            Self::NoCommander { scenario, .. } => write!(
                f,
                "scenario '{scenario}' needs somebody who authorised it, and nobody is named"
            ),
            Self::OtherCommander { named, .. } => {
                write!(f, "'{named}' is no commander of this vault")
            }
            Self::Ticket { scenario, .. } => {
                write!(f, "the incident's id is no ticket of scenario '{scenario}'")
            }
            Self::Unconfirmed { missing } => {
                let names: Vec<&str> = missing.iter().map(|b| b.name()).collect();
                write!(
                    f,
                    "it is not confirmed that this is none of: {}",
                    names.join(", ")
                )
            }
            Self::OtherChecks { wanted } => write!(
                f,
                "the results are not those of the scenario's checks ({})",
                wanted.join(", ")
            ),
            Self::Failed { check, output } => match output.is_empty() {
                true => write!(f, "check '{check}' did not pass"),
                false => write!(f, "check '{check}' did not pass: {output}"),
            },
        }
    }
}

impl std::error::Error for NotOnTheseTerms {}
