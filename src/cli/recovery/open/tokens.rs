//! As many custodians' tokens as the threshold, on one machine: each signs the record of the recovery and opens its share, on the same touch
//! as an approval's.

use twotap_shares::{Mnemonic, combine};
use zeroize::Zeroizing;

use super::{
    super::super::{
        checked::vault_problem,
        export::Papers,
        pin,
        token::{self, TokenArgs},
        ui::{Ui, plain},
    },
    quorum::hex,
};
use crate::{
    protocol::{Code, Problem},
    token::{Bounds, Contents, Token, readers},
    trust::{Envelope, Verified, roster, roster::Roster, stack},
    vault::{SealedShare, check_share},
};

/// Whose tokens, and where their PINs come from.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Whose tokens, where more custodians are listed than are needed; once for each
    #[arg(long, value_name = "NAME", requires = "tokens")]
    custodian: Vec<String>,
    /// For scripts: read the PINs from this open file descriptor (0 is standard input), a line for each token in turn
    #[arg(long, value_name = "N", requires = "tokens")]
    pin_fd: Option<u16>,
    /// Go on although one more wrong PIN would block a token
    #[arg(long, requires = "tokens")]
    last_try: bool,
}

/// Who is going to open it: the record names them, and each signs it, so they have to be known before the first one does.
pub(super) fn people(args: &Args, roster: &Roster) -> Result<Vec<String>, Problem> {
    let needed = usize::from(roster.threshold);
    let all: Vec<&str> = roster.custodians().map(|p| p.name.as_str()).collect();
    let usage = |what: String| {
        Problem::new(Code::Usage, what).hint(format!(
            "name {needed} of {} with --custodian NAME, once for each",
            all.join(", ")
        ))
    };
    if let Some(stranger) = args.custodian.iter().find(|n| !all.contains(&n.as_str())) {
        return Err(usage(format!(
            "{} is no custodian of this generation",
            plain(stranger)
        )));
    }
    let chosen: Vec<String> = if !args.custodian.is_empty() {
        // In the roster's order, each once.
        let named = |n: &&&str| args.custodian.iter().any(|c| c == **n);
        all.iter().filter(named).map(|n| (*n).to_owned()).collect()
    } else if all.len() == needed {
        all.iter().map(|n| (*n).to_owned()).collect()
    } else {
        present(roster)?
    };
    match chosen.len() {
        n if n == needed => Ok(chosen),
        n if n > needed => Err(usage(format!(
            "{needed} custodians are enough, and {n} are here"
        ))),
        n => Err(usage(format!(
            "{needed} custodians are needed, and {n} are known"
        ))),
    }
}

/// Whose tokens are plugged in.
fn present(roster: &Roster) -> Result<Vec<String>, Problem> {
    let serials = plugged_in()?;
    let here = |name: &str| roster.tokens_of(name).any(|t| serials.contains(&t.serial));
    Ok(roster
        .custodians()
        .map(|p| p.name.clone())
        .filter(|name| here(name))
        .collect())
}

fn plugged_in() -> Result<Vec<u32>, Problem> {
    let readers = readers(Bounds::default()).map_err(token::problem)?;
    let serials = readers.into_iter().filter_map(|r| match r.contents {
        Contents::Token { serial, .. } => Some(serial),
        _ => None,
    });
    Ok(serials.collect())
}

/// Each custodian's token in turn: PIN, signature over the record, share. Answers the identity's bytes in hex, and the record with all
/// signatures.
pub(super) fn open(
    args: &Args,
    papers: &Papers,
    by: &[String],
    mut record: Envelope,
    ui: &Ui,
) -> Result<(Zeroizing<String>, Envelope), Problem> {
    let roster = papers.sealed_under();
    let mut shares: Vec<Mnemonic> = Vec::with_capacity(by.len());
    let mut left: Vec<&str> = by.iter().map(String::as_str).collect();
    while !left.is_empty() {
        let listed = next(roster, &left, ui)?;
        let share = one(args, papers, &listed, &mut record, ui)?;
        ui.step(format!("the share of {} is open", listed.person));
        left.retain(|name| *name != listed.person);
        shares.push(share);
    }
    let secret = combine(&shares, b"").map_err(|why| vault_problem(why.into()))?;
    Ok((hex(&secret), record))
}

/// A token of somebody whose share is still missing; waits for one at the terminal.
fn next(roster: &Verified<Roster>, left: &[&str], ui: &Ui) -> Result<roster::Token, Problem> {
    loop {
        let here = plugged_in()?;
        let mut wanted = left.iter().flat_map(|name| roster.tokens_of(name));
        if let Some(token) = wanted.find(|t| here.contains(&t.serial)) {
            return Ok(token.clone());
        }
        let missing = format!("no token of {} is plugged in", left.join(" or "));
        if !ui.has_terminal() {
            return Err(Problem::new(Code::Token, missing)
                .hint("plug it in and begin again, or run this at a terminal, where it waits"));
        }
        ui.step(missing);
        ui.choose("plug it in, and press Enter; Ctrl-C breaks off.", &[])?;
    }
}

/// What [`super::super::super::approve`] does, for the record of this recovery instead of a request.
fn one(
    args: &Args,
    papers: &Papers,
    listed: &roster::Token,
    record: &mut Envelope,
    ui: &Ui,
) -> Result<Mnemonic, Problem> {
    let mut token = Token::open(Some(listed.serial)).map_err(token::problem)?;
    // Each token has signed the roster that lists it: who holds its key knows the roster for the own one.
    token::must_hold(&mut token, listed)?;
    let unseal_key = listed
        .unseal
        .key
        .p256()
        .ok_or_else(|| Problem::new(Code::Usage, "the roster's unseal key is not on p-256"))?;
    let mut files = papers.bundle.shares.iter();
    let file = files
        .find(|share| share.custodian == listed.person)
        .ok_or_else(|| {
            let what = format!("the bundle has no share of {}", listed.person);
            Problem::new(Code::Tampering, what)
        })?;
    let sealed = SealedShare::parse(&file.age.0).map_err(vault_problem)?;
    let peer = sealed.peer_point_for(&unseal_key).map_err(vault_problem)?;
    let (approve, unseal) = (token::slot(&listed.approve)?, token::slot(&listed.unseal)?);
    let digest = record.signing_digest();

    ui.step(format!("token {} of {}", listed.serial, listed.person));
    let (signature, share) = stack::wiped(|| {
        let asked = TokenArgs {
            token: Some(listed.serial),
            pin_fd: args.pin_fd,
            last_try: args.last_try,
        };
        let pin = pin::ask(ui, &mut token, &asked)?;
        let mut prompt = token::toucher(ui, listed.serial);
        let done = token
            .approve(&pin, approve, unseal, &digest, &peer, &mut prompt)
            .map_err(token::problem)?;
        let opened = sealed
            .open_with_shared(&unseal_key, &done.shared)
            .map_err(vault_problem)?;
        let share = std::str::from_utf8(&opened)
            .ok()
            .and_then(|text| Mnemonic::parse(text).ok())
            .ok_or_else(|| {
                Problem::new(Code::Tampering, "what the share file holds is not a share")
                    .hint("take another copy of the bundle")
            })?;
        Ok::<_, Problem>((done.signature, share))
    })?;
    check_share(&papers.manifest, &listed.person, &share).map_err(vault_problem)?;
    record.add(&listed.approve.key, signature);
    if record
        .signers(std::slice::from_ref(&listed.approve.key))
        .is_empty()
    {
        return Err(token::other_key(listed));
    }
    Ok(share)
}
