//! The end of a key that was sealed: inactive, seen refused, deleted, receipt. By the worker that replaced it, or by the next one.

use super::{
    Run,
    ledger::{Owed, Sealed},
    user_name,
};
use crate::{
    aws::{Credentials, KeyState},
    ceremony::rotation::{Act, Order, Terms},
    protocol::{
        Code, Problem,
        job::{AwsTrace, Step},
    },
    trust::{
        Envelope,
        receipt::{self, Outcome, Receipt},
    },
    vault::AccessKey,
    worker::{
        close::receipt_step,
        home::Vault,
        mint::{credentials, trace},
        places,
        problems::in_one_line,
        setback::{Setback, setback, setback_of_new_key},
    },
};

impl Run<'_, '_> {
    /// Ends the key that this worker has just replaced, whose secret it still holds.
    pub(super) async fn end_old(
        &mut self,
        user: &str,
        old: &str,
        new: &AccessKey,
    ) -> Result<(), Setback> {
        let with = credentials(new);
        self.order.begin(Act::Deactivate)?;
        self.deactivate(user, old, &with).await?;
        self.prove_dead(old, Some(&with)).await?;
        let request = self.rotation.request.map(str::to_owned);
        self.order.begin(Act::Delete)?;
        let kept = self.delete(user, old, &with).await.err();
        let by = self.successor(old)?;
        self.order.begin(Act::Receipt)?;
        self.receipt(request.as_deref(), old, &by).await?;
        self.leave_undeleted(request.as_deref(), old, kept).await
    }

    /// Ends a key that an earlier worker replaced and did not live to end. Its secret is lost with that worker; `current` works.
    pub(super) async fn end_owed(
        &mut self,
        user: &str,
        owed: &Owed,
        current: &str,
    ) -> Result<(), Setback> {
        let with = credentials(&self.rotation.key);
        let old = owed.key.as_str();
        if !owed.inactive && !owed.deleted {
            self.deactivate(user, old, &with).await?;
        }
        if !owed.refused {
            self.prove_unknown(old, current).await?;
        }
        let kept = match owed.deleted {
            true => None,
            false => self.delete(user, old, &with).await.err(),
        };
        if !owed.receipt {
            let request = owed.by.request.clone();
            self.receipt(request.as_deref(), old, &owed.by).await?;
        }
        match kept {
            None => Ok(()),
            // It holds one of the user's two places: no new key can be made.
            Some(setback) => Err(setback.about(&format!(
                "key {old}, which is dead, still holds one of the user's two places"
            ))),
        }
    }

    /// The key that was opened is not the one that is sealed now. Whoever replaced it has ended it, or was killed and left that to us.
    pub(super) async fn end_replaced(&mut self, vault: &Vault, old: &str) -> Result<(), Setback> {
        let with = credentials(&self.rotation.key);
        let by = self.successor(old)?;
        let current = vault.sealed().map_err(Setback::Never)?;
        let owed = self
            .ledger
            .owed_of(old, &current.manifest.access_key_id)
            .is_some_and(|o| !o.deleted);
        self.order = Order::new(Terms {
            still_sealed: false,
            copies: owed && places::terms(vault).copies,
            ..Terms::alone(false)
        });
        let mut kept = None;
        if owed {
            let user = user_name(vault)?;
            // It can delete itself, as long as nobody has made it inactive; not while a required copy may still hold it, which is then
            // the only one that this host's loss would leave.
            kept = match self.copied(vault, Act::CatchUp).await {
                Ok(()) => self.delete_with_itself(&user, old, &with).await.err(),
                Err(setback) => Some(setback),
            };
        }
        self.prove_dead(old, None).await?;
        let request = self.rotation.request.map(str::to_owned);
        self.receipt(request.as_deref(), old, &by).await?;
        self.leave_undeleted(request.as_deref(), old, kept).await
    }

    fn successor(&self, old: &str) -> Result<Sealed, Setback> {
        self.ledger.successor(old).ok_or_else(|| {
            Setback::Never(Problem::new(
                Code::Tampering,
                format!("the journal does not say what replaced key {old}"),
            ))
        })
    }

    async fn deactivate(
        &mut self,
        user: &str,
        old: &str,
        with: &Credentials,
    ) -> Result<(), Setback> {
        self.log(
            Step::DeactivateIntent {
                access_key_id: old.to_owned(),
            },
            None,
        )
        .await
        .map_err(Setback::Never)?;
        let mut tries = self.tries("the old key to be made inactive");
        loop {
            let changed = self
                .worker
                .aws
                .set_access_key_active(with, user, old, false)
                .await;
            match changed {
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
                Err(why) => self.again(&mut tries, setback_of_new_key(&why)).await?,
            }
        }
    }

    async fn delete(&mut self, user: &str, old: &str, with: &Credentials) -> Result<(), Setback> {
        self.delete_intent(old).await?;
        let mut tries = self.tries("the old key to be deleted");
        loop {
            let trace = match self.worker.aws.delete_access_key(with, user, old).await {
                Ok(answer) => trace(&answer),
                // A lost answer was a deletion.
                Err(why) if why.is_no_such_entity() => AwsTrace {
                    request_id: why.request_id().map(str::to_owned),
                    date: None,
                },
                Err(why) => {
                    self.again(&mut tries, setback_of_new_key(&why)).await?;
                    continue;
                }
            };
            return self.deleted(old, trace).await;
        }
    }

