//! What is said about a session's end while a command runs in it: fifteen and five minutes ahead, and when it has ended.
//!
//! Nothing is renewed: the time box is in what the custodians signed. So every line says what to do for more time.

use std::{
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    thread,
    time::Duration,
};

use crate::{
    protocol::{
        Problem,
        socket::{RequestView, Stage, Status},
    },
    trust::{Timestamp, request::Request},
};

use super::{
    super::{
        client::{Agent, request_path},
        open::Mine,
        span, status,
        ui::{Ui, plain},
    },
    Opened,
};

/// How long before the end it is said, in seconds, from far to near.
const AHEAD: [i64; 2] = [15 * 60, 5 * 60];
/// How often it is asked whether somebody has closed the session; also how late a clock that was set is noticed.
const EVERY: Duration = Duration::from_secs(15);

/// When a session ends, and what has been said about it.
pub(in crate::cli) struct Expiry {
    id: String,
    not_after: Timestamp,
    more_time: String,
    /// How many of [`AHEAD`], and the end itself after them, need no word any more.
    told: usize,
}

impl Expiry {
    /// Of a session about which nothing has been said.
    pub(in crate::cli) fn of(session: &Opened) -> Self {
        Self::new(&session.request)
    }

    fn new(request: &Request) -> Self {
        Self {
            id: request.id.clone(),
            not_after: request.not_after,
            more_time: more_time(request),
            told: 0,
        }
    }

    /// How much time is left, in seconds; 0 when it is over.
    pub(in crate::cli) fn left(&self, now: Timestamp) -> i64 {
        now.until(self.not_after).max(0)
    }

    /// What has to be said at `now`, once each. Of several that are due the latest is said: who begins with three minutes left hears of these.
    pub(in crate::cli) fn due(&mut self, now: Timestamp) -> Option<String> {
        let left = self.left(now);
        let reached = AHEAD.iter().filter(|ahead| left <= **ahead).count() + usize::from(left == 0);
        if reached <= self.told {
            return None;
        }
        self.told = reached;
        Some(match left {
            0 => format!(
                "the time of session {} is over: AWS refuses what is done in it from here on; {}",
                self.id, self.more_time
            ),
            left => format!(
                "access ends in {}, at {}, and is not renewed; {}",
                span::show(left),
                span::at(self.not_after),
                self.more_time
            ),
        })
    }

    /// How long there is nothing to say, in seconds; nothing when all has been said.
    pub(in crate::cli) fn quiet(&self, now: Timestamp) -> Option<u64> {
        let next = AHEAD.iter().copied().chain([0]).nth(self.told)?;
        u64::try_from(self.left(now) - next).ok()
    }
}

/// What to do for more time.
fn more_time(request: &Request) -> String {
    format!(
        "for more time ask for the next one: twotap request --again {}",
        plain(&request.id)
    )
}

/// Speaks up while a command runs; until it is dropped.
pub(in crate::cli) struct Herald {
    /// Closed when dropped, which ends the thread.
    _running: Sender<()>,
}

impl Herald {
    /// Begins to look at the clock and at the agent. Start it after the command: a process with two threads must not change its umask.
    pub(in crate::cli) fn begin(session: &Opened, ui: &Ui) -> Self {
        let ui = Ui::new(ui.json());
        Self::saying(session, move |line, _| ui.prompt(line))
    }

    /// The same where a line is not simply written: `say` is given it, and when access ends as it stands then.
    pub(in crate::cli) fn saying(
        session: &Opened,
        say: impl Fn(&str, Timestamp) + Send + 'static,
    ) -> Self {
        let (running, until) = channel();
        let (expiry, onward) = (Expiry::of(session), session.onward);
        let place = session.socket.display().to_string();
        // Without it a command runs as well.
        let _ = thread::Builder::new()
            .name("expiry".to_owned())
            .spawn(move || speak_up(expiry, onward, &place, &say, &until));
        Self { _running: running }
    }
}

