//! Nothing hangs silently: whatever is waited for over one second is named on standard error.
//!
//! A verb holds a [`Waiting`] while it waits and drops it when that is over:
//!
//! ```text
//! let waiting = door.ui.waiting("the agent to open the session");
//! ...                        // after 1 s:  note: waiting for the agent to open the session
//! waiting.now_for("bob");    // 1 s later:  note: waiting for bob
//! drop(waiting);             // every 15 s: note: still waiting for bob (16 s)
//! ```
//!
//! Nobody else speaks meanwhile: one that begins within another says nothing, for whoever began first knows better what it is for. A question
//! to the person is no wait: none is held while one is open.

use std::{
    fmt::Display,
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::{Ui, err_line, plain};

/// After so long it is said what is being waited for.
const SILENCE: Duration = Duration::from_secs(1);
/// And then now and again.
const REMINDER: Duration = Duration::from_secs(15);
/// What the thread that says so needs, in bytes; it writes one line.
const STACK: usize = 128 * 1024;

/// How many there are now; only the first speaks.
static HELD: AtomicUsize = AtomicUsize::new(0);

impl Ui {
    /// Says what is being waited for, from one second on and until the answer is dropped: `waiting for WHAT`.
    pub(in crate::cli) fn waiting(&self, what: impl Display) -> Waiting {
        Waiting::begin(what)
    }

    /// Keeps the waits that begin while the answer is held from being said: by whoever shows them another way.
    pub(in crate::cli) fn quiet(&self) -> Waiting {
        Waiting::quiet()
    }
}

/// A wait that is said; it is over when this is dropped, and no line comes after that.
pub(in crate::cli) struct Waiting {
    told: Option<(Sender<String>, JoinHandle<()>)>,
}

impl Waiting {
    /// [`Ui::quiet`] where no [`Ui`] is at hand.
    pub(in crate::cli) fn quiet() -> Self {
        HELD.fetch_add(1, Ordering::AcqRel);
        Self { told: None }
    }

    /// [`Ui::waiting`] where no [`Ui`] is at hand.
    pub(in crate::cli) fn begin(what: impl Display) -> Self {
        let outer = HELD.fetch_add(1, Ordering::AcqRel);
        if outer > 0 {
            return Self { told: None };
        }
        let what = plain(&what.to_string());
        let (sender, changes) = mpsc::channel();
        let tell = move || {
            let say = |line: String| err_line(&format!("note: {line}"));
            tell(what, &changes, SILENCE, REMINDER, say);
        };
        let teller = thread::Builder::new().stack_size(STACK).spawn(tell);
        Self {
            told: teller.ok().map(|teller| (sender, teller)),
        }
    }

    /// It goes on with something else to wait for; nothing is said where it is the same.
    pub(in crate::cli) fn now_for(&self, what: impl Display) {
        if let Some((sender, _)) = &self.told {
            let _ = sender.send(plain(&what.to_string()));
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some((sender, teller)) = self.told.take() {
            drop(sender);
            let _ = teller.join();
        }
        HELD.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Says it until `changes` are over.
fn tell(
    mut what: String,
    changes: &Receiver<String>,
    silence: Duration,
    reminder: Duration,
    say: impl Fn(String),
) {
    let mut since = Instant::now();
    let mut next = since + silence;
    let mut said = false;
    loop {
        match changes.recv_timeout(next.saturating_duration_since(Instant::now())) {
            Err(RecvTimeoutError::Disconnected) => return,
            Ok(same) if same == what => {}
            Ok(other) => {
                what = other;
                since = Instant::now();
                next = since + silence;
                said = false;
            }
            Err(RecvTimeoutError::Timeout) => {
                let seconds = since.elapsed().as_secs();
                say(match said {
                    false => format!("waiting for {what}"),
                    true => format!("still waiting for {what} ({seconds} s)"),
                });
                said = true;
                next = Instant::now() + reminder;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(1);
    const NEVER: Duration = Duration::from_secs(3600);

    /// Runs a wait in a thread and hands its lines over as they come.
    fn told(silence: Duration, reminder: Duration) -> (Sender<String>, Receiver<String>) {
        let (changes, changed) = mpsc::channel();
        let (lines, said) = mpsc::channel();
        thread::spawn(move || {
            let say = |line| lines.send(line).unwrap_or_default();
            tell("bob".to_owned(), &changed, silence, reminder, say);
        });
        (changes, said)
    }

    fn next(said: &Receiver<String>) -> String {
        said.recv_timeout(Duration::from_secs(30)).expect("a line")
    }

    #[test]
    fn what_takes_long_is_said_once_and_then_now_and_again() {
        let (changes, said) = told(SOON, SOON);
        assert_eq!(next(&said), "waiting for bob");
        assert_eq!(next(&said), "still waiting for bob (0 s)");
        drop(changes);
        // The thread ends by itself, and then nobody is left to say anything.
        while said.recv_timeout(Duration::from_secs(30)).is_ok() {}
        assert_eq!(said.try_recv(), Err(mpsc::TryRecvError::Disconnected));
    }

    #[test]
    fn what_is_over_soon_is_not_said() {
        let (changes, said) = told(NEVER, NEVER);
        drop(changes);
        let end = said.recv_timeout(Duration::from_secs(30));
        assert_eq!(end, Err(RecvTimeoutError::Disconnected));
    }

    #[test]
    fn something_else_is_said_and_the_same_is_not() {
        let (changes, said) = told(SOON, NEVER);
        assert_eq!(next(&said), "waiting for bob");
        changes.send("bob".to_owned()).expect("a listener");
        changes.send("carol".to_owned()).expect("a listener");
        assert_eq!(next(&said), "waiting for carol");
    }
}
