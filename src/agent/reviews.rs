//! What comes after a session: an officer's review with its deadline, and what was filed with whom. None of it refuses anything.

use std::sync::Arc;

use super::{
    Agent,
    book::Change,
    handlers::{Answered, finish},
    people::Listed,
    record::{Mint, Record},
    routes::{Answer, Call},
};
use crate::{
    audit::{
        event::{Actor, Event, EventType},
        store::Table,
    },
    protocol::{
        Code, Problem,
        review::{
            AccessRow, Filed, Filing, Findings, ReviewIn, ReviewOpen, ReviewSigned, ReviewView,
        },
    },
    trust::{
        Day, Digest, Timestamp,
        roster::{REVIEW_HOURS, Role},
        text::check_text,
    },
};

/// The longest reference under which something is filed, in bytes.
const MAX_REFERENCE: usize = 256;
/// How often one request's report may be filed.
const MOST_FILED: usize = 16;

pub(super) async fn review(call: Call) -> Answered {
    let ReviewIn { findings } = call.body()?;
    let read = Findings::parse(&findings).map_err(|why| {
        Problem::new(Code::Usage, format!("the findings cannot be taken: {why}"))
            .hint("an empty form: twotap review REQUEST --form")
    })?;
    let (agent, caller) = (Arc::clone(&call.agent), call.caller.clone());
    let id = call.record()?.id().to_owned();
    let name = id.clone();
    finish(async move {
        let job = move |change: &mut Change<'_, '_>| sign(change, &name, &caller, &findings, &read);
        agent.book.commit(job).await?;
        agent.bell.notify_one();
        // So that the findings cannot be exchanged once they were signed.
        agent.checkpoint().await;
        Ok(())
    })
    .await?;
    newest(&call, &id)
}

pub(super) async fn file(call: Call) -> Answered {
    let filing: Filing = call.body()?;
    let (agent, caller) = (Arc::clone(&call.agent), call.caller.clone());
    let id = call.record()?.id().to_owned();
    let name = id.clone();
    finish(async move {
        let job = move |change: &mut Change<'_, '_>| noted(change, &name, &caller, filing);
        agent.book.commit(job).await
    })
    .await?;
    newest(&call, &id)
}

fn newest(call: &Call, id: &str) -> Answered {
    let record = call.agent.book.request(id);
    let record = record.ok_or_else(|| super::book::unknown_request(id))?;
    Answer::json(&call.agent.view(&record))
}

/// Every request of some days, whatever became of it.
pub(super) async fn quarter(call: Call) -> Answered {
    let day = |name: &str| {
        let day = call.word(name).and_then(Day::parse);
        day.ok_or_else(|| Problem::new(Code::Usage, format!("{name} is not a day like 2026-01-06")))
    };
    let (from, until) = (day("from")?.begins(), day("until")?.begins());
    let _turn = super::trail::ONE_AT_A_TIME.lock().await;
    let all = call
        .agent
        .book
        .read(|store| store.records_as::<Record>(Table::Request))
        .await?;
    let mut rows: Vec<AccessRow> = all
        .iter()
        .map(|(_, record)| record)
        .filter(|r| r.request.not_before >= from && r.request.not_before < until)
        .filter(|r| call.sees(&r.request.vault))
        .map(row)
        .collect();
    rows.sort_by(|a, b| (a.asked, &a.request).cmp(&(b.asked, &b.request)));
    Answer::json(&rows)
}

impl Agent {
    /// Puts on record which reviews were missed; when the next one would be.
    pub(super) async fn look_at_reviews(self: &Arc<Self>, now: Timestamp) -> Option<Timestamp> {
        let waiting = self.book.reviews().into_iter().filter(|r| !r.overdue);
        let (missed, ahead): (Vec<_>, Vec<_>) = waiting.partition(|r| r.due <= now);
        let mut problem = None;
        for review in missed {
            let id = review.request;
            let job = move |change: &mut Change<'_, '_>| miss(change, &id, now);
            if let Err(why) = self.book.commit(job).await {
                problem = Some(why);
            }
        }
        self.alarms.set("reviews", problem.as_ref());
        ahead.into_iter().map(|r| r.due).min()
    }
}

