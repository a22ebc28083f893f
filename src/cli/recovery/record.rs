//! `twotap recovery record`: hands the record that a recovery left behind to an agent, which checks it and keeps asking for what is owed.

use std::{path::PathBuf, process::ExitCode};

use super::super::{
    Door, Ended,
    client::{Patience, vault_path},
    files,
    ui::plain,
};
use crate::{
    protocol::socket::{RecoveryHandIn, RecoveryRecorded},
    trust::recovery::Record,
};

/// Arguments of `recovery record`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The record that twotap recovery open wrote
    file: PathBuf,
}

pub(super) fn run(args: &Args, door: &Door) -> Ended {
    let envelope = files::read_envelope(&args.file)?;
    let record: Record = envelope.unverified()?;
    let path = vault_path(&record.vault, "/recovery")?;
    let hand_in = RecoveryHandIn { record: envelope };
    let done: RecoveryRecorded = door.agent()?.hand_in(&path, &hand_in, Patience::Worker)?;
    let again = if done.again {
        "this stood in the record already"
    } else {
        "on record"
    };
    let mut text = format!(
        "{again}: generation {} of vault {} was opened at {}",
        done.generation,
        plain(&record.vault),
        record.at
    );
    for owed in &done.owed {
        text.push_str(&format!("\nowed: {}", plain(owed)));
    }
    if done.owed.is_empty() {
        text.push_str("\nnothing is owed: key and sheets are new");
    }
    door.ui.result(&done, &text)?;
    Ok(ExitCode::SUCCESS)
}
