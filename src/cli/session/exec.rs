//! `twotap exec`: runs a command with the session, through a private AWS configuration.

use std::{
    ffi::OsString,
    process::{Command, ExitCode},
};

use super::{
    super::{Door, Ended, hygiene::Before, recording},
    Opened,
    config::Config,
    recorded::{self, What},
    run,
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
    if let Some(begun) = recording::of_exec(&session, (args.record, &args.command[0]), door)? {
        let what = What {
            command: &args.command,
            config: &config,
            env: Vec::new(),
        };
        return recorded::run(&what, begun, door, before);
    }

    let mut command = Command::new(&args.command[0]);
    command.args(&args.command[1..]);
    config.give(&mut command);
    let status = run::supervise(command, before);
    drop(config);
    Ok(match status {
        Ok(status) => ExitCode::from(run::code_of(status)),
        Err(why) => run::not_started(&args.command[0], &why, &door.ui),
    })
}
