//! What is not given is asked for: at the terminal, with the policy's choices and defaults; without one a single refusal names all of it.
//!
//! The roster that the choices come from is the agent's, checked as far as this person can: what is offered in the end is checked again.

use crate::{
    cli::{
        Door,
        choice::the_vault,
        client::vault_path,
        roster, scenario, span,
        ui::{columns, plain},
    },
    protocol::{Code, Problem, job::Ask, socket::VaultView},
    trust::{
        Verified,
        request::{BannedUse, MAX_INCIDENT, MAX_REASON, check_subject},
        roster::{Access, Needed, Roster, Scenario, Terms},
        text::check_text,
    },
};

use super::given::{self, Given, Lacking};

/// How often a question is put before the answer counts as a no.
const TRIES: usize = 3;

/// Completes what was given, or says all that is lacking; what comes out is allowed by the roster.
pub(super) fn complete(
    vault: Option<String>,
    mut given: Given,
    door: &Door,
) -> Result<Ask, Problem> {
    given.check()?;
    let agent = door.agent()?;
    let vault = the_vault(vault.as_deref(), "twotap request VAULT", &agent, door)?;
    let view: Result<VaultView, Problem> = agent.ask(&vault_path(&vault, "")?);
    let known = view.and_then(|view| {
        roster::believed(&vault, &view.roster_chain, door)?;
        Ok((roster::propose::newest(&view.roster_chain)?, view.host))
    });
    let (roster, host) = match known {
        Ok(known) => known,
        Err(problem) => return Err(basics(&given).unwrap_or(problem)),
    };
    given.conclude(&roster);
    let lacking = given.lacks(&roster);
    if !lacking.is_empty() {
        if !door.ui.has_terminal() {
            return Err(given::unasked(&lacking, &given, &roster));
        }
        Dialogue {
            roster: &roster,
            door,
        }
        .ask(&vault, &mut given)?;
    }
    let ask = given.into_ask(vault)?;
    let uid = rustix::process::getuid().as_raw();
    let me = roster.person_at(host, uid).map_or("", |p| p.name.as_str());
    let terms = roster.terms(&ask.declared(me))?;
    terms.seconds(ask.duration_seconds)?;
    Ok(ask)
}

/// What every request needs, where not even the vault's papers could be had to say more.
fn basics(given: &Given) -> Option<Problem> {
    let lacking: Vec<&str> = [
        ("--incident", given.incident.is_none()),
        ("--reason", given.reason.is_none()),
        (
            "--access",
            given.access.is_none() && given.scenario.is_none(),
        ),
    ]
    .into_iter()
    .filter_map(|(option, lacks)| lacks.then_some(option))
    .collect();
    (!lacking.is_empty()).then(|| {
        Problem::new(
            Code::Usage,
            format!("the request lacks {}", lacking.join(", ")),
        )
        .hint("see twotap request --help; at a terminal they are asked for")
    })
}

/// The questions.
struct Dialogue<'a> {
    roster: &'a Verified<Roster>,
    door: &'a Door,
}

