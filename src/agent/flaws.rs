//! What is wrong with what a sink's receiver holds although the sink works goes on record: that it passed over an event which its receiver will
//! never take, that a receiver holds another history, or had lost what it held.
//!
//! Not twice on end in the same words, and of events that a sink passed over one for each start of the agent: a sink that passes over the very
//! event which tells of it would otherwise be told of for ever. Whatever it says now stands in the status.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{Agent, pauses};
use crate::{
    audit::{
        event::{Actor, Event, EventType},
        sinks::{Flaw, FlawKind, SinkStatus},
    },
    protocol::Problem,
};

/// Where it is remembered what was told of which sink.
const ROW: &str = "flaws";

/// Of a sink and a kind of flaw, as [`key`] names them, the words that went on record last.
type Row = BTreeMap<String, String>;

/// What was looked at since the start.
#[derive(Default)]
struct Looked {
    /// The words, of each sink and kind of flaw.
    words: Row,
    /// Which of them an event was written for.
    recorded: BTreeSet<String>,
}

impl Agent {
    /// Looks at what the sinks say, for ever.
    pub(super) async fn keep_flaws(self: Arc<Self>) {
        let mut looked = Looked::default();
        let pause = pauses::of_sinks(self.config.care.degraded);
        loop {
            let outcome = self.look_at_flaws(&mut looked).await;
            self.alarms
                .set("what the sinks say", outcome.as_ref().err());
            tokio::time::sleep(pause).await;
        }
    }

    async fn look_at_flaws(self: &Arc<Self>, looked: &mut Looked) -> Result<(), Problem> {
        let flaws = looked.new_ones(super::handlers::sinks(self).await?);
        if flaws.is_empty() {
            return Ok(());
        }
        let said = flaws.clone();
        let recorded = self.book.commit(move |change| {
            let mut row: Row = change.setting(ROW)?;
            let told = tell(&mut row, &flaws);
            for (sink, flaw) in &told {
                let event = Event::new(EventType::EvidenceFlawed, Actor::agent())
                    .place(change.place.clone())
                    .detail("sink", sink.as_str())
                    .detail("why", flaw.why.as_str());
                change.event(&event)?;
            }
            change.put_setting(ROW, &row)?;
            Ok(told)
        });
        looked.take(said, &recorded.await?);
        Ok(())
    }
}

fn key(sink: &str, kind: FlawKind) -> String {
    format!("{sink}/{}", kind.name())
}

/// A sink's name, and what is wrong with what it sent.
type Found = (String, Flaw);

impl Looked {
    /// What is said now and was not when it was last looked.
    fn new_ones(&self, sinks: Vec<SinkStatus>) -> Vec<Found> {
        let said = sinks.into_iter().flat_map(|sink| {
            let name = sink.name;
            let flaws = sink.flaws.into_iter();
            flaws.map(move |flaw| (name.clone(), flaw))
        });
        said.filter(|(sink, flaw)| {
            let key = key(sink, flaw.kind);
            let once = flaw.kind == FlawKind::PassedOver && self.recorded.contains(&key);
            !once && self.words.get(&key) != Some(&flaw.why)
        })
        .collect()
    }

    /// These were looked at, and of those events were written.
    fn take(&mut self, said: Vec<Found>, recorded: &[Found]) {
        let keys = recorded.iter().map(|(sink, flaw)| key(sink, flaw.kind));
        self.recorded.extend(keys);
        let said = said.into_iter();
        self.words
            .extend(said.map(|(sink, flaw)| (key(&sink, flaw.kind), flaw.why)));
    }
}

/// Those that are not on record in these words, which are in the row then.
fn tell(row: &mut Row, flaws: &[Found]) -> Vec<Found> {
    let mut told = Vec::new();
    for (sink, flaw) in flaws {
        let before = row.insert(key(sink, flaw.kind), flaw.why.clone());
        if before.as_ref() != Some(&flaw.why) {
            told.push((sink.clone(), flaw.clone()));
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sink that works, and what is wrong all the same.
    fn sink(flaws: &[(FlawKind, &str)]) -> SinkStatus {
        let flaw = |(kind, why): &(FlawKind, &str)| Flaw {
            kind: *kind,
            why: (*why).to_owned(),
        };
        SinkStatus {
            name: "siem".to_owned(),
            required: false,
            group: None,
            acknowledged: 3,
            lag: 0,
            oldest: None,
            failing_for: None,
            error: None,
            // Whatever else it says is for the status.
            complaint: Some("so far up to event 3".to_owned()),
            flaws: flaws.iter().map(flaw).collect(),
        }
    }

    /// What goes on record when the sink says these, one after the other, since a start.
    fn recorded(row: &mut Row, says: &[&[(FlawKind, &str)]]) -> Vec<String> {
        let mut looked = Looked::default();
        let mut all = Vec::new();
        for flaws in says {
            let found = looked.new_ones(vec![sink(flaws)]);
            let told = tell(row, &found);
            looked.take(found, &told);
            all.extend(told.into_iter().map(|(_, flaw)| flaw.why));
        }
        all
    }

    #[test]
    fn one_kind_of_flaw_does_not_hide_another() {
        use FlawKind::{HadLost, OtherHistory, PassedOver};
        let mut row = Row::new();
        let says: [&[(FlawKind, &str)]; 5] = [
            &[],
            &[(OtherHistory, "another")],
            &[(OtherHistory, "another"), (HadLost, "up to 7")],
            &[(OtherHistory, "another"), (HadLost, "up to 9")],
            &[(OtherHistory, "another"), (PassedOver, "event 10")],
        ];
        let told = recorded(&mut row, &says);
        assert_eq!(told, ["another", "up to 7", "up to 9", "event 10"]);
        // After the next start what stands as before is not told again, and hides nothing either.
        let told = recorded(&mut row, &[says[1], says[2]]);
        assert_eq!(told, ["up to 7"]);
    }

    #[test]
    fn what_is_passed_over_is_told_once_a_start() {
        let over = |why| [(FlawKind::PassedOver, why)];
        let mut row = Row::new();
        // The second event may be the one that told of the first.
        let says = [over("event 5"), over("event 6"), over("event 7")];
        let says: Vec<&[(FlawKind, &str)]> = says.iter().map(|s| &s[..]).collect();
        assert_eq!(recorded(&mut row, &says), ["event 5"]);
        // The same once more is none that is told: the next one is.
        assert_eq!(recorded(&mut row, &says), ["event 6"]);
    }
}
