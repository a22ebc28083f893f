//! Room for revocations: a role takes so many inline policies and no more, and a session that could not be revoked is not opened.
//!
//! IAM takes 10,240 characters of inline policies a role together. A revocation has about 152, so forty of them leave some 4,000 for the
//! role's own policies. Those whose sessions have ended go with any closing; those that still deny something are never removed to make room.

use std::time::Duration;

use super::plan::arn;
use crate::{
    aws::{Arn, Aws, Credentials, revocation},
    protocol::{Code, Problem},
    trust::Timestamp,
};

/// The most unexpired revocations a role.
pub(super) const MOST: usize = 40;
/// How long opening waits to be told by IAM, which may be down while STS is not.
const PATIENCE: Duration = Duration::from_secs(2);

/// A role's revocations, by their names.
pub(super) struct Revocations {
    /// When each that still denies something ends, soonest first.
    pub(super) ends: Vec<Timestamp>,
    /// The names of those whose sessions have ended.
    pub(super) ended: Vec<String>,
}

impl Revocations {
    /// Sorts a role's policy names; other policies are none of ours.
    pub(super) fn of(names: &[String], now: Timestamp) -> Self {
        let (mut ends, mut ended) = (Vec::new(), Vec::new());
        for name in names {
            match revocation::parse_revocation_name(name) {
                Some((_, end)) if Timestamp::from(end) < now => ended.push(name.clone()),
                Some((_, end)) => ends.push(Timestamp::from(end)),
                None => {}
            }
        }
        ends.sort_unstable();
        Self { ends, ended }
    }
}

/// Refused where as many revocations are in use as a role takes. `ends` is when each of them frees up.
pub(super) fn one_more(role: &str, mut ends: Vec<Timestamp>) -> Result<(), Problem> {
    ends.sort_unstable();
    match ends.get(ends.len().saturating_sub(MOST)) {
        // So many must end first that one less than the most is left.
        Some(at) if ends.len() >= MOST => Err(Problem::new(
            Code::Refused,
            format!("{role} has {} revocations, or sessions that may need one, and takes {MOST}", ends.len()),
        )
        .hint(format!("ask again after {at}, when one frees up; or ask for an access profile with another role"))),
        _ => Ok(()),
    }
}

/// Asks IAM whether the role takes one more revocation, and removes what has ended where that is needed. What IAM does not answer in two
/// seconds is taken for granted: it may be down for as long as the incident lasts, and the request was counted when it was made.
pub(super) async fn is_left(aws: &Aws, steward: &Credentials, role: &Arn) -> Result<(), Problem> {
    let Some(name) = role.role().map(|r| r.name.to_owned()) else {
        return Err(not_a_role());
    };
    let listed = tokio::time::timeout(PATIENCE, aws.list_role_policies(steward, &name)).await;
    let Ok(Ok(names)) = listed else {
        return Ok(());
    };
    let found = Revocations::of(&names.value, Timestamp::now());
    if found.ends.len() + found.ended.len() >= MOST {
        let removed = tokio::time::timeout(PATIENCE, remove(aws, steward, &name, &found.ended));
        let _ = removed.await;
    }
    one_more(role.as_str(), found.ends)
}

/// Removes revocations whose sessions have ended. What cannot be removed now goes with the next closing.
pub(super) async fn prune(aws: &Aws, steward: &Credentials, role: &str) {
    let Ok(names) = aws.list_role_policies(steward, role).await else {
        return;
    };
    let found = Revocations::of(&names.value, Timestamp::now());
    remove(aws, steward, role, &found.ended).await;
}

async fn remove(aws: &Aws, steward: &Credentials, role: &str, names: &[String]) {
    for name in names {
        let _ = aws.delete_role_policy(steward, role, name).await;
    }
}

/// The name in a role's ARN, as IAM's calls take it.
pub(super) fn role_name(role: &str) -> Result<String, Problem> {
    arn(role)?
        .role()
        .map(|r| r.name.to_owned())
        .ok_or_else(not_a_role)
}

fn not_a_role() -> Problem {
    Problem::new(
        Code::Usage,
        "the access profile's role_arn does not name a role",
    )
}
