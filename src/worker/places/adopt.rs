//! Taking over a generation from a place: checked as if a stranger had brought it, and only where it is newer.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::Path,
    time::{Duration, Instant},
};

use super::{LookAt, folder::FolderPlace, secret::SecretPlace};
use crate::{
    aws::Credentials,
    protocol::{
        Code, Problem,
        job::{Entry, PlaceStep, Step},
    },
    trust::{
        Verified,
        manifest::Manifest,
        roster::{Place, PlaceKind, Roster, verify_chain},
    },
    vault::{AccessKey, Bundle, VaultError, store::Writer},
};

use super::super::{
    Worker,
    home::Home,
    plan::arn,
    problems::{Explain as _, in_one_line, of_own_file},
    setback::Setback,
};

/// How long all places together may hold up a request, about.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks the places that this host can read for a newer generation, and takes over the newest. What was found out stands in the
/// journal; it is for the caller to report once the agent listens.
///
/// A place that cannot be read does not stop a request: the generation that is here may well be the newest.
pub(in super::super) async fn look(worker: &Worker, vault: &str) -> Result<Vec<Entry>, Problem> {
    let mut entries = Vec::new();
    let Some(roster) = newest_roster(&worker.home, vault)? else {
        return Ok(entries);
    };
    let until = Instant::now() + PATIENCE;
    let mut newest: Option<(String, Bundle, u64)> = None;
    for place in &roster.places {
        let Some(at) = readable(worker, place) else {
            continue;
        };
        let rest = until.saturating_duration_since(Instant::now());
        let read = tokio::time::timeout(rest, read(worker, vault, &roster, place, at)).await;
        let why = match read {
            Ok(Ok(Some(bundle))) => match verify(&worker.home, vault, &bundle) {
                Ok(manifest) => {
                    let n = manifest.generation;
                    if newest.as_ref().is_none_or(|(_, _, m)| n > *m) {
                        newest = Some((place.name.clone(), bundle, n));
                    }
                    continue;
                }
                Err(problem) => in_one_line(&problem),
            },
            Ok(Ok(None)) => continue,
            Ok(Err(why)) => in_one_line(&why.into_problem()),
            Err(_) => format!("place {} did not answer in time", place.name),
        };
        let step = PlaceStep::PlaceUnread {
            place: place.name.clone(),
            why,
        };
        entries.push(
            worker
                .home
                .journal(vault)?
                .append(None, Step::Place(step), None)?,
        );
    }
    if let Some((place, bundle, _)) = newest {
        // A worker of this host that is rotating holds the lock; it knows better than any place.
        let writer = match worker.home.generations(vault)?.lock() {
            Err(VaultError::Busy { .. }) => return Ok(entries),
            other => other.explain()?,
        };
        if let Some(step) = adopt(&worker.home, &writer, vault, &bundle, &place)? {
            entries.push(
                worker
                    .home
                    .journal(vault)?
                    .append(None, Step::Place(step), None)?,
            );
        }
    }
    Ok(entries)
}

/// By what this host can read a place without a ceremony.
fn readable(worker: &Worker, place: &Place) -> Option<LookAt> {
    let config = worker.config.places.get(&place.name)?;
    match place.kind {
        PlaceKind::Folder => config.path.is_some().then_some(LookAt::Folder),
        PlaceKind::Secret { .. } => config.identity.clone().map(LookAt::Secret),
    }
}

async fn read(
    worker: &Worker,
    vault: &str,
    roster: &Roster,
    place: &Place,
    at: LookAt,
) -> Result<Option<Bundle>, Setback> {
    match (at, &place.kind) {
        (LookAt::Secret(identity), PlaceKind::Secret { secret_arn, .. }) => {
            let secret = SecretPlace {
                aws: worker.aws.clone(),
                name: place.name.clone(),
                arn: arn(secret_arn).map_err(Setback::Never)?,
                credentials: reader(&identity, &roster.aws.user_arn).map_err(Setback::Never)?,
            };
            Ok(secret.look().await?.map(|found| found.bundle.claimed(None)))
        }
        _ => {
            let config = worker.config.places.get(&place.name);
            FolderPlace::new(&place.name, vault, config)?.look().await
        }
    }
}

