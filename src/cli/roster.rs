//! `twotap roster`: shows who may do what, draws up changes, signs them with a token, hands them in.
//!
//! A version counts once custodians of the one before have approved it in a ceremony that seals the key anew under it; so `propose`, `sign` and
//! `submit` are three steps, and the fourth is `twotap approve`. Handing in is a verb of its own because whoever does it is the request's
//! operator and cannot vote on it, and those who sign have to.

pub(super) mod propose;
mod sign;
mod submit;

use std::{path::Path, process::ExitCode};

use crate::{
    protocol::{Code, Problem, socket::VaultView},
    trust::{
        Envelope, TrustError, Verified,
        roster::{self, Lacking, Missing, Roster, changes, follows, verify_chain},
    },
};

use super::{
    Door, Ended,
    client::vault_path,
    files,
    memory::{FirstMeeting, Memory},
    scenario, screen, span, standing,
    ui::{columns, plain},
};

/// Arguments of `roster`.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// Show a roster: versions, people, tokens, threshold, who has signed
    Show {
        /// A roster file, or the name of a vault of the agent
        #[arg(value_name = "FILE|VAULT")]
        of: String,
    },
    /// Draw up the next version: who, what it widens, what has to follow
    Propose(Box<propose::Args>),
    /// Sign a roster file with your token; the signature is added to the file
    Sign(sign::Args),
    /// Hand in a version that all who must have signed; custodians then approve that it is taken up
    Submit(submit::Args),
}

pub(super) fn run(args: Args, door: &Door) -> Ended {
    match args.verb {
        Verb::Show { of } => show(&of, door),
        Verb::Propose(args) => propose::run(&args, door),
        Verb::Sign(args) => sign::run(&args, door),
        Verb::Submit(args) => submit::run(&args, door),
    }
}

fn show(of: &str, door: &Door) -> Ended {
    let path = Path::new(of);
    let chain = if of.contains('/') || path.exists() {
        read_chain(path)?
    } else {
        let view: VaultView = door.agent()?.ask(&vault_path(of, "")?)?;
        believed(of, &view.roster_chain, door)?;
        view.roster_chain
    };
    let (newest, earlier) = chain
        .split_last()
        .ok_or_else(|| Problem::new(Code::Usage, "the file holds no roster"))?;
    let before = match earlier {
        [] => None,
        earlier => verify_chain(earlier)?.pop(),
    };
    let roster: Roster = newest.unverified()?;
    let missing = roster::missing(before.as_ref(), newest)?;
    let (signed, _) = signed_by(before.as_ref(), newest)?;
    let complete = verify_chain(&chain).is_ok();
    let words = screen::words(&newest.digest())?;
    let versions = versions(&chain)?;
    let object = serde_json::json!({
        "roster": roster,
        "tokens": standing::tokens_json(&roster),
        "sha256": newest.digest(),
        "words": words,
        "versions": versions.iter().map(|v| &v.json).collect::<Vec<_>>(),
        "signed_by": signers(&signed),
        "not_signed_by": signers(&missing.tokens),
        "people_missing": missing.people,
        "complete": complete,
    });
    let mut text = String::new();
    for version in versions.iter().take(earlier.len()) {
        text.push_str(&version.line);
    }
    text.push_str(&describe(&roster));
    if let Some(before) = &before {
        text.push_str(&what_changes(before, &roster));
    }
    text.push_str(&columns(&standing(&signed, &lacking(&missing), complete)));
    text.push_str(&format!(
        "\n  sha256  {}\n{}",
        newest.digest(),
        screen::words_line(&words)
    ));
    door.ui.result(&object, &text)?;
    Ok(ExitCode::SUCCESS)
}

/// A version in one line.
struct Version {
    line: String,
    json: serde_json::Value,
}

