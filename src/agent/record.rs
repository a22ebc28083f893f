//! State rows: a request, and a vault as the agent knows it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    commander::Confirmed, copies::Copy, hands::Closer, proofs::Proofs, recovered::Recovered,
    rehearsal::Rehearsal,
};
use crate::{
    audit::event::{Actor, Event, EventType, Place},
    ceremony::{Stage, Standing},
    protocol::{
        Code, Problem,
        evidence::Lapse,
        job::{Isolation, OfferMade, SecretState},
        recording::RecordingView,
        review::ReviewView,
        socket::{Delivered, Progress, RequestView, Setback, TargetView},
    },
    trust::{
        Digest, Envelope, KeyId, Timestamp,
        request::{Offer, Purpose, Request},
        roster::Roster,
        standing,
    },
};

/// One request from offer to end. Public documents and progress; never a secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    /// What the worker offered, with all that custodians need.
    pub(super) made: OfferMade,
    /// The request as it stands in the offer.
    pub(super) request: Request,
    /// How many must approve.
    pub(super) threshold: u8,
    pub(super) votes: Vec<Vote>,
    pub(super) standing: Standing,
    pub(super) stage: Stage,
    pub(super) mint: Mint,
    pub(super) rotation: Rotation,
    pub(super) progress: Vec<Progress>,
    pub(super) outcome: Option<String>,
    pub(super) ended_at: Option<Timestamp>,
    /// What became of the named secrets; one that is not in here is due.
    #[serde(default)]
    pub(super) secrets: BTreeMap<String, SecretState>,
    /// Each role with how far it is, from the intent on.
    #[serde(default)]
    pub(super) targets: Vec<TargetView>,
    /// When the last of the credentials ends by itself.
    #[serde(default)]
    pub(super) identity_until: Option<Timestamp>,
    /// What holds up the closing as a whole.
    #[serde(default)]
    pub(super) setback: Option<Setback>,
    /// AWS's clock minus this host's when the request was made, in seconds: its times are on AWS's.
    #[serde(default)]
    pub(super) skew: i64,
    /// Whose shares went to the worker in approvals that counted, also those that were taken back.
    #[serde(default)]
    pub(super) released: BTreeSet<String>,
    /// One more that would complete a quorum was sent, and what became of it is not known.
    #[serde(default)]
    pub(super) releasing: bool,
    /// The commander's word.
    #[serde(default)]
    pub(super) confirmed: Option<Confirmed>,
    /// How a drill goes, where it is one.
    #[serde(default)]
    pub(super) rehearsal: Option<Rehearsal>,
    /// The session that continues this one, once it is open.
    #[serde(default)]
    pub(super) followed: Option<super::chains::Followed>,
    /// The account that asked.
    #[serde(default)]
    pub(super) asked_by: Option<String>,
    /// Whose vote was handed to the worker, while it is not known what became of it.
    #[serde(default)]
    pub(super) casting: Option<String>,
    /// Who closed it.
    #[serde(default)]
    pub(super) closed_by: Option<Closer>,
    /// What was handed out of its session, as far as the record names it.
    #[serde(default)]
    pub(super) delivered: Option<Delivered>,
    /// What the operator's terminal showed, as far as it stands on record.
    #[serde(default)]
    pub(super) recordings: Vec<RecordingView>,
    /// What is to follow the session; from its end on.
    #[serde(default)]
    pub(super) review: Option<ReviewView>,
    /// Sinks that lagged while it ran.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) evidence: Vec<Lapse>,
    /// Since when it is on record that the key that it opened should have been replaced.
    #[serde(default)]
    pub(super) rotation_overdue: Option<Timestamp>,
}

/// Clocks that are no further apart than this count as one, in seconds: making an offer takes a while itself.
const SAME_CLOCK: i64 = 60;

/// A vote that counted.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Vote {
    pub(super) person: String,
    pub(super) serial: u32,
    pub(super) key: KeyId,
    pub(super) at: Timestamp,
    /// The reason, if it was a no.
    pub(super) denial: Option<String>,
    /// The account that brought it.
    #[serde(default)]
    pub(super) by: Option<String>,
}

/// How far minting is, as the journal says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Mint {
    /// Nothing was asked of AWS.
    None,
    /// From here on a session may exist.
    Intended,
    /// It exists.
    Done,
    /// It was asked for and not had; it may exist all the same.
    Failed,
    /// It existed, or may have, and is over.
    Over,
}

/// How far the rotation is, as the journal says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Rotation {
    /// Not begun.
    None,
    /// Begun.
    Running,
    /// The old key is dead.
    Done,
    /// Given up for now; the sealed key works.
    Pending,
}

