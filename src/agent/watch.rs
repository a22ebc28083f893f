//! Watching the sealed keys: a worker looks at each stated gap, and what it finds shows in the status.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    Agent,
    workers::{PROMPT, out_of_turn},
};
use crate::{
    protocol::{
        Problem,
        job::{FromWorker, Job, Watched},
    },
    trust::Timestamp,
};

/// What the last look at each vault came to, in words.
#[derive(Default)]
pub(super) struct Watches {
    seen: Mutex<BTreeMap<String, String>>,
}

impl Watches {
    /// In words; before the first look, that there was none.
    pub(super) fn of(&self, agent: &Agent, vault: &str) -> String {
        if agent.config.watch.is_zero() {
            return "off: agent.toml says so".to_owned();
        }
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let first = || "not looked yet".to_owned();
        seen.get(vault).cloned().unwrap_or_else(first)
    }

    fn set(&self, vault: &str, said: String) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.insert(vault.to_owned(), said);
    }
}

impl Agent {
    /// Looks for ever, at the stated gap.
    pub(super) async fn keep_watch(self: Arc<Self>) {
        if self.config.watch.is_zero() {
            return;
        }
        loop {
            for vault in &self.config.vaults {
                // A vault that is not there yet has nothing to watch; why, shows in the status.
                if self.vault(vault).await.is_ok() {
                    self.look_at_key(vault).await;
                }
            }
            tokio::time::sleep(self.config.watch).await;
        }
    }

    /// Looks once, and says what it saw.
    async fn look_at_key(self: &Arc<Self>, vault: &str) {
        let looked = self.ask_about_key(vault).await;
        let now = Timestamp::now();
        let said = match &looked {
            Ok(Watched::Off) => "off: worker.toml has no [watch]".to_owned(),
            Ok(Watched::Nothing) => format!("nothing is sealed (looked at {now})"),
            Ok(Watched::Quiet { used: None, .. }) => {
                format!("quiet; AWS knows of no use (looked at {now})")
            }
            Ok(Watched::Quiet {
                used: Some(used), ..
            }) => format!("quiet; last used by us at {} (looked at {now})", used.at),
            Ok(Watched::Misused { used, .. }) => format!(
                "USED OUTSIDE A CEREMONY at {}: {} in {} (looked at {now})",
                used.at, used.service, used.region
            ),
            Err(problem) => format!("cannot look: {problem}"),
        };
        self.watches.set(vault, said);
        self.alarms
            .set(&format!("watch of vault {vault}"), looked.as_ref().err());
    }

    async fn ask_about_key(self: &Arc<Self>, vault: &str) -> Result<Watched, Problem> {
        let job = Job::Watch {
            vault: vault.to_owned(),
        };
        let mut link = self.workers.start(&job).await?;
        let mut watched = None;
        loop {
            match link.receive_within(PROMPT * 4).await? {
                FromWorker::Entry(entry) => self.take_entry(vault, entry, &mut link).await?,
                FromWorker::Watched(seen) => watched = Some(seen),
                FromWorker::Done => return watched.ok_or_else(out_of_turn),
                FromWorker::Failed(problem) => return Err(problem),
                _ => return Err(out_of_turn()),
            }
        }
    }
}
