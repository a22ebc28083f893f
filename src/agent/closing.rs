//! Ending sessions: by word or by time, and again after a failure or a restart, until the journal says that it is over.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::{
    Agent,
    book::Change,
    hands::Closer,
    pauses::{self, Pauses},
    people::Listed,
    record::{Mint, Record},
    secrets::owe_secrets,
    workers::out_of_turn,
};
use crate::{
    audit::event::{Actor, EventType},
    ceremony::Stage,
    protocol::{
        Code, Problem,
        job::{FromWorker, Job, NOT_KEPT},
        socket::{RequestView, Setback},
    },
    trust::Timestamp,
};

/// How long a worker may be at it after the time box has ended, or where that is near.
const LAST_WORD: i64 = 5 * 60;
/// The pause after a try that no repetition helps.
const FUTILE_PAUSE: Duration = Duration::from_secs(15 * 60);

/// Requests that are being closed: one task each, with what holds it up.
#[derive(Default)]
pub(super) struct Closings {
    running: Mutex<HashMap<String, Option<Setback>>>,
}

impl Closings {
    /// Whether nobody was at it yet.
    pub(super) fn begin(&self, id: &str) -> bool {
        let mut running = self.lock();
        if running.contains_key(id) {
            return false;
        }
        running.insert(id.to_owned(), None);
        true
    }

    /// Nobody is at it any more.
    pub(super) fn end(&self, id: &str) {
        self.lock().remove(id);
    }

    /// Notes why a try came to nothing and when the next one is.
    fn note(&self, id: &str, why: String, pause: Duration) {
        let mut running = self.lock();
        let before = running.get(id).cloned().flatten();
        let pause = i64::try_from(pause.as_secs()).unwrap_or(0);
        let setback = Setback {
            why,
            tries: before.map_or(0, |b| b.tries) + 1,
            next_attempt: Some(Timestamp::now().plus(pause)),
        };
        running.insert(id.to_owned(), Some(setback));
    }

    /// A worker is at it again.
    fn clear(&self, id: &str) {
        if let Some(setback) = self.lock().get_mut(id) {
            *setback = None;
        }
    }

