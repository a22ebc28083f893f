//! `twotap approval`: hands in an approval that was made elsewhere, or takes one back.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use crate::{
    protocol::{
        job,
        socket::{self, RequestView},
    },
    trust::{
        Envelope,
        request::{Approval, Withdrawal, verify_withdrawal},
    },
};

use super::{
    Door, Ended,
    approve::check_as_custodian,
    checked::{self, Papers},
    client::{Patience, request_path},
    files, status,
    token::{self, TokenArgs},
};

/// Arguments of `approval`.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// Hand it in at the agent
    Submit {
        /// What twotap approve --out wrote
        file: PathBuf,
    },
    /// Take your approval back, as long as the quorum is not there; your yes cannot be given again on this request
    Withdraw {
        /// Id of the request
        request: String,
        #[command(flatten)]
        token: TokenArgs,
    },
}

pub(super) fn run(args: Args, door: &Door) -> Ended {
    match args.verb {
        Verb::Submit { file } => submit(&file, door),
        Verb::Withdraw { request, token } => withdraw(&request, &token, door),
    }
}

fn submit(file: &Path, door: &Door) -> Ended {
    let approval: job::Approval = files::read_json(file, "an approval")?;
    // The worker checks it; here only the id is needed, to know where it belongs.
    let Approval(request) = approval.approval.unverified::<Approval>()?;
    let path = request_path(&request.id, "/approvals")?;
    let view: RequestView = door.agent()?.hand_in(&path, &approval, Patience::Worker)?;
    let object = serde_json::json!({
        "request": request.id,
        "stage": view.stage,
        "approved_by": view.approved_by,
        "threshold": view.threshold,
    });
    let text = format!(
        "handed in: {}; the request is {}",
        view.tally(),
        status::stage(view.stage)
    );
    door.ui.result(&object, &text)?;
    Ok(ExitCode::SUCCESS)
}

fn withdraw(request: &str, args: &TokenArgs, door: &Door) -> Ended {
    let agent = door.agent()?;
    let view: RequestView = agent.ask(&request_path(request, "")?)?;
    checked::must_be(&view.offer, request)?;
    let mut token = token::open(args)?;
    let papers = Papers::of(&view);
    let checked = check_as_custodian(&papers, &mut token, door)?;
    let listed = token::listed(&token, &checked.roster)?.clone();
    let mut envelope = Envelope::new(&Withdrawal {
        v: 1,
        request_sha256: checked.offer.digest(),
    })?;
    let slot = token::slot(&listed.approve)?;
    let digest = envelope.signing_digest();
    let signature = token::sign(&mut token, args, slot, &digest, &door.ui)?;
    envelope.add(&listed.approve.key, signature);
    if verify_withdrawal(&envelope, &checked.offer, &checked.roster).is_err() {
        return Err(token::other_key(&listed));
    }

    let path = request_path(request, "/withdrawals")?;
    let body = socket::Withdrawal {
        withdrawal: envelope,
    };
    let view: RequestView = agent.hand_in(&path, &body, Patience::Worker)?;
    let object = serde_json::json!({
        "request": view.id,
        "withdrawn": true,
        "person": listed.person,
        "stage": view.stage,
        "approved_by": view.approved_by,
        "threshold": view.threshold,
    });
    let text = format!(
        "taken back as {}: {}; the request is {}",
        listed.person,
        view.tally(),
        status::stage(view.stage)
    );
    door.ui.result(&object, &text)?;
    Ok(ExitCode::SUCCESS)
}
