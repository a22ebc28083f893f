//! Copies of what is sealed: required ones before the old key dies, the others afterwards.

use std::time::Instant;

use super::{Turn, folder::FolderPlace, holds_the_claim, secret::version_id};
use crate::{
    aws::Moved,
    protocol::{Code, Problem, job::PlaceStep},
    trust::roster::{Place, PlaceKind},
    vault::{AccessKey, Bundle},
};

use super::super::{
    Worker,
    home::Vault,
    problems::in_one_line,
    setback::{Setback, Tries},
};

/// Sees to it that every place which the roster requires holds what is sealed here, and goes on trying until `until`. The place
/// of the claim holds it by the commit.
pub(in super::super) async fn to_required(
    turn: &mut Turn,
    worker: &mut Worker,
    vault: &Vault,
    key: &AccessKey,
    until: Instant,
) -> Result<(), Setback> {
    let Some(bundle) = bundle(vault) else {
        return Ok(());
    };
    for place in required(vault) {
        let mut tries = Tries::new("a required copy", until);
        let mut told = false;
        while let Err(why) = one(turn, worker, vault, place, &bundle, Some(key)).await {
            if !told {
                lags(turn, worker, vault, place, &why)
                    .await
                    .map_err(Setback::Never)?;
                told = true;
            }
            turn.again(worker, &mut tries, why).await?;
        }
    }
    Ok(())
}

/// Tries every other place once. None of them blocks anything; what one lacks is shown, and tried again by the next ceremony.
pub(in super::super) async fn to_the_others(
    turn: &mut Turn,
    worker: &mut Worker,
    vault: &Vault,
    key: &AccessKey,
) {
    let Some(bundle) = bundle(vault) else {
        return;
    };
    let others = |p: &&Place| !p.required && !holds_the_claim(p);
    for place in vault.roster.places.iter().filter(others) {
        if let Err(why) = one(turn, worker, vault, place, &bundle, Some(key)).await {
            let _ = lags(turn, worker, vault, place, &why).await;
        }
    }
}

/// Catches up the places that need no key, where a worker passes by for another reason: a folder that was away is back.
pub(in super::super) async fn to_every_folder(worker: &mut Worker, vault: &Vault) {
    let Some(bundle) = bundle(vault) else {
        return;
    };
    let mut turn = Turn::without_a_key();
    for place in &vault.roster.places {
        if place.kind == PlaceKind::Folder
            && let Err(why) = one(&mut turn, worker, vault, place, &bundle, None).await
        {
            let _ = lags(&mut turn, worker, vault, place, &why).await;
        }
    }
}

impl Turn {
    /// For places that need none.
    fn without_a_key() -> Self {
        Self {
            request: None,
            again: String::new(),
            claim: super::claim::State::None,
            sessions: Vec::new(),
            unknown_key: false,
            _alone: None,
        }
    }
}

/// One place: written and read back, unless it holds the same already.
async fn one(
    turn: &mut Turn,
    worker: &mut Worker,
    vault: &Vault,
    place: &Place,
    bundle: &Bundle,
    key: Option<&AccessKey>,
) -> Result<(), Setback> {
    let written = match &place.kind {
        PlaceKind::Folder => {
            let config = worker.config.places.get(&place.name);
            let folder = FolderPlace::new(&place.name, &vault.name, config)?;
            let found = folder.look().await?;
            let fresh = may_replace(worker, vault, place, found.as_ref(), bundle)?;
            if fresh {
                folder.write(bundle).await?;
            }
            fresh
        }
        PlaceKind::Secret {
            secret_arn,
            role_arn,
            ..
        } => {
            let key = key.ok_or_else(|| {
                Setback::Never(Problem::new(Code::Internal, "no key for this place"))
            })?;
            bundle
                .fits_a_secret()
                .map_err(|why| Setback::Never(super::super::problems::of_vault(&why)))?;
            let secret = turn
                .secret(worker, vault, &place.name, secret_arn, role_arn, key)
                .await?;
            let found = secret.look().await?;
            let there = found.as_ref().map(|f| &f.bundle);
            let fresh = may_replace(worker, vault, place, there, bundle)?;
            if fresh {
                let version = version_id();
                secret.put(&version, bundle).await?;
                let from = found.as_ref().map(|f| f.version.as_str());
                if secret.move_label(from, &version).await? == Moved::No {
                    return Err(Setback::Later(Problem::new(
                        Code::Refused,
                        format!("place {}: another host wrote at the same time", place.name),
                    )));
                }
            }
            fresh
        }
    };
    // What was said before stands in the record: once for each generation is enough.
    if !written {
        return Ok(());
    }
    let step = PlaceStep::CopyWritten {
        place: place.name.clone(),
        generation: generation(vault),
        bundle_sha256: bundle.digest(),
    };
    turn.tell(worker, &vault.name, step)
        .await
        .map_err(Setback::Never)
}

/// Whether a place is to be written: not where it holds the same, and never where it holds something newer.
fn may_replace(
    worker: &Worker,
    vault: &Vault,
    place: &Place,
    found: Option<&Bundle>,
    bundle: &Bundle,
) -> Result<bool, Setback> {
    let Some(found) = found else {
        return Ok(true);
    };
    if found.digest() == bundle.digest() {
        return Ok(false);
    }
    // What does not verify protects nobody: it is replaced.
    let newer = super::adopt::verify(&worker.home, &vault.name, found)
        .is_ok_and(|theirs| theirs.generation > generation(vault));
    if newer {
        return Err(Setback::Never(
            Problem::new(
                Code::Refused,
                format!(
                    "place {} holds a newer generation than this host",
                    place.name
                ),
            )
            .hint("ask again: the newest is taken over when a request is made"),
        ));
    }
    Ok(true)
}

async fn lags(
    turn: &mut Turn,
    worker: &mut Worker,
    vault: &Vault,
    place: &Place,
    why: &Setback,
) -> Result<(), Problem> {
    let step = PlaceStep::CopyLags {
        place: place.name.clone(),
        generation: generation(vault),
        required: place.required,
        why: in_one_line(why.problem()),
    };
    turn.tell(worker, &vault.name, step).await
}

fn required(vault: &Vault) -> impl Iterator<Item = &Place> {
    let places = vault.roster.places.iter();
    places.filter(|p| p.required && !holds_the_claim(p))
}

fn bundle(vault: &Vault) -> Option<Bundle> {
    let current = vault.current.as_ref()?;
    Some(Bundle::new(&current.files, vault.chain.clone()))
}

fn generation(vault: &Vault) -> u64 {
    vault.current.as_ref().map_or(0, |c| c.manifest.generation)
}
