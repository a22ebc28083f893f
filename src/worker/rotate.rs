//! Rotating: the key that is sealed is replaced, and the old one proven dead.
//!
//! ```text
//! intent ─▶ reconcile ─▶ create ─▶ seal, recombine, fsync ─▶ prove new ─▶ commit ─▶ deactivate old ─▶ prove old refused ─▶ delete ─▶ receipt
//! ```
//!
//! Killed anywhere, what counts is what `current` names: before the commit the old key is sealed and active, and a new one is an
//! orphan for the next reconciliation; after it the new key is sealed and proven, and the old one is what the next reconciliation
//! disables.

mod reading;

use std::time::{Duration, Instant};

use rand_core::OsRng;

use super::{
    Worker,
    home::Vault,
    journal::Journal,
    mint::{credentials, trace},
    plan::{arn, tag},
    problems::{Explain as _, in_one_line, of_aws},
    setback::{FIRST_PAUSE, Setback, setback, setback_of_new_key},
};
use crate::{
    aws::{AssumeRole, AwsError, KeyState, policy, revocation},
    ceremony::rotation::{Act, Fate, Order, Terms, fate},
    fail,
    protocol::{
        Code, Problem,
        job::{AwsTrace, Step},
    },
    trust::{
        Envelope, Head, Timestamp, Verified,
        manifest::Manifest,
        receipt::{self, Outcome, Receipt},
        roster::Roster,
        stack,
    },
    vault::{AccessKey, SealInput, VaultError, seal, store::Writer},
};
use reading::{access_key, user_name};

/// How long a key that nobody knows stays inactive before it is deleted.
const SETTLE: Duration = Duration::from_secs(30);

/// What is to be rotated.
pub(super) struct Rotation<'r> {
    pub(super) vault: &'r str,
    pub(super) request: Option<&'r str>,
    pub(super) audit: Head,
    /// The key that is sealed now; consumed, so that it is gone when this returns.
    pub(super) key: AccessKey,
    /// The roster version that is taken up with it; none where the roster stays as it is.
    pub(super) next: Option<&'r Verified<Roster>>,
}

/// Replaces the sealed key. On failure the key that is sealed still works, and the record says `pending`.
pub(super) async fn rotate(worker: &mut Worker, rotation: Rotation<'_>) -> Result<(), Problem> {
    let until = Instant::now() + worker.config.rotation_patience();
    let writer = lock(worker, rotation.vault, until).await?;
    let mut run = Run {
        journal: worker.home.journal(rotation.vault)?,
        worker,
        writer,
        rotation,
        steps: Vec::new(),
        until,
        order: Order::new(Terms::alone(true)),
    };
    let old = run.rotation.key.id().to_owned();
    let intent = Step::RotationIntent {
        old_access_key_id: old.clone(),
    };
    run.log(intent, None).await?;
    let outcome = match run.is_sealed(&old) {
        Ok(true) => run.replace(&old).await,
        // Another ceremony of the same generation was faster: the key that this one opened is replaced, and only needs to be dead.
        Ok(false) => {
            run.order = Order::new(Terms::alone(false));
            run.prove_dead(&old, None).await
        }
        Err(setback) => Err(setback),
    };
    match outcome {
        Ok(()) => Ok(()),
        Err(Setback::Later(problem) | Setback::Never(problem)) => {
            let why = in_one_line(&problem);
            run.log(Step::RotationPending { why }, None).await?;
            Err(problem)
        }
    }
}

/// One worker at a time changes a vault; the next waits for it.
async fn lock(worker: &Worker, vault: &str, until: Instant) -> Result<Writer, Problem> {
    loop {
        match worker.home.generations(vault)?.lock() {
            Err(VaultError::Busy { .. }) if Instant::now() < until => {
                tokio::time::sleep(FIRST_PAUSE).await;
            }
            other => return other.explain(),
        }
    }
}

