//! What did not get through, whether it is worth another try, and when that is made.
//!
//! Pauses grow twofold up to [`LONGEST_PAUSE`], with full jitter, so that workers that were stopped by the same fault do not come back
//! in step. Whoever waits says so: what for, since when, how often it was tried, when the next try is made, and why the last one failed.

use std::time::{Duration, Instant};

use rand_core::{OsRng, RngCore as _};

use super::{
    link::Link,
    problems::{in_one_line, may_pass, of_aws},
};
use crate::{
    aws::AwsError,
    ceremony::rotation::OutOfTurn,
    fail,
    protocol::{
        Code, Problem,
        job::{FromWorker, Waiting},
    },
    trust::Timestamp,
};

/// The first pause between two tries is at most this; the bound doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(20);
/// No pause is shorter: a server in trouble is not to be asked again at once.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
/// How long a refusal by policy may be a lag. After that it is meant.
const REFUSED_FOR: Duration = Duration::from_secs(60);

/// Why a try did not get through.
#[derive(Debug)]
pub(super) enum Setback {
    /// It may get through a little later.
    Later(Problem),
    /// AWS does not allow it; where the caller's key is new that may be a lag, which does not last long.
    Refused(Problem),
    /// It will not get through.
    Never(Problem),
}

impl Setback {
    /// What went wrong.
    pub(super) fn into_problem(self) -> Problem {
        match self {
            Self::Later(problem) | Self::Refused(problem) | Self::Never(problem) => problem,
        }
    }

    /// The same, to be read.
    pub(super) fn problem(&self) -> &Problem {
        match self {
            Self::Later(problem) | Self::Refused(problem) | Self::Never(problem) => problem,
        }
    }
}

impl From<OutOfTurn> for Setback {
    fn from(why: OutOfTurn) -> Self {
        Self::Never(Problem::new(Code::Internal, why))
    }
}

/// What AWS answered, as a setback.
pub(super) fn setback(why: &AwsError) -> Setback {
    if may_pass(why) {
        Setback::Later(of_aws(why))
    } else {
        Setback::Never(of_aws(why))
    }
}

/// A new key's permissions may lag behind its first success, so a refusal is not final at once.
pub(super) fn setback_of_new_key(why: &AwsError) -> Setback {
    match why {
        // A signature that does not fit will not fit later.
        AwsError::Refused(_) if !may_pass(why) => Setback::Refused(of_aws(why)),
        other => setback(other),
    }
}

/// The tries at one thing.
pub(super) struct Tries {
    what: &'static str,
    since: Timestamp,
    begun: Instant,
    until: Instant,
    count: u32,
    bound: Duration,
}

impl Tries {
    /// None yet; `what` continues 'waiting for ...', and nothing is tried after `until`.
    pub(super) fn new(what: &'static str, until: Instant) -> Self {
        Self {
            what,
            since: Timestamp::now(),
            begun: Instant::now(),
            until,
            count: 0,
            bound: FIRST_PAUSE,
        }
    }

    /// Says why the last try failed, and pauses before the next one; or gives up, with that setback.
    pub(super) async fn again(
        &mut self,
        setback: Setback,
        link: &mut Link,
        request: Option<&str>,
    ) -> Result<(), Setback> {
        self.count += 1;
        let now = Instant::now();
        let until = match setback {
            Setback::Later(_) => self.until,
            Setback::Refused(_) => self.until.min(self.begun + REFUSED_FOR),
            Setback::Never(_) => now,
        };
        let rest = until.saturating_duration_since(now);
        if rest.is_zero() {
            return Err(setback);
        }
        // The last try is made when time is up, not given away.
        let pause = fail::quicker(jittered(self.bound)).min(rest);
        self.bound = (self.bound * 2).min(LONGEST_PAUSE);
        let waiting = Waiting {
            request: request.map(str::to_owned),
            what: self.what.to_owned(),
            since: self.since,
            tries: self.count,
            next: Timestamp::now().plus(i64::try_from(pause.as_secs()).unwrap_or(0)),
            why: in_one_line(setback.problem()),
        };
        link.send(&FromWorker::Waiting(waiting)).await;
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

/// Any time up to `bound`, each as likely.
fn jittered(bound: Duration) -> Duration {
    let most = u64::try_from(bound.as_micros()).unwrap_or(u64::MAX).max(1);
    Duration::from_micros(OsRng.next_u64() % most).max(SHORTEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_differ_and_stay_within_their_bound() {
        let bound = Duration::from_secs(8);
        let pauses: Vec<Duration> = (0..64).map(|_| jittered(bound)).collect();
        assert!(pauses.iter().all(|p| *p <= bound && *p >= SHORTEST_PAUSE));
        // Full jitter: the whole span is used, not a band around the bound.
        assert!(pauses.iter().any(|p| *p < bound / 2));
        assert!(pauses.iter().any(|p| *p > bound / 2));
    }
}
