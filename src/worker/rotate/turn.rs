//! What a rotation asks of the places: the claim before anything, required copies before a key dies, the commit.

use super::{Rotation, Run};
use crate::{
    ceremony::rotation::Act,
    trust::{Verified, manifest::Manifest},
    worker::{home::Vault, places, setback::Setback},
};

impl Run<'_, '_> {
    /// Nothing is done to keys without the claim, where a place holds one.
    pub(super) async fn claimed(&mut self, vault: &Vault) -> Result<(), Setback> {
        if !places::terms(vault).claim {
            return Ok(());
        }
        self.order.begin(Act::Claim)?;
        let Rotation { turn, key, .. } = &mut self.rotation;
        turn.claimed(self.worker, &self.writer, vault, key, self.until)
            .await
    }

    /// Asked before what cannot be undone: another host may have taken over.
    pub(super) async fn still_ours(&mut self) -> Result<(), Setback> {
        let vault = self.vault()?;
        let Rotation { turn, key, .. } = &mut self.rotation;
        turn.still_ours(self.worker, &vault, key).await
    }

    /// Every required place holds what is sealed here.
    pub(super) async fn copied(&mut self, vault: &Vault, act: Act) -> Result<(), Setback> {
        if !places::terms(vault).copies {
            return Ok(());
        }
        self.order.begin(act)?;
        let Rotation { turn, key, .. } = &mut self.rotation;
        places::to_required(turn, self.worker, vault, key, self.until).await
    }

    /// The commit itself: at the place that holds the claim first, and `current` follows.
    pub(super) async fn count(&mut self, manifest: &Verified<Manifest>) -> Result<(), Setback> {
        let mut vault = self.vault()?;
        let Rotation {
            turn, key, next, ..
        } = &mut self.rotation;
        // The claim is at a place of the roster that still counts; what is put there has to be read under the next one.
        vault.chain.extend(next.map(|next| next.envelope().clone()));
        turn.commit(self.worker, &self.writer, &vault, manifest, key, self.until)
            .await
    }

    /// A claim that came to nothing must not keep another host waiting.
    pub(super) async fn give_back(&mut self) {
        if let Ok(vault) = self.vault() {
            let Rotation { turn, key, .. } = &mut self.rotation;
            turn.give_back(self.worker, &vault, key).await;
        }
    }
}
