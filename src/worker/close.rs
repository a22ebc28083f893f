//! Closing: revoke by the request's tag, observe the refusal, receipt. After the time box it is `expired`, never `revoked`.
//!
//! Each role is closed by itself and beside the others (`target.rs`), so that an account that is down does not keep another's session open. The
//! request is `revoked` once every session that was handed out was seen refused in every Region.

use tokio::{sync::mpsc, task::JoinSet};

use super::{
    Worker,
    home::Vault,
    journal::Journal,
    places, room,
    runtime::{Kept, Whose},
    secrets,
    target::{Closer, End, Said},
};
use crate::{
    aws::ProbeAction,
    ceremony::{Closing, stages},
    protocol::{
        Code, Problem,
        job::{AwsTrace, Entry, Step},
    },
    trust::{
        Envelope, Timestamp, Verified,
        receipt::{self, Outcome, Receipt, RegionRefused, TargetRefused},
        request::Offer,
        roster::{Roster, verify_chain},
    },
};

/// Between two looks whether another worker is still at it.
const FIRST_PAUSE: std::time::Duration = std::time::Duration::from_secs(1);

/// Closes the session of one request.
pub(super) async fn run(worker: &mut Worker, vault: &str, request: &str) -> Result<(), Problem> {
    let vault = worker.home.vault(vault)?;
    if secrets::are_left(worker, request)? {
        return secrets::rotate(worker, &vault, request).await;
    }
    let _alone = claim(worker, request).await?;
    let kept = worker.home.runtime().read(request)?;
    let clock = Clock::of(worker).await;
    let Some(offer) = kept.offer.clone() else {
        // A ceremony that only closes left this behind: the session itself is not known here.
        return match deny(worker, &vault, &kept, clock, kept.not_after).await? {
            true => Ok(()),
            false => Err(Problem::new(
                Code::Refused,
                "not every role of the session could be denied: there is no steward for it",
            )
            .hint("ask once more: twotap request VAULT --close-only")),
        };
    };
    let roster = roster_of(&vault, &offer)?;
    let closing = Closing::resume(&offer, &roster)?;
    let mut run = Run::new(worker, &vault, &kept, clock)?;
    let probe = probe_of(&roster, &closing.request().access)?;
    let regions = closing.request().regions.clone();

    let closed = match run
        .revoke(&kept, Some((probe, regions)), kept.not_after)
        .await?
    {
        Outcomes::Refused => {
            let receipt = run.receipt(&kept, &closing.request().regions).await?;
            closing.revoked(&receipt)?
        }
        Outcomes::Denied => {
            run.not_observed(&kept, "no session was ever handed out")
                .await?;
            run.prune(&kept).await;
            return secrets::after(run.worker, &vault, closing.request(), &kept).await;
        }
        Outcomes::Later => closing
            .expired(clock.now())
            .map_err(|_| Problem::new(Code::Internal, "closing ended before the session did"))?,
    };
    if let stages::End::Expired { at } = closed.end() {
        run.log(Step::Expired { at: *at }, None).await?;
    }
    run.prune(&kept).await;
    let rotated = secrets::after(run.worker, &vault, closed.request(), &kept).await;
    // A folder that was away while the key was replaced may be back.
    places::to_every_folder(worker, &vault).await;
    rotated
}

/// Denies every session of a request by its tag, with nothing at hand that could show the refusal. Tries until `until`; whether it is done.
pub(super) async fn deny(
    worker: &mut Worker,
    vault: &Vault,
    kept: &Kept,
    clock: Clock,
    until: Timestamp,
) -> Result<bool, Problem> {
    let mut run = Run::new(worker, vault, kept, clock)?;
    let outcome = run.revoke(kept, None, until.min(kept.not_after)).await?;
    match outcome {
        Outcomes::Later if clock.now() >= kept.not_after => {
            run.log(Step::Expired { at: kept.not_after }, None).await?;
        }
        Outcomes::Later => return Ok(false),
        Outcomes::Denied | Outcomes::Refused => {
            let why = "the host kept nothing of the session, as after a reboot";
            run.not_observed(kept, why).await?;
        }
    }
    run.prune(kept).await;
    run.worker.home.runtime().forget(&kept.request)?;
    Ok(true)
}