impl Dialogue<'_> {
    /// Asks for everything that is absent, also for what may be left out.
    fn ask(&self, vault: &str, given: &mut Given) -> Result<(), Problem> {
        self.door.ui.tell(&format!(
            "\nrequest for vault {vault}: what was not given is asked for; Ctrl-C leaves, and nothing is asked of anybody\n\n"
        ))?;
        if given.incident.is_none() {
            given.incident = Some(self.incident(None)?);
        }
        if given.lacks(self.roster).contains(&Lacking::Scenario) {
            given.scenario = Some(self.scenario()?);
            given.conclude(self.roster);
        }
        let scenario = given.scenario_of(self.roster);
        self.ticket(scenario, given)?;
        if given.reason.is_none() {
            given.reason = Some(self.reason(scenario)?);
        }
        if given.access.is_none() {
            given.access = Some(self.access(&given.profiles(self.roster))?);
        }
        let access = given.access.as_deref().and_then(|a| self.roster.access(a));
        if let (None, Some(access)) = (given.seconds, access) {
            given.seconds = self.seconds(Terms { access, scenario })?;
        }
        if given.commander.is_none() {
            given.commander = self.commander(scenario)?;
        }
        if given.lacks(self.roster).contains(&Lacking::Subject) {
            given.subject = Some(self.subject(access)?);
        }
        if given.lacks(self.roster).contains(&Lacking::NotFor) {
            self.confirm(given)?;
        }
        Ok(())
    }

    fn incident(&self, ticket: Option<&str>) -> Result<String, Problem> {
        let like = match ticket {
            Some(ticket) => format!("like {}", plain(ticket)),
            None => "e.g. INC-42".to_owned(),
        };
        self.typed(&format!("incident id ({like}): "), |text| {
            check_text("incident", text, MAX_INCIDENT).map_err(|why| why.to_string())?;
            match ticket {
                Some(ticket) if !crate::trust::pattern::matches(ticket, text) => {
                    Err("that is not such a ticket".to_owned())
                }
                _ => Ok(text.to_owned()),
            }
        })
    }

    /// An incident's id that is none of the scenario's tickets is asked for once more, and said why.
    fn ticket(&self, scenario: Option<&Scenario>, given: &mut Given) -> Result<(), Problem> {
        let Some((scenario, ticket)) = scenario.and_then(|s| Some((s, s.ticket.as_deref()?)))
        else {
            return Ok(());
        };
        let fits = |id: &String| crate::trust::pattern::matches(ticket, id);
        if given.incident.as_ref().is_some_and(fits) {
            return Ok(());
        }
        self.door.ui.tell(&format!(
            "scenario {} needs a ticket; {} is none\n",
            scenario.name,
            plain(given.incident.as_deref().unwrap_or_default())
        ))?;
        given.incident = Some(self.incident(Some(ticket))?);
        Ok(())
    }

    fn scenario(&self) -> Result<String, Problem> {
        let mut list = String::from("\n");
        for (at, scenario) in self.roster.scenarios.iter().enumerate() {
            list.push_str(&format!("  {}  {}\n", at + 1, scenario.name));
            for line in scenario::in_words(scenario) {
                list.push_str(&format!("       {line}\n"));
            }
        }
        self.door.ui.tell(&list)?;
        let names: Vec<&str> = self
            .roster
            .scenarios
            .iter()
            .map(|s| s.name.as_str())
            .collect();
        let [only] = names[..] else {
            return self.one_of("scenario", &names);
        };
        self.typed(&format!("scenario (Enter for {only}): "), |text| {
            match text.is_empty() || text == only || text == "1" {
                true => Ok(only.to_owned()),
                false => Err(format!("there is only {only}")),
            }
        })
    }

    fn reason(&self, scenario: Option<&Scenario>) -> Result<String, Problem> {
        let least = scenario.map_or(0, |s| s.min_reason);
        let question = match least {
            0 => "why: ".to_owned(),
            least => format!("why ({least} characters or more): "),
        };
        self.typed(&question, |text| {
            check_text("reason", text, MAX_REASON).map_err(|why| why.to_string())?;
            let has = text.chars().count();
            match has < usize::from(least) {
                true => Err(format!(
                    "that has {has} characters, and {least} are asked for"
                )),
                false => Ok(text.to_owned()),
            }
        })
    }

    fn access(&self, profiles: &[&Access]) -> Result<String, Problem> {
        if let [only] = profiles {
            return Ok(only.name.clone());
        }
        let rows: Vec<(&str, String)> = profiles
            .iter()
            .map(|a| {
                let longest = span::show(a.max_seconds.into());
                let text = format!("account {}, {}, at most {longest}", a.account, role(a));
                (a.name.as_str(), text)
            })
            .collect();
        self.door.ui.tell(&format!("\n{}", columns(&rows)))?;
        let names: Vec<&str> = profiles.iter().map(|a| a.name.as_str()).collect();
        self.one_of("access", &names)
    }

    /// How long; nothing where nothing is typed: the default is the roster's.
    fn seconds(&self, terms: Terms<'_>) -> Result<Option<u32>, Problem> {
        let question = format!(
            "how long (Enter for {}, at most {}): ",
            span::show(terms.usual().into()),
            span::show(terms.longest().into())
        );
        self.typed_or_not(&question, |text| {
            let seconds = span::parse(text).map_err(|why| why.error)?;
            let allowed = terms.seconds(Some(seconds));
            allowed.map(Some).map_err(|why| why.to_string())
        })
    }

    fn commander(&self, scenario: Option<&Scenario>) -> Result<Option<String>, Problem> {
        let commanders = self.roster.commanders();
        let listed = commanders.join(", ");
        if scenario.is_some_and(|s| s.asks_for(Needed::Commander)) {
            let names: Vec<&str> = commanders.iter().map(String::as_str).collect();
            return self.one_of("who authorised it", &names).map(Some);
        }
        if commanders.is_empty() {
            return Ok(None);
        }
        let question = format!("who authorised it ({listed}; Enter for nobody): ");
        self.typed_or_not(&question, |text| {
            match commanders.iter().any(|c| c == text) {
                true => Ok(Some(text.to_owned())),
                false => Err(format!("commanders of this vault are: {listed}")),
            }
        })
    }

    fn subject(&self, access: Option<&Access>) -> Result<String, Problem> {
        let like = access.and_then(|a| a.subject.as_deref());
        let question = match like {
            Some(like) => format!("whom or what it is about (like {}): ", plain(like)),
            None => "whom or what it is about: ".to_owned(),
        };
        self.typed(&question, |text| {
            check_subject(text).map_err(|why| why.to_string())?;
            match like {
                Some(like) if !crate::trust::pattern::matches(like, text) => {
                    Err("it does not look like one".to_owned())
                }
                _ => Ok(text.to_owned()),
            }
        })
    }

    /// What a vault is never opened for: each is confirmed by itself.
    fn confirm(&self, given: &mut Given) -> Result<(), Problem> {
        self.door.ui.tell("\n")?;
        for banned in BannedUse::ALL {
            if given.confirmed.contains(&banned) {
                continue;
            }
            if !self.door.ui.confirm(banned.denial())? {
                return Err(Problem::new(
                    Code::Refused,
                    format!(
                        "it was not confirmed that {}; nothing was asked for",
                        banned.denial()
                    ),
                )
                .hint("a vault is not opened for that: go the usual way"));
            }
            given.confirmed.push(banned);
        }
        Ok(())
    }

    /// One of some, by number or name.
    fn one_of(&self, what: &str, names: &[&str]) -> Result<String, Problem> {
        let question = format!("{what} ({}): ", names.join(", "));
        self.typed(&question, |text| {
            let by_number = text.parse::<usize>().ok().and_then(|n| n.checked_sub(1));
            let by_number = by_number.and_then(|at| names.get(at));
            let by_name = names.iter().find(|name| **name == text);
            let chosen = by_name.or(by_number).map(|name| (*name).to_owned());
            chosen.ok_or_else(|| format!("it is one of {}", names.join(", ")))
        })
    }

    /// Asks until there is a good answer.
    fn typed<T>(
        &self,
        question: &str,
        good: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, Problem> {
        for _ in 0..TRIES {
            let line = self.door.ui.line(question)?;
            match good(&line) {
                Ok(answer) => return Ok(answer),
                Err(why) => self.door.ui.tell(&format!("{}\n", plain(&why)))?,
            }
        }
        Err(no_answer(question.trim_end_matches([':', ' '])))
    }

    /// The same; an empty line is an answer as well.
    fn typed_or_not<T>(
        &self,
        question: &str,
        good: impl Fn(&str) -> Result<Option<T>, String>,
    ) -> Result<Option<T>, Problem> {
        self.typed(question, |line| match line.is_empty() {
            true => Ok(None),
            false => good(line),
        })
    }
}

fn no_answer(question: &str) -> Problem {
    Problem::new(
        Code::Usage,
        format!("there was no good answer to: {question}"),
    )
    .hint("see twotap roster show for what is allowed; nothing was asked for")
}

/// A role by its name.
fn role(access: &Access) -> &str {
    access
        .role_arn
        .rsplit_once('/')
        .map_or(access.role_arn.as_str(), |(_, name)| name)
}
