//! Pre-checks: programs of this host that look at a request before custodians are asked. The contract is in `packaging/checks/README.md`.
//!
//! Which checks a request has is the scenario's, in the roster; where the program of each lies is in `agent.toml`. What a check says goes into
//! the request that custodians sign and see; a required one that has not passed ends the matter here, on record.

use std::{path::PathBuf, process::ExitStatus, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::{Agent, people::Listed};
use crate::{
    audit::event::{Event, EventType},
    protocol::{Code, Problem, job::Ask},
    trust::{
        program::{self, Without, only_roots},
        request::{CheckResult, MAX_INCIDENT, MAX_OUTPUT, MAX_REASON},
        roster::{Check, Roster, Scenario},
        text::{self, check_text},
    },
};

/// The most that is read of what a program says, in bytes; the rest is thrown away.
const SAID: u64 = 16 * 1024;
/// The longest time that a check may be given, in seconds: somebody waits for it at 3 a.m.
const MOST_SECONDS: u32 = 60;

/// `[checks.NAME]` of `agent.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Program {
    program: PathBuf,
    /// What it is called with: where its own configuration lies. Nothing of a request stands in them.
    #[serde(default)]
    arguments: Vec<String>,
    #[serde(default = "ten")]
    seconds: u32,
}

fn ten() -> u32 {
    10
}

/// What a program reads: what was asked, and who asks. Never the operator's nonce.
#[derive(Serialize)]
struct Input<'a> {
    /// Version of this form.
    v: u8,
    /// The check's name.
    check: &'a str,
    vault: &'a str,
    operator: &'a str,
    access: &'a str,
    scenario: &'a str,
    subject: Option<&'a str>,
    incident: &'a str,
    reason: &'a str,
    commander: Option<&'a str>,
    duration_seconds: Option<u32>,
    follows: Option<&'a str>,
}

impl<'a> Input<'a> {
    fn of(check: &'a str, ask: &'a Ask, operator: &'a str) -> Self {
        Self {
            v: 1,
            check,
            vault: &ask.vault,
            operator,
            access: &ask.access,
            scenario: ask.scenario.as_deref().unwrap_or_default(),
            subject: ask.subject.as_deref(),
            incident: &ask.incident,
            reason: &ask.reason,
            commander: ask.commander.as_deref(),
            duration_seconds: ask.duration_seconds,
            follows: ask.follows.as_deref(),
        }
    }
}

impl Agent {
    /// What the checks of a request's scenario come to, in the scenario's order. Where a required one has not passed the request ends here.
    pub(super) async fn look_at(
        self: &Arc<Self>,
        ask: &Ask,
        caller: &Listed,
    ) -> Result<Vec<CheckResult>, Problem> {
        let known = self.vault(&ask.vault).await?;
        let named = ask.scenario.as_deref();
        // One that the roster does not have is the worker's to refuse.
        let Some(scenario) = named.and_then(|name| known.roster.scenario(name)) else {
            return Ok(Vec::new());
        };
        // What may not be asked for is not given to programs either.
        check_text("incident", &ask.incident, MAX_INCIDENT)?;
        check_text("reason", &ask.reason, MAX_REASON)?;
        known.roster.terms(&ask.declared(&caller.name))?;
        let results = match self.has_sinks(&scenario.sinks) {
            Ok(()) => self.run_checks(scenario, ask, caller).await,
            Err(problem) => return self.refuse(ask, caller, Vec::new(), problem).await,
        };
        match results.iter().find(|r| r.required && !r.passed) {
            None => Ok(results),
            Some(failed) => {
                let what = format!(
                    "required check {} has not passed: {}",
                    failed.name, failed.output
                );
                let problem = Problem::new(Code::Refused, what)
                    .hint("custodians were not asked; see to what it says, and ask again");
                self.refuse(ask, caller, results, problem).await
            }
        }
    }

    /// What scenarios of a roster name and this host does not have, in plain words: said on a quiet day, and not when somebody asks.
    pub(super) fn missing_for_scenarios(&self, roster: &Roster) -> Vec<String> {
        let mut missing = Vec::new();
        for scenario in &roster.scenarios {
            let mut say = |what: String| {
                missing.push(format!(
                    "vault {}: scenario {}: {what}",
                    roster.vault, scenario.name
                ));
            };
            for Check { name, .. } in &scenario.checks {
                let why = match self.config.checks.get(name) {
                    Some(program) => only_roots(&program.program).err(),
                    None => Some("this host has no program for it".to_owned()),
                };
                if let Some(why) = why {
                    say(format!("check {name}: {why}"));
                }
            }
            if let Err(problem) = self.has_sinks(&scenario.sinks) {
                say(problem.error);
            }
        }
        missing
    }

