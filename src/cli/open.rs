//! Which session is meant when none is named: the caller's only one. Of sessions that continue each other (`request --again`) that is the newest
//! that is open.

use std::collections::HashMap;

use crate::{
    protocol::{
        Code, Problem,
        socket::{Stage, Status},
    },
    trust::request::{Offer, Request, is_request_id},
};

use super::{client::Agent, ui::plain};

/// The session that was named, else the caller's only open one.
pub(super) fn session(agent: &Agent, named: Option<String>) -> Result<String, Problem> {
    if let Some(named) = named {
        return Ok(named);
    }
    let mine = Mine::of(&agent.ask("/v1/status")?);
    let open = mine.newest(&[Stage::Open]);
    // Say why: one that is on its way is not the same as none at all.
    match mine.at(&[Stage::Requested, Stage::Approved]).first() {
        Some(waiting) if open.is_empty() => Err(Problem::new(
            Code::Approvals,
            format!("your request {waiting} is not open yet"),
        )
        .hint("wait for the approvals: twotap status --watch")),
        _ => only(open),
    }
}

/// The session that is to be closed: named, else the caller's only one that is open or already closing. With it go those that it continues.
pub(super) fn closable(agent: &Agent, named: Option<String>) -> Result<String, Problem> {
    if let Some(named) = named {
        return Ok(named);
    }
    let mine = Mine::of(&agent.ask("/v1/status")?);
    let mut closable = mine.at(&[Stage::Approved]);
    closable.extend(mine.newest(&[Stage::Open, Stage::Closing]));
    only(closable)
}

/// The caller's own requests, as the agent shows them: its word, for choosing alone.
pub(super) struct Mine {
    /// Newest first.
    requests: Vec<(Request, Stage)>,
}

impl Mine {
    /// Those of a status.
    pub(super) fn of(status: &Status) -> Self {
        let mut requests: Vec<(Request, Stage)> = status
            .requests
            .iter()
            .filter_map(|view| {
                let Offer(request) = view.offer.unverified::<Offer>().ok()?;
                Some((request, view.stage))
            })
            .filter(|(request, _)| request.operator == status.you.name)
            .filter(|(request, _)| is_request_id(&request.id))
            .collect();
        requests.sort_by_key(|(request, _)| std::cmp::Reverse(request.not_before));
        Self { requests }
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = (&Request, Stage)> {
        self.requests
            .iter()
            .map(|(request, stage)| (request, *stage))
    }

    /// The ids of those at these stages.
    pub(super) fn at(&self, stages: &[Stage]) -> Vec<String> {
        self.all()
            .filter(|(_, stage)| stages.contains(stage))
            .map(|(request, _)| request.id.clone())
            .collect()
    }

    /// The same, without those that another of them continues.
    pub(super) fn newest(&self, stages: &[Stage]) -> Vec<String> {
        let follows: HashMap<&str, &str> = self
            .all()
            .filter_map(|(request, _)| Some((request.id.as_str(), request.follows.as_deref()?)))
            .collect();
        let all = self.at(stages);
        let mut newest = all.clone();
        for id in &all {
            let mut earlier = follows.get(id.as_str());
            // Whatever an agent says, the way back ends.
            for _ in 0..self.requests.len() {
                let Some(before) = earlier else { break };
                newest.retain(|other| other != before || other == id);
                earlier = follows.get(before);
            }
        }
        newest
    }
}

/// The only one of these ids.
pub(super) fn only(mut ids: Vec<String>) -> Result<String, Problem> {
    match ids.len() {
        1 => Ok(ids.remove(0)),
        0 => Err(Problem::new(Code::Usage, "you have no open session")
            .hint("ask for one: twotap request VAULT --access NAME --incident ID --reason TEXT")),
        _ => Err(Problem::new(
            Code::Usage,
            format!("you have several: {}", plain(&ids.join(", "))),
        )
        .hint("name one")),
    }
}
