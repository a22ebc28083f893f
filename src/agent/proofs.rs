//! What has shown that a vault would open: printed shares that somebody has read, and later drills and approvals.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    Agent,
    book::Change,
    people::Listed,
    record::{Record, isolated},
};
use crate::{
    audit::event::{Event, EventType},
    protocol::{
        Code, Problem,
        readiness::FullDrill,
        socket::{Layer, SheetChecked, SheetNoted},
    },
    trust::{KeyId, Timestamp, text::check_name},
};

/// The proofs of one vault.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Proofs {
    /// The newest proof of each token, by its approve key.
    #[serde(default)]
    pub(super) tokens: BTreeMap<KeyId, Proof>,
    /// The newest failure of each custodian, until a proof follows.
    #[serde(default)]
    pub(super) failed: BTreeMap<String, (Layer, Timestamp)>,
    /// Since when each of these could have been shown, by cause: from then on its time runs.
    #[serde(default)]
    pub(super) since: BTreeMap<String, Timestamp>,
    /// What stands on record as degraded, and since when.
    #[serde(default)]
    pub(super) raised: BTreeMap<String, Timestamp>,
    /// The newest full drills, oldest first.
    #[serde(default)]
    pub(super) full: Vec<FullDrill>,
    /// The sheets of the newest set, by group and place.
    #[serde(default)]
    pub(super) sheets: Sheets,
}

/// A token has opened its share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Proof {
    pub(super) person: String,
    pub(super) serial: u32,
    pub(super) kind: Kind,
    pub(super) at: Timestamp,
}

/// How it was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// In a drill.
    Drill,
    /// By an approval that counted.
    Approval,
}

impl Proofs {
    /// The token with this approve key has opened its share.
    pub(super) fn proven(
        &mut self,
        key: KeyId,
        person: &str,
        serial: u32,
        kind: Kind,
        at: Timestamp,
    ) {
        let proof = Proof {
            person: person.to_owned(),
            serial,
            kind,
            at,
        };
        self.tokens.insert(key, proof);
        self.failed.remove(person);
    }

    /// A custodian's drill has failed.
    pub(super) fn failed(&mut self, person: &str, layer: Layer, at: Timestamp) {
        self.failed.insert(person.to_owned(), (layer, at));
    }
}

/// The sheets of one set that were found sound.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sheets {
    /// Fingerprint of the set.
    pub(super) set: String,
    /// When each was read last: `GROUP/PLACE`, or `PLACE`.
    pub(super) read: BTreeMap<String, Timestamp>,
}

impl Sheets {
    /// Notes one; those of another set are void.
    fn note(&mut self, sheet: &SheetChecked, at: Timestamp) {
        if self.set != sheet.fingerprint {
            *self = Self {
                set: sheet.fingerprint.clone(),
                read: BTreeMap::new(),
            };
        }
        let group = sheet.group.as_ref().map(|name| format!("{name}/"));
        let name = format!("{}{}", group.unwrap_or_default(), sheet.share);
        self.read.insert(name, at);
    }
}

impl Agent {
    /// Puts on record that `caller` has read a sheet, if it is of the set that the roster names.
    pub(super) async fn sheet_checked(
        self: &Arc<Self>,
        vault: &str,
        sheet: SheetChecked,
        caller: &Listed,
    ) -> Result<SheetNoted, Problem> {
        let known = self.vault(vault).await?;
        let recovery = known.roster.recovery.as_ref().ok_or_else(|| {
            Problem::new(
                Code::Refused,
                format!("the roster of vault {vault} names no recovery set"),
            )
            .hint("custodians take it up: twotap roster propose --recovery FILE")
        })?;
        of_this_set(&sheet, &recovery.fingerprint())?;
        let (vault, by, who) = (vault.to_owned(), caller.name.clone(), caller.who.clone());
        let isolation = known.isolation;
        self.book
            .commit(move |change| {
                let actor = super::people::actor(&by)?;
                let event = Event::new(EventType::RecoverySheetChecked, actor)
                    .who(who)
                    .place(change.place.clone())
                    .detail("vault", vault.as_str())
                    .detail("set", sheet.fingerprint.as_str())
                    .detail("group", sheet.group.clone())
                    .detail("share", sheet.share)
                    .detail("of", sheet.of);
                change.event(&isolated(event, isolation))?;
                let mut row = change.vault(&vault)?;
                let at = change.now();
                row.proofs.sheets.note(&sheet, at);
                let sheets = row.proofs.sheets.read.len();
                change.put_vault(&vault, &row)?;
                Ok(SheetNoted { at, by, sheets })
            })
            .await
    }
}

/// An approval that counted is as good as a drill.
pub(super) fn approved(
    change: &mut Change<'_, '_>,
    record: &Record,
    (key, person, serial): (KeyId, &str, u32),
) -> Result<(), Problem> {
    let vault = record.request.vault.clone();
    let mut row = change.vault(&vault)?;
    let at = change.now();
    row.proofs.proven(key, person, serial, Kind::Approval, at);
    change.put_vault(&vault, &row)
}

fn of_this_set(sheet: &SheetChecked, named: &str) -> Result<(), Problem> {
    if let Some(group) = &sheet.group {
        check_name("group's name", group)?;
    }
    if sheet.share == 0 || sheet.share > sheet.of || sheet.of > 16 {
        return Err(Problem::new(
            Code::Usage,
            "a sheet's place is from 1 to the number of sheets in its group, 16 at most",
        ));
    }
    if sheet.fingerprint != named {
        return Err(Problem::new(
            Code::Refused,
            format!(
                "the sheet is of another set than the roster names, which is {named}"
            ),
        )
        .hint("an older set is void: destroy its sheets; a newer one counts once custodians have taken it up"));
    }
    Ok(())
}
