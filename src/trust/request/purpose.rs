//! What a request may name, by what it is for.

use super::{
    CLOSE_ONLY, CLOSE_ONLY_SECONDS, MOST_SECRETS, NOTHING_ALLOWED, Purpose, ROSTER_CHANGE, Request,
};
use std::borrow::Cow;

use crate::trust::{
    Digest,
    roster::{NotOnTheseTerms, Roster, Target},
};

/// Whether a request names what its purpose allows under this roster, and no more.
pub(super) fn fits(request: &Request, roster: &Roster) -> Result<(), Cow<'static, str>> {
    if request.purpose.is_open() {
        return opens_what_the_roster_says(request, roster);
    }
    declares_nothing(request)?;
    match &request.purpose {
        Purpose::Open => Ok(()),
        Purpose::Drill => rehearses_and_no_more(request, roster),
        Purpose::CloseOnly { .. } => closes_and_no_more(request, roster),
        Purpose::Roster { version, .. } => takes_up_the_next(request, roster, *version),
    }
    .map_err(Cow::Borrowed)
}

/// What opens no session is no emergency of its own: nothing that could be read as one stands in it.
fn declares_nothing(request: &Request) -> Result<(), &'static str> {
    let nothing = request.scenario.is_none()
        && request.subject.is_none()
        && request.confirmed.is_empty()
        && request.follows.is_none()
        && request.checks.is_empty();
    if nothing {
        Ok(())
    } else {
        Err("it opens no session, and declares what only a session needs")
    }
}

/// A session: on the roster's terms; account, role, Regions, secrets and length are those of the access profile.
fn opens_what_the_roster_says(request: &Request, roster: &Roster) -> Result<(), Cow<'static, str>> {
    let said = |why: NotOnTheseTerms| Cow::Owned(why.to_string());
    let terms = roster.terms(&request.declared()).map_err(said)?;
    terms.checked(&request.checks).map_err(said)?;
    let access = terms.access;
    if request.account != access.account
        || request.role != access.role_arn
        || request.also != access.also
        || request.regions != access.regions
    {
        return Err("accounts, roles or Regions are not those of the access profile".into());
    }
    if !request
        .secrets
        .iter()
        .eq(access.secrets.iter().map(|s| &s.arn))
    {
        return Err("its secrets are not those of the access profile".into());
    }
    if request.not_before.until(request.not_after) > i64::from(terms.longest()) {
        return Err("it asks for longer than the access profile and the scenario allow".into());
    }
    Ok(())
}

/// Roles of an access profile, no secret, a policy that allows nothing, an hour at most.
fn rehearses_and_no_more(request: &Request, roster: &Roster) -> Result<(), &'static str> {
    let Some(access) = roster.access(&request.access) else {
        return Err("the roster has no such access profile");
    };
    if request.account != access.account
        || request.role != access.role_arn
        || request.also != access.also
    {
        return Err("accounts or roles are not those of the access profile");
    }
    if !request.secrets.is_empty() {
        return Err("it is a drill, and names a secret");
    }
    if request.policy_sha256 != Digest::of(NOTHING_ALLOWED.as_bytes()) {
        return Err("it is a drill, and its policy allows something");
    }
    if request.not_before.until(request.not_after) > CLOSE_ONLY_SECONDS {
        return Err("it is a drill, and takes longer than an hour");
    }
    Ok(())
}

/// No session: the next version of the roster, and nothing that a session could be made of.
fn takes_up_the_next(request: &Request, roster: &Roster, version: u64) -> Result<(), &'static str> {
    if version != roster.version + 1 {
        return Err("the roster that it would take up is not the next version");
    }
    let steward = &roster.aws.steward_role_arn;
    let nothing = request.access == ROSTER_CHANGE
        && request.role == *steward
        && account_of(steward) == Some(&request.account)
        && request.also.is_empty()
        && request.secrets.is_empty()
        && request.policy_sha256 == Digest::of(NOTHING_ALLOWED.as_bytes());
    if nothing {
        Ok(())
    } else {
        Err("it takes up a roster, and names something to open")
    }
}

/// No session: steward roles and secrets of the roster alone, a policy that allows nothing, an hour at most.
fn closes_and_no_more(request: &Request, roster: &Roster) -> Result<(), &'static str> {
    let own = &roster.aws.steward_role_arn;
    let stewards: Vec<&str> = roster.steward_roles();
    let steward = |t: &Target| {
        t.role_arn == t.steward_role_arn
            && account_of(&t.role_arn) == Some(&t.account)
            && stewards.contains(&t.role_arn.as_str())
    };
    if request.access != CLOSE_ONLY
        || request.role != *own
        || account_of(own) != Some(&request.account)
        || !request.also.iter().all(steward)
    {
        return Err("it only closes, and names another role than the roster's stewards");
    }
    let mut secrets = request.secrets.iter().enumerate();
    let listed = |(n, arn): (usize, &String)| {
        roster.secret(arn).is_some() && !request.secrets[..n].contains(arn)
    };
    if request.secrets.len() > MOST_SECRETS || !secrets.all(listed) {
        return Err("it only closes, and its secrets are not some of the roster's");
    }
    if request.policy_sha256 != Digest::of(NOTHING_ALLOWED.as_bytes()) {
        return Err("it only closes, and its policy allows something");
    }
    if request.not_before.until(request.not_after) > CLOSE_ONLY_SECONDS {
        return Err("it only closes, and takes longer than an hour");
    }
    Ok(())
}

/// The account number in an IAM ARN.
fn account_of(arn: &str) -> Option<&str> {
    arn.split(':').nth(4)
}
