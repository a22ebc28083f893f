//! Sinks: where the record goes so that it outlives the host.
//!
//! Each sink has a thread and a cursor of its own and reads from the store, so a dead one delays neither the ceremony nor
//! another sink: it falls behind, says so in [`SinkStatus`], and catches up. Delivery is at least once and in order; `seq`
//! tells a repetition.
//!
//! | file | job |
//! | --- | --- |
//! | `mod` | what a sink is, what it is given, what it may say |
//! | [`options`] | what is asked of a sink in `agent.toml`, whatever its kind |
//! | [`pace`] | how long to wait after a failure, and by which clock |
//! | [`runner`] | the threads: from the store through the filter to the sink |
//! | [`net`] | TCP and TLS where nothing waits without a bound |
//! | `error` | why a sink takes up nothing, and which of its settings is wrong |
//! | [`file`](self::file), [`git`], [`syslog`], [`webhook`], [`s3`], [`eventbridge`] | kinds |
//! | `amazon` | what the two in AWS have in common: account, runtime, bound |
//!
//! A new kind is a serde struct in a file of its own, with `deny_unknown_fields` and a function
//! `open(self, at: &Opening<'_>) -> Result<Box<dyn Sink>, SinkConfigError>`, and one line in `agent/config/sinks.rs`.

pub(super) mod amazon;
mod error;
pub mod eventbridge;
mod file;
pub mod git;
pub mod net;
pub mod options;
pub mod pace;
pub mod runner;
pub mod s3;
pub mod syslog;
pub mod webhook;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use self::error::{SinkConfigError, SinkError};
pub use self::file::FileSink;
pub use self::options::{Begins, Only, Options};
pub use self::pace::{Backoff, Pace, SystemPace};
pub use self::runner::{Ahead, Found, Lacking, SinkStatus, Sinks, cursor};
pub use self::s3::{S3Config, S3Sink};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::chain::{Hash, Head};
use super::epoch::Epoch;
use super::event::{Envelope, EventType, Record};
use super::export::envelopes_of;
use super::store::{Entry, Store, StoreError};

/// The longest that [`Sink::send`], [`Sink::resume`] and [`Sink::tend`] may take, whatever the receiver does. One that takes longer shows as
/// failing while it does.
pub const BOUND: Duration = Duration::from_secs(30);

/// Something that takes up the record. It runs on a thread of its own and may block, within [`BOUND`].
pub trait Sink: Send + 'static {
    /// A name, unique in the agent: its cursor stands under it.
    fn name(&self) -> &str;

    /// Told once before everything else: what is asked of it beside its own settings.
    fn asked(&mut self, _options: &Options) {}

    /// Told before each [`resume`](Self::resume): the epochs of the record, oldest first. What they cover was lost here.
    fn epochs(&mut self, _epochs: &[Epoch]) {}

    /// Called before the first batch and after every failure: the last event that the sink holds for certain. `cursor` is what the
    /// store remembers; a sink that cannot look returns it.
    fn resume(&mut self, cursor: Head) -> Result<Head, SinkError>;

    /// Takes a batch that follows what it holds. `Ok` means that all of it is held durably; after an error the runner
    /// resumes, so part of the batch may come again. With a filter there are gaps in `seq`.
    fn send(&mut self, batch: &[Delivery]) -> Result<(), SinkError>;

    /// The most that it takes at once; asked before each batch.
    fn most(&self) -> Most {
        Most::default()
    }

    /// How often [`tend`](Self::tend) is called while nothing is to be sent; never where it is `None`.
    fn tend_every(&self) -> Option<Duration> {
        None
    }

    /// Looks after itself: whether the receiver is still there, and still what it has to be. An error is one as from [`send`](Self::send).
    fn tend(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    /// When the last event that it holds was written, as that says itself; asked after [`resume`](Self::resume) where the store does not have that
    /// event. Where it does not say, of what an epoch says was lost only its newest event is told; where it cannot be asked now, it is asked again.
    fn held_at(&self) -> Result<Option<OffsetDateTime>, SinkError> {
        Ok(None)
    }

    /// Of what it holds and the store may not have: the newest checkpoint, as a note. Without one of this host's own nobody believes that the store
    /// has lost it. Asked after [`resume`](Self::resume).
    fn vouched(&self) -> Option<String> {
        None
    }

    /// What people have to know although it works, e.g. that it gave up an event that its receiver will never take. Asked after each call.
    fn complaint(&self) -> Option<String> {
        None
    }

    /// Of that, what is wrong with what its receiver holds: it goes on record, and people are told. Not how far it is, and not what it does
    /// not know. Asked after each call, and written down with what it holds.
    fn flaws(&self) -> Vec<Flaw> {
        Vec::new()
    }
}

