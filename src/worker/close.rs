//! Closing: revoke by the request's tag, observe the refusal, receipt. After the time box it is `expired`, never `revoked`.

use std::time::Duration;

use super::{
    Worker,
    journal::Journal,
    mint::trace,
    observe::observe,
    plan::arn,
    problems::{in_one_line, of_aws},
    runtime::Kept,
};
use crate::{
    aws::{AwsError, ProbeAction, revocation},
    ceremony::{Closing, stages::End},
    protocol::{
        Code, Problem,
        job::{AwsTrace, Entry, Step},
    },
    trust::{
        Envelope, Timestamp,
        receipt::{self, Outcome, Receipt},
    },
};

/// The first pause between two tries to put the revocation; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Closes the session of one request.
pub(super) async fn run(worker: &mut Worker, vault: &str, request: &str) -> Result<(), Problem> {
    let vault = worker.home.vault(vault)?;
    let _alone = claim(worker, request).await?;
    let kept = worker.home.runtime().read(request)?;
    // A session outlives the roster that it was opened under.
    let offer = kept.offer.unverified::<crate::trust::request::Offer>()?.0;
    let roster = vault.version(offer.roster_sha256)?;
    let closing = Closing::resume(&kept.offer, &roster)?;
    let mut run = Run {
        journal: worker.home.journal(&vault.name)?,
        probe: probe_of(&roster, closing.request().access.as_str())?,
        worker,
        request: request.to_owned(),
        steps: Vec::new(),
    };
    let closed = match run.revoke(&closing, &kept).await? {
        Some(receipt) => closing.revoked(&receipt)?,
        None => closing
            .expired(Timestamp::now())
            .map_err(|_| Problem::new(Code::Internal, "closing ended before the session did"))?,
    };
    if let End::Expired { at } = closed.end() {
        run.log(Step::Expired { at: *at }, None).await?;
    }
    run.prune(&kept).await;
    run.worker.home.runtime().forget(request)
}

/// One worker at a time closes a session: an agent that was restarted asks while the worker that it does not know of is still at it. Whoever
/// comes second finds nothing kept any more.
async fn claim(worker: &Worker, request: &str) -> Result<std::fs::File, Problem> {
    loop {
        if let Some(claim) = worker.home.runtime().claim(request)? {
            return Ok(claim);
        }
        tokio::time::sleep(FIRST_PAUSE).await;
    }
}

struct Run<'w> {
    worker: &'w mut Worker,
    journal: Journal,
    probe: ProbeAction,
    request: String,
    steps: Vec<receipt::Step>,
}

