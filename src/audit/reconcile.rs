//! CloudTrail against the record: every use of the break-glass user and of twotap's roles accounted for, session by session.
//!
//! * *matched*: the record knows of it. A call whose AWS request id stands in an event is matched to exactly that event; a session by the tag
//!   `twotap=REQUEST`, its role and its operator; what is done in a session by that session's key; what a worker does with the user's key by the
//!   key's id, by being one of the calls that workers make, and by a step of the record within [`AROUND`] of it.
//! * *unmatched*: CloudTrail saw it and the record does not know of it: somebody else used it, or the record is not whole.
//! * *missing*: the record has the request id of a call that CloudTrail, in the time that the export covers, does not show: the trail was off, the
//!   export is not whole, or the record says what was not.
//!
//! Pure: what is read comes in as values, and nothing here asks AWS or an agent.

mod ledger;
mod trail;

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;
use time::{Duration, OffsetDateTime};

pub use ledger::{Ledger, Principals};
pub use trail::{TrailError, Use, read};

use ledger::Work;

/// How far from a step of the record a worker's calls may lie: it retries for ten minutes before it says that something is pending.
pub const AROUND: Duration = Duration::minutes(10);
/// How far AWS's clock and ours, or two Regions of AWS, may be apart.
const CLOCKS: Duration = Duration::minutes(2);

/// How long a session can last at most, of a helper that is taken while the time box stands: IAM allows no more.
const HELPERS: Duration = Duration::hours(12);

/// What workers do with the user's key (`packaging/aws/user-policy.json`), and the one call that needs no permission.
const WORKERS_CALLS: [&str; 6] = [
    "AssumeRole",
    "GetCallerIdentity",
    "CreateAccessKey",
    "UpdateAccessKey",
    "DeleteAccessKey",
    "ListAccessKeys",
];

/// How it all adds up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Reconciled {
    /// What belongs to each request, or seal, in the record's order.
    pub works: Vec<Accounted>,
    /// Uses that the record does not know of.
    pub unmatched: Vec<Unmatched>,
    /// Calls of the record that the trail does not show.
    pub missing: Vec<Missing>,
    /// How many calls in the trail are uses of user or roles; each once, however often it was exported.
    pub uses: usize,
    /// How many calls in the trail are none of ours.
    pub others: usize,
    /// First and last time in the trail, RFC 3339; `None` when it is empty.
    pub covers: Option<(String, String)>,
    /// How many calls of the record lie outside that time, so that the trail says nothing of them.
    pub uncovered: usize,
}

/// The uses of one request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Accounted {
    /// Its id, or `vault NAME` for what belongs to none.
    pub id: String,
    /// Whose, where it was a request.
    pub operator: Option<String>,
    /// Incident.
    pub incident: Option<String>,
    /// What workers did with the user's own key: how often each call.
    pub worker: BTreeMap<String, u64>,
    /// Its sessions.
    pub sessions: Vec<SessionUse>,
}

/// What was done in one session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SessionUse {
    /// The session's key id.
    pub key: String,
    /// ARN of its role.
    pub role: String,
    /// When it was taken, where the trail shows that.
    pub taken: Option<String>,
    /// Time of its last call.
    pub last: Option<String>,
    /// How often each call, e.g. `s3:ListBuckets`.
    pub calls: BTreeMap<String, u64>,
    /// How many of them AWS refused.
    pub refused: u64,
}

/// A use that nothing in the record accounts for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unmatched {
    /// CloudTrail's `eventID`.
    pub event_id: String,
    /// RFC 3339.
    pub time: String,
    /// `service:Action`.
    pub call: String,
    /// WHO: an ARN.
    pub who: String,
    /// WHERE: an address.
    pub ip: String,
    /// The key that signed.
    pub key: Option<String>,
    /// Whether AWS refused it.
    pub refused: bool,
    /// What does not fit.
    pub why: String,
}

/// A call that the record has and the trail has not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// The event's place in the record.
    pub seq: u64,
    /// Its type.
    pub event_type: String,
    /// The request it belongs to.
    pub id: String,
    /// The step.
    pub call: String,
    /// AWS's request id.
    pub request_id: String,
    /// When, RFC 3339.
    pub time: String,
}

