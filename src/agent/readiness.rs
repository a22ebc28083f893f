//! What a vault's proofs come to: the status's lines, and an event each time that a cause to worry begins or ends.

use std::sync::Arc;

use super::{
    Agent,
    book::{Book, Change},
    proofs::{Kind, Proof, Proofs},
    record::{VaultRow, isolated},
    vaults::Known,
};
use crate::{
    audit::event::{Actor, Event, EventType},
    ceremony::readiness::{
        Cause, Custodian, Facts, Limits, Shown, causes, spare, survives_loss_of_one,
    },
    protocol::{
        Problem,
        readiness::{CustodianProof, Readiness, SheetProof},
    },
    trust::{Timestamp, roster::Roster},
};

const FULL: &str = "full drill";

/// What readiness is about beyond the proofs: whether anything is sealed yet, and under which roster.
pub(super) struct Subject<'k> {
    pub(super) vault: &'k str,
    pub(super) roster: &'k Roster,
    pub(super) sealed: bool,
}

impl<'k> Subject<'k> {
    /// Of a vault.
    pub(super) fn of(known: &'k Known) -> Self {
        Self {
            vault: &known.vault,
            roster: &known.roster,
            sealed: known.manifest.is_some(),
        }
    }

    /// Fingerprint of the set that the roster names.
    fn set(&self) -> Option<String> {
        let recovery = self.roster.recovery.as_ref()?;
        Some(recovery.fingerprint())
    }

    /// The names under which the proofs say since when something could have been shown.
    fn clocks(&self) -> Vec<String> {
        let tokens = self.roster.tokens.iter();
        let mut clocks: Vec<String> = tokens.map(|t| t.approve.key.id().to_string()).collect();
        clocks.push(FULL.to_owned());
        clocks.extend(self.set());
        clocks
    }

    /// The newest proof of one custodian by a token that still counts.
    fn proof<'p>(&self, name: &str, proofs: &'p Proofs) -> Option<&'p Proof> {
        let tokens = self.roster.tokens_of(name);
        let proven = tokens.filter_map(|t| proofs.tokens.get(&t.approve.key.id()));
        proven.max_by_key(|proof| proof.at)
    }

    fn facts(&self, proofs: &Proofs, now: Timestamp) -> Facts {
        let since = |clock: &str| proofs.since.get(clock).copied().unwrap_or(now);
        let custodians = self.roster.custodians().map(|person| {
            let tokens = self.roster.tokens_of(&person.name);
            let known = tokens.map(|t| since(&t.approve.key.id().to_string())).min();
            Custodian {
                name: person.name.clone(),
                opens: Shown {
                    since: known.unwrap_or(now),
                    last: self.proof(&person.name, proofs).map(|proof| proof.at),
                },
                failed: proofs.failed.get(&person.name).map(|(_, at)| *at),
            }
        });
        Facts {
            custodians: custodians.collect(),
            full_drill: Shown {
                since: since(FULL),
                last: proofs.full.last().map(|drill| drill.at),
            },
            sheets: self.set().map(|set| Shown {
                since: since(&set),
                last: self.sheets(&set, proofs).last,
            }),
        }
    }

    fn sheets(&self, set: &str, proofs: &Proofs) -> Read {
        let read = (proofs.sheets.set == set).then_some(&proofs.sheets.read);
        Read {
            last: read.and_then(|read| read.values().max().copied()),
            sheets: read.map_or(0, |read| read.len()),
        }
    }

    fn causes(&self, proofs: &Proofs, limits: &Limits, now: Timestamp) -> Vec<Cause> {
        match self.sealed {
            true => causes(&self.facts(proofs, now), limits, now),
            // There is nothing yet that could be shown.
            false => Vec::new(),
        }
    }

    /// As everybody listed may see it.
    pub(super) fn view(&self, proofs: &Proofs, limits: &Limits, now: Timestamp) -> Readiness {
        let facts = self.facts(proofs, now);
        let custodians = facts.custodians.iter().map(|custodian| {
            let proof = self.proof(&custodian.name, proofs);
            let by = |proof: &Proof| match proof.kind {
                Kind::Drill => "drill".to_owned(),
                Kind::Approval => "approval".to_owned(),
            };
            CustodianProof {
                name: custodian.name.clone(),
                at: proof.map(|p| p.at),
                by: proof.map(by),
                serial: proof.map(|p| p.serial),
                failed: proofs.failed.get(&custodian.name).copied(),
                stale: self.sealed && custodian.opens.is_stale(limits.drill, now),
            }
        });
        let sheets = self.set().zip(facts.sheets).map(|(set, shown)| SheetProof {
            at: shown.last,
            sheets: self.sheets(&set, proofs).sheets,
            stale: self.sealed && shown.is_stale(limits.sheet, now),
            set,
        });
        Readiness {
            custodians: custodians.collect(),
            spare: spare(self.roster),
            survives_loss_of_one: survives_loss_of_one(self.roster),
            hosts: self.roster.hosts.len(),
            sheets,
            full_drills: proofs.full.clone(),
            degraded: self
                .causes(proofs, limits, now)
                .into_iter()
                .map(|cause| cause.why)
                .collect(),
        }
    }
}

