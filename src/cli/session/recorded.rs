//! Running a command that is recorded: on a terminal of our own making where we are on one, else with pipes, so that what a script reads stays
//! as the command wrote it.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, IsTerminal as _, Read, Write as _},
    os::fd::AsFd as _,
    path::PathBuf,
    process::{Command, ExitCode, Stdio},
    sync::{Arc, mpsc::SyncSender},
    thread,
    time::Duration,
};

use rustix::process::{Signal, kill_process_group};
use tokio::{
    process::Child,
    signal::unix::{self, SignalKind, signal},
    sync::Notify,
};

use crate::{
    protocol::{Code, Problem},
    trust::Timestamp,
};

use super::{
    super::{
        Door,
        hygiene::Before,
        recording::{
            Begun,
            cast::{Header, To},
            recorder::{Piece, Recorder, Size, Voice},
        },
    },
    Opened,
    config::Config,
    expiry::Herald,
    prompt,
    pty::{self, Pty, Raw},
    run::{self, Tail},
    signals::{self, Passed},
};

/// How long a command whose recording broke off has to end by itself after it was told to.
const GRACE: Duration = Duration::from_secs(3);
/// The longest command line that the recording names, in characters.
const LONGEST: usize = 1000;

/// What is run.
pub(in crate::cli) struct What<'c> {
    pub(in crate::cli) command: &'c [OsString],
    pub(in crate::cli) config: &'c Config,
    pub(in crate::cli) session: &'c Opened,
    /// Further variables of its environment.
    pub(in crate::cli) env: Vec<(&'static str, String)>,
    /// The file from which its prompt reads when the session ends.
    pub(in crate::cli) until_file: Option<PathBuf>,
}

/// Runs it, recorded, to its end; answers what it showed last as well, where it ran and failed.
pub(in crate::cli) fn run(
    what: &What<'_>,
    begun: Begun,
    door: &Door,
    before: &Before,
) -> Result<(ExitCode, Option<Tail>), Problem> {
    // A command whose errors go elsewhere writes them there; a shell is one in any case.
    let both = io::stdin().is_terminal() && io::stdout().is_terminal();
    let on_terminal = both && (io::stderr().is_terminal() || what.until_file.is_some());
    let size = match on_terminal {
        true => pty::size(),
        false => (80, 24),
    };
    let shown: Vec<_> = what.command.iter().map(|a| a.to_string_lossy()).collect();
    let header = Header {
        version: 2,
        width: size.0,
        height: size.1,
        timestamp: Timestamp::now().0,
        command: shown.join(" ").chars().take(LONGEST).collect(),
        title: format!("{} recording {}", begun.request, begun.recording),
    };
    let failed = |why: io::Error| Problem::new(Code::Internal, format!("cannot record: {why}"));
    let (mut command, pty) = if on_terminal {
        let pty = Pty::open(size).map_err(failed)?;
        (pty.command(what.command).map_err(failed)?, Some(pty))
    } else {
        let mut command = Command::new(&what.command[0]);
        command
            .args(&what.command[1..])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        (command, None)
    };
    what.config.give(&mut command);
    command.envs(what.env.iter().map(|(name, value)| (name, value)));

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed)?;
    let _in = runtime.enter();
    let mut passed = Passed::listen().map_err(failed)?;
    let mut resized = signal(SignalKind::window_change()).map_err(failed)?;
    let mut command = tokio::process::Command::from(command);
    let mut child = match before.restored(|| command.spawn()) {
        Ok(child) => child,
        Err(why) => {
            let code = run::not_started(&what.command[0], &why, &door.ui);
            return Ok((code, None));
        }
    };
    // What holds the command's side of the terminal.
    drop(command);
    let raw = match &pty {
        Some(_) => Some(Raw::begin().map_err(failed)?),
        None => None,
    };
    let stop = Arc::new(Notify::new());
    let told = Arc::clone(&stop);
    let until_file = what.until_file.clone();
    let size = Size::new(size);
    let voice = Voice { raw: raw.is_some() };
    let agent = door.agent()?;
    let recorder = Recorder::start(begun, agent, &header, (size.clone(), voice), move || {
        told.notify_one();
    })?;
    let terminal = match pty {
        Some(pty) => Some(wire(pty, &recorder.pieces).map_err(failed)?),
        None => {
            pipes(&mut child, &recorder.pieces).map_err(failed)?;
            None
        }
    };
    let said = recorder.pieces.clone();
    let herald = Herald::saying(what.session, move |line, until| {
        prompt::ends_at(until_file.as_deref(), until);
        let _ = said.send(Piece::Said(line.to_owned()));
    });
    let follow = || {
        if let Some(terminal) = &terminal {
            let now = pty::size();
            size.set(now);
            let _ = pty::resize(terminal, now);
        }
    };
    let status = runtime.block_on(attend(
        &mut child,
        (&mut passed, &mut resized),
        &stop,
        terminal.is_some(),
        follow,
    ));
    let code = status.map(run::code_of).map_err(failed)?;
    drop(herald);
    let tail = recorder.end(code);
    drop(raw);
    Ok((ExitCode::from(code), tail.filter(|_| code != 0)))
}

