//! What each route does, once its caller is known and allowed.

use std::sync::Arc;

use super::{
    Agent,
    book::head,
    people::Listed,
    readiness::Subject,
    record::VaultRotation,
    routes::{Answer, Call, Refusal},
    said,
    sessions::{Form, Wanted},
    vaults::Known,
    votes::Ballot,
};
use crate::{
    audit::{
        export::envelopes_of,
        sinks::{SinkError, SinkStatus},
        store::Entry,
    },
    ceremony::Stage,
    protocol::{
        Code, Problem,
        evidence::{Acknowledge, Lapse},
        job::{Approval, Ask},
        people::Confirm,
        socket::{
            ApprovalBundle, AuditEnvelope, Close, Denial, RecoveryHandIn, RequestView,
            RosterSubmit, RosterSubmitted, SealBegin, SealFinish, SinkView, Status, VaultStatus,
            VaultView, Withdrawal,
        },
    },
    trust::{Bytes, Digest, Timestamp, standing::told},
};

/// How long a request that has ended stays in the status, in seconds.
const STATUS_SECONDS: i64 = 24 * 3600;
/// The most events in one page.
const PAGE: u64 = 1000;
/// The most events whose envelopes make one page: each may have several of some 10 KiB.
const ENVELOPES_PAGE: u64 = 100;
/// About the largest page, in bytes.
const PAGE_BYTES: usize = 8 * 1024 * 1024;

pub(super) use super::drills::{drill, drill_failed, drill_passed, sheet_checked};
pub(super) use super::reviews::{file, quarter, review};
pub(super) use super::trail::trail;

pub(super) type Answered = Result<Answer, Refusal>;

pub(super) async fn status(call: Call) -> Answered {
    let agent = &call.agent;
    agent.look_for_vaults().await;
    let mut vaults = Vec::new();
    let mut degraded = agent.alarms.lines();
    for known in agent.vaults.all(agent) {
        if !call.sees(&known.vault) {
            continue;
        }
        let vault = vault_status(agent, &known).await?;
        if vault.rotation.starts_with("pending") {
            degraded.push(format!(
                "vault {}: rotation {}",
                vault.vault, vault.rotation
            ));
        }
        let lags = |copy| super::copies::degraded(&vault.vault, copy);
        degraded.extend(vault.copies.iter().filter_map(lags));
        let unready = vault.readiness.degraded.iter();
        degraded.extend(unready.map(|why| format!("vault {}: readiness: {why}", vault.vault)));
        degraded.extend(agent.shared_accounts(&known.roster, known.host));
        degraded.extend(owed(agent, &known).await?);
        degraded.extend(agent.missing_for_scenarios(&known.roster));
        let row = agent.book.vault(&known.vault).await?;
        degraded.extend(row.recovered.owed(
            &known.roster,
            agent.config.renew_days,
            Timestamp::now(),
        ));
        degraded.extend(agent.overdue_rotations(&known.vault, &row));
        if let Some(misused) = row.misused {
            degraded.push(format!(
                "vault {}: {misused}; replace it: ask for a session, or seal a new key",
                known.vault
            ));
        }
        vaults.push(vault);
    }
    let sinks = sinks(agent).await?;
    degraded.extend(agent.evidence.lines());
    let told = |sink: &&SinkStatus| !agent.evidence.lags(&sink.name);
    degraded.extend(sinks.iter().filter(told).filter_map(lagging));
    let now = Timestamp::now();
    let recent = |at: Option<Timestamp>| at.is_some_and(|at| at.until(now) < STATUS_SECONDS);
    let requests = agent
        .book
        .requests()
        .iter()
        .filter(|r| call.sees(&r.request.vault))
        .filter(|r| !r.stage.is_final() || recent(r.ended_at) || r.secrets_wait())
        .inspect(|r| degraded.extend(r.secrets_owed()))
        .map(|r| call.agent.view(r))
        .collect();
    let mut reviews = agent.book.reviews();
    reviews.retain(|review| call.sees(&review.vault));
    degraded.extend(reviews.iter().filter_map(super::reviews::degraded));
    Answer::json(&Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        you: call.caller.to_person(),
        head: head(agent.book.head().await?),
        vaults,
        requests,
        degraded,
        sinks: sinks.into_iter().map(sink_view).collect(),
        reviews,
    })
}

