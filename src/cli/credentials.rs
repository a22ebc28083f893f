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
    /// Of several accounts, this one; without it, the request's first
    #[arg(long, value_name = "ID", value_parser = account)]
    account: Option<String>,
    /// Of several roles, the one with this name
    #[arg(long, value_name = "NAME", value_parser = role)]
    role: Option<String>,
    /// Where another session continues this one, that one's
    #[arg(long, hide = true, requires = "session")]
    onward: bool,
}

fn account(text: &str) -> Result<String, String> {
    match text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit()) {
        true => Ok(text.to_owned()),
        false => Err("an account number has 12 digits".to_owned()),
    }
}

/// A role's name or ARN; what IAM lets stand in one stands in a query as it is.
fn role(text: &str) -> Result<String, String> {
    let known = |b: u8| b.is_ascii_alphanumeric() || b"+=,.@-_:/".contains(&b);
    match !text.is_empty() && text.len() <= 2048 && text.bytes().all(known) {
        true => Ok(text.to_owned()),
        false => Err("that is not a role's name".to_owned()),
    }
}

pub(super) fn run(args: Args, door: &Door) -> Ended {
    let agent = door.agent()?;
    let session = open::session(&agent, args.session)?;
    let onward = args.onward.then(|| "true".to_owned());
    let wanted: Vec<String> = [
        ("account", args.account),
        ("role", args.role),
        ("onward", onward),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some(format!("{name}={}", value?)))
    .collect();
    let query = match wanted.is_empty() {
        true => String::new(),
        false => format!("?{}", wanted.join("&")),
    };
    let path = format!("{}{query}", request_path(&session, "/credentials")?);
    let body = agent.ask_bytes(&path)?;
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
