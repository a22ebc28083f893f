//! The live record under watch: what somebody did to it goes on record, the file is written anew, and where policy says so nothing new is
//! opened until an officer has seen it.

mod begin;

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

pub(super) use self::begin::Watched;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::Notify;

use super::{Agent, book::Change, people::Listed, record::Record};
use crate::{
    audit::{
        chain::Head,
        event::{Actor, Event, EventType},
        live::{Finding, How, LiveRecord, Notice},
        store::{StoreError, Table, Tx},
    },
    protocol::{
        Code, Problem,
        evidence::{Acknowledge, Acknowledged, MAX_REASON},
    },
    trust::{Timestamp, text::check_text},
};

/// Where it is remembered what was found.
const ROW: &str = "tampering";
/// What it is called among the alarms.
const ALARM: &str = "the record on this host";
/// What happens at once is looked at once: several lines, or a file that is renamed and another that takes its place.
const TOGETHER: Duration = Duration::from_millis(250);
/// A look ends at its first finding; one that cannot be moved aside is the first of each.
const BEHIND: &str = "until that is mended, files of the record behind it cannot be looked at";
/// How many claims of sinks are remembered as told.
const FOREIGN: usize = 32;
/// The most findings of one look: whoever goes on meanwhile is found by the next.
const MOST: usize = 8;

/// What was found and is not acknowledged, as the store has it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    standing: Vec<Standing>,
    /// What was found in the store and cannot be mended: it is told once, until the store is found whole.
    told: Vec<String>,
    /// What sinks hold that this host never signed: the sink and the head. Each is told once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    foreign: Vec<(String, Head)>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Standing {
    /// Number of the event.
    seq: u64,
    at: Timestamp,
    why: String,
    /// It could not be moved aside: each look finds it again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    stays: bool,
}

impl Row {
    fn push(&mut self, seq: u64, at: Timestamp, why: &str) {
        self.standing.push(Standing {
            seq,
            at,
            why: why.to_owned(),
            stays: false,
        });
    }

    /// Whether it was told already: it stays where it was, and nobody has acknowledged it. Acknowledged, it is told again, for what is wrong still is.
    fn has(&self, found: &Found) -> bool {
        let why = &found.finding.why;
        found.kept.is_err() && self.standing.iter().any(|s| s.stays && s.why == *why)
    }
}

/// Something that was found, and where the evidence was put: nowhere, where there was none.
pub(super) struct Found {
    finding: Finding,
    kept: io::Result<Option<PathBuf>>,
}

/// What was found and nobody has acknowledged.
#[derive(Default)]
pub(super) struct Tampering {
    standing: Mutex<Vec<Standing>>,
}

impl Agent {
    /// Looks for ever: when the kernel tells of something, and at the stated gaps.
    pub(super) async fn keep_record(self: Arc<Self>, live: LiveRecord) {
        let live = Arc::new(Mutex::new(live));
        let word = Arc::new(Word::default());
        let mut listening = false;
        // At first all of it: nobody knows what happened while no agent ran.
        let mut reread = Instant::now();
        let mut deep = true;
        let mut removed = false;
        loop {
            if !listening {
                listening = word.listen(&self.config.audit).is_ok();
                // What happened before somebody listened was not told.
                deep |= listening;
            }
            let all = Instant::now() >= reread;
            if all {
                reread = Instant::now() + self.config.care.reread;
            }
            let looked = match self.look_at_record(&live, deep || all, all).await {
                Ok(false) if removed => self.removed_unseen(&live).await,
                Ok(found) => {
                    if found {
                        // What the kernel has told of it meanwhile is no other removal.
                        word.found();
                    }
                    Ok(())
                }
                Err(problem) => Err(problem),
            };
            self.alarms
                .set("looking after the record", looked.as_ref().err());
            let rest = reread.saturating_duration_since(Instant::now());
            let pause = rest.min(self.config.care.look);
            let mut notice = tokio::select! {
                () = word.bell.notified() => word.take(),
                () = tokio::time::sleep(pause) => Notice::default(),
            };
            if notice.touched {
                tokio::time::sleep(TOGETHER).await;
                notice = notice.and(word.take());
            }
            listening &= !notice.gone;
            (deep, removed) = (notice.closed, notice.removed);
        }
    }

    /// A file that was removed before anybody had looked at it.
    async fn removed_unseen(
        self: &Arc<Self>,
        live: &Arc<Mutex<LiveRecord>>,
    ) -> Result<(), Problem> {
        let finding = with(live, |live| live.removed_unseen()).await?;
        let kept = Ok(None);
        self.found(Found { finding, kept }).await
    }

