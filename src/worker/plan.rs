//! From what an operator asks to the request that custodians sign: everything that could be refused at 3 a.m. is refused here.

use rand_core::{OsRng, RngCore as _};

use super::{Worker, ceremony::Asker, duties, home::Vault, ledger, mint, secrets};
use crate::{
    aws::{Arn, AssumeRole, PolicyVars, policy, revocation},
    ceremony::times,
    protocol::{Code, Problem, job::Ask},
    trust::{
        Bytes, Digest, Timestamp, Verified,
        request::{
            CLOSE_ONLY, CLOSE_ONLY_SECONDS, CheckResult, Clock, NOTHING_ALLOWED, Purpose, Request,
            request_id,
        },
        roster::{Access, Declared, Role, Roster, Target},
    },
};

/// A request before it is offered, with the session policy whose digest it carries.
pub(super) struct Plan {
    pub(super) request: Request,
    pub(super) policy: String,
    pub(super) clock: Skew,
    /// The roster version that it would take up.
    pub(super) next: Option<Verified<Roster>>,
}

/// AWS's clock minus the host's, in whole seconds; 0 where AWS could not be asked.
#[derive(Clone, Copy)]
pub(super) struct Skew(i64);

impl Skew {
    /// The time by the clock that the request's times are on.
    pub(super) fn now(self) -> Timestamp {
        Timestamp::now().plus(self.0)
    }
}

/// Draws up the request.
pub(super) async fn plan(
    worker: &Worker,
    vault: &Vault,
    ask: Ask,
    asker: Asker,
    worker_key: String,
) -> Result<Plan, Problem> {
    let Asker {
        operator,
        audit,
        checks,
    } = asker;
    let operator = operator.as_str();
    let current = vault.sealed()?;
    operator_may(vault, operator)?;
    duties::separate(vault, operator, ask.commander.as_deref())?;

    let (skew, clock) = clock(worker).await;
    let now = skew.now();
    let id = fresh_id();
    let opens = ask.close_only.is_none() && !ask.drill;
    let what = match &ask.close_only {
        _ if !opens && declares(&ask, &checks) => return Err(declares_too_much()),
        None if ask.drill => rehearsal(vault, &ask, now)?,
        None => session(worker, vault, &ask, &checks, (operator, &id), now)?,
        Some(asked) => closing(worker, vault, asked, now)?,
    };
    let What {
        targets,
        not_after,
        policy,
        ..
    } = what;

    let request = Request {
        v: 1,
        id,
        vault: vault.name.clone(),
        generation: current.manifest.generation,
        operator: operator.to_owned(),
        host: worker.home.key_id(),
        account: targets[0].account.clone(),
        role: targets[0].role_arn.clone(),
        also: targets[1..].to_vec(),
        secrets: what.secrets,
        purpose: what.purpose,
        access: what.access,
        policy_sha256: Digest::of(policy.as_bytes()),
        regions: what.regions,
        not_before: now,
        approve_before: times::approve_before(now, not_after),
        not_after,
        clock,
        incident: ask.incident,
        reason: ask.reason,
        commander_claimed: ask.commander,
        scenario: ask.scenario,
        subject: ask.subject,
        confirmed: ask.confirmed,
        follows: ask.follows,
        checks,
        roster_sha256: vault.roster.digest(),
        manifest_sha256: current.manifest.digest(),
        audit,
        worker_key,
        nonce: nonce(),
        operator_nonce: ask.nonce,
    };
    // STS's own limits on names, tags and policy, now and not after two taps.
    for target in &targets {
        operator_session(vault, &request, target, &policy, now)?
            .check()
            .map_err(|why| Problem::new(Code::Usage, &why).hint_if(why.hint()))?;
    }
    Ok(Plan {
        request,
        policy,
        clock: skew,
        next: None,
    })
}

/// Whose clock a request's times are read from, and how far it is from the host's.
pub(super) async fn clock(worker: &Worker) -> (Skew, Clock) {
    match worker.aws.aws_time().await {
        Some(date) => (
            Skew(Timestamp::now().until(Timestamp::from(date))),
            Clock::Aws,
        ),
        None => (Skew(0), Clock::Host),
    }
}

