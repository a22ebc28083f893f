//! Named secrets: their sessions minted in the ceremony, their values replaced once the session is closed.
//!
//! ```text
//! mint ─▶ [kept on a tmpfs] ─▶ close: revoked, or expired ─▶ rotate ─▶ function · setter ─▶ receipt
//! ```
//!
//! A secret that fails keeps neither the session from being revoked nor the other secrets from being rotated: its cause stands in the
//! journal, and whoever asks to close again goes on where it stopped.

mod function;
mod generate;
pub(super) mod helper;
mod history;
mod kept;
mod program;
mod sandbox;
mod setter;

use std::{collections::HashMap, time::Duration};

use super::{
    Worker,
    close::receipt_step,
    home::Vault,
    journal::Journal,
    mint::{self, trace},
    plan::{arn, seconds, tag},
    problems::{in_one_line, of_aws},
    runtime::{self, Whose},
};
use crate::{
    aws::{AssumeRole, AwsError, Credentials, Minted, revocation, secrets::one_secret_policy},
    ceremony::times,
    protocol::{
        Code, Problem,
        job::{AwsTrace, Entry, SecretStep, Step, short_name},
    },
    trust::{
        Envelope, Timestamp,
        receipt::{self, Outcome, Receipt},
        request::Request,
        roster::{NamedSecret, Roster, Setter},
    },
    vault::AccessKey,
};
use history::History;
use kept::Kept;

/// How long these sessions are asked for in a ceremony, all together; closing is not worth more of the operator's emergency.
const MINT_PATIENCE: Duration = Duration::from_secs(10);
/// How long another worker's claim is waited for, between two looks.
const CLAIM_PAUSE: Duration = Duration::from_secs(1);

/// Mints the sessions of the request's secrets that have a setter, each for that secret alone. Access does not hang on it: what cannot be
/// had is noted, and its secret is owed.
pub(super) async fn mint(worker: &mut Worker, vault: &Vault, request: &Request, key: &AccessKey) {
    let secrets = named(vault, request);
    // Without a steward nothing came to exist that could be closed.
    if secrets.is_empty() || !worker.home.runtime().has(&request.id) {
        return;
    }
    let mut kept = Kept::new(secrets, end_of_sessions(request));
    mint_own(worker, vault, request, &mut kept, key).await;
    if let Err(problem) = kept.keep(worker.home.runtime(), &request.id) {
        eprintln!("error: {problem}");
    }
}

/// The same for the secrets that are owed after earlier sessions, in a ceremony that only closes. Its stewards are there already; here no
/// operator waits, and what could not be kept must not be minted.
pub(super) async fn mint_owed(
    worker: &Worker,
    vault: &Vault,
    request: &Request,
    stewards: &HashMap<String, Result<Minted, String>>,
    key: &AccessKey,
) -> Result<(), Problem> {
    let secrets = named(vault, request);
    if secrets.is_empty() {
        return Ok(());
    }
    let mut kept = Kept::new(secrets, end_of_sessions(request));
    for (role, steward) in stewards {
        let account = arn(role)?.account().to_owned();
        match steward {
            Ok(minted) => kept.add_steward(&account, &minted.credentials),
            Err(why) => kept.add_steward_missing(&account, why),
        }
    }
    // A worker that is killed from here on leaves what the next one can begin with.
    kept.keep(worker.home.runtime(), &request.id)?;
    mint_own(worker, vault, request, &mut kept, key).await;
    kept.keep(worker.home.runtime(), &request.id)
}

/// A session for each secret that has a setter, or why there is none.
async fn mint_own(
    worker: &Worker,
    vault: &Vault,
    request: &Request,
    kept: &mut Kept,
    key: &AccessKey,
) {
    let credentials = mint::credentials(key);
    let until = std::time::Instant::now() + MINT_PATIENCE;
    for secret in kept.secrets.clone() {
        let Some(setter) = &secret.setter else {
            continue;
        };
        let arn = &secret.arn;
        match session(worker, vault, request, arn, setter, &credentials, until).await {
            Ok(session) => kept.add_own(arn, &session),
            Err(problem) => kept.add_missing(arn, in_one_line(&problem)),
        }
    }
}

/// The stewards of these secrets' accounts, for those that have a rotation function.
pub(super) fn stewards_of(roster: &Roster, secrets: &[String]) -> Vec<String> {
    let functions = secrets.iter().filter_map(|arn| roster.secret(arn));
    let accounts: Vec<&str> = functions
        .filter(|s| s.setter.is_none())
        .map(NamedSecret::account)
        .collect();
    let mut roles: Vec<String> = Vec::new();
    for role in roster.steward_roles() {
        let account = role.split(':').nth(4).unwrap_or_default();
        if accounts.contains(&account) && !roles.iter().any(|r| r == role) {
            roles.push(role.to_owned());
        }
    }
    roles
}

/// Whether anything is kept of a request: its sessions, or those for its secrets.
pub(super) fn is_kept(worker: &Worker, request: &str) -> bool {
    let runtime = worker.home.runtime();
    runtime.has(request) || Kept::is_there(runtime, request)
}

