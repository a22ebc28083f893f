//! What a sink says although it works goes on record: that it passed over an event which its receiver will never take, that a receiver holds
//! another history, or had lost what it held.
//!
//! Once for each sink and start of the agent, and not again what was said before: a sink that passes over the very event which tells of it
//! would otherwise be told of for ever. Whatever it says now stands in the status.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use super::Agent;
use crate::{
    audit::{
        event::{Actor, Event, EventType},
        sinks::SinkStatus,
    },
    protocol::Problem,
};

/// Where it is remembered what was told of which sink.
const ROW: &str = "flaws";
/// How often is looked.
const OFTEN: Duration = Duration::from_secs(1);
const SELDOM: Duration = Duration::from_secs(10);

/// Sink and words.
type Row = BTreeMap<String, String>;

impl Agent {
    /// Looks at what the sinks say, for ever.
    pub(super) async fn keep_flaws(self: Arc<Self>) {
        let mut told = BTreeSet::new();
        let pause = (self.config.care.degraded / 2).clamp(OFTEN, SELDOM);
        loop {
            let looked = self.look_at_flaws(&mut told).await;
            self.alarms.set("what the sinks say", looked.as_ref().err());
            tokio::time::sleep(pause).await;
        }
    }

    async fn look_at_flaws(self: &Arc<Self>, told: &mut BTreeSet<String>) -> Result<(), Problem> {
        let sinks = super::handlers::sinks(self).await?;
        let flaws = untold(sinks, told);
        if flaws.is_empty() {
            return Ok(());
        }
        let names: Vec<String> = flaws.keys().cloned().collect();
        self.book
            .commit(move |change| {
                let mut row: Row = change.setting(ROW)?;
                for (sink, why) in &flaws {
                    if row.get(sink) == Some(why) {
                        continue;
                    }
                    let event = Event::new(EventType::EvidenceFlawed, Actor::agent())
                        .place(change.place.clone())
                        .detail("sink", sink.as_str())
                        .detail("why", why.as_str());
                    change.event(&event)?;
                    row.insert(sink.clone(), why.clone());
                }
                change.put_setting(ROW, &row)
            })
            .await?;
        told.extend(names);
        Ok(())
    }
}

/// What is said by sinks of which nothing was told since the start.
fn untold(sinks: Vec<SinkStatus>, told: &BTreeSet<String>) -> Row {
    sinks
        .into_iter()
        .filter(|sink| !told.contains(&sink.name))
        .filter_map(|sink| Some((sink.name, sink.complaint?)))
        .collect()
}
