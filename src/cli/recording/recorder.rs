//! Keeps what a command writes, and only then shows it.
//!
//! A thread of its own takes pieces of output, seals them, hands the chunk to the agent, waits until it is on disk there, and writes the
//! pieces to where the command meant them. So whatever was seen is kept, whatever becomes of this process. While the agent is busy pieces
//! gather and the next chunk is larger; the channel is bounded, and a command that writes too fast waits, as it would for a slow terminal.

use std::{
    io::{self, Write as _},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::{
    protocol::{
        Code, Problem,
        recording::{RecordingNoted, RecordingPart, START, chain},
    },
    trust::{Bytes, Digest},
};

use super::{
    super::{
        checked::vault_problem,
        client::{Agent, Patience, request_path},
        session::run::Tail,
        ui::plain,
    },
    Begun,
    cast::{Header, Place, To, Writer},
};

/// How many pieces may wait.
const PIECES: usize = 64;
/// When a chunk is large enough, in bytes of lines; and the most output that adds to them at once, of which a control character has six
/// bytes for one as JSON. The sealed chunk has to be smaller than [`MAX_CHUNK`](crate::protocol::recording::MAX_CHUNK).
const CHUNK: usize = 24 * 1024;
const PART: usize = 2 * 1024;
/// How often the agent hears that nothing is new.
const BEAT: Duration = Duration::from_secs(3);
/// How long an agent that does not answer is waited for: it may be restarted.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(100);
/// How long something that the command left behind may keep its output open without writing.
const LINGER: Duration = Duration::from_millis(500);

/// What happens to a command that is recorded.
pub(in crate::cli) enum Piece {
    /// It wrote something.
    Output(To, Vec<u8>),
    /// We have something to say, which is recorded as well.
    Said(String),
    /// It has ended with this exit code; what it left behind may still write.
    Exit(u8),
}

/// The size of the terminal, as both sides see it.
#[derive(Clone)]
pub(in crate::cli) struct Size(Arc<AtomicU32>);

impl Size {
    /// Columns and rows.
    pub(in crate::cli) fn new(size: (u16, u16)) -> Self {
        let new = Self(Arc::new(AtomicU32::new(0)));
        new.set(size);
        new
    }

    pub(in crate::cli) fn set(&self, (columns, rows): (u16, u16)) {
        let both = u32::from(columns) << 16 | u32::from(rows);
        self.0.store(both, Ordering::Relaxed);
    }

    fn of(&self) -> (u16, u16) {
        let both = self.0.load(Ordering::Relaxed);
        ((both >> 16) as u16, both as u16)
    }
}

/// What is said in between, to the person: with the line ends that the terminal needs now.
#[derive(Clone, Copy)]
pub(in crate::cli) struct Voice {
    /// Whether the terminal passes everything on as it is.
    pub(in crate::cli) raw: bool,
}

impl Voice {
    /// One line on standard error.
    pub(in crate::cli) fn say(self, line: &str) {
        let _ = io::stderr().write_all(self.framed(line).as_bytes());
    }

    /// The same as output.
    fn said(self, line: &str) -> (To, Vec<u8>) {
        let to = if self.raw { To::Terminal } else { To::Error };
        (to, self.framed(line).into_bytes())
    }

    fn framed(self, line: &str) -> String {
        match self.raw {
            true => format!("\r\n{}\r\n", plain(line)),
            false => format!("{}\n", plain(line)),
        }
    }
}

/// A recording that goes on.
pub(in crate::cli) struct Recorder {
    pub(in crate::cli) pieces: SyncSender<Piece>,
    thread: JoinHandle<Tail>,
}

impl Recorder {
    /// Starts the thread. `stop` is called once where the recording has to go on and cannot.
    pub(in crate::cli) fn start(
        begun: Begun,
        agent: Agent,
        header: &Header,
        (size, voice): (Size, Voice),
        stop: impl FnOnce() + Send + 'static,
    ) -> Result<Self, Problem> {
        let (pieces, come) = sync_channel(PIECES);
        let mut writer = Writer::default();
        writer.header(header).map_err(|why| not_json(&why))?;
        let keeper = Keeper {
            path: request_path(&begun.request, "/recording")?,
            begun,
            agent,
            writer,
            chunks: 0,
            head: START,
            since: Instant::now(),
            shown: size.of(),
            size,
            voice,
            state: State::Good,
            tail: Tail::default(),
            stop: Some(Box::new(stop)),
        };
        let thread = thread::Builder::new()
            .name("recorder".to_owned())
            .spawn(move || keeper.run(&come))
            .map_err(|why| Problem::new(Code::Internal, format!("cannot record: {why}")))?;
        Ok(Self { pieces, thread })
    }

    /// The command has ended; returns when all of it is kept and shown, with the end of what was shown as its errors.
    pub(in crate::cli) fn end(self, exit: u8) -> Option<Tail> {
        let _ = self.pieces.send(Piece::Exit(exit));
        drop(self.pieces);
        self.thread.join().ok()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Good,
    /// It broke off, and the session goes on without.
    Without,
    /// It broke off, and nothing more is shown.
    Over,
}

struct Keeper {
    path: String,
    begun: Begun,
    agent: Agent,
    writer: Writer,
    chunks: u64,
    head: Digest,
    since: Instant,
    size: Size,
    /// The size that the recording knows.
    shown: (u16, u16),
    voice: Voice,
    state: State,
    /// The end of its standard error; on a terminal, of all that it shows.
    tail: Tail,
    stop: Option<Box<dyn FnOnce() + Send>>,
}

impl Keeper {
    fn run(mut self, come: &Receiver<Piece>) -> Tail {
        let mut exit = None;
        // The header goes first, so that a recording without output is one as well.
        self.keep(&[]);
        loop {
            let wait = if exit.is_some() { LINGER } else { BEAT };
            match come.recv_timeout(wait) {
                Ok(first) => {
                    let mut batch = Vec::new();
                    let mut bytes = 0;
                    let mut next = Some(first);
                    while let Some(piece) = next {
                        match piece {
                            Piece::Exit(code) => exit = Some(code),
                            Piece::Said(line) => batch.push(self.voice.said(&line)),
                            Piece::Output(to, output) => {
                                bytes += output.len();
                                batch.push((to, output));
                            }
                        }
                        next = match bytes < CHUNK {
                            true => come.try_recv().ok(),
                            false => None,
                        };
                    }
                    self.keep(&batch);
                    self.show(&batch);
                }
                Err(RecvTimeoutError::Timeout) if exit.is_none() => self.alive(),
                Err(_) => break,
            }
        }
        let ended = self.writer.end(self.since.elapsed());
        self.check(ended.map_err(|why| not_json(&why)));
        self.send();
        if self.state == State::Good {
            let part = RecordingPart::End {
                recording: self.begun.recording,
                exit: exit.unwrap_or(0),
            };
            let ended = self.hand_in(&part);
            self.check(ended.map(|_| ()));
        }
        self.tail
    }

    /// Has a batch kept, in as many chunks as it takes.
    fn keep(&mut self, batch: &[(To, Vec<u8>)]) {
        if self.state != State::Good {
            return;
        }
        let at = self.since.elapsed();
        let now = self.size.of();
        if now != self.shown {
            self.shown = now;
            let written = self.writer.size(at, now);
            self.check(written.map_err(|why| not_json(&why)));
        }
        for (to, output) in batch {
            for part in output.chunks(PART) {
                let written = self.writer.output(at, *to, part);
                self.check(written.map_err(|why| not_json(&why)));
                if self.writer.len() >= CHUNK {
                    self.send();
                }
            }
        }
        self.send();
    }

    /// Seals what is written and hands it over; it is on the agent's disk when this returns, or the recording has broken off.
    fn send(&mut self) {
        if self.state != State::Good {
            return;
        }
        let sent = self.seal_and_send();
        self.check(sent);
    }

    fn seal_and_send(&mut self) -> Result<(), Problem> {
        let place = Place {
            v: 1,
            request: self.begun.request.clone(),
            recording: self.begun.recording,
            chunk: self.chunks + 1,
            before: self.head,
        };
        let Some(chunk) = self.writer.chunk(&place).map_err(|why| not_json(&why))? else {
            return Ok(());
        };
        let sealed = self.begun.readers.seal(&chunk).map_err(vault_problem)?;
        let head = chain(self.head, &sealed);
        let part = RecordingPart::Chunk {
            recording: self.begun.recording,
            chunk: self.chunks + 1,
            age: Bytes(sealed),
        };
        let noted = self.hand_in(&part)?;
        if (noted.chunks, noted.head) != (self.chunks + 1, head) {
            return Err(Problem::new(
                Code::Tampering,
                "the agent has kept something else than it was given",
            ));
        }
        (self.chunks, self.head) = (noted.chunks, noted.head);
        Ok(())
    }

    fn alive(&mut self) {
        if self.state != State::Good {
            return;
        }
        let part = RecordingPart::Alive {
            recording: self.begun.recording,
        };
        let heard = self.hand_in(&part);
        self.check(heard.map(|_| ()));
    }

    /// Hands a part in; an agent that cannot be reached is waited for, and that is said.
    fn hand_in(&self, part: &RecordingPart) -> Result<RecordingNoted, Problem> {
        let began = Instant::now();
        let mut said = false;
        loop {
            let noted = self.agent.hand_in(&self.path, part, Patience::Agent);
            match noted {
                Err(why) if why.code == Code::Agent && began.elapsed() < PATIENCE => {}
                noted => return noted,
            }
            if !said && began.elapsed() >= Duration::from_secs(1) {
                said = true;
                self.voice
                    .say("note: waiting for the agent to keep the recording");
            }
            thread::sleep(PAUSE);
        }
    }

    /// What follows when something about the recording has gone wrong.
    fn check(&mut self, done: Result<(), Problem>) {
        let Err(why) = done else {
            return;
        };
        if self.state != State::Good {
            return;
        }
        let part = RecordingPart::Fail {
            recording: Some(self.begun.recording),
            why: why.error.clone(),
        };
        // Where the agent does not answer it sees by itself that nothing comes any more.
        let _ = self
            .agent
            .hand_in::<RecordingNoted>(&self.path, &part, Patience::Agent);
        if self.begun.required {
            self.state = State::Over;
            self.voice.say(&format!(
                "error: the recording broke off, and this has to be recorded: {}",
                why.error
            ));
            if let Some(stop) = self.stop.take() {
                stop();
            }
        } else {
            self.state = State::Without;
            self.voice.say(&format!(
                "warning: the recording broke off, and the session goes on without: {}",
                why.error
            ));
        }
    }

    /// Writes output to where the command meant it. Who closed that does not want it.
    fn show(&mut self, batch: &[(To, Vec<u8>)]) {
        if self.state == State::Over {
            return;
        }
        for (to, bytes) in batch {
            if *to != To::Output {
                self.tail.keep(bytes);
            }
            let _ = match to {
                To::Terminal | To::Output => {
                    let mut out = io::stdout().lock();
                    out.write_all(bytes).and_then(|()| out.flush())
                }
                To::Error => io::stderr().lock().write_all(bytes),
            };
        }
    }
}

fn not_json(why: &serde_json::Error) -> Problem {
    Problem::new(Code::Internal, format!("cannot write json: {why}"))
}
