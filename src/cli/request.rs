//! `twotap request`: an operator asks for exactly one access, and checks that the host offers exactly that.
//!
//! * [`given`] is what was given of it and what is still needed, [`dialogue`] asks for that at a terminal, [`declaration`] reads the
//!   environment's;
//! * [`offered`] checks that what the host offers is what was asked;
//! * [`shown`] is what the operator sees, [`wait`] sees to the end of the ceremony.

mod declaration;
mod dialogue;
pub(super) mod given;
mod offered;
mod shown;
mod wait;

use std::{
    io::{IsTerminal as _, stdout},
    process::ExitCode,
};

use crate::{
    protocol::{Code, Problem, job::Ask, socket::RequestView},
    trust::{
        Timestamp,
        request::{BannedUse, CLOSE_ONLY, Request, is_request_id},
    },
};

use super::{
    Door, Ended, again,
    checked::{self, Checked, Papers},
    client::{Agent, Patience},
    memory::{FirstMeeting, Memory},
    screen,
    ui::plain,
};

use given::Given;

/// Arguments of `request`.
#[derive(clap::Args)]
#[command(
    after_help = "At a terminal what is needed and not given is asked for, with what the roster allows and its defaults.\n\n\
GOVERNED_BREAK_GLASS=true with BREAK_GLASS_REASON and BREAK_GLASS_TIMESTAMP (a UTC time like \
2026-01-06T10:00:00Z, at most 15 minutes old) stands for --reason and --not-for where these are absent."
)]
pub(super) struct Args {
    /// The vault, e.g. prod; the host's only one where absent
    vault: Option<String>,
    /// The next time box of an earlier session, yours that is open or the one named: asks as it was asked, but for what is given here
    #[arg(long, value_name = "REQUEST", num_args = 0..=1, default_missing_value = "", conflicts_with_all = ["close_only", "scenario", "access", "incident", "subject"])]
    again: Option<String>,
    /// What kind of emergency it is, e.g. outage; one of the roster's
    #[arg(long, value_name = "NAME", conflicts_with = "close_only")]
    scenario: Option<String>,
    /// The access profile, e.g. admin; the scenario's where it has only one
    #[arg(long, value_name = "NAME", conflicts_with = "close_only")]
    access: Option<String>,
    /// No session: close what a reboot left open (all of it, or these requests) and replace the sealed key
    #[arg(long, value_name = "REQUEST", num_args = 0.., conflicts_with_all = ["duration", "subject", "not_for"])]
    close_only: Option<Vec<String>>,
    /// Reference of the incident, e.g. INC-42
    #[arg(long, value_name = "ID")]
    incident: Option<String>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// How long, e.g. 4h or 90m; the scenario's or profile's default where absent
    #[arg(long, value_name = "LENGTH", value_parser = given::duration)]
    duration: Option<u32>,
    /// The incident commander who authorised it; your word, until that person says so with twotap confirm
    #[arg(long, value_name = "NAME")]
    commander: Option<String>,
    /// Whom or what it is about, e.g. a user's id
    #[arg(long, value_name = "ID")]
    subject: Option<String>,
    /// What you confirm that it is not: routine-change, expediency, avoiding-review; with commas between them
    #[arg(long, value_name = "USES", value_delimiter = ',', value_parser = given::banned_use)]
    not_for: Vec<BannedUse>,
    /// Wait until the session is open, or the request has ended; at a terminal that is so by itself
    #[arg(long, conflicts_with = "no_wait")]
    wait: bool,
    /// Do not wait
    #[arg(long)]
    no_wait: bool,
}

