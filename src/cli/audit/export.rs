//! `twotap audit export`: the record as files that prove it anywhere, with public keys alone.

use std::{
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use crate::{
    audit::{
        checkpoint::Checkpoint,
        event::Envelope,
        folder::{FolderError, FolderWriter},
        signed::{Chains, Rosters},
    },
    protocol::{Code, Problem, socket::Status},
    trust::file::write_atomic,
};

use crate::cli::{Door, Ended, client::Agent, files};

use super::pages::{chains, checkpoints, count, envelopes, page};

/// Arguments of `audit export`.
#[derive(clap::Args)]
#[command(
    after_help = "A folder gets events.jsonl, checkpoint.note and rosters.json (and envelopes/, where asked for); a name that ends in \
.jsonl gets the events alone."
)]
pub(super) struct Args {
    /// A new folder, or a new file whose name ends in .jsonl
    #[arg(short, long, value_name = "DIR|FILE")]
    output: PathBuf,
    /// Take along the signed requests and approvals: they say in clear who asked for what and why
    #[arg(long)]
    with_envelopes: bool,
}

/// The roster chains beside the events.
pub(super) const ROSTERS: &str = "rosters.json";

pub(super) fn run(args: &Args, door: &Door) -> Ended {
    let agent = door.agent()?;
    files::must_be_new(&args.output)?;
    let lines_only = args.output.extension().is_some_and(|e| e == "jsonl");
    if lines_only && args.with_envelopes {
        return Err(
            Problem::new(Code::Usage, "one file has no room for signed envelopes")
                .hint("name a folder"),
        );
    }
    let status: Status = agent.ask("/v1/status")?;
    let end = status.head.seq;
    let written = if lines_only {
        to_file(&agent, &args.output, end)?
    } else {
        to_folder(&agent, args, end)?
    };
    let object = serde_json::json!({ "output": args.output, "events": written });
    let text = format!(
        "wrote {written} events to {}\nverify them anywhere: twotap audit verify --export {}",
        files::shown(&args.output),
        files::shown(&args.output)
    );
    door.ui.result(&object, &text)?;
    Ok(ExitCode::SUCCESS)
}

/// Calls `take` with the lines of each page up to event `end` and the first one's number; answers how many there were.
fn each_page(
    agent: &Agent,
    end: u64,
    mut take: impl FnMut(u64, &[&[u8]]) -> Result<(), Problem>,
) -> Result<u64, Problem> {
    let mut next = 1;
    while next <= end {
        let page = page(agent, next)?;
        let most = usize::try_from(end - next + 1).unwrap_or(usize::MAX);
        let lines: Vec<&[u8]> = page
            .split(|b| *b == b'\n')
            .filter(|line| !line.is_empty())
            .take(most)
            .collect();
        if lines.is_empty() {
            return Err(Problem::new(
                Code::Tampering,
                format!("the record ends before event {next}, its head says {end}"),
            )
            .hint("see twotap audit verify"));
        }
        take(next, &lines)?;
        next += count(&page).min(most as u64);
    }
    Ok(end)
}

fn to_file(agent: &Agent, path: &Path, end: u64) -> Result<u64, Problem> {
    let failed = |why: &io::Error| files::unwritable(path, why);
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|why| failed(&why))?;
    let written = each_page(agent, end, |_, lines| {
        for line in lines {
            file.write_all(line)
                .and_then(|()| file.write_all(b"\n"))
                .map_err(|why| failed(&why))?;
        }
        Ok(())
    })
    .and_then(|written| {
        file.sync_all().map_err(|why| failed(&why))?;
        Ok(written)
    });
    if written.is_err() {
        // Ours alone, and not whole.
        let _ = std::fs::remove_file(path);
    }
    written
}

fn to_folder(agent: &Agent, args: &Args, end: u64) -> Result<u64, Problem> {
    let written = fill_folder(agent, args, end);
    if written.is_err() {
        // It did not exist before: what is in it is ours alone, and not whole.
        let _ = std::fs::remove_dir_all(&args.output);
    }
    written
}

fn fill_folder(agent: &Agent, args: &Args, end: u64) -> Result<u64, Problem> {
    let failed = |why: FolderError| {
        let code = match &why {
            FolderError::Diverged { .. } | FolderError::NotARecord => Code::Tampering,
            FolderError::Io(_) | FolderError::InUse | FolderError::Taken => Code::Internal,
        };
        Problem::new(code, format!("{}: {why}", files::shown(&args.output)))
            .hint("nothing was left behind; see twotap audit verify")
    };
    let mut folder = FolderWriter::create(&args.output).map_err(failed)?;
    let written = each_page(agent, end, |from, lines| {
        if args.with_envelopes {
            for found in envelopes(agent, from)?.into_iter().filter(|e| e.seq <= end) {
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
