//! `twotap replay`: plays what was recorded of a session, for officers.

mod play;
mod tame;

use std::{
    io::{self, IsTerminal as _, Write as _},
    path::PathBuf,
    process::ExitCode,
    thread,
};

use serde::Serialize;
use zeroize::Zeroizing;

use crate::{
    protocol::{Code, Problem, recording::RecordingView, socket::RequestView},
    trust::file::write_new,
    vault::recording::ReaderIdentity,
};

use super::{
    Door, Ended,
    client::request_path,
    files,
    recording::reading::{self, Opened},
    ui::plain,
};

/// The largest identity file that is read, in bytes.
const IDENTITY: u64 = 64 * 1024;

/// Arguments of `replay`.
#[derive(clap::Args)]
#[command(
    after_help = "The key is what age-keygen made; its recipient stands in people.toml. An exported file is played by any player of \
asciicast v2, and holds everything that was seen: keep it as you keep the key."
)]
pub(super) struct Args {
    /// Id of the request
    request: String,
    /// Which recording, where there are several
    #[arg(long, value_name = "N")]
    recording: Option<u32>,
    /// Your age identity: a file with a line AGE-SECRET-KEY-1...
    #[arg(long, value_name = "FILE")]
    identity: PathBuf,
    /// Write it as an asciicast v2 file instead of playing it
    #[arg(long, value_name = "FILE")]
    export: Option<PathBuf>,
    /// How many times as fast
    #[arg(long, default_value_t = 1.0, value_name = "X", value_parser = speed)]
    speed: f64,
    /// The longest pause, in seconds
    #[arg(long, default_value_t = 2.0, value_name = "SECONDS", value_parser = speed)]
    max_pause: f64,
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(x) if (0.001..=1000.0).contains(&x) => Ok(x),
        _ => Err("a number between 0.001 and 1000".to_owned()),
    }
}

/// What was done, for programs.
#[derive(Serialize)]
struct Done<'v> {
    request: &'v str,
    recording: &'v RecordingView,
    chunks: u64,
    chunks_on_record: u64,
    seconds: f64,
    exported: Option<String>,
}

pub(super) fn run(args: Args, door: &Door) -> Ended {
    if args.export.is_none() && !io::stdout().is_terminal() {
        return Err(Problem::new(
            Code::NoTerminal,
            "it is played on a terminal, and there is none",
        )
        .hint("write it to a file: --export FILE.cast"));
    }
    if let Some(path) = &args.export {
        files::must_be_new(path)?;
    }
    let identity = Zeroizing::new(files::read_at_most(&args.identity, IDENTITY)?);
    let identity = ReaderIdentity::parse(&identity).map_err(|why| {
        let problem = Problem::new(Code::Usage, why);
        problem.hint("it is what age-keygen -o FILE writes")
    })?;
    let agent = door.agent()?;
    let view: RequestView = agent.ask(&request_path(&args.request, "")?)?;
    let n = reading::choose(&view, args.recording)?.recording;
    let waiting = door.ui.waiting("the recording");
    let (known, chunks) = reading::fetch(&agent, &args.request, n)?;
    let recorded = reading::on_record(&agent, &args.request, &known, &chunks)?;
    let opened = reading::open((&args.request, n), &chunks, recorded, &identity)?;
    drop(waiting);
    say(&known, &opened, door);
    match &args.export {
        Some(path) => {
            let cast = Zeroizing::new(opened.to_cast()?);
            write_new(path, cast.as_bytes(), 0o600).map_err(|why| files::unwritable(path, &why))?;
            door.ui.warn(
                "it holds what the command wrote as it was: other players hand that to your terminal, which twotap replay does not",
            );
        }
        None => play_it(&opened, &args)?,
    }
    let exported = args.export.as_deref().map(files::shown);
    let done = Done {
        request: &args.request,
        recording: &known,
        chunks: opened.chunks.0,
        chunks_on_record: opened.chunks.1,
        seconds: opened.seen.last().map_or(0.0, |s| s.at),
        exported: exported.clone(),
    };
    match exported {
        Some(path) => door.ui.result(&done, &format!("written to {path}"))?,
        None => door.ui.note(format!("that was recording {n}")),
    }
    Ok(ExitCode::SUCCESS)
}

fn say(known: &RecordingView, opened: &Opened, door: &Door) {
    door.ui.note(plain(&known.in_words()));
    door.ui
        .note(format!("made with: {}", plain(&opened.header.command)));
    let (all, recorded) = opened.chunks;
    if recorded < all {
        door.ui.note(format!(
            "{} of its {all} chunks do not stand on record yet",
            all - recorded
        ));
    }
}

/// Plays it on the terminal, as it went but no slower than wanted.
fn play_it(opened: &Opened, args: &Args) -> Result<(), Problem> {
    let lost = |why: io::Error| Problem::new(Code::Internal, format!("cannot play: {why}"));
    let mut out = io::stdout().lock();
    let mut tame = tame::Tame::default();
    for (pause, text) in play::timed(&opened.seen, args.speed, args.max_pause) {
        thread::sleep(pause);
        let text = tame.pass(text);
        out.write_all(text.as_bytes()).map_err(lost)?;
        out.flush().map_err(lost)?;
    }
    // Whatever it left the terminal in.
    out.write_all(play::AFTER.as_bytes()).map_err(lost)?;
    out.flush().map_err(lost)
}
