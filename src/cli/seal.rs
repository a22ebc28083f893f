//! `twotap vault seal`: hands a credential to the worker, and to nobody else.
//!
//! The credential is in this process from reading it until it is encrypted to the worker's one-time key, whose signature was checked before. By
//! default the worker replaces it at once: the key that a person saw is dead before anybody relies on it.

use std::{
    fs::File,
    os::fd::AsFd,
    path::{Path, PathBuf},
    process::ExitCode,
};

use rand_core::{OsRng, RngCore as _};
use zeroize::Zeroizing;

use crate::{
    protocol::{
        Code, Problem,
        socket::{SealBegin, SealBegun, SealFinish, SealFinished, VaultView},
    },
    trust::{
        Bytes, Verified,
        access_key::MAX_DOCUMENT,
        manifest::Manifest,
        request::SealOffer,
        roster::{self, Roster},
        stack,
    },
    vault::{AccessKey, seal_to},
};

use super::{
    Door, Ended,
    checked::vault_problem,
    client::{Patience, vault_path},
    files,
    memory::{FirstMeeting, Memory},
    span,
    ui::{Waiting, plain},
};

/// Arguments of `vault seal`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The vault, e.g. prod
    vault: String,
    /// The credential: what aws iam create-access-key prints; - is standard input
    #[arg(long, value_name = "FILE|-")]
    from: PathBuf,
    /// Seal it under this roster, whose newest version recovery shares stand for: as many tokens as the threshold were lost
    #[arg(long, value_name = "FILE")]
    roster: Option<PathBuf>,
}

pub(super) fn run(args: &Args, door: &Door) -> Ended {
    let agent = door.agent()?;
    let mut memory = Memory::open()?;
    let nonce = nonce();
    let next = match &args.roster {
        Some(path) => {
            let view: VaultView = agent.ask(&vault_path(&args.vault, "")?)?;
            let next = next_version(&args.vault, path)?;
            // A sealing that broke off after it counted is repeated with the same words.
            let counts = view.roster_chain.last().map(|newest| newest.digest());
            Some(next).filter(|next| counts != Some(next.digest()))
        }
        None => None,
    };
    let begin = SealBegin {
        nonce: nonce.clone(),
        next: next.as_ref().map(|n| n.envelope().clone()),
    };
    let path = vault_path(&args.vault, "/seal")?;
    let begun: SealBegun = agent.hand_in(&path, &begin, Patience::Worker)?;
    let roster = memory.roster(
        &args.vault,
        &begun.roster_chain,
        &FirstMeeting::SaySo,
        &door.ui,
    )?;
    let mut chain = begun.roster_chain.clone();
    let roster = match &next {
        Some(next) => {
            chain.push(next.envelope().clone());
            roster::verify_next(&roster, next.envelope())?
        }
        None => roster,
    };
    let offer = check_offer(&begun, &roster, &nonce)?;

    // What follows takes minutes: nothing of the credential is left here by then.
    let (sealed, given) = stack::wiped(|| encrypt_credential(args, &roster, &offer))?;
    let id = url_safe(&begun.id)?;
    let finish = SealFinish {
        sealed: Bytes(sealed),
    };
    let finished: SealFinished =
        agent.hand_in(&format!("/v1/seals/{id}"), &finish, Patience::Rotation)?;
    let manifest = Manifest::verify(&finished.manifest, &roster)?;
    if next.is_some() {
        // It counts now, and not before: a sealing that fails leaves the version before.
        memory.roster(&args.vault, &chain, &FirstMeeting::SaySo, &door.ui)?;
    }
    memory.seen().accept_manifest(&manifest)?;
    shown(&finished, &manifest, &given, door)
}

/// The newest version of the file, if recovery shares stand for it.
fn next_version(vault: &str, path: &Path) -> Result<Verified<Roster>, Problem> {
    let chain = roster::parse_chain(&files::read(path)?)?;
    let newest = roster::verify_chain(&chain)?.pop();
    let next = newest.ok_or_else(|| Problem::new(Code::Usage, "the file holds no roster"))?;
    if next.vault != vault {
        return Err(Problem::new(
            Code::Usage,
            format!("that roster is for vault {}", plain(&next.vault)),
        ));
    }
    if next.by.is_none() {
        return Err(Problem::new(
            Code::Refused,
            "custodians stand for the newest version of that roster, not recovery shares",
        )
        .hint("they have to approve it: twotap roster submit"));
    }
    Ok(next)
}