pub(super) async fn vault(call: Call) -> Answered {
    let known = call.agent.vault(call.param("vault")).await?;
    Answer::json(&VaultView {
        host: known.host,
        roster_chain: known.chain.clone(),
        manifest: known.manifest.as_ref().map(|m| m.envelope().clone()),
    })
}

pub(super) async fn sealed(call: Call) -> Answered {
    let vault = call.param("vault");
    Answer::json(&super::exports::export(&call.agent, vault, &call.caller).await?)
}

pub(super) async fn begin_seal(call: Call) -> Answered {
    let SealBegin { nonce, next } = call.body()?;
    let begun = call
        .agent
        .begin_seal(call.param("vault"), nonce, next, &call.caller)
        .await?;
    Answer::json(&begun)
}

pub(super) async fn finish_seal(call: Call) -> Answered {
    let SealFinish { sealed } = call.body()?;
    let finished = call
        .agent
        .finish_seal(call.param("seal"), sealed, &call.caller)
        .await?;
    Answer::json(&finished)
}

pub(super) async fn recovery(call: Call) -> Answered {
    let RecoveryHandIn { record } = call.body()?;
    let (agent, caller) = (Arc::clone(&call.agent), call.caller.clone());
    let vault = call.param("vault").to_owned();
    let done = finish(async move { agent.record_recovery(&vault, record, &caller).await }).await?;
    Answer::json(&done)
}

pub(super) async fn ask(call: Call) -> Answered {
    let ask: Ask = call.body()?;
    let caller: Listed = call.in_vault(&ask.vault).await?;
    // What the worker does for a client that has gone must not be left half-done.
    let agent = Arc::clone(&call.agent);
    let record = finish(async move { agent.ask(ask, &caller).await }).await?;
    Answer::json(&call.agent.view(&record))
}

pub(super) async fn requests(call: Call) -> Answered {
    let views: Vec<RequestView> = call
        .agent
        .book
        .requests()
        .iter()
        .filter(|r| call.sees(&r.request.vault))
        .map(|r| call.agent.view(r))
        .collect();
    Answer::json(&views)
}

pub(super) async fn request(call: Call) -> Answered {
    Answer::json(&call.agent.view(call.record()?))
}

pub(super) async fn bundle(call: Call) -> Answered {
    let record = call.record()?;
    if record.stage != Stage::Requested {
        let problem = Problem::new(
            Code::Approvals,
            format!("the request is {} and takes no more votes", record.stage),
        );
        return Err(problem.into());
    }
    call.agent.ceremonies.may_be_voted_on(record.id())?;
    call.agent.may_open(record.opens())?;
    let own = record
        .made
        .shares
        .iter()
        .find(|s| s.custodian == call.caller.name);
    let share = own.ok_or_else(|| {
        Problem::new(
            Code::Refused,
            format!(
                "generation {} has no share of yours",
                record.request.generation
            ),
        )
        .hint("another custodian has to approve; the next generation will have one")
    })?;
    Answer::json(&ApprovalBundle {
        offer: record.made.offer.clone(),
        manifest: record.made.manifest.clone(),
        roster_chain: record.made.roster_chain.clone(),
        share: share.age.clone(),
        next_roster: record.made.next_roster.clone(),
        agent_says: said::of(&call.agent, record).await?,
        epochs: call.agent.epochs.all(),
    })
}

pub(super) async fn approve(call: Call) -> Answered {
    let approval: Approval = call.body()?;
    vote(call, Ballot::Approval(approval)).await
}

pub(super) async fn deny(call: Call) -> Answered {
    let Denial { denial } = call.body()?;
    vote(call, Ballot::Denial(denial)).await
}

pub(super) async fn withdraw(call: Call) -> Answered {
    let Withdrawal { withdrawal } = call.body()?;
    vote(call, Ballot::Withdrawal(withdrawal)).await
}

