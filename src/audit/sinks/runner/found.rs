//! What sinks found wrong with what their receivers hold, until somebody has looked at it: it stands in the store beside the sink's cursor, so that it
//! outlives the process that found it.

use serde::{Deserialize, Serialize};

use super::super::Flaw;
use crate::audit::store::{Store, StoreError, Table, Tx};

/// What was left by an agent that is no more has this before its id: what is found now does not take its place. No sink's name has a colon.
const BEFORE: &str = "before:";

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

    /// What an earlier start has left is kept beside what this one finds.
    pub(super) fn keep_older(store: &Store) -> Result<(), StoreError> {
        let left = |id: &str| !id.starts_with(BEFORE);
        if !store.records(Table::Flaw)?.iter().any(|(id, _)| left(id)) {
            return Ok(());
        }
        store.commit(|tx| {
            for (id, row) in tx.records(Table::Flaw)? {
                if left(&id) {
                    tx.remove(Table::Flaw, &id)?;
                    tx.put_record(Table::Flaw, &format!("{BEFORE}{id}"), &row)?;
                }
            }
            Ok(())
        })
    }

    /// Whether there are any that were not looked at.
    pub fn any(store: &Store) -> Result<bool, StoreError> {
        Ok(!store.records(Table::Flaw)?.is_empty())
    }

    /// Takes out all that were not looked at, what an earlier start has left first.
    pub fn take(tx: &mut Tx<'_>) -> Result<Vec<Self>, StoreError> {
        let mut rows: Vec<(String, Self)> = tx.records_as(Table::Flaw)?;
        rows.sort_by_key(|(id, _)| !id.starts_with(BEFORE));
        let mut all = Vec::with_capacity(rows.len());
        for (id, found) in rows {
            tx.remove(Table::Flaw, &id)?;
            all.push(found);
        }
        Ok(all)
    }
}