/// From the end of a session on its review is due. Once for each request.
pub(super) fn fall_due(change: &mut Change<'_, '_>, record: &mut Record) -> Result<(), Problem> {
    let over =
        record.request.purpose.is_open() && record.stage.is_final() && record.mint == Mint::Over;
    if !over || record.review.is_some() {
        return Ok(());
    }
    let closed = change.now();
    let hours = hours(record);
    let due = closed.plus(i64::from(hours) * 3600);
    let event = record
        .event(EventType::ReviewDue, Actor::agent(), change.place)
        .detail("vault", record.request.vault.as_str())
        .detail("operator", record.request.operator.as_str())
        .detail("hours", hours)
        .detail("due", due.to_string());
    change.event(&event)?;
    record.review = Some(ReviewView {
        closed,
        due,
        overdue: None,
        signed: None,
        filed: Vec::new(),
    });
    Ok(())
}

/// How long an officer has for it: what the scenario says, by the roster that the request was made under.
fn hours(record: &Record) -> u16 {
    let scenario = record.request.scenario.as_deref();
    let roster = record.roster().ok();
    scenario
        .zip(roster.as_ref())
        .and_then(|(name, roster)| roster.scenario(name))
        .map_or(REVIEW_HOURS, |scenario| scenario.review_hours)
}

/// A session that is over and not reviewed.
pub(super) fn open(record: &Record) -> Option<ReviewOpen> {
    let review = record.review.as_ref().filter(|r| r.signed.is_none())?;
    Some(ReviewOpen {
        request: record.id().to_owned(),
        vault: record.request.vault.clone(),
        incident: record.request.incident.clone(),
        operator: record.request.operator.clone(),
        closed: review.closed,
        due: review.due,
        overdue: review.overdue.is_some(),
    })
}

/// The line for one that was missed.
pub(super) fn degraded(review: &ReviewOpen) -> Option<String> {
    review.overdue.then(|| {
        format!(
            "request {}: its review is overdue since {} ({}, {}); an officer: twotap review {} --findings FILE",
            review.request, review.due, review.incident, review.operator, review.request
        )
    })
}

/// The transaction that puts a missed review on record; one that was signed meanwhile was not missed.
fn miss(change: &mut Change<'_, '_>, id: &str, now: Timestamp) -> Result<(), Problem> {
    let mut record = change.known(id)?;
    let Some(review) = record.review.as_mut() else {
        return Ok(());
    };
    if review.signed.is_some() || review.overdue.is_some() || review.due > now {
        return Ok(());
    }
    review.overdue = Some(now);
    let due = review.due;
    let event = record
        .event(EventType::ReviewOverdue, Actor::agent(), change.place)
        .detail("vault", record.request.vault.as_str())
        .detail("operator", record.request.operator.as_str())
        .detail("due", due.to_string());
    change.event(&event)?;
    change.put(record)
}

/// The transaction that takes a review.
fn sign(
    change: &mut Change<'_, '_>,
    id: &str,
    by: &Listed,
    text: &str,
    findings: &Findings,
) -> Result<(), Problem> {
    let mut record = change.known(id)?;
    let duties = record.duties(&record.roster()?);
    if let Err(clash) = duties.may(&by.name, Role::Officer) {
        return Err(Problem::new(Code::Refused, clash)
            .hint("an officer who was nothing else in it reviews it"));
    }
    let at = change.now();
    let review = over(&mut record)?;
    if let Some(signed) = &review.signed {
        return Err(Problem::new(
            Code::Refused,
            format!("{} reviewed it at {}", signed.by, signed.at),
        )
        .hint(format!("read it: twotap report {id}")));
    }
    let signed = ReviewSigned {
        by: by.name.clone(),
        who: by.who.clone(),
        at,
        findings_sha256: Digest::of(text.as_bytes()),
        authorised: findings.authorised.yes,
        accounted: findings.accounted.yes,
        avoidable: findings.avoidable.yes,
        deviations: findings.deviations.len(),
    };
    let due = review.due;
    review.signed = Some(signed.clone());
    let event = event(&record, EventType::ReviewSigned, by, change)?
        .detail("request_sha256", record.made.offer.digest().to_string())
        .detail("due", due.to_string())
        .detail("in_time", at <= due)
        .detail("authorised", signed.authorised)
        .detail("accounted", signed.accounted)
        .detail("avoidable", signed.avoidable)
        .detail("deviations", signed.deviations)
        .detail("findings_sha256", signed.findings_sha256.to_string())
        .detail("findings", text);
    change.event(&event)?;
    change.put(record)
}

