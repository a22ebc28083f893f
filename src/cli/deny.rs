//! `twotap deny`: a custodian's no, signed like a yes.

use std::process::ExitCode;

use crate::{
    protocol::socket::{self, RequestView},
    trust::Envelope,
    trust::{
        Timestamp,
        request::{Denial, verify_denial},
    },
};

use super::{
    Door, Ended,
    approve::check_as_custodian,
    checked::{self, Papers},
    client::{Patience, request_path},
    screen, status,
    token::{self, TokenArgs},
};

/// Arguments of `deny`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Id of the request
    request: String,
    /// Why not; everybody in the roster will read it
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    token: TokenArgs,
}

pub(super) fn run(args: Args, door: &Door) -> Ended {
    let agent = door.agent()?;
    let view: RequestView = agent.ask(&request_path(&args.request, "")?)?;
    checked::must_be(&view.offer, &args.request)?;
    let mut token = token::open(&args.token)?;
    let papers = Papers::of(&view);
    let checked = check_as_custodian(&papers, &mut token, door)?;
    let listed = token::listed(&token, &checked.roster)?.clone();
    let denial = Denial {
        v: 1,
        request_sha256: checked.offer.digest(),
        reason: args.reason,
    };
    let mut envelope = Envelope::new(&denial)?;

    let shown = screen::in_full(&checked, Timestamp::now());
    door.ui.screen(&shown, args.token.pin_fd.is_none())?;
    let slot = token::slot(&listed.approve)?;
    let signature = token::sign(
        &mut token,
        &args.token,
        slot,
        &envelope.signing_digest(),
        &door.ui,
    )?;
    envelope.add(&listed.approve.key, signature);
    if verify_denial(&envelope, &checked.offer, &checked.roster).is_err() {
        return Err(token::other_key(&listed));
    }

    let path = request_path(&checked.request().id, "/denials")?;
    let body = socket::Denial { denial: envelope };
    let view: RequestView = agent.hand_in(&path, &body, Patience::Worker)?;
    let object = serde_json::json!({
        "request": view.id,
        "denied": true,
        "person": listed.person,
        "token": listed.serial,
        "stage": view.stage,
    });
    let text = format!(
        "denied as {}; the request is {}",
        listed.person,
        status::stage(view.stage)
    );
    door.ui.result(&object, &text)?;
    Ok(ExitCode::SUCCESS)
}
