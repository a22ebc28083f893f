//! What can go wrong on the wire, and on which call.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::RigError;

/// One thing that goes wrong on the calls that it matches.
pub struct Rule {
    action: String,
    access_key_id: Option<String>,
    when: When,
    fault: Fault,
    seen: u32,
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
    /// AWS acts at once; the reply comes so much later.
    Delay(Duration),
    /// The call reaches AWS twice, as the network may deliver it; the client sees the reply that is named.
    Repeat(Keep),
    /// AWS does not act and answers with this HTTP status, error code and message.
    Refuse(u16, String, String),
    /// The call waits at the gate before it reaches AWS, even if the client is gone by then.
    HoldRequest(Gate),
    /// AWS acts; the reply waits at the gate.
    HoldReply(Gate),
}

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
            when,
            fault,
            seen: 0,
        }
    }

    /// The same rule for calls signed by this key alone.
    pub fn signed_by(mut self, access_key_id: &str) -> Self {
        self.access_key_id = Some(access_key_id.to_owned());
        self
    }

    /// Counts the call if it matches, and gives the fault if it is hit.
    pub(super) fn hits(&mut self, action: &str, access_key_id: Option<&str>) -> Option<Fault> {
        if !action_matches(&self.action, action) {
            return None;
        }
        if self.access_key_id.is_some() && self.access_key_id.as_deref() != access_key_id {
            return None;
        }
        self.seen += 1;
        let hit = match self.when {
            When::Nth(n) => self.seen == n,
            When::First(n) => self.seen <= n,
            When::From(n) => self.seen >= n,
            When::Always => true,
        };
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

    #[test]
    fn a_rule_counts_its_own_calls() {
        let mut rule =
            Rule::new("iam:CreateAccessKey", When::Nth(2), Fault::LoseReply).signed_by("AKIA1");
        assert!(rule.hits("iam:CreateAccessKey", Some("AKIA1")).is_none());
        assert!(rule.hits("iam:CreateAccessKey", Some("AKIA2")).is_none());
        assert!(rule.hits("iam:DeleteAccessKey", Some("AKIA1")).is_none());
        assert!(rule.hits("iam:CreateAccessKey", Some("AKIA1")).is_some());
        assert!(rule.hits("iam:CreateAccessKey", Some("AKIA1")).is_none());
        assert!(action_matches("iam:*", "iam:ListAccessKeys"));
        assert!(!action_matches("iam:*", "sts:AssumeRole"));
    }
}
