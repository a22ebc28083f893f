//! `twotap status --watch`: a live view at a terminal, and lines where there is none.
//!
//! * [`rows`] says what there is, and knows no terminal; [`page`] puts it on one of any size;
//! * [`terminal`] takes the terminal over and gives it back, [`keys`] reads what is pressed;
//! * here is the loop: one thread asks the agent, one reads keys, one hears signals, and none waits for another. An agent that is away is
//!   shown as that, with what it said last, until it is back.

mod keys;
mod page;
mod rows;
mod terminal;

use std::{
    fs::File,
    io::{self, IsTerminal as _, Read as _},
    process::ExitCode,
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    thread,
    time::{Duration, Instant},
};

use ratatui_core::terminal::Terminal;
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    protocol::{Code, Problem, socket::Status},
    trust::Timestamp,
};

use super::{
    Door, Ended,
    client::Agent,
    status,
    ui::{open_tty, plain},
};
use keys::{Key, keys};
use page::{Frame, Palette, Scroll};
use rows::Tone;
use terminal::Tty;

/// How often the agent is asked.
const EVERY: Duration = Duration::from_secs(1);
/// After so long without an answer it says that it waits for one.
const SILENCE: Duration = Duration::from_secs(2);
/// What the threads beside the loop need, in bytes.
const STACK: usize = 512 * 1024;

/// Shows `first` and all that follows, until it is quit.
pub(super) fn run(agent: Agent, first: Status, door: &Door) -> Ended {
    // What is waited for stands in the view itself.
    let _quiet = door.ui.quiet();
    match screen_of_its_own() {
        Some(tty) => live(agent, first, tty),
        None => lines(&agent, first, door),
    }
}

/// The terminal, where standard output is one that can be drawn on.
fn screen_of_its_own() -> Option<File> {
    let term = std::env::var_os("TERM").unwrap_or_default();
    if !io::stdout().is_terminal() || term.is_empty() || term == "dumb" {
        return None;
    }
    open_tty().ok()
}

/// The status again whenever it has changed, for good.
fn lines(agent: &Agent, first: Status, door: &Door) -> Ended {
    let shown = |status: &Status, now| status::screen(status, now, door.ui.columns());
    door.ui.out(shown(&first, Timestamp::now()).trim_end())?;
    let (mut last, mut at) = (first, Timestamp::now());
    let mut away = false;
    loop {
        thread::sleep(EVERY);
        let status: Status = match agent.ask("/v1/status") {
            Ok(status) => status,
            Err(problem) => {
                if !std::mem::replace(&mut away, true) {
                    door.ui
                        .warn(format!("{}; asking again", plain(&problem.error)));
                }
                continue;
            }
        };
        if std::mem::replace(&mut away, false) {
            door.ui.note("the agent answers again");
        }
        // Time alone is no change: both are looked at as of one moment.
        if shown(&status, at) != shown(&last, at) {
            at = Timestamp::now();
            door.ui
                .out(&format!("\n{}", shown(&status, at).trim_end()))?;
        }
        last = status;
    }
}

/// What the loop hears of.
enum Heard {
    /// The agent's answer, or why there is none.
    Answer(Box<Result<Status, Problem>>),
    Key(Key),
    /// The terminal has another size.
    Resized,
    /// The program was stopped and goes on.
    GoesOn,
    /// A signal that ends it, by its number.
    Signal(u8),
    /// Nobody sits there any more.
    HungUp,
}

/// What is known of the agent now.
struct Seen {
    status: Status,
    /// When it answered last.
    at: Instant,
    /// Why it does not now.
    away: Option<Problem>,
}

fn live(agent: Agent, first: Status, tty: File) -> Ended {
    let failed = |what: &str, why: io::Error| {
        Problem::new(Code::Internal, format!("cannot {what}: {}", why.kind()))
    };
    let (heard, events) = mpsc::channel();
    let input = tty.try_clone().map_err(|why| failed("read keys", why))?;
    let backend = Tty::enter(tty).map_err(|why| failed("take the terminal over", why))?;
    let mut screen = Terminal::new(backend).map_err(|why| failed("draw", why))?;
    beside("status", &heard, move |heard| ask_on(&agent, heard))?;
    beside("keys", &heard, move |heard| read_keys(input, heard))?;
    beside("signals", &heard, hear_signals)?;

    let mut seen = Seen {
        status: first,
        at: Instant::now(),
        away: None,
    };
    let palette = Palette {
        colours: std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty()),
    };
    let mut scroll = Scroll::default();
    loop {
        let now = Timestamp::now();
        let rows = rows::rows(&seen.status, now);
        let frame = Frame {
            title: title(&seen.status, now),
            state: state(&seen),
            rows: &rows,
            palette,
        };
        screen
            .draw(|f| page::draw(&frame, &mut scroll, f.buffer_mut()))
            .map_err(|why| failed("draw", why))?;
        match next(&events) {
            None => {}
            Some(Heard::Answer(answer)) => seen.take(*answer, &mut screen)?,
            Some(Heard::Key(Key::Quit)) => return Ok(ExitCode::SUCCESS),
            Some(Heard::Key(Key::Redraw) | Heard::Resized) => {
                screen.clear().map_err(|why| failed("draw", why))?;
            }
            Some(Heard::Key(key)) => scroll.press(key),
            Some(Heard::GoesOn) => {
                let taken = screen.backend_mut().again();
                taken
                    .and_then(|()| screen.clear())
                    .map_err(|why| failed("take the terminal over", why))?;
            }
            Some(Heard::Signal(number)) => return Ok(ExitCode::from(128 + number)),
            Some(Heard::HungUp) => return Ok(ExitCode::SUCCESS),
        }
    }
}

