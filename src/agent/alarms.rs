//! What does not work as it should, in plain words: the `degraded` lines of the status.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use crate::protocol::Problem;

/// Standing alarms by what they are about; each goes away with its cause.
#[derive(Default)]
pub(super) struct Alarms {
    standing: Mutex<BTreeMap<String, Problem>>,
}

impl Alarms {
    /// Raises or clears the alarm about `what`.
    pub(super) fn set(&self, what: &str, problem: Option<&Problem>) {
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        match problem {
            Some(problem) => {
                if standing.get(what) != Some(problem) {
                    super::log(&format!("{what}: {problem}"));
                }
                standing.insert(what.to_owned(), problem.clone());
            }
            None => {
                standing.remove(what);
            }
        }
    }

    /// The alarm about a vault's worker.
    pub(super) fn vault(&self, vault: &str, problem: Option<&Problem>) {
        self.set(&format!("vault {vault}"), problem);
    }

    /// Whether there is an alarm about `what`.
    pub(super) fn is_set(&self, what: &str) -> bool {
        let standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        standing.contains_key(what)
    }

    /// Why a vault is not served now.
    pub(super) fn of_vault(&self, vault: &str) -> Option<Problem> {
        let standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        standing.get(&format!("vault {vault}")).cloned()
    }

    /// One line each.
    pub(super) fn lines(&self) -> Vec<String> {
        let standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        standing
            .iter()
            .map(|(what, problem)| format!("{what}: {problem}"))
            .collect()
    }
}
