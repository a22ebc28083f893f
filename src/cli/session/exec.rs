//! `twotap exec`: runs a command with the session, through a private AWS configuration.

use std::{
    ffi::{OsStr, OsString},
    path::Path,
    process::{Command, ExitCode},
};

use crate::trust::Timestamp;

use super::{
    super::{Door, Ended, explain, hygiene::Before, recording},
    Opened,
    config::Config,
    expiry::{self, Herald},
    recorded::{self, What},
    run::{self, Tail},
};

/// Arguments of `exec`.
#[derive(clap::Args)]
#[command(
    after_help = "Exit code: the command's own; 128 + N if signal N ended it; 125 if twotap itself failed, 126 if the command \
cannot be run, 127 if there is no such command."
)]
pub(in crate::cli) struct Args {
    /// Id of the request; without it, your only open session
    session: Option<String>,
    /// Record what the command shows, sealed for the officers; done by itself where the access has to be recorded
    #[arg(long)]
    record: bool,
    /// The command and its arguments, after --
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

pub(in crate::cli) fn run(args: Args, door: &Door, before: &Before) -> Ended {
    let session = Opened::find(door, args.session)?;
    let config = Config::of(&session)?;
    session.tell(&door.ui);
    let explained = speaks_of_refusals(&args.command);
    if let Some(begun) = recording::of_exec(&session, (args.record, &args.command[0]), door)? {
        let what = What {
            command: &args.command,
            config: &config,
            session: &session,
            env: Vec::new(),
            until_file: None,
        };
        let (code, failed) = recorded::run(&what, begun, door, before)?;
        if let Some(tail) = failed {
            after_failure(&session, Some(tail).filter(|_| explained), door);
        }
        return Ok(code);
    }

    let mut command = Command::new(&args.command[0]);
    command.args(&args.command[1..]);
    config.give(&mut command);
    let mut tail = explained.then(Tail::default);
    let herald = || Herald::begin(&session, &door.ui);
    let status = run::supervise(command, before, herald, tail.as_mut());
    drop(config);
    let status = match status {
        Ok(status) => status,
        Err(why) => return Ok(run::not_started(&args.command[0], &why, &door.ui)),
    };
    if !status.success() {
        after_failure(&session, tail, door);
    }
    Ok(ExitCode::from(run::code_of(status)))
}

/// Says that the session had ended, if so; else what AWS refused, by the end of what the command wrote.
fn after_failure(session: &Opened, tail: Option<Tail>, door: &Door) {
    if let Some(line) = expiry::after_failure(session, Timestamp::now()) {
        door.ui.note(line);
    } else if let Some(tail) = tail {
        for line in explain::of_tail(&tail.text(), &session.id, door) {
            door.ui.step(line);
        }
    }
}

/// Programs that call AWS, say on standard error what was refused, and do not talk to people there. What is not listed keeps the standard
/// error that we have: a shell would not be one without its terminal.
const CALLERS: [&str; 10] = [
    "aws",
    "cdk",
    "eksctl",
    "node",
    "pulumi",
    "python",
    "python3",
    "sam",
    "terraform",
    "tofu",
];

fn speaks_of_refusals(command: &[OsString]) -> bool {
    // Without an argument an interpreter talks to a person.
    let [program, _, ..] = command else {
        return false;
    };
    let name = Path::new(program).file_name().and_then(OsStr::to_str);
    name.is_some_and(|name| CALLERS.contains(&name))
}
