//! Minting: the intent first, then the stewards' sessions, then the operator's.
//!
//! A request may name several roles, in one account or in several. Each is opened by itself, by the user's own key (a chained session would
//! last an hour at most), and what cannot be opened is shown beside what can: whoever is called at night with three accounts on fire wants
//! the two that open, at once, and to be told plainly about the third. So the session is open as soon as one role is, whichever it is; but
//! no other role ever stands in for the first one, which commands use that name none.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::{
    Worker,
    home::Vault,
    journal::Journal,
    plan::{Plan, arn, operator_session, render, seconds, tag},
    problems::{in_one_line, may_pass, of_aws},
    room,
    runtime::{Kept, Whose},
    secrets,
};
use crate::{
    aws::{Answer, AssumeRole, Aws, AwsError, Credentials, Minted, revocation},
    ceremony::{Approved, Open, times},
    protocol::{
        Code, Problem,
        job::{AwsTrace, FromWorker, Step},
    },
    trust::{
        Digest, Timestamp,
        request::Request,
        roster::{Roster, Target},
    },
    vault::AccessKey,
};

/// The first pause between two tries to get a session; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Mints the stewards' and the operator's sessions and hands the operator's to the agent.
///
/// Killed before the intent: nothing happened. After it: closing revokes by the request's tag, whatever is known. An account's steward
/// comes first, so that no operator's session ever exists that could not be closed.
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
        steward_role: vault.roster.aws.steward_role_arn.clone(),
        also: request.also.clone(),
        secrets: request.secrets.clone(),
    };
    worker
        .link
        .report_and_wait(journal.append(Some(&id), intent, None)?)
        .await;
    let open = approved.open();
    let mut run = Run {
        kept: Kept::new(
            &id,
            Some(open.offer().envelope().clone()),
            revocation,
            request.not_after,
            request.targets(&vault.roster),
        ),
        first_problem: None,
        journal,
        worker,
    };
    let result = run.sessions(vault, &open, &policy, key, now).await;
    if let Err(problem) = &result {
        let step = Step::MintFailed {
            why: in_one_line(problem),
            // Once a steward is kept an operator's session was asked for, and an answer may have been lost.
            unsure: run.worker.home.runtime().has(&id),
        };
        run.log(step, None).await?;
    }
    // The operator, who has the session by now, does not wait for these.
    secrets::mint(run.worker, vault, open.request(), key).await;
    result
}

struct Run<'w> {
    worker: &'w mut Worker,
    journal: Journal,
    kept: Kept,
    /// Why the first role that failed did so.
    first_problem: Option<Problem>,
}

/// What a task has got from STS.
enum Got {
    Steward {
        role: String,
        answer: Result<Answer<Minted>, AwsError>,
    },
    Operator {
        target: Target,
        answer: Result<Answer<Minted>, Refused>,
    },
}

/// Why there is no operator's session in a role.
enum Refused {
    /// STS's word, or its silence.
    Aws(AwsError),
    /// It could not be closed later.
    NoRoom(Problem),
}

