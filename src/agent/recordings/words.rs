//! What stands on record of a recording: that it began, how much of it there is, how it ended.

use super::{
    super::{
        Agent,
        book::Change,
        people::{self, Listed},
        record::Record,
    },
    MOST,
    live::Live,
    over,
};
use crate::{
    audit::event::{Actor, Event, EventType},
    protocol::{
        Code, Problem,
        recording::{RecordingState, RecordingView, START},
    },
    trust::Digest,
};
use std::sync::{Arc, PoisonError};

/// What is to stand on record of one.
pub(super) enum Word {
    /// More of it is there.
    Stored,
    /// It is complete.
    Ended(u8),
    /// It broke off.
    Failed(String),
}

impl Agent {
    /// Numbers one, and puts its beginning, or that it could not begin, on record.
    pub(super) async fn new_recording(
        self: &Arc<Self>,
        record: &Record,
        (title, readers): (String, Vec<String>),
        state: RecordingState,
        caller: &Listed,
    ) -> Result<RecordingView, Problem> {
        let (id, by) = (record.id().to_owned(), caller.clone());
        self.book
            .commit(move |change| {
                let mut record = change.known(&id)?;
                record.must_be_open()?;
                if record.recordings.len() >= MOST {
                    return Err(Problem::new(
                        Code::Refused,
                        format!("the request has {MOST} recordings already"),
                    ));
                }
                let mut view = RecordingView {
                    recording: u32::try_from(record.recordings.len() + 1).unwrap_or(u32::MAX),
                    title,
                    readers,
                    began: change.now(),
                    chunks: 0,
                    bytes: 0,
                    head: START,
                    seq: 0,
                    state,
                };
                let kind = match view.state {
                    RecordingState::Running => EventType::RecordingStarted,
                    _ => EventType::RecordingFailed,
                };
                let event = event(change, &record, kind, &view, Some(&by))?;
                view.seq = change.event(&event)?.seq;
                record.recordings.push(view.clone());
                change.put(record)?;
                Ok(view)
            })
            .await
    }

    /// Puts a word about one that goes on on record; after the last it goes on no more.
    pub(super) async fn word(
        self: &Arc<Self>,
        id: &str,
        n: u32,
        live: &Live,
        word: Word,
        by: Option<&Listed>,
    ) -> Result<(), Problem> {
        let last = !matches!(word, Word::Stored);
        let there = {
            let kept = live.kept.lock().unwrap_or_else(PoisonError::into_inner);
            (kept.chunks, kept.bytes, kept.head)
        };
        self.put_word(id, n, there, word, by.cloned()).await?;
        if last {
            self.recordings.lock().remove(&(id.to_owned(), n));
        }
        Ok(())
    }

    pub(super) async fn put_word(
        self: &Arc<Self>,
        id: &str,
        n: u32,
        (chunks, bytes, head): (u64, u64, Digest),
        word: Word,
        by: Option<Listed>,
    ) -> Result<(), Problem> {
        let id = id.to_owned();
        self.book
            .commit(move |change| {
                let mut record = change.known(&id)?;
                let at = change.now();
                let found = record.recordings.iter_mut().find(|r| r.recording == n);
                let view = found.ok_or_else(|| over(n))?;
                (view.chunks, view.bytes, view.head) = (chunks, bytes, head);
                let kind = match word {
                    Word::Stored => EventType::RecordingStored,
                    Word::Ended(exit) => {
                        view.state = RecordingState::Ended { at, exit };
                        EventType::RecordingEnded
                    }
                    Word::Failed(why) => {
                        view.state = RecordingState::Failed { at, why };
                        EventType::RecordingFailed
                    }
                };
                let mut view = view.clone();
                let event = event(change, &record, kind, &view, by.as_ref())?;
                view.seq = change.event(&event)?.seq;
                for row in &mut record.recordings {
                    if row.recording == n {
                        *row = view.clone();
                    }
                }
                change.put(record)
            })
            .await
    }
}

/// An event about one.
pub(super) fn event(
    change: &Change<'_, '_>,
    record: &Record,
    kind: EventType,
    view: &RecordingView,
    by: Option<&Listed>,
) -> Result<Event, Problem> {
    let actor = by.map_or_else(|| Ok(Actor::agent()), |by| people::actor(&by.name))?;
    let mut event = record
        .event(kind, actor, change.place)
        .detail("recording", view.recording)
        .detail("title", view.title.as_str())
        .detail("readers", view.readers.clone())
        .detail("chunks", view.chunks)
        .detail("bytes", view.bytes)
        .detail("sha256", view.head.to_string());
    if let Some(by) = by {
        event = event.who(by.who.as_str());
    }
    Ok(match &view.state {
        RecordingState::Running => event,
        RecordingState::Ended { exit, .. } => event.detail("exit", *exit),
        RecordingState::Failed { why, .. } => event.detail("why", why.as_str()),
    })
}