struct Read {
    last: Option<Timestamp>,
    sheets: usize,
}

impl Agent {
    /// Looks at every vault's proofs; what begins or ends to be a cause goes on record.
    pub(super) async fn look_at_readiness(self: &Arc<Self>, now: Timestamp) {
        for known in self.vaults.all(self) {
            let looked = look(&self.book, &known, self.config.readiness, now).await;
            self.alarms.set(
                &format!("readiness of vault {}", known.vault),
                looked.as_ref().err(),
            );
        }
    }
}

/// One vault. Most of the time nothing begins or ends, and then nothing is written.
async fn look(
    book: &Arc<Book>,
    known: &Arc<Known>,
    limits: Limits,
    now: Timestamp,
) -> Result<(), Problem> {
    let row = book.vault(&known.vault).await?;
    let mut after = row.clone();
    if settle(&mut after, &Subject::of(known), &limits, now).is_empty() && after == row {
        return Ok(());
    }
    let known = Arc::clone(known);
    book.commit(move |change| record(change, &Subject::of(&known), &limits, now))
        .await
}

/// The same inside a transaction, where the row may have changed since.
pub(super) fn record(
    change: &mut Change<'_, '_>,
    subject: &Subject<'_>,
    limits: &Limits,
    now: Timestamp,
) -> Result<(), Problem> {
    let mut row = change.vault(subject.vault)?;
    for turn in settle(&mut row, subject, limits, now) {
        let (kind, cause, why) = match &turn {
            Turn::Begins(cause) => (EventType::ReadinessDegraded, &cause.name, Some(&cause.why)),
            Turn::Ends(name) => (EventType::ReadinessRestored, name, None),
        };
        let event = Event::new(kind, Actor::agent())
            .place(change.place.clone())
            .detail("vault", subject.vault)
            .detail("cause", cause.as_str())
            .detail("why", why.map(String::as_str));
        let event = match row.isolation {
            Some(isolation) => isolated(event, isolation),
            None => event,
        };
        change.event(&event)?;
    }
    change.put_vault(subject.vault, &row)
}

/// What begins or ends.
#[derive(Debug, PartialEq, Eq)]
enum Turn {
    Begins(Cause),
    Ends(String),
}

/// Starts the clocks of what is new, stops those of what is gone, and says what begins and what ends.
fn settle(row: &mut VaultRow, subject: &Subject<'_>, limits: &Limits, now: Timestamp) -> Vec<Turn> {
    let proofs = &mut row.proofs;
    if !subject.sealed {
        return Vec::new();
    }
    let clocks = subject.clocks();
    proofs.since.retain(|clock, _| clocks.contains(clock));
    for clock in clocks {
        proofs.since.entry(clock).or_insert(now);
    }
    let custodian = |name: &str| subject.roster.custodians().any(|p| p.name == name);
    proofs.failed.retain(|name, _| custodian(name));

    let causes = subject.causes(proofs, limits, now);
    let mut turns = Vec::new();
    let over = |name: &String| !causes.iter().any(|cause| cause.name == *name);
    let ended: Vec<String> = proofs.raised.keys().filter(|n| over(n)).cloned().collect();
    for name in ended {
        proofs.raised.remove(&name);
        turns.push(Turn::Ends(name));
    }
    for cause in causes {
        if !proofs.raised.contains_key(&cause.name) {
            proofs.raised.insert(cause.name.clone(), now);
            turns.push(Turn::Begins(cause));
        }
    }
    turns
}

#[cfg(test)]
mod tests;