/// The secrets that a request names, as the roster has them.
fn named(vault: &Vault, request: &Request) -> Vec<NamedSecret> {
    if !request.purpose.is_open() {
        let named = request.secrets.iter();
        return named
            .filter_map(|arn| vault.roster.secret(arn).cloned())
            .collect();
    }
    let secrets = vault.roster.access(&request.access).map(|a| &a.secrets);
    secrets
        .into_iter()
        .flatten()
        .filter(|s| request.secrets.contains(&s.arn))
        .cloned()
        .collect()
}

/// The steward's twelve hours, counted from about the last moment at which they can have begun; AWS says when they are really over.
fn end_of_sessions(request: &Request) -> Timestamp {
    request.approve_before.plus(times::STEWARD_SECONDS)
}

async fn session(
    worker: &Worker,
    vault: &Vault,
    request: &Request,
    secret: &str,
    setter: &Setter,
    credentials: &Credentials,
    until: std::time::Instant,
) -> Result<Credentials, Problem> {
    let ask = AssumeRole {
        role: arn(&setter.role_arn)?,
        session_name: format!("secret-{}", request.id),
        source_identity: request.operator.clone(),
        external_id: Some(vault.roster.aws.external_id.clone()),
        tags: tag(&request.id),
        transitive: vec![revocation::TAG_KEY.to_owned()],
        policy: Some(one_secret_policy(secret)),
        duration_seconds: seconds(times::STEWARD_SECONDS),
    };
    match mint::assume(&worker.aws, credentials, &ask, until).await {
        Ok(answer) => Ok(answer.value.credentials),
        Err(why) => Err(of_aws(&why)),
    }
}

/// After a session: its secrets take over what they need of it, the rest is forgotten, and they are rotated.
pub(super) async fn after(
    worker: &mut Worker,
    vault: &Vault,
    request: &Request,
    session: &runtime::Kept,
) -> Result<(), Problem> {
    take_over(worker, vault, request, session)?;
    worker.home.runtime().forget(&request.id)?;
    rotate(worker, vault, &request.id).await
}

/// Keeps the stewards, by account, for those secrets that they rotate. Before this is done the session must not be forgotten.
fn take_over(
    worker: &Worker,
    vault: &Vault,
    request: &Request,
    session: &runtime::Kept,
) -> Result<(), Problem> {
    if request.secrets.is_empty() {
        return Ok(());
    }
    let runtime = worker.home.runtime();
    let mut kept = match Kept::read(runtime, &request.id)? {
        Some(kept) => kept,
        // Killed before the secrets' own sessions were minted: those with a rotation function need none.
        None => Kept::new(named(vault, request), end_of_sessions(request)),
    };
    for target in &session.targets {
        if let Some(steward) = session.credentials(Whose::Steward, &target.steward_role_arn) {
            kept.add_steward(&target.account, &steward);
        }
    }
    kept.keep(runtime, &request.id)
}

/// Whether nothing but the secrets of a request is left to do.
pub(super) fn are_left(worker: &Worker, request: &str) -> Result<bool, Problem> {
    let runtime = worker.home.runtime();
    Ok(!runtime.has(request) && Kept::read(runtime, request)?.is_some())
}

/// Rotates what a closed request names and is not rotated yet. The error names what is left for another try.
pub(super) async fn rotate(
    worker: &mut Worker,
    vault: &Vault,
    request: &str,
) -> Result<(), Problem> {
    if Kept::read(worker.home.runtime(), request)?.is_none() {
        return Ok(());
    }
    let _alone = loop {
        match Kept::claim(worker.home.runtime(), request)? {
            Some(claim) => break claim,
            None => tokio::time::sleep(CLAIM_PAUSE).await,
        }
    };
    let Some(kept) = Kept::read(worker.home.runtime(), request)? else {
        return Kept::forget(worker.home.runtime(), request);
    };
    let journal = worker.home.journal(&vault.name)?;
    let mut left = Vec::new();
    for secret in &kept.secrets {
        let mut run = Run {
            history: History::of(&journal.since(0)?, request, &secret.arn),
            journal: &journal,
            worker,
            vault: &vault.name,
            request,
            secret,
        };
        if run.history.rotated {
            continue;
        }
        let tried = match kept.session(secret) {
            Ok(session) => run.attempt(&session, kept.until).await,
            Err(why) => Err(Setback::Over(why)),
        };
        if let Err(setback) = tried
            && run.failed(&setback).await?
        {
            left.push((short_name(&secret.arn), setback));
        }
    }
    problem(&left).map_or_else(|| Kept::forget(worker.home.runtime(), request), Err)
}

