//! Handing out the sealed bundle: ciphertext, and yet everything that a quorum needs, so it goes on record who took it.

use std::sync::Arc;

use super::{Agent, people::Listed, workers::out_of_turn};
use crate::{
    audit::event::{Event, EventType},
    protocol::{
        Code, Problem,
        job::{FromWorker, Job, Sealed},
    },
    trust::manifest::Manifest,
};

impl Agent {
    /// What the worker has sealed, as it lies there.
    pub(super) async fn sealed_bundle(&self, vault: &str) -> Result<Sealed, Problem> {
        let job = Job::Bundle {
            vault: vault.to_owned(),
        };
        match self.workers.ask(&job).await? {
            FromWorker::Bundle(sealed) => Ok(sealed),
            _ => Err(out_of_turn()),
        }
    }
}

/// Fetches a vault's bundle from its worker, records who asked for it, and only then gives it away.
pub(super) async fn export(
    agent: &Arc<Agent>,
    vault: &str,
    caller: &Listed,
) -> Result<Sealed, Problem> {
    let known = agent.refresh(vault).await?;
    let sealed = agent.sealed_bundle(vault).await?;
    // A ceremony may have moved on since; what is recorded is what is given.
    let manifest: Manifest = sealed.manifest.unverified()?;
    if manifest.vault != known.vault {
        return Err(Problem::new(
            Code::Tampering,
            format!("the worker's bundle is of vault {}", manifest.vault),
        )
        .hint("tell the security officer"));
    }
    let person = super::people::actor(&caller.name)?;
    let event = Event::new(EventType::BundleExported, person)
        .who(caller.who.as_str())
        .detail("vault", known.vault.as_str())
        .detail("generation", manifest.generation)
        .detail("manifest_sha256", sealed.manifest.digest().to_string());
    agent
        .book
        .commit(move |change| {
            let event = event.place(change.place.clone());
            change.event(&event)
        })
        .await?;
    Ok(sealed)
}
