//! What a killed worker or a stranger left: told apart by the journal, finished or cleared away before a new key is made.

use super::{Run, SETTLE};
use crate::{
    aws::{Credentials, KeyInfo},
    ceremony::rotation::{Fate, fate},
    fail,
    protocol::job::{Step, Whose},
    trust::Timestamp,
    worker::{
        home::Vault,
        mint::{credentials, trace},
        setback::{Setback, setback},
    },
};

impl Run<'_, '_> {
    /// Leaves the user with the sealed key alone. Gives AWS's clock at the list.
    ///
    /// Keys that were sealed before come first: their end is owed, with a receipt. Of the rest, only the user itself may make its keys, so
    /// each is our own orphan or a thief's; `old`, which the newest signed manifest names, is never touched.
    pub(super) async fn reconcile(
        &mut self,
        vault: &Vault,
        user: &str,
        old: &str,
    ) -> Result<Option<Timestamp>, Setback> {
        let with = credentials(&self.rotation.key);
        self.still_ours().await?;
        let opened = self.rotation.key.id().to_owned();
        for owed in self.ledger.owed(old) {
            self.end_owed(user, &owed, &opened).await?;
        }
        let keys = match self.worker.aws.list_access_keys(&with, user).await {
            Ok(keys) => keys,
            Err(why) => return Err(self.of_the_sealed_key(setback(&why))),
        };
        let newest = vault
            .current
            .as_ref()
            .map(|c| c.manifest.access_key_id.as_str());
        for key in &keys.value {
            let id = key.access_key_id.as_str();
            let fate = fate(id, key.active, old, newest);
            // A list that shows what was deleted lags.
            if fate == Fate::Leave || self.ledger.is_deleted(id) {
                continue;
            }
            self.clear_away(user, &with, key, fate).await?;
        }
        Ok(keys.date.map(Timestamp::from))
    }

    /// A key that has no business there: inactive, then deleted; where it may be somebody else's, only after a while.
    async fn clear_away(
        &mut self,
        user: &str,
        with: &Credentials,
        key: &KeyInfo,
        fate: Fate,
    ) -> Result<(), Setback> {
        let id = key.access_key_id.clone();
        let created = key.created.map(Timestamp::from);
        let whose = self.ledger.whose(&id, created);
        if self.told.insert(id.clone()) {
            let found = Step::StrayFound {
                access_key_id: id.clone(),
                whose,
                active: key.active,
                created,
            };
            self.log(found, None).await.map_err(Setback::Never)?;
        }
        if fate == Fate::Disable && whose != Whose::Ours {
            self.still_ours().await?;
            let disabled = self
                .worker
                .aws
                .set_access_key_active(with, user, &id, false)
                .await;
            let answer = match disabled {
                Ok(answer) => answer,
                // The list lags: the key is gone already.
                Err(why) if why.is_no_such_entity() => return Ok(()),
                Err(why) => return Err(setback(&why)),
            };
            let step = Step::StrangerDisabled {
                access_key_id: id.clone(),
            };
            self.log(step, Some(trace(&answer)))
                .await
                .map_err(Setback::Never)?;
            // Whoever uses it is heard from now; then it goes. Not sooner for one that is most likely our own, whose answer was lost: it
            // cannot be told from a thief's that was made in the same minutes. What the journal names never left a worker.
            tokio::time::sleep(fail::quicker(SETTLE)).await;
        }
        self.still_ours().await?;
        let intent = Step::DeleteIntent {
            access_key_id: id.clone(),
        };
        self.log(intent, None).await.map_err(Setback::Never)?;
        let answer = match self.worker.aws.delete_access_key(with, user, &id).await {
            Ok(answer) => answer,
            Err(why) if why.is_no_such_entity() => return Ok(()),
            Err(why) => return Err(setback(&why)),
        };
        let step = Step::StrangerDeleted { access_key_id: id };
        self.log(step, Some(trace(&answer)))
            .await
            .map_err(Setback::Never)
    }
}
