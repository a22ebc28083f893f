//! A ceremony that is a drill: in each role of the access profile a session whose policy allows nothing is minted, seen to be refused, and
//! dropped right here; nobody gets it. What follows is the real rotation.

use std::time::Instant;

use super::{
    Worker,
    close::probe_of,
    home::Vault,
    mint::{assume, credentials, named, trace},
    plan::{Plan, operator_session},
    problems::in_one_line,
};
use crate::{
    aws::{Observation, ProbeAction},
    ceremony::{Approved, times::STS_LEAST_SECONDS},
    protocol::{
        Code, Problem,
        job::{AwsTrace, Step},
    },
    trust::{
        Digest,
        request::{NOTHING_ALLOWED, Purpose, Request},
        roster::Target,
    },
    vault::AccessKey,
};

/// How often one role's session is asked something, until the answer is a clear one.
const TRIES: u32 = 5;

/// Goes through all that a ceremony does until a session exists, and sees that it opens nothing.
pub(super) async fn run(
    worker: &mut Worker,
    vault: &Vault,
    plan: &Plan,
    approved: &Approved,
    key: &AccessKey,
) -> Result<(), Problem> {
    let request = approved.request();
    let nothing = Digest::of(NOTHING_ALLOWED.as_bytes());
    if request.purpose != Purpose::Drill || request.policy_sha256 != nothing {
        return Err(Problem::new(Code::Internal, "this ceremony is no drill"));
    }
    let probe = probe_of(&vault.roster, &request.access)?;
    let targets = request.targets(&vault.roster);
    let intent = Step::DrillIntent {
        roles: targets.iter().map(|t| t.role_arn.clone()).collect(),
    };
    log(worker, vault, &request.id, intent, None).await?;

    let mut first_problem = None;
    for target in targets {
        let (step, trace) =
            match rehearse(worker, vault, plan, (request, &target), probe, key).await {
                Ok(seen) => seen,
                Err(problem) => {
                    let step = Step::DrillFailed {
                        role: target.role_arn.clone(),
                        why: in_one_line(&problem),
                    };
                    first_problem.get_or_insert(problem);
                    (step, None)
                }
            };
        log(worker, vault, &request.id, step, trace).await?;
    }
    first_problem.map_or(Ok(()), Err)
}

/// One role: the session is here from STS's answer until the end of this function, and nowhere else.
async fn rehearse(
    worker: &Worker,
    vault: &Vault,
    plan: &Plan,
    (request, target): (&Request, &Target),
    probe: ProbeAction,
    key: &AccessKey,
) -> Result<(Step, Option<AwsTrace>), Problem> {
    let mut ask = operator_session(vault, request, target, NOTHING_ALLOWED, plan.clock.now())?;
    ask.duration_seconds = super::plan::seconds(STS_LEAST_SECONDS);
    let until = Instant::now() + worker.config.minting_patience();
    let minted = assume(&worker.aws, &credentials(key), &ask, until)
        .await
        .map_err(|why| named("the drill's session", &why))?;
    let profile = vault.roster.access(&request.access);
    let region = profile.and_then(|profile| profile.regions.first());
    let region = region.ok_or_else(|| {
        Problem::new(Code::Usage, "the access profile names no Region")
            .hint("the roster has to name one")
    })?;
    let mut unclear = String::new();
    for _ in 0..TRIES {
        let session = &minted.value.credentials;
        match worker.aws.probe_session(session, region, probe).await {
            Observation::Refused { code, .. } => {
                let step = Step::Drilled {
                    role: target.role_arn.clone(),
                    region: region.clone(),
                    probe: probe.as_str().to_owned(),
                    code,
                };
                return Ok((step, Some(trace(&minted))));
            }
            Observation::Allowed { .. } => {
                return Err(Problem::new(
                    Code::AwsRefused,
                    format!("a session that may do nothing was let in: {probe} in {region}"),
                )
                .hint("tell the security officer: aws did not apply the session's policy"));
            }
            Observation::Inconclusive { why } => unclear = why,
        }
    }
    Err(Problem::new(
        Code::AwsUnreachable,
        format!("the drill's session was not seen refused: {probe} in {region}: {unclear}"),
    ))
}

async fn log(
    worker: &mut Worker,
    vault: &Vault,
    id: &str,
    step: Step,
    aws: Option<AwsTrace>,
) -> Result<(), Problem> {
    let journal = worker.home.journal(&vault.name)?;
    let entry = journal.append(Some(id), step, aws)?;
    worker.link.report(entry).await;
    Ok(())
}
