//! Votes on record. A worker has counted a vote before the record has it: nothing goes on until both agree.

use std::time::{Duration, Instant};

use super::{
    ceremonies::{Ballot, Cast, Ceremony, FIRST_PAUSE, LONGEST_PAUSE},
    offers::{Withdrawn, not_owed, withdrawn},
    record::Vote as Counted,
};
use crate::{
    audit::event::{Actor, EventType},
    ceremony::{Stage, Standing},
    fail,
    protocol::{Code, Problem, job::Vote},
    trust::{Digest, Envelope, request::Denial},
};

/// For how long a vote is tried to be put on record, before its request is given up.
const PATIENCE: Duration = Duration::from_secs(30);

impl Ceremony {
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
        let mut pause = fail::quicker(FIRST_PAUSE);
        loop {
            let problem = match self.record_vote(vote.clone(), cast).await {
                Ok(answer) => return Ok(answer),
                Err(problem) => problem,
            };
            self.agent
                .alarms
                .set(&format!("request {}", self.id), Some(&problem));
            if !quorum && begun.elapsed() > PATIENCE {
                return Err(problem);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
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
                    let record = change.known(&id)?;
                    let event = record
                        .event(EventType::ApprovalRefused, Actor::agent(), change.place)
                        .detail("why", problem.error.as_str())
                        .detail("kind", kind)
                        .detail("handed_in_by", by)
                        .detail("envelope_sha256", envelope_digest(&envelope));
                    change.event(&event)?;
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
                    let actor =
                        Actor::person(&person).map_err(|why| Problem::new(Code::Internal, why))?;
                    let mut event = record
                        .custody(key, event_type, actor, change.place)
                        .who(key.to_string())
                        .detail("vault", record.request.vault.as_str())
                        .detail("serial", serial)
                        .detail("handed_in_by", by)
                        .detail("standing", serde_json::json!(standing))
                        .envelope(kind, envelope.to_json());
                    if let Some(reason) = &denial {
                        event = event.justification(reason);
                    }
                    change.event(&event)?;
                    record.votes.push(Counted {
                        person,
                        serial,
                        key,
                        at: now,
                        denial,
                    });
                    record.standing = standing;
                    match standing {
                        Standing::Waiting => {}
                        Standing::Approved => record.advance(Stage::Approved, now)?,
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

fn envelope_digest(envelope: &Envelope) -> String {
    Digest::of(envelope.to_json().as_bytes()).to_string()
}
