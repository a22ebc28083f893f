//! Rotating: the key that is sealed is replaced, and the old one proven dead.
//!
//! ```text
//! intent ─▶ reconcile ─▶ create ─▶ seal, recombine, fsync ─▶ prove new ─▶ commit ─▶ deactivate old ─▶ prove old refused ─▶ delete ─▶ receipt
//! ```
//!
//! Killed anywhere, what counts is what `current` names: before the commit the old key is sealed and active, and a new one is an
//! orphan for the next reconciliation; after it the new key is sealed and proven, and the end of the old one is owed until its receipt
//! exists. Before each call that changes something stands an intent in the journal, after it what came of it: so the next worker knows
//! what is ours ([`ledger`]), and finishes or undoes it ([`reconcile`]).

mod end;
mod ledger;
pub(super) mod prove;
mod reading;
mod reconcile;
mod turn;

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use rand_core::OsRng;

use super::{
    Worker,
    home::Vault,
    journal::Journal,
    mint::{credentials, trace},
    places::{self, Turn},
    problems::{Explain as _, in_one_line, of_aws},
    setback::{Setback, Tries, setback},
};
use crate::{
    aws,
    ceremony::rotation::{Act, Order, Terms},
    protocol::{
        Code, Problem,
        job::{AwsTrace, Step},
    },
    trust::{Head, Timestamp, Verified, manifest::Manifest, roster::Roster, stack},
    vault::{AccessKey, SealInput, VaultError, seal, store::Writer},
};
use ledger::Ledger;
use reading::{access_key, user_name};

/// What is to be rotated.
pub(super) struct Rotation<'r> {
    pub(super) vault: &'r str,
    pub(super) request: Option<&'r str>,
    pub(super) audit: Head,
    /// The key that is sealed now; consumed, so that it is gone when this returns.
    pub(super) key: AccessKey,
    /// This host's turn, with the claim where a place holds one.
    pub(super) turn: Turn,
    /// The roster version that is taken up with it; none where the roster stays as it is.
    pub(super) next: Option<&'r Verified<Roster>>,
}

/// Replaces the sealed key. On failure the key that is sealed still works, and the record says `pending`.
pub(super) async fn rotate(worker: &mut Worker, rotation: Rotation<'_>) -> Result<(), Problem> {
    let until = Instant::now() + worker.config.rotation_patience();
    let writer = lock(worker, &rotation, until).await?;
    let journal = worker.home.journal(rotation.vault)?;
    let ledger = Ledger::of(&journal.since(0)?);
    let mut run = Run {
        journal,
        ledger,
        worker,
        writer,
        rotation,
        until,
        counts: false,
        told: BTreeSet::new(),
        order: Order::new(Terms::alone(true)),
    };
    let old = run.rotation.key.id().to_owned();
    run.log(
        Step::RotationIntent {
            old_access_key_id: old.clone(),
        },
        None,
    )
    .await?;
    let outcome = run.run(&old).await;
    run.give_back().await;
    match outcome {
        Ok(()) => Ok(()),
        Err(setback) => {
            let problem = setback.into_problem();
            run.counts = false;
            let why = in_one_line(&problem);
            run.log(Step::RotationPending { why }, None).await?;
            Err(problem)
        }
    }
}

/// One worker at a time changes a vault; the next waits for it.
async fn lock(
    worker: &mut Worker,
    rotation: &Rotation<'_>,
    until: Instant,
) -> Result<Writer, Problem> {
    let mut tries = Tries::new("another worker of this vault to end", until);
    loop {
        match worker.home.generations(rotation.vault)?.lock() {
            Err(busy @ VaultError::Busy { .. }) => {
                let busy = Setback::Later(super::problems::of_vault(&busy));
                tries
                    .again(busy, &mut worker.link, rotation.request)
                    .await
                    .map_err(Setback::into_problem)?;
            }
            other => return other.explain(),
        }
    }
}

struct Run<'w, 'r> {
    worker: &'w mut Worker,
    writer: Writer,
    journal: Journal,
    ledger: Ledger,
    rotation: Rotation<'r>,
    until: Instant,
    /// The new generation counts: from here on what cannot be written now is waited for.
    counts: bool,
    /// Keys whose discovery stands in the journal.
    told: BTreeSet<String>,
    /// Every act asks it first.
    order: Order,
}

impl Run<'_, '_> {
    async fn run(&mut self, old: &str) -> Result<(), Setback> {
        let mut vault = self.vault()?;
        self.note_commit(&vault).await?;
        self.not_older_than_the_journal(&vault)?;
        let sealed = vault.current.as_ref();
        if sealed.is_some_and(|c| c.manifest.access_key_id == old) {
            vault
                .take_up(self.rotation.next, &self.writer)
                .map_err(Setback::Never)?;
            self.replace(&vault, old).await
        } else {
            // Another ceremony of the same generation was faster: the key that this one opened is replaced, and only needs to be dead.
            self.end_replaced(&vault, old).await
        }
    }

