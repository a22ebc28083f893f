//! A quorum of sheets, put together.

use std::path::PathBuf;

use twotap_shares::Secret;
use zeroize::Zeroizing;

use super::super::{
    super::{export::Papers, pin, ui::Ui},
    reading::{self, Sources},
};
use crate::{
    protocol::{Code, Problem},
    trust::recovery::RecoverySet,
};

/// What sheets alone do not say.
#[derive(clap::Args)]
#[group(skip)]
pub(super) struct Args {
    /// The set's public record, as recovery create wrote it: a sheet of another set is then told at once
    #[arg(long, value_name = "FILE")]
    set: Option<PathBuf>,
    /// The set has a passphrase: ask for it
    #[arg(long)]
    passphrase: bool,
    /// For scripts: read the passphrase from this open file descriptor
    #[arg(long, value_name = "N", conflicts_with = "passphrase")]
    passphrase_fd: Option<u16>,
}

/// Reads sheets until there are enough; answers the recovery identity's bytes in hex.
pub(super) fn read(
    sheets: &Sources,
    args: &Args,
    papers: &Papers,
    ui: &Ui,
) -> Result<Zeroizing<String>, Problem> {
    let set = args.set.as_deref().map(reading::set).transpose()?;
    if let Some(set) = &set {
        must_be_named(set, papers)?;
    }
    let title = format!(
        "recovery open: the sheets of vault {}",
        papers.manifest.vault
    );
    let quorum = reading::quorum(sheets, set.as_ref(), &title, ui)?;
    let asks = args.passphrase || set.as_ref().is_some_and(|s| s.passphrase);
    let typed = match args.passphrase_fd {
        Some(fd) => Some(pin::read_line(fd)?),
        None if asks => Some(ui.secret("passphrase of the recovery set")?),
        None => None,
    };
    let passphrase = typed
        .as_ref()
        .map_or(&b""[..], |(text, length)| &text[..*length]);
    Ok(hex(&quorum.combine(passphrase)?))
}

/// The set's record has to be of the set that the generation was sealed to.
fn must_be_named(set: &RecoverySet, papers: &Papers) -> Result<(), Problem> {
    let named = papers.sealed_under().recovery.as_ref();
    if set.vault == papers.manifest.vault && named.is_some_and(|r| r.recipient == set.recipient) {
        return Ok(());
    }
    Err(Problem::new(
        Code::Refused,
        format!(
            "the record is of a set of vault {} that this generation was not sealed to",
            set.vault
        ),
    )
    .hint("take the set's newest record, or leave --set out"))
}

/// Never in a buffer that grows.
pub(super) fn hex(secret: &Secret) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(2 * secret.expose().len()));
    data_encoding::HEXLOWER.encode_append(secret.expose(), &mut text);
    text
}
