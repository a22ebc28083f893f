//! Watching the sealed key: between ceremonies it is a canary, and any use of it is theft.
//!
//! With a standing identity that may do nothing but ask when the break-glass user's keys were used last (`[watch]` in `worker.toml`), AWS's
//! word is compared with the uses that the journal knows of. What cannot be explained so goes to the journal, once for each distinct use.

mod uses;

use std::path::Path;

use super::{Worker, mint::trace, problems::of_aws};
use crate::{
    aws::{Credentials, read_key_file},
    protocol::{
        Code, Problem,
        job::{FromWorker, KeyUse, Step, Watched},
    },
    trust::Timestamp,
};
use uses::Ours;

/// Asks once.
pub(super) async fn run(worker: &mut Worker, vault: &str) -> Result<(), Problem> {
    let watched = look(worker, vault).await?;
    worker.link.send(&FromWorker::Watched(watched)).await;
    Ok(())
}

async fn look(worker: &mut Worker, vault: &str) -> Result<Watched, Problem> {
    let Some(path) = worker.config.watch_credential() else {
        return Ok(Watched::Off);
    };
    let asking = credential(path)?;
    let vault = worker.home.vault(vault)?;
    let Some(current) = &vault.current else {
        return Ok(Watched::Nothing);
    };
    let key = current.manifest.access_key_id.clone();
    let answer = match worker.aws.key_last_used(&asking, &key).await {
        Ok(answer) => answer,
        Err(why) if why.is_no_such_entity() => {
            // A worker may have replaced it since the vault was read.
            let now = worker.home.vault(&vault.name)?;
            if now.manifest_digest() != vault.manifest_digest() {
                return Ok(Watched::Nothing);
            }
            return Err(
                Problem::new(Code::Tampering, format!("the sealed key {key} does not exist any more"))
                    .hint("if this host was put back to an earlier state, restore the newest generation; else make a key for the break-glass user and seal it"),
            );
        }
        Err(why) => return Err(of_aws(&why)),
    };
    let call = trace(&answer);
    let Some(used) = answer.value else {
        return Ok(Watched::Quiet {
            access_key_id: key,
            used: None,
        });
    };
    let used = KeyUse {
        at: Timestamp::from(used.at),
        region: used.region,
        service: used.service,
    };
    // Read after AWS was asked: a ceremony writes its intent before it uses the key.
    let journal = worker.home.journal(&vault.name)?;
    let entries = journal.since(0)?;
    let ours = Ours {
        entries: &entries,
        sts_regions: worker.aws.sts_regions().map(str::to_owned).collect(),
    };
    if ours.explains(&key, &used) {
        return Ok(Watched::Quiet {
            access_key_id: key,
            used: Some(used),
        });
    }
    let step = Step::Misused {
        access_key_id: key.clone(),
        used: used.clone(),
    };
    if !entries.iter().any(|e| e.step == step) {
        let entry = journal.append(None, step, Some(call))?;
        worker.link.report(entry).await;
    }
    Ok(Watched::Misused {
        access_key_id: key,
        used,
    })
}

/// The standing identity's credential; nobody else may read it.
fn credential(path: &Path) -> Result<Credentials, Problem> {
    read_key_file(path).map_err(|why| {
        let error = format!("the credential of [watch], {}: {why}", path.display());
        Problem::new(Code::Usage, error).hint(why.hint())
    })
}
