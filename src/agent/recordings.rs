//! Recordings of operators' terminals, as they come in: ciphertext on disk, digests on record.
//!
//! A chunk is on disk before its sender hears so. The record names how many there are and one digest over all, at most once a minute, at the
//! end, and when a recording breaks off; what came in between is on disk and is put on record when an agent starts.

mod after;
mod file;
mod live;
mod note;
mod words;

pub(super) use live::Recordings;
pub(super) use note::note;

use std::{
    io,
    sync::{Arc, PoisonError},
};

use super::{
    Agent,
    handlers::{Answered, finish},
    people::Listed,
    record::Record,
    routes::{Answer, Call},
};
use crate::{
    audit::event::EventType,
    protocol::{
        Code, Problem,
        recording::{
            MAX_CHUNK, RecordingNoted, RecordingPage, RecordingPart, RecordingState, START,
        },
    },
    trust::{Timestamp, roster::Recording, text::check_text},
};
use file::Kept;
use live::Live;
use words::{Word, event};

/// The most recordings of one request.
const MOST: usize = 100;
/// How many earlier sessions one can continue, one after the other, and still be recorded with the first.
const LONGEST_CHAIN: usize = 20;

/// `POST /v1/requests/{id}/recording`.
pub(super) async fn part(call: Call) -> Answered {
    let part: RecordingPart = call.body()?;
    let (agent, caller) = (Arc::clone(&call.agent), call.caller.clone());
    let record = Arc::clone(call.record()?);
    // What was begun for a sender that has gone must not be left half-done.
    let noted = finish(async move { agent.take_part(&record, part, &caller).await }).await?;
    Answer::json(&noted)
}

/// `GET /v1/requests/{id}/recording`.
pub(super) async fn read(call: Call) -> Answered {
    let n = u32::try_from(call.number("recording", 1)?).unwrap_or(0);
    let from = call.number("from", 1)?.max(1);
    let record = call.record()?;
    let page = call
        .agent
        .read_recording(record, n, from, &call.caller)
        .await?;
    Answer::json(&page)
}

impl Agent {
    async fn take_part(
        self: &Arc<Self>,
        record: &Record,
        part: RecordingPart,
        caller: &Listed,
    ) -> Result<RecordingNoted, Problem> {
        let id = record.id();
        let n = match part {
            RecordingPart::Begin { title, readers } => {
                return self.begin_recording(record, title, readers, caller).await;
            }
            RecordingPart::Fail {
                recording: None,
                why,
            } => return self.never_began(record, shown(why), caller).await,
            RecordingPart::Chunk { recording, .. }
            | RecordingPart::Alive { recording }
            | RecordingPart::End { recording, .. }
            | RecordingPart::Fail {
                recording: Some(recording),
                ..
            } => recording,
        };
        let live = self.recordings.get(id, n).ok_or_else(|| over(n))?;
        let _in_turn = live.turn.lock().await;
        // It may have been given up while this part waited.
        if self.recordings.get(id, n).is_none() {
            return Err(over(n));
        }
        live.hear();
        match part {
            RecordingPart::Chunk { chunk, age, .. } => {
                self.take_chunk(record, n, &live, (chunk, age.0)).await?;
            }
            RecordingPart::End { exit, .. } => {
                self.word(id, n, &live, Word::Ended(exit), Some(caller))
                    .await?;
            }
            RecordingPart::Fail { why, .. } => {
                let why = Word::Failed(shown(why));
                self.word(id, n, &live, why, Some(caller)).await?;
            }
            RecordingPart::Begin { .. } | RecordingPart::Alive { .. } => {}
        }
        Ok(live.noted(n))
    }

    async fn begin_recording(
        self: &Arc<Self>,
        record: &Record,
        title: String,
        readers: Vec<String>,
        caller: &Listed,
    ) -> Result<RecordingNoted, Problem> {
        check_text("title", &title, 64)?;
        let refused = |why: &str| Problem::new(Code::Refused, why);
        if self.recordings.policy(record) == Recording::Off {
            return Err(refused("this access is not recorded").hint("see twotap roster show"));
        }
        let listed = record.roster().ok();
        let listed = listed.iter().flat_map(|r| r.readers());
        let listed: Vec<&str> = listed.map(|(p, _)| p.name.as_str()).collect();
        if readers.is_empty() || readers != listed {
            return Err(
                refused("a recording is sealed to all officers of the roster")
                    .hint("see twotap roster show"),
            );
        }
        let view = self
            .new_recording(record, (title, readers), RecordingState::Running, caller)
            .await?;
        let (id, n) = (record.id().to_owned(), view.recording);
        let path = file::path(&self.config.state, &id, n);
        let made = off_loop(move || Kept::create(&path)).await;
        let kept = match made {
            Ok(kept) => kept,
            Err(why) => {
                let problem = cannot_keep(&why);
                let word = Word::Failed(problem.error.clone());
                self.put_word(&id, n, (0, 0, START), word, None).await?;
                return Err(problem);
            }
        };
        let live = Arc::new(Live::new(kept));
        self.recordings.lock().insert((id, n), Arc::clone(&live));
        // The clock looks after it from now on.
        self.bell.notify_one();
        Ok(live.noted(n))
    }

