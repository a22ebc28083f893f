//! What can go wrong on the wire, and on which call.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::call::Call;
use crate::RigError;

/// One thing that goes wrong on the calls that it matches.
#[derive(Clone)]
pub struct Rule {
    action: String,
    access_key_id: Option<String>,
    /// Not hit when this key signed.
    except: Option<String>,
    region: Option<String>,
    params: Vec<(String, String)>,
    when: When,
    fault: Fault,
    seen: u32,
    struck: bool,
}

/// Which of the matching calls are hit, counted from 1 and from the moment at which the rule was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// That one alone.
    Nth(u32),
    /// The first so many.
    First(u32),
    /// That one and all that follow.
    From(u32),
    /// Every call.
    Always,
}

/// What happens to a call that a rule hits.
#[derive(Clone)]
pub enum Fault {
    /// AWS acts; the reply is lost: the connection closes without one.
    LoseReply,
    /// The call never reaches AWS: the connection closes without a reply.
    Unreachable,
    /// The call never reaches AWS, and for so long nobody listens where AWS was: connections are refused.
    Refused(Duration),
    /// AWS acts at once; the reply comes so much later.
    Delay(Duration),
    /// The call reaches AWS twice, as the network may deliver it; the client sees the reply that is named.
    Repeat(Keep),
    /// AWS acts; the reply breaks off in the middle of its body.
    CutBody,
    /// The client gets no reply, and the call reaches AWS only after the next one: just before that one's reply leaves.
    Overtaken,
    /// AWS does not act and answers with this HTTP status, error code and message.
    Refuse(u16, String, String),
    /// AWS acts, and answers all the same with this HTTP status, error code and message.
    FailAfter(u16, String, String),
    /// AWS does not act and answers with this HTTP status and body: what it said a while ago (a list that lags), or what nobody expects.
    Answer(u16, String),
    /// The call waits at the gate before it reaches AWS, even if the client is gone by then.
    HoldRequest(Gate),
    /// AWS acts; the reply waits at the gate.
    HoldReply(Gate),
}

impl Fault {
    /// AWS asks for fewer calls and does nothing.
    pub fn throttled() -> Self {
        Self::Refuse(400, "Throttling".to_owned(), "Rate exceeded".to_owned())
    }

    /// AWS fails inside before it has done anything.
    pub fn failed() -> Self {
        let (code, message) = SERVER_ERROR;
        Self::Refuse(500, code.to_owned(), message.to_owned())
    }

    /// AWS fails inside after it has done what was asked.
    pub fn failed_after() -> Self {
        let (code, message) = SERVER_ERROR;
        Self::FailAfter(500, code.to_owned(), message.to_owned())
    }

    /// AWS does not allow it.
    pub fn denied() -> Self {
        let message = "User is not authorized to perform this action";
        Self::Refuse(403, "AccessDenied".to_owned(), message.to_owned())
    }
}

const SERVER_ERROR: (&str, &str) = (
    "InternalFailure",
    "The request processing has failed because of an unknown error.",
);

/// Which reply of a repeated call the client sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// The reply of the first delivery.
    First,
    /// The reply of the second delivery.
    Second,
}

impl Rule {
    /// `action` is `service:Action` (`iam:CreateAccessKey`), `service:*` or `*`.
    pub fn new(action: &str, when: When, fault: Fault) -> Self {
        Self {
            action: action.to_owned(),
            access_key_id: None,
            except: None,
            region: None,
            params: Vec::new(),
            when,
            fault,
            seen: 0,
            struck: false,
        }
    }

    /// The same rule for calls signed by this key alone.
    pub fn signed_by(mut self, access_key_id: &str) -> Self {
        self.access_key_id = Some(access_key_id.to_owned());
        self
    }

    /// The same rule for calls that this key did not sign.
    pub fn not_signed_by(mut self, access_key_id: &str) -> Self {
        self.except = Some(access_key_id.to_owned());
        self
    }

    /// The same rule for calls to this Region alone.
    pub fn in_region(mut self, region: &str) -> Self {
        self.region = Some(region.to_owned());
        self
    }

    /// The same rule with another fault.
    pub fn doing(mut self, fault: Fault) -> Self {
        self.fault = fault;
        self
    }

    /// The same rule for calls with this parameter alone.
    pub fn with(mut self, param: &str, value: &str) -> Self {
        self.params.push((param.to_owned(), value.to_owned()));
        self
    }

    /// The action of a rule that has hit nothing yet.
    pub(super) fn idle(&self) -> Option<&str> {
        (!self.struck).then_some(self.action.as_str())
    }

