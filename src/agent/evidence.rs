//! Evidence that is missing elsewhere: a sink that lags goes on record, is shown to whoever relies on it, and is lifted once it has caught up.
//!
//! Nothing waits for it: which sinks have to hold a request first is said by `required` and by scenarios, see [`held`](super::held).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use super::{Agent, book::Change, pauses, record::Record};
use crate::{
    audit::{
        event::{Actor, Event, EventType},
        sinks::SinkStatus,
    },
    ceremony::Stage,
    protocol::{Problem, evidence::Lapse},
    trust::Timestamp,
};

/// Where it is remembered which sinks lag.
const ROW: &str = "evidence";
/// How long a sink may take over an event, where somebody asks for something at this moment.
const AT_ONCE: Duration = Duration::from_secs(3);

type Row = BTreeMap<String, Standing>;

/// A sink that lags, as the record says it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Standing {
    /// Number of the event that says so: it has caught up when it holds this one.
    seq: u64,
    since: Timestamp,
    why: String,
}

/// What is known of the sinks.
#[derive(Default)]
pub(super) struct Evidence {
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    standing: Row,
    /// The event at which each sink stands that lacks some, and since when it stands there.
    stands: BTreeMap<String, (u64, Instant)>,
    /// The sinks that were said to be ahead of the store.
    ahead: BTreeSet<String>,
}

/// A sink that lags.
struct Lagging {
    sink: String,
    since: Timestamp,
    behind: u64,
    why: String,
}

impl Evidence {
    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One line for each sink that lags.
    pub(super) fn lines(&self) -> Vec<String> {
        let seen = self.lock();
        let standing = seen.standing.iter();
        standing
            .map(|(sink, s)| lapse(sink, s).in_words())
            .collect()
    }

    /// Whether an epoch was begun since the start because this sink was ahead of the store.
    pub(super) fn was_ahead(&self, sink: &str) -> bool {
        self.lock().ahead.contains(sink)
    }

    /// Such an epoch has begun.
    pub(super) fn note_ahead(&self, sink: String) {
        self.lock().ahead.insert(sink);
    }

    /// Whether this sink is known to lag.
    pub(super) fn lags(&self, sink: &str) -> bool {
        self.lock().standing.contains_key(sink)
    }
}

impl Seen {
    /// Whether a sink lags for longer than `bound`, or fails at all where somebody has `asked`.
    fn judge(&mut self, sink: &SinkStatus, bound: Duration, asked: bool) -> Option<Lagging> {
        let now = Instant::now();
        let stood = match self.stands.get(&sink.name) {
            Some((at, since)) if sink.lag > 0 && *at == sink.acknowledged => {
                now.saturating_duration_since(*since)
            }
            _ => {
                self.stands
                    .insert(sink.name.clone(), (sink.acknowledged, now));
                Duration::ZERO
            }
        };
        let failing = sink.failing_for.unwrap_or_default();
        let bound = if asked { bound.min(AT_ONCE) } else { bound };
        let lags = stood >= bound || failing >= bound || (asked && sink.error.is_some());
        let why = match &sink.error {
            Some(error) => error.to_string(),
            None => "it does not acknowledge".to_owned(),
        };
        lags.then(|| Lagging {
            sink: sink.name.clone(),
            since: Timestamp::now().plus(-whole(stood.max(failing))),
            behind: sink.lag,
            why,
        })
    }

    /// The sinks that lagged and have caught up, or are not there any more.
    fn ended(&self, sinks: &[SinkStatus]) -> Vec<String> {
        let over = |(name, standing): (&String, &Standing)| {
            let sink = sinks.iter().find(|s| s.name == *name);
            sink.is_none_or(|s| s.error.is_none() && s.acknowledged >= standing.seq)
                .then(|| name.clone())
        };
        self.standing.iter().filter_map(over).collect()
    }
}