impl Run<'_> {
    /// All accounts side by side, so that one that does not answer holds up no other; within an account the steward is kept before anything
    /// else is asked for.
    async fn sessions(
        &mut self,
        vault: &Vault,
        open: &Open,
        policy: &str,
        key: &AccessKey,
        now: Timestamp,
    ) -> Result<(), Problem> {
        let request = open.request();
        let targets = self.kept.targets.clone();
        let until = Instant::now() + self.worker.config.minting_patience();
        let mut tasks = JoinSet::new();
        for role in steward_roles(&targets) {
            let ask = steward_session(&vault.roster, request, &role)?;
            let (aws, key) = (self.worker.aws.clone(), credentials(key));
            tasks.spawn(async move {
                let answer = assume(&aws, &key, &ask, until).await;
                Got::Steward { role, answer }
            });
        }
        while let Some(got) = tasks.join_next().await {
            let got = got.map_err(|_| Problem::new(Code::Internal, "a task stopped"))?;
            match got {
                Got::Steward { role, answer } => {
                    let closes = |t: &&Target| t.steward_role_arn == role;
                    let its: Vec<&Target> = targets.iter().filter(closes).collect();
                    match answer {
                        Ok(answer) => {
                            self.kept.add(Whose::Steward, &role, &answer.value);
                            self.worker.home.runtime().keep(&self.kept)?;
                            let steward = answer.value.credentials;
                            for target in its {
                                let ask = operator_session(vault, request, target, policy, now)?;
                                let (aws, key) = (self.worker.aws.clone(), credentials(key));
                                let (target, steward) = (target.clone(), steward.clone());
                                tasks.spawn(async move {
                                    let answer = operator(&aws, &key, &ask, &steward, until).await;
                                    Got::Operator { target, answer }
                                });
                            }
                        }
                        Err(why) => {
                            let problem = named("the steward's session", &why);
                            for target in its {
                                self.failed(target, problem.clone()).await?;
                            }
                        }
                    }
                }
                Got::Operator { target, answer } => match answer {
                    Ok(answer) => self.opened(&target, request, &answer).await?,
                    Err(Refused::NoRoom(problem)) => self.failed(&target, problem).await?,
                    Err(Refused::Aws(why)) => {
                        let problem = named("the operator's session", &why);
                        self.failed(&target, problem).await?;
                    }
                },
            }
        }
        match self.first_problem.take() {
            Some(problem) if !self.kept.is_open() => Err(problem),
            _ => Ok(()),
        }
    }

    /// Kept, journalled and handed over before the next role is waited for.
    async fn opened(
        &mut self,
        target: &Target,
        request: &Request,
        answer: &Answer<Minted>,
    ) -> Result<(), Problem> {
        let minted = &answer.value;
        self.kept.add(Whose::Operator, &target.role_arn, minted);
        self.worker.home.runtime().keep(&self.kept)?;
        let step = Step::Minted {
            assumed_role: minted.assumed_role_arn.clone(),
            access_key_id: minted.credentials.access_key_id().to_owned(),
            not_after: request.not_after,
            role: target.role_arn.clone(),
            expires_at: Some(minted.expires_at.into()),
        };
        self.log(step, Some(trace(answer))).await?;
        let session = self.kept.session()?;
        self.worker.link.send(&FromWorker::Session(session)).await;
        Ok(())
    }

    /// With one role alone its failure is the request's, and said once.
    async fn failed(&mut self, target: &Target, mut problem: Problem) -> Result<(), Problem> {
        let why = in_one_line(&problem);
        self.kept.not_opened(target, why.clone());
        if self.kept.targets.len() > 1 {
            let role = target.role_arn.clone();
            problem.error = format!("{role}: {}", problem.error);
            self.log(Step::TargetFailed { role, why }, None).await?;
        }
        // What a steward may close without there being an operator's session stays kept, for an answer that was lost.
        if self.worker.home.runtime().has(&self.kept.request) {
            self.worker.home.runtime().keep(&self.kept)?;
        }
        self.first_problem.get_or_insert(problem);
        Ok(())
    }

    async fn log(&mut self, step: Step, aws: Option<AwsTrace>) -> Result<(), Problem> {
        let entry = self.journal.append(Some(&self.kept.request), step, aws)?;
        self.worker.link.report(entry).await;
        Ok(())
    }
}

/// The operator's session in one role, if it could be revoked later.
async fn operator(
    aws: &Aws,
    key: &Credentials,
    ask: &AssumeRole,
    steward: &Credentials,
    until: Instant,
) -> Result<Answer<Minted>, Refused> {
    room::is_left(aws, steward, &ask.role)
        .await
        .map_err(Refused::NoRoom)?;
    assume(aws, key, ask, until).await.map_err(Refused::Aws)
}

/// The steward roles of these targets, each once, in order.
pub(super) fn steward_roles(targets: &[Target]) -> Vec<String> {
    let mut roles: Vec<String> = Vec::new();
    for target in targets {
        if !roles.contains(&target.steward_role_arn) {
            roles.push(target.steward_role_arn.clone());
        }
    }
    roles
}

/// Asks again where an answer may still come: two taps are not to be lost over one bad minute of the network. An answer that was lost may
/// have been a session; nobody holds its secret, and closing revokes it by the same tag.
pub(super) async fn assume(
    aws: &Aws,
    credentials: &Credentials,
    ask: &AssumeRole,
    until: Instant,
) -> Result<Answer<Minted>, AwsError> {
    let mut pause = FIRST_PAUSE;
    loop {
        match aws.assume_role(credentials, ask).await {
            Err(why) if may_pass(&why) && Instant::now() + pause < until => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            answer => return answer,
        }
    }
}

/// What the steward may do stands in its role's policy: change inline policies of operator roles that carry the boundary.
pub(super) fn steward_session(
    roster: &Roster,
    request: &Request,
    role: &str,
) -> Result<AssumeRole, Problem> {
    Ok(AssumeRole {
        role: arn(role)?,
        session_name: format!("steward-{}", request.id),
        source_identity: request.operator.clone(),
        external_id: Some(roster.aws.external_id.clone()),
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
    let policy = render(access, &request.declared(), &request.id, request.not_after)?;
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

pub(super) fn named(what: &str, why: &AwsError) -> Problem {
    let mut problem = of_aws(why);
    problem.error = format!("{what} could not be had: {}", problem.error);
    problem
}