impl Run<'_> {
    /// Puts the revocation and observes the refusal in every Region; `None` where the time box ended first.
    async fn revoke(&mut self, closing: &Closing, kept: &Kept) -> Result<Option<Receipt>, Problem> {
        if Timestamp::now() >= kept.not_after {
            return Ok(None);
        }
        if !self.apply(closing, kept).await? {
            return Ok(None);
        }
        let Some(session) = kept.operator() else {
            // Nothing was handed out that could be observed. The tag is denied; the box ends the rest.
            let why = "the session was never handed out; it is denied by its tag and ends with its time box";
            self.log(
                Step::ClosePending {
                    why: why.to_owned(),
                },
                None,
            )
            .await?;
            return Err(Problem::new(Code::Refused, why));
        };

        let mut since = kept.not_after;
        let mut refusals = u32::MAX;
        for region in &closing.request().regions {
            let seen = observe(
                &self.worker.aws,
                &session,
                region,
                self.probe,
                kept.not_after,
            )
            .await;
            let Some(run) = seen else { return Ok(None) };
            since = if since == kept.not_after {
                run.since
            } else {
                since.max(run.since)
            };
            refusals = refusals.min(run.count);
            let step = Step::RefusalObserved {
                region: region.clone(),
                since: run.since,
                refusals: run.count,
            };
            self.log(step, None).await?;
        }
        let receipt = Receipt {
            v: 1,
            vault: closing.request().vault.clone(),
            request: Some(self.request.clone()),
            host: self.worker.home.key_id(),
            outcome: Outcome::Revoked {
                policy: kept.revocation.clone(),
                regions: closing.request().regions.clone(),
                refused_since: since,
                refusals,
            },
            steps: std::mem::take(&mut self.steps),
        };
        let envelope = Envelope::signed(&receipt, self.worker.home.key())?;
        self.log(Step::Revoked { receipt: envelope }, None).await?;
        Ok(Some(receipt))
    }

    /// Puts the policy that denies the request's tag; `false` where the time box ended first.
    async fn apply(&mut self, closing: &Closing, kept: &Kept) -> Result<bool, Problem> {
        let role = role_name(&closing.request().role)?;
        let policy = revocation::revocation_policy(&self.request)
            .map_err(|why| Problem::new(Code::Internal, why))?;
        let name = kept.revocation.clone();
        self.log(
            Step::RevokeIntent {
                policy: name.clone(),
            },
            None,
        )
        .await?;

        let steward = kept.steward();
        let mut pause = FIRST_PAUSE;
        let mut told = false;
        loop {
            // Putting the same policy twice is the same as once.
            match self
                .worker
                .aws
                .put_role_policy(&steward, &role, &name, &policy)
                .await
            {
                Ok(answer) => {
                    self.log(Step::RevokeApplied { policy: name }, Some(trace(&answer)))
                        .await?;
                    return Ok(true);
                }
                Err(why) if !why.is_transient() && !matches!(why, AwsError::Refused(_)) => {
                    return Err(self.pending(&why).await);
                }
                Err(why) => {
                    if !told {
                        self.pending(&why).await;
                        told = true;
                    }
                }
            }
            if Timestamp::now() >= kept.not_after {
                return Ok(false);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Removes revocations whose sessions have ended. What cannot be removed now goes with the next closing.
    async fn prune(&self, kept: &Kept) {
        let Ok(role) = kept
            .offer
            .unverified::<crate::trust::request::Offer>()
            .map_err(Problem::from)
            .and_then(|offer| role_name(&offer.0.role))
        else {
            return;
        };
        let steward = kept.steward();
        let Ok(names) = self.worker.aws.list_role_policies(&steward, &role).await else {
            return;
        };
        let now = Timestamp::now();
        for name in names.value {
            let ended = revocation::parse_revocation_name(&name)
                .is_some_and(|(_, expiry)| Timestamp::from(expiry) < now);
            if ended {
                let _ = self
                    .worker
                    .aws
                    .delete_role_policy(&steward, &role, &name)
                    .await;
            }
        }
    }

    async fn pending(&mut self, why: &AwsError) -> Problem {
        let problem = of_aws(why);
        let step = Step::ClosePending {
            why: in_one_line(&problem),
        };
        // The record of a setback must not stop the closing itself.
        let _ = self.log(step, None).await;
        problem
    }

    async fn log(&mut self, step: Step, aws: Option<AwsTrace>) -> Result<(), Problem> {
        let entry = self.journal.append(Some(&self.request), step, aws)?;
        self.steps.push(receipt_step(&entry));
        self.worker.link.report(entry).await;
        Ok(())
    }
}

/// A journal entry as a line of a receipt.
pub(super) fn receipt_step(entry: &Entry) -> receipt::Step {
    // The entry's own tag is the step's name, so that journal, record and receipt use one word.
    let name = serde_json::to_value(&entry.step)
        .ok()
        .and_then(|v| v.get("step").and_then(|s| s.as_str().map(str::to_owned)))
        .unwrap_or_default();
    receipt::Step {
        step: name,
        at: entry.at,
        aws_request_id: entry.aws.as_ref().and_then(|a| a.request_id.clone()),
        aws_date: entry.aws.as_ref().and_then(|a| a.date),
    }
}

fn probe_of(roster: &crate::trust::roster::Roster, access: &str) -> Result<ProbeAction, Problem> {
    let profile = roster
        .access(access)
        .ok_or_else(|| Problem::new(Code::Tampering, "the roster has no such access profile"))?;
    ProbeAction::parse(&profile.probe).map_err(|why| Problem::new(Code::Usage, why))
}

fn role_name(role: &str) -> Result<String, Problem> {
    arn(role)?.role().map(|r| r.name.to_owned()).ok_or_else(|| {
        Problem::new(
            Code::Usage,
            "the access profile's role_arn does not name a role",
        )
    })
}
