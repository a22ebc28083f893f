//! `twotap request --again`: the next time box of the same work, filled in from the earlier request.

use crate::{
    ceremony::Stage,
    protocol::{Code, Problem},
    trust::{
        Timestamp,
        request::{Offer, Request},
    },
};

use super::{
    Door,
    client::{Agent, request_path},
    open::{self, Mine},
    span,
    ui::plain,
};

/// The request that is to be continued: the one that was named, else the caller's only open session, else the one that ended last.
pub(super) fn earlier(door: &Door, named: Option<&str>) -> Result<Request, Problem> {
    let agent = door.agent()?;
    let request = match named {
        Some(id) => by_id(&agent, id)?,
        None => latest(&Mine::of(&agent.ask("/v1/status")?))?,
    };
    if !request.purpose.is_open() {
        return Err(Problem::new(
            Code::Usage,
            format!("{} is no request for a session", plain(&request.id)),
        ));
    }
    let now = Timestamp::now();
    let ends = span::from_now(request.not_after, now);
    door.ui.note(format!(
        "again as in {}: access {}, incident {}; its time ends {ends}",
        plain(&request.id),
        plain(&request.access),
        plain(&request.incident),
    ));
    Ok(request)
}

fn by_id(agent: &Agent, id: &str) -> Result<Request, Problem> {
    let view: crate::protocol::socket::RequestView = agent.ask(&request_path(id, "")?)?;
    let Offer(request) = view.offer.unverified::<Offer>()?;
    Ok(request)
}

fn latest(mine: &Mine) -> Result<Request, Problem> {
    let open = mine.newest(&[Stage::Open]);
    let wanted = match open.as_slice() {
        [] => mine
            .all()
            .find(|(request, stage)| {
                matches!(stage, Stage::Closing | Stage::Closed) && request.purpose.is_open()
            })
            .map(|(request, _)| request.id.clone()),
        _ => Some(open::only(open)?),
    };
    let found = wanted.and_then(|id| mine.all().find(|(request, _)| request.id == id));
    found.map(|(request, _)| request.clone()).ok_or_else(|| {
        Problem::new(Code::Usage, "you had no session within the last day")
            .hint("name the earlier request: twotap request --again REQUEST")
    })
}
