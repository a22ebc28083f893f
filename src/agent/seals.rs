//! Sealings: an officer brings a credential, encrypted to a worker's one-time key.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rand_core::{OsRng, RngCore as _};
use tokio::sync::oneshot;

use super::{
    Agent,
    book::head,
    people::Listed,
    steps::{in_words, step_name},
    workers::{Link, PROMPT, SILENCE, out_of_turn},
};
use crate::{
    protocol::{
        Code, Problem,
        job::{FromWorker, Job, Step, ToWorker},
        socket::{Progress, SealBegun, SealFinished},
    },
    trust::{
        Bytes, Envelope,
        request::{SealOffer, request_id},
    },
};

/// How long the credential may take to come.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// Sealings that are under way, one a vault.
#[derive(Default)]
pub(super) struct Seals {
    running: Mutex<HashMap<String, Running>>,
}

struct Running {
    vault: String,
    officer: String,
    /// Taken by whoever brings the credential.
    credential: Option<oneshot::Sender<Brought>>,
}

/// The credential, still encrypted, and where the answer goes.
struct Brought {
    sealed: Bytes,
    answer: oneshot::Sender<Result<SealFinished, Problem>>,
}

impl Seals {
    /// The vault of a sealing.
    pub(super) fn vault_of(&self, id: &str) -> Option<String> {
        self.lock().get(id).map(|s| s.vault.clone())
    }

