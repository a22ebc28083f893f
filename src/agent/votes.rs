//! Votes on a request: from a client to the request's worker, and its word on record. A worker has counted a vote before the record has
//! it: nothing goes on until both agree.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use super::{
    Agent, book::Change, ceremonies::Ceremony, duties, pauses::Pauses, record::Vote as Counted,
};
use crate::{
    audit::event::{Actor, EventType},
    ceremony::{Stage, Standing},
    protocol::{
        Code, Problem,
        job::{Approval, ToWorker, Vote},
    },
    trust::{
        Envelope, KeyId,
        request::{Denial, Purpose, Request},
    },
};

/// For how long a vote is tried to be put on record, before its request is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// A vote as a client hands it in.
pub(super) enum Ballot {
    /// A yes.
    Approval(Approval),
    /// A no.
    Denial(Envelope),
    /// A yes taken back.
    Withdrawal(Envelope),
}

/// A vote on its way to the worker.
pub(super) struct Cast {
    pub(super) ballot: Ballot,
    /// Whose account brought it; whose vote it is the signature says.
    by: String,
    pub(super) reply: oneshot::Sender<Result<(), Problem>>,
}

impl Agent {
    /// Hands a vote to the worker; it alone decides whether it counts.
    pub(super) async fn vote(
        self: &Arc<Self>,
        id: &str,
        ballot: Ballot,
        by: String,
    ) -> Result<(), Problem> {
        let record = self
            .book
            .request(id)
            .ok_or_else(|| super::book::unknown_request(id))?;
        if record.stage != Stage::Requested {
            return Err(too_late(record.stage));
        }
        self.ceremonies.may_be_voted_on(id)?;
        if matches!(ballot, Ballot::Approval(_)) {
            self.may_open(record.opens())?;
        }
        let sender = self.ceremonies.waiting_for_votes(id);
        let Some(sender) = sender else {
            return Err(no_worker());
        };
        let (reply, answer) = oneshot::channel();
        sender
            .send(Cast { ballot, by, reply })
            .await
            .map_err(|_| no_worker())?;
        answer.await.unwrap_or_else(|_| Err(no_worker()))
    }
}

impl Ceremony {
    pub(super) async fn hand_on(&mut self, cast: &Cast) -> Result<(), Problem> {
        let ballot = &cast.ballot;
        let record = self.agent.book.request(&self.id);
        let stage = record.as_ref().map(|r| r.stage);
        if stage != Some(Stage::Requested) {
            return Err(too_late(stage.unwrap_or(Stage::Failed)));
        }
        let last = record.as_ref().is_some_and(|r| r.next_completes());
        let releases = last && matches!(ballot, Ballot::Approval(_));
        let voter = record.and_then(|r| duties::voter(&r, ballot));
        // Once it is sent nobody can say that it did not arrive.
        if let Some(problem) = self.mark(voter, releases).await? {
            return self
                .record_vote_surely(Vote::Refused(problem), cast)
                .await?;
        }
        let message = match ballot {
            Ballot::Approval(approval) => ToWorker::Approval(approval.clone()),
            Ballot::Denial(denial) => ToWorker::Denial {
                denial: denial.clone(),
            },
            Ballot::Withdrawal(withdrawal) => ToWorker::Withdrawal {
                withdrawal: withdrawal.clone(),
            },
        };
        self.link.send(&message).await
    }

    /// Puts a vote on record, and tries until it stands there. Once the quorum has been counted for as long as it takes: the worker goes on
    /// by itself, and what it does must not stand in the record without who allowed it.
    pub(super) async fn record_vote_surely(
        &mut self,
        vote: Vote,
        cast: &Cast,
    ) -> Result<Result<(), Problem>, Problem> {
        let quorum = matches!(
            vote,
            Vote::Counted {
                standing: Standing::Approved,
                ..
            }
        );
        let begun = Instant::now();
        let mut pauses = Pauses::of_writes();
        loop {
            let problem = match self.record_vote(vote.clone(), cast).await {
                Ok(answer) => return Ok(answer),
                Err(problem) => problem,
            };
            let alarm = format!("request {}", self.id);
            self.agent.alarms.set(&alarm, Some(&problem));
            if !quorum && begun.elapsed() > PATIENCE {
                return Err(problem);
            }
            pauses.wait().await;
        }
    }

