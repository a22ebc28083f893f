//! What the record says of calls to AWS: which requests were worked for and when, which keys there were, and the request ids that AWS gave.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde_json::Value;
use time::OffsetDateTime;

use super::trail::Use;
use crate::audit::event::{EventType, Record, read_time};
use crate::aws::secrets::one_secret_policy;

/// Whose uses are accounted for.
#[derive(Clone, Debug, Default)]
pub struct Principals {
    /// ARNs of break-glass users, as rosters name them.
    pub users: BTreeSet<String>,
    /// ARNs of roles, as rosters name them.
    pub roles: BTreeSet<String>,
    /// ARNs of those of them in which only workers work: stewards and setters.
    pub helpers: BTreeSet<String>,
    /// Setters among the helpers by their ARN, each with the secrets (ARNs) that rosters let it set.
    pub setters: BTreeMap<String, BTreeSet<String>>,
}

impl Principals {
    /// Whether a call is a use of one of them.
    pub(super) fn concerns(&self, one: &Use) -> bool {
        let took =
            one.name.starts_with("AssumeRole") && one.role().is_some_and(|role| self.is_role(role));
        self.is_user(&one.who)
            || took
            || one.issuer.as_deref().is_some_and(|role| self.is_role(role))
    }

    /// Whether this is a break-glass user.
    pub(super) fn is_user(&self, arn: &str) -> bool {
        self.users.contains(arn)
    }

    /// Whether this is a role of twotap's: one of a roster, or one under its path in IAM.
    fn is_role(&self, arn: &str) -> bool {
        self.roles.contains(arn) || is_iam(arn, "role/twotap/")
    }

    /// Whether only workers work in this role: it is no operator's, and it is ours.
    pub(super) fn is_helper(&self, arn: &str) -> bool {
        self.helpers.contains(arn) || is_place(arn)
    }

    /// Whether workers ask for such a session of a helper: a setter's for one of its secrets alone, any other with what its role may.
    pub(super) fn is_workers(&self, helper: &str, policy: Option<&str>) -> bool {
        let Some(secrets) = self.setters.get(helper) else {
            return policy.is_none();
        };
        let parsed = |text: &str| serde_json::from_str::<Value>(text).ok();
        let asked = policy.and_then(parsed);
        let mut narrow = secrets.iter().map(|arn| parsed(&one_secret_policy(arn)));
        asked.is_some() && narrow.any(|one| one == asked)
    }

    /// How many sessions of a helper one request can have; `None` where there is no bound.
    pub(super) fn most(&self, helper: &str) -> Option<usize> {
        let most = self.setters.get(helper).map_or(1, BTreeSet::len);
        (!is_place(helper)).then_some(most)
    }
}

/// Whether it is the role of a place that is a secret: no roster names it.
pub(super) fn is_place(role: &str) -> bool {
    is_iam(role, "role/twotap/bundle")
}

/// `arn:PARTITION:iam::ACCOUNT:NAME...`
fn is_iam(arn: &str, name: &str) -> bool {
    let mut parts = arn.splitn(6, ':');
    parts.nth(2) == Some("iam")
        && parts
            .nth(2)
            .is_some_and(|resource| resource.starts_with(name))
}

/// What was worked for under one id.
#[derive(Debug, Default)]
pub(super) struct Work {
    pub(super) operator: Option<String>,
    pub(super) incident: Option<String>,
    /// The operator roles that it may take.
    pub(super) roles: BTreeSet<String>,
    /// Those of them of which a session is on record under AWS's request id.
    pub(super) opened: BTreeSet<String>,
    /// When a worker did something for it.
    pub(super) steps: Vec<OffsetDateTime>,
    /// End of the time box.
    pub(super) not_after: Option<OffsetDateTime>,
    /// Since when its session was seen refused.
    pub(super) revoked: Option<OffsetDateTime>,
    /// Place of its first event.
    pub(super) first: u64,
}

/// A call that the record names by AWS's request id.
#[derive(Debug)]
pub(super) struct Noted {
    pub(super) seq: u64,
    pub(super) event_type: String,
    pub(super) work: String,
    pub(super) call: String,
    pub(super) request_id: String,
    pub(super) at: OffsetDateTime,
}

