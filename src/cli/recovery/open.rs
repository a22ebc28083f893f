//! `twotap recovery open`: the way in when agent, host or tokens are lost. A bundle and a quorum, and nothing else: no agent, no state, no
//! network unless a session is to be minted.
//!
//! The flow is [`run`], from top to bottom. Everything that can fail without a share fails first. The credential never comes to this
//! process: a worker without files opens the vault, and writes to the one place that was asked for.

mod mint;
mod place;
mod quorum;
mod tokens;
mod trust;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use rand_core::{OsRng, RngCore as _};

use super::{
    super::{Door, Ended, export::Papers, files, ui::columns},
    reading::Sources,
    worker::Worker,
};
use crate::{
    protocol::{
        Code, Problem,
        opening::{Answer, Ask, Opening},
    },
    trust::{
        Bytes, Envelope, Timestamp,
        recovery::{How, Record, Took},
        stack,
    },
};

/// Arguments of `recovery open`.
#[derive(clap::Args)]
#[command(
    after_help = "With sheets, which are typed, or read from pictures:\n  \
twotap recovery open --bundle prod.tar --to /dev/shm/key.json\n\
With as many custodians' tokens as the threshold, one after another or all plugged in:\n  \
twotap recovery open --bundle prod.tar --tokens --to /dev/shm/key.json\n\
Without handing out the key itself, where there is a network:\n  \
twotap recovery open --bundle prod.tar --mint --role ARN --duration 1h --to /dev/shm/session.json"
)]
pub(super) struct Args {
    /// The bundle: what twotap vault export wrote, or what a place holds
    #[arg(long, value_name = "FILE")]
    bundle: PathBuf,
    /// Open it with custodians' tokens instead of sheets
    #[arg(long, conflicts_with_all = ["image", "words_fd", "set", "passphrase", "passphrase_fd"])]
    tokens: bool,
    #[command(flatten)]
    with: tokens::Args,
    #[command(flatten)]
    sheets: Sources,
    #[command(flatten)]
    of: quorum::Args,
    #[command(flatten)]
    out: place::Args,
    #[command(flatten)]
    mint: mint::Args,
    #[command(flatten)]
    trust: trust::Args,
    /// Where to write the record of this recovery; without it, beside the bundle
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
}

pub(super) fn run(args: &Args, door: &Door) -> Ended {
    let wish = args.mint.checked()?;
    let mut place = args.out.choose(door.ui.json())?;
    let papers = Papers::read(&args.bundle)?;
    let record_file = match &args.record {
        Some(file) => file.clone(),
        None => beside(&args.bundle),
    };
    files::must_be_new(&record_file)?;
    args.trust.compare(&papers, &door.ui)?;
    let how = if args.tokens {
        let by = tokens::people(&args.with, papers.sealed_under())?;
        How::Tokens { by }
    } else {
        How::Paper
    };
    let recipient = recipient(&papers, &how)?;
    door.ui.step(summary(&papers, &how));

    let region = wish.as_ref().map(|w| w.regions(&papers)).transpose()?;
    let worker_args = mint::worker_args(wish.as_ref(), region.as_deref());
    let worker_args: Vec<&str> = worker_args.iter().map(String::as_str).collect();
    let mut worker = Worker::begin(&worker_args, place.open()?)?;
    let at = match &wish {
        Some(_) => mint::now(&mut worker)?,
        None => Timestamp::now(),
    };
    let nonce = nonce();
    let took = wish.as_ref().map_or(Took::Credential, |w| w.took(at));
    let record = Envelope::new(&Record {
        v: 1,
        vault: papers.manifest.vault.clone(),
        generation: papers.manifest.generation,
        manifest_sha256: papers.manifest.digest(),
        roster_sha256: papers.manifest.roster_sha256,
        how: how.clone(),
        took: took.clone(),
        at,
        nonce: nonce.clone(),
    })?;

    // What follows may take its time: nothing of shares and identity is left here by then.
    let record = stack::wiped(|| {
        let (identity, record) = match &how {
            How::Tokens { by } => tokens::open(&args.with, &papers, by, record, &door.ui)?,
            How::Paper => (
                quorum::read(&args.sheets, &args.of, &papers, &door.ui)?,
                record,
            ),
        };
        let to_sign = matches!(how, How::Paper).then(|| record.clone());
        let ask = Ask::Open(Opening {
            identity,
            recipient,
            vault_age: papers.bundle.vault_age.clone(),
            access_key_id: papers.manifest.access_key_id.clone(),
            record: to_sign,
        });
        match answer(&mut worker, &ask)? {
            Answer::Opened { record: signed } => Ok(signed.unwrap_or(record)),
            _ => Err(out_of_turn()),
        }
    })?;
    if let Err(why) = Record::verify(&record, papers.sealed_under()) {
        // What the roster says of its sheets is wrong; who stands here with a quorum of them is not to be kept out for that.
        door.ui
            .warn(format!("no agent will believe the record of this: {why}"));
    }
    // Before anything leaves: nothing happens unrecorded.
    files::write_public_new(&record_file, &record)?;

    let got = match wish {
        None => match answer(&mut worker, &Ask::Deliver)? {
            Answer::Written => None,
            _ => return Err(out_of_turn()),
        },
        Some(wish) => {
            let ask = wish.ask(&papers, &how, &took, &nonce);
            let minted = answer(&mut worker, &ask).map_err(|problem| Problem {
                error: format!(
                    "the vault was opened (record: {}), and {}",
                    files::shown(&record_file),
                    problem.error
                ),
                ..problem
            })?;
            Some(mint::Got::of(minted, &nonce)?)
        }
    };
    place.keep();
    told(&papers, &how, got.as_ref(), &place, &record_file, door)
}

