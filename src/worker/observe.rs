//! Observing that a session is refused: by its own credentials, on a call that worked before, again and again, in each Region.

use std::time::Duration;

use crate::{
    aws::{Aws, Credentials, Observation, ProbeAction},
    ceremony::refusals::{Answer, REFUSALS, Run},
    fail,
    trust::Timestamp,
};

/// Over how long those must be spread: IAM's data plane is cached, and answers flap.
pub(super) const SPREAD: Duration = Duration::from_secs(30);

/// At which answer that is no refusal it is told; then at every tenth more.
const TELL_AT: u32 = 3;

/// Probes one Region until it has refused [`REFUSALS`] times in a row over [`SPREAD`]; `None` when it is `over` first.
///
/// Anything but a clear refusal begins the run anew: an answer that was allowed, but also one that says nothing (expired, throttled,
/// badly signed, broken), because a probe that lies must never add up to 'revoked'. What keeps it from being believed is told, once it
/// has lasted for a few probes: a revocation takes a moment to act.
pub(super) async fn observe(
    aws: &Aws,
    session: &Credentials,
    region: &str,
    action: ProbeAction,
    over: impl Fn() -> bool,
    tell: impl Fn(String, u32),
) -> Option<Run> {
    let pause = fail::quicker(SPREAD) / (REFUSALS - 1);
    let mut run: Option<Run> = None;
    let mut not_refused = 0;
    while !over() {
        let (answer, why) = match aws.probe_session(session, region, action).await {
            Observation::Refused { .. } => (Answer::Refused, None),
            Observation::Allowed { .. } => {
                let why = "the session is still let in".to_owned();
                (Answer::Allowed, Some(why))
            }
            Observation::Inconclusive { why } => (Answer::Unclear, Some(why)),
        };
        run = Run::after(run, answer, Timestamp::now());
        if let Some(why) = why {
            not_refused += 1;
            if not_refused % 10 == TELL_AT {
                tell(format!("{action} in {region}: {why}"), not_refused);
            }
        }
        if run.as_ref().is_some_and(|r| r.count >= REFUSALS) {
            return run;
        }
        tokio::time::sleep(pause).await;
    }
    None
}