    /// A worker that was killed between the commit and its entry: what counts is put down before anything rests on it.
    async fn note_commit(&mut self, vault: &Vault) -> Result<(), Setback> {
        let Some(current) = vault.manifest_digest() else {
            return Ok(());
        };
        if let Some((request, step)) = self.ledger.committed_unnoted(current) {
            self.log_for(request.as_deref(), step, None)
                .await
                .map_err(Setback::Never)?;
        }
        Ok(())
    }

    /// A folder that was put back to an earlier state names a key that is dead, and takes the good one for a stranger's.
    fn not_older_than_the_journal(&self, vault: &Vault) -> Result<(), Setback> {
        let current = vault.current.as_ref().map_or(0, |c| c.manifest.generation);
        let newest = self.ledger.newest_generation();
        if newest <= current {
            return Ok(());
        }
        Err(Setback::Never(
            Problem::new(
                Code::Tampering,
                format!("generation {current} is current, and the journal says that generation {newest} counts"),
            )
            .hint("the worker's folder was put back to an earlier state: restore generation and journal of one time; no key was touched"),
        ))
    }

    async fn replace(&mut self, vault: &Vault, old: &str) -> Result<(), Setback> {
        let user = user_name(vault)?;
        self.order = Order::new(places::terms(vault));
        self.claimed(vault).await?;
        self.copied(vault, Act::CatchUp).await?;

        let (new, trace) = self.create(vault, &user, old).await?;
        let manifest = match self.seal_and_prove(vault, &new, trace).await {
            Ok(manifest) => manifest,
            Err(setback) => {
                self.take_back(&user, &new).await;
                return Err(setback);
            }
        };
        self.commit(&manifest, &new).await?;
        let vault = self.vault()?;
        self.copied(&vault, Act::Copy).await?;

        self.end_old(&user, old, &new).await?;
        self.forget_superseded();
        places::to_the_others(&mut self.rotation.turn, self.worker, &vault, &new).await;
        Ok(())
    }

    /// Makes a new key. A lost answer may have made one that nobody knows: look before each try, and clear away what is not ours.
    async fn create(
        &mut self,
        vault: &Vault,
        user: &str,
        old: &str,
    ) -> Result<(AccessKey, AwsTrace), Setback> {
        let with = credentials(&self.rotation.key);
        let mut tries = self.tries("a new key");
        loop {
            self.order.begin(Act::Reconcile)?;
            let setback = match self.reconcile(vault, user, old).await {
                Ok(aws_time) => match self.ask_for_key(&with, user, aws_time).await {
                    Ok(made) => return Ok(made),
                    Err(setback) => setback,
                },
                Err(setback) => setback,
            };
            self.again(&mut tries, setback).await?;
        }
    }

    /// Asks for a key, once.
    async fn ask_for_key(
        &mut self,
        with: &aws::Credentials,
        user: &str,
        aws_time: Option<Timestamp>,
    ) -> Result<(AccessKey, AwsTrace), Setback> {
        self.order.begin(Act::Create)?;
        self.log(Step::CreateIntent { aws_time }, None)
            .await
            .map_err(Setback::Never)?;
        match self.worker.aws.create_access_key(with, user).await {
            Ok(answer) => {
                let trace = trace(&answer);
                Ok((access_key(&answer.value)?, trace))
            }
            Err(why) => {
                let problem = of_aws(&why);
                if !why.may_have_acted() {
                    let why = in_one_line(&problem);
                    self.log(Step::CreateFailed { why }, None)
                        .await
                        .map_err(Setback::Never)?;
                }
                Err(match why.code() {
                    // Two keys, of which the list showed one: it lags, and will show the other.
                    Some("LimitExceeded") => Setback::Later(problem),
                    _ => self.of_the_sealed_key(setback(&why)),
                })
            }
        }
    }

    /// Everything between a new key and the moment from which it counts.
    async fn seal_and_prove(
        &mut self,
        vault: &Vault,
        new: &AccessKey,
        trace: AwsTrace,
    ) -> Result<Verified<Manifest>, Setback> {
        let step = Step::KeyCreated {
            access_key_id: new.id().to_owned(),
        };
        self.log(step, Some(trace)).await.map_err(Setback::Never)?;
        let manifest = self.seal(vault, new).await?;
        self.prove_new(vault, new).await?;
        Ok(manifest)
    }

    /// A key that never came to count (a full disk, say) is deleted while the old one still can. Where that fails, the next
    /// reconciliation finds it.
    async fn take_back(&mut self, user: &str, new: &AccessKey) {
        if self.order.begin(Act::TakeBack).is_err() {
            return;
        }
        let access_key_id = new.id().to_owned();
        // The journal may be the very thing that has no room; and nothing can rest on a key that is not sealed.
        let intent = Step::DeleteIntent {
            access_key_id: access_key_id.clone(),
        };
        let _ = self.log(intent, None).await;
        let with = credentials(&self.rotation.key);
        let gone = self.worker.aws.delete_access_key(&with, user, new.id());
        if let Ok(answer) = gone.await {
            let step = Step::StrangerDeleted { access_key_id };
            let _ = self.log(step, Some(trace(&answer))).await;
        }
    }

