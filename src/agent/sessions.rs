//! The operators' sessions while they are open: in memory alone, wiped when the time or the stage ends them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::{Agent, closing::close_only_hint, record::Record, workers::out_of_turn};
use crate::{
    audit::event::{Actor, EventType},
    ceremony::Stage,
    protocol::{
        Code, Problem,
        job::{FromWorker, Job, NOT_KEPT, Session, TargetSession},
        socket::{Credentials, Delivered, TargetState, TargetView},
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
    not_after: Timestamp,
    roles: Vec<HeldRole>,
}

/// One role's session, and how often it was delivered.
struct HeldRole {
    session: TargetSession,
    /// The minute since 1970 in which a delivery last stood in the record.
    recorded: Option<i64>,
    /// Deliveries since then that it does not name yet.
    more: u64,
}

/// Which role's session is wanted, where a request has several: by account, by the role's name or ARN, or by neither, which is the first.
#[derive(Clone, Default)]
pub(super) struct Wanted {
    pub(super) account: Option<String>,
    pub(super) role: Option<String>,
    pub(super) form: Form,
}

/// What the operator's program makes of the session, as it says itself.
#[derive(Clone, Copy, Default, PartialEq)]
pub(super) enum Form {
    /// It answers an SDK that asked for it.
    #[default]
    Process,
    /// Variables for a shell: from there on nobody sees who uses them.
    Environment,
    /// A sign-in to the console.
    Console,
}

impl Form {
    /// From the query.
    pub(super) fn named(name: Option<&str>) -> Result<Self, Problem> {
        match name {
            None => Ok(Self::Process),
            Some("environment") => Ok(Self::Environment),
            Some("console") => Ok(Self::Console),
            Some(_) => Err(Problem::new(Code::Usage, "no such form of a session")
                .hint("there are: environment, console")),
        }
    }

    /// As it stands in the record; SDKs' own asking is what a delivery is where nothing is said.
    fn recorded(self) -> Option<&'static str> {
        match self {
            Self::Process => None,
            Self::Environment => Some("environment"),
            Self::Console => Some("console"),
        }
    }
}

impl Sessions {
    /// Keeps a session; one that brings further roles keeps what was counted for the others.
    pub(super) fn keep(&self, session: Session) {
        let mut all = self.lock();
        let mut before = all
            .remove(&session.request)
            .map_or_else(Vec::new, |held| held.roles);
        let counted = |role: TargetSession| {
            let known = before
                .iter_mut()
                .find(|b| b.session.access_key_id == role.access_key_id);
            HeldRole {
                recorded: known.as_ref().and_then(|b| b.recorded),
                more: known.map_or(0, |b| std::mem::take(&mut b.more)),
                session: role,
            }
        };
        let held = Held {
            not_after: session.not_after,
            roles: session.targets.into_iter().map(counted).collect(),
        };
        all.insert(session.request, held);
    }

    /// Drops a request's session.
    pub(super) fn drop_of(&self, request: &str) {
        self.lock().remove(request);
    }

    /// Deliveries that the record does not name yet.
    pub(super) fn more(&self, request: &str) -> u64 {
        let all = self.lock();
        all.get(request)
            .map_or(0, |held| held.roles.iter().map(|r| r.more).sum())
    }

    /// Whether any session of a request is held.
    pub(super) fn any(&self, request: &str) -> bool {
        self.lock().contains_key(request)
    }

    /// Whether a session in this role is held.
    pub(super) fn holds(&self, request: &str, role: &str) -> bool {
        let all = self.lock();
        all.get(request)
            .is_some_and(|held| held.roles.iter().any(|r| r.session.role == role))
    }

    /// The session, if this minute's delivery stands in the record.
    fn recorded(&self, request: &str, role: &str, minute: i64) -> Option<Credentials> {
        self.with(request, role, |held, not_after| {
            (held.recorded == Some(minute)).then(|| {
                held.more += 1;
                credentials(&held.session, not_after)
            })
        })?
    }

