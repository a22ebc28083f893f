//! `twotap credentials`: the session in the form of the AWS `credential_process` contract.
//!
//! Called by SDKs again and again, so it does nothing that is not needed: no token, no verification, one or two calls to the agent.
//! The contract: <https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html>.

use std::{io::Write as _, process::ExitCode};

use zeroize::Zeroizing;

use crate::protocol::{Code, Problem, socket::Credentials};

use super::{
    Door, Ended,
    client::{Agent, request_path},
    open,
    session::console,
};

/// Arguments of `credentials`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Id of the request; without it, your only open session
    session: Option<String>,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    console: console::Args,
}

/// Which of a session's roles.
#[derive(clap::Args)]
#[group(skip)]
pub(super) struct Which {
    /// Of several accounts, this one; without it, the request's first
    #[arg(long, value_name = "ID", value_parser = account)]
    account: Option<String>,
    /// Of several roles, the one with this name
    #[arg(long, value_name = "NAME", value_parser = role)]
    role: Option<String>,
    /// Where another session continues the one that is named, that one's
    #[arg(long, hide = true)]
    onward: bool,
}

/// What is made of the session; the agent puts it on record.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Form {
    /// The contract's answer to an SDK.
    Process,
    /// Variables for a shell.
    Environment,
    /// A sign-in to the console.
    Console,
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
    if args.console.wanted() {
        return console::run(args.session, &args.which, &args.console, door);
    }
    let agent = door.agent()?;
    let session = open::session(&agent, args.session)?;
    let body = fetch(&agent, &session, &args.which, Form::Process)?;
    // The bytes themselves go out as they came.
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

/// The session as the agent answers it: the contract's form and no other field.
fn fetch(
    agent: &Agent,
    session: &str,
    which: &Which,
    form: Form,
) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let form = match form {
        Form::Process => None,
        Form::Environment => Some("environment"),
        Form::Console => Some("console"),
    };
    let wanted: Vec<String> = [
        ("account", which.account.as_deref()),
        ("role", which.role.as_deref()),
        ("form", form),
        ("onward", which.onward.then_some("true")),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some(format!("{name}={}", value?)))
    .collect();
    let query = match wanted.is_empty() {
        true => String::new(),
        false => format!("?{}", wanted.join("&")),
    };
    let path = format!("{}{query}", request_path(session, "/credentials")?);
    let body = agent.ask_bytes(&path)?;
    read(&body).map(|_| body)
}

/// The same, taken apart.
pub(super) fn taken_apart(
    agent: &Agent,
    session: &str,
    which: &Which,
    form: Form,
) -> Result<Credentials, Problem> {
    read(&fetch(agent, session, which, form)?)
}

fn read(body: &[u8]) -> Result<Credentials, Problem> {
    serde_json::from_slice::<Credentials>(body)
        .ok()
        .filter(|c| c.version == 1)
        .ok_or_else(|| {
            Problem::new(
                Code::Agent,
                "the agent's answer is not a session in the form of credential_process",
            )
        })
}
