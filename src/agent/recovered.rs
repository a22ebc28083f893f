//! Recoveries on record: who opened a vault without an agent, and what is owed for it until key and sheets are new.

use std::{collections::BTreeSet, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{Agent, people::Listed, record::isolated, vaults::Known};
use crate::{
    audit::event::{Event, EventType, Place},
    protocol::{
        Code, Problem,
        socket::{RecoveryRecorded, RecoveryStatus},
    },
    trust::{
        Day, Digest, Envelope, Timestamp, Verified,
        recovery::{How, Record, Took},
        roster::{Recovery, Roster, verify_chain},
    },
};

/// What recoveries have left behind in a vault.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Recovered {
    /// The records that were taken up, by the digest of what was signed.
    records: BTreeSet<Digest>,
    /// The recovery identity that is spent, until a roster names another.
    spent: Option<Spent>,
    /// The newest generation that was opened, until its key is dead.
    opened: Option<Opened>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Spent {
    recipient: String,
    /// When its quorum was brought together.
    since: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Opened {
    generation: u64,
    since: Timestamp,
    /// By what, in words.
    by: String,
}

impl Recovered {
    /// The keys of all generations before this one are dead.
    pub(super) fn keys_died(&mut self, before: u64) {
        self.opened.take_if(|o| o.generation < before);
    }

    /// A roster counts from now on.
    pub(super) fn roster_counts(&mut self, before: Option<&Roster>, now: &Roster, at: Timestamp) {
        let named = now.recovery.as_ref().map(|r| r.recipient.as_str());
        self.spent
            .take_if(|spent| Some(spent.recipient.as_str()) != named);
        let stood = before.and_then(|b| b.recovery.as_ref());
        if now.by.is_some()
            && let Some(stood) = stood
            && Some(stood.recipient.as_str()) == named
        {
            // The sheets that were brought together to sign it are those that open it still.
            self.spend(&stood.recipient, at);
        }
    }

    fn spend(&mut self, recipient: &str, since: Timestamp) {
        self.spent.get_or_insert_with(|| Spent {
            recipient: recipient.to_owned(),
            since,
        });
    }

    fn open(&mut self, generation: u64, since: Timestamp, by: String) {
        let newer = |o: &Opened| o.generation >= generation;
        if !self.opened.as_ref().is_some_and(newer) {
            self.opened = Some(Opened {
                generation,
                since,
                by,
            });
        }
    }

    /// In the place of a rotation that is done: that one more is owed.
    pub(super) fn rotation(&self) -> Option<String> {
        let opened = self.opened.as_ref()?;
        Some(format!(
            "owed: generation {} was opened by {} at {}",
            opened.generation, opened.by, opened.since
        ))
    }

    /// The recovery identity as people see it.
    pub(super) fn status(&self, roster: &Roster, days: u16) -> Option<RecoveryStatus> {
        let recovery = roster.recovery.as_ref()?;
        Some(RecoveryStatus {
            recipient: recovery.recipient.clone(),
            made: recovery.made,
            renew_by: renew_by(recovery, days),
            spent_since: self.spent.as_ref().map(|s| s.since),
        })
    }

    /// What is owed, each with what to do about it.
    pub(super) fn owed(&self, roster: &Roster, days: u16, now: Timestamp) -> Vec<String> {
        let vault = &roster.vault;
        let mut lines = Vec::new();
        if let Some(rotation) = self.rotation() {
            lines.push(format!(
                "vault {vault}: rotation {rotation}, and that key may live; replace it: twotap request {vault} --close-only --incident ID --reason TEXT, \
                 or an officer: twotap vault seal {vault} --from FILE"
            ));
        }
        let Some(recovery) = &roster.recovery else {
            return lines;
        };
        let again = format!(
            "make new ones: twotap recovery create {vault}; then take them up: twotap roster propose {vault} --recovery RECORD"
        );
        if let Some(spent) = &self.spent {
            lines.push(format!(
                "vault {vault}: recovery spent: the sheets of {} were brought together at {}; {again}",
                recovery.made, spent.since
            ));
        } else if renew_by(recovery, days).begins() <= now {
            lines.push(format!(
                "vault {vault}: the recovery sheets are of {} and were to be renewed by {}; {again}",
                recovery.made,
                renew_by(recovery, days)
            ));
        }
        lines
    }
}

/// The day from which new sheets are asked for: after the roster's time, or this host's where that is shorter.
fn renew_by(recovery: &Recovery, days: u16) -> Day {
    let days = days.min(recovery.renew_days());
    Day::from(recovery.made.begins().plus(i64::from(days) * 86_400))
}

impl Agent {
    /// Takes up the record of a recovery: state and event in one transaction; once, however often it is handed in.
    pub(super) async fn record_recovery(
        self: &Arc<Self>,
        vault: &str,
        envelope: Envelope,
        caller: &Listed,
    ) -> Result<RecoveryRecorded, Problem> {
        let known = self.refresh(vault).await?;
        let (record, roster) = checked(&known, &envelope)?;
        let (caller, days) = (caller.clone(), self.config.renew_days);
        self.book
            .commit(move |change| {
                let mut row = change.vault(&known.vault)?;
                let counts = row.counts.map_or(0, |(n, _)| n);
                let again = row.recovered.records.contains(&record.digest());
                if !again {
                    fits(&known, counts, &record)?;
                    let lives = row.rotated <= record.generation;
                    if lives {
                        let by = by_whom(&record, &roster);
                        row.recovered.open(record.generation, record.at, by);
                    }
                    if record.how == How::Paper
                        && let Some(used) = &roster.recovery
                        && known.roster.recovery.as_ref().map(|r| &r.recipient)
                            == Some(&used.recipient)
                    {
                        row.recovered.spend(&used.recipient, record.at);
                    }
                    row.recovered.records.insert(record.digest());
                    let event = event(&record, &roster, &caller, lives, change.place)?;
                    change.event(&isolated(event, known.isolation))?;
                    change.put_vault(&known.vault, &row)?;
                }
                Ok(RecoveryRecorded {
                    again,
                    generation: record.generation,
                    owed: row.recovered.owed(&known.roster, days, change.now()),
                })
            })
            .await
    }
}

/// The record, and the roster under which it holds.
fn checked(
    known: &Known,
    envelope: &Envelope,
) -> Result<(Verified<Record>, Verified<Roster>), Problem> {
    let record: Record = envelope.unverified()?;
    if record.vault != known.vault {
        return Err(Problem::new(
            Code::Usage,
            format!("this record is about vault {}", record.vault),
        )
        .hint(format!(
            "twotap recovery record FILE, where vault {} is",
            record.vault
        )));
    }
    let roster = verify_chain(&known.chain)?
        .into_iter()
        .find(|r| r.digest() == record.roster_sha256)
        .ok_or_else(|| {
            Problem::new(
                Code::Refused,
                format!(
                    "generation {} was sealed under a roster that this host does not know; it knows up to version {}",
                    record.generation, known.roster.version
                ),
            )
            .hint("hand it in on the host that knows it, or once this one has caught up")
        })?;
    Ok((Record::verify(envelope, &roster)?, roster))
}

/// Whether this host can know the generation.
fn fits(known: &Known, counts: u64, record: &Record) -> Result<(), Problem> {
    let newest = known
        .manifest
        .as_ref()
        .map_or(0, |m| m.generation)
        .max(counts);
    if record.generation > newest {
        let here = match newest {
            0 => "nothing is sealed here".to_owned(),
            n => format!("generation {n} is the newest here"),
        };
        return Err(Problem::new(
            Code::Refused,
            format!("the record is about generation {}, and {here}", record.generation),
        )
        .hint("this host is behind: hand it in on the host that sealed that generation, or once this one has caught up"));
    }
    let fork = known
        .manifest
        .as_ref()
        .is_some_and(|m| m.generation == record.generation && m.digest() != record.manifest_sha256);
    if fork {
        return Err(Problem::new(
            Code::Tampering,
            format!(
                "the record is about another generation {} than the one that is sealed here",
                record.generation
            ),
        )
        .hint("two hosts have sealed, or somebody has made up a bundle: tell the security officer, and keep the record"));
    }
    Ok(())
}

fn by_whom(record: &Record, roster: &Roster) -> String {
    match (&record.how, &roster.recovery) {
        (How::Tokens { by }, _) => format!("the tokens of {}", by.join(" and ")),
        (How::Paper, Some(used)) => format!("the recovery shares of {}", used.made),
        (How::Paper, None) => "recovery shares".to_owned(),
    }
}

fn event(
    record: &Verified<Record>,
    roster: &Roster,
    caller: &Listed,
    lives: bool,
    place: &Place,
) -> Result<Event, Problem> {
    let person = super::people::actor(&caller.name)?;
    let (took, until) = match &record.took {
        Took::Credential => ("credential".to_owned(), None),
        Took::Session { role, not_after } => {
            (format!("session in {role}"), Some(not_after.to_string()))
        }
    };
    let keys = match &record.how {
        How::Paper => roster.recovery.iter().map(|r| r.signer.clone()).collect(),
        How::Tokens { .. } => roster.approve_keys(),
    };
    let signers = record.envelope().signers(&keys);
    let signers: Vec<String> = signers.into_iter().map(|k| k.id().to_string()).collect();
    Ok(Event::new(EventType::RecoveryUsed, person)
        .who(caller.who.clone())
        .place(place.clone())
        .detail("vault", record.vault.as_str())
        .detail("generation", record.generation)
        .detail("manifest_sha256", record.manifest_sha256.to_string())
        .detail("roster_sha256", record.roster_sha256.to_string())
        .detail("opened_by", by_whom(record, roster))
        .detail("proven_by", signers)
        .detail("took", took)
        .detail("session_until", until)
        .detail("opened_at", record.at.to_string())
        .detail("rotation_owed", lives)
        .envelope("recovery", record.envelope().to_json()))
}

#[cfg(test)]
mod tests;
