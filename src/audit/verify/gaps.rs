//! The record's heartbeat: an agent says how often it signs its record's head, and where it did not, that is named.

use crate::audit::event::{Record, read_time};

/// How much later than stated a checkpoint may come, in seconds: the agent's clock wakes it once a minute at least.
const SLACK: i64 = 60;

/// A time in which no head was signed, longer than the agent says that it leaves between two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The event whose checkpoint came before.
    pub from_seq: u64,
    /// The event whose checkpoint came next; the last event where none did.
    pub to_seq: u64,
    /// When the head before was signed (RFC 3339).
    pub from: String,
    /// When the next one was, or the time of the last event.
    pub to: String,
    /// How long, in seconds.
    pub seconds: i64,
    /// The longest that was stated, in seconds.
    pub stated: i64,
    /// Whether the agent was started in between: it may not have been running.
    pub restarted: bool,
}

/// Looks at checkpoints as they come.
#[derive(Default)]
pub(super) struct Gaps {
    stated: Option<i64>,
    last: Option<(u64, String)>,
    restarted: bool,
    found: Vec<Gap>,
}

impl Gaps {
    /// The agent was started: does it say how often it signs?
    pub(super) fn started(&mut self, record: &Record) {
        self.restarted = true;
        if let Some(stated) = record.what.get("checkpoint_every_seconds")
            && let Some(stated) = stated.as_i64().filter(|s| *s > 0)
        {
            self.stated = Some(stated);
        }
    }

    /// A checkpoint that a known key has signed.
    pub(super) fn checkpoint(&mut self, seq: u64, time: &str) {
        self.until(seq, time);
        self.last = Some((seq, time.to_owned()));
        self.restarted = false;
    }

    /// The last line of the record.
    pub(super) fn end(mut self, line: &[u8]) -> Vec<Gap> {
        if let Ok(record) = Record::parse(line) {
            self.until(record.seq, &record.timestamp);
        }
        self.found
    }

    fn until(&mut self, to_seq: u64, to: &str) {
        let (Some(stated), Some((from_seq, from))) = (self.stated, &self.last) else {
            return;
        };
        let (Some(begin), Some(end)) = (seconds(from), seconds(to)) else {
            return;
        };
        if end - begin > stated + SLACK {
            self.found.push(Gap {
                from_seq: *from_seq,
                to_seq,
                from: from.clone(),
                to: to.to_owned(),
                seconds: end - begin,
                stated,
                restarted: self.restarted,
            });
        }
    }
}

fn seconds(time: &str) -> Option<i64> {
    Some(read_time(time)?.unix_timestamp())
}