impl Record {
    /// A request as it was offered.
    pub(super) fn new(made: OfferMade, request: Request, threshold: u8) -> Self {
        // An offer was just made: what its beginning is off by is the clocks' difference, if it is more than the offer took.
        let skew = Timestamp::now().until(request.not_before);
        let skew = if skew.abs() > SAME_CLOCK { skew } else { 0 };
        Self {
            made,
            request,
            threshold,
            votes: Vec::new(),
            standing: Standing::Waiting,
            stage: Stage::Requested,
            mint: Mint::None,
            rotation: Rotation::None,
            progress: Vec::new(),
            outcome: None,
            ended_at: None,
            secrets: BTreeMap::new(),
            targets: Vec::new(),
            identity_until: None,
            setback: None,
            skew,
            released: BTreeSet::new(),
            releasing: false,
            confirmed: None,
            rehearsal: None,
            followed: None,
            asked_by: None,
            casting: None,
            closed_by: None,
            delivered: None,
            recordings: Vec::new(),
            review: None,
            evidence: Vec::new(),
            rotation_overdue: None,
        }
    }

    /// Now, by the clock that the request's times are on.
    pub(super) fn now(&self) -> Timestamp {
        Timestamp::now().plus(self.skew)
    }

    /// Its id.
    pub(super) fn id(&self) -> &str {
        &self.request.id
    }

    /// An event about what the token with this approve key did: with it stands who vouches for the token, and the numbers of the
    /// advisories that are about it, by the roster that the request was offered under.
    pub(super) fn custody(
        &self,
        key: KeyId,
        kind: EventType,
        actor: Actor,
        place: &Place,
    ) -> Event {
        let event = self.event(kind, actor, place);
        let Ok(roster) = self.roster() else {
            return event;
        };
        let mut tokens = roster.tokens.iter();
        let Some(token) = tokens.find(|t| t.approve.key.id() == key) else {
            return event;
        };
        let against = standing::known_against(token, &roster).into_iter();
        let ids: Vec<&str> = against.map(|advisory| advisory.id.as_str()).collect();
        event
            .detail("proof", standing::told(token, &roster).proof)
            .detail("advisories", ids)
    }

    /// Of which groups of the request's roster somebody is missing when these people agree, in words.
    pub(super) fn groups_lacking(&self, people: &[&str]) -> Vec<String> {
        let Ok(roster) = self.roster() else {
            return Vec::new();
        };
        let lacking = roster.lacking(people.iter().copied()).into_iter();
        lacking
            .filter(|l| l.group.is_some())
            .map(|l| l.to_string())
            .collect()
    }

    /// The roster that it was offered under.
    pub(super) fn roster(&self) -> Result<Roster, Problem> {
        let newest = self.made.roster_chain.last();
        let newest =
            newest.ok_or_else(|| Problem::new(Code::Internal, "an offer without a roster"))?;
        Ok(newest.unverified()?)
    }

    /// Refuses what only an open session can have.
    pub(super) fn must_be_open(&self) -> Result<(), Problem> {
        match self.stage {
            Stage::Open => Ok(()),
            stage => Err(
                Problem::new(Code::Refused, format!("the request is {stage}"))
                    .hint("ask for a new one: twotap request"),
            ),
        }
    }

    /// Moves on to `next`; an arrow that the ceremony does not have is refused.
    pub(super) fn advance(&mut self, next: Stage, now: Timestamp) -> Result<(), Problem> {
        if self.stage == next {
            return Ok(());
        }
        if !self.stage.may_become(next) {
            return Err(Problem::new(
                Code::Refused,
                format!("the request is {} and cannot become {next}", self.stage),
            ));
        }
        self.stage = next;
        if next.is_final() {
            self.ended_at = Some(now);
        }
        Ok(())
    }

    /// Ends the request with a word why.
    pub(super) fn end(
        &mut self,
        last: Stage,
        outcome: impl Into<String>,
        now: Timestamp,
    ) -> Result<(), Problem> {
        self.advance(last, now)?;
        self.outcome = Some(outcome.into());
        Ok(())
    }

    /// Adds a step for people to see.
    pub(super) fn step(&mut self, at: Timestamp, step: &str, text: impl Into<String>) {
        self.progress.push(Progress {
            at,
            step: step.to_owned(),
            text: text.into(),
        });
    }

    /// The roster version that it takes up, if that is what it is for.
    pub(super) fn takes_up(&self) -> Option<u64> {
        match self.request.purpose {
            Purpose::Roster { version, .. } => Some(version),
            _ => None,
        }
    }

    /// An event of this request.
    pub(super) fn event(&self, event_type: EventType, actor: Actor, place: &Place) -> Event {
        let event = Event::new(event_type, actor)
            .correlation(self.id())
            .incident(&self.request.incident)
            .place(place.clone());
        isolated(event, self.made.isolation)
    }

