//! To the end of the ceremony: who has approved, how long is left, and what is waited for.
//!
//! At a terminal that is one line that changes in place; elsewhere a line is written whenever something happens.

use std::{
    io::{IsTerminal as _, Write as _, stderr},
    time::{Duration, Instant},
};

use crate::{
    cli::{
        Door,
        client::{Agent, request_path},
        span, status,
        ui::{Waiting, plain},
    },
    protocol::{
        Code, Problem,
        socket::{RequestView, Stage},
    },
    trust::{Timestamp, request::Request},
};

/// How often the agent is asked.
const EVERY: Duration = Duration::from_millis(250);
/// How long opening may take after the last approval, in seconds.
const OPENING: u64 = 600;
/// How wide a line may be where the terminal does not say how wide it is.
const WIDTH: usize = 79;

/// Asks again and again, no longer than the request can live.
pub(super) fn until_open(
    agent: &Agent,
    request: &Request,
    door: &Door,
) -> Result<RequestView, Problem> {
    let life = request.not_before.until(request.approve_before);
    let deadline = Instant::now() + Duration::from_secs(u64::try_from(life).unwrap_or(0) + OPENING);
    let path = request_path(&request.id, "")?;
    let mut approved = 0;
    let mut shown = Shown::begin(door);
    loop {
        let view: RequestView = agent.ask(&path)?;
        for name in view.approved_by.iter().skip(approved) {
            shown.away();
            door.ui.step(format!("approved by {}", plain(name)));
        }
        approved = view.approved_by.len();
        match view.stage {
            Stage::Open | Stage::Closing | Stage::Closed => return Ok(view),
            Stage::Denied | Stage::Expired | Stage::Failed => return Err(ended(&view)),
            Stage::Requested | Stage::Approved if Instant::now() > deadline => {
                return Err(Problem::new(
                    Code::Approvals,
                    "the request's time is over and the agent says nothing of it",
                )
                .hint("see twotap status"));
            }
            Stage::Requested | Stage::Approved => {
                shown.waits_for(&what(&view), &left(&view, request, Timestamp::now()));
                std::thread::sleep(EVERY);
            }
        }
    }
}

/// How a request ended that opened nothing.
fn ended(view: &RequestView) -> Problem {
    let why = view
        .outcome
        .as_deref()
        .map_or(String::new(), |o| format!(": {}", plain(o)));
    let stage = status::stage(view.stage);
    match view.stage {
        Stage::Denied => Problem::new(Code::Approvals, format!("the request was denied{why}"))
            .hint("talk to the custodians, then ask anew"),
        Stage::Expired => Problem::new(Code::Approvals, format!("the request {stage}{why}"))
            .hint("ask anew, and call the custodians first"),
        _ => Problem::new(Code::Refused, format!("the request {stage}{why}"))
            .hint("see twotap audit tail"),
    }
}

/// What is waited for.
fn what(view: &RequestView) -> String {
    match view.stage {
        Stage::Requested => format!("approvals: {}", view.tally()),
        _ => "the session to be opened".to_owned(),
    }
}

/// How long approvals may still come.
fn left(view: &RequestView, request: &Request, now: Timestamp) -> String {
    match view.stage {
        Stage::Requested => format!("{} left", span::show(now.until(request.approve_before))),
        _ => "approved".to_owned(),
    }
}

/// What a person sees while it lasts.
enum Shown {
    /// One line, written anew in its place.
    InPlace {
        line: String,
        /// Keeps everybody else from speaking meanwhile.
        _quiet: Waiting,
    },
    /// A line now and again.
    Lines(Waiting),
}

impl Shown {
    fn begin(door: &Door) -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        if door.ui.json() || dumb || !stderr().is_terminal() {
            return Self::Lines(door.ui.waiting("the custodians"));
        }
        Self::InPlace {
            line: String::new(),
            _quiet: door.ui.quiet(),
        }
    }

    fn waits_for(&mut self, what: &str, left: &str) {
        match self {
            Self::Lines(waiting) => waiting.now_for(what),
            Self::InPlace { line, .. } => {
                let text = format!("waiting for {what}; {left} (Ctrl-C leaves it waiting)");
                // The groups that are lacking are the agent's words.
                let text = within(&plain(&text), columns());
                if text != *line {
                    // To the first column, the text, and nothing of what was longer before (ECMA-48: CR, EL).
                    let _ = write!(stderr(), "\r{text}\u{1b}[K");
                    *line = text;
                }
            }
        }
    }

    /// Takes the line away, so that something else can be written there.
    fn away(&mut self) {
        if let Self::InPlace { line, .. } = self
            && !line.is_empty()
        {
            let _ = write!(stderr(), "\r\u{1b}[K");
            line.clear();
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.away();
    }
}

/// As much of a line as fits beside the cursor: one that is broken cannot be written anew in its place.
fn within(text: &str, columns: usize) -> String {
    text.chars().take(columns.saturating_sub(1)).collect()
}

fn columns() -> usize {
    let size = rustix::termios::tcgetwinsize(stderr());
    match size {
        Ok(size) if size.ws_col > 0 => usize::from(size.ws_col),
        _ => WIDTH,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_never_broken() {
        assert_eq!(within("waiting for bob", 80), "waiting for bob");
        assert_eq!(within("waiting for bob", 8), "waiting");
        assert_eq!(within("läuft", 3), "lä");
        assert_eq!(within("x", 0), "");
    }
}
