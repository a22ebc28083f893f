//! A ceremony that opens no session: it closes earlier ones, which a reboot left without anything that could, and pays owed rotations.
//!
//! Stewards are minted, and for each owed secret with a setter a session for it alone; nothing is delivered. The secrets are rotated as
//! after any session, by the worker that the agent starts next. Which sessions those are the worker's own journal says. The sessions' own
//! credentials went with the reboot, so their refusal cannot be observed: they are `denied by tag`, and over when their time is.

use std::{collections::HashMap, time::Instant};

use tokio::task::JoinSet;

use super::{
    Worker,
    close::{self, Clock},
    home::Vault,
    ledger::{self, Opened},
    mint::{assume, credentials, named, steward_roles, steward_session},
    plan::Plan,
    problems::in_one_line,
    runtime::{Kept, Whose},
    secrets,
};
use crate::{
    aws::Minted,
    ceremony::Approved,
    protocol::{Code, Problem, job::Step},
    trust::request::{Purpose, Request},
    vault::AccessKey,
};

/// Denies the sessions of the requests that were approved to be closed. What cannot be done now is kept, and the closing goes on with it.
pub(super) async fn run(
    worker: &mut Worker,
    vault: &Vault,
    plan: &Plan,
    approved: &Approved,
    key: &AccessKey,
) -> Result<(), Problem> {
    let request = approved.request();
    let Purpose::CloseOnly { requests } = &request.purpose else {
        return Err(Problem::new(
            Code::Internal,
            "this ceremony opens a session",
        ));
    };
    let intent = Step::CloseOnlyIntent {
        requests: requests.clone(),
    };
    log(worker, vault, &request.id, intent).await?;

    let kept = |id: &str| secrets::is_kept(worker, id);
    let now = plan.clock.now();
    // Some may have ended since they were asked for.
    let mut owed = ledger::owed(ledger::read(worker, vault)?, &[], kept, now)?;
    owed.retain(|o| requests.contains(&o.request) && o.may_be_open(now));
    let stewards = stewards(worker, vault, request, &owed, key).await?;
    // Before anything is denied: what is minted here has to be known if this worker is killed.
    secrets::mint_owed(worker, vault, request, &stewards, key).await?;

    let patience = worker.config.minting_patience().as_secs();
    let until = now.plus(i64::try_from(patience).unwrap_or(0));
    let clock = Clock::of(worker).await;
    let (mut denied, mut left) = (Vec::new(), Vec::new());
    for opened in owed {
        let id = opened.request.clone();
        let missing: Vec<String> = steward_roles(&opened.targets)
            .iter()
            .filter_map(|role| match stewards.get(role) {
                Some(Ok(_)) => None,
                Some(Err(why)) => Some(why.clone()),
                None => Some(format!("{role} is not a steward that this request names")),
            })
            .collect();
        let kept = keep(worker, opened, &stewards)?;
        let done = match kept {
            Some(kept) => {
                let _alone = close::claim(worker, &id).await?;
                close::deny(worker, vault, &kept, clock, until).await?
            }
            None => false,
        };
        match (done, missing.first()) {
            (true, _) => denied.push(id),
            (false, Some(why)) => left.push((id, why.clone())),
            (false, None) => left.push((id, "it is tried again by itself".to_owned())),
        }
    }
    log(
        worker,
        vault,
        &request.id,
        Step::CloseOnlyDone { denied, left },
    )
    .await
}

/// The stewards that these requests and their secrets need, by role; of those that could not be had, why.
async fn stewards(
    worker: &Worker,
    vault: &Vault,
    request: &Request,
    owed: &[Opened],
    key: &AccessKey,
) -> Result<HashMap<String, Result<Minted, String>>, Problem> {
    let approved: Vec<&String> = std::iter::once(&request.role)
        .chain(request.also.iter().map(|t| &t.role_arn))
        .collect();
    let targets: Vec<_> = owed.iter().flat_map(|o| o.targets.clone()).collect();
    let until = Instant::now() + worker.config.minting_patience();
    let mut roles = steward_roles(&targets);
    for role in secrets::stewards_of(&vault.roster, &request.secrets) {
        if !roles.contains(&role) {
            roles.push(role);
        }
    }
    let mut tasks = JoinSet::new();
    for role in roles {
        if !approved.contains(&&role) {
            continue;
        }
        let ask = steward_session(&vault.roster, request, &role)?;
        let (aws, key) = (worker.aws.clone(), credentials(key));
        tasks.spawn(async move { (role, assume(&aws, &key, &ask, until).await) });
    }
    let mut all = HashMap::new();
    while let Some(got) = tasks.join_next().await {
        let (role, got) = got.map_err(|_| Problem::new(Code::Internal, "a task stopped"))?;
        let got = got
            .map(|answer| answer.value)
            .map_err(|why| in_one_line(&named("the steward's session", &why)));
        all.insert(role, got);
    }
    Ok(all)
}

/// Keeps what can close a request from now on, where there is anything.
fn keep(
    worker: &Worker,
    opened: Opened,
    stewards: &HashMap<String, Result<Minted, String>>,
) -> Result<Option<Kept>, Problem> {
    let roles = steward_roles(&opened.targets);
    let mut kept = Kept::new(
        &opened.request,
        None,
        opened.revocation,
        opened.not_after.max(opened.ends),
        opened.targets,
    );
    let mut any = false;
    for role in roles {
        if let Some(Ok(minted)) = stewards.get(&role) {
            kept.add(Whose::Steward, &role, minted);
            any = true;
        }
    }
    if !any {
        return Ok(None);
    }
    worker.home.runtime().keep(&kept)?;
    Ok(Some(kept))
}

async fn log(worker: &mut Worker, vault: &Vault, id: &str, step: Step) -> Result<(), Problem> {
    let entry = worker
        .home
        .journal(&vault.name)?
        .append(Some(id), step, None)?;
    worker.link.report(entry).await;
    Ok(())
}