/// The next event, or nothing where a second has begun: what counts down is drawn again.
fn next(events: &Receiver<Heard>) -> Option<Heard> {
    match events.recv_timeout(EVERY) {
        Ok(event) => Some(event),
        Err(RecvTimeoutError::Timeout) => None,
        // Whoever reads keys ends with the terminal.
        Err(RecvTimeoutError::Disconnected) => Some(Heard::HungUp),
    }
}

impl Seen {
    fn take(
        &mut self,
        answer: Result<Status, Problem>,
        screen: &mut Terminal<Tty>,
    ) -> Result<(), Problem> {
        match answer {
            Ok(status) => {
                self.status = status;
                self.at = Instant::now();
                self.away = None;
            }
            Err(problem) => {
                // An ssh that broke off has written on the screen.
                if self.away.replace(problem).is_none() {
                    screen.clear().map_err(|why| {
                        Problem::new(Code::Internal, format!("cannot draw: {}", why.kind()))
                    })?;
                }
            }
        }
        Ok(())
    }
}

fn title(status: &Status, now: Timestamp) -> (String, String) {
    let you = &status.you;
    let left = format!(
        " twotap {}  {} ({})  event {}",
        plain(&status.version),
        plain(&you.name),
        plain(&you.roles.join(", ")),
        status.head.seq
    );
    (left, format!("{} UTC ", rows::time_of_day(now)))
}

/// What the agent is doing.
fn state(seen: &Seen) -> (String, Tone) {
    let silent = seen.at.elapsed();
    if let Some(problem) = &seen.away {
        let text = format!(
            " AGENT AWAY for {} s, below is what it said last: {}",
            silent.as_secs(),
            plain(&problem.error)
        );
        return (text, Tone::Bad);
    }
    if silent >= SILENCE {
        let text = format!(" waiting for the agent ({} s)", silent.as_secs());
        return (text, Tone::Look);
    }
    match seen.status.degraded.len() {
        0 => (" nothing is degraded".to_owned(), Tone::Good),
        1 => (" 1 thing is degraded".to_owned(), Tone::Bad),
        n => (format!(" {n} things are degraded"), Tone::Bad),
    }
}

/// Starts a thread that reports.
fn beside(
    name: &str,
    heard: &Sender<Heard>,
    work: impl FnOnce(Sender<Heard>) + Send + 'static,
) -> Result<(), Problem> {
    let heard = heard.clone();
    thread::Builder::new()
        .name(name.to_owned())
        .stack_size(STACK)
        .spawn(move || work(heard))
        .map(drop)
        .map_err(|why| Problem::new(Code::Internal, format!("cannot start: {}", why.kind())))
}

/// Asks the agent for good.
fn ask_on(agent: &Agent, heard: Sender<Heard>) {
    loop {
        thread::sleep(EVERY);
        let answer = agent.ask("/v1/status");
        if answer.is_err() {
            agent.hang_up();
        }
        if heard.send(Heard::Answer(Box::new(answer))).is_err() {
            return;
        }
    }
}

fn read_keys(mut input: File, heard: Sender<Heard>) {
    let mut bytes = [0; 64];
    loop {
        match input.read(&mut bytes) {
            Ok(0) => break,
            Ok(read) => {
                for key in keys(&bytes[..read]) {
                    if heard.send(Heard::Key(key)).is_err() {
                        return;
                    }
                }
            }
            Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    let _ = heard.send(Heard::HungUp);
}

/// Signals that would otherwise end the program with the terminal as it is.
fn hear_signals(heard: Sender<Heard>) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    else {
        return;
    };
    let hear = async {
        let mut resized = signal(SignalKind::window_change())?;
        let mut goes_on = signal(SignalKind::from_raw(libc::SIGCONT))?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hang_up = signal(SignalKind::hangup())?;
        let mut quit = signal(SignalKind::quit())?;
        loop {
            let event = tokio::select! {
                _ = resized.recv() => Heard::Resized,
                _ = goes_on.recv() => Heard::GoesOn,
                _ = interrupt.recv() => Heard::Signal(2),
                _ = quit.recv() => Heard::Signal(3),
                _ = terminate.recv() => Heard::Signal(15),
                _ = hang_up.recv() => Heard::Signal(1),
            };
            if heard.send(event).is_err() {
                return Ok::<(), io::Error>(());
            }
        }
    };
    let _ = runtime.block_on(hear);
}