fn speak_up(
    mut expiry: Expiry,
    onward: bool,
    place: &str,
    say: &dyn Fn(&str, Timestamp),
    until: &Receiver<()>,
) {
    let mut closed = false;
    // The terminal is the command's: nobody there waits for what is asked here.
    let _quiet = Ui::new(false).quiet();
    loop {
        if let Some(line) = expiry.due(Timestamp::now()).filter(|_| !closed) {
            say(&format!("warning: {line}"), expiry.not_after);
        }
        let wait = expiry.quiet(Timestamp::now()).map_or(EVERY, |seconds| {
            EVERY.min(Duration::from_secs(seconds.max(1)))
        });
        match until.recv_timeout(wait) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
        }
        if onward && let Some(next) = continued(&expiry.id, place) {
            (expiry, closed) = (Expiry::new(&next), false);
            let line = format!(
                "note: session {} goes on from here: access ends at {}",
                expiry.id,
                span::at(expiry.not_after)
            );
            say(&line, expiry.not_after);
            continue;
        }
        // Its own time is told above; what nobody can foresee is that somebody closes it.
        if !closed
            && expiry.left(Timestamp::now()) > 0
            && let Ok(Some(how)) = ended(&expiry.id, place)
        {
            closed = true;
            let line = format!(
                "warning: session {} has ended ({how}): AWS refuses what is done in it; {}",
                expiry.id, expiry.more_time
            );
            say(&line, expiry.not_after);
        }
    }
}

/// The session that commands go on with, once it is open.
fn continued(id: &str, place: &str) -> Option<Request> {
    let status: Status = Agent::at(place).ok()?.ask("/v1/status").ok()?;
    Mine::of(&status).continues(id).cloned()
}

/// How a session has ended, as the agent says; nothing while it is open.
fn ended(id: &str, place: &str) -> Result<Option<String>, Problem> {
    let view: RequestView = Agent::at(place)?.ask(&request_path(id, "")?)?;
    Ok(match view.stage {
        Stage::Open => None,
        stage => Some(match &view.outcome {
            Some(outcome) => plain(outcome),
            None => status::stage(stage).to_owned(),
        }),
    })
}

/// What to say after a command that failed: that its session had ended, if so.
pub(in crate::cli) fn after_failure(session: &Opened, now: Timestamp) -> Option<String> {
    let place = session.socket.display().to_string();
    let next = session
        .onward
        .then(|| continued(&session.id, &place))
        .flatten();
    let expiry = next.map_or_else(|| Expiry::of(session), |next| Expiry::new(&next));
    let how = match expiry.left(now) {
        0 => format!("its time was over at {}", span::at(expiry.not_after)),
        _ => ended(&expiry.id, &place).ok()??,
    };
    Some(format!(
        "session {} ended while the command ran ({how}), so AWS refused it; {}",
        expiry.id, expiry.more_time
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expiry(seconds: i64) -> Expiry {
        let mut request = crate::cli::tests::sample_request();
        request.not_after = Timestamp(seconds);
        Expiry::new(&request)
    }

    #[test]
    fn each_warning_comes_once_and_in_time() {
        let mut expiry = expiry(4 * 3600);
        let mut said = Vec::new();
        let mut now = Timestamp(0);
        // As the thread does it: say what is due, sleep as long as there is nothing to say.
        while let Some(quiet) = {
            if let Some(line) = expiry.due(now) {
                said.push((expiry.left(now), line));
            }
            expiry.quiet(now)
        } {
            assert!(expiry.due(now).is_none(), "once");
            now = now.plus(i64::try_from(quiet).expect("small"));
        }
        let times: Vec<i64> = said.iter().map(|(left, _)| *left).collect();
        assert_eq!(times, [900, 300, 0]);
        assert!(
            said[0]
                .1
                .starts_with("access ends in 15 min, at 1970-01-01 04:00:00 UTC")
        );
        assert!(
            said[1].1.starts_with("access ends in 5 min"),
            "{}",
            said[1].1
        );
        assert!(said[2].1.contains("is over"), "{}", said[2].1);
        for (_, line) in &said {
            assert!(line.contains("twotap request "), "{line}");
        }
    }

    #[test]
    fn who_begins_late_hears_of_what_is_left_and_not_of_what_is_past() {
        let mut expiry = expiry(1000);
        let said = expiry.due(Timestamp(820)).expect("three minutes are left");
        assert!(said.starts_with("access ends in 3 min"), "{said}");
        assert!(expiry.due(Timestamp(821)).is_none());
        assert_eq!(expiry.quiet(Timestamp(821)), Some(179));
        // A clock that was set forward, or a machine that slept: the end is still said, once.
        assert!(expiry.due(Timestamp(99_999)).is_some());
        assert!(expiry.due(Timestamp(99_999)).is_none());
        assert_eq!(expiry.quiet(Timestamp(99_999)), None);
    }
}
