//! `twotap recovery roster`: as many tokens as the threshold are lost, and recovery shares stand for the next version of the roster.
//!
//! It is drawn up and shown here; the shares are put together in a worker without files and network, for this one signature. Then each new
//! custodian taps, and the version counts once the credential that the shares opened is sealed under it.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use zeroize::Zeroizing;

use super::{
    super::{
        Door, Ended,
        checked::vault_problem,
        files, places,
        roster::{
            believed, describe, lacking,
            propose::{
                accepted, enrolled, hosts, newest, people, recovery, remove_custodians, sensible,
            },
            read_chain, signers, what_changes,
        },
        screen,
        vault::AcceptArgs,
    },
    reading::{self, Sources},
    worker::Worker,
};
use crate::{
    protocol::{
        Code, Problem,
        recovery::{Answer, Ask, ToSign},
    },
    trust::{
        Envelope, Timestamp, Verified,
        roster::{By, LastSealed, Person, Role, Roster, changes, follows, missing, verify_chain},
        standing::judge_change,
    },
    vault::archive,
};

/// Arguments of `recovery roster`.
#[derive(clap::Args)]
#[command(
    after_help = "What a session can do stays as it is: recovery shares stand for people, tokens, hosts and new sheets alone. Then, in this order:\n  \
each new custodian     twotap roster sign FILE\n  \
two people together    twotap recovery open --bundle BUNDLE ...\n  \
an officer             twotap vault seal VAULT --from CREDENTIAL --roster FILE\n  \
on a fresh host, root  twotap-worker install FILE, and then the officer without --roster"
)]
pub(super) struct Args {
    /// The newest bundle of the vault, or a file with its chain of rosters
    #[arg(long, value_name = "FILE")]
    bundle: PathBuf,
    /// The enrollment of a token that takes the place of all that its custodian had; for each one
    #[arg(long, value_name = "FILE", required = true)]
    custodian: Vec<PathBuf>,
    /// A custodian who approves no more
    #[arg(long, value_name = "NAME")]
    remove_custodian: Vec<String>,
    /// How many custodians must approve, at least 2
    #[arg(long, value_name = "K")]
    threshold: Option<u8>,
    /// A fresh host's public keys, as twotapd keys prints them there
    #[arg(long, value_name = "FILE")]
    add_host: Vec<PathBuf>,
    /// A host that is lost; accounts on it go
    #[arg(long, value_name = "NAME")]
    remove_host: Vec<String>,
    /// Who may do what, in the place of who might: accounts on a fresh host
    #[arg(long, value_name = "FILE")]
    people: Option<PathBuf>,
    /// The public record of new sheets, which take the place of those that are about to be used up
    #[arg(long, value_name = "FILE")]
    recovery: Option<PathBuf>,
    /// The public record of the sheets that are about to be used: each is checked as it comes
    #[arg(long, value_name = "FILE")]
    set: Option<PathBuf>,
    /// The sheets need a passphrase besides
    #[arg(long)]
    passphrase: bool,
    #[command(flatten)]
    sheets: Sources,
    #[command(flatten)]
    accept: AcceptArgs,
    /// Where to write the chain of rosters; it must not exist yet
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

pub(super) fn run(args: &Args, door: &Door) -> Ended {
    files::must_be_new(&args.output)?;
    let (mut chain, after) = chain(&args.bundle)?;
    let before = newest(&chain)?;
    believed(&before.vault, &chain, door)?;
    if before.recovery.is_none() {
        return Err(Problem::new(
            Code::Refused,
            format!(
                "the roster of vault {} names no recovery shares",
                before.vault
            ),
        )
        .hint("its custodians alone can change it: twotap roster propose"));
    }
    let next = draw_up(args, &before, after)?;
    let envelope = Envelope::new(&next)?;
    let words = screen::words(&envelope.digest())?;
    let shown = format!(
        "{}{}{}",
        describe(&next),
        what_changes(&before, &next),
        screen::words_line(&words)
    );
    // Before anybody's sheet is asked for: who brings them decides by what stands here.
    door.ui.screen(&shown, false)?;

    let signed = sign(args, &before, envelope, door)?;
    let missing = missing(Some(&before), &signed)?;
    if missing.recovery {
        return Err(Problem::new(
            Code::Tampering,
            "the signature of the recovery shares does not hold",
        ));
    }
    chain.push(signed);
    places::must_fit(&chain)?;
    files::write_public_new(&args.output, &chain)?;

    let list: Vec<_> = changes(&before, &next)
        .into_iter()
        .map(|c| serde_json::json!({ "text": c.text, "widens": c.widens }))
        .collect();
    let digest = chain.last().map(Envelope::digest);
    let object = serde_json::json!({
        "file": args.output,
        "vault": next.vault,
        "version": next.version,
        "by": next.by,
        "sha256": digest,
        "words": words,
        "changes": list,
        "follows": follows(&next),
        "not_signed_by": signers(&missing.tokens),
    });
    let file = files::shown(&args.output);
    let text = format!(
        "signed by the recovery shares; wrote {file}; it has to be signed by {}\nnext, each of them: twotap roster sign {file}\n\
         then: twotap recovery open, and an officer: twotap vault seal {} --from CREDENTIAL --roster {file}",
        lacking(&missing),
        next.vault,
    );
    door.ui.result(&object, &text)?;
    if args.recovery.is_none() {
        door.ui.warn(
            "the sheets that were used are known to whoever saw them: make new ones, and take them up",
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// The rosters of a bundle in either form, or of a file that holds them alone.
fn chain(path: &Path) -> Result<(Vec<Envelope>, Option<LastSealed>), Problem> {
    let bytes = files::read(path)?;
    match archive::read(&bytes) {
        Ok(read) => {
            let (_, manifest) = read.bundle.verify().map_err(vault_problem)?;
            let after = LastSealed {
                generation: manifest.generation,
                manifest_sha256: manifest.digest(),
            };
            Ok((read.bundle.roster_chain, Some(after)))
        }
        Err(why) => {
            let rosters = read_chain(path).map_err(|_| vault_problem(why))?;
            verify_chain(&rosters)?;
            Ok((rosters, None))
        }
    }
}

fn draw_up(
    args: &Args,
    before: &Verified<Roster>,
    after: Option<LastSealed>,
) -> Result<Roster, Problem> {
    let mut next = Roster::clone(before);
    next.version = before.version + 1;
    next.previous = Some(before.digest());
    next.by = Some(By::Recovery { after });
    next.created_at = Timestamp::now();
    hosts(&args.add_host, &args.remove_host, &mut next)?;
    if let Some(path) = &args.people {
        people(path, &mut next)?;
    }
    remove_custodians(&args.remove_custodian, &mut next)?;
    for path in &args.custodian {
        with_new_token(path, before, &mut next)?;
    }
    if let Some(threshold) = args.threshold {
        next.threshold = threshold;
    }
    if let Some(path) = &args.recovery {
        next.recovery = Some(recovery(path, &next)?);
    }
    accepted(&args.accept, &mut next)?;
    sensible(&next)?;
    judge_change(before, &next)?;
    Ok(next)
}

/// All tokens that this custodian had are lost; another that is enrolled now is kept.
fn with_new_token(
    path: &Path,
    before: &Verified<Roster>,
    next: &mut Roster,
) -> Result<(), Problem> {
    let token = enrolled(path)?;
    let lost = |t: &crate::trust::roster::Token| {
        t.person == token.person && before.tokens.iter().any(|b| b == t)
    };
    next.tokens.retain(|t| !lost(t));
    match next.people.iter_mut().find(|p| p.name == token.person) {
        Some(known) if known.roles.contains(&Role::Custodian) => {}
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
    Ok(())
}

/// Reads the sheets, and has a worker sign with what they give.
fn sign(
    args: &Args,
    before: &Verified<Roster>,
    next: Envelope,
    door: &Door,
) -> Result<Envelope, Problem> {
    let set = args.set.as_deref().map(reading::set).transpose()?;
    let title = format!(
        "recovery roster: sheets for vault {}, roster version {}",
        before.vault,
        before.version + 1
    );
    let shares = reading::quorum(&args.sheets, set.as_ref(), &title, &door.ui)?.into_words()?;
    let passphrase = if args.passphrase || set.as_ref().is_some_and(|s| s.passphrase) {
        let (bytes, length) = door.ui.secret("passphrase of the recovery set")?;
        let text = std::str::from_utf8(&bytes[..length])
            .map_err(|_| Problem::new(Code::Usage, "the passphrase is not text"))?;
        Zeroizing::new(text.to_owned())
    } else {
        Zeroizing::new(String::new())
    };
    let asked = Ask::Sign(ToSign {
        shares,
        passphrase,
        before: before.envelope().clone(),
        next,
    });
    match Worker::start()?.ask(&asked)? {
        Answer::Signed { next } => Ok(next),
        _ => Err(Problem::new(
            Code::Internal,
            "the worker that signs spoke out of turn",
        )),
    }
}
