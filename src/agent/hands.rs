//! Who did what in a request: the person, the account and the key of each.

use serde::{Deserialize, Serialize};

use super::record::{Record, Vote};
use crate::{
    protocol::people::{Did, Hand},
    trust::Timestamp,
};

/// Who closed a session, as it stands in a request's row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Closer {
    pub(super) name: String,
    /// `uid:UID@HOST-KEY-ID`.
    pub(super) account: String,
    pub(super) at: Timestamp,
}

impl Record {
    /// Everybody who did something in it, in order.
    pub(super) fn hands(&self) -> Vec<Hand> {
        let by_account = |did, name: &str, account: Option<String>, at| Hand {
            did,
            name: name.to_owned(),
            account,
            key: None,
            serial: None,
            at,
        };
        let asked = by_account(
            Did::Asked,
            &self.request.operator,
            self.asked_by.clone(),
            // On this host's clock like everything else here; the request's own is AWS's.
            self.request.not_before.plus(-self.skew),
        );
        let confirmed = self.confirmed.iter();
        let confirmed =
            confirmed.map(|c| by_account(Did::Confirmed, &c.name, Some(c.who.clone()), c.at));
        let closed = self.closed_by.iter();
        let closed =
            closed.map(|c| by_account(Did::Closed, &c.name, Some(c.account.clone()), c.at));
        let mut hands: Vec<Hand> = std::iter::once(asked)
            .chain(confirmed)
            .chain(self.votes.iter().map(voted))
            .chain(closed)
            .collect();
        hands.sort_by_key(|hand| hand.at);
        hands
    }
}

fn voted(vote: &Vote) -> Hand {
    Hand {
        did: match vote.denial {
            None => Did::Approved,
            Some(_) => Did::Denied,
        },
        name: vote.person.clone(),
        account: vote.by.clone(),
        key: Some(vote.key),
        serial: Some(vote.serial),
        at: vote.at,
    }
}
