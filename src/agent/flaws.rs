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
        sinks::{FlawKind, Found},
    },
    protocol::Problem,
};

/// Where it is remembered what was told of which sink.
const ROW: &str = "flaws";

/// Of a sink and a kind of flaw, as [`Found::key`] names them, the words that went on record last.
type Row = BTreeMap<String, String>;

/// Of which sinks and kinds of flaws an event was written since the start.
type Told = BTreeSet<String>;

impl Agent {
    /// Looks at what the sinks found, for ever.
    pub(super) async fn keep_flaws(self: Arc<Self>) {
        let mut told = Told::new();
        let pause = pauses::of_sinks(self.config.care.degraded);
        loop {
            let outcome = self.look_at_flaws(&mut told).await;
            self.alarms
                .set("what the sinks say", outcome.as_ref().err());
            tokio::time::sleep(pause).await;
        }
    }

    async fn look_at_flaws(self: &Arc<Self>, told: &mut Told) -> Result<(), Problem> {
        if !self.book.read(Found::any).await? {
            return Ok(());
        }
        let before = told.clone();
        // What is taken out and what goes on record of it are one: an agent that is killed has told of it, or will.
        let recorded = self.book.commit(move |change| {
            let mut row: Row = change.setting(ROW)?;
            let found = change.take_found()?;
            let recorded = tell(&mut row, &before, found);
            for found in &recorded {
                let event = Event::new(EventType::EvidenceFlawed, Actor::agent())
                    .place(change.place.clone())
                    .detail("sink", found.sink.as_str())
                    .detail("why", found.flaw.why.as_str());
                change.event(&event)?;
            }
            change.put_setting(ROW, &row)?;
            Ok(recorded)
        });
        told.extend(recorded.await?.iter().map(Found::key));
        Ok(())
    }
}

/// Those that go on record: not in these words yet, and not of what is told once a start and was. Their words are in the row then.
fn tell(row: &mut Row, told: &Told, found: Vec<Found>) -> Vec<Found> {
    let once =
        |found: &Found| found.flaw.kind == FlawKind::PassedOver && told.contains(&found.key());
    let found = found.into_iter().filter(|found| !once(found));
    let new = |found: &Found| {
        let before = row.insert(found.key(), found.flaw.why.clone());
        before.as_ref() != Some(&found.flaw.why)
    };
    found.filter(new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::sinks::Flaw;

    /// What goes on record when the sinks find these, one look after the other, since a start.
    fn recorded(row: &mut Row, looks: &[&[(FlawKind, &str)]]) -> Vec<String> {
        let mut since = Told::new();
        let mut all = Vec::new();
        for flaws in looks {
            let found = flaws.iter().map(|(kind, why)| Found {
                sink: "siem".to_owned(),
                flaw: Flaw {
                    kind: *kind,
                    why: (*why).to_owned(),
                },
            });
            let told = tell(row, &since, found.collect());
            since.extend(told.iter().map(Found::key));
            all.extend(told.into_iter().map(|found| found.flaw.why));
        }
        all
    }

    #[test]
    fn one_kind_of_flaw_does_not_hide_another() {
        use FlawKind::{HadLost, OtherHistory, PassedOver};
        let mut row = Row::new();
        let looks: [&[(FlawKind, &str)]; 5] = [
            &[],
            &[(OtherHistory, "another")],
            &[(OtherHistory, "another"), (HadLost, "up to 7")],
            &[(OtherHistory, "another"), (HadLost, "up to 9")],
            &[(OtherHistory, "another"), (PassedOver, "event 10")],
        ];
        let told = recorded(&mut row, &looks);
        assert_eq!(told, ["another", "up to 7", "up to 9", "event 10"]);
        // After the next start what stands as before is not told again, and hides nothing either.
        let told = recorded(&mut row, &[looks[1], looks[2]]);
        assert_eq!(told, ["up to 7"]);
    }

    #[test]
    fn what_is_passed_over_is_told_once_a_start() {
        let over = |why| [(FlawKind::PassedOver, why)];
        let mut row = Row::new();
        // The second event may be the one that told of the first.
        let looks = [over("event 5"), over("event 6"), over("event 7")];
        let looks: Vec<&[(FlawKind, &str)]> = looks.iter().map(|s| &s[..]).collect();
        assert_eq!(recorded(&mut row, &looks), ["event 5"]);
        // The same once more is none that is told: the next one is.
        assert_eq!(recorded(&mut row, &looks), ["event 6"]);
        // What an earlier start has left does not hide what this one finds by the first look.
        let both = [over("event 8")[0], over("event 9")[0]];
        assert_eq!(recorded(&mut row, &[&both]), ["event 8", "event 9"]);
    }
}