    async fn never_began(
        self: &Arc<Self>,
        record: &Record,
        why: String,
        caller: &Listed,
    ) -> Result<RecordingNoted, Problem> {
        let at = Timestamp::now();
        let state = RecordingState::Failed { at, why };
        let nobody = ("none".to_owned(), Vec::new());
        self.new_recording(record, nobody, state, caller).await?;
        Ok(RecordingNoted {
            recording: 0,
            chunks: 0,
            head: START,
        })
    }

    async fn take_chunk(
        self: &Arc<Self>,
        record: &Record,
        n: u32,
        live: &Arc<Live>,
        (chunk, age): (u64, Vec<u8>),
    ) -> Result<(), Problem> {
        if age.is_empty() || age.len() > MAX_CHUNK {
            return Err(Problem::new(
                Code::Usage,
                format!("a chunk has 1 to {MAX_CHUNK} bytes"),
            ));
        }
        let kept = Arc::clone(&live.kept);
        let appended = off_loop(move || {
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.is_last(chunk, &age) {
                return Ok(true);
            }
            if chunk != kept.chunks + 1 {
                return Ok(false);
            }
            kept.append(&age).map(|()| true)
        })
        .await;
        match appended {
            Ok(true) => {}
            Ok(false) => {
                return Err(Problem::new(
                    Code::Refused,
                    format!("chunk {chunk} is out of its turn"),
                ));
            }
            Err(why) => {
                let problem = cannot_keep(&why);
                let word = Word::Failed(problem.error.clone());
                self.word(record.id(), n, live, word, None).await?;
                return Err(problem);
            }
        }
        if live.is_due() {
            self.word(record.id(), n, live, Word::Stored, None).await?;
        }
        Ok(())
    }

    async fn read_recording(
        self: &Arc<Self>,
        record: &Record,
        n: u32,
        from: u64,
        caller: &Listed,
    ) -> Result<RecordingPage, Problem> {
        let known = record.recordings.iter().find(|r| r.recording == n);
        let view = known.cloned().ok_or_else(|| {
            Problem::new(Code::Usage, format!("there is no recording {n}"))
                .hint("see twotap replay REQUEST")
        })?;
        // Before the first page leaves: who reads is on record. A page that does not follow the last one begins a reading of its own.
        if !self.recordings.reads_on(record.id(), n, from, caller) {
            let (id, by, read) = (record.id().to_owned(), caller.clone(), view.clone());
            let noted = self.book.commit(move |change| {
                let record = change.known(&id)?;
                let kind = EventType::RecordingRead;
                let event = event(change, &record, kind, &read, Some(&by))?;
                change.event(&event).map(|_| ())
            });
            noted.await?;
        }
        let path = file::path(&self.config.state, record.id(), n);
        let chunks = off_loop(move || match file::page(&path, from) {
            // One that never began has no file.
            Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            read => read,
        });
        let chunks = chunks.await.map_err(|why| {
            Problem::new(
                Code::Internal,
                format!("the recording cannot be read: {why}"),
            )
        })?;
        let given = from.saturating_add(chunks.len() as u64);
        let next = (!chunks.is_empty()).then_some(given);
        self.recordings.has_read(record.id(), n, next, caller);
        Ok(RecordingPage {
            recording: view,
            chunks,
        })
    }

    /// Whether credentials may be handed out: where recording is required, one has to go on.
    pub(super) fn must_be_recorded(&self, record: &Record) -> Result<(), Problem> {
        if self.recordings.policy(record) != Recording::Required {
            return Ok(());
        }
        // Whoever goes on with a session that continues an earlier one is still being recorded under that one's name.
        let mut id = Some(record.id().to_owned());
        for _ in 0..LONGEST_CHAIN {
            let Some(earlier) = id else {
                break;
            };
            if self.recordings.any(&earlier) {
                return Ok(());
            }
            let earlier = self.book.request(&earlier);
            id = earlier.and_then(|r| r.request.follows.clone());
        }
        Err(Problem::new(
            Code::Refused,
            format!(
                "access {} has to be recorded, and no recording runs",
                record.request.access
            ),
        )
        .hint("work in: twotap shell, or twotap exec -- COMMAND"))
    }
}

/// A reason from outside, if it can be shown.
fn shown(why: String) -> String {
    let fits = why.chars().count() <= 400 && check_text("reason", &why, 1600).is_ok();
    if fits {
        why
    } else {
        "the program that recorded gave no reason that can be shown".to_owned()
    }
}

fn over(n: u32) -> Problem {
    Problem::new(Code::Refused, format!("recording {n} does not go on"))
        .hint("begin another: twotap shell")
}

fn cannot_keep(why: &io::Error) -> Problem {
    Problem::new(
        Code::Internal,
        format!("the agent cannot keep the recording: {why}"),
    )
    .hint("make room on the agent's disk")
}

/// Disks block; the loop that serves clients does not.
async fn off_loop<T: Send + 'static>(
    job: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(job)
        .await
        .unwrap_or_else(|_| Err(io::Error::other("a task stopped; see the log")))
}
