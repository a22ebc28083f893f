//! Closing one role of a request: its revocation put, its refusal observed in each Region. Beside the other roles, and telling what it does.

use std::time::Duration;

use tokio::{sync::mpsc, task::JoinSet};

use super::{
    close::Clock,
    mint::trace,
    observe::observe,
    problems::{in_one_line, of_aws},
    room,
};
use crate::{
    aws::{Aws, AwsError, Credentials, ProbeAction, revocation},
    protocol::{
        Code, Problem,
        job::{AwsTrace, Step},
    },
    trust::{Timestamp, receipt::RegionRefused, roster::Target},
};

/// The first pause between two tries to put the revocation; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// So many setbacks of one kind are told one by one; then every tenth.
const TOLD: u32 = 8;

/// All that closing one role takes.
pub(super) struct Closer {
    pub(super) aws: Aws,
    pub(super) request: String,
    pub(super) target: Target,
    /// Name of the revocation policy.
    pub(super) policy: String,
    pub(super) steward: Credentials,
    /// The session whose refusal is observed, where one was handed out and is kept.
    pub(super) operator: Option<Credentials>,
    /// By which action, and where.
    pub(super) observe: Option<(ProbeAction, Vec<String>)>,
    pub(super) clock: Clock,
    pub(super) until: Timestamp,
    pub(super) say: mpsc::Sender<Said>,
}

/// What it tells.
pub(super) enum Said {
    /// Something was done.
    Step { step: Step, aws: Option<AwsTrace> },
    /// Something holds it up.
    Setback(Step),
    /// It was seen refused in a Region.
    Refused {
        target: Target,
        region: RegionRefused,
    },
    /// Nothing follows.
    End(End),
}

/// What closing a role has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Seen refused in every Region.
    Refused,
    /// Denied by its tag; there was nothing to observe it with.
    Denied,
    /// Time was up first.
    Later,
}

impl Closer {
    /// Until it is refused, or time is up.
    pub(super) async fn run(self) {
        let end = match self.apply().await {
            true => self.see().await,
            false => End::Later,
        };
        self.tell(Said::End(end)).await;
    }

    /// Puts the policy that denies the request's tag; `false` where time was up first. No error ends it: whatever IAM says now, it may
    /// say something else once somebody has repaired it.
    async fn apply(&self) -> bool {
        let mut pause = FIRST_PAUSE;
        let mut setbacks = Setbacks::default();
        loop {
            let problem = match self.put().await {
                Ok(trace) => {
                    let step = Step::RevokeApplied {
                        policy: self.policy.clone(),
                        role: self.target.role_arn.clone(),
                    };
                    let aws = Some(trace);
                    self.tell(Said::Step { step, aws }).await;
                    return true;
                }
                Err(problem) => problem,
            };
            if self.is_over() {
                return false;
            }
            let next = Timestamp::now().plus(i64::try_from(pause.as_secs()).unwrap_or(0));
            if let Some(tries) = setbacks.told(&problem.error) {
                self.setback(in_one_line(&problem), tries, Some(next)).await;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Putting the same policy twice is the same as once.
    async fn put(&self) -> Result<AwsTrace, Problem> {
        let role = room::role_name(&self.target.role_arn)?;
        let document = revocation::revocation_policy(&self.request)
            .map_err(|why| Problem::new(Code::Internal, why))?;
        let put = self
            .aws
            .put_role_policy(&self.steward, &role, &self.policy, &document);
        match put.await {
            Ok(answer) => Ok(trace(&answer)),
            Err(why) => {
                if is_full(&why) {
                    room::prune(&self.aws, &self.steward, &role).await;
                }
                Err(of_aws(&why))
            }
        }
    }

    /// Observes the refusal in all Regions at once.
    async fn see(&self) -> End {
        let (Some(session), Some((action, regions))) = (&self.operator, &self.observe) else {
            return End::Denied;
        };
        let mut tasks = JoinSet::new();
        for region in regions {
            let (aws, session, region, action) =
                (self.aws.clone(), session.clone(), region.clone(), *action);
            let (clock, until, say, target) = (
                self.clock,
                self.until,
                self.say.clone(),
                self.target.clone(),
            );
            tasks.spawn(async move {
                let over = || clock.now() >= until;
                // One that finds no room is told again soon enough.
                let tell = |why, tries| {
                    let step = pending(&target, why, tries, None);
                    let _ = say.try_send(Said::Setback(step));
                };
                let seen = observe(&aws, &session, &region, action, over, tell).await;
                let Some(run) = seen else { return false };
                let region = RegionRefused {
                    region,
                    since: run.since,
                    refusals: run.count,
                };
                let _ = say.send(Said::Refused { target, region }).await;
                true
            });
        }
        let mut all = true;
        while let Some(seen) = tasks.join_next().await {
            all &= seen.unwrap_or(false);
        }
        if all { End::Refused } else { End::Later }
    }

    fn is_over(&self) -> bool {
        self.clock.now() >= self.until
    }

    async fn setback(&self, why: String, tries: u32, next: Option<Timestamp>) {
        let step = pending(&self.target, why, tries, next);
        self.tell(Said::Setback(step)).await;
    }

    /// Nobody listens only once the closing is given up as a whole.
    async fn tell(&self, said: Said) {
        let _ = self.say.send(said).await;
    }
}

fn pending(target: &Target, why: String, tries: u32, next_attempt: Option<Timestamp>) -> Step {
    Step::ClosePending {
        why,
        role: target.role_arn.clone(),
        tries,
        next_attempt,
    }
}

/// Whether the role's inline policies have no room left.
fn is_full(why: &AwsError) -> bool {
    why.code() == Some("LimitExceeded")
}

/// Which setbacks are told: a journal is not a log, and one that lasts for hours says no more the hundredth time.
#[derive(Default)]
struct Setbacks {
    tries: u32,
    last: String,
    of_this_kind: u32,
}

impl Setbacks {
    /// Counts one; how many there were, if it is to be told.
    fn told(&mut self, why: &str) -> Option<u32> {
        self.tries += 1;
        self.of_this_kind += 1;
        if self.last != why {
            (self.last, self.of_this_kind) = (why.to_owned(), 1);
        }
        let told = self.of_this_kind <= TOLD || self.of_this_kind.is_multiple_of(10);
        told.then_some(self.tries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setbacks_are_told_at_first_and_then_now_and_again() {
        let mut setbacks = Setbacks::default();
        let told: Vec<u32> = (0..30).filter_map(|_| setbacks.told("down")).collect();
        assert_eq!(told, [1, 2, 3, 4, 5, 6, 7, 8, 10, 20, 30]);
        assert_eq!(setbacks.told("refused"), Some(31));
    }
}
