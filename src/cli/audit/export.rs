//! `twotap audit export`: the record as files that prove it anywhere, with public keys alone.

use std::{
    io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use crate::{
    audit::{
        checkpoint::Checkpoint,
        event::Envelope,
        folder::{FolderError, FolderWriter},
        shapes::Shape,
        signed::{Chains, Rosters},
    },
    protocol::{Code, Problem, socket::Status},
    trust::{Day, Timestamp, file::write_atomic},
};

use crate::cli::{Door, Ended, client::Agent, files, ui::Ui};

use super::pages::{chains, checkpoints, each_page, envelopes};
use super::shaped::{self, Wanted};

/// Arguments of `audit export`.
#[derive(clap::Args)]
#[command(
    after_help = "A folder gets events.jsonl, checkpoint.note and rosters.json (and envelopes/, where asked for), and verifies anywhere. \
With --format, or where the name ends in .jsonl, the output is one file, or - for standard output: one JSON object a line."
)]
pub(super) struct Args {
    /// A new folder; or a new file, or -, with --format
    #[arg(short, long, value_name = "DIR|FILE|-")]
    output: PathBuf,
    /// The shape of each event: as it is kept, for a SIEM, for an event store, or OCSF
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
    /// Only events at or after this time (2026-01-06 or 2026-01-06T10:00:00Z)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only events before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only the events of this request
    #[arg(long, value_name = "REQUEST")]
    request: Option<String>,
    /// Take along the signed requests and approvals: they say in clear who asked for what and why
    #[arg(long)]
    with_envelopes: bool,
}

/// In what shape.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Format {
    /// The lines as they are kept, byte for byte
    Jsonl,
    /// event_type, actor, action, justification, timestamp, incident_id
    Siem,
    /// correlation_id, event_type, event_data, actor, created_at
    Eventstore,
    /// Open Cybersecurity Schema Framework 1.1.0, Entity Management
    Ocsf,
}

impl Format {
    fn shape(self) -> Shape {
        match self {
            Self::Jsonl => Shape::Jsonl,
            Self::Siem => Shape::Siem,
            Self::Eventstore => Shape::EventStore,
            Self::Ocsf => Shape::Ocsf,
        }
    }
}

/// The roster chains beside the events.
pub(super) const ROSTERS: &str = "rosters.json";

pub(super) fn run(args: &Args, door: &Door) -> Ended {
    let lines_only = args.output.extension().is_some_and(|e| e == "jsonl");
    let format = match (args.format, lines_only || is_stdout(&args.output)) {
        (None, true) => Some(Format::Jsonl),
        (format, _) => format,
    };
    match format {
        Some(format) => one_file(args, format, door),
        None => folder(args, door),
    }
}

