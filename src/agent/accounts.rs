//! Which accounts of this host are nobody's own, by its user database. What the roster says about them does not help: two people behind one
//! number cannot be told apart.

use std::{
    collections::BTreeMap,
    fs::{self, Metadata},
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use serde::Deserialize;

use super::Agent;
use crate::{
    ceremony::accounts::{Shared, shared},
    protocol::{Code, Problem},
    trust::roster::Roster,
};

/// The name of the alarm about a user database that cannot be read.
const ALARM: &str = "accounts";

/// `[accounts]` of `agent.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AccountsTable {
    /// The host's user database, `passwd(5)`.
    pub(super) passwd: PathBuf,
    /// Names that several people log in to, besides those that are known everywhere.
    pub(super) shared: Vec<String>,
}

impl Default for AccountsTable {
    fn default() -> Self {
        Self {
            passwd: "/etc/passwd".into(),
            shared: Vec::new(),
        }
    }
}

/// The shared accounts of this host; read again when the file has changed.
#[derive(Default)]
pub(super) struct Accounts {
    read: Mutex<Option<(Stamp, BTreeMap<u32, Shared>)>>,
}

/// What tells one state of a file from the next: the file, its size, and when it was changed.
type Stamp = (u64, u64, i64, i64);

fn stamp(of: &Metadata) -> Stamp {
    (of.ino(), of.size(), of.mtime(), of.mtime_nsec())
}

impl Agent {
    /// Refuses an account that nobody can answer for.
    pub(super) fn one_persons(&self, uid: u32) -> Result<(), Problem> {
        match self.with_shared(|shared| shared.get(&uid).cloned()) {
            Some(Some(shared)) => Err(Problem::new(
                Code::Refused,
                format!("account {uid} is not one person's: {shared}"),
            )
            .hint("log in under an account of your own, and have the custodians list that one")),
            _ => Ok(()),
        }
    }

    /// One line for each account of this host that the roster gives to a person, and that cannot be one person's.
    pub(super) fn shared_accounts(
        &self,
        roster: &Roster,
        host: crate::trust::KeyId,
    ) -> Vec<String> {
        let lines = self.with_shared(|shared| {
            let accounts = roster.people.iter().flat_map(|person| {
                let here = person.accounts.iter().filter(|a| a.host == host);
                here.map(move |account| (person, account.uid))
            });
            accounts
                .filter_map(|(person, uid)| {
                    let why = shared.get(&uid)?;
                    Some(format!(
                        "vault {}: account {uid} of {} is refused: {why}",
                        roster.vault, person.name
                    ))
                })
                .collect()
        });
        lines.unwrap_or_default()
    }

    /// Looks at the shared accounts as the file has them now; `None` where it cannot be read, which raises an alarm and locks nobody out.
    fn with_shared<T>(&self, look: impl FnOnce(&BTreeMap<u32, Shared>) -> T) -> Option<T> {
        let table = &self.config.accounts;
        let mut read = self
            .accounts
            .read
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let fresh = fs::metadata(&table.passwd).and_then(|now| {
            let now = stamp(&now);
            if read.as_ref().is_none_or(|(then, _)| *then != now) {
                // A name that is no UTF-8 is nobody's in a roster, and its number counts all the same.
                let text = fs::read(&table.passwd)?;
                let found = shared(&String::from_utf8_lossy(&text), &table.shared);
                *read = Some((now, found));
                self.alarms.set(ALARM, None);
            }
            Ok(())
        });
        if let Err(why) = fresh {
            *read = None;
            let what = format!(
                "{} cannot be read, so shared accounts are not found: {why}",
                table.passwd.display()
            );
            self.alarms
                .set(ALARM, Some(&Problem::new(Code::Internal, what)));
        }
        read.as_ref().map(|(_, found)| look(found))
    }
}