/// The key that may only read, from its file.
fn reader(file: &Path, break_glass: &str) -> Result<Credentials, Problem> {
    let wrong = |why: &dyn std::fmt::Display| {
        Problem::new(Code::Usage, format!("{}: {why}", file.display())).hint(
            "it holds what 'aws iam create-access-key' prints for the user that may only read, mode 0600, owned by the worker's account",
        )
    };
    let found = fs::metadata(file).map_err(|why| wrong(&why))?;
    if found.mode() & 0o077 != 0 {
        return Err(wrong(&"others can read it"));
    }
    let json = zeroize::Zeroizing::new(fs::read(file).map_err(|why| wrong(&why))?);
    let key = AccessKey::parse(&json).map_err(|why| wrong(&why))?;
    // Whoever puts the sealed user's own key here would undo the vault.
    if break_glass.rsplit('/').next() == Some(key.user_name()) {
        return Err(wrong(&"it is a key of the break-glass user"));
    }
    Ok(super::super::mint::credentials(&key))
}

/// Makes a bundle's generation the current one, if it is newer than what is here; the step to journal, if it was.
///
/// Rosters first, then the generation, then `current`: killed anywhere, what is here still holds together, and the next look
/// goes on.
pub(super) fn adopt(
    home: &Home,
    writer: &Writer,
    vault: &str,
    bundle: &Bundle,
    place: &str,
) -> Result<Option<PlaceStep>, Problem> {
    let manifest = verify(home, vault, bundle)?;
    let n = manifest.generation;
    // Read as it stands: `current` may be what was lost.
    if writer
        .current()
        .ok()
        .flatten()
        .is_some_and(|here| here >= n)
    {
        return Ok(None);
    }
    let known = writer
        .rosters()
        .map_err(|why| of_own_file("rosters", why))?;
    for roster in bundle.roster_chain.iter().skip(known.len()) {
        writer.add_roster(roster).explain()?;
    }
    // Our own, written and not committed before a crash, or nobody's.
    let same = writer
        .manifest(n)
        .is_ok_and(|here| here.digest() == manifest.digest());
    if !(same && writer.read(n).is_ok()) {
        writer.remove(n).explain()?;
        writer.write(&bundle.generation()).explain()?;
    }
    let mut seen = home.seen()?;
    seen.accept_chain(verify_chain(&longer(known, &bundle.roster_chain))?)?;
    writer.commit(n).explain()?;
    seen.accept_manifest(&manifest)?;
    Ok(Some(PlaceStep::GenerationAdopted {
        place: place.to_owned(),
        generation: n,
        manifest_sha256: manifest.digest(),
        access_key_id: manifest.access_key_id.clone(),
    }))
}

/// Checks a bundle that somebody else may have written: its rosters continue ours (or ours continue them) and hold what this host
/// is pinned to; its manifest is signed by a host that the newest of them still lists.
pub(super) fn verify(
    home: &Home,
    vault: &str,
    bundle: &Bundle,
) -> Result<Verified<Manifest>, Problem> {
    let (theirs, manifest) = bundle.verify().explain()?;
    let known = home
        .generations(vault)?
        .rosters()
        .map_err(|why| of_own_file("rosters", why))?;
    let forked = known
        .iter()
        .zip(&bundle.roster_chain)
        .any(|(ours, theirs)| ours.digest() != theirs.digest());
    let strange = |why: &str| {
        Problem::new(Code::Tampering, format!("a copied bundle: {why}"))
            .hint("keep the copy as evidence and tell the security officer")
    };
    if forked {
        return Err(strange("its roster is another one than this host's"));
    }
    let chain = if theirs.len() >= known.len() {
        theirs
    } else {
        verify_chain(&known)?
    };
    let pin = home.seen()?.roster(vault);
    let newest = chain.last().filter(|r| r.vault == vault);
    let Some(newest) = newest.filter(|_| chain.iter().any(|r| Some(r.digest()) == pin)) else {
        return Err(strange("this host is not pinned to its roster"));
    };
    if manifest.vault != vault || newest.host(manifest.host).is_none() {
        return Err(strange("the host that sealed it is not listed"));
    }
    Ok(manifest)
}

fn longer(
    ours: Vec<crate::trust::Envelope>,
    theirs: &[crate::trust::Envelope],
) -> Vec<crate::trust::Envelope> {
    if theirs.len() > ours.len() {
        theirs.to_vec()
    } else {
        ours
    }
}

/// The newest roster here, if this host has the vault at all; what is wrong with it is for [`Home::vault`] to say.
fn newest_roster(home: &Home, vault: &str) -> Result<Option<Verified<Roster>>, Problem> {
    if !home.has(vault)? {
        return Ok(None);
    }
    let Ok(chain) = home.generations(vault)?.rosters() else {
        return Ok(None);
    };
    Ok(verify_chain(&chain).ok().and_then(|mut c| c.pop()))
}
