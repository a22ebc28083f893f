//! What sinks found wrong with what their receivers hold, until somebody has looked at it: it stands in the store beside the sink's cursor, so that it
//! outlives the process that found it.

use serde::{Deserialize, Serialize};

use super::super::Flaw;
use crate::audit::store::{Store, StoreError, Table, Tx};

/// What was left by an agent that is no more has `before:NUMBER:` before its id: what is found now does not take its place, nor does what a later start
/// leaves. No sink's name has a colon.
const BEFORE: &str = "before:";
/// The highest number: from there on what is left takes the place of what was left last. An agent that is started and killed without end does not fill
/// the store.
const LAST: u32 = 99;

/// A sink, and what is wrong with what its receiver holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// The sink's name.
    pub sink: String,
    /// What is wrong there.
    pub flaw: Flaw,
}

impl Found {
    /// The sink, and the kind of flaw: of each there is one at a time.
    pub fn key(&self) -> String {
        format!("{}/{}", self.sink, self.flaw.kind.name())
    }

    /// Puts it where [`take`](Self::take) finds it, in place of an older one that was not looked at.
    pub(super) fn put(tx: &mut Tx<'_>, sink: &str, flaw: &Flaw) -> Result<(), StoreError> {
        let found = Self {
            sink: sink.to_owned(),
            flaw: flaw.clone(),
        };
        tx.put(Table::Flaw, &found.key(), &found)
    }

    /// What earlier starts have left is kept beside what this one finds.
    pub(super) fn keep_older(store: &Store) -> Result<(), StoreError> {
        let newest = |(id, _): &(String, _)| start_of(id).is_none();
        if !store.records(Table::Flaw)?.iter().any(newest) {
            return Ok(());
        }
        store.commit(|tx| {
            let rows = tx.records(Table::Flaw)?;
            let before = rows.iter().filter_map(|(id, _)| start_of(id)).max();
            let number = before.map_or(0, |n| n.saturating_add(1)).min(LAST);
            for (id, row) in rows.iter().filter(|(id, _)| start_of(id).is_none()) {
                tx.remove(Table::Flaw, id)?;
                tx.put_record(Table::Flaw, &format!("{BEFORE}{number}:{id}"), row)?;
            }
            Ok(())
        })
    }

    /// Whether there are any that were not looked at.
    pub fn any(store: &Store) -> Result<bool, StoreError> {
        Ok(!store.records(Table::Flaw)?.is_empty())
    }

    /// Takes out all that were not looked at, what the earliest start has left first.
    pub fn take(tx: &mut Tx<'_>) -> Result<Vec<Self>, StoreError> {
        let mut rows: Vec<(String, Self)> = tx.records_as(Table::Flaw)?;
        rows.sort_by_key(|(id, _)| start_of(id).unwrap_or(u32::MAX));
        let mut all = Vec::with_capacity(rows.len());
        for (id, found) in rows {
            tx.remove(Table::Flaw, &id)?;
            all.push(found);
        }
        Ok(all)
    }
}

/// Which of the starts that are over has left it; nothing where the newest did. One without a number was left before there were any.
fn start_of(id: &str) -> Option<u32> {
    let id = id.strip_prefix(BEFORE)?;
    let number = id
        .split_once(':')
        .and_then(|(number, _)| number.parse().ok());
    Some(number.unwrap_or(0))
}