    /// Looks once, and puts on record what it finds; whether it found something in the files.
    async fn look_at_record(
        self: &Arc<Self>,
        live: &Arc<Mutex<LiveRecord>>,
        deep: bool,
        store: bool,
    ) -> Result<bool, Problem> {
        if store {
            let found = with(live, |live| live.reread_store()).await;
            match found?.map_err(|why| super::book::problem(&why))? {
                Some(finding) => {
                    let kept = Ok(None);
                    self.found(Found { finding, kept }).await?;
                }
                None => self.store_is_whole().await?,
            }
        }
        for n in 0..MOST {
            let found = with(live, move |live| live.look(deep)).await?;
            let Some(finding) = found.map_err(|why| unreadable(&why))? else {
                return Ok(n > 0);
            };
            let aside = finding.clone();
            let kept = with(live, move |live| live.set_aside(&aside)).await?;
            let could = kept.as_ref().err().map(|why| immovable(&finding, why));
            self.found(Found { finding, kept }).await?;
            if let Some(problem) = could {
                return Err(problem);
            }
        }
        Ok(true)
    }

    /// What is found in the store after this is told again, even if it is the same.
    async fn store_is_whole(self: &Arc<Self>) -> Result<(), Problem> {
        let row: Row = self.book.setting(ROW).await?;
        if row.told.is_empty() {
            return Ok(());
        }
        self.book
            .commit(|change| {
                let mut row: Row = change.setting(ROW)?;
                row.told.clear();
                change.put_setting(ROW, &row)
            })
            .await
    }

    /// A sink holds what this host never signed. Nothing was done to the record here, so nothing is refused: the sink's own failure stands in
    /// `status`, and people are told once.
    pub(super) async fn never_signed(
        self: &Arc<Self>,
        sink: String,
        held: Head,
    ) -> Result<(), Problem> {
        let this = (sink, held);
        let row: Row = self.book.setting(ROW).await?;
        if row.foreign.contains(&this) {
            return Ok(());
        }
        let why = format!(
            "sink {} shows a history up to event {} that this host never signed",
            this.0, held.seq
        );
        super::log(&why);
        self.book
            .commit(move |change| {
                let mut row: Row = change.setting(ROW)?;
                let event = Event::new(EventType::AuditTampered, Actor::agent())
                    .place(change.place.clone())
                    .detail("how", How::Changed.name())
                    .detail("path", format!("sink {}", this.0))
                    .detail("why", why);
                change.event(&event)?;
                row.foreign.push(this);
                let spare = row.foreign.len().saturating_sub(FOREIGN);
                row.foreign.drain(..spare);
                change.put_setting(ROW, &row)
            })
            .await
    }

    /// Puts on record what was found, and raises the alarm.
    pub(super) async fn found(self: &Arc<Self>, found: Found) -> Result<(), Problem> {
        let told = self
            .book
            .commit(move |change| record(change, &found))
            .await?;
        if let Some(row) = told {
            self.tampering_is(row);
            self.checkpoint().await;
        }
        Ok(())
    }

    /// Takes up what was found before the agent was started.
    pub(super) async fn remember_tampering(self: &Arc<Self>) -> Result<(), Problem> {
        let row: Row = self.book.setting(ROW).await?;
        self.tampering_is(row);
        Ok(())
    }

    fn tampering_is(&self, row: Row) {
        let problem = row.standing.last().map(|last| {
            let others = match row.standing.len() {
                1 => String::new(),
                n => format!(" (and {} more before)", n - 1),
            };
            Problem::new(
                Code::Tampering,
                format!(
                    "found at {} (event {}): {}{others}",
                    last.at, last.seq, last.why
                ),
            )
            .hint("compare it with a sink's copy; an officer: twotap audit acknowledge")
        });
        *self.tampering.lock() = row.standing;
        self.alarms.set(ALARM, problem.as_ref());
    }

    /// Refuses to open anything where policy says so and the record was tampered with. What closes, and what replaces a roster, goes on.
    pub(super) fn may_open(&self, opens: bool) -> Result<(), Problem> {
        let standing = self.tampering.lock();
        match standing.last() {
            Some(last) if opens && self.config.care.refuse => Err(Problem::new(
                Code::Tampering,
                format!(
                    "something was done to the record on this host (event {}), and nothing is opened until an officer has acknowledged it",
                    last.seq
                ),
            )
            .hint("an officer: twotap audit acknowledge --reason ...; or ask on another host")),
            _ => Ok(()),
        }
    }

    /// An officer has seen it.
    pub(super) async fn acknowledge_tampering(
        self: &Arc<Self>,
        said: Acknowledge,
        caller: &Listed,
    ) -> Result<Acknowledged, Problem> {
        check_text("reason", &said.reason, MAX_REASON)?;
        let actor = super::people::actor(&caller.name)?;
        let (by, who) = (caller.name.clone(), caller.who.clone());
        let (row, done) = self
            .book
            .commit(move |change| {
                let mut row: Row = change.setting(ROW)?;
                // What was found since the officer looked is not what was seen.
                let (seen, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut row.standing)
                    .into_iter()
                    .partition(|s| said.through.is_none_or(|through| s.seq <= through));
                if seen.is_empty() {
                    return Err(nothing_to_acknowledge());
                }
                let events: Vec<u64> = seen.iter().map(|s| s.seq).collect();
                let event = Event::new(EventType::TamperingAcknowledged, actor)
                    .place(change.place.clone())
                    .who(who)
                    .justification(said.reason)
                    .detail(
                        "events",
                        json!(
                            seen.iter()
                                .map(|s| json!({ "seq": s.seq }))
                                .collect::<Vec<_>>()
                        ),
                    );
                let seq = change.event(&event)?.seq;
                row.standing = rest;
                change.put_setting(ROW, &row)?;
                let done = Acknowledged {
                    seq,
                    events,
                    by,
                    at: change.now(),
                };
                Ok((row, done))
            })
            .await?;
        self.tampering_is(row);
        Ok(done)
    }
}

