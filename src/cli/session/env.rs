//! `twotap env`: the session as variables for a shell, for programs that know no `credential_process`.
//!
//! On demand alone, and never by itself: what is in an environment is inherited by everything that is started from there, is seen by every process
//! of the same account (`/proc/PID/environ`), and asks nobody again. So it says what it means, and stands in the record each time.

use std::{
    io::{self, IsTerminal as _, Write as _},
    process::ExitCode,
};

use zeroize::Zeroizing;

use crate::{
    protocol::{Code, Problem, socket::Credentials},
    trust::Timestamp,
};

use super::{
    super::{
        Door, Ended,
        credentials::{Form, Which, taken_apart},
        span,
    },
    Opened,
};

/// Arguments of `env`.
#[derive(clap::Args)]
#[command(
    after_help = "Use it so: eval \"$(twotap env)\"; and when you are done: eval \"$(twotap env --unset)\".\n\
exec and shell do without: there each use of the session asks for it, and nothing is left behind."
)]
pub(in crate::cli) struct Args {
    /// Id of the request; without it, your only open session
    session: Option<String>,
    #[command(flatten)]
    which: Which,
    /// Print the lines that take the variables away again; needs no session
    #[arg(long, conflicts_with_all = ["session", "account", "role"])]
    unset: bool,
    /// Print the session even if standard output is a terminal, where it stays readable
    #[arg(long)]
    show: bool,
}

/// What is set, in this order.
const SET: [&str; 6] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_CREDENTIAL_EXPIRATION",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
];
/// What would win over it in one SDK or another.
const CLEARED: [&str; 3] = ["AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SECURITY_TOKEN"];

pub(in crate::cli) fn run(args: Args, door: &Door) -> Ended {
    if args.unset {
        let object = serde_json::json!({ "unset": SET });
        door.ui
            .result(&object, &format!("unset {}", SET.join(" ")))?;
        return Ok(ExitCode::SUCCESS);
    }
    // Asked before there is anything to show, and before anything stands in the record.
    if io::stdout().is_terminal() && !args.show {
        return Err(
            Problem::new(Code::Usage, "the session would be readable on the terminal")
                .hint("eval \"$(twotap env)\" sets it without showing it; --show shows it"),
        );
    }
    let session = Opened::find(door, args.session)?;
    let credentials = taken_apart(&door.agent()?, &session.id, &args.which, Form::Environment)?;
    door.ui
        .warn(means(credentials.expiration, Timestamp::now()));
    let values = values(&credentials, session.region());
    write(&match door.ui.json() {
        true => as_json(&session.id, &values)?,
        false => as_lines(&values),
    })?;
    Ok(ExitCode::SUCCESS)
}

/// What it means to have it in an environment.
fn means(until: Timestamp, now: Timestamp) -> String {
    format!(
        "these variables are the session: every program that is started from here has it, until {}; nothing renews it, \
nothing takes it back from here; when you are done: eval \"$(twotap env --unset)\" and twotap close",
        span::when(until, now)
    )
}

type Values = Vec<(&'static str, Zeroizing<String>)>;

fn values(credentials: &Credentials, region: &str) -> Values {
    let of = [
        Zeroizing::new(credentials.access_key_id.clone()),
        credentials.secret_access_key.clone(),
        credentials.session_token.clone(),
        Zeroizing::new(credentials.expiration.to_string()),
        Zeroizing::new(region.to_owned()),
        Zeroizing::new(region.to_owned()),
    ];
    SET.into_iter().zip(of).collect()
}

/// Lines for a POSIX shell.
fn as_lines(values: &Values) -> Zeroizing<String> {
    let mut lines = Zeroizing::new(String::new());
    for (name, value) in values {
        lines.push_str("export ");
        lines.push_str(name);
        lines.push('=');
        lines.push_str(&quoted(value));
        lines.push('\n');
    }
    lines.push_str("unset ");
    lines.push_str(&CLEARED.join(" "));
    lines.push('\n');
    lines
}

/// One word for a POSIX shell, whatever stands in it (POSIX.1-2017, Shell Command Language, 2.2.2).
fn quoted(text: &str) -> Zeroizing<String> {
    let mut word = Zeroizing::new(String::with_capacity(text.len() + 2));
    word.push('\'');
    for c in text.chars() {
        match c {
            '\'' => word.push_str("'\\''"),
            c => word.push(c),
        }
    }
    word.push('\'');
    word
}

fn as_json(session: &str, values: &Values) -> Result<Zeroizing<String>, Problem> {
    let environment: serde_json::Map<String, serde_json::Value> = values
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.as_str().into()))
        .collect();
    let object = serde_json::json!({ "request": session, "set": environment, "unset": CLEARED });
    let json = serde_json::to_string(&object)
        .map_err(|why| Problem::new(Code::Internal, format!("cannot write json: {why}")))?;
    Ok(Zeroizing::new(json + "\n"))
}

fn write(text: &str) -> Result<(), Problem> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|why| {
            Problem::new(
                Code::Internal,
                format!("cannot write the session: {}", why.kind()),
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        for text in [
            "a+/=b",
            "it's",
            "$(touch x)`y`\\\n\"",
            "",
            "--",
            "ünï*?[a]~",
        ] {
            let script = format!("printf %s {}", quoted(text).as_str());
            let shell = Command::new("sh").args(["-c", &script]).output();
            assert_eq!(shell.expect("sh").stdout, text.as_bytes(), "{text:?}");
        }
    }
}