/// The transaction that notes where a report was handed in.
fn noted(
    change: &mut Change<'_, '_>,
    id: &str,
    by: &Listed,
    filing: Filing,
) -> Result<(), Problem> {
    let Filing {
        with,
        reference,
        sha256,
    } = filing;
    check_text("reference", &reference, MAX_REFERENCE)?;
    let mut record = change.known(id)?;
    let at = change.now();
    let review = over(&mut record)?;
    if review.filed.len() >= MOST_FILED {
        return Err(
            Problem::new(Code::Refused, format!("it was filed {MOST_FILED} times"))
                .hint("what was filed stands in the record; amend it where it was filed"),
        );
    }
    let due = review.closed.plus(with.seconds());
    review.filed.push(Filed {
        with,
        reference: reference.clone(),
        sha256,
        by: by.name.clone(),
        who: by.who.clone(),
        at,
    });
    let event = event(&record, EventType::ReportFiled, by, change)?
        .detail("with", with.name())
        .detail("reference", reference)
        .detail("report_sha256", sha256.to_string())
        .detail("due", due.to_string())
        .detail("in_time", at <= due);
    change.event(&event)?;
    change.put(record)
}

fn event(
    record: &Record,
    kind: EventType,
    by: &Listed,
    change: &Change<'_, '_>,
) -> Result<Event, Problem> {
    let actor = super::people::actor(&by.name)?;
    Ok(record
        .event(kind, actor, change.place)
        .who(&by.who)
        .detail("vault", record.request.vault.as_str()))
}

/// What is to follow a session that is over.
fn over(record: &mut Record) -> Result<&mut ReviewView, Problem> {
    let (stage, opens) = (record.stage, record.request.purpose.is_open());
    record.review.as_mut().ok_or_else(|| match stage {
        stage if opens && !stage.is_final() => Problem::new(
            Code::Refused,
            format!("the request is {stage}: what is not over cannot be reviewed"),
        )
        .hint("end the session first: twotap close"),
        _ => Problem::new(
            Code::Refused,
            "this request opened no session: there is nothing to review",
        ),
    })
}

fn row(record: &Record) -> AccessRow {
    let request = &record.request;
    let view = record.view();
    let opened = record.progress.iter().find(|step| step.step == "minted");
    let roles = std::iter::once(&request.role).chain(request.also.iter().map(|t| &t.role_arn));
    AccessRow {
        request: request.id.clone(),
        vault: request.vault.clone(),
        incident: request.incident.clone(),
        reason: request.reason.clone(),
        operator: request.operator.clone(),
        scenario: request.scenario.clone(),
        subject: request.subject.clone(),
        follows: request.follows.clone(),
        commander: record.commander(),
        purpose: request.purpose.clone(),
        access: request.access.clone(),
        roles: roles.cloned().collect(),
        approved_by: view.approved_by,
        denied_by: view.denied_by.into_iter().map(|(name, _)| name).collect(),
        stage: record.stage,
        outcome: record.outcome.clone(),
        asked: request.not_before,
        opened: opened.map(|step| step.at),
        closed: record.ended_at,
        review: record.review.clone(),
    }
}