impl Agent {
    /// Looks after the sinks for ever.
    pub(super) async fn keep_evidence(self: Arc<Self>) {
        loop {
            let looked = match self.take_up_ahead().await {
                Ok(()) => self.look_at_evidence(None).await,
                Err(problem) => Err(problem),
            };
            self.alarms
                .set("looking after the sinks", looked.as_ref().err());
            let lags = !self.evidence.lock().standing.is_empty();
            let pause = match lags {
                true => pauses::OFTEN,
                false => pauses::of_sinks(self.config.care.degraded),
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Takes up what lagged before the agent was started.
    pub(super) async fn remember_evidence(self: &Arc<Self>) -> Result<(), Problem> {
        let row: Row = self.book.setting(ROW).await?;
        self.evidence.lock().standing = row;
        Ok(())
    }

    /// Looks once; what begins or ends to lag goes on record. `asked` is a request that was just made: whatever lags at this moment is said of
    /// it.
    pub(super) async fn look_at_evidence(
        self: &Arc<Self>,
        asked: Option<&str>,
    ) -> Result<(), Problem> {
        let sinks = super::handlers::sinks(self).await?;
        let bound = self.config.care.degraded;
        let (lagging, ended) = {
            let mut seen = self.evidence.lock();
            let judged = sinks.iter().filter_map(|s| {
                seen.judge(s, bound, asked.is_some())
                    .filter(|l| asked.is_some() || !seen.standing.contains_key(&l.sink))
            });
            let lagging: Vec<Lagging> = judged.collect();
            let mut ended = seen.ended(&sinks);
            ended.retain(|name| !lagging.iter().any(|l| l.sink == *name));
            (lagging, ended)
        };
        if lagging.is_empty() && ended.is_empty() {
            return Ok(());
        }
        let asked = asked.map(str::to_owned);
        let row = self
            .book
            .commit(move |change| record(change, &lagging, &ended, asked.as_deref()))
            .await?;
        self.evidence.lock().standing = row;
        Ok(())
    }
}

/// The events, and whom they concern; the row as it stands then.
fn record(
    change: &mut Change<'_, '_>,
    lagging: &[Lagging],
    ended: &[String],
    asked: Option<&str>,
) -> Result<Row, Problem> {
    let mut row: Row = change.setting(ROW)?;
    let requests = change.requests()?;
    let mut concerned: BTreeMap<String, Record> = BTreeMap::new();
    for lag in lagging {
        let known = row.contains_key(&lag.sink);
        if known && asked.is_none() {
            continue;
        }
        let event = match requests.iter().find(|r| asked == Some(r.id())) {
            Some(request) => {
                request.event(EventType::DegradedEvidence, Actor::agent(), change.place)
            }
            None => {
                Event::new(EventType::DegradedEvidence, Actor::agent()).place(change.place.clone())
            }
        };
        let event = event
            .detail("sink", lag.sink.as_str())
            .detail("why", lag.why.as_str())
            .detail("since", lag.since.to_string())
            .detail("behind", lag.behind);
        let seq = change.event(&event)?.seq;
        let standing = row.entry(lag.sink.clone()).or_insert_with(|| Standing {
            seq,
            since: lag.since,
            why: lag.why.clone(),
        });
        let begun = lapse(&lag.sink, standing);
        for request in &requests {
            let runs = matches!(
                request.stage,
                Stage::Requested | Stage::Approved | Stage::Open | Stage::Closing
            );
            if runs && (!known || asked == Some(request.id())) {
                let request = concerned
                    .entry(request.id().to_owned())
                    .or_insert_with(|| request.clone());
                if !request.evidence.iter().any(|l| l.is_of(&lag.sink)) {
                    request.evidence.push(begun.clone());
                }
            }
        }
    }
    for sink in ended {
        let Some(standing) = row.remove(sink) else {
            continue;
        };
        let event = Event::new(EventType::EvidenceRestored, Actor::agent())
            .place(change.place.clone())
            .detail("sink", sink.as_str())
            .detail("since", standing.since.to_string());
        change.event(&event)?;
        for request in &requests {
            if request.evidence.iter().any(|l| l.is_of(sink)) {
                let request = concerned
                    .entry(request.id().to_owned())
                    .or_insert_with(|| request.clone());
                let now = change.now();
                let lapses = request.evidence.iter_mut().filter(|l| l.is_of(sink));
                lapses.for_each(|l| l.restored = Some(now));
            }
        }
    }
    for request in concerned.into_values() {
        change.put(request)?;
    }
    change.put_setting(ROW, &row)?;
    Ok(row)
}

fn lapse(sink: &str, standing: &Standing) -> Lapse {
    Lapse {
        sink: sink.to_owned(),
        since: standing.since,
        why: standing.why.clone(),
        restored: None,
    }
}

fn whole(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::sinks::SinkError;

    const BOUND: Duration = Duration::from_secs(60);

    fn sink(acknowledged: u64, lag: u64) -> SinkStatus {
        SinkStatus {
            name: "siem".to_owned(),
            required: false,
            group: None,
            acknowledged,
            lag,
            oldest: None,
            failing_for: None,
            error: None,
            complaint: None,
            flaws: Vec::new(),
        }
    }

    fn failing(seconds: u64) -> SinkStatus {
        SinkStatus {
            failing_for: Some(Duration::from_secs(seconds)),
            error: Some(SinkError::Unavailable("no route".to_owned())),
            ..sink(5, 1)
        }
    }

    /// The sink stood at event 5 so many seconds ago.
    fn stood(seconds: u64) -> Seen {
        let since = Instant::now() - Duration::from_secs(seconds);
        let mut seen = Seen::default();
        seen.stands.insert("siem".to_owned(), (5, since));
        seen
    }

    #[test]
    fn a_sink_lags_that_stands_or_fails_for_too_long_and_sooner_where_somebody_asks() {
        for (what, mut seen, sink, asked, lags) in [
            ("it stands", stood(61), sink(5, 1), false, true),
            ("not for long", stood(59), sink(5, 1), false, false),
            ("it lacks nothing", stood(61), sink(5, 0), false, false),
            ("it has moved", stood(61), sink(6, 1), false, false),
            ("it fails", stood(0), failing(60), false, true),
            ("not for long", stood(0), failing(59), false, false),
            ("somebody asks", stood(4), sink(5, 1), true, true),
            ("just now", stood(1), sink(5, 1), true, false),
            ("it fails now", stood(0), failing(0), true, true),
        ] {
            let judged = seen.judge(&sink, BOUND, asked).is_some();
            assert_eq!(judged, lags, "{what}");
        }
    }

    #[test]
    fn a_sink_lags_no_more_once_it_works_and_holds_what_says_so_or_is_gone() {
        let mut seen = Seen::default();
        let standing = Standing {
            seq: 7,
            since: Timestamp::now(),
            why: "no route".to_owned(),
        };
        seen.standing.insert("siem".to_owned(), standing);
        let fails = SinkStatus {
            error: failing(1).error,
            ..sink(7, 0)
        };
        for (sinks, over) in [
            (vec![sink(6, 1)], false),
            (vec![sink(7, 2)], true),
            (vec![fails], false),
            (vec![], true),
        ] {
            assert_eq!(!seen.ended(&sinks).is_empty(), over, "{sinks:?}");
        }
    }
}
