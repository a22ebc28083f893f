//! `twotap note`: puts something that the operator did or saw in a session on record, in the own words.

use std::process::ExitCode;

use crate::protocol::recording::{Note, Noted};

use super::{
    Door, Ended,
    client::{Patience, request_path},
    open,
};

/// Arguments of `note`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// What you did or saw, in one line
    text: String,
    /// Id of the request; without it, the session of this shell, else your only open one
    #[arg(long, env = "TWOTAP_SESSION", value_name = "REQUEST")]
    session: Option<String>,
}

pub(super) fn run(args: Args, door: &Door) -> Ended {
    let agent = door.agent()?;
    let session = open::session(&agent, args.session)?;
    let note = Note { text: args.text };
    let path = request_path(&session, "/notes")?;
    let noted: Noted = agent.hand_in(&path, &note, Patience::Agent)?;
    door.ui
        .result(&noted, &format!("noted as event {}", noted.seq))?;
    Ok(ExitCode::SUCCESS)
}