/// One worker at a time closes a session: an agent that was restarted asks while the worker that it does not know of is still at it. Whoever
/// comes second finds nothing kept any more.
pub(super) async fn claim(worker: &Worker, request: &str) -> Result<std::fs::File, Problem> {
    loop {
        if let Some(claim) = worker.home.runtime().claim(request)? {
            return Ok(claim);
        }
        tokio::time::sleep(FIRST_PAUSE).await;
    }
}

/// The clock that the request's times are on: AWS's, where it can be asked; the host's may be a day off.
#[derive(Clone, Copy)]
pub(super) struct Clock(i64);

impl Clock {
    pub(super) async fn of(worker: &Worker) -> Self {
        let date = worker.aws.aws_time().await;
        Self(date.map_or(0, |date| Timestamp::now().until(Timestamp::from(date))))
    }

    pub(super) fn now(self) -> Timestamp {
        Timestamp::now().plus(self.0)
    }
}

/// What closing all roles has come to.
enum Outcomes {
    /// All that was handed out was seen refused; the rest is denied by its tag.
    Refused,
    /// All is denied by its tag; nothing could be seen.
    Denied,
    /// Time was up first.
    Later,
}

struct Run<'w> {
    worker: &'w mut Worker,
    journal: Journal,
    clock: Clock,
    request: String,
    steps: Vec<receipt::Step>,
    refused: Vec<TargetRefused>,
}

impl<'w> Run<'w> {
    fn new(
        worker: &'w mut Worker,
        vault: &Vault,
        kept: &Kept,
        clock: Clock,
    ) -> Result<Self, Problem> {
        Ok(Self {
            journal: worker.home.journal(&vault.name)?,
            clock,
            worker,
            request: kept.request.clone(),
            steps: Vec::new(),
            refused: Vec::new(),
        })
    }

    /// Puts the revocation on each role and observes the refusal in every Region, all roles side by side.
    async fn revoke(
        &mut self,
        kept: &Kept,
        observe: Option<(ProbeAction, Vec<String>)>,
        until: Timestamp,
    ) -> Result<Outcomes, Problem> {
        if self.clock.now() >= until {
            return Ok(Outcomes::Later);
        }
        let (say, mut said) = mpsc::channel(16);
        let mut tasks = JoinSet::new();
        let mut left = false;
        for target in &kept.targets {
            let role = target.role_arn.as_str();
            // Without its steward a role was never asked for a session; unless what is kept was made later, to close.
            let Some(steward) = kept.credentials(Whose::Steward, &target.steward_role_arn) else {
                left |= kept.offer.is_none();
                continue;
            };
            let intent = Step::RevokeIntent {
                policy: kept.revocation.clone(),
                role: role.to_owned(),
            };
            self.log(intent, None).await?;
            let closer = Closer {
                aws: self.worker.aws.clone(),
                request: kept.request.clone(),
                target: target.clone(),
                policy: kept.revocation.clone(),
                steward,
                operator: kept.credentials(Whose::Operator, role),
                observe: observe.clone(),
                clock: self.clock,
                until,
                say: say.clone(),
            };
            tasks.spawn(closer.run());
        }
        drop(say);

        let mut ends = Vec::new();
        while let Some(said) = said.recv().await {
            match said {
                Said::Step { step, aws } => self.log(step, aws).await?,
                // The record of a setback must not stop the closing itself.
                Said::Setback(step) => {
                    let _ = self.log(step, None).await;
                }
                Said::Refused { target, region } => self.saw(&target, region).await?,
                Said::End(end) => ends.push(end),
            }
        }
        if left || ends.contains(&End::Later) || ends.len() < tasks.len() {
            Ok(Outcomes::Later)
        } else if ends.contains(&End::Refused) {
            Ok(Outcomes::Refused)
        } else {
            Ok(Outcomes::Denied)
        }
    }

