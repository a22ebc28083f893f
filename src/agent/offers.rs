//! Offers on record: what is asked for, and rosters that are handed in.

use std::sync::Arc;

use super::{
    Agent,
    book::head,
    people::Listed,
    record::{Record, request_of},
    rehearsal::Rehearsal,
    workers::{OFFER, out_of_turn},
};
use crate::{
    protocol::{
        Code, Problem,
        job::{Ask, FromWorker, Job, OfferMade, VaultFacts},
        socket::RosterSubmit,
    },
    trust::{
        Digest, Head, Verified,
        request::{CheckResult, Offer, Purpose, Request},
    },
};

/// What was asked of a worker: what its offer has to be.
struct Asked<'a> {
    what: What<'a>,
    caller: &'a Listed,
    audit: Head,
    /// What counted when the worker was asked.
    counted: Option<(u64, Digest)>,
}

enum What<'a> {
    /// A session, or closing alone; with what its checks came to.
    Session(&'a Ask, &'a [CheckResult]),
    /// The next version of the roster.
    Roster(&'a str, &'a RosterSubmit),
}

impl Asked<'_> {
    fn vault(&self) -> &str {
        match self.what {
            What::Session(ask, _) => &ask.vault,
            What::Roster(vault, _) => vault,
        }
    }

    fn is_answered_by(&self, request: &Request, made: &OfferMade) -> bool {
        let (incident, reason, nonce, what) = match self.what {
            What::Session(ask, checks) => (
                &ask.incident,
                &ask.reason,
                &ask.nonce,
                request.access == ask.access
                    && request.commander_claimed == ask.commander
                    && request.scenario == ask.scenario
                    && request.subject == ask.subject
                    && request.confirmed == ask.confirmed
                    && request.follows == ask.follows
                    && request.checks == *checks
                    && ask.is_answered_by(&request.purpose)
                    && made.next_roster.is_none(),
            ),
            What::Roster(_, submit) => {
                let takes_up = matches!(
                    request.purpose,
                    Purpose::Roster { roster_sha256, .. } if roster_sha256 == submit.next.digest()
                );
                (
                    &submit.incident,
                    &submit.reason,
                    &submit.nonce,
                    takes_up && made.next_roster.as_ref() == Some(&submit.next),
                )
            }
        };
        what && request.vault == self.vault()
            && request.operator == self.caller.name
            && request.incident == *incident
            && request.reason == *reason
            && request.operator_nonce == *nonce
            && request.audit == self.audit
    }

    fn not_that(&self) -> &'static str {
        match self.what {
            What::Session(..) => "the worker offers what was not asked",
            What::Roster(..) => "the worker offers what was not handed in",
        }
    }
}

impl Agent {
    /// Starts a worker for what is asked and puts its offer on record.
    pub(super) async fn ask(
        self: &Arc<Self>,
        ask: Ask,
        caller: &Listed,
    ) -> Result<Arc<Record>, Problem> {
        self.may_open(ask.close_only.is_none())?;
        let place = self.ceremonies.place()?;
        let vault = ask.vault.clone();
        self.separate(&ask, caller).await?;
        self.may_follow(&ask, caller).await?;
        // Before the head is read: what they come to may stand in the record.
        let checks = self.look_at(&ask, caller).await?;
        let audit = head(self.book.head().await?);
        let counted = self.counted(&vault).await?;
        let job = Job::Ceremony {
            ask: ask.clone(),
            operator: caller.name.clone(),
            audit,
            checks: checks.clone(),
        };
        let mut link = self.workers.start(&job).await?;
        let FromWorker::Offer(made) = link.expect(OFFER).await? else {
            return Err(out_of_turn());
        };
        let asked = Asked {
            what: What::Session(&ask, &checks),
            caller,
            audit,
            counted,
        };
        let record = self.check_offer(&asked, made).await?;
        self.begin(record, caller, vault, link, place).await
    }

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
        let counted = self.counted(vault).await?;
        let job = Job::Roster {
            vault: vault.to_owned(),
            wish: submit.clone(),
            operator: caller.name.clone(),
            audit,
        };
        let mut link = self.workers.start(&job).await?;
        match link.expect(OFFER).await? {
            FromWorker::Offer(made) => {
                let asked = Asked {
                    what: What::Roster(vault, &submit),
                    caller,
                    audit,
                    counted,
                };
                let record = self.check_offer(&asked, made).await?;
                self.begin(record, caller, vault.to_owned(), link, place)
                    .await
                    .map(Some)
            }
            // Nothing is sealed, it says: which no host may say where something was.
            FromWorker::Vault(facts) => {
                let known = self.learn_since(vault, facts, counted).await?;
                if known.roster.digest() == submit.next.digest() {
                    return Ok(None);
                }
                Err(out_of_turn())
            }
            _ => Err(out_of_turn()),
        }
    }

    /// The agent believes the worker no more than it must: the offer has to be signed, be what was asked, and be made on no earlier
    /// generation than the record's.
    async fn check_offer(
        self: &Arc<Self>,
        asked: &Asked<'_>,
        made: OfferMade,
    ) -> Result<Record, Problem> {
        let request = request_of(&made.offer)?;
        let facts = VaultFacts {
            host: request.host,
            isolation: made.isolation,
            roster_chain: made.roster_chain.clone(),
            manifest: Some(made.manifest.clone()),
        };
        let known = self
            .learn_since(asked.vault(), facts, asked.counted)
            .await?;
        let offer: Verified<Offer> = Offer::verify(&made.offer, &known.roster)?;
        let Offer(request) = offer.into_document();
        if !asked.is_answered_by(&request, &made) {
            return Err(
                Problem::new(Code::Tampering, asked.not_that()).hint("tell the security officer")
            );
        }
        Ok(Record::new(made, request, known.roster.threshold))
    }

    /// The event's number stands beside the record.
    pub(super) async fn put_on_record(
        self: &Arc<Self>,
        mut record: Record,
        who: String,
    ) -> Result<(Arc<Record>, u64), Problem> {
        let id = record.id().to_owned();
        let seq = self
            .book
            .commit(move |change| {
                let request = &record.request;
                if change.request(&request.id)?.is_some() {
                    return Err(Problem::new(Code::Internal, "that id is taken"));
                }
                let operator = super::people::actor(&request.operator)?;
                record.asked_by = Some(who.clone());
                let mut event = record.requested(operator, who, change.place);
                if let Some(subject) = &request.subject {
                    // Lines go to every sink; whom it is about stands in the signed offer beside them.
                    event = event.detail("subject", change.fingerprint("subject", subject));
                }
                let seq = change.event(&event)?.seq;
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
                change.put(record)?;
                Ok(seq)
            })
            .await?;
        let record = self.book.request(&id);
        record
            .map(|record| (record, seq))
            .ok_or_else(|| super::book::unknown_request(&id))
    }
}