/// Something that is wrong with what a sink's receiver holds, although the sink works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flaw {
    /// What kind of thing.
    pub kind: FlawKind,
    /// What, in words.
    pub why: String,
}

/// The kinds of [`Flaw`]: of each sink one of each is known at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FlawKind {
    /// Its receiver lacks an event, which it will never take. The event that tells of it may be the next.
    PassedOver,
    /// Its receiver holds another history beside this one.
    OtherHistory,
    /// Its receiver had lost what it held.
    HadLost,
}

impl FlawKind {
    /// One word for it, as it is remembered.
    pub fn name(self) -> &'static str {
        match self {
            Self::PassedOver => "passed-over",
            Self::OtherHistory => "other-history",
            Self::HadLost => "had-lost",
        }
    }
}

/// How much goes to a sink at once. One event always may, whatever its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Most {
    /// Events.
    pub events: usize,
    /// Bytes of lines and envelopes together.
    pub bytes: usize,
}

impl Default for Most {
    /// 256 events, 1 MiB.
    fn default() -> Self {
        Self {
            events: 256,
            bytes: 1 << 20,
        }
    }
}

/// One event on its way to a sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its place.
    pub seq: u64,
    /// The line's hash.
    pub hash: Hash,
    /// The line without newline.
    pub line: Vec<u8>,
    /// The signed envelopes that the line names. They carry requests in clear: empty unless the sink's configuration asks for them.
    pub envelopes: Vec<Envelope>,
    /// The signed note, if the event is a checkpoint.
    pub checkpoint: Option<String>,
}

impl Delivery {
    /// An event as it stands in the store, with what goes beside it.
    fn of(store: &Store, entry: Entry, envelopes: bool) -> Result<Self, StoreError> {
        let envelopes = match envelopes {
            true => envelopes_of(store, &entry.line)?,
            false => Vec::new(),
        };
        let checkpoint = note_of(&entry.line);
        Ok(Self {
            seq: entry.seq,
            hash: entry.hash,
            line: entry.line,
            envelopes,
            checkpoint,
        })
    }

    /// Where the record stands with it.
    pub fn head(&self) -> Head {
        Head {
            seq: self.seq,
            hash: self.hash,
        }
    }

    /// Its size, in bytes.
    pub fn size(&self) -> usize {
        let envelopes = self.envelopes.iter().map(|e| e.body.len());
        self.line.len() + envelopes.sum::<usize>()
    }
}

/// The signed note in a `CHECKPOINT` line.
pub fn note_of(line: &[u8]) -> Option<String> {
    // The event type stands right after `prev`, so most lines are told apart by a look at their head.
    let name = EventType::Checkpoint.name().as_bytes();
    let head = line.get(..line.len().min(160))?;
    if !head.windows(name.len()).any(|w| w == name) {
        return None;
    }
    let record = Record::parse(line)
        .ok()
        .filter(|r| r.known_type() == Some(EventType::Checkpoint))?;
    record.what.get("note")?.as_str().map(str::to_owned)
}

/// What a kind's `open` is told beside its own settings.
#[derive(Clone, Copy, Debug)]
pub struct Opening<'a> {
    /// The sink's name.
    pub name: &'a str,
    /// The folder of `agent.toml`: relative paths are taken from it.
    pub folder: &'a Path,
    /// The agent's own folder (0700), for what a sink has to remember.
    pub state: &'a Path,
    /// This host's name in the roster.
    pub host: &'a str,
}

impl Opening<'_> {
    /// A path of the configuration.
    pub fn path(&self, path: &Path) -> PathBuf {
        self.folder.join(path)
    }
}

#[cfg(test)]
mod tests;