    /// Counts the call if it matches, and gives the fault if it is hit.
    pub(super) fn hits(&mut self, call: &Call) -> Option<Fault> {
        let key = call.access_key_id.as_deref();
        let matches = action_matches(&self.action, &call.action)
            && (self.access_key_id.is_none() || self.access_key_id.as_deref() == key)
            && (self.except.is_none() || self.except.as_deref() != key)
            && self.region.as_ref().is_none_or(|r| *r == call.region)
            && self.params.iter().all(|(n, v)| call.param(n) == Some(v));
        if !matches {
            return None;
        }
        self.seen += 1;
        let hit = match self.when {
            When::Nth(n) => self.seen == n,
            When::First(n) => self.seen <= n,
            When::From(n) => self.seen >= n,
            When::Always => true,
        };
        self.struck |= hit;
        hit.then(|| self.fault.clone())
    }
}

/// Whether `action` (`iam:CreateAccessKey`) is meant by `pattern` (itself, `iam:*` or `*`).
pub(super) fn action_matches(pattern: &str, action: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => action.starts_with(start),
        None => pattern == action,
    }
}

/// A gate at which calls wait until the test opens it; for ordering things without a clock.
#[derive(Clone)]
pub struct Gate {
    arrived: Arc<(Mutex<u32>, Condvar)>,
    open: Arc<watch::Sender<bool>>,
}

impl Gate {
    /// A closed gate.
    #[expect(
        clippy::new_without_default,
        reason = "a gate is closed on purpose, not by default"
    )]
    pub fn new() -> Self {
        Self {
            arrived: Arc::new((Mutex::new(0), Condvar::new())),
            open: Arc::new(watch::Sender::new(false)),
        }
    }

    /// Waits until `count` calls have come to the gate, open or not.
    pub fn wait_arrived(&self, count: u32, within: Duration) -> Result<(), RigError> {
        let (arrived, changed) = &*self.arrived;
        let deadline = Instant::now() + within;
        let mut seen = arrived.lock().unwrap_or_else(PoisonError::into_inner);
        while *seen < count {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(RigError::new(format!(
                    "{} of {count} calls came to the gate in time",
                    *seen
                )));
            }
            seen = changed
                .wait_timeout(seen, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        Ok(())
    }

    /// Lets everything through that waits, and all that comes after.
    pub fn open(&self) {
        self.open.send_replace(true);
    }

    /// Waits at the gate.
    pub(super) async fn pass(&self) {
        let mut open = self.open.subscribe();
        {
            let (arrived, changed) = &*self.arrived;
            *arrived.lock().unwrap_or_else(PoisonError::into_inner) += 1;
            changed.notify_all();
        }
        // It cannot fail: this gate holds the sender.
        let _ = open.wait_for(|open| *open).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(action: &str, key: &str) -> Call {
        Call {
            seq: 0,
            at: std::time::SystemTime::now(),
            took: Duration::ZERO,
            action: action.to_owned(),
            region: "eu-central-1".to_owned(),
            host: String::new(),
            access_key_id: Some(key.to_owned()),
            session_token: false,
            params: [("UserName".to_owned(), "break-glass".to_owned())].into(),
            forwarded: 0,
            status: None,
            error: None,
            reply: String::new(),
            answered: false,
        }
    }

    #[test]
    fn a_rule_counts_its_own_calls() {
        let mut rule =
            Rule::new("iam:CreateAccessKey", When::Nth(2), Fault::LoseReply).signed_by("AKIA1");
        let (own, other) = (
            call("iam:CreateAccessKey", "AKIA1"),
            call("iam:DeleteAccessKey", "AKIA1"),
        );
        assert!(rule.hits(&own).is_none());
        assert!(rule.hits(&call("iam:CreateAccessKey", "AKIA2")).is_none());
        assert!(rule.hits(&other).is_none());
        assert!(rule.hits(&own).is_some());
        assert!(rule.hits(&own).is_none());
        assert!(action_matches("iam:*", "iam:ListAccessKeys"));
        assert!(!action_matches("iam:*", "sts:AssumeRole"));
    }

    #[test]
    fn a_rule_may_name_region_parameter_and_who_did_not_sign() {
        let rule = || Rule::new("*", When::Always, Fault::LoseReply);
        let call = call("iam:CreateAccessKey", "AKIA1");
        for (mut rule, hit) in [
            (rule().in_region("eu-central-1"), true),
            (rule().in_region("eu-west-1"), false),
            (rule().with("UserName", "break-glass"), true),
            (rule().with("UserName", "dana"), false),
            (rule().not_signed_by("AKIA2"), true),
            (rule().not_signed_by("AKIA1"), false),
        ] {
            assert_eq!(rule.hits(&call).is_some(), hit);
        }
    }
}
