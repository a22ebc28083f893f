//! `twotap recovery check`: one sheet by itself: is it sound, and which sheet of which set is it?

use std::{path::PathBuf, process::ExitCode};

use serde::Serialize;
use twotap_shares::sheet;

use super::{
    super::{Door, Ended, files},
    quorum,
    reading::{self, Sources},
};
use crate::{
    protocol::Problem,
    trust::{recovery::RecoverySet, stack},
};

/// Arguments of `recovery check`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The set's public record, as recovery create wrote it
    #[arg(long, value_name = "FILE")]
    set: Option<PathBuf>,
    #[command(flatten)]
    from: Sources,
}

/// What is known of a sheet by itself.
#[derive(Serialize)]
struct Checked {
    sound: bool,
    identifier: u16,
    group: u8,
    groups: u8,
    groups_needed: u8,
    share: u8,
    shares_needed: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    set: Option<Belongs>,
}

/// What the set's record adds.
#[derive(Serialize)]
struct Belongs {
    vault: String,
    fingerprint: String,
    group: Option<String>,
    share: usize,
    of: usize,
}

pub(super) fn run(args: &Args, door: &Door) -> Ended {
    let set: Option<RecoverySet> = match &args.set {
        Some(path) => {
            let set: RecoverySet = files::read_json(path, "what recovery create writes")?;
            set.check()?;
            Some(set)
        }
        None => None,
    };
    let checked = stack::wiped(|| check(args, set.as_ref()))?;
    let text = match &checked.set {
        Some(set) => format!(
            "good: {}share {} of {} of vault {}, set {}",
            set.group
                .as_ref()
                .map(|g| format!("{g}, "))
                .unwrap_or_default(),
            set.share,
            set.of,
            set.vault,
            set.fingerprint
        ),
        None => format!(
            "good: share {} (of {} that are needed){} of the set that begins with the same two words",
            checked.share,
            checked.shares_needed,
            if checked.groups > 1 {
                format!(", group {} of {}", checked.group, checked.groups)
            } else {
                String::new()
            }
        ),
    };
    door.ui.result(&checked, &text)?;
    if checked.set.is_none() {
        door.ui
            .note("with --set FILE it is also told which vault it belongs to");
    }
    Ok(ExitCode::SUCCESS)
}

fn check(args: &Args, set: Option<&RecoverySet>) -> Result<Checked, Problem> {
    let share = reading::one(&args.from, "recovery check: the words of one sheet")?;
    let info = share.share();
    let belongs = match set {
        None => None,
        Some(set) => {
            let (group, place) = quorum::place(set, &share)?;
            Some(Belongs {
                vault: set.vault.clone(),
                fingerprint: sheet::fingerprint(&set.recipient),
                group: set.groups[group].name.clone(),
                share: place + 1,
                of: set.groups[group].shares.len(),
            })
        }
    };
    Ok(Checked {
        sound: true,
        identifier: info.identifier,
        group: info.group_index + 1,
        groups: info.group_count,
        groups_needed: info.group_threshold,
        share: info.member_index + 1,
        shares_needed: info.member_threshold,
        set: belongs,
    })
}
