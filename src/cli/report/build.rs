//! A session's report, out of its signed request, what the agent says of it now, and its lines in the record.

use serde::Serialize;

use crate::{
    audit::event::{AGENT, EventType, Record},
    protocol::{
        Problem,
        people::Commander,
        recording::RecordingView,
        review::ReviewView,
        socket::{RequestView, SecretView, Stage, Status, TargetView},
    },
    trust::{
        Digest, Head, KeyId, Timestamp,
        request::{CheckResult, Clock, Offer, Request},
    },
};

use super::{
    super::roster,
    deadlines::{self, Deadline},
    deviations,
};

/// The whole report.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    pub(super) request: String,
    pub(super) vault: String,
    pub(super) made: Timestamp,
    pub(super) made_for: String,
    pub(super) stage: Stage,
    pub(super) outcome: Option<String>,
    pub(super) incident: Incident,
    pub(super) access: Access,
    pub(super) people: Vec<Part>,
    pub(super) checks: Vec<CheckResult>,
    pub(super) actions: Vec<Line>,
    pub(super) deliveries: Vec<Line>,
    pub(super) recordings: Vec<RecordingView>,
    pub(super) deviations: Vec<String>,
    pub(super) deadlines: Vec<Deadline>,
    pub(super) targets: Vec<TargetView>,
    pub(super) secrets: Vec<SecretView>,
    pub(super) identity_until: Option<Timestamp>,
    pub(super) created: Created,
    pub(super) review: Option<ReviewView>,
    /// The findings' file, as the record has it.
    pub(super) findings: Option<String>,
    pub(super) timeline: Vec<Line>,
    pub(super) evidence: Evidence,
}

/// Why there was an access at all.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Incident {
    pub(super) id: String,
    /// The scenario, where the roster has any.
    pub(super) scenario: Option<String>,
    /// The operator's words: what is wrong, and why it takes this.
    pub(super) reason: String,
    pub(super) subject: Option<String>,
    /// What the operator confirmed that it is not.
    pub(super) confirmed: Vec<&'static str>,
    pub(super) commander: Option<Commander>,
    pub(super) follows: Option<String>,
}

/// What was asked for, and when it was there.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Access {
    pub(super) operator: String,
    pub(super) profile: String,
    pub(super) roles: Vec<String>,
    pub(super) regions: Vec<String>,
    pub(super) policy_sha256: Digest,
    pub(super) policy: String,
    pub(super) clock: Clock,
    pub(super) asked: Timestamp,
    pub(super) opened: Option<Timestamp>,
    pub(super) closed: Option<Timestamp>,
    pub(super) not_after: Timestamp,
}

/// What somebody did in it, from which account and with which key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Part {
    pub(super) did: &'static str,
    pub(super) name: String,
    pub(super) at: String,
    /// The account, or the key of the token.
    pub(super) who: Option<String>,
    /// The token's serial number.
    pub(super) serial: Option<u64>,
    /// The account that brought a vote.
    pub(super) handed_in_by: Option<String>,
    pub(super) why: Option<String>,
}

/// One event in one line.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Line {
    pub(super) seq: u64,
    pub(super) at: String,
    pub(super) event: String,
    pub(super) actor: String,
    pub(super) who: Option<String>,
    pub(super) text: String,
}

/// What may outlive the session. This host does not see what is done with it: where to look is what it can say.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Created {
    /// What the operator noted.
    pub(super) noted: Vec<String>,
    /// AWS's own record of it, a command for each account and Region.
    pub(super) look_up: Vec<String>,
}

/// What the report rests on.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Evidence {
    pub(super) host: KeyId,
    pub(super) offer_sha256: Digest,
    pub(super) roster_sha256: Digest,
    pub(super) manifest_sha256: Digest,
    pub(super) first: Option<u64>,
    pub(super) last: Option<u64>,
    /// Where the record stood when the report was made.
    pub(super) head: Head,
}