fn versions(chain: &[Envelope]) -> Result<Vec<Version>, Problem> {
    let mut found: Vec<Version> = Vec::new();
    let mut before: Option<Roster> = None;
    for envelope in chain {
        let roster: Roster = envelope.unverified()?;
        let changes: Vec<String> = before.as_ref().map_or_else(Vec::new, |before| {
            changes(before, &roster)
                .into_iter()
                .map(|c| c.text)
                .collect()
        });
        let what = if changes.is_empty() {
            "the first".to_owned()
        } else {
            plain(&changes.join("; "))
        };
        found.push(Version {
            line: format!(
                "version {}, {}: {what}\n",
                roster.version,
                span::at(roster.created_at)
            ),
            json: serde_json::json!({
                "version": roster.version,
                "sha256": envelope.digest(),
                "created_at": roster.created_at,
                "threshold": roster.threshold,
                "groups": roster.groups,
                "changes": changes,
            }),
        });
        before = Some(roster);
    }
    Ok(found)
}

/// A file with one roster, or with a whole chain.
pub(super) fn read_chain(path: &Path) -> Result<Vec<Envelope>, Problem> {
    roster::parse_chain(&files::read(path)?).map_err(|why| {
        let problem = Problem::from(why);
        Problem {
            error: format!("{}: {}", files::shown(path), problem.error),
            ..problem
        }
    })
}

/// The newest version in a file, unchecked.
pub(super) fn read_newest(path: &Path) -> Result<Roster, Problem> {
    let chain = read_chain(path)?;
    let newest = chain
        .last()
        .ok_or_else(|| Problem::new(Code::Usage, "the file holds no roster"))?;
    Ok(newest.unverified()?)
}

/// The newest version that the agent shows, by the agent's word alone: for display, and for hints.
pub(super) fn shown(chain: &[Envelope]) -> Result<Roster, Problem> {
    let newest = chain.last().ok_or_else(|| {
        Problem::new(Code::Tampering, "the agent shows no roster").hint("tell the security officer")
    })?;
    Ok(newest.unverified()?)
}

/// Compares with what this person has seen, if there is something; looking at a roster pins nothing.
pub(super) fn believed(vault: &str, chain: &[Envelope], door: &Door) -> Result<(), Problem> {
    let mut memory = Memory::open()?;
    if memory.knows(vault) {
        memory.roster(vault, chain, &FirstMeeting::SaySo, &door.ui)?;
        return Ok(());
    }
    let newest = verify_chain(chain)?;
    if newest.last().is_none_or(|r| r.vault != vault) {
        return Err(
            Problem::new(Code::Tampering, "the roster is for another vault")
                .hint("do not go on; tell the security officer"),
        );
    }
    Ok(())
}

/// The tokens of this version and of the one before that have signed, and those of this version that have not.
fn signed_by(
    before: Option<&Verified<Roster>>,
    envelope: &Envelope,
) -> Result<(Vec<roster::Token>, Vec<roster::Token>), TrustError> {
    let (mut signed, not) = roster::signatures(envelope)?;
    for token in before.iter().flat_map(|b| &b.tokens) {
        let key = std::slice::from_ref(&token.approve.key);
        let counted = signed.iter().any(|t| t.approve.key == token.approve.key);
        if !counted && !envelope.signers(key).is_empty() {
            signed.push(token.clone());
        }
    }
    Ok((signed, not))
}

pub(super) fn signers(tokens: &[roster::Token]) -> Vec<serde_json::Value> {
    tokens
        .iter()
        .map(|t| serde_json::json!({ "person": t.person, "token": t.serial }))
        .collect()
}

fn named(tokens: &[roster::Token]) -> Vec<String> {
    tokens
        .iter()
        .map(|t| format!("{} (token {})", t.person, t.serial))
        .collect()
}

/// Who still has to sign, in words.
pub(super) fn lacking(missing: &Missing) -> String {
    let mut parts = named(&missing.tokens);
    if missing.people > 0 {
        // Where there are groups it matters of which.
        let of: Vec<String> = missing.groups.iter().map(Lacking::to_string).collect();
        match of.as_slice() {
            [] => parts.push(format!("{} of {}", missing.people, missing.of.join(", "))),
            _ => parts.extend(of),
        }
    }
    if missing.recovery {
        parts.push("a quorum of the recovery shares".to_owned());
    }
    if parts.is_empty() {
        "nobody".to_owned()
    } else {
        parts.join("; ")
    }
}

