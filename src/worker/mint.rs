//! Minting: the intent first, then the steward's session, then the operator's.

use std::time::{Duration, Instant};

use super::{
    Worker,
    home::Vault,
    plan::{Plan, arn, operator_session, render, seconds, tag},
    problems::{in_one_line, may_pass, of_aws},
    runtime::Kept,
    secrets,
};
use crate::{
    aws::{Answer, AssumeRole, AwsError, Credentials, Minted, revocation},
    ceremony::{Approved, Open, times},
    protocol::{
        Code, Problem,
        job::{AwsTrace, FromWorker, Step},
    },
    trust::{Digest, Timestamp, request::Request},
    vault::AccessKey,
};

/// The first pause between two tries to get a session; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Mints the steward's and the operator's session and hands the operator's to the agent.
///
/// Killed before the intent: nothing happened. After it: closing revokes by the request's tag, whatever is known. The steward comes
/// first, so that no operator's session ever exists that could not be closed.
pub(super) async fn mint(
    worker: &mut Worker,
    vault: &Vault,
    plan: &Plan,
    approved: Approved,
    key: &AccessKey,
) -> Result<(), Problem> {
    let request = approved.request().clone();
    // The approvals cover a digest; what is sent must be what that digest says, by this worker's own rendering.
    let policy = policy_as_approved(vault, &request)?;
    let now = plan.clock.now();
    let end = not_after_of_credentials(&request, now);
    let revocation = revocation::revocation_name(&request.id, end.into())
        .map_err(|why| Problem::new(Code::Internal, why))?;

    let journal = worker.home.journal(&vault.name)?;
    let id = request.id.clone();
    let intent = Step::MintIntent {
        role: request.role.clone(),
        not_after: request.not_after,
        revocation: revocation.clone(),
    };
    worker
        .link
        .report_and_wait(journal.append(Some(&id), intent, None)?)
        .await;
    let open = approved.open();

    let result = sessions(worker, vault, &open, &policy, key, revocation, now).await;
    match result {
        Ok(answer) => {
            let step = Step::Minted {
                assumed_role: answer.value.assumed_role_arn.clone(),
                access_key_id: answer.value.credentials.access_key_id().to_owned(),
                not_after: request.not_after,
            };
            let session = worker.home.runtime().read(&id)?.session()?;
            let entry = journal.append(Some(&id), step, Some(trace(&answer)))?;
            worker.link.report(entry).await;
            worker.link.send(&FromWorker::Session(session)).await;
            // The operator has not waited for these.
            secrets::mint(worker, vault, open.request(), key).await;
            Ok(())
        }
        Err(problem) => {
            let step = Step::MintFailed {
                why: in_one_line(&problem),
            };
            let entry = journal.append(Some(&id), step, None)?;
            worker.link.report(entry).await;
            Err(problem)
        }
    }
}

/// Steward, kept; operator, kept.
async fn sessions(
    worker: &Worker,
    vault: &Vault,
    open: &Open,
    policy: &str,
    key: &AccessKey,
    revocation: String,
    now: Timestamp,
) -> Result<Answer<Minted>, Problem> {
    let request = open.request();
    let credentials = credentials(key);
    let until = Instant::now() + worker.config.minting_patience();
    let steward = steward_session(vault, request)?;
    let steward = assume(worker, &credentials, &steward, until)
        .await
        .map_err(|why| named("the steward's session", &why))?;
    let offer = open.offer().envelope().clone();
    let kept = Kept::new(offer, revocation, request.not_after, &steward.value);
    worker.home.runtime().keep(&request.id, &kept)?;

    let operator = operator_session(vault, request, policy, now)?;
    let operator = assume(worker, &credentials, &operator, until)
        .await
        .map_err(|why| named("the operator's session", &why))?;
    worker
        .home
        .runtime()
        .keep(&request.id, &kept.with_operator(&operator.value))?;
    Ok(operator)
}

/// Asks again where an answer may still come: two taps are not to be lost over one bad minute of the network. An answer that was lost may
/// have been a session; nobody holds its secret, and closing revokes it by the same tag.
pub(super) async fn assume(
    worker: &Worker,
    credentials: &Credentials,
    ask: &AssumeRole,
    until: Instant,
) -> Result<Answer<Minted>, AwsError> {
    let mut pause = FIRST_PAUSE;
    loop {
        match worker.aws.assume_role(credentials, ask).await {
            Err(why) if may_pass(&why) && Instant::now() + pause < until => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            answer => return answer,
        }
    }
}

/// What the steward may do stands in its role's policy: change inline policies of operator roles that carry the boundary.
fn steward_session(vault: &Vault, request: &Request) -> Result<AssumeRole, Problem> {
    Ok(AssumeRole {
        role: arn(&vault.roster.aws.steward_role_arn)?,
        session_name: format!("steward-{}", request.id),
        source_identity: request.operator.clone(),
        external_id: Some(vault.roster.aws.external_id.clone()),
        tags: tag(&request.id),
        transitive: vec![revocation::TAG_KEY.to_owned()],
        policy: None,
        duration_seconds: seconds(times::STEWARD_SECONDS),
    })
}

fn policy_as_approved(vault: &Vault, request: &Request) -> Result<String, Problem> {
    let access = vault
        .roster
        .access(&request.access)
        .ok_or_else(|| Problem::new(Code::Tampering, "the roster has no such access profile"))?;
    let policy = render(
        access,
        &request.id,
        &request.incident,
        &request.operator,
        request.not_after,
    )?;
    if Digest::of(policy.as_bytes()) == request.policy_sha256 {
        Ok(policy)
    } else {
        Err(Problem::new(
            Code::Tampering,
            "the session policy is not the one that was approved",
        ))
    }
}

/// When the credentials themselves end: STS gives no less than 15 minutes, so this may lie after the box.
fn not_after_of_credentials(request: &Request, now: Timestamp) -> Timestamp {
    now.plus(times::sts_seconds(now, request.not_after))
        .max(request.not_after)
}

/// A long-term key as the AWS client takes it.
pub(super) fn credentials(key: &AccessKey) -> Credentials {
    Credentials::new(key.id(), key.expose_secret(), None, None, "twotap")
}

/// AWS's own account of a call.
pub(super) fn trace<T>(answer: &Answer<T>) -> AwsTrace {
    AwsTrace {
        request_id: answer.request_id.clone(),
        date: answer.date.map(Timestamp::from),
    }
}

fn named(what: &str, why: &AwsError) -> Problem {
    let mut problem = of_aws(why);
    problem.error = format!("{what} could not be had: {}", problem.error);
    problem
}
