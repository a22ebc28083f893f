//! What becomes of recordings whose sender, or whose agent, has gone.

use std::{io, sync::Arc};

use super::{
    super::{Agent, record::Record},
    cannot_keep,
    file::{self, Kept},
    live::Live,
    off_loop,
    words::Word,
};
use crate::{
    protocol::{
        Code, Problem,
        recording::{RecordingState, RecordingView, SILENCE_SECONDS, START},
    },
    trust::Timestamp,
};

impl Agent {
    /// Takes up the recordings that an agent before this one was writing: they may go on.
    pub(in crate::agent) async fn resume_recordings(self: &Arc<Self>, record: &Record) {
        let running = |r: &&RecordingView| r.state == RecordingState::Running;
        for view in record.recordings.iter().filter(running) {
            let resumed = self.resume_recording(record.id(), view).await;
            let what = format!("recording {} of {}", view.recording, record.id());
            self.alarms.set(&what, resumed.as_ref().err());
        }
    }

    async fn resume_recording(
        self: &Arc<Self>,
        id: &str,
        view: &RecordingView,
    ) -> Result<(), Problem> {
        let n = view.recording;
        let path = file::path(&self.config.state, id, n);
        let at = view.chunks;
        let opened = off_loop(move || match Kept::open(&path, at) {
            // The agent ended between the record's word and the file.
            Err(why) if why.kind() == io::ErrorKind::NotFound && at == 0 => {
                Kept::create(&path).map(|kept| (kept, Some(START)))
            }
            opened => opened,
        })
        .await;
        let why = match opened {
            Ok((kept, there)) if there == Some(view.head) => {
                let ahead = kept.chunks > view.chunks;
                let live = Arc::new(Live::new(kept));
                let key = (id.to_owned(), n);
                self.recordings.lock().insert(key, Arc::clone(&live));
                if ahead {
                    self.word(id, n, &live, Word::Stored, None).await?;
                }
                return Ok(());
            }
            Ok(_) => Problem::new(
                Code::Tampering,
                "its file is not the one that stands on record",
            ),
            Err(why) => cannot_keep(&why),
        };
        let there = (view.chunks, view.bytes, view.head);
        let word = Word::Failed(why.error.clone());
        self.put_word(id, n, there, word, None).await?;
        Err(why)
    }

    /// Gives up those of which nothing is heard any more; when to look again.
    pub(in crate::agent) async fn look_at_recordings(
        self: &Arc<Self>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let all: Vec<_> = {
            let live = self.recordings.lock();
            live.iter()
                .map(|(k, l)| (k.clone(), Arc::clone(l)))
                .collect()
        };
        let mut next: Option<Timestamp> = None;
        for ((id, n), live) in all {
            let until = live.heard().plus(SILENCE_SECONDS);
            if until > now {
                next = Some(next.map_or(until, |next| next.min(until)));
                continue;
            }
            let _in_turn = live.turn.lock().await;
            if self.recordings.get(&id, n).is_none() || live.heard().plus(SILENCE_SECONDS) > now {
                continue;
            }
            let why = "the program that recorded has ended without a word".to_owned();
            let given_up = self.word(&id, n, &live, Word::Failed(why), None).await;
            let what = format!("recording {n} of {id}");
            self.alarms.set(&what, given_up.as_ref().err());
        }
        next
    }
}