fn standing(
    signed: &[roster::Token],
    lacking: &str,
    complete: bool,
) -> Vec<(&'static str, String)> {
    let by = if signed.is_empty() {
        "nobody".to_owned()
    } else {
        named(signed).join(", ")
    };
    let mut rows = vec![("signed by", by)];
    if !complete {
        rows.push(("not by", lacking.to_owned()));
    }
    rows.push(("complete", if complete { "yes" } else { "no" }.to_owned()));
    rows
}

/// What a version changes and what has to follow: computed from the two, never taken from anybody's words.
pub(super) fn what_changes(before: &Roster, after: &Roster) -> String {
    let mut text = format!("\nversion {} changes\n", after.version);
    for change in changes(before, after) {
        let mark = if change.widens { "widens" } else { "      " };
        text.push_str(&format!("  {mark}  {}\n", plain(&change.text)));
    }
    text.push_str(&format!("  then    {}\n\n", plain(&follows(after))));
    text
}

fn member_of(person: &roster::Person) -> String {
    match person.member_of.as_slice() {
        [] => String::new(),
        groups => format!("; member of {}", plain(&groups.join(", "))),
    }
}

/// A roster in plain words.
pub(super) fn describe(roster: &Roster) -> String {
    let mut text = format!(
        "\nroster of vault {}, version {}, drawn up {}\n\n",
        roster.vault,
        roster.version,
        span::at(roster.created_at)
    );
    let mut rows: Vec<(&str, String)> = Vec::new();
    for host in &roster.hosts {
        rows.push(("host", format!("{}, key {}", host.name, host.key.id())));
    }
    for person in &roster.people {
        let roles: Vec<&str> = person.roles.iter().map(|r| r.name()).collect();
        let accounts: Vec<String> = person
            .accounts
            .iter()
            .map(|a| {
                let host = roster.host(a.host).map_or("?", |h| h.name.as_str());
                format!("uid {} on {host}", a.uid)
            })
            .collect();
        let accounts = if accounts.is_empty() {
            "no account".to_owned()
        } else {
            accounts.join(", ")
        };
        rows.push((
            "person",
            format!(
                "{}: {}; {accounts}{}",
                person.name,
                roles.join(", "),
                member_of(person)
            ),
        ));
    }
    rows.extend(standing::rows(roster));
    rows.push(("user", roster.aws.user_arn.clone()));
    rows.push(("steward", roster.aws.steward_role_arn.clone()));
    rows.push((
        "recovery",
        roster
            .recovery
            .as_ref()
            .map_or("none yet".to_owned(), |is| {
                format!(
                    "{}, made {}, with {} on each sheet",
                    plain(&is.recipient),
                    is.made,
                    is.fingerprint()
                )
            }),
    ));
    for access in &roster.access {
        let policy = serde_json::to_string(&access.policy.0).unwrap_or_default();
        rows.push((
            "access",
            format!(
                "{}: {} for {}, at most {}; ends seen by {} in {}",
                access.name,
                access.role_arn,
                span::show(access.default_seconds.into()),
                span::show(access.max_seconds.into()),
                access.probe,
                access.regions.join(", ")
            ),
        ));
        for also in &access.also {
            rows.push((
                "  also",
                format!(
                    "{} in {}, closed by {}",
                    also.role_arn, also.account, also.steward_role_arn
                ),
            ));
        }
        rows.push(("  allows", super::ui::plain(&policy)));
        rows.extend(screen::danger::of_access(access));
    }
    for scenario in &roster.scenarios {
        let mut words = scenario::in_words(scenario).into_iter();
        let terms = words.next().unwrap_or_default();
        rows.push(("scenario", format!("{}: {terms}", scenario.name)));
        rows.extend(words.map(|line| ("", line)));
    }
    for [one, other] in &roster.may_coincide {
        let both = format!("{} and {} of one request", one.name(), other.name());
        rows.push(("one person", both));
    }
    for place in &roster.places {
        let required = if place.required { ", required" } else { "" };
        rows.push(("place", format!("{}{required}", place.name)));
    }
    rows.push((
        "threshold",
        format!(
            "{} of {} custodians must approve",
            roster.threshold,
            roster.custodians().count()
        ),
    ));
    for group in &roster.groups {
        rows.push(("  group", format!("{group} ({})", group.members.join(", "))));
    }
    text.push_str(&columns(&rows));
    text
}
