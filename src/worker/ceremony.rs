//! The ceremony, from offer to rotation. The order of [`run`] is the order of what happens.

use std::time::Duration;

use twotap_shares::Mnemonic;

use super::{
    Worker, close_only, drill,
    home::Vault,
    mint,
    places::{self, Turn},
    plan::{Plan, plan},
    problems::{Explain as _, of_refusal},
    rotate::{self, Rotation},
};
use crate::{
    ceremony::{Approved, Requested, Settled, Voter, Withdrawer},
    protocol::{
        Code, Problem,
        job::{Approval, Ask, Entry, FromWorker, OfferMade, ToWorker, Vote},
    },
    trust::{
        Envelope, Head, Verified,
        request::{CheckResult, Offer, Purpose, ShareBinding},
        stack,
    },
    vault::{AccessKey, OneTime, check_share, open, open_share},
};

/// Who asks, and what the agent says about it.
pub(super) struct Asker {
    pub(super) operator: String,
    pub(super) audit: Head,
    /// What the scenario's checks came to.
    pub(super) checks: Vec<CheckResult>,
}

/// Serves one request to its end: offer, votes, unsealing, minting, rotating.
pub(super) async fn run(worker: &mut Worker, ask: Ask, asker: Asker) -> Result<(), Problem> {
    let found = places::look(worker, &ask.vault).await?;
    let again = places::again(&ask);
    let vault = worker.home.vault(&ask.vault)?;
    // Until the quorum is there this process holds one secret: the key that shares are sealed to, made for this request.
    let one_time = OneTime::generate();
    let plan = plan(worker, &vault, ask, asker, one_time.recipient()).await?;
    let opened = opened(worker, &vault, &plan, &one_time, Begin { found, again }).await?;

    // A share lives only as long as its credential: whatever minting comes to, the key is replaced.
    let minted = match plan.request.purpose {
        Purpose::Open => mint::mint(worker, &vault, &plan, opened.approved, &opened.key).await,
        Purpose::Drill => drill::run(worker, &vault, &plan, &opened.approved, &opened.key).await,
        Purpose::CloseOnly { .. } => {
            close_only::run(worker, &vault, &plan, &opened.approved, &opened.key).await
        }
        // Nothing to mint; and it is planned by a job of its own (`roster::run`).
        Purpose::Roster { .. } => Ok(()),
    };
    let rotated = rotate::rotate(
        worker,
        Rotation {
            vault: &vault.name,
            request: Some(&plan.request.id),
            audit: plan.request.audit,
            key: opened.key,
            turn: opened.turn,
            next: None,
        },
    )
    .await;
    minted.and(rotated)
}

/// What a ceremony begins with.
pub(super) struct Begin {
    /// What was found at the places that keep copies, to be reported once the request is known.
    pub(super) found: Vec<Entry>,
    /// What to type when the vault moved on meanwhile.
    pub(super) again: String,
}

/// Offers the request, waits for the quorum, opens the vault, and takes this host's turn.
pub(super) async fn opened(
    worker: &mut Worker,
    vault: &Vault,
    plan: &Plan,
    one_time: &OneTime,
    begin: Begin,
) -> Result<Opened, Problem> {
    let Begin { found, again } = begin;
    let _slot = worker.home.offer_slot()?;
    let requested = offer(worker, vault, plan).await?;
    for entry in found {
        worker.link.report(entry).await;
    }
    let quorum = votes(worker, plan, requested, vault, one_time).await?;
    // From here on the key alone is needed: neither shares nor the identity that they make.
    let (approved, key) = stack::wiped(|| unseal(worker, vault, quorum, &again))?;
    // Of two hosts that opened the same generation one goes on.
    let turn = Turn::begin(worker, vault, Some(&plan.request.id), again, &key).await?;
    Ok(Opened {
        approved,
        key,
        turn,
    })
}

/// A quorum's shares, each checked against the manifest.
struct Quorum {
    approved: Approved,
    shares: Shares,
}

/// Shares with whose they are: one that is taken back goes.
type Shares = Vec<(String, Mnemonic)>;

/// The key that was sealed, the proof that it may be used, and this host's turn to replace it.
pub(super) struct Opened {
    pub(super) approved: Approved,
    pub(super) key: AccessKey,
    pub(super) turn: Turn,
}

/// Signs the request and sends it with all that custodians need to check it.
async fn offer(worker: &mut Worker, vault: &Vault, plan: &Plan) -> Result<Requested, Problem> {
    let offer = Envelope::signed(&Offer(plan.request.clone()), worker.home.key())?;
    let current = vault.sealed()?;
    let made = OfferMade {
        offer: offer.clone(),
        manifest: current.files.manifest.clone(),
        roster_chain: vault.chain.clone(),
        shares: current.share_files(),
        policy: plan.policy.clone(),
        next_roster: plan.next.as_ref().map(|next| next.envelope().clone()),
        isolation: worker.link.isolation(),
    };
    worker.link.send(&FromWorker::Offer(made)).await;
    Ok(Requested::new(&offer, vault.roster.clone())?)
}

