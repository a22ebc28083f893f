//! The people's door: `twotap`, one file a verb.
//!
//! * [`ui`] owns all wording rules, prompts, the JSON form of results and errors, and the way to an exit code;
//! * [`client`] speaks to the agent, [`memory`] remembers what this person has seen, [`checked`] believes a request only after
//!   everything about it was checked, [`screen`] shows it;
//! * everything else is a verb.
//!
//! A verb gets its arguments and a [`Door`] and ends with an exit code or a [`Problem`]. With `--json` it writes exactly one JSON object to
//! standard output, whatever happens.

mod access;
mod again;
mod alerts;
mod approval;
mod approve;
mod args;
mod audit;
mod aws;
mod aws_cli;
mod checked;
mod choice;
mod client;
mod close;
mod confirm;
mod credentials;
mod custodian;
mod deny;
mod doctor;
mod drill;
mod epochs;
mod explain;
mod export;
mod files;
mod groups;
mod habits;
mod hygiene;
mod inputs;
mod memory;
mod note;
mod open;
mod own_share;
mod people;
mod pin;
mod places;
mod policy;
mod private;
mod readiness;
mod recording;
mod recovery;
mod relay;
mod replay;
mod report;
mod request;
mod review;
mod roster;
mod scenario;
mod screen;
mod seal;
mod secrets;
mod session;
mod setup;
mod sinks;
mod span;
mod standing;
mod status;
mod stop;
mod token;
mod tunnel;
mod ui;
mod vault;
mod waiting;
mod watch;

use std::process::ExitCode;

use crate::protocol::Problem;

use args::{Cli, Verb};
use client::Agent;
use ui::Ui;

/// How a verb ends.
type Ended = Result<ExitCode, Problem>;

/// What every verb has at hand.
struct Door {
    ui: Ui,
    agent: String,
}

impl Door {
    /// The agent that was named, or the default; nothing is sent yet.
    fn agent(&self) -> Result<Agent, Problem> {
        Agent::at(&self.agent)
    }
}

/// The program: hygiene first, then the verb.
pub fn main() -> ExitCode {
    let before = hygiene::begin();
    let json = args::asks_for_json(std::env::args_os());
    match std::panic::catch_unwind(|| run(before, json)) {
        Ok(code) => code,
        Err(_) => Ui::new(json).fail(&hygiene::broke_off()),
    }
}

fn run(before: hygiene::Before, json: bool) -> ExitCode {
    let ui = Ui::new(json);
    let cli = match Cli::read(std::env::args_os()) {
        Ok(cli) => cli,
        Err(args::Stop::Help(text)) => return ui.help(&text),
        Err(args::Stop::Wrong(problem)) => return ui.fail(&problem),
    };
    let door = Door {
        ui: Ui::new(cli.json),
        agent: cli.agent,
    };
    let ended = match cli.verb {
        Verb::Custodian(args) => custodian::run(args, &door),
        Verb::Vault(args) => vault::run(args, &door),
        Verb::Roster(args) => roster::run(args, &door),
        Verb::Access(args) => access::run(args, &door),
        Verb::Explain(args) => explain::run(args, &door),
        Verb::Request(args) => request::run(args, &door),
        Verb::Approve(args) => approve::run(args, &door),
        Verb::Approval(args) => approval::run(args, &door),
        Verb::Confirm(args) => confirm::run(args, &door),
        Verb::Drill(args) => drill::run(args, &door),
        Verb::Deny(args) => deny::run(args, &door),
        Verb::Credentials(args) => credentials::run(args, &door),
        // Its own failures must not look like those of the command that it runs.
        Verb::Exec(args) => own(session::exec::run(args, &door, &before), &door),
        Verb::Shell(args) => own(session::shell::run(args, &door, &before), &door),
        Verb::OnTerminal(args) => session::pty::become_command(&args, &door, &before),
        Verb::Note(args) => note::run(args, &door),
        Verb::Replay(args) => replay::run(args, &door),
        Verb::Env(args) => session::env::run(args, &door),
        Verb::Setup(args) => setup::run(args, &door),
        Verb::Close(args) => close::run(args, &door),
        Verb::Report(args) => report::run(args, &door),
        Verb::Review(args) => review::run(args, &door),
        Verb::Status(args) => status::run(args, &door),
        Verb::Recovery(args) => recovery::run(args, &door),
        Verb::Audit(args) => audit::run(args, &door),
        Verb::Alerts(args) => alerts::run(args, &door),
        Verb::Aws(args) => aws::run(args, &door),
        Verb::Doctor(args) => doctor::run(args, &door),
        Verb::Relay(args) => relay::run(args, &door),
    };
    ended.unwrap_or_else(|problem| door.ui.fail(&problem))
}

/// A failure of ours where a command's exit code is expected.
fn own(ended: Ended, door: &Door) -> Ended {
    ended.or_else(|problem| {
        door.ui.fail(&problem);
        Ok(ExitCode::from(session::run::OWN_FAILURE))
    })
}

#[cfg(test)]
mod tests;