pub(super) async fn confirm(call: Call) -> Answered {
    let confirm: Confirm = call.body()?;
    let id = call.record()?.id();
    let record = call.agent.confirm(id, confirm, &call.caller).await?;
    Answer::json(&call.agent.view(&record))
}

pub(super) async fn submit_roster(call: Call) -> Answered {
    let submit: RosterSubmit = call.body()?;
    let (agent, caller) = (Arc::clone(&call.agent), call.caller.clone());
    let vault = call.param("vault").to_owned();
    let record = finish(async move { agent.submit_roster(&vault, submit, &caller).await }).await?;
    Answer::json(&RosterSubmitted {
        request: record.map(|r| r.view()),
    })
}

async fn vote(call: Call, ballot: Ballot) -> Answered {
    let id = call.record()?.id().to_owned();
    let agent = Arc::clone(&call.agent);
    let name = id.clone();
    let by = call.caller.who.clone();
    finish(async move { agent.vote(&name, ballot, by).await }).await?;
    let record = call
        .agent
        .book
        .request(&id)
        .ok_or_else(|| super::book::unknown_request(&id))?;
    Answer::json(&call.agent.view(&record))
}

pub(super) async fn credentials(call: Call) -> Answered {
    let named = call.record()?.id();
    // A program that was given this session goes on with the one that continues it.
    let id = match call.word("onward") {
        Some("true") => call.agent.onward(named),
        _ => named.to_owned(),
    };
    let wanted = Wanted {
        account: call.word("account").map(str::to_owned),
        role: call.word("role").map(str::to_owned),
        form: Form::named(call.word("form"))?,
    };
    let credentials = call.agent.deliver(&id, &wanted, &call.caller.who).await?;
    Ok(Answer::json(&credentials)?.last())
}

pub(super) async fn close(call: Call) -> Answered {
    let Close { force } = call.body()?;
    let id = call.record()?.id();
    let record = call.agent.close(id, &call.caller, force).await?;
    Answer::json(&call.agent.view(&record))
}

pub(super) async fn events(call: Call) -> Answered {
    let mut body = Vec::new();
    let mut entries = page(&call, PAGE).await?;
    let mut bytes = 0;
    let fit = entries
        .iter()
        .take_while(|e| {
            bytes += e.line.len();
            bytes <= PAGE_BYTES
        })
        .count();
    entries.truncate(fit.max(1));
    for entry in entries {
        body.extend_from_slice(&entry.line);
        body.push(b'\n');
    }
    Ok(Answer::text("application/x-ndjson", body))
}

pub(super) async fn envelopes(call: Call) -> Answered {
    let entries = page(&call, ENVELOPES_PAGE).await?;
    let found = call
        .agent
        .book
        .read(move |store| {
            let mut found = Vec::new();
            for entry in &entries {
                for envelope in envelopes_of(store, &entry.line)? {
                    found.push(AuditEnvelope {
                        seq: entry.seq,
                        kind: envelope.kind.clone(),
                        sha256: Digest(*envelope.sha256().as_bytes()),
                        body: Bytes(envelope.body),
                    });
                }
            }
            Ok(found)
        })
        .await?;
    let mut body = Vec::new();
    for envelope in &found {
        serde_json::to_writer(&mut body, envelope)
            .map_err(|why| Problem::new(Code::Internal, format!("cannot write json: {why}")))?;
        body.push(b'\n');
    }
    Ok(Answer::text("application/x-ndjson", body))
}

pub(super) async fn acknowledge(call: Call) -> Answered {
    let said: Acknowledge = call.body()?;
    let done = call.agent.acknowledge_tampering(said, &call.caller).await?;
    Answer::json(&done)
}

pub(super) async fn checkpoints(call: Call) -> Answered {
    let notes = call.agent.book.checkpoints().await?;
    Ok(Answer::text(
        "text/plain; charset=utf-8",
        notes.join("\n").into_bytes(),
    ))
}

/// The events that the query asks for.
async fn page(call: &Call, most: u64) -> Result<Vec<Entry>, Problem> {
    let from = call.number("from", 1)?.max(1);
    let limit = call.number("limit", most)?.clamp(1, most);
    call.agent
        .book
        .read(move |store| store.events(from, usize::try_from(limit).unwrap_or(1)))
        .await
}

