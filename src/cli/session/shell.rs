//! `twotap shell`: a shell with the session, its time left in the prompt, and what it shows recorded.

use std::{
    io::{self, IsTerminal as _},
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use crate::protocol::{Code, Problem};

use super::{
    super::{
        Door, Ended,
        hygiene::Before,
        recording::{self, Plan},
        ui::Ui,
    },
    Opened,
    config::Config,
    expiry::Herald,
    prompt,
    recorded::{self, What},
    run,
};

/// Arguments of `shell`.
#[derive(clap::Args)]
#[command(
    after_help = "What the terminal shows is recorded and sealed for the officers, unless the access profile says otherwise; what is typed \
is not. Exit code: the shell's own; 125 if twotap itself failed."
)]
pub(in crate::cli) struct Args {
    /// Id of the request; without it, your only open session
    session: Option<String>,
}

pub(in crate::cli) fn run(args: Args, door: &Door, before: &Before) -> Ended {
    if !(io::stdin().is_terminal() && io::stdout().is_terminal()) {
        return Err(Problem::new(
            Code::NoTerminal,
            "a shell needs a terminal, and there is none",
        )
        .hint("run a single command: twotap exec -- COMMAND"));
    }
    let session = Opened::find(door, args.session)?;
    let (roster, policy) = recording::policy(&session, door)?;
    let config = Config::of(&session)?;
    session.tell(&door.ui);
    let shell = shell();
    let mut given = Command::new(&shell);
    config.give(&mut given);
    let request = &session.request;
    let what = format!("{}/{}", request.vault, request.access);
    let prompted = prompt::prepare(&shell, config.folder(), (&what, request.not_after), &given)?;
    let plan = recording::begin(&session, (&roster, policy), "shell", door)?;
    let mut env = prompted.env;
    // What a note inside is about, and the agent of all verbs there.
    env.push(("TWOTAP_SESSION", session.id.clone()));
    env.push(("TWOTAP_AGENT", session.socket.display().to_string()));
    let what = What {
        command: &prompted.command,
        config: &config,
        session: &session,
        env,
        until_file: Some(prompted.until_file),
    };
    match plan {
        Plan::Record(begun) => Ok(recorded::run(&what, *begun, door, before)?.0),
        Plan::Without => unrecorded(what, door, before),
    }
}

fn unrecorded(what: What<'_>, door: &Door, before: &Before) -> Ended {
    let mut command = Command::new(&what.command[0]);
    command.args(&what.command[1..]);
    what.config.give(&mut command);
    command.envs(what.env);
    let (ui, until_file) = (Ui::new(door.ui.json()), what.until_file);
    let herald = || {
        Herald::saying(what.session, move |line, until| {
            prompt::ends_at(until_file.as_deref(), until);
            ui.prompt(line);
        })
    };
    Ok(match run::supervise(command, before, herald, None) {
        Ok(status) => ExitCode::from(run::code_of(status)),
        Err(why) => run::not_started(&what.command[0], &why, &door.ui),
    })
}

/// The person's own shell.
fn shell() -> PathBuf {
    let own = std::env::var_os("SHELL").map(PathBuf::from);
    own.filter(|path| path.is_absolute())
        .unwrap_or_else(|| Path::new("/bin/sh").to_owned())
}
