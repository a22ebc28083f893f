//! Sealing a credential that an officer brings: it is sealed as it is, and then rotated at once. Where as many tokens as the threshold were
//! lost, what recovery shares opened is sealed so under the roster that they stand for.
//!
//! The key that a human saw dies before anybody relies on it. Killed in between, it is sealed and works, and the next ceremony
//! rotates it.

use std::time::{Duration, Instant};

use rand_core::OsRng;

use super::{
    Worker,
    home::Vault,
    mint::{credentials, trace},
    places::{self, Turn},
    problems::Explain as _,
    rotate::{self, Rotation, prove},
    setback::{Setback, Tries, setback},
};
use crate::{
    protocol::{
        Code, Problem,
        job::{AwsTrace, FromWorker, Step, ToWorker},
    },
    trust::{
        Bytes, Envelope, Head, Timestamp, Verified,
        manifest::Manifest,
        request::SealOffer,
        roster::{By, Roster},
        stack,
    },
    vault::{AccessKey, OneTime, SealInput, seal},
};

/// How long a place that holds the claim is waited for: an officer is watching.
const CLAIM: Duration = Duration::from_secs(60);
/// How long a key that was just made may stay unknown.
const NEW_KEYS_LAG: Duration = Duration::from_secs(60);
/// How long the credential may take to come.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// Offers a one-time key, takes the credential, seals it, rotates it.
pub(super) async fn run(
    worker: &mut Worker,
    vault: &str,
    next: Option<&Envelope>,
    audit: Head,
    nonce: Bytes,
) -> Result<(), Problem> {
    let found = places::look(worker, vault).await?;
    let vault = worker.home.vault(vault)?;
    let next = next.map(|next| by_paper(&vault, next)).transpose()?;
    let one_time = OneTime::generate();
    let offer = SealOffer {
        v: 1,
        vault: vault.name.clone(),
        roster_sha256: next.as_ref().unwrap_or(&vault.roster).digest(),
        host: worker.home.key_id(),
        worker_key: one_time.recipient(),
        nonce,
    };
    let offer = Envelope::signed(&offer, worker.home.key())?;
    worker.link.send(&FromWorker::SealOffer { offer }).await;
    for entry in found {
        worker.link.report(entry).await;
    }

    let key = credential(worker, &one_time).await?;
    let turn = store(worker, &vault.name, &key, next.as_ref(), audit).await?;
    rotate::rotate(
        worker,
        Rotation {
            vault: &vault.name,
            request: None,
            audit,
            key,
            turn,
            next: None,
        },
    )
    .await
}

async fn credential(worker: &mut Worker, one_time: &OneTime) -> Result<AccessKey, Problem> {
    let message = tokio::time::timeout(PATIENCE, worker.link.receive())
        .await
        .map_err(|_| Problem::new(Code::Refused, "no credential came in time"))??;
    match message {
        Some(ToWorker::Credential { sealed }) => {
            stack::wiped(|| AccessKey::parse(&one_time.open(&sealed.0).explain()?).explain())
        }
        _ => Err(Problem::new(Code::Agent, "the agent sent no credential")),
    }
}

/// The next version of the roster, if recovery shares stand for it. One that custodians stand for is approved by them, in a ceremony.
fn by_paper(vault: &Vault, next: &Envelope) -> Result<Verified<Roster>, Problem> {
    let next = vault.next_version(next)?;
    if next.by == Some(By::Recovery) {
        return Ok(next);
    }
    Err(Problem::new(
        Code::Refused,
        "custodians stand for that version, not recovery shares",
    )
    .hint("custodians have to approve it: twotap roster submit"))
}