impl Record {
    /// Whether it is to open something, and not to close or to replace.
    pub(super) fn opens(&self) -> bool {
        use crate::trust::request::Purpose;
        matches!(self.request.purpose, Purpose::Open | Purpose::Drill)
    }
}

impl Tampering {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Standing>> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The same for what is no finding of a look: it stands until it is acknowledged.
pub(super) fn stand(change: &mut Change<'_, '_>, seq: u64, why: &str) -> Result<(), Problem> {
    let mut row: Row = change.setting(ROW)?;
    row.push(seq, change.now(), why);
    change.put_setting(ROW, &row)
}

/// The same before there is an agent.
pub(super) fn note(tx: &mut Tx<'_>, seq: u64, at: Timestamp, why: &str) -> Result<(), StoreError> {
    let mut row: Row = tx.record_as(Table::Setting, ROW)?.unwrap_or_default();
    row.push(seq, at, why);
    tx.put(Table::Setting, ROW, &row)
}

/// The event and the row; the row as it stands then, or nothing where it was told before.
fn record(change: &mut Change<'_, '_>, found: &Found) -> Result<Option<Row>, Problem> {
    let Found { finding, kept } = found;
    let mut row: Row = change.setting(ROW)?;
    if finding.how == How::StoreChanged {
        let this = format!("{}: {}", finding.from.unwrap_or(0), finding.why);
        if row.told.contains(&this) {
            return Ok(None);
        }
        row.told.push(this);
    }
    // What cannot be moved stands where it was, and each look finds it: it is told once.
    if row.has(found) {
        return Ok(None);
    }
    let at = kept.as_ref().ok().and_then(Option::as_ref);
    let mut event = Event::new(EventType::AuditTampered, Actor::agent())
        .place(change.place.clone())
        .detail("how", finding.how.name())
        .detail("path", finding.file.display().to_string())
        .detail("from", finding.from)
        .detail("why", finding.why.as_str())
        .detail("kept", at.map(|path| path.display().to_string()));
    if let Err(why) = kept {
        event = event.detail("not_kept", format!("{why}; {BEHIND}"));
    }
    let seq = change.event(&event)?.seq;
    row.push(seq, change.now(), &finding.why);
    if let Some(last) = row.standing.last_mut() {
        last.stays = kept.is_err();
    }
    change.put_setting(ROW, &row)?;
    Ok(Some(row))
}

/// What the kernel has told and nobody has taken up.
#[derive(Default)]
struct Word {
    notice: Mutex<Notice>,
    bell: Notify,
}

impl Word {
    fn listen(self: &Arc<Self>, dir: &Path) -> io::Result<()> {
        let word = Arc::downgrade(self);
        Notice::listen(dir, move |notice| {
            let Some(word) = word.upgrade() else {
                return false;
            };
            let mut all = word.notice.lock().unwrap_or_else(PoisonError::into_inner);
            *all = all.and(notice);
            drop(all);
            word.bell.notify_one();
            true
        })
    }

    /// A removal was found by looking.
    fn found(&self) {
        let mut all = self.notice.lock().unwrap_or_else(PoisonError::into_inner);
        all.removed = false;
    }

    fn take(&self) -> Notice {
        let mut all = self.notice.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut all)
    }
}

/// Reading blocks; the loop that serves clients does not.
async fn with<T: Send + 'static>(
    live: &Arc<Mutex<LiveRecord>>,
    job: impl FnOnce(&mut LiveRecord) -> T + Send + 'static,
) -> Result<T, Problem> {
    let live = Arc::clone(live);
    tokio::task::spawn_blocking(move || {
        job(&mut live.lock().unwrap_or_else(PoisonError::into_inner))
    })
    .await
    .map_err(|_| Problem::new(Code::Internal, "a task stopped; see the log"))
}

fn unreadable(why: &std::io::Error) -> Problem {
    Problem::new(
        Code::Internal,
        format!("the files of the record cannot be looked at: {why}"),
    )
    .hint("see that the agent can read and write the folder that [audit] names")
}

fn immovable(finding: &Finding, why: &io::Error) -> Problem {
    Problem::new(
        Code::Tampering,
        format!(
            "{} cannot be moved aside, or its rights set back ({why}); {BEHIND}",
            finding.file.display()
        ),
    )
    .hint("look at its attributes (lsattr) and mounts, and move it out of the folder; keep it: it is evidence")
}

fn nothing_to_acknowledge() -> Problem {
    Problem::new(Code::Usage, "there is nothing to acknowledge")
        .hint("see twotap status; what was found stands in the record as AUDIT_TAMPERED")
}

#[cfg(test)]
mod tests;
