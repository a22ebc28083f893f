//! `twotap recovery check`: one sheet by itself: is it sound, and which sheet of which set is it? Then the agent is told that it was read.

use std::{path::PathBuf, process::ExitCode};

use serde::Serialize;
use twotap_shares::ShareInfo;

use super::{
    super::{Door, Ended},
    quorum,
    reading::{self, Sources},
};
use crate::{
    protocol::{
        Code, Problem,
        socket::{SheetChecked, SheetNoted},
    },
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
    /// Where and when the agent put the check on record.
    #[serde(skip_serializing_if = "Option::is_none")]
    recorded: Option<SheetNoted>,
    /// Why it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_recorded: Option<String>,
}

/// What the set's record adds.
#[derive(Serialize)]
struct Belongs {
    vault: String,
    fingerprint: String,
    made: String,
    group: Option<String>,
    share: usize,
    of: usize,
}

pub(super) fn run(args: &Args, door: &Door) -> Ended {
    let set = args.set.as_deref().map(reading::set).transpose()?;
    let mut checked = stack::wiped(|| check(args, set.as_ref()))?;
    let why_not = match &checked.set {
        Some(set) => match record(set, door) {
            Ok(noted) => {
                checked.recorded = Some(noted);
                None
            }
            Err(problem) => {
                checked.not_recorded = Some(problem.error.clone());
                Some(problem)
            }
        },
        None => None,
    };
    door.ui.result(&checked, &text(&checked))?;
    if checked.set.is_none() {
        door.ui
            .note("with --set FILE it is also told which vault it belongs to, and recorded");
    }
    match why_not {
        // An air-gapped machine, or the holder's own: the sheet is as good as it was.
        Some(why) if why.code == Code::Agent => door.ui.note(format!(
            "not recorded, as no agent was reached ({}); name one with --agent",
            why.error
        )),
        Some(why) => door.ui.warn(format!("not recorded: {}", why.error)),
        None => {}
    }
    Ok(ExitCode::SUCCESS)
}

fn text(checked: &Checked) -> String {
    let mut text = match &checked.set {
        Some(set) => format!(
            "good: {}share {} of {} of vault {}, set {} made on {}",
            set.group
                .as_ref()
                .map(|g| format!("{g}, "))
                .unwrap_or_default(),
            set.share,
            set.of,
            set.vault,
            set.fingerprint,
            set.made
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
    if let Some(noted) = &checked.recorded {
        text.push_str(&format!(
            "\nrecorded by {} at {}; of this set {} were found good so far",
            noted.by,
            noted.at,
            match noted.sheets {
                1 => "one sheet".to_owned(),
                n => format!("{n} sheets"),
            }
        ));
    }
    text
}

fn check(args: &Args, set: Option<&RecoverySet>) -> Result<Checked, Problem> {
    let share = reading::one(&args.from, "recovery check: the words of one sheet")?;
    let info: ShareInfo = share.share();
    let belongs = match set {
        None => None,
        Some(set) => {
            let (group, place) = quorum::place(set, &share)?;
            let of = set.groups.get(group);
            Some(Belongs {
                vault: set.vault.clone(),
                fingerprint: set.fingerprint(),
                made: set.made.clone(),
                group: of.and_then(|group| group.name.clone()),
                share: place + 1,
                of: of.map_or(0, |group| group.shares.len()),
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
        recorded: None,
        not_recorded: None,
    })
}

/// Tells the agent that this sheet was read; nothing of its words.
fn record(set: &Belongs, door: &Door) -> Result<SheetNoted, Problem> {
    let small = |n: usize| {
        u8::try_from(n).map_err(|_| Problem::new(Code::Usage, "the set has too many sheets"))
    };
    let sheet = SheetChecked {
        fingerprint: set.fingerprint.clone(),
        group: set.group.clone(),
        share: small(set.share)?,
        of: small(set.of)?,
    };
    door.agent()?.sheet_checked(&set.vault, &sheet)
}
