//! What a rotation asks of the places: the claim before anything, required copies before a key dies.

use super::{Rotation, Run};
use crate::{
    ceremony::rotation::Act,
    protocol::job::Step,
    trust::{Verified, manifest::Manifest},
    vault::AccessKey,
    worker::{home::Vault, places, setback::Setback},
};

impl Run<'_, '_> {
    pub(super) async fn claimed(&mut self, vault: &Vault) -> Result<(), Setback> {
        if !places::terms(vault).claim {
            return Ok(());
        }
        self.order.begin(Act::Claim)?;
        let Rotation { turn, key, .. } = &mut self.rotation;
        turn.claimed(self.worker, &self.writer, vault, key, self.until)
            .await
    }

    pub(super) async fn still_ours(&mut self) -> Result<(), Setback> {
        let vault = self.vault()?;
        let Rotation { turn, key, .. } = &mut self.rotation;
        turn.still_ours(self.worker, &vault, key).await
    }

    pub(super) async fn copied(&mut self, vault: &Vault, act: Act) -> Result<(), Setback> {
        if !places::terms(vault).copies {
            return Ok(());
        }
        self.order.begin(act)?;
        let Rotation { turn, key, .. } = &mut self.rotation;
        places::to_required(turn, self.worker, vault, key, self.until).await
    }

    /// From here on the new generation counts.
    pub(super) async fn commit(
        &mut self,
        manifest: &Verified<Manifest>,
        new: &AccessKey,
    ) -> Result<(), Setback> {
        self.order.begin(Act::Commit)?;
        let vault = self.vault()?;
        self.rotation
            .turn
            .commit(
                self.worker,
                &self.writer,
                &vault,
                manifest,
                &self.rotation.key,
                self.until,
            )
            .await?;
        let step = Step::GenerationCommitted {
            generation: manifest.generation,
            manifest_sha256: manifest.digest(),
            access_key_id: new.id().to_owned(),
        };
        self.log(step, None).await.map_err(Setback::Never)
    }

    pub(super) async fn give_back(&mut self) {
        if let Ok(vault) = self.vault() {
            let Rotation { turn, key, .. } = &mut self.rotation;
            turn.give_back(self.worker, &vault, key).await;
        }
    }
}