    fn setback(&self, id: &str) -> Option<Setback> {
        self.lock().get(id).cloned().flatten()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Option<Setback>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a try to close has come to.
enum Try {
    Over,
    /// Nothing is kept that could close: the time box does it.
    NotKept,
    Later(Duration),
}

impl Agent {
    /// A request as everybody listed may see it, with what holds up its closing now.
    pub(super) fn view(&self, record: &Record) -> RequestView {
        let mut view = record.view();
        let here = self.closings.setback(record.id());
        view.setback = view.setback.or(here);
        view.epochs = self.epochs.all();
        if let Some(delivered) = &mut view.delivered {
            delivered.times += self.sessions.more(record.id());
        }
        view
    }

    /// Closes a request's session by somebody's word. Returns at once; the rest goes on by itself.
    pub(super) async fn close(
        self: &Arc<Self>,
        id: &str,
        caller: &Listed,
        force: bool,
    ) -> Result<Arc<Record>, Problem> {
        let (name, by) = (id.to_owned(), caller.clone());
        // Read before the stage changes, which drops the session.
        let deliveries = self.sessions.more(id);
        self.book
            .commit(move |change| closing(change, &name, &by, force, deliveries))
            .await?;
        let record = self
            .book
            .request(id)
            .ok_or_else(|| super::book::unknown_request(id))?;
        self.after(&record);
        Ok(record)
    }

    /// Starts the task that closes a request, unless it runs already.
    pub(super) fn start_closing(self: &Arc<Self>, id: &str) {
        if !self.closings.begin(id) {
            return;
        }
        let (agent, id) = (Arc::clone(self), id.to_owned());
        tokio::spawn(async move {
            agent.close_until_over(&id).await;
            agent.closings.end(&id);
            agent.alarms.set(&format!("closing {id}"), None);
            agent.bell.notify_one();
            agent.checkpoint().await;
        });
    }

    async fn close_until_over(self: &Arc<Self>, id: &str) {
        let mut pauses = Pauses::of_tries();
        loop {
            let Some(record) = self.book.request(id) else {
                return;
            };
            let tried = self.try_to_close(&record).await;
            let pause = pauses.next();
            let outcome = match tried {
                Ok(outcome) => outcome,
                Err(problem) => {
                    self.alarms.set(&format!("closing {id}"), Some(&problem));
                    let wait = match problem.code {
                        Code::Refused | Code::Usage | Code::Tampering => FUTILE_PAUSE,
                        _ => pause,
                    };
                    self.closings.note(id, problem.to_string(), wait);
                    Try::Later(wait)
                }
            };
            let rest = record.now().until(record.request.not_after);
            let until_end = Duration::from_secs(u64::try_from(rest).unwrap_or(0));
            match outcome {
                Try::Over => return,
                Try::NotKept if rest <= 0 => match self.mark_expired(id).await {
                    Ok(()) => return,
                    Err(problem) => {
                        self.alarms.set(&format!("closing {id}"), Some(&problem));
                        tokio::time::sleep(pause).await;
                    }
                },
                Try::NotKept => {
                    self.not_kept(id).await;
                    tokio::time::sleep(until_end.min(pauses::LONGEST)).await;
                }
                // Once the time is over closing needs nobody's leave: that is not put off.
                Try::Later(wait) if rest > 0 => tokio::time::sleep(wait.min(until_end)).await,
                Try::Later(_) => tokio::time::sleep(pause).await,
            }
        }
    }

    /// One worker's try, with the journal taken up before and after.
    async fn try_to_close(self: &Arc<Self>, record: &Record) -> Result<Try, Problem> {
        let (id, vault) = (record.id(), record.request.vault.as_str());
        // Access ends whether or not that can be written down now: what is not recorded stays in the journal, and is taken up from there.
        let journal = format!("journal of vault {vault}");
        let caught_up = self.catch_up(vault).await;
        self.alarms.set(&journal, caught_up.as_ref().err());
        if self.is_over(id) {
            return Ok(Try::Over);
        }
        let job = Job::Close {
            vault: vault.to_owned(),
            request: id.to_owned(),
        };
        let mut link = self.workers.start(&job).await?;
        self.closings.clear(id);
        // A worker goes on trying until the time box ends; one that is silent beyond that is lost.
        let rest = record.now().until(record.request.not_after).max(0) + LAST_WORD;
        let patience = Duration::from_secs(u64::try_from(rest).unwrap_or(0));
        let last_word = loop {
            match link.receive_within(patience).await {
                Ok(FromWorker::Entry(entry)) => {
                    let taken = self.take_entry(vault, entry, &mut link).await;
                    self.alarms.set(&journal, taken.as_ref().err());
                }
                Ok(FromWorker::Done) => break Ok(()),
                Ok(FromWorker::Failed(problem)) => break Err(problem),
                Ok(_) => break Err(out_of_turn()),
                Err(problem) => break Err(problem),
            }
        };
        self.catch_up(vault).await?;
        self.alarms.set(&journal, None);
        match last_word {
            // It was closed, and what was kept of it could not be removed: whoever is asked next for the journal removes it.
            Err(problem) if problem.code == Code::Internal && self.is_over(id) => Err(problem),
            _ if self.is_over(id) => Ok(Try::Over),
            // A request that had ended before its session became known: closed, though its stage is another.
            Ok(()) if self.book.request(id).is_some_and(|r| r.stage.is_final()) => Ok(Try::Over),
            Ok(()) => Ok(Try::Later(pauses::FIRST)),
            Err(problem) if problem.error == NOT_KEPT && self.is_closed(id) => {
                self.secrets_are_owed(id).await?;
                Ok(Try::Over)
            }
            Err(problem) if problem.error == NOT_KEPT => Ok(Try::NotKept),
            Err(problem) => Err(problem),
        }
    }

    fn is_over(&self, id: &str) -> bool {
        self.book
            .request(id)
            .is_none_or(|r| r.stage == Stage::Closed && !r.secrets_wait())
    }

    /// Whether the session is over, whatever its secrets wait for.
    fn is_closed(&self, id: &str) -> bool {
        self.book
            .request(id)
            .is_some_and(|r| r.stage == Stage::Closed)
    }

    /// Nothing is kept that could close it: the record says what that means, once, and whoever looks is told what helps.
    async fn not_kept(self: &Arc<Self>, id: &str) {
        let name = id.to_owned();
        let noted = self
            .book
            .commit(move |change| {
                let mut record = change.known(&name)?;
                let denied = record.is_denied_by_tag();
                if record.stage.is_final() || !record.note_not_kept() {
                    return Ok(());
                }
                let event = record
                    .event(EventType::RevocationStep, Actor::agent(), change.place)
                    .action("not_kept")
                    .detail("vault", record.request.vault.as_str())
                    .detail("denied_by_tag", denied)
                    .detail("until", record.request.not_after.to_string());
                change.event(&event)?;
                change.put(record)
            })
            .await;
        let Some(record) = self.book.request(id) else {
            return;
        };
        let ends = record.request.not_after;
        let problem = match record.is_denied_by_tag() {
            true => Problem::new(
                Code::Refused,
                format!("denied by its tag, not observed; it ends at {ends}"),
            ),
            false => Problem::new(
                Code::Refused,
                format!(
                    "the host keeps no session that could close it; it ends at {ends}, or now by: {}",
                    close_only_hint(&record)
                ),
            ),
        };
        let said = noted.as_ref().err().unwrap_or(&problem);
        self.alarms.set(&format!("closing {id}"), Some(said));
    }

    /// After a reboot nobody but the clock can say that it is over.
    async fn mark_expired(self: &Arc<Self>, id: &str) -> Result<(), Problem> {
        let name = id.to_owned();
        self.book
            .commit(move |change| {
                let mut record = change.known(&name)?;
                if record.stage.is_final() {
                    return Ok(());
                }
                let (now, at) = (change.now(), record.request.not_after);
                let event = record
                    .event(EventType::SessionExpired, Actor::agent(), change.place)
                    .detail("vault", record.request.vault.as_str())
                    .detail("ended", at.to_string())
                    .detail("observed", false)
                    .detail("why", "the host kept no session that could observe it");
                change.event(&event)?;
                record.end(Stage::Closed, format!("expired at {at}"), now)?;
                record.mint = Mint::Over;
                record.all_expired(now);
                record.step(
                    now,
                    "expired",
                    format!("the session's time ran out at {at}"),
                );
                owe_secrets(change, &mut record)?;
                change.put(record)
            })
            .await?;
        if let Some(record) = self.book.request(id) {
            self.after(&record);
        }
        Ok(())
    }

    /// Minting failed after the intent: did a session come to exist? The worker knows how far it came.
    ///
    /// `here` says that this agent saw the failure: only then does 'nothing is kept' mean that nothing was.
    pub(super) async fn decide_failed_mint(self: &Arc<Self>, id: &str, here: bool) {
        let job = Job::Session {
            request: id.to_owned(),
        };
        let kept = self.workers.ask(&job).await;
        let nothing = matches!(kept, Err(problem) if problem.error == NOT_KEPT);
        let (name, nothing) = (id.to_owned(), nothing && here);
        let decided = self
            .book
            .commit(move |change| {
                let mut record = change.known(&name)?;
                if record.stage != Stage::Approved || record.mint != Mint::Failed {
                    return Ok(());
                }
                let now = change.now();
                let why = record.outcome.clone().unwrap_or_default();
                if nothing {
                    // The event stands since the journal's entry was taken up.
                    record.advance(Stage::Failed, now)?;
                } else {
                    let event = record
                        .event(EventType::SessionClosed, Actor::agent(), change.place)
                        .detail("vault", record.request.vault.as_str())
                        .detail(
                            "why",
                            format!("minting failed and may have left a session: {why}"),
                        );
                    change.event(&event)?;
                    record.advance(Stage::Closing, now)?;
                }
                change.put(record)
            })
            .await;
        self.alarms
            .set(&format!("request {id}"), decided.as_ref().err());
        if let Some(record) = self.book.request(id) {
            self.after(&record);
        }
    }
}

/// What closes a session that the host kept nothing of.
pub(super) fn close_only_hint(record: &Record) -> String {
    format!(
        "twotap request {} --close-only {} --incident {} --reason TEXT",
        record.request.vault,
        record.id(),
        record.request.incident
    )
}

/// The transaction that begins a closing; once it is closing or closed nothing more is asked.
fn closing(
    change: &mut Change<'_, '_>,
    id: &str,
    by: &Listed,
    force: bool,
    deliveries: u64,
) -> Result<(), Problem> {
    let mut record = change.known(id)?;
    let own = record.request.operator == by.name;
    if !own && !force {
        return Err(Problem::new(
            Code::Refused,
            format!("the session is {}'s", record.request.operator),
        )
        .hint("an officer closes somebody else's session with --force"));
    }
    match (record.stage, record.mint) {
        (Stage::Closing | Stage::Closed, _) => return Ok(()),
        (Stage::Open, _) | (Stage::Approved, Mint::Intended | Mint::Done | Mint::Failed) => {}
        _ if !record.request.purpose.is_open() => {
            return Err(Problem::new(
                Code::Refused,
                "this request opens no session: there is none to close",
            ));
        }
        (Stage::Approved, Mint::None | Mint::Over) => {
            return Err(Problem::new(Code::Refused, "the session is being opened")
                .hint("try again in a moment"));
        }
        (Stage::Requested, _) => {
            return Err(Problem::new(Code::Refused, "no session was opened yet")
                .hint("let a custodian deny the request, or let it run out"));
        }
        (stage, _) => {
            return Err(Problem::new(
                Code::Refused,
                format!("the request is {stage}, there is no session to close"),
            ));
        }
    }
    let actor = super::people::actor(&by.name)?;
    let why = if own {
        "by the operator"
    } else {
        "by an officer"
    };
    let event = record
        .event(EventType::SessionClosed, actor, change.place)
        .who(&by.who)
        .detail("vault", record.request.vault.as_str())
        .detail("why", why)
        .detail("forced", !own)
        .detail("deliveries_since_last", deliveries);
    change.event(&event)?;
    if let Some(delivered) = &mut record.delivered {
        delivered.times += deliveries;
    }
    let now = change.now();
    record.closed_by = Some(Closer {
        name: by.name.clone(),
        account: by.who.clone(),
        at: now,
    });
    record.advance(Stage::Closing, now)?;
    record.step(now, "closing", format!("closing, {why} ({})", by.name));
    change.put(record)
}
