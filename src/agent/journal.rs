//! From a worker's journal to the record: each entry becomes one transaction of event, state and cursor.
//!
//! The journal is the only source of what the record says about a worker's acts, so an entry is taken up in the same way whether the
//! agent was there when it was written or not.

use std::sync::Arc;

use super::{
    Agent,
    book::Change,
    record::{Mint, Record, Rotation, VaultRotation, isolated},
    secrets,
    steps::{details, in_words, step_name},
    workers::{Link, PROMPT, out_of_turn},
};
use crate::{
    audit::event::{Actor, Event, EventType},
    ceremony::Stage,
    protocol::{
        Code, Problem,
        job::{Entry, FromWorker, Job, Step, ToWorker, Whose},
    },
    trust::{
        Envelope, Timestamp,
        receipt::{Outcome, Receipt},
    },
};

/// What became of an entry.
#[derive(Debug, PartialEq, Eq)]
enum Taken {
    /// It stands in the record, now or since before.
    Recorded,
    /// Entries before it are missing.
    Gap,
}

impl Agent {
    /// Takes up an entry that came over `link`, those before it if any are missing, and acknowledges.
    pub(super) async fn take_entry(
        self: &Arc<Self>,
        vault: &str,
        entry: Entry,
        link: &mut Link,
    ) -> Result<(), Problem> {
        let n = entry.n;
        self.waits.over(vault);
        if self.take(vault, entry.clone()).await? == Taken::Gap {
            self.catch_up(vault).await?;
            if self.take(vault, entry).await? == Taken::Gap {
                return Err(hole(vault, n));
            }
        }
        // Who does not listen any more knows it from the journal.
        let _ = link.send(&ToWorker::Recorded { n }).await;
        Ok(())
    }

    /// Takes up all that the worker's journal has and the record has not.
    pub(super) async fn catch_up(self: &Arc<Self>, vault: &str) -> Result<(), Problem> {
        let since = self.book.cursor(vault).await?;
        let job = Job::Journal {
            vault: vault.to_owned(),
            since,
        };
        let mut link = self.workers.start(&job).await?;
        loop {
            match link.expect(PROMPT).await? {
                FromWorker::Entry(entry) => {
                    let n = entry.n;
                    if self.take(vault, entry).await? == Taken::Gap {
                        return Err(hole(vault, n));
                    }
                }
                FromWorker::Done => break,
                _ => return Err(out_of_turn()),
            }
        }
        self.close_unknown(vault).await;
        Ok(())
    }

    async fn take(self: &Arc<Self>, vault: &str, entry: Entry) -> Result<Taken, Problem> {
        let name = vault.to_owned();
        let id = entry.request.clone();
        let taken = self
            .book
            .commit(move |change| {
                let cursor = change.cursor(&name)?;
                if entry.n <= cursor {
                    return Ok(Taken::Recorded);
                }
                if entry.n > cursor + 1 {
                    return Ok(Taken::Gap);
                }
                record(change, &name, &entry)?;
                change.put_cursor(&name, entry.n)?;
                Ok(Taken::Recorded)
            })
            .await?;
        if let Some(record) = id.and_then(|id| self.book.request(&id)) {
            self.after(&record);
        }
        Ok(taken)
    }
}

/// One entry: its event, and what it changes.
fn record(change: &mut Change<'_, '_>, vault: &str, entry: &Entry) -> Result<(), Problem> {
    let mut request = match &entry.request {
        Some(id) => change.request(id)?,
        None => None,
    };
    // The vault's row first: the event of a commit carries the manifest that was kept there since it was written.
    let manifest = vault_row(change, vault, entry)?;

    let event = event_of(change, vault, entry, request.as_ref())?;
    let event = match manifest {
        Some(manifest) => event.envelope("manifest", manifest.to_json()),
        None => event,
    };
    // What was taken back into the record stands there already.
    if entry.n > super::reset::told(change, vault)? {
        change.event(&event)?;
    }

    if let Some(request) = &mut request {
        let before = request.stage;
        advance(request, &entry.step, entry.at, change.now())?;
        if request.stage == Stage::Open && before != Stage::Open {
            super::chains::opened(change, request)?;
        }
        request.note_target(&entry.step, entry.at);
        request.step(entry.at, step_name(&entry.step), in_words(&entry.step));
        if let Step::Secret { secret, did } = &entry.step {
            secrets::paid(change, request, secret, did)?;
        }
        super::rehearsal::take(change, request, entry)?;
    }
    match request {
        Some(request) => change.put(request),
        None => super::unknown::note(change, vault, entry),
    }
}

