//! `twotap audit tail`: the newest events.

use std::{process::ExitCode, time::Duration};

use crate::{
    audit::event::Record,
    protocol::{Code, Problem, socket::Status},
};

use crate::cli::{Door, Ended, people::behind, ui::plain};

use super::pages::{count, page};

/// Arguments of `audit tail`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// How many
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    lines: u64,
    /// Go on with each new event, until Ctrl-C
    #[arg(short, long)]
    follow: bool,
    /// The lines as they are kept: one JSON object each, for pipes
    #[arg(long, conflicts_with = "json")]
    raw: bool,
}

/// How often `--follow` asks.
const EVERY: Duration = Duration::from_secs(1);

pub(super) fn run(args: &Args, door: &Door) -> Ended {
    if args.follow && door.ui.json() {
        return Err(
            Problem::new(Code::Usage, "--follow never ends, and --json is one object")
                .hint("take --raw: one JSON object a line"),
        );
    }
    let agent = door.agent()?;
    let status: Status = agent.ask("/v1/status")?;
    let mut next = (status.head.seq + 1).saturating_sub(args.lines).max(1);
    let mut events = Vec::new();
    let mut said = false;
    loop {
        let page = page(&agent, next)?;
        for line in page.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
            if door.ui.json() {
                events.push(json(line)?);
            } else if args.raw {
                door.ui.out(&String::from_utf8_lossy(line))?;
            } else {
                door.ui.out(&shown(line))?;
            }
        }
        let new = count(&page);
        next += new;
        match (new, args.follow) {
            (0, true) => {
                if !std::mem::replace(&mut said, true) {
                    door.ui.note("waiting for new events, until Ctrl-C");
                }
                std::thread::sleep(EVERY);
            }
            (0, false) => break,
            _ if !args.follow && next > status.head.seq => break,
            _ => {}
        }
    }
    if door.ui.json() {
        let object = serde_json::json!({ "events": events, "head": status.head });
        door.ui.result(&object, "")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn json(line: &[u8]) -> Result<serde_json::Value, Problem> {
    serde_json::from_slice(line).map_err(|_| {
        Problem::new(Code::Tampering, "the record has a line that is not JSON")
            .hint("see which: twotap audit verify")
    })
}

/// One event on one line; one that cannot be read is shown as it is.
fn shown(line: &[u8]) -> String {
    let Ok(record) = Record::parse(line) else {
        return format!("unreadable: {}", plain(&String::from_utf8_lossy(line)));
    };
    let mut text = format!(
        "{:>6}  {}  {:<24} {}",
        record.seq,
        plain(&record.timestamp),
        plain(&record.event_type),
        plain(&record.actor)
    );
    if let Some(who) = &record.who {
        text.push_str(&format!(" ({})", behind(who)));
    }
    // A type of many steps says little by its name.
    if record.event_type.ends_with("_STEP") {
        text.push_str(&format!("  {}", plain(&record.action)));
    }
    for part in [
        &record.correlation_id,
        &record.incident_id,
        &record.justification,
    ]
    .into_iter()
    .flatten()
    {
        text.push_str("  ");
        text.push_str(&plain(part));
    }
    text
}