    /// Whether a sealing of this vault waits for its end here.
    pub(super) fn is_running(&self, vault: &str) -> bool {
        self.lock().values().any(|s| s.vault == vault)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Agent {
    /// Starts a worker that will seal, and returns its key.
    pub(super) async fn begin_seal(
        self: &Arc<Self>,
        vault: &str,
        nonce: Bytes,
        next: Option<Envelope>,
        officer: &Listed,
    ) -> Result<SealBegun, Problem> {
        let id = format!("s{}", request_id(random()).trim_start_matches('r'));
        let (sender, brought) = oneshot::channel();
        {
            let mut running = self.seals.lock();
            if running.values().any(|s| s.vault == vault) {
                return Err(Problem::new(
                    Code::Refused,
                    format!("vault {vault} is being sealed already"),
                )
                .hint("wait until that is done, at most 10 minutes"));
            }
            running.insert(
                id.clone(),
                Running {
                    vault: vault.to_owned(),
                    officer: officer.name.clone(),
                    credential: Some(sender),
                },
            );
        }
        match self.seal_offer(vault, nonce, next).await {
            Ok((link, begun)) => {
                let (agent, name, vault) = (Arc::clone(self), id.clone(), vault.to_owned());
                tokio::spawn(async move {
                    agent.seal(&vault, link, brought).await;
                    agent.seals.lock().remove(&name);
                });
                Ok(SealBegun { id, ..begun })
            }
            Err(problem) => {
                self.seals.lock().remove(&id);
                Err(problem)
            }
        }
    }

    /// Hands the credential on and waits for what becomes of it: a rotation, so some seconds, at most some minutes.
    pub(super) async fn finish_seal(
        self: &Arc<Self>,
        id: &str,
        sealed: Bytes,
        officer: &Listed,
    ) -> Result<SealFinished, Problem> {
        let credential = {
            let mut running = self.seals.lock();
            let seal = running.get_mut(id).ok_or_else(unknown)?;
            if seal.officer != officer.name {
                return Err(Problem::new(
                    Code::Refused,
                    format!("{} began this sealing", seal.officer),
                ));
            }
            seal.credential.take().ok_or_else(unknown)?
        };
        let (answer, result) = oneshot::channel();
        credential
            .send(Brought { sealed, answer })
            .map_err(|_| unknown())?;
        result.await.unwrap_or_else(|_| Err(unknown()))
    }

    async fn seal_offer(
        self: &Arc<Self>,
        vault: &str,
        nonce: Bytes,
        next: Option<Envelope>,
    ) -> Result<(Link, SealBegun), Problem> {
        let known = self.refresh(vault).await?;
        let audit = head(self.book.head().await?);
        let job = match next {
            None => Job::Seal {
                vault: vault.to_owned(),
                audit,
                nonce: nonce.clone(),
            },
            Some(next) => Job::SealAnew {
                vault: vault.to_owned(),
                next,
                audit,
                nonce: nonce.clone(),
            },
        };
        let mut link = self.workers.start(&job).await?;
        let FromWorker::SealOffer { offer } = link.expect(PROMPT).await? else {
            return Err(out_of_turn());
        };
        let (checked, _) = offer.verify::<SealOffer>(&known.roster.host_keys(), "a listed host")?;
        if checked.vault != vault || checked.host != known.host || checked.nonce != nonce {
            return Err(Problem::new(
                Code::Tampering,
                "the worker's offer is not for this sealing",
            ));
        }
        let begun = SealBegun {
            id: String::new(),
            offer,
            roster_chain: known.chain.clone(),
        };
        Ok((link, begun))
    }

    /// The sealing's task: waits for the credential, hands it on, takes up what the worker does with it.
    async fn seal(
        self: &Arc<Self>,
        vault: &str,
        mut link: Link,
        brought: oneshot::Receiver<Brought>,
    ) {
        let Ok(Ok(Brought { sealed, answer })) = tokio::time::timeout(PATIENCE, brought).await
        else {
            // The worker sees the connection end and goes.
            return;
        };
        let finished = self.sealed(vault, &mut link, sealed).await;
        self.waits.over(vault);
        let caught_up = self.catch_up(vault).await;
        self.alarms.set(
            &format!("journal of vault {vault}"),
            caught_up.as_ref().err(),
        );
        let _ = self.refresh(vault).await;
        if let Err(problem) = &finished {
            let _ = self.left_running(vault, &problem.error).await;
        }
        self.checkpoint().await;
        let _ = answer.send(finished);
    }

    async fn sealed(
        self: &Arc<Self>,
        vault: &str,
        link: &mut Link,
        sealed: Bytes,
    ) -> Result<SealFinished, Problem> {
        link.send(&ToWorker::Credential { sealed }).await?;
        let mut seen = Seen::default();
        loop {
            match link.receive_within(SILENCE).await {
                Ok(FromWorker::Entry(entry)) => {
                    seen.add(&entry.step, entry.at);
                    self.take_entry(vault, entry, link).await?;
                }
                Ok(FromWorker::Waiting(waiting)) => self.waits.set(vault, waiting),
                Ok(FromWorker::Done) => return seen.finished(),
                Ok(FromWorker::Failed(problem)) | Err(problem) => return Err(seen.failed(problem)),
                Ok(_) => return Err(out_of_turn()),
            }
        }
    }
}

/// What a sealing has come to so far.
#[derive(Default)]
struct Seen {
    written: Option<(u64, Envelope)>,
    counts: Option<(u64, String, Envelope)>,
    progress: Vec<Progress>,
}

impl Seen {
    fn add(&mut self, step: &Step, at: crate::trust::Timestamp) {
        self.progress.push(Progress {
            at,
            step: step_name(step).to_owned(),
            text: in_words(step),
        });
        match step {
            Step::GenerationWritten {
                generation,
                manifest,
            } => self.written = Some((*generation, manifest.clone())),
            Step::GenerationCommitted {
                generation,
                access_key_id,
                ..
            } => {
                if let Some((n, manifest)) = self.written.take()
                    && n == *generation
                {
                    self.counts = Some((n, access_key_id.clone(), manifest));
                }
            }
            _ => {}
        }
    }

    fn finished(self) -> Result<SealFinished, Problem> {
        let Some((generation, access_key_id, manifest)) = self.counts else {
            return Err(out_of_turn());
        };
        Ok(SealFinished {
            generation,
            access_key_id,
            manifest,
            progress: self.progress,
        })
    }

    fn failed(self, problem: Problem) -> Problem {
        match self.counts {
            // Half of it counts, and the officer has to know.
            Some((generation, access_key_id, _)) => problem.hint(format!(
                "generation {generation} is sealed and holds {access_key_id}, which was not replaced yet: seal again with a fresh key"
            )),
            None => problem,
        }
    }
}

fn random() -> u128 {
    let mut bytes = [0; 16];
    OsRng.fill_bytes(&mut bytes);
    u128::from_le_bytes(bytes)
}

fn unknown() -> Problem {
    Problem::new(Code::Usage, "there is no such sealing, or its time is over")
        .hint("begin again: twotap vault seal")
}
