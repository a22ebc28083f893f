//! The typed client of a token's control socket.

use super::{Answer, Fault, Request, Status};
use std::{
    io::{self, BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

/// What any other request may take: the token answers at once.
const PATIENCE: Duration = Duration::from_secs(60);

/// A hand on a token.
///
/// Every call blocks for one line of answer. A refusal by the token is an
/// [`io::ErrorKind::InvalidInput`] with its words.
pub struct Control {
    stream: BufReader<UnixStream>,
}

impl Control {
    /// Connects to the socket that the token was given as `--control`.
    ///
    /// # Errors
    /// What the socket says.
    pub fn connect(path: impl AsRef<Path>) -> io::Result<Self> {
        let stream = UnixStream::connect(path)?;
        Ok(Self {
            stream: BufReader::new(stream),
        })
    }

    /// Taps once, now; says whether the token was waiting for it.
    ///
    /// # Errors
    /// As [`Control`] says.
    pub fn tap(&mut self) -> io::Result<bool> {
        let answer = self.ask(&Request::Tap)?;
        answer.used.ok_or_else(incomplete)
    }

    /// Taps at the next `times` requests for a touch.
    ///
    /// # Errors
    /// As [`Control`] says.
    pub fn tap_when_asked(&mut self, times: u32) -> io::Result<()> {
        self.tell(&Request::TapWhenAsked { times: Some(times) })
    }

    /// Taps at every request for a touch from now on.
    ///
    /// # Errors
    /// As [`Control`] says.
    pub fn tap_always(&mut self) -> io::Result<()> {
        self.tell(&Request::TapWhenAsked { times: None })
    }

    /// Nobody taps from now on.
    ///
    /// # Errors
    /// As [`Control`] says.
    pub fn never(&mut self) -> io::Result<()> {
        self.tell(&Request::Never)
    }

    /// Blocks until the token asks for a touch, at most `bound`; false if it did not.
    ///
    /// # Errors
    /// As [`Control`] says.
    pub fn wait_for_touch(&mut self, bound: Duration) -> io::Result<bool> {
        let timeout_ms = u64::try_from(bound.as_millis()).unwrap_or(u64::MAX);
        let answer = self.ask_within(&Request::Waiting { timeout_ms }, bound + PATIENCE)?;
        answer.waiting.ok_or_else(incomplete)
    }

    /// Pulls the token out.
    ///
    /// # Errors
    /// As [`Control`] says.
    pub fn remove(&mut self) -> io::Result<()> {
        self.tell(&Request::Remove)
    }

    /// Plugs the token in again. It is away for a second at least, and the reader notices it half
    /// a second later: see [`crate::TokenProcess::await_power`].
    ///
    /// # Errors
    /// As [`Control`] says.
    pub fn insert(&mut self) -> io::Result<()> {
        self.tell(&Request::Insert)
    }

    /// How the token stands.
    ///
    /// # Errors
    /// As [`Control`] says.
    pub fn status(&mut self) -> io::Result<Status> {
        let answer = self.ask(&Request::Status)?;
        answer.status.ok_or_else(incomplete)
    }

    /// Starts the counters 'since the mark' anew.
    ///
    /// # Errors
    /// As [`Control`] says.
    pub fn mark(&mut self) -> io::Result<()> {
        self.tell(&Request::Mark)
    }

    /// Sets a fault up.
    ///
    /// # Errors
    /// As [`Control`] says; an instruction or status word that is no hex is refused.
    pub fn fault(&mut self, fault: Fault) -> io::Result<()> {
        self.tell(&Request::Fault(fault))
    }

    /// Takes back all faults that have not struck, and ends a silence.
    ///
    /// # Errors
    /// As [`Control`] says.
    pub fn clear_faults(&mut self) -> io::Result<()> {
        self.tell(&Request::ClearFaults)
    }

    /// Moves the token's clock ahead.
    ///
    /// # Errors
    /// As [`Control`] says.
    pub fn advance(&mut self, by: Duration) -> io::Result<()> {
        let ms = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.tell(&Request::Advance { ms })
    }

    fn tell(&mut self, request: &Request) -> io::Result<()> {
        self.ask(request).map(drop)
    }

    fn ask(&mut self, request: &Request) -> io::Result<Answer> {
        self.ask_within(request, PATIENCE)
    }

    fn ask_within(&mut self, request: &Request, bound: Duration) -> io::Result<Answer> {
        let socket = self.stream.get_mut();
        socket.set_read_timeout(Some(bound))?;
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        socket.write_all(&line)?;
        let mut reply = String::new();
        if self.stream.read_line(&mut reply)? == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the token is gone",
            ));
        }
        let answer: Answer = serde_json::from_str(&reply)?;
        if answer.ok {
            return Ok(answer);
        }
        let why = answer.error.unwrap_or_else(|| "refused".into());
        Err(io::Error::new(io::ErrorKind::InvalidInput, why))
    }
}

fn incomplete() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "an answer without its field")
}