    /// The event that puts it on record, with the signed offer.
    pub(super) fn requested(&self, operator: Actor, who: String, place: &Place) -> Event {
        let request = &self.request;
        let mut event = self
            .event(EventType::BreakGlassRequested, operator, place)
            .justification(&request.reason)
            .who(who)
            .detail("vault", request.vault.as_str())
            .detail("generation", request.generation)
            .detail("access", request.access.as_str())
            .detail("account", request.account.as_str())
            .detail("role", request.role.as_str())
            .detail("not_after", request.not_after.to_string())
            .detail("approve_before", request.approve_before.to_string())
            .detail("commander_claimed", request.commander_claimed.clone())
            .detail("policy_sha256", request.policy_sha256.to_string())
            .detail("manifest_sha256", request.manifest_sha256.to_string())
            .detail("roster_sha256", request.roster_sha256.to_string())
            .detail("request_sha256", self.made.offer.digest().to_string())
            .detail("isolation", serde_json::json!(self.made.isolation))
            .envelope("offer", self.made.offer.to_json());
        for (name, declared) in [
            ("scenario", &request.scenario),
            ("follows", &request.follows),
        ] {
            if let Some(declared) = declared {
                event = event.detail(name, declared.as_str());
            }
        }
        if !request.also.is_empty() {
            let also: Vec<&str> = request.also.iter().map(|t| &*t.role_arn).collect();
            event = event.detail("also", also);
        }
        if !request.checks.is_empty() {
            event = event.detail("checks", serde_json::json!(request.checks));
        }
        let roster = self.roster().ok();
        let operator = roster.as_ref().and_then(|r| r.person(&request.operator));
        if let Some(groups) = operator.map(|p| &p.member_of)
            && !groups.is_empty()
        {
            event = event.detail("member_of", groups.clone());
        }
        if request.purpose == Purpose::Drill {
            event = event.detail("drill", true);
        }
        if let Purpose::CloseOnly { requests } = &request.purpose {
            event = event.detail("closes", requests.clone());
        }
        if let Purpose::Roster { version, .. } = &request.purpose {
            event = event.detail("takes_up_roster", *version);
        }
        if let Some(next) = &self.made.next_roster {
            event = event.envelope("roster", next.to_json());
        }
        event
    }

    /// As everybody listed may see it.
    pub(super) fn view(&self) -> RequestView {
        let by = |denied: bool| {
            self.votes
                .iter()
                .filter(move |v| v.denial.is_some() == denied)
        };
        RequestView {
            id: self.id().to_owned(),
            stage: self.stage,
            standing: self.standing,
            offer: self.made.offer.clone(),
            manifest: self.made.manifest.clone(),
            roster_chain: self.made.roster_chain.clone(),
            policy: self.made.policy.clone(),
            next_roster: self.made.next_roster.clone(),
            approved_by: by(false).map(|v| v.person.clone()).collect(),
            denied_by: by(true)
                .map(|v| (v.person.clone(), v.denial.clone().unwrap_or_default()))
                .collect(),
            commander: self.commander(),
            people: self.hands(),
            threshold: self.threshold,
            progress: self.progress.clone(),
            outcome: self.outcome.clone(),
            secrets: self.secret_views(),
            review: self.review.clone(),
            targets: self.targets.clone(),
            identity_until: self.identity_until,
            setback: self.setback.clone(),
            delivered: self.delivered.clone(),
            recordings: self.recordings.clone(),
            evidence: self.evidence.clone(),
            epochs: Vec::new(),
        }
    }
}

/// Where the agent could read the worker's files, every event says so.
pub(super) fn isolated(event: Event, isolation: Isolation) -> Event {
    match isolation {
        Isolation::Account => event,
        Isolation::None => event.detail("isolation", "none"),
    }
}

/// The request in an offer whose signature was checked.
pub(super) fn request_of(offer: &Envelope) -> Result<Request, Problem> {
    let Offer(request) = offer.unverified::<Offer>()?;
    Ok(request)
}

/// A vault as the agent knows it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct VaultRow {
    /// The newest roster that stands in the record.
    pub(super) roster: Option<(u64, Digest)>,
    pub(super) isolation: Option<Isolation>,
    /// A generation that was written and does not count yet.
    pub(super) written: Option<(u64, Envelope)>,
    pub(super) rotation: VaultRotation,
    /// What is known of the places' copies, by place.
    #[serde(default)]
    pub(super) copies: BTreeMap<String, Copy>,
    /// A roster version that was handed in and is not taken up yet.
    #[serde(default)]
    pub(super) owed: Option<(u64, Digest)>,
    /// The generation that counts by the record, with its manifest's digest.
    #[serde(default)]
    pub(super) counts: Option<(u64, Digest)>,
    /// The newest generation whose predecessors' keys are dead.
    #[serde(default)]
    pub(super) rotated: u64,
    /// Requests that the journal has a session of, and that have no row here.
    #[serde(default)]
    pub(super) unknown: Vec<String>,
    /// A use of the sealed key that was none of ours, in words; until that key is replaced.
    #[serde(default)]
    pub(super) misused: Option<String>,
    /// What has shown that the vault would open.
    #[serde(default)]
    pub(super) proofs: Proofs,
    /// What recoveries have left behind.
    #[serde(default)]
    pub(super) recovered: Recovered,
}

/// The rotation after the newest opening.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum VaultRotation {
    /// None is outstanding.
    #[default]
    Done,
    /// A worker is at it.
    Running,
    /// It could not be completed.
    Pending(String),
}

impl std::fmt::Display for VaultRotation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::Running => f.write_str("running"),
            Self::Pending(why) => write!(f, "pending: {why}"),
        }
    }
}