impl Reconciled {
    /// Whether everything is accounted for, on both sides.
    pub fn is_whole(&self) -> bool {
        self.unmatched.is_empty() && self.missing.is_empty()
    }
}

/// Accounts for each use in the trail by the record. `uses` may be in any order and have the same event more than once.
pub fn reconcile(mut uses: Vec<Use>, ledger: &Ledger) -> Reconciled {
    let mut seen = HashSet::new();
    uses.retain(|one| seen.insert(one.event_id.clone()));
    uses.sort_by(|a, b| (a.at, &a.event_id).cmp(&(b.at, &b.event_id)));
    let span = uses
        .first()
        .zip(uses.last())
        .map(|(first, last)| (first.at, last.at));
    let mut books = Books::new(ledger, span.map(|(first, _)| first));
    let mut result = Reconciled {
        covers: uses
            .first()
            .zip(uses.last())
            .map(|(first, last)| (shown(first.at), shown(last.at))),
        ..Reconciled::default()
    };
    let request_ids: HashSet<&str> = uses
        .iter()
        .filter_map(|u| u.request_id.as_deref())
        .collect();
    // CloudTrail's time has whole seconds: what a session did may stand before who took it.
    let (in_sessions, by_key): (Vec<&Use>, Vec<&Use>) =
        uses.iter().partition(|one| one.issuer.is_some());
    for one in by_key.into_iter().chain(in_sessions) {
        if !ledger.principals.concerns(one) {
            result.others += 1;
            continue;
        }
        result.uses += 1;
        if let Err(why) = books.account(one) {
            result.unmatched.push(unmatched(one, why));
        }
    }
    result.unmatched.sort_by(|a, b| a.time.cmp(&b.time));
    for call in &ledger.calls {
        let covered = span.is_some_and(|(first, last)| first <= call.at && call.at <= last);
        if request_ids.contains(call.request_id.as_str()) {
            continue;
        }
        if !covered {
            result.uncovered += 1;
            continue;
        }
        result.missing.push(Missing {
            seq: call.seq,
            event_type: call.event_type.clone(),
            id: call.work.clone(),
            call: call.call.clone(),
            request_id: call.request_id.clone(),
            time: shown(call.at),
        });
    }
    result.works = books.close();
    result
}

/// What is put together while uses are gone through in their order.
struct Books<'l> {
    ledger: &'l Ledger,
    works: BTreeMap<&'l str, Accounted>,
    /// Sessions by key: the work and the place among its sessions.
    sessions: HashMap<String, (&'l str, usize)>,
    /// Sessions of helpers that were taken: for which work, the role, and the policy that it was asked for with.
    helpers: HashSet<[String; 3]>,
    /// Keys of sessions that nothing accounts for.
    foreign: HashSet<String>,
    /// Since when the trail shows what happened.
    from: Option<OffsetDateTime>,
}

impl<'l> Books<'l> {
    fn new(ledger: &'l Ledger, from: Option<OffsetDateTime>) -> Self {
        Self {
            from,
            helpers: HashSet::new(),
            foreign: HashSet::new(),
            ledger,
            works: BTreeMap::new(),
            sessions: HashMap::new(),
        }
    }

    /// Whose it is, or what does not fit.
    fn account(&mut self, one: &Use) -> Result<(), String> {
        if let Some(issuer) = &one.issuer {
            return self.in_session(one, issuer);
        }
        let id = match self.by_user(one) {
            Ok(id) => id,
            Err(why) => {
                self.foreign.extend(one.made_key().map(str::to_owned));
                return Err(why);
            }
        };
        if one.name == "AssumeRole" && one.error.is_none() {
            self.taken(one, id);
        }
        let call = one.call();
        *self.work(id).worker.entry(call).or_default() += 1;
        Ok(())
    }

