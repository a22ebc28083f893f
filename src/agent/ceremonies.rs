//! A request's worker: from the offer to the end of the rotation, one task a request.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::{
    Agent,
    people::Listed,
    record::Record,
    votes::Cast,
    workers::{Link, SILENCE, out_of_turn},
};
use crate::{
    ceremony::{Stage, times::MAX_WAITING},
    protocol::{
        Code, Problem,
        job::{FromWorker, Step},
    },
    trust::{Timestamp, request::Purpose},
};

/// How long after the end of the vote a worker may still say so, in seconds.
const GRACE: i64 = 30;

/// The requests that have a worker.
pub(super) struct Ceremonies {
    waiting: Arc<Semaphore>,
    votes: Mutex<HashMap<String, mpsc::Sender<Cast>>>,
    /// Requests on record that nobody may vote on yet, with what they wait for.
    held: Mutex<HashMap<String, String>>,
}

impl Ceremonies {
    /// None yet.
    pub(super) fn new() -> Self {
        Self {
            waiting: Arc::new(Semaphore::new(MAX_WAITING)),
            votes: Mutex::default(),
            held: Mutex::default(),
        }
    }

    /// A place among the requests that may wait at once.
    pub(super) fn place(&self) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.waiting).try_acquire_owned().map_err(|_| {
            Problem::new(
                Code::Refused,
                format!("{MAX_WAITING} requests are waiting for approvals already"),
            )
            .hint("let one be approved, denied or run out: twotap status")
        })
    }

    /// Where votes on a request go, as long as its worker takes them.
    pub(super) fn waiting_for_votes(&self, id: &str) -> Option<mpsc::Sender<Cast>> {
        self.lock().get(id).cloned()
    }

    /// Custodians are not asked while this is held.
    fn hold(&self, id: &str, waits_for: String) -> Hold<'_> {
        self.held().insert(id.to_owned(), waits_for);
        Hold {
            of: self,
            id: id.to_owned(),
        }
    }

    /// Whether votes on a request may be taken: what it waits for, otherwise.
    pub(super) fn may_be_voted_on(&self, id: &str) -> Result<(), Problem> {
        match self.held().get(id) {
            None => Ok(()),
            Some(waits_for) => Err(Problem::new(
                Code::Approvals,
                format!("the request waits for {waits_for}: custodians are not asked yet"),
            )
            .hint("try again in a moment")),
        }
    }

    fn held(&self) -> std::sync::MutexGuard<'_, HashMap<String, String>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, mpsc::Sender<Cast>>> {
        self.votes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that nobody may vote on; let go when this goes.
struct Hold<'a> {
    of: &'a Ceremonies,
    id: String,
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        self.of.held().remove(&self.id);
    }
}

impl Agent {
    /// Puts a checked offer on record and waits for votes on it, once the sinks that its scenario names have it.
    pub(super) async fn begin(
        self: &Arc<Self>,
        record: Record,
        caller: &Listed,
        vault: String,
        link: Link,
        place: OwnedSemaphorePermit,
    ) -> Result<Arc<Record>, Problem> {
        let sinks = record.must_be_held_by()?;
        self.has_sinks(&sinks)?;
        // Held before it can be seen.
        let mut wanted = sinks.clone();
        // What takes power away waits for nobody.
        let required = !matches!(record.request.purpose, Purpose::CloseOnly { .. });
        if required {
            wanted.extend(self.required_sinks());
        }
        let hold = (!wanted.is_empty()).then(|| {
            let waits_for = format!("the record at {}", wanted.join(", "));
            self.ceremonies.hold(record.id(), waits_for)
        });
        let (record, seq) = self.put_on_record(record, caller.who.clone()).await?;
        if let Err(problem) = self.acknowledged(&sinks, required, seq).await {
            // The worker ends with its connection; no share has reached it.
            drop(link);
            self.end_ceremony(&vault, record.id(), Some(problem.clone()))
                .await;
            return Err(problem);
        }
        let looked = self.look_at_evidence(Some(record.id())).await;
        self.alarms
            .set("looking after the sinks", looked.as_ref().err());
        let record = self.book.request(record.id()).unwrap_or(record);
        let (sender, votes) = mpsc::channel(4);
        self.ceremonies
            .lock()
            .insert(record.id().to_owned(), sender);
        let task = Ceremony {
            agent: Arc::clone(self),
            id: record.id().to_owned(),
            vault,
            link,
            votes,
            place: Some(place),
        };
        drop(hold);
        tokio::spawn(task.run());
        self.bell.notify_one();
        Ok(record)
    }
}