struct Run<'w, 'r> {
    worker: &'w mut Worker,
    writer: Writer,
    journal: Journal,
    rotation: Rotation<'r>,
    steps: Vec<receipt::Step>,
    until: Instant,
    /// Every act asks it first.
    order: Order,
}

impl Run<'_, '_> {
    /// Whether the vault still holds the key that this worker opened.
    fn is_sealed(&self, old: &str) -> Result<bool, Setback> {
        let vault = self.vault()?;
        Ok(vault
            .current
            .is_some_and(|c| c.manifest.access_key_id == old))
    }

    async fn replace(&mut self, old: &str) -> Result<(), Setback> {
        let mut vault = self.vault()?;
        let taken_up = vault.take_up(self.rotation.next, &self.writer);
        taken_up.map_err(Setback::Never)?;
        let user = user_name(&vault)?;

        let (new, trace) = self.create(&user, old).await?;
        let manifest = match self.seal_and_prove(&vault, &new, trace).await {
            Ok(manifest) => manifest,
            Err(setback) => {
                self.take_back(&user, &new).await;
                return Err(setback);
            }
        };
        self.commit(&manifest, &new).await?;

        self.deactivate(&user, old, &new).await?;
        self.prove_dead(old, Some(&new)).await?;
        self.delete(&user, old, &new).await?;
        self.receipt(old, &new, &manifest).await?;
        self.forget_superseded();
        Ok(())
    }

