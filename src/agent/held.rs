//! Sinks that have to hold a request before custodians are asked: the record of it has left the host, or nothing comes of it.
//!
//! Which sinks these are is the scenario's, in the roster, and this host's (`required`, `group`). Everything else goes on without its sinks and shows as degraded.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use super::{Agent, record::Record};
use crate::{
    audit::sinks::Lacking,
    protocol::{Code, Problem},
};

/// How often a sink is looked at, while somebody waits for it.
const LOOK: Duration = Duration::from_millis(50);

impl Agent {
    /// Whether this host has these sinks at all.
    pub(super) fn has_sinks(&self, names: &[String]) -> Result<(), Problem> {
        let sinks = self.sinks.lock().unwrap_or_else(PoisonError::into_inner);
        let options = |name: &String| sinks.as_ref().and_then(|s| s.options(name));
        for name in names {
            let lacks = match options(name) {
                None => "which this host does not have",
                Some(options) if !options.sent_requests() => "which is not sent requests",
                Some(_) => continue,
            };
            let what = format!("the record has to be at sink {name} first, {lacks}");
            return Err(Problem::new(Code::Refused, what)
                .hint("name the sink in agent.toml, or ask on another host"));
        }
        Ok(())
    }

    /// The sinks without which nothing is asked on this host, in words.
    pub(super) fn required_sinks(&self) -> Vec<String> {
        let all = self.unmet(u64::MAX).into_iter();
        all.map(|lacking| match lacking.sinks.as_slice() {
            [one] => one.clone(),
            any => format!("one of {}", any.join(" and ")),
        })
        .collect()
    }

    /// Waits until every one of these sinks, and where `required` those of the configuration, holds event `seq`, for as long as the
    /// configuration says.
    pub(super) async fn acknowledged(
        self: &Arc<Self>,
        names: &[String],
        required: bool,
        seq: u64,
    ) -> Result<(), Problem> {
        let begun = tokio::time::Instant::now();
        let limit = self.config.acknowledge;
        for name in names {
            while let Some(why) = self.lacks(name, seq) {
                if begun.elapsed() >= limit {
                    return Err(not_held(name, limit, &why));
                }
                tokio::time::sleep(LOOK).await;
            }
        }
        while required && let Some(lacking) = self.unmet(seq).first() {
            if begun.elapsed() >= limit {
                return Err(none_holds(lacking, limit));
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// What the configuration requires of the sinks and is not met at event `seq`.
    fn unmet(&self, seq: u64) -> Vec<Lacking> {
        let sinks = self.sinks.lock().unwrap_or_else(PoisonError::into_inner);
        sinks.as_ref().map_or_else(Vec::new, |s| s.lacking(seq))
    }

    /// Why a sink does not hold an event; `None` where it does.
    fn lacks(&self, name: &str, seq: u64) -> Option<String> {
        let sinks = self.sinks.lock().unwrap_or_else(PoisonError::into_inner);
        match sinks.as_ref().and_then(|sinks| sinks.held_by(name)) {
            Some((held, _)) if held >= seq => None,
            Some((_, Some(error))) => Some(error.to_string()),
            Some((_, None)) => Some("it does not answer".to_owned()),
            None => Some("it is not there".to_owned()),
        }
    }
}

impl Record {
    /// The sinks that its scenario names, by the roster that it was offered under.
    pub(super) fn must_be_held_by(&self) -> Result<Vec<String>, Problem> {
        let Some(name) = &self.request.scenario else {
            return Ok(Vec::new());
        };
        Ok(self
            .roster()?
            .scenario(name)
            .map_or_else(Vec::new, |s| s.sinks.clone()))
    }
}

fn none_holds(lacking: &Lacking, limit: Duration) -> Problem {
    match (lacking.sinks.as_slice(), &lacking.group) {
        ([one], _) | ([one, ..], None) => not_held(one, limit, &lacking.why),
        (any, Some(group)) => Problem::new(
            Code::Refused,
            format!(
                "none of the sinks {} (group {group}) has acknowledged the request within {} s: {}",
                any.join(", "),
                limit.as_secs(),
                lacking.why
            ),
        )
        .hint("see to one of them and ask again; nobody was asked to approve"),
        ([], None) => not_held("of the configuration", limit, &lacking.why),
    }
}

fn not_held(name: &str, limit: Duration, why: &str) -> Problem {
    Problem::new(
        Code::Refused,
        format!(
            "sink {name} has not acknowledged the request within {} s: {why}",
            limit.as_secs()
        ),
    )
    .hint("see to the sink and ask again; nobody was asked to approve")
}