    /// A call with the user's own key, or somebody's who took a role of ours.
    fn by_user(&self, one: &Use) -> Result<&'l str, String> {
        let ledger = self.ledger;
        if !ledger.principals.is_user(&one.who) {
            return Err(
                "somebody other than the break-glass user took a role of twotap's".to_owned(),
            );
        }
        let key = one.key.as_deref().unwrap_or_default();
        if ledger.strangers.contains(key) {
            return Err(format!(
                "the record says that somebody else made the key {key}"
            ));
        }
        if !ledger.keys.contains(key) {
            return Err(format!("no step of the record names the key {key}"));
        }
        if !WORKERS_CALLS.contains(&one.name.as_str()) {
            return Err("workers make no such call".to_owned());
        }
        let exact = one
            .request_id
            .as_ref()
            .and_then(|id| ledger.by_request_id.get(id));
        if let Some(id) = exact {
            return Ok(id);
        }
        // Of a refusal AWS tells nothing but that it was one; and what may do nothing is how workers see that a key works.
        let role_only = one.error.is_none() && !one.takes_nothing();
        if one.name == "AssumeRole" && role_only && !is_place(one) {
            return self.role_of(one);
        }
        if one.name == "CreateAccessKey"
            && let Some(made) = one.made_key()
            && !ledger.keys.contains(made)
        {
            return Err(format!(
                "it made the key {made}, which the record does not know as ours"
            ));
        }
        ledger
            .at_work(one.at)
            .ok_or_else(|| "no worker was at work then".to_owned())
    }

    /// By the tag that a session carries, which the trust policy demands.
    fn role_of(&self, one: &Use) -> Result<&'l str, String> {
        let tag = one.tag("twotap").unwrap_or_default();
        let Some((id, work)) = self.ledger.works.get_key_value(tag) else {
            return Err(format!("the record has no request '{tag}'"));
        };
        if !work.steps.iter().any(|step| near(*step, one.at)) {
            return Err(format!("no worker was at work for {id} then"));
        }
        let role = one.role().unwrap_or_default();
        if !work.roles.contains(role) && self.ledger.principals.is_helper(role) {
            return self.helper_of(one, id, work, role).map(|()| id.as_str());
        }
        if work.roles.contains(role) && one.parameter("sourceIdentity") != work.operator.as_deref()
        {
            return Err(format!("{id} was not asked for by whom the session names"));
        }
        if !work.roles.contains(role) {
            return Err(format!("{id} does not name this role"));
        }
        // Each session that a worker got is in the record under AWS's own request id.
        if work.opened.contains(role) {
            return Err(format!(
                "the record has another session of this role for {id}: AWS's answer was lost, or somebody else took this one"
            ));
        }
        Ok(id)
    }

    /// The record does not name a helper's session by AWS's request id: workers take one of each kind for a request, when they open it.
    fn helper_of(&self, one: &Use, id: &str, work: &Work, role: &str) -> Result<(), String> {
        let policy = one.parameter("policy");
        if !self.ledger.principals.is_workers(role, policy) {
            return Err(format!(
                "workers take no such session of this role for {id}"
            ));
        }
        if work.not_after.is_some_and(|end| one.at > end + CLOCKS) {
            return Err(format!("the time of {id} was over"));
        }
        let kind = [id, role, policy.unwrap_or_default()].map(str::to_owned);
        match self.helpers.contains(&kind) {
            true => Err(format!(
                "the trail has another session of this role for {id}: AWS's answer was lost, or somebody else took one of them"
            )),
            false => Ok(()),
        }
    }

    /// Whether a work can have one more session of a helper, of which it is not known how it was taken.
    fn has_room(&self, id: &str, helper: &str) -> bool {
        let Some(most) = self.ledger.principals.most(helper) else {
            return true;
        };
        let sessions = self.works.get(id).map(|work| &work.sessions);
        let sessions = sessions.into_iter().flatten();
        sessions.filter(|one| one.role == helper).count() < most
    }

    /// A role was taken: from here on its key is known.
    fn taken(&mut self, one: &Use, id: &'l str) {
        let role = one.role().unwrap_or_default();
        if self.ledger.principals.is_helper(role) && !one.takes_nothing() {
            let policy = one.parameter("policy").unwrap_or_default();
            self.helpers.insert([id, role, policy].map(str::to_owned));
        }
        let Some(key) = one.made_key() else { return };
        let session = SessionUse {
            key: key.to_owned(),
            role: role.to_owned(),
            taken: Some(shown(one.at)),
            last: None,
            calls: BTreeMap::new(),
            refused: 0,
        };
        self.open(id, key, session);
    }

    fn open(&mut self, id: &'l str, key: &str, session: SessionUse) {
        let sessions = &mut self.work(id).sessions;
        sessions.push(session);
        let at = sessions.len() - 1;
        self.sessions.insert(key.to_owned(), (id, at));
    }

    /// What was done in a session.
    fn in_session(&mut self, one: &Use, issuer: &str) -> Result<(), String> {
        let key = one.key.clone().unwrap_or_default();
        if !self.sessions.contains_key(&key) {
            let id = self.begun_before(one, issuer)?;
            let session = SessionUse {
                key: key.clone(),
                role: issuer.to_owned(),
                taken: None,
                last: None,
                calls: BTreeMap::new(),
                refused: 0,
            };
            self.open(id, &key, session);
        }
        let Some((id, at)) = self.sessions.get(&key).copied() else {
            return Err("no session of this key".to_owned());
        };
        let work = &self.ledger.works[id];
        over(one, issuer, work)?;
        let session = &mut self.work(id).sessions[at];
        session.last = Some(shown(one.at));
        session.refused += u64::from(one.error.is_some());
        *session.calls.entry(one.call()).or_default() += 1;
        Ok(())
    }

    /// A session that was taken before the export begins.
    fn begun_before(&self, one: &Use, issuer: &str) -> Result<&'l str, String> {
        let key = one.key.as_deref().unwrap_or_default();
        if self.foreign.contains(key) {
            return Err("no request accounts for how this session was taken".to_owned());
        }
        let begun = one.begun.ok_or("no request took this session")?;
        if self.from.is_some_and(|from| from <= begun) {
            return Err(
                "the trail covers when this session was taken, and does not show by whom: is the Region of its STS in it"
                    .to_owned(),
            );
        }
        let mut works = self.ledger.works.iter();
        let found = works.find(|(id, work)| {
            let own = work.roles.contains(issuer) && one.source_identity == work.operator;
            let helper = !work.roles.contains(issuer)
                && self.ledger.principals.is_helper(issuer)
                && self.has_room(id, issuer);
            (own || helper) && work.steps.iter().any(|step| near(*step, begun))
        });
        found
            .map(|(id, _)| id.as_str())
            .ok_or_else(|| "no request took this session".to_owned())
    }

    fn work(&mut self, id: &'l str) -> &mut Accounted {
        let work = &self.ledger.works[id];
        self.works.entry(id).or_insert_with(|| Accounted {
            id: id.to_owned(),
            operator: work.operator.clone(),
            incident: work.incident.clone(),
            worker: BTreeMap::new(),
            sessions: Vec::new(),
        })
    }

    fn close(self) -> Vec<Accounted> {
        let mut works: Vec<Accounted> = self.works.into_values().collect();
        works.sort_by_key(|work| self.ledger.works[&work.id].first);
        works
    }
}