/// What an entry says about the vault; the manifest that goes with its event.
fn vault_row(
    change: &mut Change<'_, '_>,
    vault: &str,
    entry: &Entry,
) -> Result<Option<Envelope>, Problem> {
    let mut row = change.vault(vault)?;
    let mut manifest = None;
    match &entry.step {
        Step::RotationIntent { .. } => row.rotation = VaultRotation::Running,
        Step::Rotated { receipt } => {
            row.rotation = VaultRotation::Done;
            row.rotated = row.rotated.max(generation_of(receipt));
            row.recovered.keys_died(row.rotated);
        }
        Step::Misused { .. } => row.misused = Some(in_words(&entry.step)),
        Step::RotationPending { why } => row.rotation = VaultRotation::Pending(why.clone()),
        Step::DeletionOwed { .. } => row.rotation = VaultRotation::Pending(in_words(&entry.step)),
        Step::GenerationWritten {
            generation,
            manifest: written,
        } => {
            row.written = Some((*generation, written.clone()));
            manifest = Some(written.clone());
        }
        Step::GenerationCommitted {
            generation,
            manifest_sha256,
            ..
        } => {
            // Whoever has the key before has nothing any more.
            row.misused = None;
            row.counts = Some((*generation, *manifest_sha256));
            manifest = row
                .written
                .take()
                .filter(|(n, m)| n == generation && m.digest() == *manifest_sha256)
                .map(|(_, m)| m);
            if entry.request.is_none() {
                // The key that a human saw is sealed: its rotation follows, or is owed.
                row.rotation = VaultRotation::Running;
            }
        }
        Step::Place(step) => {
            if !super::copies::take(&mut row.copies, step, entry.at) {
                return Ok(None);
            }
        }
        _ => return Ok(None),
    }
    change.put_vault(vault, &row)?;
    Ok(manifest)
}

/// The event that an entry becomes.
fn event_of(
    change: &Change<'_, '_>,
    vault: &str,
    entry: &Entry,
    request: Option<&Record>,
) -> Result<Event, Problem> {
    use EventType as E;
    use Step as S;
    let kind = match &entry.step {
        S::MintIntent { .. } => E::MintIntent,
        S::Minted { .. } => E::BreakGlassAccess,
        S::MintFailed { .. } => E::RequestFailed,
        S::TargetFailed { .. } => E::TargetFailed,
        S::GenerationCommitted { .. } if entry.request.is_none() => E::VaultSealed,
        S::Rotated { .. } => E::CredentialRotated,
        S::RotationPending { .. } | S::DeletionOwed { .. } => E::CredentialRotationPending,
        S::StrayFound {
            whose: Whose::Stranger,
            ..
        } => E::StrangerKeyFound,
        S::Misused { .. } => E::CredentialMisused,
        S::Revoked { .. } => E::SessionRevoked,
        S::Expired { .. } => E::SessionExpired,
        S::Secret { did, .. } => secrets::event_type(did),
        S::RevokeIntent { .. }
        | S::RevokeApplied { .. }
        | S::RefusalObserved { .. }
        | S::NotObserved { .. }
        | S::CloseOnlyIntent { .. }
        | S::CloseOnlyDone { .. }
        | S::ClosePending { .. } => E::RevocationStep,
        S::DrillIntent { .. } | S::Drilled { .. } | S::DrillFailed { .. } => E::DrillStep,
        _ => E::RotationStep,
    };
    let actor = match (&entry.step, request) {
        (S::Minted { .. }, Some(request)) => super::people::actor(&request.request.operator)?,
        _ => Actor::agent(),
    };
    let mut event = match (request, &entry.request) {
        (Some(request), _) => request.event(kind, actor, change.place),
        // A sealing; or the agent's state was lost, and the journal was not.
        (None, id) => {
            let event = Event::new(kind, actor).place(change.place.clone());
            let event = match id {
                Some(id) => event.correlation(id),
                None => event,
            };
            match change.vault(vault)?.isolation {
                Some(isolation) => isolated(event, isolation),
                None => event,
            }
        }
    };
    if matches!(kind, E::RotationStep | E::RevocationStep | E::DrillStep) {
        event = event.action(step_name(&entry.step));
    }
    event = event
        .detail("vault", vault)
        .detail("journal", entry.n)
        .detail("at", entry.at.to_string());
    event = details(change, event, &entry.step);
    if let (S::Minted { .. }, Some(request)) = (&entry.step, request) {
        // Access without its reason is half a line to whoever reads that one alone.
        event = event
            .justification(&request.request.reason)
            .detail("asked_by", request.asked_by.clone());
    }
    if let Some(aws) = &entry.aws {
        let date = aws.date.map(|d| d.to_string());
        event = event.aws_call(
            step_name(&entry.step),
            aws.request_id.as_deref(),
            date.as_deref(),
        );
    }
    Ok(event)
}