fn nonce() -> Bytes {
    let mut nonce = vec![0; 16];
    OsRng.fill_bytes(&mut nonce);
    Bytes(nonce)
}

/// The one-time key is the one that a listed host made for this call, this vault and this roster.
fn check_offer(
    begun: &SealBegun,
    roster: &Verified<Roster>,
    nonce: &Bytes,
) -> Result<Verified<SealOffer>, Problem> {
    let keys = roster.host_keys();
    let (offer, signer) = begun.offer.verify::<SealOffer>(&keys, "a listed host")?;
    let same = [
        ("host", offer.host == signer.id()),
        ("vault", offer.vault == roster.vault),
        ("roster", offer.roster_sha256 == roster.digest()),
        ("nonce", offer.nonce == *nonce),
    ];
    match same.iter().find(|(_, same)| !same) {
        None => Ok(offer),
        Some((field, _)) => Err(Problem::new(
            Code::Tampering,
            format!("the key to seal to was made for another {field}"),
        )
        .hint("nothing was sent; tell the security officer")),
    }
}

/// Reads the credential, checks that it is the break-glass user's, and encrypts it. Answers the file and the key's id.
fn encrypt_credential(
    args: &Args,
    roster: &Roster,
    offer: &SealOffer,
) -> Result<(Vec<u8>, String), Problem> {
    let mut buffer = Zeroizing::new([0; MAX_DOCUMENT + 1]);
    let said = Waiting::begin(match args.from.as_os_str() == "-" {
        true => "the credential on standard input, and its end".to_owned(),
        false => format!("{} to be read", files::shown(&args.from)),
    });
    let length = if args.from.as_os_str() == "-" {
        fill(std::io::stdin().as_fd(), &mut buffer[..])
    } else {
        let file = File::open(&args.from).map_err(|why| files::unreadable(&args.from, &why))?;
        fill(file.as_fd(), &mut buffer[..])
    }
    .map_err(|why| files::unreadable(&args.from, &why))?;
    drop(said);
    let key = AccessKey::parse(&buffer[..length]).map_err(vault_problem)?;

    let user = roster.aws.user_arn.rsplit('/').next().unwrap_or_default();
    if key.user_name() != user {
        return Err(Problem::new(
            Code::Refused,
            format!(
                "the key is of user '{}', the roster names '{}'",
                plain(key.user_name()),
                plain(user)
            ),
        )
        .hint("make a key of the break-glass user: aws iam create-access-key --user-name NAME"));
    }
    let sealed = seal_to(&offer.worker_key, &key.to_json()).map_err(vault_problem)?;
    Ok((sealed, key.id().to_owned()))
}

/// Reads to the end or until the buffer is full, without a buffer in between.
fn fill(fd: impl AsFd, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match rustix::io::read(&fd, &mut buffer[length..]) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(rustix::io::Errno::INTR) => {}
            Err(why) => return Err(why.into()),
        }
    }
    Ok(length)
}

/// The agent's word for the sealing goes into a path: only what cannot change it.
fn url_safe(id: &str) -> Result<&str, Problem> {
    let good = (1..=64).contains(&id.len())
        && id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if good {
        Ok(id)
    } else {
        Err(Problem::new(
            Code::Agent,
            "the agent's answer has no usable id for the sealing",
        ))
    }
}

fn shown(
    finished: &SealFinished,
    manifest: &Verified<Manifest>,
    given: &str,
    door: &Door,
) -> Ended {
    if manifest.generation != finished.generation
        || manifest.access_key_id != finished.access_key_id
    {
        return Err(Problem::new(
            Code::Tampering,
            "the agent names another generation or key than the signed manifest",
        )
        .hint("do not rely on this sealing; tell the security officer"));
    }
    if manifest.access_key_id == given {
        door.ui.warn("the key that you gave is the one that is sealed: it was not replaced yet, see twotap status");
    }
    let object = serde_json::json!({
        "vault": manifest.vault,
        "generation": manifest.generation,
        "access_key_id": manifest.access_key_id,
        "given_access_key_id": given,
        "manifest_sha256": manifest.digest(),
        "progress": finished.progress,
    });
    let mut text = String::new();
    for step in &finished.progress {
        text.push_str(&format!("{}  {}\n", span::at(step.at), plain(&step.text)));
    }
    text.push_str(&format!(
        "sealed vault {}: generation {}, key {}\nthe file that you gave holds a dead key: delete it",
        manifest.vault, manifest.generation, manifest.access_key_id
    ));
    door.ui.result(&object, &text)?;
    Ok(ExitCode::SUCCESS)
}
