//! Watching the sealed key: between ceremonies it is a canary, and any use of it is theft.
//!
//! With a standing identity that may do nothing but ask when the break-glass user's keys were used last (`[watch]` in `worker.toml`), AWS's
//! word is compared with the uses that the journal knows of. What cannot be explained so goes to the journal, once for each distinct use.

mod uses;

use std::{
    fs::File,
    io::Read as _,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
};

use zeroize::Zeroizing;

use super::{
    Worker,
    mint::{credentials, trace},
    problems::{Explain as _, of_aws},
};
use crate::{
    protocol::{
        Code, Problem,
        job::{FromWorker, KeyUse, Step, Watched},
    },
    trust::Timestamp,
    vault::AccessKey,
};
use uses::Ours;

/// The largest file of a credential, in bytes.
const LARGEST: u64 = 16 * 1024;

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
    let answer = match worker.aws.key_last_used(&credentials(&asking), &key).await {
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
fn credential(path: &Path) -> Result<AccessKey, Problem> {
    let unusable = |why: &dyn std::fmt::Display| {
        Problem::new(
            Code::Usage,
            format!("the credential of [watch], {}: {why}", path.display()),
        )
        .hint("it holds what 'aws iam create-access-key' prints; mode 0600, owned by the worker's account")
    };
    let mut file = File::open(path).map_err(|why| unusable(&why))?;
    let facts = file.metadata().map_err(|why| unusable(&why))?;
    let mode = facts.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(unusable(&format!("others may use it (mode {mode:04o})")));
    }
    if facts.uid() != rustix::process::getuid().as_raw() {
        return Err(unusable(&format!("it belongs to uid {}", facts.uid())));
    }
    if facts.len() > LARGEST {
        return Err(unusable(&"it is too large"));
    }
    // Sized beforehand: a buffer that grows leaves copies behind.
    let size = usize::try_from(facts.len()).unwrap_or(0);
    let mut json = Zeroizing::new(Vec::with_capacity(size + 1));
    file.by_ref()
        .take(LARGEST)
        .read_to_end(&mut json)
        .map_err(|why| unusable(&why))?;
    AccessKey::parse(&json).explain()
}