/// One request's task.
pub(super) struct Ceremony {
    pub(super) agent: Arc<Agent>,
    pub(super) id: String,
    vault: String,
    pub(super) link: Link,
    votes: mpsc::Receiver<Cast>,
    /// Given back when the request waits no longer.
    pub(super) place: Option<OwnedSemaphorePermit>,
}

impl Ceremony {
    async fn run(mut self) {
        let outcome = self.serve().await;
        self.agent.ceremonies.lock().remove(&self.id);
        if let Err(problem) = &outcome {
            super::log(&format!("request {}: {problem}", self.id));
        }
        self.agent
            .end_ceremony(&self.vault, &self.id, outcome.err())
            .await;
    }

    /// Until the worker's last word.
    async fn serve(&mut self) -> Result<(), Problem> {
        let mut cast: Option<Cast> = None;
        loop {
            tokio::select! {
                message = self.link.receive_within(self.patience()) => match message? {
                    FromWorker::Vote(vote) => {
                        let Some(waiting) = cast.take() else { return Err(out_of_turn()) };
                        match self.record_vote_surely(vote, &waiting).await {
                            Ok(answer) => { let _ = waiting.reply.send(answer); }
                            Err(problem) => {
                                // The worker has counted what is not on record: nothing more may come of this request.
                                let _ = waiting.reply.send(Err(problem.clone()));
                                return Err(problem);
                            }
                        }
                    }
                    FromWorker::Entry(entry) => {
                        // What was found at the places before anybody voted is no work on the request.
                        if entry.request.is_some() {
                            self.place = None;
                        }
                        let commit = matches!(entry.step, Step::GenerationCommitted { .. });
                        // What cannot be recorded now is taken up from the journal; the operator's session must not be lost over it.
                        let taken = self.agent.take_entry(&self.vault, entry, &mut self.link).await;
                        self.agent.alarms.set(&format!("journal of vault {}", self.vault), taken.as_ref().err());
                        if commit && self.agent.book.request(&self.id).is_some_and(|r| r.takes_up().is_some()) {
                            // Who may do what changed at this moment, and the rest of the rotation may take a while.
                            let _ = self.agent.refresh(&self.vault).await;
                        }
                    }
                    FromWorker::Session(session) => self.agent.take_session(session),
                    FromWorker::Waiting(waiting) => self.agent.waits.set(&self.vault, waiting),
                    FromWorker::Done => return Ok(()),
                    FromWorker::Failed(problem) => return Err(problem),
                    _ => return Err(out_of_turn()),
                },
                // One vote at a time: the worker's next word is about this one.
                Some(next) = self.votes.recv(), if cast.is_none() => {
                    match self.hand_on(&next).await {
                        Ok(()) => cast = Some(next),
                        Err(problem) => { let _ = next.reply.send(Err(problem)); }
                    }
                }
            }
        }
    }

    /// How long the worker may be silent: while it waits for votes it ends by itself when their time is over.
    fn patience(&self) -> Duration {
        let waiting = self
            .agent
            .book
            .request(&self.id)
            .filter(|r| r.stage == Stage::Requested);
        match waiting {
            Some(record) => {
                let rest = Timestamp::now().until(record.request.approve_before).max(0) + GRACE;
                Duration::from_secs(u64::try_from(rest).unwrap_or(0))
            }
            None => SILENCE,
        }
    }
}