/// The recipient that the sheets have to be of; none for tokens.
fn recipient(papers: &Papers, how: &How) -> Result<Option<String>, Problem> {
    if matches!(how, How::Tokens { .. }) {
        return Ok(None);
    }
    match &papers.sealed_under().recovery {
        Some(recovery) => Ok(Some(recovery.recipient.clone())),
        None => Err(Problem::new(
            Code::Refused,
            "this generation was sealed without recovery sheets: no sheet opens it",
        )
        .hint("with custodians' tokens: --tokens")),
    }
}

fn summary(papers: &Papers, how: &How) -> String {
    let with = match how {
        How::Tokens { by } => format!("the tokens of {}", by.join(" and ")),
        How::Paper => "a quorum of the recovery sheets".to_owned(),
    };
    let [vault, sealed, holds] = papers.rows();
    let rows = [
        vault,
        sealed,
        holds,
        ("opens with", with),
        (
            "relies on",
            format!(
                "roster version {}, digest {}",
                papers.newest().version,
                papers.newest().digest()
            ),
        ),
    ];
    columns(&rows).trim_end().to_owned()
}

fn told(
    papers: &Papers,
    how: &How,
    got: Option<&mint::Got>,
    place: &place::Place<'_>,
    record: &Path,
    door: &Door,
) -> Ended {
    let manifest = &papers.manifest;
    let next = next(papers, how, record);
    let object = serde_json::json!({
        "vault": manifest.vault,
        "generation": manifest.generation,
        "access_key_id": manifest.access_key_id,
        "how": how,
        "session": got,
        "to": place.file(),
        "record": record,
        "next": next,
    });
    let mut text = match got {
        None => format!("opened: key {}", manifest.access_key_id),
        Some(got) => got.in_words(),
    };
    if let Some(file) = place.file() {
        text.push_str(&format!(" is in {}", files::shown(file)));
    }
    text.push_str(&format!(
        "\nrecord: {}\n\nwhat must follow:",
        files::shown(record)
    ));
    for (n, line) in (1..).zip(&next) {
        text.push_str(&format!("\n  {n}. {line}"));
    }
    if place.is_standard_output() {
        // What was asked for stands there alone.
        door.ui.step(text);
    } else {
        door.ui.result(&object, &text)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What has to be done after a vault was opened by hand. The key has been in human hands, so it has to die.
fn next(papers: &Papers, how: &How, record: &Path) -> Vec<String> {
    let (vault, key) = (&papers.manifest.vault, &papers.manifest.access_key_id);
    let mut next = vec![
        format!(
            "hand the record to an agent, as soon as there is one: twotap recovery record {}",
            files::shown(record)
        ),
        format!(
            "replace the key: aws iam create-access-key, then twotap vault seal {vault} --from -, then see {key} deleted"
        ),
    ];
    match how {
        How::Paper => next.push(format!(
            "the sheets are spent: twotap recovery create {vault}, then twotap roster propose {vault} --recovery RECORD"
        )),
        How::Tokens { .. } => next.push(
            "the shares of this generation have been on this machine: they are worth nothing once the key is replaced".to_owned(),
        ),
    }
    next.push("remove what was written here, and end what was done with it".to_owned());
    next
}

/// `prod.tar` gives `prod.recovered.json`: the set's own record is most often called `prod.recovery.json`.
fn beside(bundle: &Path) -> PathBuf {
    bundle.with_extension("recovered.json")
}

fn nonce() -> Bytes {
    let mut nonce = vec![0; 16];
    OsRng.fill_bytes(&mut nonce);
    Bytes(nonce)
}

/// Asks the worker, whose failures are this verb's.
fn answer(worker: &mut Worker, ask: &Ask) -> Result<Answer, Problem> {
    match worker.exchange(ask)? {
        Answer::Failed(problem) => Err(problem),
        answer => Ok(answer),
    }
}

fn out_of_turn() -> Problem {
    Problem::new(Code::Internal, "twotap-worker spoke out of turn")
}