/// The record, as far as it is about calls to AWS.
#[derive(Debug, Default)]
pub struct Ledger {
    pub(super) principals: Principals,
    pub(super) works: BTreeMap<String, Work>,
    pub(super) calls: Vec<Noted>,
    pub(super) by_request_id: HashMap<String, String>,
    /// Ids of every key of the user that a step names, but for strangers'.
    pub(super) keys: HashSet<String>,
    /// Ids of keys that somebody else made.
    pub(super) strangers: HashSet<String>,
}

impl Ledger {
    /// An empty one, for these principals.
    pub fn new(principals: Principals) -> Self {
        Self {
            principals,
            ..Self::default()
        }
    }

    /// Takes up the next event of the record.
    pub fn add(&mut self, event: &Record) {
        let text = |name: &str| event.what.get(name).and_then(Value::as_str);
        // What the host did on its own belongs to its vault.
        let id = match (&event.correlation_id, text("vault")) {
            (Some(id), _) => id.clone(),
            (None, Some(vault)) => format!("vault {vault}"),
            (None, None) => return,
        };
        let kind = event.known_type();
        // What somebody else did is told by a worker, and is none of its steps.
        let theirs = matches!(
            kind,
            Some(EventType::StrangerKeyFound | EventType::CredentialMisused)
        );
        if let Some(key) = text("access_key_id") {
            self.name(key, theirs, kind == Some(EventType::StrangerKeyFound));
        }
        let work = self.works.entry(id.clone()).or_insert_with(|| Work {
            first: event.seq,
            ..Work::default()
        });
        if work.incident.is_none() {
            work.incident.clone_from(&event.incident_id);
        }
        let journalled = event.what.contains_key("journal");
        let at = text("at").filter(|_| journalled);
        let at = at.or(Some(&event.timestamp)).and_then(read_time);
        if journalled && !theirs {
            work.steps.extend(at);
        }
        match kind {
            Some(EventType::BreakGlassRequested) => work.operator = Some(event.actor.clone()),
            Some(EventType::MintIntent | EventType::BreakGlassAccess) => {
                work.roles.extend(text("role").map(str::to_owned));
                let also = event.what.get("also").and_then(Value::as_array);
                let also = also.into_iter().flatten().filter_map(Value::as_str);
                work.roles.extend(also.map(str::to_owned));
                work.not_after = text("not_after").and_then(read_time).or(work.not_after);
            }
            Some(EventType::DrillStep) => {
                let roles = event.what.get("roles").and_then(Value::as_array);
                let roles = roles.into_iter().flatten().filter_map(Value::as_str);
                work.roles.extend(roles.map(str::to_owned));
            }
            // It was seen refused for a while before this is said.
            Some(EventType::SessionRevoked) => work.revoked = at,
            _ => {}
        }
        let calls = event.what.get("aws").and_then(Value::as_array);
        for call in calls.into_iter().flatten() {
            let Some(request_id) = call["request_id"].as_str() else {
                continue;
            };
            let date = call["date"].as_str().and_then(read_time).or(at);
            let Some(at) = date else { continue };
            if kind == Some(EventType::BreakGlassAccess) {
                work.opened.extend(text("role").map(str::to_owned));
            }
            self.by_request_id.insert(request_id.to_owned(), id.clone());
            self.calls.push(Noted {
                seq: event.seq,
                event_type: event.event_type.clone(),
                work: id.clone(),
                call: call["call"].as_str().unwrap_or_default().to_owned(),
                request_id: request_id.to_owned(),
                at,
            });
        }
    }

    /// A key is ours by a step that is ours. A stranger's does not become so by the steps that take it away; one that was ours before stays so
    /// (a worker whose journal was lost calls it a stranger's).
    fn name(&mut self, key: &str, theirs: bool, strange: bool) {
        if strange && !self.keys.contains(key) {
            self.strangers.insert(key.to_owned());
        }
        if !theirs && !self.strangers.contains(key) {
            self.keys.insert(key.to_owned());
        }
    }

    /// The work for which a worker did something nearest to this time, where that is near enough.
    pub(super) fn at_work(&self, at: OffsetDateTime) -> Option<&str> {
        let steps = self
            .works
            .iter()
            .flat_map(|(id, work)| work.steps.iter().map(move |step| (id, *step)));
        let (id, step) = steps.min_by_key(|(_, step)| (at - *step).abs())?;
        super::near(step, at).then_some(id)
    }
}
