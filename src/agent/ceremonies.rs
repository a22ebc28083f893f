//! A request's worker: from the offer to the end of the rotation, one task a request.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::{
    Agent,
    book::Change,
    people::Listed,
    record::{Mint, Record, Rotation, VaultRotation},
    votes::Cast,
    workers::{Link, SILENCE, gone, out_of_turn},
};
use crate::{
    audit::event::{Actor, Event, EventType},
    ceremony::{Stage, Standing, times::MAX_WAITING},
    fail,
    protocol::{
        Code, Problem,
        job::{FromWorker, Step},
    },
    trust::Timestamp,
};

/// How long after the end of the vote a worker may still say so, in seconds.
const GRACE: i64 = 30;
/// Between two tries to put on record what has become of a request; it doubles up to the longest.
pub(super) const FIRST_PAUSE: Duration = Duration::from_secs(1);
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The requests that have a worker.
pub(super) struct Ceremonies {
    waiting: Arc<Semaphore>,
    votes: Mutex<HashMap<String, mpsc::Sender<Cast>>>,
}

impl Ceremonies {
    /// None yet.
    pub(super) fn new() -> Self {
        Self {
            waiting: Arc::new(Semaphore::new(MAX_WAITING)),
            votes: Mutex::default(),
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

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, mpsc::Sender<Cast>>> {
        self.votes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Agent {
    /// Puts a checked offer on record and waits for votes on it.
    pub(super) async fn begin(
        self: &Arc<Self>,
        record: Record,
        caller: &Listed,
        vault: String,
        link: Link,
        place: OwnedSemaphorePermit,
    ) -> Result<Arc<Record>, Problem> {
        let record = self.put_on_record(record, caller.who.clone()).await?;
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
                    match self.hand_on(&next.ballot).await {
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

impl Agent {
    /// After a ceremony's worker has spoken its last word, or has gone without one (`why`).
    pub(super) async fn end_ceremony(
        self: &Arc<Self>,
        vault: &str,
        id: &str,
        why: Option<Problem>,
    ) {
        self.waits.over(vault);
        let caught_up = self.catch_up(vault).await;
        self.alarms.set(
            &format!("journal of vault {vault}"),
            caught_up.as_ref().err(),
        );
        let mut pause = fail::quicker(FIRST_PAUSE);
        // A request that nobody works on must not go on looking as if somebody did.
        while let Err(problem) = self.settle(vault, id, why.clone()).await {
            self.alarms.set(&format!("request {id}"), Some(&problem));
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        self.alarms.set(&format!("request {id}"), None);
        if let Some(record) = self.book.request(id) {
            self.after(&record);
        }
        // The rotation has made another generation.
        let _ = self.refresh(vault).await;
        self.checkpoint().await;
    }

    /// What a request without a worker has come to.
    async fn settle(
        self: &Arc<Self>,
        vault: &str,
        id: &str,
        why: Option<Problem>,
    ) -> Result<(), Problem> {
        let (id, vault) = (id.to_owned(), vault.to_owned());
        let why = why.unwrap_or_else(gone);
        self.book
            .commit(move |change| {
                let mut record = change.known(&id)?;
                let now = change.now();
                let event = |record: &Record, kind| {
                    record
                        .event(kind, Actor::agent(), change.place)
                        .detail("vault", vault.as_str())
                        .detail("why", why.error.as_str())
                };
                let mut events = Vec::new();
                match (record.stage, record.mint) {
                    (Stage::Requested, _)
                        if why.code == Code::Approvals || now >= record.request.approve_before =>
                    {
                        events.push(event(&record, EventType::RequestExpired));
                        record.end(Stage::Expired, why.error.as_str(), now)?;
                    }
                    (Stage::Requested, _) | (Stage::Approved, Mint::None) => {
                        events.push(event(&record, EventType::RequestFailed));
                        record.end(Stage::Failed, why.error.as_str(), now)?;
                    }
                    (Stage::Approved, Mint::Intended | Mint::Done) => {
                        // Whether a session exists nobody can say, so it is closed.
                        events.push(event(&record, EventType::SessionClosed));
                        record.advance(Stage::Closing, now)?;
                    }
                    // It opens none itself; what it was to close has its own record.
                    (Stage::Approved, Mint::Over) => {
                        events.push(event(&record, EventType::RequestFailed));
                        record.end(Stage::Failed, why.error.as_str(), now)?;
                    }
                    _ => {}
                }
                // A share lives only as long as its credential: after a quorum the key has to be replaced, whatever came of the request.
                let quorum = record.standing == Standing::Approved || record.mint != Mint::None;
                let owed = quorum && matches!(record.rotation, Rotation::None | Rotation::Running);
                if owed && change.vault(&vault)?.rotated > record.request.generation {
                    // Another ceremony has replaced the key since, and it is dead.
                    record.rotation = Rotation::Done;
                    return put_with(change, record, &events);
                }
                if owed {
                    events.push(event(&record, EventType::CredentialRotationPending));
                    record.rotation = Rotation::Pending;
                    let mut row = change.vault(&vault)?;
                    row.rotation = VaultRotation::Pending(why.error.clone());
                    change.put_vault(&vault, &row)?;
                }
                if events.is_empty() {
                    return Ok(());
                }
                put_with(change, record, &events)
            })
            .await
    }
}

fn put_with(change: &mut Change<'_, '_>, record: Record, events: &[Event]) -> Result<(), Problem> {
    for event in events {
        change.event(event)?;
    }
    change.put(record)
}
