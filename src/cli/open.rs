//! Which session is meant when none is named.

use crate::{
    protocol::{
        Code, Problem,
        socket::{Stage, Status},
    },
    trust::request::{Offer, is_request_id},
};

use super::{client::Agent, ui::plain};

/// The session that was named, else the caller's only open one.
pub(super) fn session(agent: &Agent, named: Option<String>) -> Result<String, Problem> {
    if let Some(named) = named {
        return Ok(named);
    }
    let status: Status = agent.ask("/v1/status")?;
    let of_mine = |stages: &[Stage]| mine(&status, stages);
    let open = of_mine(&[Stage::Open]);
    // Say why: one that is on its way is not the same as none at all.
    match of_mine(&[Stage::Requested, Stage::Approved]).first() {
        Some(waiting) if open.is_empty() => Err(Problem::new(
            Code::Approvals,
            format!("your request {waiting} is not open yet"),
        )
        .hint("wait for the approvals: twotap status --watch")),
        _ => only(open),
    }
}

/// The session that is to be closed: named, else the caller's only one that is open or already closing.
pub(super) fn closable(agent: &Agent, named: Option<String>) -> Result<String, Problem> {
    if let Some(named) = named {
        return Ok(named);
    }
    let status: Status = agent.ask("/v1/status")?;
    only(mine(
        &status,
        &[Stage::Approved, Stage::Open, Stage::Closing],
    ))
}

fn mine(status: &Status, stages: &[Stage]) -> Vec<String> {
    status
        .requests
        .iter()
        .filter(|r| stages.contains(&r.stage) && is_request_id(&r.id))
        .filter(|r| {
            r.offer
                .unverified::<Offer>()
                .is_ok_and(|Offer(request)| request.operator == status.you.name)
        })
        .map(|r| r.id.clone())
        .collect()
}

fn only(mut ids: Vec<String>) -> Result<String, Problem> {
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