    async fn saw(
        &mut self,
        target: &crate::trust::roster::Target,
        region: RegionRefused,
    ) -> Result<(), Problem> {
        let step = Step::RefusalObserved {
            role: target.role_arn.clone(),
            region: region.region.clone(),
            since: region.since,
            refusals: region.refusals,
        };
        self.log(step, None).await?;
        match self.refused.iter_mut().find(|t| t.role == target.role_arn) {
            Some(seen) => seen.regions.push(region),
            None => self.refused.push(TargetRefused {
                account: target.account.clone(),
                role: target.role_arn.clone(),
                regions: vec![region],
            }),
        }
        Ok(())
    }

    async fn receipt(&mut self, kept: &Kept, regions: &[String]) -> Result<Receipt, Problem> {
        let all = || self.refused.iter().flat_map(|t| &t.regions);
        let receipt = Receipt {
            v: 1,
            vault: self.vault_of(kept)?,
            request: Some(self.request.clone()),
            host: self.worker.home.key_id(),
            outcome: Outcome::Revoked {
                policy: kept.revocation.clone(),
                regions: regions.to_vec(),
                refused_since: all().map(|r| r.since).max().unwrap_or(kept.not_after),
                refusals: all().map(|r| r.refusals).min().unwrap_or(0),
                targets: self.refused.clone(),
                not_opened: kept.not_opened.clone(),
                identity_until: Some(kept.identity_until),
            },
            steps: std::mem::take(&mut self.steps),
        };
        let envelope = Envelope::signed(&receipt, self.worker.home.key())?;
        self.log(Step::Revoked { receipt: envelope }, None).await?;
        Ok(receipt)
    }

    fn vault_of(&self, kept: &Kept) -> Result<String, Problem> {
        let offer = kept.offer.as_ref().map(Envelope::unverified::<Offer>);
        match offer.transpose()? {
            Some(Offer(request)) => Ok(request.vault),
            None => Err(Problem::new(Code::Internal, "a receipt without a request")),
        }
    }

    async fn not_observed(&mut self, kept: &Kept, why: &str) -> Result<(), Problem> {
        let step = Step::NotObserved {
            until: kept.not_after,
            why: why.to_owned(),
        };
        self.log(step, None).await
    }

    /// Removes revocations whose sessions have ended, of this host or another. What cannot be removed now goes with the next closing.
    async fn prune(&self, kept: &Kept) {
        for target in &kept.targets {
            let steward = kept.credentials(Whose::Steward, &target.steward_role_arn);
            if let (Some(steward), Ok(name)) = (steward, room::role_name(&target.role_arn)) {
                room::prune(&self.worker.aws, &steward, &name).await;
            }
        }
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

/// The roster that a request was made under, which may not be the newest any more.
fn roster_of(vault: &Vault, offer: &Envelope) -> Result<Verified<Roster>, Problem> {
    let named = offer.unverified::<Offer>()?.0.roster_sha256;
    let versions = verify_chain(&vault.chain)?;
    versions
        .into_iter()
        .find(|roster| roster.digest() == named)
        .ok_or_else(|| {
            Problem::new(
                Code::Tampering,
                "what is kept of the session names a roster that never was",
            )
        })
}

pub(super) fn probe_of(roster: &Roster, access: &str) -> Result<ProbeAction, Problem> {
    let profile = roster
        .access(access)
        .ok_or_else(|| Problem::new(Code::Tampering, "the roster has no such access profile"))?;
    ProbeAction::parse(&profile.probe).map_err(|why| Problem::new(Code::Usage, why))
}