    /// Makes a new key. A lost answer may have made one that nobody knows: look before each try, and clear away what is not ours.
    async fn create(&mut self, user: &str, old: &str) -> Result<(AccessKey, AwsTrace), Setback> {
        let with = credentials(&self.rotation.key);
        let mut pause = FIRST_PAUSE;
        loop {
            self.order.begin(Act::Reconcile)?;
            let made = match self.reconcile(user, old).await {
                Ok(()) => {
                    self.order.begin(Act::Create)?;
                    let made = self.worker.aws.create_access_key(&with, user).await;
                    made.map_err(|why| match why.code() {
                        // Two keys, of which the list showed one: it lags, and will show the other.
                        Some("LimitExceeded") => Setback::Later(of_aws(&why)),
                        _ => setback(&why),
                    })
                }
                Err(why) => Err(why),
            };
            match made {
                Ok(answer) => {
                    let trace = trace(&answer);
                    return Ok((access_key(&answer.value)?, trace));
                }
                Err(setback) => setback.pause(self.until, &mut pause).await?,
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
        let with = credentials(&self.rotation.key);
        let gone = self.worker.aws.delete_access_key(&with, user, new.id());
        if let Ok(answer) = gone.await {
            let step = Step::StrangerDeleted {
                access_key_id: new.id().to_owned(),
            };
            // The journal may be the very thing that has no room.
            let _ = self.log(step, Some(trace(&answer))).await;
        }
    }

    /// Only the user itself may make its keys, so any key but the sealed one is our own orphan or a thief's.
    async fn reconcile(&mut self, user: &str, old: &str) -> Result<(), Setback> {
        let with = credentials(&self.rotation.key);
        let keys = self
            .worker
            .aws
            .list_access_keys(&with, user)
            .await
            .map_err(|why| setback(&why))?;
        let sealed = self.vault()?.current;
        let newest = sealed.as_ref().map(|c| c.manifest.access_key_id.as_str());
        for key in &keys.value {
            let id = key.access_key_id.clone();
            let fate = fate(id.as_str(), key.active, old, newest);
            if fate == Fate::Leave {
                continue;
            }
            if fate == Fate::Disable {
                let disabled = self
                    .worker
                    .aws
                    .set_access_key_active(&with, user, &id, false)
                    .await;
                let answer = match disabled {
                    Ok(answer) => answer,
                    // The list lags: the key is gone already.
                    Err(why) if why.is_no_such_entity() => continue,
                    Err(why) => return Err(setback(&why)),
                };
                let step = Step::StrangerDisabled {
                    access_key_id: id.clone(),
                };
                self.log(step, Some(trace(&answer)))
                    .await
                    .map_err(Setback::Never)?;
                // Whoever uses it is heard from now; then it goes. Not sooner for one that is surely our own, whose answer was lost:
                // by a list alone it cannot be told from a thief's that was made in the same moment.
                tokio::time::sleep(fail::quicker(SETTLE)).await;
            }
            let deleted = self.worker.aws.delete_access_key(&with, user, &id).await;
            let answer = match deleted {
                Ok(answer) => answer,
                Err(why) if why.is_no_such_entity() => continue,
                Err(why) => return Err(setback(&why)),
            };
            let step = Step::StrangerDeleted { access_key_id: id };
            self.log(step, Some(trace(&answer)))
                .await
                .map_err(Setback::Never)?;
        }
        Ok(())
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

    /// The new key must take the operator role before anything rests on it. New keys take a while to be known everywhere.
    async fn prove_new(&mut self, vault: &Vault, new: &AccessKey) -> Result<(), Setback> {
        self.order.begin(Act::ProveNew)?;
        let id = self.rotation.request.unwrap_or("r-aaaaaaaaaaaaa");
        let role = &vault.roster.access[0].role_arn;
        let ask = AssumeRole {
            role: arn(role).map_err(Setback::Never)?,
            session_name: "twotap-proof".to_owned(),
            source_identity: "twotap-proof".to_owned(),
            external_id: Some(vault.roster.aws.external_id.clone()),
            tags: tag(id),
            transitive: vec![revocation::TAG_KEY.to_owned()],
            policy: Some(policy::deny_all_policy()),
            duration_seconds: 900,
        };
        let with = credentials(new);
        let mut pause = FIRST_PAUSE;
        loop {
            match self.worker.aws.assume_role(&with, &ask).await {
                Ok(answer) => {
                    let step = Step::KeyProven {
                        access_key_id: new.id().to_owned(),
                    };
                    return self
                        .log(step, Some(trace(&answer)))
                        .await
                        .map_err(Setback::Never);
                }
                // Not known yet is what a new key looks like at first.
                Err(why) => {
                    Setback::Later(of_aws(&why))
                        .pause(self.until, &mut pause)
                        .await?
                }
            }
        }
    }

    /// From here on the new generation counts.
    async fn commit(
        &mut self,
        manifest: &Verified<Manifest>,
        new: &AccessKey,
    ) -> Result<(), Setback> {
        self.order.begin(Act::Commit)?;
        let counted = self
            .writer
            .commit(manifest.generation)
            .explain()
            .and_then(|()| {
                self.worker.home.seen()?.accept_manifest(manifest)?;
                Ok(())
            });
        counted.map_err(Setback::Never)?;
        let step = Step::GenerationCommitted {
            generation: manifest.generation,
            manifest_sha256: manifest.digest(),
            access_key_id: new.id().to_owned(),
        };
        self.log(step, None).await.map_err(Setback::Never)
    }

    async fn deactivate(&mut self, user: &str, old: &str, new: &AccessKey) -> Result<(), Setback> {
        self.order.begin(Act::Deactivate)?;
        let with = credentials(new);
        let mut pause = FIRST_PAUSE;
        loop {
            match self
                .worker
                .aws
                .set_access_key_active(&with, user, old, false)
                .await
            {
                Ok(answer) => {
                    let step = Step::KeyDeactivated {
                        access_key_id: old.to_owned(),
                    };
                    return self
                        .log(step, Some(trace(&answer)))
                        .await
                        .map_err(Setback::Never);
                }
                Err(why) if why.is_no_such_entity() => return Ok(()),
                Err(why) => {
                    setback_of_new_key(&why)
                        .pause(self.until, &mut pause)
                        .await?
                }
            }
        }
    }

    /// Dead is what AWS says to the old key itself. Where there is a new one it must work in the same Region: a Region that is not
    /// enabled for the account refuses good keys in the same words.
    async fn prove_dead(&mut self, old: &str, new: Option<&AccessKey>) -> Result<(), Setback> {
        self.order.begin(Act::ProveDead)?;
        let with = credentials(&self.rotation.key);
        let mut pause = FIRST_PAUSE;
        loop {
            let still = match self.worker.aws.key_refused(&with).await {
                Ok(refused) if refused.value == KeyState::Refused => {
                    match self.works_in(new, &refused.region).await {
                        Ok(true) => {
                            let step = Step::KeyRefused {
                                access_key_id: old.to_owned(),
                            };
                            return self
                                .log(step, Some(trace(&refused)))
                                .await
                                .map_err(Setback::Never);
                        }
                        Ok(false) => Problem::new(Code::AwsUnreachable, "Regions answer in turn"),
                        Err(why) => of_aws(&why),
                    }
                }
                Ok(_) => Problem::new(Code::AwsRefused, "the old key still works"),
                Err(why) => of_aws(&why),
            };
            Setback::Later(still).pause(self.until, &mut pause).await?;
        }
    }

    async fn works_in(&self, key: Option<&AccessKey>, region: &str) -> Result<bool, AwsError> {
        let Some(key) = key else { return Ok(true) };
        let works = self.worker.aws.caller_identity(&credentials(key)).await?;
        Ok(works.region == region)
    }

    async fn delete(&mut self, user: &str, old: &str, new: &AccessKey) -> Result<(), Setback> {
        self.order.begin(Act::Delete)?;
        let with = credentials(new);
        let mut pause = FIRST_PAUSE;
        loop {
            let trace = match self.worker.aws.delete_access_key(&with, user, old).await {
                Ok(answer) => trace(&answer),
                // A lost answer was a deletion.
                Err(why) if why.is_no_such_entity() => AwsTrace {
                    request_id: why.request_id().map(str::to_owned),
                    date: None,
                },
                Err(why) => {
                    setback_of_new_key(&why)
                        .pause(self.until, &mut pause)
                        .await?;
                    continue;
                }
            };
            let step = Step::KeyDeleted {
                access_key_id: old.to_owned(),
            };
            return self.log(step, Some(trace)).await.map_err(Setback::Never);
        }
    }

    async fn receipt(
        &mut self,
        old: &str,
        new: &AccessKey,
        manifest: &Verified<Manifest>,
    ) -> Result<(), Setback> {
        self.order.begin(Act::Receipt)?;
        let receipt = Receipt {
            v: 1,
            vault: self.rotation.vault.to_owned(),
            request: self.rotation.request.map(str::to_owned),
            host: self.worker.home.key_id(),
            outcome: Outcome::Rotated {
                old_access_key_id: old.to_owned(),
                new_access_key_id: new.id().to_owned(),
                generation: manifest.generation,
                manifest_sha256: manifest.digest(),
            },
            steps: std::mem::take(&mut self.steps),
        };
        let receipt = Envelope::signed(&receipt, self.worker.home.key())
            .map_err(|why| Setback::Never(why.into()))?;
        self.log(Step::Rotated { receipt }, None)
            .await
            .map_err(Setback::Never)
    }

    /// Generations whose key is dead help nobody. One that cannot be removed now goes with the next rotation.
    fn forget_superseded(&self) {
        for n in self.writer.superseded().unwrap_or_default() {
            let _ = self.writer.remove(n);
        }
    }

    fn vault(&self) -> Result<Vault, Setback> {
        self.worker
            .home
            .vault(self.rotation.vault)
            .map_err(Setback::Never)
    }

    /// Journal first, report second; kept for the receipt as well.
    async fn log(&mut self, step: Step, aws: Option<AwsTrace>) -> Result<(), Problem> {
        let entry = self.journal.append(self.rotation.request, step, aws)?;
        self.steps.push(super::close::receipt_step(&entry));
        self.worker.link.report(entry).await;
        Ok(())
    }
}
