//! What happened to the live record while no agent ran.

use std::path::{Path, PathBuf};

use super::Found;
use crate::{
    agent::book,
    audit::{
        event::{EventType, Record},
        live::{Finding, LiveRecord, Written, kept_folders},
        sinks::cursor,
        store::{Store, StoreError, Table},
    },
    protocol::Problem,
};

/// Where it is remembered which folder it was.
const FOLDER: &str = "record folder";
/// The sink that writes it.
const FILE: &str = "file";
/// How many events of the store are read at once.
const BATCH: usize = 256;

/// The live record, from before its sink writes.
pub(in crate::agent) struct Watched {
    pub(in crate::agent) live: LiveRecord,
    /// What happened while no agent ran.
    pub(in crate::agent) found: Vec<Found>,
}

impl Watched {
    /// Looks whether the files are where the sink has left them. A folder that the configuration names anew is none that was left.
    pub(in crate::agent) fn begin(
        store: &Store,
        dir: &Path,
        written: &Written,
    ) -> Result<Self, Problem> {
        let mut live = LiveRecord::new(dir, store, written);
        let looked = || -> Result<(Vec<PathBuf>, Option<Finding>), StoreError> {
            let before: Option<PathBuf> = store.record_as(Table::Setting, FOLDER)?;
            if before.as_deref() == Some(dir) {
                // What cannot be read now is told by the first look.
                let left = live.left_at(cursor(store, FILE)?).unwrap_or_default();
                return Ok((untold(store, dir)?, left));
            }
            store.commit(|tx| tx.put(Table::Setting, FOLDER, dir))?;
            Ok((Vec::new(), None))
        };
        let (untold, left) = looked().map_err(|why| book::problem(&why))?;
        let mut found: Vec<Found> = untold
            .into_iter()
            .map(|kept| Found {
                finding: live.untold(&kept),
                kept: Ok(Some(kept)),
            })
            .collect();
        found.extend(left.map(|finding| Found {
            kept: live.set_aside(&finding),
            finding,
        }));
        Ok(Self { live, found })
    }
}

/// The folders of evidence that no event names: the agent was stopped between moving the files there and saying so.
fn untold(store: &Store, dir: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let mut kept = kept_folders(dir);
    let name = EventType::AuditTampered.name().as_bytes();
    let mut seq = 1;
    while !kept.is_empty() {
        let entries = store.events(seq, BATCH)?;
        let Some(last) = entries.last() else { break };
        seq = last.seq + 1;
        let told = entries
            .iter()
            .filter(|e| e.line.windows(name.len()).any(|w| w == name))
            .filter_map(|e| Record::parse(&e.line).ok());
        for record in told {
            let named = record.what.get("kept").and_then(|k| k.as_str());
            kept.retain(|path| named != path.to_str());
        }
    }
    Ok(kept)
}