    /// One try. What is refused is on record as well; the outer error is a store that cannot be written.
    async fn record_vote(
        &mut self,
        vote: Vote,
        cast: &Cast,
    ) -> Result<Result<(), Problem>, Problem> {
        let (id, by) = (self.id.clone(), cast.by.clone());
        let (kind, envelope) = match &cast.ballot {
            Ballot::Approval(approval) => ("approve", approval.approval.clone()),
            Ballot::Denial(denial) => ("deny", denial.clone()),
            Ballot::Withdrawal(withdrawal) => ("withdraw", withdrawal.clone()),
        };
        let (answer, settled) = self
            .agent
            .book
            .commit(move |change| match vote {
                Vote::Refused(problem) => {
                    let mut record = change.known(&id)?;
                    let event = record
                        .event(EventType::ApprovalRefused, Actor::agent(), change.place)
                        .detail("why", problem.error.as_str())
                        .detail("kind", kind)
                        .detail("handed_in_by", by)
                        .detail("envelope_sha256", envelope_digest(&envelope));
                    change.event(&event)?;
                    if record.releasing || record.casting.is_some() {
                        record.releasing = false;
                        record.casting = None;
                        change.put(record)?;
                    }
                    Ok((Err(problem), false))
                }
                Vote::Withdrawn {
                    person,
                    serial,
                    key,
                    standing,
                } => {
                    let by = Withdrawn {
                        person,
                        serial,
                        key,
                        by,
                    };
                    withdrawn(change, &id, by, standing, &envelope)?;
                    Ok((Ok(()), standing != Standing::Waiting))
                }
                Vote::Counted {
                    person,
                    serial,
                    key,
                    approved,
                    standing,
                } => {
                    let mut record = change.known(&id)?;
                    let now = change.now();
                    let denial = match approved {
                        true => None,
                        false => Some(envelope.unverified::<Denial>()?.reason),
                    };
                    let event_type = match approved {
                        true => EventType::BreakGlassApproved,
                        false => EventType::BreakGlassDenied,
                    };
                    let actor = super::people::actor(&person)?;
                    let mut event = record
                        .custody(key, event_type, actor, change.place)
                        .who(key.to_string())
                        .detail("vault", record.request.vault.as_str())
                        .detail("serial", serial)
                        .detail("handed_in_by", by.as_str())
                        .detail("standing", serde_json::json!(standing))
                        .envelope(kind, envelope.to_json());
                    if let Some(reason) = &denial {
                        event = event.justification(reason);
                    }
                    change.event(&event)?;
                    record.casting = None;
                    if approved {
                        record.releasing = false;
                        record.released.insert(person.clone());
                        // It came with the share that was sealed, which the worker has compared.
                        super::proofs::approved(change, &record, (key, &person, serial))?;
                    }
                    record.votes.push(Counted {
                        person,
                        serial,
                        key,
                        at: now,
                        denial,
                        by: Some(by),
                    });
                    record.standing = standing;
                    match standing {
                        Standing::Waiting => {}
                        Standing::Approved => {
                            record.advance(Stage::Approved, now)?;
                            let millis = change.millis();
                            record.rehearsal.iter_mut().for_each(|r| r.quorum(millis));
                        }
                        Standing::Denied => {
                            record.end(Stage::Denied, "denied by the custodians", now)?;
                            not_owed(change, &record.request)?;
                        }
                    }
                    change.put(record)?;
                    Ok((Ok(()), standing != Standing::Waiting))
                }
            })
            .await?;
        if settled {
            self.place = None;
            self.agent.bell.notify_one();
        }
        Ok(answer)
    }
}

/// Who has taken an approval back, and how it came.
struct Withdrawn {
    person: String,
    serial: u32,
    key: KeyId,
    by: String,
}

/// Takes an approval off a request, by the worker's word that it has dropped the share.
fn withdrawn(
    change: &mut Change<'_, '_>,
    id: &str,
    who: Withdrawn,
    standing: Standing,
    envelope: &Envelope,
) -> Result<(), Problem> {
    let mut record = change.known(id)?;
    let now = change.now();
    let actor = super::people::actor(&who.person)?;
    let event = record
        .event(EventType::BreakGlassWithdrawn, actor, change.place)
        .who(who.key.to_string())
        .detail("vault", record.request.vault.as_str())
        .detail("serial", who.serial)
        .detail("handed_in_by", who.by)
        .detail("standing", serde_json::json!(standing))
        .envelope("withdraw", envelope.to_json());
    change.event(&event)?;
    record
        .votes
        .retain(|v| v.denial.is_some() || v.person != who.person);
    record.step(
        now,
        "withdrawn",
        format!("{} took the approval back", who.person),
    );
    record.standing = standing;
    if standing == Standing::Denied {
        record.end(
            Stage::Denied,
            format!(
                "{} took the approval back, and too few are left",
                who.person
            ),
            now,
        )?;
        not_owed(change, &record.request)?;
    }
    change.put(record)
}

/// Custodians who said no to a roster owe nothing for it.
fn not_owed(change: &mut Change<'_, '_>, request: &Request) -> Result<(), Problem> {
    let Purpose::Roster { roster_sha256, .. } = request.purpose else {
        return Ok(());
    };
    let mut row = change.vault(&request.vault)?;
    if row.owed.is_some_and(|(_, digest)| digest == roster_sha256) {
        row.owed = None;
        change.put_vault(&request.vault, &row)?;
    }
    Ok(())
}

/// A vote on what takes none any more.
fn too_late(stage: Stage) -> Problem {
    Problem::new(
        Code::Approvals,
        format!("the request is {stage} and takes no more votes"),
    )
    .hint("see twotap status")
}

fn envelope_digest(envelope: &Envelope) -> String {
    crate::trust::Digest::of(envelope.to_json().as_bytes()).to_string()
}

fn no_worker() -> Problem {
    Problem::new(Code::Agent, "the worker of this request has gone").hint("ask for a new request")
}