/// The worker's own 16 bytes of a request.
pub(super) fn nonce() -> Bytes {
    let mut nonce = vec![0; 16];
    OsRng.fill_bytes(&mut nonce);
    Bytes(nonce)
}

/// An id that no request had before.
pub(super) fn fresh_id() -> String {
    request_id(random_u128())
}

/// What a request asks for, as far as it differs by its purpose.
struct What {
    purpose: Purpose,
    access: String,
    /// At least one.
    targets: Vec<Target>,
    secrets: Vec<String>,
    regions: Vec<String>,
    policy: String,
    not_after: Timestamp,
}

/// A session for the operator.
fn session(
    worker: &Worker,
    vault: &Vault,
    ask: &Ask,
    checks: &[CheckResult],
    (operator, id): (&str, &str),
    now: Timestamp,
) -> Result<What, Problem> {
    // Whatever the operator's program and the agent made of it: the roster says on which terms.
    let terms = vault.roster.terms(&ask.declared(operator))?;
    let not_after = now.plus(i64::from(terms.seconds(ask.duration_seconds)?));
    terms.checked(checks)?;
    let access = terms.access;
    let targets = targets_of(access, vault);
    for target in &targets {
        if arn(&target.steward_role_arn)?.account() != target.account {
            return Err(Problem::new(
                Code::Usage,
                format!(
                    "the steward {} cannot close {}, which is in another account",
                    target.steward_role_arn, target.role_arn
                ),
            )
            .hint("the roster has to name a steward in that account"));
        }
    }
    // A session that could not be revoked later is refused now, and not after two taps.
    ledger::has_room(&ledger::read(worker, vault)?, &targets, now)?;
    Ok(What {
        purpose: Purpose::Open,
        access: access.name.clone(),
        targets,
        secrets: access.secrets.iter().map(|s| s.arn.clone()).collect(),
        regions: access.regions.clone(),
        policy: render(access, &ask.declared(operator), id, not_after)?,
        not_after,
    })
}

/// A drill: the roles of the access profile, and a policy that allows nothing.
fn rehearsal(vault: &Vault, ask: &Ask, now: Timestamp) -> Result<What, Problem> {
    let access = access(vault, ask)?;
    Ok(What {
        purpose: Purpose::Drill,
        access: access.name.clone(),
        targets: targets_of(access, vault),
        secrets: Vec::new(),
        regions: Vec::new(),
        policy: NOTHING_ALLOWED.to_owned(),
        not_after: now.plus(CLOSE_ONLY_SECONDS),
    })
}

/// Every role of an access profile.
fn targets_of(access: &Access, vault: &Vault) -> Vec<Target> {
    let first = Target {
        account: access.account.clone(),
        role_arn: access.role_arn.clone(),
        steward_role_arn: vault.roster.aws.steward_role_arn.clone(),
    };
    std::iter::once(first)
        .chain(access.also.iter().cloned())
        .collect()
}

/// No session: the stewards of what is to be closed, and the secrets that are owed.
fn closing(
    worker: &Worker,
    vault: &Vault,
    asked: &[String],
    now: Timestamp,
) -> Result<What, Problem> {
    let kept = |id: &str| secrets::is_kept(worker, id);
    let owed = ledger::owed(ledger::read(worker, vault)?, asked, kept, now)?;
    // What the roster does not name any more is rotated by hand.
    let mut secrets = ledger::secrets_owed(&owed);
    secrets.retain(|arn| vault.roster.secret(arn).is_some());
    let steward = |role: &str| -> Result<Target, Problem> {
        Ok(Target {
            account: arn(role)?.account().to_owned(),
            role_arn: role.to_owned(),
            steward_role_arn: role.to_owned(),
        })
    };
    let own = vault.roster.aws.steward_role_arn.as_str();
    let mut targets = vec![steward(own)?];
    let open = owed.iter().filter(|o| o.may_be_open(now));
    let all: Vec<Target> = open.flat_map(|o| o.targets.clone()).collect();
    let listed = vault.roster.steward_roles();
    let mut roles = mint::steward_roles(&all);
    roles.extend(secrets::stewards_of(&vault.roster, &secrets));
    for role in roles {
        // What the roster does not name any more is not asked for; that account's sessions end with their time.
        let there = targets.iter().any(|t| t.role_arn == role);
        if !there && listed.contains(&role.as_str()) {
            targets.push(steward(&role)?);
        }
    }
    Ok(What {
        purpose: Purpose::CloseOnly {
            requests: owed.into_iter().map(|o| o.request).collect(),
        },
        access: CLOSE_ONLY.to_owned(),
        targets,
        secrets,
        regions: Vec::new(),
        policy: NOTHING_ALLOWED.to_owned(),
        not_after: now.plus(CLOSE_ONLY_SECONDS),
    })
}

