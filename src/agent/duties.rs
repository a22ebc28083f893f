//! Separation of duties at the agent: before a vote goes to the worker, and in one transaction with a commander's word, so that of two that do not
//! go together one comes first.

use std::sync::Arc;

use super::{
    Agent, book::Change, ceremonies::Ceremony, people::Listed, record::Record, votes::Ballot,
};
use crate::{
    ceremony::{Refusal, duties::separate},
    protocol::{Code, Problem, job::Ask},
    trust::{
        TrustError,
        request::{Offer, verify_approval, verify_denial},
        roster::{Role, verify_chain},
    },
};

/// Whose vote it is. Of one that no custodian has signed it is nobody's, and the worker says why it does not count; so it does of a withdrawal,
/// which nobody's duty stands against.
pub(super) fn voter(record: &Record, ballot: &Ballot) -> Option<String> {
    signer(record, ballot).unwrap_or_default()
}

fn signer(record: &Record, ballot: &Ballot) -> Result<Option<String>, TrustError> {
    let Some(roster) = verify_chain(&record.made.roster_chain)?.pop() else {
        return Ok(None);
    };
    let offer = Offer::verify(&record.made.offer, &roster)?;
    Ok(match ballot {
        Ballot::Approval(approval) => {
            Some(verify_approval(&approval.approval, &offer, &roster)?.person)
        }
        Ballot::Denial(denial) => Some(verify_denial(denial, &offer, &roster)?.0.person),
        Ballot::Withdrawal(_) => None,
    })
}

impl Agent {
    /// Refuses what the worker would refuse as well: a commander who cannot be one, or too few who are left to approve.
    pub(super) async fn separate(
        self: &Arc<Self>,
        ask: &Ask,
        caller: &Listed,
    ) -> Result<(), Problem> {
        let known = self.vault(&ask.vault).await?;
        separate(&known.roster, &caller.name, ask.commander.as_deref())
            .map_err(|unfit| Problem::new(Code::Refused, &unfit).hint(unfit.hint()))
    }
}

impl Ceremony {
    /// Notes that a vote is on its way, and whether its share may complete a quorum. The answer is why it must not go: its voter has another
    /// duty in this request.
    pub(super) async fn mark(
        &self,
        voter: Option<String>,
        releases: bool,
    ) -> Result<Option<Problem>, Problem> {
        if voter.is_none() && !releases {
            return Ok(None);
        }
        let id = self.id.clone();
        self.agent
            .book
            .commit(move |change: &mut Change<'_, '_>| {
                let mut record = change.known(&id)?;
                if let Some(voter) = &voter
                    && let Some(problem) = other_duty(&record, voter)?
                {
                    return Ok(Some(problem));
                }
                record.casting = voter;
                record.releasing |= releases;
                change.put(record)?;
                Ok(None)
            })
            .await
    }
}

fn other_duty(record: &Record, voter: &str) -> Result<Option<Problem>, Problem> {
    let roster = record.roster()?;
    let clash = record.duties(&roster).may(voter, Role::Custodian);
    Ok(clash.err().map(|clash| {
        Problem::new(Code::Refused, Refusal::from(clash)).hint("another custodian has to approve")
    }))
}
