//! What is asked of the running sinks: how they do, what they lack, what they have too much.

use std::time::Duration;

use time::OffsetDateTime;

use super::super::{Flaw, Options, SinkError};
use super::{Runner, Sinks, lock};
use crate::audit::chain::Head;
use crate::audit::event::Record;
use crate::audit::store::{Store, StoreError};

/// How a sink is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkStatus {
    /// The sink's name.
    pub name: String,
    /// Whether custodians are asked only once it holds the request.
    pub required: bool,
    /// Of required sinks with one group any one suffices.
    pub group: Option<String>,
    /// The last event that it holds for certain, or need not hold.
    pub acknowledged: u64,
    /// Events that it does not hold yet.
    pub lag: u64,
    /// The timestamp of the oldest of them, as it stands in its line.
    pub oldest: Option<String>,
    /// How long it has been failing; `None` while it works.
    pub failing_for: Option<Duration>,
    /// The last failure.
    pub error: Option<SinkError>,
    /// What people have to know although it works.
    pub complaint: Option<String>,
    /// Of that, what is wrong with what its receiver holds.
    pub flaws: Vec<Flaw>,
}

/// Something that is required of the sinks and not met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lacking {
    /// The sink, or all of a group of which one would do.
    pub sinks: Vec<String>,
    /// Their group.
    pub group: Option<String>,
    /// Why none of them holds the event.
    pub why: String,
}

/// A sink that holds what the store does not have: the store was put back to an earlier state, or one of the two was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ahead {
    /// The sink.
    pub sink: String,
    /// What it holds.
    pub held: Head,
    /// When that was written, as it says itself.
    pub at: Option<OffsetDateTime>,
    /// An event that both have, as far as the store remembers.
    pub agreed: Head,
    /// The newest checkpoint in what it holds, as a note.
    pub note: Option<String>,
}

impl Sinks {
    /// How each sink is doing.
    pub fn status(&self) -> Result<Vec<SinkStatus>, StoreError> {
        let head = self.store.head()?;
        let now = self.pace.now();
        let status = |runner: &Runner| {
            let (acknowledged, failure, complaint, flaws) = {
                let state = lock(&runner.state);
                (
                    state.acknowledged,
                    state.failure(now),
                    state.complaint.clone(),
                    state.flaws.clone(),
                )
            };
            let oldest = match acknowledged < head.seq {
                true => timestamp_of(&self.store, acknowledged + 1)?,
                false => None,
            };
            let (since, error) = failure.unzip();
            Ok(SinkStatus {
                name: runner.name.clone(),
                required: runner.options.required,
                group: runner.options.group.clone(),
                acknowledged,
                lag: head.seq.saturating_sub(acknowledged),
                oldest,
                failing_for: since.map(|since| now.saturating_duration_since(since)),
                error,
                complaint,
                flaws,
            })
        };
        self.runners.iter().map(status).collect()
    }

    /// How one sink is doing now, without a look into the store: the last event that it holds for certain, and why it takes up no more. `None`
    /// where there is no such sink.
    pub fn held_by(&self, name: &str) -> Option<(u64, Option<SinkError>)> {
        let runner = self.runners.iter().find(|r| r.name == name)?;
        let state = lock(&runner.state);
        let error = state.failure(self.pace.now()).map(|(_, error)| error);
        Some((state.acknowledged, error))
    }

    /// The sinks that hold what the store does not have, which no epoch says was lost.
    pub fn ahead(&self) -> Vec<Ahead> {
        let ahead = |runner: &Runner| lock(&runner.state).ahead.clone();
        self.runners.iter().filter_map(ahead).collect()
    }

    /// The options of one sink; `None` where there is no such sink.
    pub fn options(&self, name: &str) -> Option<&Options> {
        let runner = self.runners.iter().find(|r| r.name == name)?;
        Some(&runner.options)
    }

    /// What is required of the sinks (`required`, `group`) and is not met at event `seq`; empty where all is. Does not wait.
    pub fn lacking(&self, seq: u64) -> Vec<Lacking> {
        let mut lacking: Vec<Lacking> = Vec::new();
        let mut met: Vec<&str> = Vec::new();
        for runner in self.runners.iter().filter(|r| r.options.required) {
            let group = runner.options.group.as_deref();
            let why = match self.held_by(&runner.name) {
                Some((held, _)) if held >= seq => {
                    met.extend(group);
                    continue;
                }
                Some((_, Some(error))) => error.to_string(),
                _ => "it does not answer".to_owned(),
            };
            let same = |l: &&mut Lacking| group.is_some() && l.group.as_deref() == group;
            match lacking.iter_mut().find(same) {
                Some(found) => {
                    found.why = format!("{}; {}: {why}", found.why, runner.name);
                    found.sinks.push(runner.name.clone());
                }
                None => lacking.push(Lacking {
                    sinks: vec![runner.name.clone()],
                    group: runner.options.group.clone(),
                    why: match group {
                        Some(_) => format!("{}: {why}", runner.name),
                        None => why,
                    },
                }),
            }
        }
        lacking.retain(|l| !l.group.as_deref().is_some_and(|g| met.contains(&g)));
        lacking
    }
}

fn timestamp_of(store: &Store, seq: u64) -> Result<Option<String>, StoreError> {
    let entries = store.events(seq, 1)?;
    let record = entries.first().and_then(|e| Record::parse(&e.line).ok());
    Ok(record.map(|record| record.timestamp))
}
