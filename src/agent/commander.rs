//! The commander's word: a name that the operator gives is a claim until that person confirms it from the own account.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Agent, book::Change, people::Listed, record::Record};
use crate::{
    audit::event::EventType,
    ceremony::{Stage, duties::Duties},
    protocol::{
        Code, Problem,
        people::{Commander, Confirm, Statement},
    },
    trust::{
        Timestamp,
        roster::{Role, Roster},
    },
};

/// A commander's word, as it stands in a request's row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Confirmed {
    pub(super) name: String,
    pub(super) at: Timestamp,
    /// The account: `uid:UID@HOST-KEY-ID`.
    pub(super) who: String,
    pub(super) statement: Statement,
}

impl Record {
    /// Who authorised it, and whether that is more than the operator's word.
    pub(super) fn commander(&self) -> Option<Commander> {
        match (&self.confirmed, &self.request.commander_claimed) {
            (Some(confirmed), _) => Some(Commander {
                name: confirmed.name.clone(),
                confirmed_at: Some(confirmed.at),
                who: Some(confirmed.who.clone()),
                statement: (confirmed.statement != Statement::default())
                    .then(|| confirmed.statement.clone()),
            }),
            (None, Some(claimed)) => Some(Commander {
                name: claimed.clone(),
                confirmed_at: None,
                who: None,
                statement: None,
            }),
            (None, None) => None,
        }
    }

    /// Who holds which duty in it so far.
    pub(super) fn duties(&self, roster: &Roster) -> Duties {
        let mut duties = Duties::of(&self.request, roster);
        if let Some(confirmed) = &self.confirmed {
            duties.add(Role::Commander, &confirmed.name);
        }
        // Who took an approval back has acted as a custodian all the same.
        let voted = self.votes.iter().map(|v| &v.person);
        for person in voted.chain(&self.released).chain(&self.casting) {
            duties.add(Role::Custodian, person);
        }
        duties
    }
}

impl Agent {
    /// Puts a commander's word on record.
    pub(super) async fn confirm(
        self: &Arc<Self>,
        id: &str,
        confirm: Confirm,
        caller: &Listed,
    ) -> Result<Arc<Record>, Problem> {
        confirm.statement.check()?;
        let (name, by) = (id.to_owned(), caller.clone());
        self.book
            .commit(move |change| confirmed(change, &name, confirm, &by))
            .await?;
        self.book
            .request(id)
            .ok_or_else(|| super::book::unknown_request(id))
    }
}

fn confirmed(
    change: &mut Change<'_, '_>,
    id: &str,
    confirm: Confirm,
    by: &Listed,
) -> Result<(), Problem> {
    let mut record = change.known(id)?;
    if confirm.request_sha256 != record.made.offer.digest() {
        return Err(Problem::new(
            Code::Tampering,
            "that is another request than the one that was offered here",
        )
        .hint("do not go on; tell the security officer"));
    }
    if let Some(before) = &record.confirmed {
        // An answer may have been lost on its way.
        return match before.name == by.name {
            true => Ok(()),
            false => Err(Problem::new(
                Code::Refused,
                format!("{} has authorised this request already", before.name),
            )),
        };
    }
    may_confirm(&record, &by.name)?;
    let actor = super::people::actor(&by.name)?;
    let mut event = record
        .event(EventType::BreakGlassAuthorised, actor, change.place)
        .who(&by.who)
        .detail("vault", record.request.vault.as_str())
        .detail("operator", record.request.operator.as_str())
        .detail(
            "commander_claimed",
            record.request.commander_claimed.clone(),
        )
        .detail("request_sha256", confirm.request_sha256.to_string())
        .detail("stage", record.stage.to_string());
    for (name, text) in confirm.statement.parts() {
        event = event.detail(name, text);
    }
    if let Some(why) = &confirm.statement.why {
        event = event.justification(why);
    }
    change.event(&event)?;
    let now = change.now();
    record.step(now, "authorised", format!("{} authorised it", by.name));
    record.confirmed = Some(Confirmed {
        name: by.name.clone(),
        at: now,
        who: by.who.clone(),
        statement: confirm.statement,
    });
    change.put(record)
}

/// Whether this person, who is a commander of the vault, may be the one of this request.
fn may_confirm(record: &Record, name: &str) -> Result<(), Problem> {
    let refused = |why: String, hint: &str| Err(Problem::new(Code::Refused, why).hint(hint));
    if record.stage.is_final() {
        return refused(
            format!(
                "the request is {} and is not authorised afterwards",
                record.stage
            ),
            "say in the review what was known then",
        );
    }
    let operator = &record.request.operator;
    if let Some(claimed) = &record.request.commander_claimed
        && claimed != name
    {
        return refused(
            format!("{operator} says that {claimed} authorised this request"),
            "the one who is named has to confirm it; or the operator asks anew and names you",
        );
    }
    let roster = record.roster()?;
    let mut duties = record.duties(&roster);
    if let Err(clash) = duties.may(name, Role::Commander) {
        return refused(
            clash.to_string(),
            "another commander has to authorise it: operator, commander and custodians are different people",
        );
    }
    duties.add(Role::Commander, name);
    let left = roster.lacking(duties.electorate(&roster));
    if record.stage == Stage::Requested && !left.is_empty() {
        return refused(
            format!("without {name} too few custodians are left to approve this request"),
            "another commander has to authorise it",
        );
    }
    Ok(())
}
