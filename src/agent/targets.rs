//! How far each role of a request is, by what the worker's journal says of it.

use super::record::Record;
use crate::{
    protocol::{
        job::Step,
        socket::{Setback, TargetState, TargetView},
    },
    trust::{Timestamp, receipt::RegionRefused},
};

impl Record {
    /// Takes up what a step says of a role, or of all.
    pub(super) fn note_target(&mut self, step: &Step, at: Timestamp) {
        match step {
            Step::MintIntent { .. } => self.targets = self.all_opening(at),
            Step::Minted {
                role, expires_at, ..
            } => {
                self.set(role, TargetState::Open, at);
                let end = expires_at.unwrap_or(self.request.not_after);
                let end = end.max(self.request.not_after);
                self.identity_until = self.identity_until.max(Some(end));
            }
            Step::TargetFailed { role, why } => {
                self.set(role, TargetState::NotOpened { why: why.clone() }, at);
            }
            Step::MintFailed { why, .. } => {
                for target in &mut self.targets {
                    if target.state == TargetState::Opening {
                        target.state = TargetState::NotOpened { why: why.clone() };
                        target.since = at;
                    }
                }
            }
            Step::RevokeIntent { role, .. } => {
                self.setback = None;
                self.set(role, TargetState::Requested, at);
            }
            Step::RevokeApplied { role, .. } => self.set(role, TargetState::Applied, at),
            Step::RefusalObserved {
                role,
                region,
                since,
                refusals,
            } => self.seen(role, region, *since, *refusals, at),
            Step::NotObserved { .. } => {
                for target in &mut self.targets {
                    if target.state == TargetState::Applied {
                        (target.state, target.setback) = (TargetState::NotObserved, None);
                    }
                }
            }
            Step::Expired { .. } => self.all_expired(at),
            Step::ClosePending {
                why,
                role,
                tries,
                next_attempt,
            } => {
                let setback = Some(Setback {
                    why: why.clone(),
                    tries: *tries,
                    next_attempt: *next_attempt,
                });
                match self.target(role) {
                    Some(target) if !role.is_empty() => target.setback = setback,
                    _ => self.setback = setback,
                }
            }
            Step::Revoked { .. } => self.setback = None,
            _ => {}
        }
    }

    /// Every role that was open ended with the time box.
    pub(super) fn all_expired(&mut self, at: Timestamp) {
        self.setback = None;
        for target in &mut self.targets {
            target.setback = None;
            if !matches!(
                target.state,
                TargetState::NotOpened { .. } | TargetState::Refused
            ) {
                (target.state, target.since) = (TargetState::Expired, at);
            }
        }
    }

    /// Whether every session is denied by its tag, or was never there.
    pub(super) fn is_denied_by_tag(&self) -> bool {
        let denied = |t: &TargetView| {
            matches!(
                t.state,
                TargetState::Applied
                    | TargetState::Refused
                    | TargetState::NotObserved
                    | TargetState::NotOpened { .. }
            )
        };
        !self.targets.is_empty() && self.targets.iter().all(denied)
    }

    /// Notes that nothing is kept that could close or observe it; `false` where that is known.
    pub(super) fn note_not_kept(&mut self) -> bool {
        let before = (self.targets.clone(), self.setback.clone());
        for target in &mut self.targets {
            if target.state == TargetState::Applied {
                (target.state, target.setback) = (TargetState::NotObserved, None);
            }
        }
        self.setback = match self.is_denied_by_tag() {
            true => None,
            false => Some(Setback {
                why: format!(
                    "the host keeps nothing that could close it; two taps can: {}",
                    super::closing::close_only_hint(self)
                ),
                tries: 0,
                next_attempt: None,
            }),
        };
        before != (self.targets.clone(), self.setback.clone())
    }

    fn all_opening(&self, since: Timestamp) -> Vec<TargetView> {
        let request = &self.request;
        let further = request.also.iter().map(|t| (&t.account, &t.role_arn));
        std::iter::once((&request.account, &request.role))
            .chain(further)
            .map(|(account, role)| TargetView {
                account: account.clone(),
                role: role.clone(),
                state: TargetState::Opening,
                since,
                refused: Vec::new(),
                setback: None,
            })
            .collect()
    }

    /// The role that a step names; a step that names none is about the first.
    fn target(&mut self, role: &str) -> Option<&mut TargetView> {
        match role {
            "" => self.targets.first_mut(),
            role => self.targets.iter_mut().find(|t| t.role == role),
        }
    }

    fn set(&mut self, role: &str, state: TargetState, at: Timestamp) {
        if let Some(target) = self.target(role) {
            // A role that never had a session is denied all the same, and stays what it is.
            let unopened = matches!(target.state, TargetState::NotOpened { .. });
            if unopened && !matches!(state, TargetState::Open) {
                return;
            }
            // A closing that begins anew observes anew.
            target.refused.clear();
            (target.state, target.since, target.setback) = (state, at, None);
        }
    }

    fn seen(&mut self, role: &str, region: &str, since: Timestamp, refusals: u32, at: Timestamp) {
        let regions = self.request.regions.clone();
        let Some(target) = self.target(role) else {
            return;
        };
        target.refused.retain(|r| r.region != region);
        target.refused.push(RegionRefused {
            region: region.to_owned(),
            since,
            refusals,
        });
        let all = regions
            .iter()
            .all(|r| target.refused.iter().any(|seen| seen.region == *r));
        if all {
            target.since = target.refused.iter().map(|r| r.since).max().unwrap_or(at);
            (target.state, target.setback) = (TargetState::Refused, None);
        }
    }
}