/// Takes votes until the threshold is reached or out of reach, or time is up.
async fn votes(
    worker: &mut Worker,
    plan: &Plan,
    mut requested: Requested,
    vault: &Vault,
    one_time: &OneTime,
) -> Result<Quorum, Problem> {
    let mut shares = Shares::new();
    loop {
        let rest = plan.clock.now().until(plan.request.approve_before);
        let rest = Duration::from_secs(u64::try_from(rest).unwrap_or(0));
        let message = tokio::time::timeout(rest, worker.link.receive())
            .await
            .map_err(|_| {
                Problem::new(Code::Approvals, "nobody approved in time")
                    .hint("ask for a new request")
            })??;
        let (settled, vote) = match check(message, plan, &requested, vault, one_time) {
            Ok(Some(Checked::Vote(voter, share))) => {
                shares.extend(share.map(|share| (voter.person().to_owned(), share)));
                let (person, serial, key) =
                    (voter.person().to_owned(), voter.serial(), voter.key());
                let approved = voter.denial().is_none();
                let settled = requested.count(voter);
                let vote = Vote::Counted {
                    person,
                    serial,
                    key,
                    approved,
                    standing: settled.standing(),
                };
                (settled, vote)
            }
            Ok(Some(Checked::Withdrawal(by))) => {
                shares.retain(|(person, _)| person != by.person());
                let settled = requested.withdraw(&by);
                let vote = Vote::Withdrawn {
                    person: by.person().to_owned(),
                    serial: by.serial(),
                    key: by.key(),
                    standing: settled.standing(),
                };
                (settled, vote)
            }
            Ok(None) => continue,
            Err(Verdict::NotCounted(problem)) => {
                worker
                    .link
                    .send(&FromWorker::Vote(Vote::Refused(problem)))
                    .await;
                continue;
            }
            Err(Verdict::AgentGone) => {
                return Err(Problem::new(
                    Code::Agent,
                    "the agent went away before the quorum",
                ));
            }
        };
        worker.link.send(&FromWorker::Vote(vote)).await;
        match settled {
            Settled::Waiting(still) => requested = still,
            Settled::Approved(approved) => return Ok(Quorum { approved, shares }),
            Settled::Denied => {
                return Err(Problem::new(
                    Code::Approvals,
                    "the custodians denied the request",
                ));
            }
        }
    }
}

/// A message that counts.
enum Checked {
    Vote(Voter, Option<Mnemonic>),
    Withdrawal(Withdrawer),
}

/// Why a message is no vote that counts.
enum Verdict {
    NotCounted(Problem),
    AgentGone,
}

/// Checks one vote. A yes counts only together with that custodian's own share.
fn check(
    message: Option<ToWorker>,
    plan: &Plan,
    requested: &Requested,
    vault: &Vault,
    one_time: &OneTime,
) -> Result<Option<Checked>, Verdict> {
    let refused = |why| Verdict::NotCounted(of_refusal(why));
    let now = plan.clock.now();
    match message {
        None => Err(Verdict::AgentGone),
        Some(ToWorker::Denial { denial }) => {
            let voter = requested.check_denial(&denial, now).map_err(refused)?;
            Ok(Some(Checked::Vote(voter, None)))
        }
        Some(ToWorker::Withdrawal { withdrawal }) => {
            let by = requested
                .check_withdrawal(&withdrawal, now)
                .map_err(refused)?;
            Ok(Some(Checked::Withdrawal(by)))
        }
        Some(ToWorker::Approval(Approval {
            approval,
            sealed_share,
        })) => {
            let voter = requested.check_approval(&approval, now).map_err(refused)?;
            let sealed = &sealed_share.0;
            let share =
                stack::wiped(|| share_of(&voter, sealed, requested.offer(), vault, one_time))
                    .map_err(Verdict::NotCounted)?;
            Ok(Some(Checked::Vote(voter, Some(share))))
        }
        Some(ToWorker::Credential { .. } | ToWorker::Recorded { .. }) => Ok(None),
    }
}

/// Opens what the custodian sealed and checks that it is that custodian's share of this generation, released for this request.
fn share_of(
    voter: &Voter,
    sealed: &[u8],
    offer: &Verified<Offer>,
    vault: &Vault,
    one_time: &OneTime,
) -> Result<Mnemonic, Problem> {
    let manifest = &vault.sealed()?.manifest;
    let binding = ShareBinding {
        request_sha256: offer.digest(),
        manifest_sha256: manifest.digest(),
    };
    let share = open_share(one_time, sealed, &binding).explain()?;
    check_share(manifest, voter.person(), &share).explain()?;
    Ok(share)
}

/// Recombines the shares and opens the vault, if the generation is still the one that was approved.
fn unseal(
    worker: &Worker,
    vault: &Vault,
    quorum: Quorum,
    again: &str,
) -> Result<(Approved, AccessKey), Problem> {
    let now = worker.home.vault(&vault.name)?;
    let current = now.sealed()?;
    if current.manifest.digest() != quorum.approved.request().manifest_sha256 {
        return Err(Problem::new(
            Code::Refused,
            "the vault moved on while this request waited",
        )
        .hint(format!("ask again: {again}")));
    }
    let shares: Vec<Mnemonic> = quorum.shares.into_iter().map(|(_, share)| share).collect();
    let key = open(&current.files.vault_age, &current.manifest, &shares).explain()?;
    Ok((quorum.approved, key))
}