/// What is left, in one line; how soon it is worth another try is in its code.
fn problem(left: &[(&str, Setback)]) -> Option<Problem> {
    let soon = left.iter().any(|(_, s)| matches!(s, Setback::Soon(_)));
    let code = match (left.is_empty(), soon) {
        (true, _) => return None,
        (_, true) => Code::AwsUnreachable,
        (_, false) => Code::Refused,
    };
    let each: Vec<String> = left
        .iter()
        .map(|(name, why)| format!("{name}: {}", why.why()))
        .collect();
    let said = format!("named secrets are not rotated yet: {}", each.join("; "));
    Some(Problem::new(code, said).hint("it is tried again by itself; see twotap status"))
}

/// Why a secret could not be rotated now.
enum Setback {
    /// A little later it may go.
    Soon(String),
    /// Somebody has to repair something first.
    People(String),
    /// This host cannot do it any more.
    Over(String),
}

impl Setback {
    fn why(&self) -> &str {
        match self {
            Self::Soon(why) | Self::People(why) | Self::Over(why) => why,
        }
    }

    /// A call of AWS's that failed.
    fn of_aws(why: &AwsError) -> Self {
        let said = in_one_line(&of_aws(why));
        match why.code() {
            Some("ExpiredToken" | "ExpiredTokenException") => Self::Over(format!(
                "the session that could rotate it has ended: {said}"
            )),
            _ if why.is_transient() => Self::Soon(said),
            _ => Self::People(said),
        }
    }
}

impl From<Problem> for Setback {
    fn from(problem: Problem) -> Self {
        Self::Soon(in_one_line(&problem))
    }
}

/// One secret's rotation.
struct Run<'w> {
    worker: &'w mut Worker,
    journal: &'w Journal,
    vault: &'w str,
    request: &'w str,
    secret: &'w NamedSecret,
    /// What the journal has of it.
    history: History,
}

impl Run<'_> {
    async fn attempt(&mut self, session: &Credentials, until: Timestamp) -> Result<(), Setback> {
        if Timestamp::now() >= until {
            let why = "the sessions of the ceremony have ended";
            return Err(Setback::Over(why.to_owned()));
        }
        match &self.secret.setter {
            None => function::rotate(self, session).await,
            Some(by) => setter::rotate(self, session, by).await,
        }
    }

    /// Writes a step to the journal and tells it.
    async fn log(&mut self, did: SecretStep, aws: Option<AwsTrace>) -> Result<(), Problem> {
        let step = Step::Secret {
            secret: self.secret.arn.clone(),
            did,
        };
        let entry = self.journal.append(Some(self.request), step, aws)?;
        self.history.take(&entry);
        self.worker.link.report(entry).await;
        Ok(())
    }

    /// The end of a rotation, with its receipt.
    async fn rotated(&mut self, version: &str, previous: Option<String>) -> Result<(), Problem> {
        let receipt = Receipt {
            v: 1,
            vault: self.vault.to_owned(),
            request: Some(self.request.to_owned()),
            host: self.worker.home.key_id(),
            outcome: Outcome::SecretRotated {
                secret: self.secret.arn.clone(),
                version: version.to_owned(),
                previous,
                setter: self.secret.setter.as_ref().map(|s| s.name.clone()),
            },
            steps: self.history.steps.iter().map(line).collect(),
        };
        let did = SecretStep::Rotated {
            version: version.to_owned(),
            receipt: Envelope::signed(&receipt, self.worker.home.key())?,
        };
        self.log(did, None).await
    }

    /// Notes a setback, unless the journal has said the same last; whether this host tries again.
    async fn failed(&mut self, setback: &Setback) -> Result<bool, Problem> {
        let again = !matches!(setback, Setback::Over(_));
        let did = SecretStep::Failed {
            why: setback.why().to_owned(),
            again,
        };
        if self.history.last_failure.as_ref() != Some(&did) {
            self.log(did, None).await?;
        }
        Ok(again)
    }

    /// What AWS says of the secret now, if it can be rotated at all.
    async fn facts(&self, session: &Credentials) -> Result<crate::aws::SecretFacts, Setback> {
        let facts = self.worker.aws.describe_secret(session, &self.secret.arn);
        let facts = facts.await.map_err(|why| Setback::of_aws(&why))?.value;
        if facts.deleted {
            let why = "it is marked for deletion";
            return Err(Setback::People(why.to_owned()));
        }
        if let Some(primary) = &facts.primary_region {
            return Err(Setback::People(format!(
                "it is a copy from {primary}, and is rotated there alone"
            )));
        }
        Ok(facts)
    }
}

/// A step as a line of a receipt.
fn line(entry: &Entry) -> receipt::Step {
    let mut line = receipt_step(entry);
    if let Step::Secret { did, .. } = &entry.step {
        line.step = did.name().to_owned();
    }
    line
}

/// AWSPENDING stands on a version that is not ours.
fn stuck(version: &str) -> Setback {
    Setback::People(format!(
        "AWSPENDING stands on version {version}, of an earlier rotation that nobody finished; it is left as it is: finish that \
         rotation, or take AWSPENDING off it"
    ))
}

/// A call's own account of itself.
fn traced<T>(answer: &crate::aws::Answer<T>) -> Option<AwsTrace> {
    Some(trace(answer))
}
