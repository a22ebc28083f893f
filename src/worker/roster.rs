//! Taking up the next version of the roster.
//!
//! A share lives only as long as its credential, so a version never counts by itself: it counts from the commit of a generation that is
//! sealed under it, for its custodians, with a key that is new. One ceremony does both. Custodians of the version that counts approve a
//! request which names the next one by its digest; their shares open the vault; the rotation seals to the people of the next version. So
//! there is one moment of change, the one rename that every rotation has, and no state in which the roster says one thing and the shares
//! another. Killed before it, the old version counts and the key is rotated later, as after any quorum; killed after it, the new one does.
//!
//! Where nothing is sealed yet there is no share to outlive anything, and the version is taken up at once; not where the roster lists another host,
//! which may hold what this one does not.

use super::{
    Worker,
    ceremony::{self, Begin},
    duties,
    home::Vault,
    places,
    plan::{Plan, clock, fresh_id, nonce},
    problems::Explain as _,
    rotate::{self, Rotation},
};
use crate::{
    ceremony::times,
    protocol::{
        Code, Problem,
        job::{FromWorker, RosterWish},
    },
    trust::{
        Digest, Head, Verified,
        request::{NOTHING_ALLOWED, Purpose, ROSTER_CHANGE, Request},
        roster::{Role, Roster},
    },
    vault::OneTime,
};

/// How a roster is handed in.
const AGAIN: &str = "twotap roster submit";

/// What is handed in, by whom, and where the record stands.
pub(super) struct HandedIn {
    pub(super) wish: RosterWish,
    pub(super) operator: String,
    pub(super) audit: Head,
}

/// Checks the version against the one that counts; takes it up by a ceremony, or at once where nothing is sealed.
pub(super) async fn run(
    worker: &mut Worker,
    vault: &str,
    handed_in: HandedIn,
) -> Result<(), Problem> {
    let found = places::look(worker, vault).await?;
    let vault = worker.home.vault(vault)?;
    let next = vault.next_version(&handed_in.wish.next)?;
    may_hand_in(&vault, &handed_in.operator)?;
    if vault.current.is_none() {
        if vault.roster.hosts.len() > 1 {
            return Err(Problem::new(
                Code::Refused,
                "nothing is sealed on this host, and another one may hold the key",
            )
            .hint("hand it in on the host that holds the newest generation"));
        }
        return at_once(worker, vault, &next).await;
    }

    let one_time = OneTime::generate();
    let plan = plan(worker, &vault, handed_in, next, one_time.recipient()).await?;
    let begin = Begin {
        found,
        again: AGAIN.to_owned(),
    };
    let opened = ceremony::opened(worker, &vault, &plan, &one_time, begin).await?;
    rotate::rotate(
        worker,
        Rotation {
            vault: &vault.name,
            request: Some(&plan.request.id),
            audit: plan.request.audit,
            key: opened.key,
            turn: opened.turn,
            next: plan.next.as_ref(),
        },
    )
    .await?;
    // Another ceremony of the same generation may have been faster: then the key is dead, and the roster what it was.
    let now = worker.home.vault(&vault.name)?.roster.digest();
    if Some(now) == plan.next.as_ref().map(Verified::digest) {
        return Ok(());
    }
    Err(Problem::new(
        Code::Refused,
        "the vault moved on while this request waited; the roster is what it was",
    )
    .hint(format!("hand the roster in again: {AGAIN}")))
}

async fn at_once(
    worker: &mut Worker,
    mut vault: Vault,
    next: &Verified<Roster>,
) -> Result<(), Problem> {
    {
        let writer = worker.home.generations(&vault.name)?.lock().explain()?;
        // Under the lock: a sealing may have come in between, and that one was made for the version before.
        if worker.home.vault(&vault.name)?.current.is_some() {
            return Err(
                Problem::new(Code::Refused, "the vault was sealed at this moment")
                    .hint(format!("hand the roster in again: {AGAIN}")),
            );
        }
        vault.take_up(Some(next), &writer)?;
        worker.home.seen()?.pin(next)?;
    }
    let facts = vault.facts(worker.link.isolation());
    worker.link.send(&FromWorker::Vault(facts)).await;
    Ok(())
}

/// Those who oversee and those who act hand rosters in; whoever does, does not vote on it.
fn may_hand_in(vault: &Vault, operator: &str) -> Result<(), Problem> {
    let may = vault
        .roster
        .person(operator)
        .is_some_and(|p| p.roles.contains(&Role::Operator) || p.roles.contains(&Role::Officer));
    if !may {
        return Err(
            Problem::new(Code::Refused, "you may not hand in rosters of this vault")
                .hint("an operator or officer of the roster that counts has to"),
        );
    }
    duties::separate(vault, operator, None)
}

async fn plan(
    worker: &Worker,
    vault: &Vault,
    handed_in: HandedIn,
    next: Verified<Roster>,
    worker_key: String,
) -> Result<Plan, Problem> {
    let current = vault.sealed()?;
    let (skew, clock) = clock(worker).await;
    let now = skew.now();
    let until = now.plus(times::APPROVE_SECONDS);
    let role = vault.roster.aws.steward_role_arn.clone();
    let request = Request {
        v: 1,
        id: fresh_id(),
        vault: vault.name.clone(),
        generation: current.manifest.generation,
        operator: handed_in.operator,
        host: worker.home.key_id(),
        // Nothing is opened: the role is one that only closes, and no session is asked for in it.
        account: role.split(':').nth(4).unwrap_or_default().to_owned(),
        role,
        also: Vec::new(),
        secrets: Vec::new(),
        purpose: Purpose::Roster {
            version: next.version,
            roster_sha256: next.digest(),
        },
        access: ROSTER_CHANGE.to_owned(),
        policy_sha256: Digest::of(NOTHING_ALLOWED.as_bytes()),
        regions: Vec::new(),
        not_before: now,
        approve_before: until,
        not_after: until,
        clock,
        incident: handed_in.wish.incident,
        reason: handed_in.wish.reason,
        commander_claimed: None,
        scenario: None,
        subject: None,
        confirmed: Vec::new(),
        follows: None,
        checks: Vec::new(),
        roster_sha256: vault.roster.digest(),
        manifest_sha256: current.manifest.digest(),
        audit: handed_in.audit,
        worker_key,
        nonce: nonce(),
        operator_nonce: handed_in.wish.nonce,
    };
    Ok(Plan {
        request,
        policy: NOTHING_ALLOWED.to_owned(),
        clock: skew,
        next: Some(next),
    })
}