/// The session policy of a request, rendered from the roster: at the offer, and once more before minting.
pub(super) fn render(
    access: &Access,
    declared: &Declared<'_>,
    request: &str,
    not_after: Timestamp,
) -> Result<String, Problem> {
    let vars = PolicyVars {
        // A template that asks for one is refused without (`Roster::terms`).
        subject: declared.subject.unwrap_or("-").to_owned(),
        incident: declared.incident.to_owned(),
        operator: declared.operator.to_owned(),
        request: request.to_owned(),
    };
    policy::session_policy(&access.policy.0, &vars, not_after.into(), &access.probe)
        .map_err(|why| Problem::new(Code::Usage, &why).hint_if(why.hint()))
}

/// What STS is asked for the operator in one role.
pub(super) fn operator_session(
    vault: &Vault,
    request: &Request,
    target: &Target,
    policy: &str,
    now: Timestamp,
) -> Result<AssumeRole, Problem> {
    Ok(AssumeRole {
        role: arn(&target.role_arn)?,
        session_name: request.operator.clone(),
        source_identity: request.operator.clone(),
        external_id: Some(vault.roster.aws.external_id.clone()),
        tags: tag(&request.id),
        transitive: vec![revocation::TAG_KEY.to_owned()],
        policy: Some(policy.to_owned()),
        duration_seconds: seconds(times::sts_seconds(now, request.not_after)),
    })
}

/// The session tag that revocation denies.
pub(super) fn tag(request: &str) -> Vec<(String, String)> {
    vec![(revocation::TAG_KEY.to_owned(), request.to_owned())]
}

/// An ARN of the roster.
pub(super) fn arn(text: &str) -> Result<Arn, Problem> {
    Arn::parse(text).map_err(|why| Problem::new(Code::Usage, why))
}

/// A number of seconds as STS takes it.
pub(super) fn seconds(n: i64) -> u32 {
    u32::try_from(n).unwrap_or(900)
}

fn access<'v>(vault: &'v Vault, ask: &Ask) -> Result<&'v Access, Problem> {
    vault.roster.access(&ask.access).ok_or_else(|| {
        let names: Vec<&str> = vault
            .roster
            .access
            .iter()
            .map(|a| a.name.as_str())
            .collect();
        Problem::new(Code::Usage, "the roster has no such access profile")
            .hint(format!("it has: {}", names.join(", ")))
    })
}

fn operator_may(vault: &Vault, operator: &str) -> Result<(), Problem> {
    let listed = vault
        .roster
        .person(operator)
        .is_some_and(|p| p.roles.contains(&Role::Operator));
    if listed {
        Ok(())
    } else {
        Err(
            Problem::new(Code::Refused, "you are not an operator of this vault")
                .hint("an operator of the roster has to ask"),
        )
    }
}

/// Whether an ask, or what the agent says about it, has what only a session needs.
fn declares(ask: &Ask, checks: &[CheckResult]) -> bool {
    ask.scenario.is_some()
        || ask.subject.is_some()
        || !ask.confirmed.is_empty()
        || ask.follows.is_some()
        || !checks.is_empty()
}

fn declares_too_much() -> Problem {
    Problem::new(
        Code::Usage,
        "what opens no session has no scenario, no subject and no checks",
    )
    .hint("leave them out")
}

fn random_u128() -> u128 {
    let mut bytes = [0; 16];
    OsRng.fill_bytes(&mut bytes);
    u128::from_le_bytes(bytes)
}
