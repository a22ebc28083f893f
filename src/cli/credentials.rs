//! `twotap credentials`: the session in the form of the AWS `credential_process` contract.
//!
//! Called by SDKs again and again, so it does nothing that is not needed: no token, no verification, one or two calls to the agent.
//! The contract: <https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html>.

use std::{io::Write as _, process::ExitCode};

use crate::protocol::{Code, Problem, socket::Credentials};

use super::{Door, Ended, client::request_path, open};

/// Arguments of `credentials`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Id of the request; without it, your only open session
    session: Option<String>,
}

pub(super) fn run(args: Args, door: &Door) -> Ended {
    let agent = door.agent()?;
    let session = open::session(&agent, args.session)?;
    let body = agent.ask_bytes(&request_path(&session, "/credentials")?)?;
    // Read before it is passed on: what is printed is the contract's form and no other field. The bytes themselves go out as they came.
    let fits = serde_json::from_slice::<Credentials>(&body).is_ok_and(|c| c.version == 1);
    if !fits {
        return Err(Problem::new(
            Code::Agent,
            "the agent's answer is not a session in the form of credential_process",
        ));
    }
    let mut out = std::io::stdout().lock();
    out.write_all(body.trim_ascii())
        .and_then(|()| out.write_all(b"\n"))
        .and_then(|()| out.flush())
        .map_err(|why| {
            Problem::new(
                Code::Internal,
                format!("cannot write the session: {}", why.kind()),
            )
        })?;
    Ok(ExitCode::SUCCESS)
}