pub(super) fn run(args: Args, door: &Door) -> Ended {
    let at_terminal = !door.ui.json() && stdout().is_terminal();
    let wait = args.wait || (at_terminal && !args.no_wait);
    let ask = ask_of(args, door)?;
    let asked = begin(&ask, door)?;
    let (agent, view, checked) = (&asked.agent, &asked.view, &asked.checked);

    let request = checked.request();
    let words = screen::words(&checked.offer.digest())?;
    if wait {
        let view = match at_terminal {
            true => {
                let text = shown::asked(request, &words, view);
                door.ui.out(&format!("{}\n", text.trim_end()))?;
                wait::until_open(agent, request, door)?
            }
            false => wait_for(agent, request, &words, door)?,
        };
        let mut object = shown::json(request, &words, &checked.offer.digest(), &view);
        object["waited"] = true.into();
        door.ui
            .result(&object, &shown::session(request, &view, Timestamp::now()))?;
    } else {
        let object = shown::json(request, &words, &checked.offer.digest(), view);
        door.ui
            .result(&object, &shown::asked(request, &words, view))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// From the command line, the environment and the person at the terminal to what is asked for.
fn ask_of(args: Args, door: &Door) -> Result<Ask, Problem> {
    let mut given = Given {
        access: args.access,
        scenario: args.scenario,
        incident: args.incident,
        reason: args.reason,
        seconds: args.duration,
        commander: args.commander,
        subject: args.subject,
        confirmed: args.not_for,
        follows: None,
    };
    let mut vault = args.vault;
    if let Some(named) = &args.again {
        let earlier = again::earlier(door, named, vault.as_deref())?;
        vault = Some(earlier.vault.clone());
        again::fill(&mut given, &earlier);
    }
    let close_only = close_only(args.close_only)?;
    declare(&mut given, close_only.is_none())?;
    let Some(named) = close_only else {
        return dialogue::complete(vault, given, door);
    };
    given.access = Some(CLOSE_ONLY.to_owned());
    let vault = vault.ok_or_else(|| {
        Problem::new(Code::Usage, "no vault is named").hint("see twotap status for their names")
    })?;
    let mut ask = given.into_ask(vault)?;
    ask.close_only = Some(named);
    Ok(ask)
}

/// Takes the declaration in the environment for what was not given.
fn declare(given: &mut Given, opens: bool) -> Result<(), Problem> {
    let variable = |name: &str| std::env::var(name).ok();
    let confirms = opens && given.confirmed.is_empty();
    if given.reason.is_some() && !confirms {
        return Ok(());
    }
    match declaration::read(variable, Timestamp::now()) {
        Ok(Some(reason)) => {
            given.reason.get_or_insert(reason);
            if confirms {
                given.confirmed = BannedUse::ALL.to_vec();
            }
            Ok(())
        }
        Ok(None) => Ok(()),
        // It is not needed where a reason was given, and confirms nothing.
        Err(_) if given.reason.is_some() => Ok(()),
        Err(problem) => Err(problem),
    }
}

/// A request that was made, and an offer that is what was asked.
pub(super) struct Asked {
    pub agent: Agent,
    pub view: RequestView,
    pub checked: Checked,
}

/// Says the words for the call, and waits for the end of the ceremony.
pub(super) fn wait_for(
    agent: &Agent,
    request: &Request,
    words: &[&str; 6],
    door: &Door,
) -> Result<RequestView, Problem> {
    door.ui.note(format!(
        "request {}; read these words to the custodians: {}",
        request.id,
        words.join(" ")
    ));
    wait::until_open(agent, request, door)
}

/// Asks, and checks that the host offers exactly that.
pub(super) fn begin(ask: &Ask, door: &Door) -> Result<Asked, Problem> {
    let agent = door.agent()?;
    let mut memory = Memory::open()?;

    let view: RequestView = agent.hand_in("/v1/requests", ask, Patience::Request)?;
    let papers = Papers::of(&view);
    let checked = checked::check(&papers, &mut memory, &FirstMeeting::SaySo, &door.ui)?;
    let uid = rustix::process::getuid().as_raw();
    offered::is_what_was_asked(checked.request(), ask, &view, &checked.roster, uid)?;
    Ok(Asked {
        agent,
        view,
        checked,
    })
}

/// The requests that are named to be closed; each once, and each an id.
fn close_only(named: Option<Vec<String>>) -> Result<Option<Vec<String>>, Problem> {
    let Some(named) = named else { return Ok(None) };
    let mut ids: Vec<String> = Vec::new();
    for id in named {
        if !is_request_id(&id) {
            return Err(
                Problem::new(Code::Usage, format!("{} is not a request's id", plain(&id)))
                    .hint("an id is like r-abcdefghijklm: see twotap status"),
            );
        }
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    Ok(Some(ids))
}

/// What is asked for; what is wrong with it is said here and not by the worker.
pub(super) fn ask(
    vault: String,
    access: String,
    incident: String,
    reason: String,
) -> Result<Ask, Problem> {
    let given = Given {
        access: Some(access),
        incident: Some(incident),
        reason: Some(reason),
        ..Given::default()
    };
    given.into_ask(vault)
}

#[cfg(test)]
mod tests;
