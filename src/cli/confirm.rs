//! `twotap confirm`: the commander's word, from the commander's own account. Until then a commander is a name that the operator gave.

use std::process::ExitCode;

use crate::{
    protocol::{
        Code, Problem,
        people::{Confirm, Statement},
        socket::RequestView,
    },
    trust::Timestamp,
};

use super::{
    Door, Ended,
    checked::{self, Papers},
    client::{Patience, request_path},
    memory::{FirstMeeting, Memory},
    people, screen,
    ui::plain,
};

/// Arguments of `confirm`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Id of the request
    request: String,
    /// The nature of the incident, for the record
    #[arg(long, value_name = "TEXT")]
    nature: Option<String>,
    /// The impact that is expected, for the record
    #[arg(long, value_name = "TEXT")]
    impact: Option<String>,
    /// Why standard procedures do not do, for the record
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    /// Do not ask: the request was read elsewhere
    #[arg(long)]
    yes: bool,
}

pub(super) fn run(args: Args, door: &Door) -> Ended {
    let statement = Statement {
        nature: args.nature,
        impact: args.impact,
        why: args.why,
    };
    statement
        .check()
        .map_err(|why| Problem::new(Code::Usage, why))?;
    let agent = door.agent()?;
    let view: RequestView = agent.ask(&request_path(&args.request, "")?)?;
    checked::must_be(&view.offer, &args.request)?;
    let papers = Papers::of(&view);
    let mut memory = Memory::open()?;
    let checked = checked::check(&papers, &mut memory, &FirstMeeting::SaySo, &door.ui)?;

    let shown = screen::in_full(&checked, Timestamp::now());
    door.ui.screen(&shown, !args.yes)?;
    if !args.yes
        && !door
            .ui
            .confirm("do you authorise this, as its commander?")?
    {
        return Err(Problem::new(Code::Refused, "you did not authorise it"));
    }

    let confirm = Confirm {
        request_sha256: checked.offer.digest(),
        statement,
    };
    let path = request_path(&checked.request().id, "/confirmation")?;
    let view: RequestView = agent.hand_in(&path, &confirm, Patience::Agent)?;
    let commander = view.commander.ok_or_else(|| {
        Problem::new(Code::Agent, "the agent took it and names no commander")
            .hint("see twotap status")
    })?;
    let object = serde_json::json!({
        "request": view.id,
        "commander": commander,
        "stage": view.stage,
    });
    let text = format!(
        "{}: authorised by {}",
        plain(&view.id),
        people::in_words(
            &commander,
            &checked.request().operator,
            Some(&checked.roster)
        )
    );
    door.ui.result(&object, &text)?;
    Ok(ExitCode::SUCCESS)
}
