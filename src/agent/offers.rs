//! Offers on record: what is asked for, rosters that are handed in, approvals that are taken back.

use std::sync::Arc;

use super::{
    Agent,
    book::Change,
    book::head,
    people::Listed,
    record::{Record, request_of},
    rehearsal::Rehearsal,
    workers::{OFFER, out_of_turn},
};
use crate::{
    audit::event::{Actor, EventType},
    ceremony::{Stage, Standing},
    protocol::{
        Code, Problem,
        job::{FromWorker, Job, OfferMade, VaultFacts},
        socket::RosterSubmit,
    },
    trust::{
        Envelope, Head, KeyId, Verified,
        request::{Offer, Purpose, Request},
    },
};

impl Agent {
    /// Hands the next version of a roster to a worker. The answer is the request that custodians have to approve; none where nothing is
    /// sealed yet and the version counts already.
    pub(super) async fn submit_roster(
        self: &Arc<Self>,
        vault: &str,
        submit: RosterSubmit,
        caller: &Listed,
    ) -> Result<Option<Arc<Record>>, Problem> {
        let place = self.ceremonies.place()?;
        let audit = head(self.book.head().await?);
        let job = Job::Roster {
            vault: vault.to_owned(),
            wish: submit.clone(),
            operator: caller.name.clone(),
            audit,
        };
        let mut link = self.workers.start(&job).await?;
        match link.expect(OFFER).await? {
            FromWorker::Offer(made) => {
                let record = self
                    .check_roster_offer(vault, &submit, caller, made, audit)
                    .await?;
                self.begin(record, caller, vault.to_owned(), link, place)
                    .await
                    .map(Some)
            }
            FromWorker::Vault(facts) => {
                let known = self.learn(vault, facts).await?;
                if known.roster.digest() == submit.next.digest() {
                    return Ok(None);
                }
                Err(out_of_turn())
            }
            _ => Err(out_of_turn()),
        }
    }

    /// The offer has to be signed, and be what was handed in.
    async fn check_roster_offer(
        self: &Arc<Self>,
        vault: &str,
        submit: &RosterSubmit,
        caller: &Listed,
        made: OfferMade,
        audit: Head,
    ) -> Result<Record, Problem> {
        let request = request_of(&made.offer)?;
        let facts = VaultFacts {
            host: request.host,
            isolation: made.isolation,
            roster_chain: made.roster_chain.clone(),
            manifest: Some(made.manifest.clone()),
        };
        let known = self.learn(vault, facts).await?;
        let offer: Verified<Offer> = Offer::verify(&made.offer, &known.roster)?;
        let Offer(request) = offer.into_document();
        let takes_up = matches!(
            request.purpose,
            Purpose::Roster { roster_sha256, .. } if roster_sha256 == submit.next.digest()
        );
        let asked = takes_up
            && request.operator == caller.name
            && request.incident == submit.incident
            && request.reason == submit.reason
            && request.operator_nonce == submit.nonce
            && request.audit == audit
            && made.next_roster.as_ref() == Some(&submit.next);
        if !asked {
            return Err(
                Problem::new(Code::Tampering, "the worker offers what was not handed in")
                    .hint("tell the security officer"),
            );
        }
        Ok(Record::new(made, request, known.roster.threshold))
    }

    pub(super) async fn put_on_record(
        self: &Arc<Self>,
        mut record: Record,
        who: String,
    ) -> Result<Arc<Record>, Problem> {
        let id = record.id().to_owned();
        self.book
            .commit(move |change| {
                let request = &record.request;
                if change.request(&request.id)?.is_some() {
                    return Err(Problem::new(Code::Internal, "that id is taken"));
                }
                let operator = Actor::person(&request.operator)
                    .map_err(|why| Problem::new(Code::Internal, why))?;
                let event = record.requested(operator, who, change.place);
                change.event(&event)?;
                record.rehearsal = Rehearsal::of(request, change.millis());
                let request = &record.request;
                if let Purpose::Roster {
                    version,
                    roster_sha256,
                } = request.purpose
                {
                    let mut row = change.vault(&request.vault)?;
                    row.owed = Some((version, roster_sha256));
                    change.put_vault(&request.vault.clone(), &row)?;
                }
                change.put(record)
            })
            .await?;
        self.book
            .request(&id)
            .ok_or_else(|| super::book::unknown_request(&id))
    }
}

/// Who has taken an approval back, and how it came.
pub(super) struct Withdrawn {
    pub(super) person: String,
    pub(super) serial: u32,
    pub(super) key: KeyId,
    pub(super) by: String,
}

/// Takes an approval off a request, by the worker's word that it has dropped the share.
pub(super) fn withdrawn(
    change: &mut Change<'_, '_>,
    id: &str,
    who: Withdrawn,
    standing: Standing,
    envelope: &Envelope,
) -> Result<(), Problem> {
    let mut record = change.known(id)?;
    let now = change.now();
    let actor = Actor::person(&who.person).map_err(|why| Problem::new(Code::Internal, why))?;
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
pub(super) fn not_owed(change: &mut Change<'_, '_>, request: &Request) -> Result<(), Problem> {
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
pub(super) fn too_late(stage: Stage) -> Problem {
    Problem::new(
        Code::Approvals,
        format!("the request is {stage} and takes no more votes"),
    )
    .hint("see: twotap status")
}