/// Runs to its end even if the client goes away.
pub(super) async fn finish<T: Send + 'static>(
    work: impl Future<Output = Result<T, Problem>> + Send + 'static,
) -> Result<T, Problem> {
    tokio::spawn(work)
        .await
        .unwrap_or_else(|_| Err(Problem::new(Code::Internal, "a task stopped; see the log")))
}

async fn vault_status(agent: &Arc<Agent>, known: &Known) -> Result<VaultStatus, Problem> {
    let row = agent.book.vault(&known.vault).await?;
    let mut rotation = row.rotation.to_string();
    if let Some(waiting) = agent.waits.of(&known.vault) {
        rotation = format!("running: {waiting}");
    } else if row.rotation == VaultRotation::Done
        && let Some(owed) = row.recovered.rotation()
    {
        rotation = owed;
    }
    Ok(VaultStatus {
        vault: known.vault.clone(),
        roster_version: known.roster.version,
        threshold: known.roster.threshold,
        groups: known.roster.groups.clone(),
        custodians: known.roster.custodians().map(|p| p.name.clone()).collect(),
        generation: known.manifest.as_ref().map(|m| m.generation),
        sealed_at: known.manifest.as_ref().map(|m| m.created_at),
        tokens: {
            let tokens = known.roster.tokens.iter();
            tokens.map(|t| told(t, &known.roster)).collect()
        },
        rotation,
        watch: agent.watches.of(agent, &known.vault),
        isolation: known.isolation,
        copies: super::copies::status(&known.roster, &row.copies),
        recovery: row.recovered.status(&known.roster, agent.config.renew_days),
        readiness: Subject::of(known).view(&row.proofs, &agent.config.readiness, Timestamp::now()),
    })
}

/// A roster that was handed in and does not count yet.
async fn owed(agent: &Arc<Agent>, known: &Known) -> Result<Option<String>, Problem> {
    let row = agent.book.vault(&known.vault).await?;
    Ok(row.owed.map(|(version, _)| {
        format!(
            "vault {}: owed: a ceremony (rotation under roster {version}); until then version {} counts",
            known.vault, known.roster.version
        )
    }))
}

/// How each sink is doing.
pub(super) async fn sinks(agent: &Arc<Agent>) -> Result<Vec<SinkStatus>, Problem> {
    let agent = Arc::clone(agent);
    tokio::task::spawn_blocking(move || {
        let sinks = agent
            .sinks
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        sinks
            .as_ref()
            .map_or_else(|| Ok(Vec::new()), |s| s.status())
    })
    .await
    .unwrap_or_else(|_| Ok(Vec::new()))
    .map_err(|why| super::book::problem(&why))
}

fn sink_view(sink: SinkStatus) -> SinkView {
    SinkView {
        name: sink.name,
        acknowledged: sink.acknowledged,
        lag: sink.lag,
        oldest: sink.oldest.as_deref().and_then(whole_seconds),
        required: sink.required,
        group: sink.group,
        failing_seconds: sink.failing_for.map(|d| d.as_secs()),
        why: sink.error.map(|why| why.to_string()),
        complaint: sink.complaint,
    }
}

/// An event's timestamp, which has milliseconds.
fn whole_seconds(text: &str) -> Option<Timestamp> {
    Timestamp::parse(&format!("{}Z", text.get(..19)?))
}

/// One line for a sink that does not keep up, before that is on record, or that says something although it works.
fn lagging(sink: &SinkStatus) -> Option<String> {
    let why = match (&sink.error, &sink.complaint) {
        (Some(error), _) => error.to_string(),
        (None, Some(complaint)) => complaint.clone(),
        (None, None) => return None,
    };
    // It has fallen behind where it fails, not because it holds something else, and since when is known.
    if let Some(error) = &sink.error
        && !matches!(error, SinkError::Diverged { .. })
        && let Some(since) = sink.oldest.as_deref().and_then(whole_seconds)
    {
        let lapse = Lapse {
            sink: sink.name.clone(),
            since,
            why,
            restored: None,
        };
        return Some(lapse.in_words());
    }
    Some(format!("sink {}: {why}", sink.name))
}