/// What an entry changes about its request. The journal tells what happened: an arrow that is missing here stops nothing.
fn advance(
    request: &mut Record,
    step: &Step,
    at: Timestamp,
    now: Timestamp,
) -> Result<(), Problem> {
    match step {
        Step::MintIntent { .. } => {
            request.mint = Mint::Intended;
            if request.stage == Stage::Requested {
                // The quorum's last vote was counted while the agent was away.
                request.advance(Stage::Approved, now)?;
            }
        }
        Step::Minted { .. } => {
            request.mint = Mint::Done;
            if request.stage == Stage::Approved {
                request.advance(Stage::Open, now)?;
            }
        }
        Step::MintFailed { why, .. } => {
            request.mint = Mint::Failed;
            request.outcome = Some(why.clone());
        }
        Step::CloseOnlyIntent { .. } => {
            // No session of its own can come to exist.
            request.mint = Mint::Over;
            if request.stage == Stage::Requested {
                request.advance(Stage::Approved, now)?;
            }
        }
        Step::CloseOnlyDone { .. } => {
            close(request, in_words(step), now)?;
        }
        // By a ceremony that only closes: nobody has closed it here.
        Step::RevokeIntent { .. } if request.stage == Stage::Open => {
            request.advance(Stage::Closing, now)?;
        }
        Step::RotationIntent { .. } => {
            request.rotation = Rotation::Running;
            if request.takes_up().is_some() && request.stage == Stage::Requested {
                request.advance(Stage::Approved, now)?;
            }
        }
        Step::GenerationCommitted { .. } => {
            if let Some(version) = request.takes_up() {
                request.outcome = Some(format!("roster version {version} counts"));
            }
        }
        Step::Rotated { .. } => {
            request.rotation = Rotation::Done;
            if let Some(version) = request.takes_up() {
                close(request, format!("roster version {version} counts"), now)?;
            }
        }
        Step::RotationPending { .. } => request.rotation = Rotation::Pending,
        Step::Revoked { receipt } => {
            let since = refused_since(receipt).unwrap_or(at);
            close(request, format!("revoked; refused since {since}"), now)?;
        }
        Step::Expired { at } => close(request, format!("expired at {at}"), now)?,
        Step::Secret { secret, did } => request.note_secret(secret, did),
        _ => {}
    }
    Ok(())
}

fn close(request: &mut Record, outcome: String, now: Timestamp) -> Result<(), Problem> {
    request.mint = Mint::Over;
    if request.stage == Stage::Approved {
        request.advance(Stage::Closing, now)?;
    }
    if request.stage.may_become(Stage::Closed) {
        request.end(Stage::Closed, outcome, now)?;
    }
    Ok(())
}

fn generation_of(receipt: &Envelope) -> u64 {
    match receipt.unverified::<Receipt>().map(|r| r.outcome) {
        Ok(Outcome::Rotated { generation, .. }) => generation,
        _ => 0,
    }
}

fn refused_since(receipt: &Envelope) -> Option<Timestamp> {
    match receipt.unverified::<Receipt>().ok()?.outcome {
        Outcome::Revoked { refused_since, .. } => Some(refused_since),
        Outcome::Rotated { .. } | Outcome::SecretRotated { .. } => None,
    }
}

fn hole(vault: &str, n: u64) -> Problem {
    Problem::new(
        Code::Tampering,
        format!("entries before {n} are missing in the worker's journal of vault {vault}"),
    )
    .hint("keep the worker's state folder as evidence and tell the security officer")
}
