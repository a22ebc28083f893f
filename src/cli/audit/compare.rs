//! `twotap audit match`: whether a value is the one whose fingerprint stands in an event.

use std::{
    io::{self, IsTerminal as _, Read as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use zeroize::Zeroizing;

use crate::{
    audit::fingerprint::{Fingerprint, FingerprintKey},
    cli::{Door, Ended, client::Patience, files, ui::plain},
    protocol::{
        Code, Problem,
        evidence::{FieldMatched, MAX_VALUE, Match, Matched},
    },
};

/// Arguments of `audit match`.
#[derive(clap::Args)]
#[command(
    after_help = "An officer asks the agent by the event's number. Without an agent: the fingerprint as it stands in the line, its purpose \
(the field's name), and the pepper in a file."
)]
pub(super) struct Args {
    /// Number of the event
    #[arg(value_name = "EVENT", required_unless_present = "fingerprint")]
    event: Option<u64>,
    /// The file with the value, - for standard input; without it, it is typed unseen
    #[arg(long, value_name = "FILE|-")]
    value: Option<PathBuf>,
    /// A fingerprint as it stands in a line, kid_YYYYMM:HEX
    #[arg(
        long,
        conflicts_with = "event",
        requires = "pepper",
        requires = "purpose"
    )]
    fingerprint: Option<String>,
    /// What it is the fingerprint of: the field of the line, access_key or subject
    #[arg(long, requires = "fingerprint")]
    purpose: Option<String>,
    /// The pepper's file: 32 bytes in base64
    #[arg(long, value_name = "FILE", requires = "fingerprint")]
    pepper: Option<PathBuf>,
}

pub(super) fn run(args: &Args, door: &Door) -> Ended {
    if let (Some(print), Some(purpose), Some(pepper)) =
        (&args.fingerprint, &args.purpose, &args.pepper)
    {
        return by_hand(args, (print, purpose, pepper), door);
    }
    let event = args.event.unwrap_or_default();
    let agent = door.agent()?;
    let asked = Match {
        event,
        value: value(args.value.as_deref(), door)?,
    };
    let done: Matched = agent.hand_in("/v1/audit/match", &asked, Patience::Agent)?;
    let rows: Vec<String> = done.fields.iter().map(row).collect();
    let text = format!(
        "event {event}:\n{}\non record as event {}",
        rows.join("\n"),
        done.seq
    );
    door.ui.result(&done, &text)?;
    ended(done.fields.iter().any(|f| f.matches == Some(true)))
}

fn row(field: &FieldMatched) -> String {
    let said = match (field.matches, &field.why) {
        (Some(true), _) => "the value is the one".to_owned(),
        (Some(false), _) => "another value".to_owned(),
        (None, why) => format!(
            "cannot be told: {}",
            plain(why.as_deref().unwrap_or("no pepper"))
        ),
    };
    format!("  {} ({}): {said}", plain(&field.field), plain(&field.kid))
}

fn by_hand(args: &Args, (print, purpose, pepper): (&str, &str, &Path), door: &Door) -> Ended {
    let print: Fingerprint = print.parse().map_err(|why| {
        Problem::new(Code::Usage, why).hint("as it stands in the line, e.g. kid_202611:5f0c...")
    })?;
    let text = Zeroizing::new(files::read_at_most(pepper, 4096)?);
    let text = std::str::from_utf8(&text).unwrap_or_default();
    let key = FingerprintKey::from_base64(print.kid(), text)
        .map_err(|why| Problem::new(Code::Usage, format!("{}: {why}", files::shown(pepper))))?;
    let value = value(args.value.as_deref(), door)?;
    // As a line names the field, or as the purpose is called.
    let purpose = purpose.replace('_', "-");
    let matches = key.matches(&print, &purpose, value.as_bytes());
    let text = match matches {
        true => "the value is the one",
        false => "another value, another purpose, or not the pepper that made it",
    };
    door.ui
        .result(&serde_json::json!({ "matches": matches }), text)?;
    ended(matches)
}

/// For scripts: 0 where it is the one.
fn ended(matches: bool) -> Ended {
    Ok(match matches {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(Code::Refused.exit_status()),
    })
}

/// The value from a file, from standard input, or typed; never from the command line, which everybody on the host can read.
fn value(from: Option<&Path>, door: &Door) -> Result<Zeroizing<String>, Problem> {
    let bytes = match from {
        Some(path) if path.as_os_str() != "-" => {
            Zeroizing::new(files::read_at_most(path, MAX_VALUE as u64 + 1)?)
        }
        None if io::stdin().is_terminal() => {
            let (answer, length) = door.ui.secret("the value")?;
            Zeroizing::new(answer[..length].to_vec())
        }
        _ => {
            let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_VALUE + 2));
            io::stdin()
                .take(MAX_VALUE as u64 + 2)
                .read_to_end(&mut bytes)
                .map_err(|why| Problem::new(Code::Usage, format!("standard input: {why}")))?;
            bytes
        }
    };
    // An editor and echo end a file with a newline that is not part of it.
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) if (1..=MAX_VALUE).contains(&text.len()) => Ok(Zeroizing::new(text.to_owned())),
        _ => Err(Problem::new(
            Code::Usage,
            format!("the value is text of 1 to {MAX_VALUE} bytes"),
        )
        .hint("type it at a terminal, or give it by --value FILE or on standard input")),
    }
}