    /// All at once, each in its own time.
    async fn run_checks(
        &self,
        scenario: &Scenario,
        ask: &Ask,
        caller: &Listed,
    ) -> Vec<CheckResult> {
        let mut running = Vec::new();
        for check in &scenario.checks {
            let program = self.config.checks.get(&check.name).cloned();
            let (ask, operator, name) = (ask.clone(), caller.name.clone(), check.name.clone());
            running.push(tokio::spawn(async move {
                match program {
                    Some(program) => program.run(&Input::of(&name, &ask, &operator)).await,
                    None => {
                        Outcome::not("this host has no program for it: see [checks] in agent.toml")
                    }
                }
            }));
        }
        let mut results = Vec::new();
        for (Check { name, required }, task) in scenario.checks.iter().zip(running) {
            let outcome = task
                .await
                .unwrap_or_else(|_| Outcome::not("it was broken off"));
            results.push(CheckResult {
                name: name.clone(),
                required: *required,
                passed: outcome.passed,
                output: outcome.output,
            });
        }
        results
    }

    /// Puts on record that custodians are not asked, and why; that is the answer.
    async fn refuse<T>(
        self: &Arc<Self>,
        ask: &Ask,
        caller: &Listed,
        checks: Vec<CheckResult>,
        problem: Problem,
    ) -> Result<T, Problem> {
        let (ask, caller, why) = (ask.clone(), caller.clone(), problem.error.clone());
        self.book
            .commit(move |change| {
                let actor = super::people::actor(&caller.name)?;
                let subject = ask.subject.map(|s| change.fingerprint("subject", &s));
                let event = Event::new(EventType::RequestRefused, actor)
                    .incident(&ask.incident)
                    .justification(&ask.reason)
                    .who(caller.who)
                    .place(change.place.clone())
                    .detail("vault", ask.vault)
                    .detail("access", ask.access)
                    .detail("scenario", ask.scenario)
                    .detail("subject", subject.unwrap_or_default())
                    .detail("commander_claimed", ask.commander)
                    .detail("follows", ask.follows)
                    .detail("why", why)
                    .detail("checks", serde_json::json!(checks));
                change.event(&event).map(drop)
            })
            .await?;
        Err(problem)
    }
}

/// What became of one.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    passed: bool,
    /// One plain line, never empty.
    output: String,
}

impl Outcome {
    fn not(output: impl AsRef<str>) -> Self {
        Self {
            passed: false,
            output: text::plain(output.as_ref(), MAX_OUTPUT),
        }
    }
}

impl Program {
    /// Checks the table; a relative path is taken from `folder`.
    pub(super) fn checked(mut self, folder: &std::path::Path) -> Result<Self, String> {
        if !(1..=MOST_SECONDS).contains(&self.seconds) {
            return Err(format!("seconds: it is from 1 to {MOST_SECONDS}"));
        }
        self.program = folder.join(self.program);
        Ok(self)
    }

    /// Runs it once: no shell, no environment, no terminal; over when its time is, with everything that it has started.
    async fn run(&self, input: &Input<'_>) -> Outcome {
        let Ok(input) = serde_json::to_vec(input) else {
            return Outcome::not("its input cannot be written");
        };
        let program = program::Program {
            path: &self.program,
            arguments: &self.arguments,
            environment: &[],
            time: Duration::from_secs(self.seconds.into()),
            most: SAID,
        };
        match program.run(&input).await {
            Ok((status, said)) => {
                let output = text::plain(&String::from_utf8_lossy(&said), MAX_OUTPUT);
                outcome(status, output)
            }
            Err(Without::NotStarted(why) | Without::Unfinished(why)) => Outcome::not(why),
        }
    }
}

/// Exit code 0 has passed, and nothing else has.
fn outcome(status: ExitStatus, output: String) -> Outcome {
    let passed = status.success();
    let output = match (output.is_empty(), status.code()) {
        (false, Some(0 | 1)) => output,
        // Whoever reads has to see that this is no answer.
        (false, _) => text::plain(&format!("it could not be told: {output}"), MAX_OUTPUT),
        (true, Some(0)) => "passed".to_owned(),
        (true, _) => format!("{status}, without a word"),
    };
    Outcome { passed, output }
}

#[cfg(test)]
mod tests;