/// Passes on what comes from the terminal's command, and what is typed; answers the terminal, for its size.
fn wire(pty: Pty, pieces: &SyncSender<Piece>) -> io::Result<std::os::fd::OwnedFd> {
    let ours = pty.started();
    let from = File::from(ours.as_fd().try_clone_to_owned()?);
    follow(from, To::Terminal, pieces.clone());
    let mut to = File::from(ours.as_fd().try_clone_to_owned()?);
    // Ends with the process: a read of the keyboard cannot be called off.
    thread::Builder::new()
        .name("keys".to_owned())
        .spawn(move || {
            let mut bytes = [0; 4096];
            let mut keys = io::stdin().lock();
            while let Ok(length @ 1..) = keys.read(&mut bytes) {
                if to.write_all(&bytes[..length]).is_err() {
                    return;
                }
            }
        })?;
    Ok(ours)
}

fn pipes(child: &mut Child, pieces: &SyncSender<Piece>) -> io::Result<()> {
    if let Some(out) = child.stdout.take() {
        follow(File::from(out.into_owned_fd()?), To::Output, pieces.clone());
    }
    if let Some(err) = child.stderr.take() {
        follow(File::from(err.into_owned_fd()?), To::Error, pieces.clone());
    }
    Ok(())
}

/// Reads in a thread of its own, to the end; a terminal whose command has ended says so with an error.
fn follow(mut from: impl Read + Send + 'static, to: To, pieces: SyncSender<Piece>) {
    let _ = thread::Builder::new()
        .name("output".to_owned())
        .spawn(move || {
            let mut bytes = vec![0; 16 * 1024];
            while let Ok(length @ 1..) = from.read(&mut bytes) {
                let piece = Piece::Output(to, bytes[..length].to_vec());
                if pieces.send(piece).is_err() {
                    return;
                }
            }
        });
}

/// Waits for the command's end. Signals to us go on to it; those that keys send to both are not sent twice.
async fn attend(
    child: &mut Child,
    (passed, size): (&mut Passed, &mut unix::Signal),
    stop: &Notify,
    own_terminal: bool,
    resized: impl Fn(),
) -> io::Result<std::process::ExitStatus> {
    let pid = signals::pid_of(child);
    let send = |signal| signals::send(pid, signal);
    loop {
        tokio::select! {
            status = child.wait() => return status,
            () = stop.notified() => {
                send(Signal::HUP);
                if let Ok(status) = tokio::time::timeout(GRACE, child.wait()).await {
                    return status;
                }
                // Those that it started and that are on its terminal, or it alone.
                if let Some(pid) = pid.filter(|_| own_terminal) {
                    let _ = kill_process_group(pid, Signal::KILL);
                }
                send(Signal::KILL);
            }
            _ = size.recv() => resized(),
            (which, keys) = passed.next() => {
                if !(keys && !own_terminal && signals::in_foreground()) {
                    send(which);
                }
            }
        }
    }
}