/// Checks whose key it is and that it works, and makes it the current generation.
async fn store(
    worker: &mut Worker,
    vault: &str,
    key: &AccessKey,
    next: Option<&Verified<Roster>>,
    audit: Head,
) -> Result<Turn, Problem> {
    let vault = worker.home.vault(vault)?;
    check_owner(worker, &vault, key).await?;
    let proven = takes_role(worker, &vault, key).await?;

    let (mut turn, vault) = turn(worker, vault, key).await?;
    let writer = worker.home.generations(&vault.name)?.lock().explain()?;
    let until = Instant::now() + worker.config.rotation_patience().min(CLAIM);
    turn.claimed(worker, &writer, &vault, key, until)
        .await
        .map_err(Setback::into_problem)?;
    // Until now a rotation may have made another generation, and taken this key for a stranger's. From here on nothing moves.
    let mut vault = worker.home.vault(&vault.name)?;
    worker
        .aws
        .caller_identity(&credentials(key))
        .await
        .explain()?;
    // As in a rotation: it counts from the commit of the generation that is sealed under it.
    vault.take_up(next, &writer)?;
    let number = vault.current.as_ref().map_or(0, |c| c.manifest.generation) + 1;
    let input = SealInput {
        vault: &vault.name,
        generation: number,
        credential: key,
        roster: &vault.roster,
        previous: vault.manifest_digest(),
        audit,
        created_at: Timestamp::now(),
        host_key_id: worker.home.key_id(),
    };
    let generation = stack::wiped(|| seal(&input, worker.home.key(), &mut OsRng)).explain()?;
    // Too large for a place is found out before anything rests on it.
    places::fits(&vault, &generation).explain()?;
    let manifest = Manifest::verify(&generation.manifest, &vault.roster)?;
    writer.remove(number).explain()?;
    writer.write(&generation).explain()?;
    let journal = worker.home.journal(&vault.name)?;
    let written = Step::GenerationWritten {
        generation: number,
        manifest: generation.manifest.clone(),
    };
    worker
        .link
        .report(journal.append(None, written, None)?)
        .await;
    let works = Step::KeyProven {
        access_key_id: key.id().to_owned(),
    };
    worker
        .link
        .report(journal.append(None, works, Some(proven))?)
        .await;
    let counted = turn
        .commit(worker, &writer, &vault, &manifest, key, until)
        .await;
    if let Err(why) = counted {
        turn.give_back(worker, &vault, key).await;
        return Err(why.into_problem());
    }
    // What cannot be remembered now is remembered by whoever reads the vault next: the rotation that follows.
    let committed = Step::GenerationCommitted {
        generation: number,
        manifest_sha256: manifest.digest(),
        access_key_id: key.id().to_owned(),
    };
    worker
        .link
        .report(journal.append(None, committed, None)?)
        .await;
    worker.home.seen()?.accept_manifest(&manifest)?;
    Ok(turn)
}

/// This host's turn at sealing, on top of whatever another host has sealed meanwhile.
async fn turn(
    worker: &mut Worker,
    vault: Vault,
    key: &AccessKey,
) -> Result<(Turn, Vault), Problem> {
    let again = format!("twotap vault seal {} --from FILE", vault.name);
    let before = vault.manifest_digest();
    match Turn::begin(worker, &vault, None, again.clone(), key).await {
        Ok(turn) => Ok((turn, vault)),
        Err(problem) => {
            let vault = worker.home.vault(&vault.name)?;
            if vault.manifest_digest() == before {
                return Err(problem);
            }
            // It was behind, and followed.
            let turn = Turn::begin(worker, &vault, None, again, key).await?;
            Ok((turn, vault))
        }
    }
}

/// The key must be the break-glass user's.
async fn check_owner(worker: &mut Worker, vault: &Vault, key: &AccessKey) -> Result<(), Problem> {
    let mut tries = Tries::new("the new key to be known", until(worker));
    let identity = loop {
        match worker.aws.caller_identity(&credentials(key)).await {
            Ok(identity) => break identity,
            Err(why) => again(worker, &mut tries, setback(&why)).await?,
        }
    };
    if identity.value.arn == vault.roster.aws.user_arn {
        return Ok(());
    }
    Err(Problem::new(
        Code::Refused,
        format!(
            "that key belongs to {}, the roster names {}",
            identity.value.arn, vault.roster.aws.user_arn
        ),
    )
    .hint("make a key for the break-glass user and seal that"))
}

/// The key must take the operator role: the generation that works now stays until this one is proven.
async fn takes_role(
    worker: &mut Worker,
    vault: &Vault,
    key: &AccessKey,
) -> Result<AwsTrace, Problem> {
    let mut tries = Tries::new("the new key to work", until(worker));
    loop {
        match prove::take_role(worker, vault, None, key).await {
            Ok(answer) => return Ok(trace(&answer)),
            Err(setback) => again(worker, &mut tries, setback).await?,
        }
    }
}

/// A key that is mistyped looks like one that is not known everywhere yet: whoever waits is told after a minute.
fn until(worker: &Worker) -> Instant {
    Instant::now() + worker.config.rotation_patience().min(NEW_KEYS_LAG)
}

async fn again(worker: &mut Worker, tries: &mut Tries, setback: Setback) -> Result<(), Problem> {
    tries
        .again(setback, &mut worker.link, None)
        .await
        .map_err(Setback::into_problem)
}