/// Puts it together.
pub(super) fn build(
    view: RequestView,
    events: Vec<Record>,
    status: &Status,
    now: Timestamp,
) -> Result<Report, Problem> {
    let Offer(request) = view.offer.unverified::<Offer>()?;
    let roster = roster::shown(&view.roster_chain).ok();
    let deadlines = deadlines::of(&view, &events, now);
    let deviations = deviations::of(&view, &request, roster.as_ref(), &events, &deadlines);
    let own: Vec<&Record> = events
        .iter()
        .filter(|e| e.correlation_id.is_some())
        .collect();
    let of = |kind: EventType| -> Vec<Line> {
        let found = own.iter().filter(|e| e.known_type() == Some(kind));
        found.map(|e| line(e)).collect()
    };
    let actions = of(EventType::BreakGlassAction);
    let opened = own
        .iter()
        .find(|e| e.known_type() == Some(EventType::BreakGlassAccess))
        .and_then(|e| deadlines::when(e));
    let closed = view.review.as_ref().map(|review| review.closed);
    let signed = own
        .iter()
        .rev()
        .find(|e| e.known_type() == Some(EventType::ReviewSigned));
    let findings = signed.and_then(|e| Some(e.what.get("findings")?.as_str()?.to_owned()));
    let created = Created {
        noted: actions.iter().map(|line| line.text.clone()).collect(),
        look_up: match opened {
            Some(opened) => look_up(&request, opened, closed.unwrap_or(now).plus(60)),
            None => Vec::new(),
        },
    };
    let roles = std::iter::once(&request.role).chain(request.also.iter().map(|t| &t.role_arn));
    let evidence = Evidence {
        host: request.host,
        offer_sha256: view.offer.digest(),
        roster_sha256: request.roster_sha256,
        manifest_sha256: request.manifest_sha256,
        first: own.first().map(|e| e.seq),
        last: own.last().map(|e| e.seq),
        head: status.head,
    };
    Ok(Report {
        made: now,
        made_for: status.you.name.clone(),
        stage: view.stage,
        outcome: view.outcome,
        access: Access {
            operator: request.operator.clone(),
            profile: request.access.clone(),
            roles: roles.cloned().collect(),
            regions: request.regions.clone(),
            policy_sha256: request.policy_sha256,
            policy: view.policy,
            clock: request.clock,
            asked: request.not_before,
            opened,
            closed,
            not_after: request.not_after,
        },
        incident: Incident {
            id: request.incident,
            scenario: request.scenario,
            reason: request.reason,
            subject: request.subject,
            confirmed: request.confirmed.iter().map(|use_| use_.denial()).collect(),
            commander: view.commander,
            follows: request.follows,
        },
        request: request.id,
        vault: request.vault,
        people: own.iter().filter_map(|e| part(e)).collect(),
        checks: request.checks,
        actions,
        deliveries: of(EventType::CredentialsDelivered),
        recordings: view.recordings,
        deviations,
        deadlines,
        targets: view.targets,
        secrets: view.secrets,
        identity_until: view.identity_until,
        created,
        review: view.review,
        findings,
        timeline: events.iter().map(line).collect(),
        evidence,
    })
}

/// What an event says that somebody did.
fn part(event: &Record) -> Option<Part> {
    use EventType as E;
    let (did, why) = match event.known_type()? {
        E::BreakGlassRequested => ("asked", None),
        E::BreakGlassAuthorised => ("authorised", event.justification.clone()),
        E::BreakGlassApproved => ("approved", None),
        E::BreakGlassDenied => ("denied", event.justification.clone()),
        E::BreakGlassWithdrawn => ("withdrew", None),
        E::SessionClosed if event.actor != AGENT => ("closed", None),
        E::ReviewSigned => ("reviewed", None),
        _ => return None,
    };
    let text = |name: &str| event.what.get(name)?.as_str().map(str::to_owned);
    Some(Part {
        did,
        name: event.actor.clone(),
        at: event.timestamp.clone(),
        who: event.who.clone(),
        serial: event.what.get("serial").and_then(serde_json::Value::as_u64),
        handed_in_by: text("handed_in_by"),
        why,
    })
}

/// CloudTrail knows the session by its name, which is the operator's; it may lag by a quarter of an hour, and has 90 days.
fn look_up(request: &Request, from: Timestamp, to: Timestamp) -> Vec<String> {
    let regions = request.regions.iter();
    regions
        .map(|region| {
            format!(
                "aws cloudtrail lookup-events --region {region} --start-time {from} --end-time {to} \
                 --lookup-attributes AttributeKey=Username,AttributeValue={}",
                request.operator
            )
        })
        .collect()
}

/// An event in one line: what it says of itself, in the order in which people ask.
pub(super) fn line(event: &Record) -> Line {
    const TOLD: [&str; 24] = [
        "note",
        "why",
        "outcome",
        "role",
        "account",
        "region",
        "since",
        "secret",
        "access_key_id",
        "generation",
        "policy",
        "serial",
        "deliveries_since_last",
        "not_after",
        "due",
        "with",
        "reference",
        "in_time",
        "authorised",
        "accounted",
        "avoidable",
        "deviations",
        "findings_sha256",
        "report_sha256",
    ];
    let mut said = Vec::new();
    let note = event.known_type() == Some(EventType::BreakGlassAction);
    if let Some(text) = event.justification.as_ref().filter(|_| !note) {
        said.push(text.clone());
    }
    if event
        .known_type()
        .is_none_or(|kind| kind.action() != event.action)
        && !note
    {
        said.push(event.action.clone());
    }
    for name in TOLD {
        match event.what.get(name) {
            Some(serde_json::Value::String(text)) if name == "note" => said.push(text.clone()),
            Some(serde_json::Value::String(text)) => said.push(format!("{name} {text}")),
            Some(value @ (serde_json::Value::Number(_) | serde_json::Value::Bool(_))) => {
                said.push(format!("{name} {value}"));
            }
            _ => {}
        }
    }
    Line {
        seq: event.seq,
        at: event.timestamp.clone(),
        event: event.event_type.clone(),
        actor: event.actor.clone(),
        who: event.who.clone(),
        text: said.join("; "),
    }
}
