//! A secret with a rotation function of its own: started, and waited for until the labels have moved.

use std::time::{Duration, Instant};

use super::{Run, Setback, generate, stuck, traced};
use crate::{
    aws::{
        Credentials, SecretFacts,
        secrets::{CURRENT, PENDING, PREVIOUS},
    },
    protocol::job::SecretStep,
};

/// The first pause between two looks; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Rotates it, as the steward.
pub(super) async fn rotate(run: &mut Run<'_>, session: &Credentials) -> Result<(), Setback> {
    let facts = run.facts(session).await?;
    if !facts.rotates_itself() {
        let why = "it has no rotation function, and the roster names no setter for it";
        return Err(Setback::People(why.to_owned()));
    }
    let before = facts.version_with(CURRENT).map(str::to_owned);
    let version = match (run.history.version.clone(), run.history.requested) {
        // Asked for by a worker before this one; where no label stands on it any more its function has given it up.
        (Some(version), true) if facts.versions.contains_key(&version) => version,
        // The call itself may be lost: the same version once more is the same rotation.
        (Some(version), false) => {
            start(run, session, &facts, &version).await?;
            version
        }
        _ => {
            // Begun by this host after another request, and left: it is this one that is finished.
            let left = facts
                .version_with(PENDING)
                .filter(|v| run.history.is_ours(v) && !facts.has_label(v, CURRENT));
            let version = left.map_or_else(generate::version, str::to_owned);
            free(&facts, &version)?;
            let did = SecretStep::Intent {
                version: version.clone(),
            };
            run.log(did, None).await?;
            start(run, session, &facts, &version).await?;
            version
        }
    };
    wait(run, session, &version).await?;
    // What counted before is known only where this worker has seen it.
    let previous = before.filter(|before| *before != version);
    Ok(run.rotated(&version, previous).await?)
}

/// Whether nobody else's rotation is under way.
fn free(facts: &SecretFacts, version: &str) -> Result<(), Setback> {
    match facts.version_with(PENDING) {
        Some(other) if other != version && !facts.has_label(other, CURRENT) => Err(stuck(other)),
        _ => Ok(()),
    }
}

async fn start(
    run: &mut Run<'_>,
    session: &Credentials,
    facts: &SecretFacts,
    version: &str,
) -> Result<(), Setback> {
    free(facts, version)?;
    let requested = SecretStep::Requested {
        version: version.to_owned(),
    };
    if facts.versions.contains_key(version) {
        // The answer was lost, or the worker that had it: AWS knows the version.
        return Ok(run.log(requested, None).await?);
    }
    match run
        .worker
        .aws
        .rotate_secret(session, &run.secret.arn, version)
        .await
    {
        Ok(answer) => Ok(run.log(requested, traced(&answer)).await?),
        Err(why) => {
            let setback = Setback::of_aws(&why);
            if !why.may_have_acted() {
                return Err(setback);
            }
            // It may have begun all the same: the labels say.
            let facts = run.facts(session).await?;
            match facts.versions.contains_key(version) {
                true => Ok(run.log(requested, None).await?),
                false => Err(setback),
            }
        }
    }
}

/// Until AWSCURRENT stands on the version and AWSPENDING on no other.
async fn wait(run: &mut Run<'_>, session: &Credentials, version: &str) -> Result<(), Setback> {
    let patience = run.worker.config.function_patience();
    let until = Instant::now() + patience;
    let mut pause = FIRST_PAUSE;
    let mut seen = false;
    loop {
        let facts = run.facts(session).await?;
        let came = facts.has_label(version, CURRENT) || facts.has_label(version, PREVIOUS);
        if came && free(&facts, version).is_ok() {
            return Ok(());
        }
        let there = facts.versions.contains_key(version);
        let late = Instant::now() + pause > until;
        // Right after the call it may not be there yet.
        if !there && (seen || late) {
            return Err(Setback::People(format!(
                "{} has given up: no label stands on version {version} any more; see its log",
                function(&facts)
            )));
        }
        if late {
            return Err(Setback::People(format!(
                "{} has not finished within {} s: AWSPENDING still stands on version {version}; see its log",
                function(&facts),
                patience.as_secs()
            )));
        }
        seen |= there;
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn function(facts: &SecretFacts) -> String {
    match &facts.rotation_function {
        Some(function) => format!("the rotation function {function}"),
        None => "the rotation by AWS itself".to_owned(),
    }
}
