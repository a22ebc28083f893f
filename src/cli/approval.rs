//! `twotap approval submit`: hands in an approval that was made elsewhere.

use std::{path::PathBuf, process::ExitCode};

use crate::{
    protocol::{job, socket::RequestView},
    trust::request::Approval,
};

use super::{
    Door, Ended,
    client::{Patience, request_path},
    files, status,
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
}

pub(super) fn run(args: Args, door: &Door) -> Ended {
    let Verb::Submit { file } = args.verb;
    let approval: job::Approval = files::read_json(&file, "an approval")?;
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
        "handed in: {} of {}; the request is {}",
        view.approved_by.len(),
        view.threshold,
        status::stage(view.stage)
    );
    door.ui.result(&object, &text)?;
    Ok(ExitCode::SUCCESS)
}
