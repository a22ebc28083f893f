//! The operators' sessions while they are open: in memory alone, wiped when the time or the stage ends them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::{Agent, workers::out_of_turn};
use crate::{
    audit::event::{Actor, EventType},
    ceremony::Stage,
    protocol::{
        Code, Problem,
        job::{FromWorker, Job, Session},
        socket::Credentials,
    },
    trust::Timestamp,
};

/// Sessions by request.
#[derive(Default)]
pub(super) struct Sessions {
    held: Mutex<HashMap<String, Held>>,
    /// Held while a delivery is put on record, so that of many readers in one minute one writes.
    recording: tokio::sync::Mutex<()>,
}

struct Held {
    session: Session,
    /// The minute since 1970 in which a delivery last stood in the record.
    recorded: Option<i64>,
    /// Deliveries since then that it does not name yet.
    more: u64,
}

impl Sessions {
    /// Keeps a session.
    pub(super) fn keep(&self, session: Session) {
        let id = session.request.clone();
        let held = Held {
            session,
            recorded: None,
            more: 0,
        };
        self.lock().insert(id, held);
    }

    /// Drops a request's session.
    pub(super) fn drop_of(&self, request: &str) {
        self.lock().remove(request);
    }

    /// Deliveries that the record does not name yet.
    pub(super) fn more(&self, request: &str) -> u64 {
        self.lock().get(request).map_or(0, |held| held.more)
    }

    /// Whether a request's session is held.
    pub(super) fn holds(&self, request: &str) -> bool {
        self.lock().contains_key(request)
    }

    /// The session, if this minute's delivery stands in the record.
    fn recorded(&self, request: &str, minute: i64) -> Option<Credentials> {
        let mut held = self.lock();
        let held = held.get_mut(request)?;
        (held.recorded == Some(minute)).then(|| {
            held.more += 1;
            credentials(&held.session)
        })
    }

    /// The session, whose delivery was just put on record.
    fn first(&self, request: &str, minute: i64) -> Option<Credentials> {
        let mut held = self.lock();
        let held = held.get_mut(request)?;
        (held.recorded, held.more) = (Some(minute), 0);
        Some(credentials(&held.session))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Agent {
    /// The session of an open request for its operator; the delivery stands in the record before this returns.
    pub(super) async fn deliver(
        self: &Arc<Self>,
        request: &str,
        who: &str,
    ) -> Result<Credentials, Problem> {
        let now = Timestamp::now();
        self.is_open(request, now)?;
        let minute = now.0.div_euclid(60);
        if let Some(credentials) = self.sessions.recorded(request, minute) {
            return Ok(credentials);
        }

        let _one_writes = self.sessions.recording.lock().await;
        if let Some(credentials) = self.sessions.recorded(request, minute) {
            return Ok(credentials);
        }
        if !self.sessions.holds(request) {
            self.fetch_session(request).await?;
        }
        self.record_delivery(request, who).await?;
        self.sessions
            .first(request, minute)
            .ok_or_else(|| Problem::new(Code::Refused, "the session has just ended"))
    }

    /// Asks the worker for the session of a request, after a restart.
    pub(super) async fn fetch_session(self: &Arc<Self>, request: &str) -> Result<(), Problem> {
        let job = Job::Session {
            request: request.to_owned(),
        };
        let fetched = match self.workers.ask(&job).await {
            Ok(FromWorker::Session(session)) => {
                self.take_session(session);
                Ok(())
            }
            Ok(_) => Err(out_of_turn()),
            Err(problem) => Err(problem),
        };
        self.alarms
            .set(&format!("session of {request}"), fetched.as_ref().err());
        fetched
    }

    /// Keeps a session that a worker sent, if its request is open.
    pub(super) fn take_session(&self, session: Session) {
        let open = self
            .book
            .request(&session.request)
            .is_some_and(|r| r.stage == Stage::Open);
        if open && session.not_after > Timestamp::now() {
            self.sessions.keep(session);
        }
    }

    /// Puts deliveries on record that were only counted, before the session is dropped by the clock or with the process.
    pub(super) async fn record_counted(self: &Arc<Self>, request: &str) {
        let more = match self.sessions.lock().get_mut(request) {
            Some(held) => std::mem::take(&mut held.more),
            None => 0,
        };
        if more == 0 {
            return;
        }
        let id = request.to_owned();
        let recorded = self
            .book
            .commit(move |change| {
                let record = change.known(&id)?;
                let event = record
                    .event(
                        EventType::CredentialsDelivered,
                        Actor::agent(),
                        change.place,
                    )
                    .action("count_deliveries")
                    .detail("deliveries_since_last", more);
                change.event(&event)
            })
            .await;
        self.alarms
            .set(&format!("deliveries of {request}"), recorded.as_ref().err());
    }

    /// The same for every session that is held.
    pub(super) async fn record_all_counted(self: &Arc<Self>) {
        let ids: Vec<String> = self.sessions.lock().keys().cloned().collect();
        for id in ids {
            self.record_counted(&id).await;
        }
    }

    fn is_open(&self, request: &str, now: Timestamp) -> Result<(), Problem> {
        let record = self
            .book
            .request(request)
            .ok_or_else(|| super::book::unknown_request(request))?;
        match record.stage {
            Stage::Open if now < record.request.not_after => Ok(()),
            Stage::Open => Err(Problem::new(Code::Refused, "the session's time is over")
                .hint("ask for a new one: twotap request")),
            Stage::Requested => Err(Problem::new(
                Code::Approvals,
                "the request still waits for approvals: there is no session yet",
            )
            .hint("see: twotap status --watch")),
            Stage::Approved => Err(Problem::new(
                Code::Approvals,
                "the request is approved and its session is being made",
            )
            .hint("try again in a moment")),
            stage => {
                let what = match &record.outcome {
                    Some(outcome) => format!("the request is {stage}: {outcome}"),
                    None => format!("the request is {stage}"),
                };
                Err(Problem::new(Code::Refused, what).hint("ask for a new one: twotap request"))
            }
        }
    }

    async fn record_delivery(self: &Arc<Self>, request: &str, who: &str) -> Result<(), Problem> {
        let (id, who) = (request.to_owned(), who.to_owned());
        let more = self.sessions.lock().get(request).map_or(0, |h| h.more);
        self.book
            .commit(move |change| {
                let record = change.known(&id)?;
                if record.stage != Stage::Open {
                    return Err(Problem::new(
                        Code::Refused,
                        format!("the request is {}", record.stage),
                    ));
                }
                let operator = Actor::person(&record.request.operator)
                    .map_err(|why| Problem::new(Code::Internal, why))?;
                let event = record
                    .event(EventType::CredentialsDelivered, operator, change.place)
                    .who(who)
                    .detail("not_after", record.request.not_after.to_string())
                    .detail("deliveries_since_last", more);
                change.event(&event)?;
                Ok(())
            })
            .await
    }
}

fn credentials(session: &Session) -> Credentials {
    Credentials {
        version: 1,
        access_key_id: session.access_key_id.clone(),
        secret_access_key: session.secret_access_key.clone(),
        session_token: session.session_token.clone(),
        expiration: session.not_after,
    }
}
