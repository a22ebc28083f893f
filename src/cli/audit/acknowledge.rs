//! `twotap audit acknowledge`: an officer has seen what was done to the live record of this host.

use std::process::ExitCode;

use crate::protocol::evidence::{Acknowledge, Acknowledged};

use super::super::{Door, Ended, client::Patience, ui::plain};

/// Arguments of `audit acknowledge`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// What was found and what was done about it, in one line
    #[arg(long)]
    reason: String,
    /// Number of the last AUDIT_TAMPERED event that you have looked into; without it, all of them
    #[arg(long, value_name = "EVENT")]
    through: Option<u64>,
}

pub(super) fn run(args: Args, door: &Door) -> Ended {
    let agent = door.agent()?;
    let said = Acknowledge {
        reason: args.reason,
        through: args.through,
    };
    let done: Acknowledged = agent.hand_in("/v1/audit/acknowledgement", &said, Patience::Agent)?;
    let events: Vec<String> = done.events.iter().map(u64::to_string).collect();
    let text = format!(
        "acknowledged by {} as event {}: {} {}",
        plain(&done.by),
        done.seq,
        if events.len() == 1 { "event" } else { "events" },
        events.join(", ")
    );
    door.ui.result(&done, &text)?;
    Ok(ExitCode::SUCCESS)
}
