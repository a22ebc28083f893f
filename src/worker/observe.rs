//! Observing that a session is refused: by its own credentials, on a call that worked before, again and again, in each Region.

use std::time::Duration;

use crate::{
    aws::{Aws, Credentials, Observation, ProbeAction},
    ceremony::refusals::{Answer, Run},
    fail,
    trust::Timestamp,
};

/// How many refusals in a row make one Region believed.
pub(super) const REFUSALS: u32 = 10;
/// Over how long those must be spread: IAM's data plane is cached, and answers flap.
pub(super) const SPREAD: Duration = Duration::from_secs(30);

/// Probes one Region until it has refused [`REFUSALS`] times in a row over [`SPREAD`]; `None` when `until` comes first.
///
/// Anything but a clear refusal begins the run anew: an answer that was allowed, but also one that says nothing (expired, throttled,
/// badly signed, broken), because a probe that lies must never add up to 'revoked'.
pub(super) async fn observe(
    aws: &Aws,
    session: &Credentials,
    region: &str,
    action: ProbeAction,
    until: Timestamp,
) -> Option<Run> {
    let pause = fail::quicker(SPREAD) / (REFUSALS - 1);
    let mut run: Option<Run> = None;
    while Timestamp::now() < until {
        let answer = match aws.probe_session(session, region, action).await {
            Observation::Refused { .. } => Answer::Refused,
            Observation::Allowed { .. } => Answer::Allowed,
            Observation::Inconclusive { .. } => Answer::Unclear,
        };
        run = Run::after(run, answer, Timestamp::now());
        if run.as_ref().is_some_and(|r| r.count >= REFUSALS) {
            return run;
        }
        tokio::time::sleep(pause).await;
    }
    None
}