fn is_stdout(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Lines in a shape, all or some.
fn one_file(args: &Args, format: Format, door: &Door) -> Ended {
    if args.with_envelopes {
        return Err(
            Problem::new(Code::Usage, "one file has no room for signed envelopes")
                .hint("name a folder, without --format"),
        );
    }
    let to_stdout = is_stdout(&args.output);
    if to_stdout && door.ui.json() {
        return Err(Problem::new(
            Code::Usage,
            "the events and --json's object cannot both go to standard output",
        )
        .hint("leave --json away, or name a file"));
    }
    let wanted = Wanted {
        shape: format.shape(),
        since: time("since", args.since.as_deref())?,
        until: time("until", args.until.as_deref())?,
        request: args.request.clone(),
    };
    if let (Some(since), Some(until)) = (&wanted.since, &wanted.until)
        && since >= until
    {
        return Err(Problem::new(Code::Usage, "--since is not before --until")
            .hint("an event at --since is taken, one at --until is not"));
    }
    let agent = door.agent()?;
    if !to_stdout {
        files::must_be_new(&args.output)?;
    }
    let status: Status = agent.ask("/v1/status")?;
    let end = status.head.seq;
    if to_stdout {
        let failed = |why: &io::Error| {
            Problem::new(
                Code::Internal,
                format!("cannot write to standard output: {}", why.kind()),
            )
        };
        let out = io::stdout().lock();
        let written = shaped::write(&agent, &wanted, end, &door.ui, out, failed)?;
        say_if_none(written, end, &door.ui);
        return Ok(ExitCode::SUCCESS);
    }
    let written = shaped::to_file(&agent, &wanted, end, &door.ui, &args.output)?;
    say_if_none(written, end, &door.ui);
    let shown = files::shown(&args.output);
    let object = serde_json::json!({ "output": args.output, "events": written });
    let next = match (format, wanted.all()) {
        (Format::Jsonl, true) => {
            format!("verify them anywhere: twotap audit verify --export {shown}")
        }
        _ => "this is a copy for reading: a folder with all events is what can be verified"
            .to_owned(),
    };
    door.ui.result(
        &object,
        &format!("wrote {written} events to {shown}\n{next}"),
    )?;
    Ok(ExitCode::SUCCESS)
}

/// A mistyped request and a quiet day look the same in an empty file.
fn say_if_none(written: u64, end: u64, ui: &Ui) {
    if written == 0 {
        ui.warn(format!(
            "none of the {end} events is one that was asked for"
        ));
    }
}

/// A time as people write it: a day, or to the second.
fn time(name: &str, text: Option<&str>) -> Result<Option<Timestamp>, Problem> {
    let read = |text: &str| {
        let day = || Day::parse(text).map(Day::begins);
        Timestamp::parse(text).or_else(day).ok_or_else(|| {
            Problem::new(Code::Usage, format!("--{name} is not a time"))
                .hint("write it like 2026-01-06 or 2026-01-06T10:00:00Z, in UTC")
        })
    };
    text.map(read).transpose()
}

/// All that verifies, in a folder.
fn folder(args: &Args, door: &Door) -> Ended {
    if args.since.is_some() || args.until.is_some() || args.request.is_some() {
        return Err(Problem::new(
            Code::Usage,
            "a folder has the whole record: a part of it could not be verified",
        )
        .hint("for some of the events name a file and its --format"));
    }
    let agent = door.agent()?;
    files::must_be_new(&args.output)?;
    let status: Status = agent.ask("/v1/status")?;
    let end = status.head.seq;
    let written = to_folder(&agent, args, end, &door.ui)?;
    let object = serde_json::json!({ "output": args.output, "events": written });
    let text = format!(
        "wrote {written} events to {}\nverify them anywhere: twotap audit verify --export {}",
        files::shown(&args.output),
        files::shown(&args.output)
    );
    door.ui.result(&object, &text)?;
    Ok(ExitCode::SUCCESS)
}

fn to_folder(agent: &Agent, args: &Args, end: u64, ui: &Ui) -> Result<u64, Problem> {
    let written = fill_folder(agent, args, end, ui);
    if written.is_err() {
        // It did not exist before: what is in it is ours alone, and not whole.
        let _ = std::fs::remove_dir_all(&args.output);
    }
    written
}

fn fill_folder(agent: &Agent, args: &Args, end: u64, ui: &Ui) -> Result<u64, Problem> {
    let failed = |why: FolderError| {
        let code = match &why {
            FolderError::Diverged { .. } | FolderError::NotARecord => Code::Tampering,
            FolderError::Io(_) | FolderError::InUse | FolderError::Taken => Code::Internal,
        };
        Problem::new(code, format!("{}: {why}", files::shown(&args.output)))
            .hint("nothing was left behind; see twotap audit verify")
    };
    let mut folder = FolderWriter::create(&args.output).map_err(failed)?;
    let written = each_page(agent, end, ui, |from, lines| {
        if args.with_envelopes {
            for found in envelopes(agent, from, lines.len() as u64)? {
                let (kind, body) = (found.kind, found.body.0);
                folder
                    .put_envelope(&Envelope { kind, body })
                    .map_err(failed)?;
            }
        }
        folder.append(lines).map_err(failed)
    })?;
    let chains: Chains = chains(agent)?;
    // The record goes on while it is copied: a checkpoint over more than was copied would say that the copy was cut off.
    let keys = Rosters::verify(&chains)?.checkpoint_keys();
    let covers = |note: &String| {
        Checkpoint::open(note, &keys).is_ok_and(|(checkpoint, _)| checkpoint.head.seq <= end)
    };
    if let Some(newest) = checkpoints(agent)?.iter().rev().find(|note| covers(note)) {
        folder.put_checkpoint(newest).map_err(failed)?;
    }
    let json = serde_json::to_vec(&chains)
        .map_err(|why| Problem::new(Code::Internal, format!("cannot write json: {why}")))?;
    let path = args.output.join(ROSTERS);
    write_atomic(&path, &json, 0o600).map_err(|why| files::unwritable(&path, &why))?;
    Ok(written)
}