    /// Where the key is refused it cannot delete itself any more: it is dead, and stays.
    async fn delete_with_itself(
        &mut self,
        user: &str,
        old: &str,
        with: &Credentials,
    ) -> Result<(), Setback> {
        self.delete_intent(old).await?;
        let mut tries = self.tries("the old key to be deleted");
        loop {
            match self.worker.aws.delete_access_key(with, user, old).await {
                Ok(answer) => return self.deleted(old, trace(&answer)).await,
                Err(why) => {
                    let dead = matches!(
                        self.worker.aws.key_refused(with).await,
                        Ok(answer) if answer.value == KeyState::Refused
                    );
                    let setback = match dead {
                        true => Setback::Never(Problem::new(
                            Code::AwsRefused,
                            "the worker that replaced it did not delete it, and a dead key cannot delete itself",
                        )),
                        false => setback(&why),
                    };
                    self.again(&mut tries, setback).await?;
                }
            }
        }
    }

    async fn delete_intent(&mut self, old: &str) -> Result<(), Setback> {
        let intent = Step::DeleteIntent {
            access_key_id: old.to_owned(),
        };
        self.log(intent, None).await.map_err(Setback::Never)
    }

    async fn deleted(&mut self, old: &str, trace: AwsTrace) -> Result<(), Setback> {
        let step = Step::KeyDeleted {
            access_key_id: old.to_owned(),
        };
        self.log(step, Some(trace)).await.map_err(Setback::Never)
    }

    /// A dead key that is not deleted is shown until a later worker deletes it.
    async fn leave_undeleted(
        &mut self,
        request: Option<&str>,
        old: &str,
        kept: Option<Setback>,
    ) -> Result<(), Setback> {
        let Some(setback) = kept else { return Ok(()) };
        let step = Step::DeletionOwed {
            access_key_id: old.to_owned(),
            why: in_one_line(&setback.into_problem()),
        };
        self.log_for(request, step, None)
            .await
            .map_err(Setback::Never)
    }

    /// Signs what was done, with the time of each proof.
    async fn receipt(
        &mut self,
        request: Option<&str>,
        old: &str,
        by: &Sealed,
    ) -> Result<(), Setback> {
        let unknown = |what: &str| {
            Setback::Never(Problem::new(
                Code::Tampering,
                format!("the journal does not say when {what}"),
            ))
        };
        let new_key_worked = self
            .ledger
            .works(&by.key)
            .ok_or_else(|| unknown("the new key was seen to work"))?;
        let (old_key_refused, proven_by) = self
            .ledger
            .refusal(old)
            .ok_or_else(|| unknown("the old key was seen refused"))?;
        let receipt = Receipt {
            v: 1,
            vault: self.rotation.vault.to_owned(),
            request: request.map(str::to_owned),
            host: self.worker.home.key_id(),
            outcome: Outcome::Rotated {
                old_access_key_id: old.to_owned(),
                new_access_key_id: by.key.clone(),
                generation: by.generation,
                manifest_sha256: by.manifest,
                previous_manifest_sha256: self.ledger.before(by.manifest),
                new_key_worked,
                counts_since: by.at,
                old_key_refused,
                proven_by,
                old_key_deleted: self.ledger.deletion(old),
            },
            steps: self.steps_of(old, by).map_err(Setback::Never)?,
        };
        let receipt = Envelope::signed(&receipt, self.worker.home.key())
            .map_err(|why| Setback::Never(why.into()))?;
        self.log_for(request, Step::Rotated { receipt }, None)
            .await
            .map_err(Setback::Never)
    }

    /// The journal's steps of one replacement: from its beginning on, in the name of whoever took part.
    fn steps_of(&self, old: &str, by: &Sealed) -> Result<Vec<receipt::Step>, Problem> {
        let since = self.ledger.begun(old).map_or(0, |n| n - 1);
        let own = self.rotation.request;
        let entries = self.journal.since(since)?;
        let of_it = |e: &&crate::protocol::job::Entry| {
            e.request.as_deref() == own || e.request == by.request
        };
        Ok(entries
            .iter()
            .filter(of_it)
            .filter(|e| is_of_a_rotation(&e.step))
            .map(receipt_step)
            .collect())
    }
}

/// Whether a step is one of replacing a key, as against minting and closing, which go on meanwhile.
fn is_of_a_rotation(step: &Step) -> bool {
    matches!(
        step,
        Step::RotationIntent { .. }
            | Step::StrayFound { .. }
            | Step::StrangerDisabled { .. }
            | Step::StrangerDeleted { .. }
            | Step::CreateIntent { .. }
            | Step::CreateFailed { .. }
            | Step::KeyCreated { .. }
            | Step::GenerationWritten { .. }
            | Step::KeyProven { .. }
            | Step::GenerationCommitted { .. }
            | Step::DeactivateIntent { .. }
            | Step::KeyDeactivated { .. }
            | Step::KeyRefused { .. }
            | Step::DeleteIntent { .. }
            | Step::KeyDeleted { .. }
            | Step::RotationPending { .. }
            | Step::Place(_)
    )
}

impl Setback {
    /// The same with more to say.
    fn about(self, what: &str) -> Self {
        let with = |mut problem: Problem| {
            problem.error = format!("{what}: {}", problem.error);
            problem
        };
        match self {
            Self::Later(problem) => Self::Later(with(problem)),
            Self::Refused(problem) => Self::Refused(with(problem)),
            Self::Never(problem) => Self::Never(with(problem)),
        }
    }
}
