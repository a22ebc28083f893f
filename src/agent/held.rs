//! Sinks that have to hold a request before custodians are asked: the record of it has left the host, or nothing comes of it.
//!
//! Which sinks these are is the scenario's, in the roster. Everything else goes on without its sinks and shows as degraded.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use super::{Agent, record::Record};
use crate::protocol::{Code, Problem};

/// How often a sink is looked at, while somebody waits for it.
const LOOK: Duration = Duration::from_millis(50);

impl Agent {
    /// Whether this host has these sinks at all.
    pub(super) fn has_sinks(&self, names: &[String]) -> Result<(), Problem> {
        let sinks = self.sinks.lock().unwrap_or_else(PoisonError::into_inner);
        let here = |name: &String| sinks.as_ref().is_some_and(|s| s.held_by(name).is_some());
        match names.iter().find(|name| !here(name)) {
            None => Ok(()),
            Some(name) => Err(Problem::new(
                Code::Refused,
                format!("the record has to be at sink {name} first, which this host does not have"),
            )
            .hint("name the sink in agent.toml, or ask on another host")),
        }
    }

    /// Waits until every one of these sinks holds event `seq`, for as long as the configuration says.
    pub(super) async fn acknowledged(
        self: &Arc<Self>,
        names: &[String],
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
        Ok(())
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
