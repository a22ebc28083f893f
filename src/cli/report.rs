//! `twotap report`: what a session was, from the record; and every access of a quarter.
//!
//! A report says what the record of this host says. That the record was not changed is for `twotap audit verify` to show.

mod build;
mod deadlines;
mod deviations;
mod quarter;
mod text;

use std::{path::PathBuf, process::ExitCode};

use crate::{
    audit::event::Record,
    protocol::{
        Code, Problem,
        review::{Filing, With},
        socket::{RequestView, Status},
    },
    trust::{Digest, Timestamp},
};

use super::{
    Door, Ended,
    client::{Agent, Patience, request_path},
    files, span,
    ui::plain,
};

/// Arguments of `report`.
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("filing").args(["filed", "board"]).requires("report"))]
pub(super) struct Args {
    /// Id of the request
    #[arg(required_unless_present = "quarter")]
    request: Option<String>,
    /// Every access of a quarter, e.g. 2026Q4
    #[arg(long, value_name = "QUARTER", conflicts_with_all = ["request", "filing", "report"])]
    quarter: Option<String>,
    /// Write it to a new file instead; the --json form where the name ends with .json
    #[arg(short, long, value_name = "FILE", conflicts_with = "filing")]
    output: Option<PathBuf>,
    /// Put on record that --report FILE was handed in, under this reference
    #[arg(long, value_name = "REFERENCE", requires = "report")]
    filed: Option<String>,
    /// Put on record that the change board has --report FILE, under this reference
    #[arg(
        long,
        value_name = "REFERENCE",
        requires = "report",
        conflicts_with = "filed"
    )]
    board: Option<String>,
    /// The report as it was handed in
    #[arg(long, value_name = "FILE", requires = "filing")]
    report: Option<PathBuf>,
}

pub(super) fn run(args: Args, door: &Door) -> Ended {
    if let Some(path) = &args.output {
        files::must_be_new(path)?;
    }
    let agent = door.agent()?;
    if let Some(quarter) = &args.quarter {
        let all = quarter::of(&agent, quarter)?;
        let shown = quarter::text(&all);
        return put(door, args.output, &all, &shown);
    }
    let id = args.request.unwrap_or_default();
    let filing = match (args.filed, args.board) {
        (Some(reference), _) => Some((With::Report, reference)),
        (_, Some(reference)) => Some((With::Board, reference)),
        _ => None,
    };
    if let Some((with, reference)) = filing {
        let file = args.report.unwrap_or_default();
        return filed(door, &agent, &id, with, reference, &file);
    }
    let report = of_request(&agent, &id)?;
    let shown = text::text(&report);
    put(door, args.output, &report, &shown)
}

/// To standard output, or to a file.
fn put(door: &Door, output: Option<PathBuf>, report: &impl serde::Serialize, shown: &str) -> Ended {
    let Some(path) = output else {
        door.ui.result(report, shown)?;
        return Ok(ExitCode::SUCCESS);
    };
    let bytes = if path.extension().is_some_and(|end| end == "json") {
        let mut json = serde_json::to_vec_pretty(report)
            .map_err(|why| Problem::new(Code::Internal, format!("cannot write json: {why}")))?;
        json.push(b'\n');
        json
    } else {
        format!("{}\n", shown.trim_end()).into_bytes()
    };
    files::write_bytes_new(&path, &bytes)?;
    let sha256 = Digest::of(&bytes);
    let object = serde_json::json!({ "file": path, "sha256": sha256 });
    let text = format!("{} written, sha256 {sha256}", files::shown(&path));
    door.ui.result(&object, &text)?;
    Ok(ExitCode::SUCCESS)
}

fn of_request(agent: &Agent, id: &str) -> Result<build::Report, Problem> {
    let view: RequestView = agent.ask(&request_path(id, "")?)?;
    let status: Status = agent.ask("/v1/status")?;
    let lines = agent.ask_bytes(&request_path(id, "/events")?)?;
    let lines = lines.split(|b| *b == b'\n').filter(|l| !l.is_empty());
    let events = lines
        .map(|line| {
            Record::parse(line).map_err(|why| {
                Problem::new(
                    Code::Tampering,
                    format!("the record has a line that cannot be read: {why}"),
                )
                .hint("see which: twotap audit verify")
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    build::build(view, events, &status, Timestamp::now())
}

fn filed(
    door: &Door,
    agent: &Agent,
    id: &str,
    with: With,
    reference: String,
    file: &std::path::Path,
) -> Ended {
    let sha256 = Digest::of(&files::read(file)?);
    let filing = Filing {
        with,
        reference,
        sha256,
    };
    let path = request_path(id, "/filings")?;
    let view: RequestView = agent.hand_in(&path, &filing, Patience::Agent)?;
    let review = view.review.as_ref();
    let newest = review.and_then(|r| Some((r.closed.plus(with.seconds()), r.filed_with(with)?)));
    let (due, filed) = newest.ok_or_else(|| {
        Problem::new(
            Code::Agent,
            "the agent took the filing and does not show it",
        )
    })?;
    let late = match filed.at > due {
        true => format!(", {} late", span::show(due.until(filed.at))),
        false => String::new(),
    };
    let text = format!(
        "{}: {} has it as {} since {}{late}",
        plain(&view.id),
        deadlines::whom(with),
        plain(&filed.reference),
        span::at(filed.at)
    );
    let object = serde_json::json!({ "request": view.id, "due": due, "filed": filed });
    door.ui.result(&object, &text)?;
    Ok(ExitCode::SUCCESS)
}
