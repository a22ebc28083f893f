//! `twotap roster`: shows who may do what, and signs it with a token.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use crate::{
    protocol::{Code, Problem, socket::VaultView},
    trust::{
        Envelope, PublicKey,
        roster::{self, Role, Roster, verify_chain},
    },
};

use super::{
    Door, Ended,
    client::vault_path,
    files,
    memory::{FirstMeeting, Memory},
    screen, span, standing,
    token::{self, TokenArgs},
    ui::columns,
};

/// Arguments of `roster`.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// Show a roster: people, tokens, threshold, who has signed
    Show {
        /// A roster file, or the name of a vault of the agent
        #[arg(value_name = "FILE|VAULT")]
        of: String,
    },
    /// Sign a roster file with your token; the signature is added to the file
    Sign(SignArgs),
}

#[derive(clap::Args)]
struct SignArgs {
    /// The roster file
    file: PathBuf,
    #[command(flatten)]
    token: TokenArgs,
    /// For scripts: the six words that the other custodians read out; they are compared here instead of by you
    #[arg(long, value_name = "WORDS")]
    confirm: Option<String>,
}

pub(super) fn run(args: Args, door: &Door) -> Ended {
    match args.verb {
        Verb::Show { of } => show(&of, door),
        Verb::Sign(args) => sign(&args, door),
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
    let newest = chain
        .last()
        .ok_or_else(|| Problem::new(Code::Usage, "the file holds no roster"))?;
    let roster: Roster = newest.unverified()?;
    let (signed, missing) = roster::signatures(newest)?;
    let complete = verify_chain(&chain).is_ok();
    let words = screen::words(&newest.digest())?;
    let object = serde_json::json!({
        "roster": roster,
        "tokens": standing::tokens_json(&roster),
        "sha256": newest.digest(),
        "words": words,
        "signed_by": signers(&signed),
        "not_signed_by": signers(&missing),
        "complete": complete,
    });
    let mut text = describe(&roster);
    text.push_str(&columns(&standing(&signed, &missing, complete)));
    text.push_str(&format!(
        "\n  sha256  {}\n{}",
        newest.digest(),
        screen::words_line(&words)
    ));
    door.ui.result(&object, &text)?;
    Ok(ExitCode::SUCCESS)
}

fn sign(args: &SignArgs, door: &Door) -> Ended {
    let envelope = files::read_envelope(&args.file)?;
    let roster: Roster = envelope.unverified()?;
    let mut token = token::open(&args.token)?;
    let listed = token::listed(&token, &roster)?;
    token::must_hold(&mut token, listed)?;
    standing::must_stand(&roster)?;
    let words = screen::words(&envelope.digest())?;

    let scripted = args.confirm.is_some() || args.token.pin_fd.is_some();
    let text = format!("{}{}", describe(&roster), screen::words_line(&words));
    door.ui.screen(&text, !scripted)?;
    if scripted && args.confirm.is_none() {
        // Nothing opens by a roster until root has pinned it: the words can still be compared then, which an approval's cannot.
        door.ui.note(
            "nobody has compared the words here: compare them before the roster is installed",
        );
    } else {
        let question = "do the other custodians and you read the same six words?";
        screen::compare(&door.ui, &words, args.confirm.as_deref(), question)?;
    }

    let slot = token::slot(&listed.approve)?;
    let digest = envelope.signing_digest();
    let signature = token::sign(&mut token, &args.token, slot, &digest, &door.ui)?;
    if !listed.approve.key.verifies(&envelope.pae(), &signature) {
        return Err(token::other_key(listed));
    }
    let signed = add(&args.file, &envelope, &listed.approve.key, signature)?;

    let (done, missing) = roster::signatures(&signed)?;
    let complete = verify_chain(std::slice::from_ref(&signed)).is_ok();
    let object = serde_json::json!({
        "file": args.file,
        "sha256": signed.digest(),
        "words": words,
        "person": listed.person,
        "token": listed.serial,
        "signed_by": signers(&done),
        "not_signed_by": signers(&missing),
        "complete": complete,
    });
    let next = if complete {
        "everybody has signed; next, on the host as root: twotap-worker install FILE"
    } else {
        "next: hand the file to those who have not signed"
    };
    let text = format!(
        "signed as {} with token {}\n{}{next}",
        listed.person,
        listed.serial,
        columns(&standing(&done, &missing, complete))
    );
    door.ui.result(&object, &text)?;
    Ok(ExitCode::SUCCESS)
}

/// Adds the signature to what is in the file now: somebody else may have signed while this person was reading.
fn add(
    file: &Path,
    shown: &Envelope,
    key: &PublicKey,
    signature: Vec<u8>,
) -> Result<Envelope, Problem> {
    let mut now = files::read_envelope(file)?;
    if now.payload != shown.payload || now.payload_type != shown.payload_type {
        return Err(Problem::new(
            Code::Tampering,
            "the file was replaced by another roster while you were reading",
        )
        .hint("nothing was written; read it again: twotap roster show"));
    }
    now.add(key, signature);
    files::write_public(file, &now)?;
    Ok(now)
}

/// A file with one roster, or with a whole chain.
fn read_chain(path: &Path) -> Result<Vec<Envelope>, Problem> {
    let bytes = files::read(path)?;
    if bytes.trim_ascii_start().starts_with(b"[") {
        return files::read_json(path, "a chain of rosters");
    }
    files::read_envelope(path).map(|one| vec![one])
}

/// Compares with what this person has seen, if there is something; looking at a roster pins nothing.
fn believed(vault: &str, chain: &[Envelope], door: &Door) -> Result<(), Problem> {
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

fn signers(tokens: &[roster::Token]) -> Vec<serde_json::Value> {
    tokens
        .iter()
        .map(|t| serde_json::json!({ "person": t.person, "token": t.serial }))
        .collect()
}

fn standing(
    signed: &[roster::Token],
    missing: &[roster::Token],
    complete: bool,
) -> Vec<(&'static str, String)> {
    let list = |tokens: &[roster::Token]| {
        let names: Vec<String> = tokens
            .iter()
            .map(|t| format!("{} (token {})", t.person, t.serial))
            .collect();
        if names.is_empty() {
            "nobody".to_owned()
        } else {
            names.join(", ")
        }
    };
    let mut rows = vec![("signed by", list(signed))];
    if !complete || !missing.is_empty() {
        rows.push(("not by", list(missing)));
    }
    rows.push(("complete", if complete { "yes" } else { "no" }.to_owned()));
    rows
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
        let roles: Vec<&str> = person.roles.iter().copied().map(role).collect();
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
            format!("{}: {}; {accounts}", person.name, roles.join(", ")),
        ));
    }
    rows.extend(standing::rows(roster));
    rows.push(("user", roster.aws.user_arn.clone()));
    rows.push(("steward", roster.aws.steward_role_arn.clone()));
    rows.push((
        "recovery",
        roster
            .recovery
            .as_deref()
            .map_or("none yet".to_owned(), super::ui::plain),
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
    }
    rows.push((
        "threshold",
        format!(
            "{} of {} custodians must approve",
            roster.threshold,
            roster.custodians().count()
        ),
    ));
    text.push_str(&columns(&rows));
    text
}

/// A role as it is written in `people.toml`.
fn role(role: Role) -> &'static str {
    match role {
        Role::Operator => "operator",
        Role::Custodian => "custodian",
        Role::Commander => "commander",
        Role::Officer => "officer",
    }
}
