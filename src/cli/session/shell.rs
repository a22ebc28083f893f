//! `twotap shell`: a shell with the session, its time left in the prompt, and what it shows recorded.

use std::{
    ffi::OsString,
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
    },
    Opened,
    config::Config,
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
    // What verbs inside mean by 'the session'.
    env.push(("TWOTAP_SESSION", session.id.clone()));
    env.push(("TWOTAP_AGENT", session.socket.display().to_string()));
    run_by(plan, (&prompted.command, &config, env), door, before)
}

/// Runs a command as the plan says.
pub(super) fn run_by(
    plan: Plan,
    (command, config, env): (&[OsString], &Config, Vec<(&'static str, String)>),
    door: &Door,
    before: &Before,
) -> Ended {
    match plan {
        Plan::Record(begun) => {
            let what = What {
                command,
                config,
                env,
            };
            recorded::run(&what, *begun, door, before)
        }
        Plan::Without => {
            let mut plain = Command::new(&command[0]);
            plain.args(&command[1..]);
            config.give(&mut plain);
            plain.envs(env);
            Ok(match run::supervise(plain, before) {
                Ok(status) => ExitCode::from(run::code_of(status)),
                Err(why) => run::not_started(&command[0], &why, &door.ui),
            })
        }
    }
}

/// The person's own shell.
fn shell() -> PathBuf {
    let own = std::env::var_os("SHELL").map(PathBuf::from);
    own.filter(|path| path.is_absolute())
        .unwrap_or_else(|| Path::new("/bin/sh").to_owned())
}