/// Whether it is the role that keeps the sealed bundle, which is taken before there is a request too.
fn is_place(one: &Use) -> bool {
    one.role().is_some_and(ledger::is_place)
}

/// Nothing works in an operator's session once it is over, nor in a helper's once it cannot be one of that request's.
fn over(one: &Use, issuer: &str, work: &Work) -> Result<(), String> {
    // It answers under an explicit deny, and says nothing that helps anybody.
    if one.error.is_some() || one.name == "GetCallerIdentity" {
        return Ok(());
    }
    let ends = match work.roles.contains(issuer) {
        true => [
            (work.not_after, "its time was over"),
            (work.revoked, "it was seen refused"),
        ],
        false => [
            (work.not_after.map(|end| end + HELPERS), "its time was over"),
            (None, ""),
        ],
    };
    match ends
        .iter()
        .find(|(end, _)| end.is_some_and(|end| one.at > end + CLOCKS))
    {
        Some((_, why)) => Err(format!("it worked after {why}")),
        None => Ok(()),
    }
}

fn near(step: OffsetDateTime, at: OffsetDateTime) -> bool {
    (at - step).abs() <= AROUND
}

fn unmatched(one: &Use, why: String) -> Unmatched {
    Unmatched {
        event_id: one.event_id.clone(),
        time: shown(one.at),
        call: one.call(),
        who: one.who.clone(),
        ip: one.ip.clone(),
        key: one.key.clone(),
        refused: one.error.is_some(),
        why,
    }
}

fn shown(at: OffsetDateTime) -> String {
    super::event::timestamp(at)
}

#[cfg(test)]
mod tests;
