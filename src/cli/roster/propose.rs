//! `twotap roster propose`: draws up the next version of a roster, and says in plain words what it changes.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use crate::{
    cli::{
        Door, Ended, client::vault_path, files, groups, inputs, places, policy, screen, standing,
        ui::plain, vault::AcceptArgs,
    },
    protocol::{Code, Problem, socket::VaultView},
    trust::{
        Envelope, Timestamp, Verified, power,
        recovery::RecoverySet,
        roster::{self, Person, Recovery, Role, Roster, Token, changes, verify_chain},
        standing::judge_change,
    },
};

use super::{believed, describe, lacking, read_chain, signers, what_changes};

/// Arguments of `roster propose`.
#[derive(clap::Args)]
#[command(
    after_help = "The file holds the whole chain, so that everybody can read it against what they have seen. Then, in this order:\n  \
each who must       twotap roster sign FILE\n  \
operator, officer   twotap roster submit FILE --incident ID --reason TEXT\n  \
custodians          twotap approve"
)]
pub(super) struct Args {
    /// The vault, e.g. prod
    vault: String,
    /// The chain of rosters to change, where no agent can be asked
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// A new custodian's enrollment
    #[arg(long, value_name = "FILE")]
    add_custodian: Vec<PathBuf>,
    /// A custodian who approves no more; all tokens go
    #[arg(long, value_name = "NAME")]
    remove_custodian: Vec<String>,
    /// The enrollment of one more token for --person
    #[arg(long, value_name = "FILE", requires = "person")]
    add_token: Vec<PathBuf>,
    /// Whose --add-token it is
    #[arg(long, value_name = "NAME", requires = "add_token")]
    person: Option<String>,
    /// A token that approves no more
    #[arg(long, value_name = "SERIAL")]
    remove_token: Vec<u32>,
    /// A token, and the enrollment of the one that takes its place
    #[arg(long, value_name = "SERIAL=FILE")]
    replace_token: Vec<String>,
    /// How many custodians must approve, at least 2
    #[arg(long, value_name = "K")]
    threshold: Option<u8>,
    /// A group of custodians, of whom K have to be among those who approve, e.g. security:1:alice,bob; all groups, in the place of those that were
    #[arg(long, value_name = "NAME:K:PEOPLE")]
    group: Vec<String>,
    /// Any custodians will do again
    #[arg(long, conflicts_with = "group")]
    no_groups: bool,
    /// Another host's public keys, as twotapd keys prints them there
    #[arg(long, value_name = "FILE")]
    add_host: Vec<PathBuf>,
    /// A host that opens the vault no more; accounts on it go
    #[arg(long, value_name = "NAME")]
    remove_host: Vec<String>,
    /// What can be asked for, in the place of what could
    #[arg(long, value_name = "FILE")]
    access: Option<PathBuf>,
    /// Who may do what, in the place of who might
    #[arg(long, value_name = "FILE")]
    people: Option<PathBuf>,
    /// For what it may be opened, in the place of what it might
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Where copies of the sealed bundle are kept, in the place of where they were
    #[arg(long, value_name = "FILE")]
    places: Option<PathBuf>,
    /// The public record of a recovery set, as recovery create wrote it: its sheets open the vault from then on, and no others
    #[arg(long, value_name = "FILE", conflicts_with = "no_recovery")]
    recovery: Option<PathBuf>,
    /// After how many days new recovery sheets are asked for; 365 where nothing is said
    #[arg(long, value_name = "DAYS", conflicts_with = "no_recovery")]
    recovery_days: Option<u16>,
    /// Recovery shares open the vault no more
    #[arg(long)]
    no_recovery: bool,
    #[command(flatten)]
    accept: AcceptArgs,
    /// What is accepted no longer: an advisory, a token's serial number, or the name of an attestation root
    #[arg(long, value_name = "WHAT")]
    no_longer_accept: Vec<String>,
    /// Where to write the proposal; it must not exist yet
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

pub(super) fn run(args: &Args, door: &Door) -> Ended {
    files::must_be_new(&args.output)?;
    let mut chain = match &args.from {
        Some(file) => read_chain(file)?,
        None => {
            let view: VaultView = door.agent()?.ask(&vault_path(&args.vault, "")?)?;
            view.roster_chain
        }
    };
    believed(&args.vault, &chain, door)?;
    let before = newest(&chain)?;
    let next = draw_up(args, &before)?;
    if changes(&before, &next).is_empty() {
        return Err(Problem::new(Code::Usage, "that changes nothing")
            .hint("say what is to change; see twotap roster propose --help"));
    }
    let envelope = Envelope::new(&next)?;
    let missing = roster::missing(Some(&before), &envelope)?;
    let words = screen::words(&envelope.digest())?;
    chain.push(envelope.clone());
    places::must_fit(&chain)?;
    files::write_public_new(&args.output, &chain)?;

    let list: Vec<_> = changes(&before, &next)
        .into_iter()
        .map(|c| serde_json::json!({ "text": c.text, "widens": c.widens }))
        .collect();
    let object = serde_json::json!({
        "file": args.output,
        "vault": next.vault,
        "version": next.version,
        "sha256": envelope.digest(),
        "words": words,
        "changes": list,
        "follows": roster::follows(&next),
        "not_signed_by": signers(&missing.tokens),
        "people_missing": missing.people,
    });
    let text = format!(
        "{}{}{}\nwrote {}; it has to be signed by {}\nnext, each of them: twotap roster sign {}",
        describe(&next),
        what_changes(&before, &next),
        screen::words_line(&words),
        files::shown(&args.output),
        lacking(&missing),
        files::shown(&args.output)
    );
    door.ui.result(&object, &text)?;
    Ok(ExitCode::SUCCESS)
}

/// The last version of a chain that holds.
pub(in crate::cli) fn newest(chain: &[Envelope]) -> Result<Verified<Roster>, Problem> {
    verify_chain(chain)?
        .pop()
        .ok_or_else(|| Problem::new(Code::Usage, "the chain is empty"))
}

fn draw_up(args: &Args, before: &Verified<Roster>) -> Result<Roster, Problem> {
    let mut next = Roster::clone(before);
    next.version = before.version + 1;
    next.previous = Some(before.digest());
    next.by = None;
    next.created_at = Timestamp::now();
    // Hosts before people, whose accounts are on them; people before tokens, which are theirs.
    hosts(&args.add_host, &args.remove_host, &mut next)?;
    if let Some(path) = &args.people {
        people(path, &mut next)?;
    }
    remove_custodians(&args.remove_custodian, &mut next)?;
    custodians(args, &mut next)?;
    tokens(args, &mut next)?;
    if let Some(path) = &args.access {
        (next.aws, next.access) = inputs::access(path)?;
    }
    if let Some(path) = &args.policy {
        let policy = policy::read(path, &next.access)?;
        (next.scenarios, next.may_coincide) = (policy.scenarios, policy.may_coincide);
    }
    quorum(args, &mut next)?;
    if let Some(path) = &args.places {
        next.places = places::read(path)?;
    }
    if let Some(path) = &args.recovery {
        next.recovery = Some(recovery(path, &next)?);
    }
    if args.no_recovery {
        next.recovery = None;
    }
    for what in &args.no_longer_accept {
        no_longer(what, &mut next)?;
    }
    if let Some(days) = args.recovery_days {
        let Some(recovery) = &mut next.recovery else {
            return Err(
                Problem::new(Code::Usage, "the roster names no recovery shares")
                    .hint("name them in the same change: --recovery RECORD"),
            );
        };
        recovery.days = Some(days);
    }
    accepted(&args.accept, &mut next)?;
    sensible(&next)?;
    judge_change(before, &next)?;
    power::judge_change(before, &next)?;
    Ok(next)
}

/// Who has to approve. Custodians who go leave their groups; those who come are in none, and somebody has to say in which.
fn quorum(args: &Args, next: &mut Roster) -> Result<(), Problem> {
    if args.no_groups {
        next.groups.clear();
    } else if !args.group.is_empty() {
        next.groups = groups::read(&args.group)?;
        next.threshold = u8::try_from(groups::together(&next.groups)).unwrap_or(u8::MAX);
    } else {
        let custodians: Vec<String> = next.custodians().map(|p| p.name.clone()).collect();
        for group in &mut next.groups {
            group.members.retain(|m| custodians.contains(m));
        }
    }
    if let Some(threshold) = args.threshold {
        next.threshold = threshold;
    }
    Ok(())
}

/// What the public record of a set for this vault says.
pub(in crate::cli) fn recovery(path: &Path, before: &Roster) -> Result<Recovery, Problem> {
    let set: RecoverySet = files::read_json(path, "what recovery create writes")?;
    if set.vault != before.vault {
        return Err(Problem::new(
            Code::Usage,
            format!(
                "{}: these recovery sheets are for vault {}",
                files::shown(path),
                plain(&set.vault)
            ),
        ));
    }
    // After how long new ones are asked for is not the sheets' own affair.
    Ok(Recovery {
        days: before.recovery.as_ref().and_then(|r| r.days),
        ..set.entry()?
    })
}

/// Hosts that come and go, each with the accounts on it.
pub(in crate::cli) fn hosts(
    add: &[PathBuf],
    remove: &[String],
    next: &mut Roster,
) -> Result<(), Problem> {
    for name in remove {
        let at = next.hosts.iter().position(|h| h.name == *name);
        let gone = next
            .hosts
            .remove(at.ok_or_else(|| nobody("host", name))?)
            .key
            .id();
        for person in &mut next.people {
            person.accounts.retain(|a| a.host != gone);
        }
    }
    for path in add {
        next.hosts.push(inputs::host(path)?);
    }
    Ok(())
}

/// Who may do what; tokens of those who are no custodians go.
pub(in crate::cli) fn people(path: &Path, next: &mut Roster) -> Result<(), Problem> {
    next.people = inputs::people(path, &next.hosts)?;
    let custodians: Vec<String> = next.custodians().map(|p| p.name.clone()).collect();
    next.tokens.retain(|t| custodians.contains(&t.person));
    Ok(())
}

/// Custodians who approve no more.
pub(in crate::cli) fn remove_custodians(
    names: &[String],
    next: &mut Roster,
) -> Result<(), Problem> {
    for name in names {
        let listed = next
            .people
            .iter_mut()
            .find(|p| p.name == *name && p.roles.contains(&Role::Custodian))
            .ok_or_else(|| nobody("custodian", name))?;
        listed.roles.retain(|r| *r != Role::Custodian);
        next.people.retain(|p| !p.roles.is_empty());
        next.tokens.retain(|t| t.person != *name);
    }
    Ok(())
}

fn custodians(args: &Args, next: &mut Roster) -> Result<(), Problem> {
    for path in &args.add_custodian {
        let token = enrolled(path)?;
        match next.people.iter_mut().find(|p| p.name == token.person) {
            Some(known) if known.roles.contains(&Role::Custodian) => {
                // The people file may have listed somebody who had no token yet.
                if next.tokens.iter().any(|t| t.person == known.name) {
                    return Err(Problem::new(
                        Code::Usage,
                        format!("{} is a custodian already", known.name),
                    )
                    .hint("one more token is added with --add-token FILE --person NAME"));
                }
            }
            Some(known) => known.roles.push(Role::Custodian),
            None => next.people.push(Person {
                name: token.person.clone(),
                roles: vec![Role::Custodian],
                accounts: Vec::new(),
                recipient: None,
                member_of: Vec::new(),
            }),
        }
        next.tokens.push(token);
    }
    Ok(())
}

fn tokens(args: &Args, next: &mut Roster) -> Result<(), Problem> {
    for path in &args.add_token {
        let token = enrolled(path)?;
        if Some(&token.person) != args.person.as_ref() {
            return Err(Problem::new(
                Code::Usage,
                format!(
                    "{}: the token was enrolled for {}",
                    files::shown(path),
                    token.person
                ),
            )
            .hint("the token itself has signed for whom it is; --person has to say the same"));
        }
        next.tokens.push(token);
    }
    for serial in &args.remove_token {
        take_token(next, *serial)?;
    }
    for replacement in &args.replace_token {
        let (old, path) = replacement
            .split_once('=')
            .and_then(|(old, path)| Some((old.parse().ok()?, PathBuf::from(path))))
            .ok_or_else(|| {
                Problem::new(Code::Usage, "--replace-token takes SERIAL=FILE")
                    .hint("e.g. --replace-token 12345678=alice.enrollment.json")
            })?;
        let gone = take_token(next, old)?;
        let token = enrolled(&path)?;
        if token.person != gone.person {
            return Err(Problem::new(
                Code::Usage,
                format!(
                    "token {old} is {}'s, and the new one was enrolled for {}",
                    gone.person, token.person
                ),
            ));
        }
        next.tokens.push(token);
    }
    Ok(())
}

fn take_token(next: &mut Roster, serial: u32) -> Result<Token, Problem> {
    let at = next.tokens.iter().position(|t| t.serial == serial);
    at.map(|at| next.tokens.remove(at))
        .ok_or_else(|| nobody("token", &serial.to_string()))
}

/// A token by its enrollment, which it has signed itself.
pub(in crate::cli) fn enrolled(path: &std::path::Path) -> Result<Token, Problem> {
    let (enrollment, _) = inputs::enrollment(path)?;
    Ok(Token {
        person: enrollment.name,
        serial: enrollment.serial,
        firmware: enrollment.firmware,
        approve: enrollment.approve,
        unseal: enrollment.unseal,
        attestation: enrollment.attestation,
    })
}

pub(in crate::cli) fn accepted(args: &AcceptArgs, next: &mut Roster) -> Result<(), Problem> {
    for risk in standing::risks(&args.accept_risk)? {
        if !next.accept_risk.contains(&risk) {
            next.accept_risk.push(risk);
        }
    }
    for root in &args.attestation_root {
        let root = standing::root(root)?;
        next.attestation_roots.retain(|r| r.name != root.name);
        next.attestation_roots.push(root);
    }
    for serial in &args.accept_unattested {
        if !next.accept_unattested.contains(serial) {
            next.accept_unattested.push(*serial);
        }
    }
    Ok(())
}

/// Takes an acceptance back. Whether every token still stands without it is judged with the change.
fn no_longer(what: &str, next: &mut Roster) -> Result<(), Problem> {
    let accepted =
        |r: &Roster| r.accept_risk.len() + r.attestation_roots.len() + r.accept_unattested.len();
    let before = accepted(next);
    next.accept_risk.retain(|id| id != what);
    next.attestation_roots.retain(|root| root.name != what);
    next.accept_unattested
        .retain(|serial| serial.to_string() != what);
    if accepted(next) == before {
        return Err(nobody("acceptance of", what));
    }
    Ok(())
}

/// What would be refused as a document anyway, in words that name the option.
pub(in crate::cli) fn sensible(next: &Roster) -> Result<(), Problem> {
    let usage = |what: String, hint: &str| Err(Problem::new(Code::Usage, what).hint(hint));
    if next.threshold < 2 {
        return usage(
            format!("--threshold {} is below 2", next.threshold),
            "one tap alone never opens a vault",
        );
    }
    let custodians = next.custodians().count();
    if usize::from(next.threshold) > custodians {
        return usage(
            format!(
                "{} custodians would have to approve, and there would be {custodians}",
                next.threshold
            ),
            "add a custodian in the same change, or lower --threshold",
        );
    }
    let bare = next
        .custodians()
        .find(|p| next.tokens_of(&p.name).next().is_none());
    if let Some(bare) = bare {
        return usage(
            format!("{} would be a custodian without a token", bare.name),
            "replace the token, or remove the custodian",
        );
    }
    groups::sensible(next)?;
    if next.hosts.is_empty() {
        return usage(
            "no host would be left".to_owned(),
            "add one in the same change: --add-host FILE",
        );
    }
    Ok(())
}

fn nobody(what: &str, name: &str) -> Problem {
    Problem::new(
        Code::Usage,
        format!("the roster has no {what} {}", crate::cli::ui::plain(name)),
    )
    .hint("see twotap roster show")
}
