//! `policy.toml`, for what a vault may be opened and on which terms:
//!
//! ```toml
//! may_coincide = [["operator", "commander"]]   # by default they are different people; may be left out
//!
//! [[scenario]]
//! name = "security-patch"
//! access = ["admin"]            # the access profiles it may be used with
//! default = "2h"                # where a request names no length; 4h where it is left out
//! max = "4h"                    # may be left out: 11h; the profile's own limit counts as well
//! review_hours = 24             # 1 to 168, after the session's end; 48 where it is left out
//! needs = ["commander", "ticket", "subject"]   # beside incident and reason
//! ticket = "SEC-[0-9]+"         # a pattern that the whole incident id must match
//! min_reason = 20               # characters; 10 where it is left out
//! sinks = ["siem"]              # of agent.toml: these have to acknowledge the request before custodians are asked
//!
//! [[scenario.checks]]           # run before custodians are asked: [checks.merged] in agent.toml
//! name = "merged"
//! required = true               # refused where it does not pass; else custodians see that it did not
//! ```

use std::path::Path;

use serde::Deserialize;

use super::{files, inputs, ui::plain};
use crate::{
    protocol::Problem,
    trust::{
        pattern,
        roster::{Access, Check, Needed, REVIEW_HOURS, Role, Scenario},
        text::check_name,
    },
};

/// How many characters a reason has where the file says nothing.
const MIN_REASON: u16 = 10;

/// What the file says.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Policy {
    pub(super) scenarios: Vec<Scenario>,
    pub(super) may_coincide: Vec<[Role; 2]>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyFile {
    #[serde(default)]
    may_coincide: Vec<[Role; 2]>,
    #[serde(default)]
    scenario: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    access: Vec<String>,
    #[serde(default = "four_hours")]
    default: String,
    #[serde(default = "eleven_hours")]
    max: String,
    #[serde(default = "review_hours")]
    review_hours: u16,
    #[serde(default)]
    needs: Vec<Needed>,
    ticket: Option<String>,
    #[serde(default = "min_reason")]
    min_reason: u16,
    #[serde(default)]
    checks: Vec<Check>,
    #[serde(default)]
    sinks: Vec<String>,
}

fn four_hours() -> String {
    "4h".to_owned()
}

fn eleven_hours() -> String {
    "11h".to_owned()
}

fn review_hours() -> u16 {
    REVIEW_HOURS
}

fn min_reason() -> u16 {
    MIN_REASON
}

/// Reads `policy.toml`; its scenarios name some of these access profiles.
pub(super) fn read(path: &Path, profiles: &[Access]) -> Result<Policy, Problem> {
    parse(path, &files::read_text(path)?, profiles)
}

fn parse(path: &Path, text: &str, profiles: &[Access]) -> Result<Policy, Problem> {
    let file: PolicyFile = inputs::from_toml(path, text)?;
    if file.may_coincide.iter().any(|[one, other]| one == other) {
        return Err(inputs::wrong(
            path,
            &["may_coincide"],
            "has a pair of twice the same role",
        ));
    }
    let mut scenarios: Vec<Scenario> = Vec::new();
    for entry in file.scenario {
        let whose = format!("scenario '{}'", plain(&entry.name));
        let bad = |field: &str, why: &str| inputs::wrong(path, &[&whose, field], why);
        if scenarios.iter().any(|s| s.name == entry.name) {
            return Err(bad("name", "stands there twice"));
        }
        scenarios.push(scenario(entry, profiles, &bad)?);
    }
    Ok(Policy {
        scenarios,
        may_coincide: file.may_coincide,
    })
}

fn scenario(
    entry: Entry,
    profiles: &[Access],
    bad: &dyn Fn(&str, &str) -> Problem,
) -> Result<Scenario, Problem> {
    if check_name("scenario's name", &entry.name).is_err() {
        return Err(bad("name", "is not a short name: a-z, 0-9, '-', '_', '.'"));
    }
    if entry.access.is_empty() {
        return Err(bad("access", "is empty"));
    }
    if let Some(unknown) = entry
        .access
        .iter()
        .find(|name| profiles.iter().all(|p| p.name != **name))
    {
        let names: Vec<&str> = profiles.iter().map(|p| p.name.as_str()).collect();
        let why = format!(
            "names '{}', and the access profiles are {}",
            plain(unknown),
            names.join(", ")
        );
        return Err(bad("access", &why));
    }
    let (default_seconds, max_seconds) = inputs::lengths(&entry.default, &entry.max, bad)?;
    if !(1..=168).contains(&entry.review_hours) {
        return Err(bad("review_hours", "is not between 1 and 168"));
    }
    match &entry.ticket {
        Some(ticket) => {
            if let Err(why) = pattern::compile("ticket", ticket) {
                return Err(bad("ticket", &format!("cannot be used: {why}")));
            }
        }
        None if entry.needs.contains(&Needed::Ticket) => {
            return Err(bad("ticket", "must say how one looks, e.g. \"INC-[0-9]+\""));
        }
        None => {}
    }
    let short = |name: &str| check_name("name", name).is_ok();
    if !entry.checks.iter().all(|c| short(&c.name)) {
        return Err(bad("checks", "has one without a short name"));
    }
    if !entry.sinks.iter().all(|name| short(name)) {
        return Err(bad("sinks", "has one without a short name"));
    }
    Ok(Scenario {
        name: entry.name,
        access: entry.access,
        default_seconds,
        max_seconds,
        review_hours: entry.review_hours,
        needs: entry.needs,
        ticket: entry.ticket,
        min_reason: entry.min_reason,
        checks: entry.checks,
        sinks: entry.sinks,
    })
}

#[cfg(test)]
mod tests;