    /// Seals the new key, recombined and on disk; it does not count yet.
    async fn seal(
        &mut self,
        vault: &Vault,
        new: &AccessKey,
    ) -> Result<Verified<Manifest>, Setback> {
        self.order.begin(Act::Seal)?;
        let number = vault.current.as_ref().map_or(0, |c| c.manifest.generation) + 1;
        let input = SealInput {
            vault: &vault.name,
            generation: number,
            credential: new,
            roster: &vault.roster,
            previous: vault.manifest_digest(),
            audit: self.rotation.audit,
            created_at: Timestamp::now(),
            host_key_id: self.worker.home.key_id(),
        };
        let written = stack::wiped(|| seal(&input, self.worker.home.key(), &mut OsRng))
            .explain()
            .and_then(|generation| {
                // A number that was written and never committed protects nothing.
                self.writer.remove(number).explain()?;
                self.writer.write(&generation).explain()?;
                Ok(Manifest::verify(&generation.manifest, &vault.roster)?)
            });
        let manifest = written.map_err(Setback::Never)?;
        let step = Step::GenerationWritten {
            generation: number,
            manifest: manifest.envelope().clone(),
        };
        self.log(step, None).await.map_err(Setback::Never)?;
        Ok(manifest)
    }

    /// From here on the new generation counts.
    async fn commit(
        &mut self,
        manifest: &Verified<Manifest>,
        new: &AccessKey,
    ) -> Result<(), Setback> {
        self.order.begin(Act::Commit)?;
        self.count(manifest).await?;
        self.counts = true;
        // A memory that cannot be written now must not keep the old key alive. Whoever reads the vault next accepts this manifest again,
        // and says what is wrong with the memory.
        let _ = self.worker.home.seen().and_then(|mut seen| {
            seen.accept_manifest(manifest)?;
            Ok(())
        });
        let step = Step::GenerationCommitted {
            generation: manifest.generation,
            manifest_sha256: manifest.digest(),
            access_key_id: new.id().to_owned(),
        };
        self.log(step, None).await.map_err(Setback::Never)
    }

    /// Generations whose key is dead help nobody. One that cannot be removed now goes with the next rotation.
    fn forget_superseded(&self) {
        for n in self.writer.superseded().unwrap_or_default() {
            let _ = self.writer.remove(n);
        }
    }

    /// A sealed key that AWS does not know although it was sealed long ago is dead: this folder is older than the vault.
    fn of_the_sealed_key(&self, setback: Setback) -> Setback {
        const SETTLED: i64 = 10 * 60;
        let unknown = matches!(&setback, Setback::Later(problem) if problem.error.contains("InvalidClientTokenId"));
        if !unknown {
            return setback;
        }
        let problem = setback.into_problem();
        let said = format!("aws does not know the sealed key: {}", problem.error);
        let problem = Problem::new(problem.code, said).hint(
            "if this host was put back to an earlier state, restore the newest generation from a copy or from the host that has it; \
             if there is none, make a key for the break-glass user as an administrator and seal it; no key was touched",
        );
        let sealed_at = self
            .vault()
            .ok()
            .and_then(|v| v.current.map(|c| c.manifest.created_at));
        match sealed_at.is_some_and(|at| at.until(Timestamp::now()) > SETTLED) {
            true => Setback::Never(problem),
            // It may be so new that not every server knows it.
            false => Setback::Later(problem),
        }
    }

    fn vault(&self) -> Result<Vault, Setback> {
        self.worker
            .home
            .vault(self.rotation.vault)
            .map_err(Setback::Never)
    }

    fn tries(&self, what: &'static str) -> Tries {
        Tries::new(what, self.until)
    }

    async fn again(&mut self, tries: &mut Tries, setback: Setback) -> Result<(), Setback> {
        let request = self.rotation.request;
        tries.again(setback, &mut self.worker.link, request).await
    }

    /// Journal first, report second.
    async fn log(&mut self, step: Step, aws: Option<AwsTrace>) -> Result<(), Problem> {
        self.log_for(self.rotation.request, step, aws).await
    }

    /// The same in the name of the request that a killed worker served.
    async fn log_for(
        &mut self,
        request: Option<&str>,
        step: Step,
        aws: Option<AwsTrace>,
    ) -> Result<(), Problem> {
        let until = self.until.min(Instant::now() + ROOM);
        let mut tries = Tries::new("room for the journal", until);
        let entry = loop {
            match self.journal.append(request, step.clone(), aws.clone()) {
                Ok(entry) => break entry,
                // The old key is to die, but nothing is done that the journal does not hold.
                Err(problem) if self.counts => self
                    .again(&mut tries, Setback::Later(problem))
                    .await
                    .map_err(Setback::into_problem)?,
                Err(problem) => return Err(problem),
            }
        };
        self.ledger.take(&entry);
        self.worker.link.report(entry).await;
        Ok(())
    }
}

/// How long the journal's disk may have no room once a new generation counts. Then it is the next worker's.
const ROOM: Duration = Duration::from_secs(5);
/// How long a key that nobody knows stays inactive before it is deleted.
const SETTLE: Duration = Duration::from_secs(30);