    /// The session, whose delivery was just put on record.
    fn first(&self, request: &str, role: &str, minute: i64) -> Option<Credentials> {
        self.with(request, role, |held, not_after| {
            (held.recorded, held.more) = (Some(minute), 0);
            credentials(&held.session, not_after)
        })
    }

    fn with<T>(
        &self,
        request: &str,
        role: &str,
        job: impl FnOnce(&mut HeldRole, Timestamp) -> T,
    ) -> Option<T> {
        let mut all = self.lock();
        let held = all.get_mut(request)?;
        let not_after = held.not_after;
        let role = held.roles.iter_mut().find(|r| r.session.role == role)?;
        Some(job(role, not_after))
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
        wanted: &Wanted,
        who: &str,
    ) -> Result<Credentials, Problem> {
        let record = self
            .book
            .request(request)
            .ok_or_else(|| super::book::unknown_request(request))?;
        let now = record.now();
        is_open(&record, now)?;
        self.must_be_recorded(&record)?;
        let role = wanted.of(&record)?;
        let minute = now.0.div_euclid(60);
        // What leaves the path on which each use asks again stands in the record each time.
        let each = wanted.form.recorded().is_some();
        let counted = || match each {
            true => None,
            false => self.sessions.recorded(request, &role, minute),
        };
        if let Some(credentials) = counted() {
            return Ok(credentials);
        }

        let _one_writes = self.sessions.recording.lock().await;
        if let Some(credentials) = counted() {
            return Ok(credentials);
        }
        if !self.sessions.holds(request, &role) {
            self.fetch_session(request).await?;
        }
        self.record_delivery(request, &role, wanted.form, who)
            .await?;
        self.sessions.first(request, &role, minute).ok_or_else(|| {
            Problem::new(Code::Refused, "the session has just ended")
                .hint("ask for a new one: twotap request --again")
        })
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
            Err(problem) if problem.error == NOT_KEPT => Err(self.lost(request).unwrap_or(problem)),
            Err(problem) => Err(problem),
        };
        self.alarms
            .set(&format!("session of {request}"), fetched.as_ref().err());
        fetched
    }

    /// An open session of which the host keeps nothing: it goes on in AWS, and two taps end it.
    fn lost(&self, request: &str) -> Option<Problem> {
        let record = self.book.request(request)?;
        let why = format!(
            "the host keeps nothing of this session any more (was it rebooted?); it ends at {}, or now by: {}",
            record.request.not_after,
            close_only_hint(&record)
        );
        Some(Problem::new(Code::Refused, why).hint("ask for a new session: twotap request"))
    }

    /// Keeps a session that a worker sent, if its request is open.
    pub(super) fn take_session(&self, session: Session) {
        let open = self
            .book
            .request(&session.request)
            .is_some_and(|r| r.stage == Stage::Open && session.not_after > r.now());
        if open {
            self.sessions.keep(session);
        }
    }

    /// Puts deliveries on record that were only counted, before the session is dropped by the clock or with the process.
    pub(super) async fn record_counted(self: &Arc<Self>, request: &str) {
        let more: u64 = match self.sessions.lock().get_mut(request) {
            Some(held) => held
                .roles
                .iter_mut()
                .map(|r| std::mem::take(&mut r.more))
                .sum(),
            None => 0,
        };
        if more == 0 {
            return;
        }
        let id = request.to_owned();
        let recorded = self
            .book
            .commit(move |change| {
                let mut record = change.known(&id)?;
                let event = record
                    .event(
                        EventType::CredentialsDelivered,
                        Actor::agent(),
                        change.place,
                    )
                    .action("count_deliveries")
                    .detail("deliveries_since_last", more);
                change.event(&event)?;
                if let Some(delivered) = &mut record.delivered {
                    delivered.times += more;
                }
                change.put(record)
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

    async fn record_delivery(
        self: &Arc<Self>,
        request: &str,
        role: &str,
        form: Form,
        who: &str,
    ) -> Result<(), Problem> {
        let (id, role, who) = (request.to_owned(), role.to_owned(), who.to_owned());
        let more = self.sessions.with(request, &role, |held, _| held.more);
        let more = more.unwrap_or(0);
        self.book
            .commit(move |change| {
                let mut record = change.known(&id)?;
                record.must_be_open()?;
                let operator = super::people::actor(&record.request.operator)?;
                let mut event = record
                    .event(EventType::CredentialsDelivered, operator, change.place)
                    .who(who.clone())
                    .detail("role", role)
                    .detail("not_after", record.request.not_after.to_string())
                    .detail("deliveries_since_last", more);
                if let Some(form) = form.recorded() {
                    event = event.detail("form", form);
                }
                change.event(&event)?;
                let before = record.delivered.as_ref().map_or(0, |d| d.times);
                record.delivered = Some(Delivered {
                    times: before + more + 1,
                    last_at: change.now(),
                    who,
                });
                change.put(record)
            })
            .await
    }
}

/// Whether there is a session to hand out, and why not.
fn is_open(record: &Record, now: Timestamp) -> Result<(), Problem> {
    match record.stage {
        Stage::Open if now < record.request.not_after => Ok(()),
        Stage::Open => Err(Problem::new(Code::Refused, "the session's time is over")
            .hint("ask for a new one: twotap request --again")),
        Stage::Requested => Err(Problem::new(
            Code::Approvals,
            "the request still waits for approvals: there is no session yet",
        )
        .hint("see twotap status --watch")),
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

impl Wanted {
    /// The role that is meant: one that the request has and that was opened. No role ever stands in for another.
    fn of(&self, record: &Record) -> Result<String, Problem> {
        let name = |role: &str| role.rsplit('/').next().unwrap_or(role).to_owned();
        let fits = |target: &&TargetView| {
            let account = self.account.as_ref().is_none_or(|a| *a == target.account);
            let role = |r: &String| *r == target.role || *r == name(&target.role);
            account && self.role.as_ref().is_none_or(role)
        };
        let targets = &record.targets;
        let listed = || {
            let all = targets
                .iter()
                .map(|t| format!("{} {}", t.account, name(&t.role)));
            all.collect::<Vec<_>>().join(", ")
        };
        if targets.is_empty() {
            // Recorded by an agent that knew one role a request.
            return Ok(record.request.role.clone());
        }
        let found: Vec<&TargetView> = targets.iter().filter(fits).collect();
        let named = self.account.is_some() || self.role.is_some();
        let target = match found.as_slice() {
            [] => {
                return Err(
                    Problem::new(Code::Usage, "the session has no such account or role")
                        .hint(format!("it has: {}", listed())),
                );
            }
            [_, _, ..] if named => {
                return Err(
                    Problem::new(Code::Usage, "the session has several roles there").hint(format!(
                        "name one with --account and --role; it has: {}",
                        listed()
                    )),
                );
            }
            [first, ..] => *first,
        };
        let what = format!("{} in account {}", name(&target.role), target.account);
        match &target.state {
            TargetState::NotOpened { why } => Err(Problem::new(
                Code::AwsRefused,
                format!("{what} was not opened: {why}"),
            )
            .hint("name another with --account or --role; see: twotap status")),
            TargetState::Opening => Err(Problem::new(
                Code::Approvals,
                format!("{what} is being opened"),
            )
            .hint("try again in a moment")),
            _ => Ok(target.role.clone()),
        }
    }
}

fn credentials(session: &TargetSession, not_after: Timestamp) -> Credentials {
    Credentials {
        version: 1,
        access_key_id: session.access_key_id.clone(),
        secret_access_key: session.secret_access_key.clone(),
        session_token: session.session_token.clone(),
        expiration: not_after,
    }
}
