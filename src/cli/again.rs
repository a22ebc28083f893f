//! `twotap request --again`: the next time box of the same work, filled in from the earlier request.

use crate::{
    ceremony::Stage,
    protocol::{Code, Problem, socket::RequestView},
    trust::{
        Timestamp,
        request::{Offer, Request},
    },
};

use super::{
    Door,
    client::{Agent, request_path},
    open::{self, Mine},
    request::given::Given,
    span,
    ui::plain,
};

/// The request that is to be continued: the one that was named, else (`named` is empty) the caller's only open session, else the one that
/// ended last; in `vault`, where that is said. It is the agent's word, for filling in: what is asked is shown and signed anew.
pub(super) fn earlier(door: &Door, named: &str, vault: Option<&str>) -> Result<Request, Problem> {
    let agent = door.agent()?;
    let request = match named {
        "" => latest(&Mine::of(&agent.ask("/v1/status")?), vault)?,
        id => by_id(&agent, id)?,
    };
    if !request.purpose.is_open() {
        return Err(Problem::new(
            Code::Usage,
            format!("{} is no request for a session", plain(&request.id)),
        )
        .hint("name one that opened a session: twotap status"));
    }
    if vault.is_some_and(|vault| vault != request.vault) {
        let why = format!(
            "{} is of vault {}",
            plain(&request.id),
            plain(&request.vault)
        );
        return Err(Problem::new(Code::Usage, why));
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

/// Takes over what was not given. The work is the same; how long, and what it is not (which is confirmed each time), is the next box's own.
pub(super) fn fill(given: &mut Given, earlier: &Request) {
    given.follows = Some(earlier.id.clone());
    given.access = Some(earlier.access.clone());
    given.scenario.clone_from(&earlier.scenario);
    given.incident = Some(earlier.incident.clone());
    given.subject.clone_from(&earlier.subject);
    given.reason.get_or_insert_with(|| earlier.reason.clone());
    if given.commander.is_none() {
        given.commander.clone_from(&earlier.commander_claimed);
    }
}

fn by_id(agent: &Agent, id: &str) -> Result<Request, Problem> {
    let view: RequestView = agent.ask(&request_path(id, "")?)?;
    let Offer(request) = view.offer.unverified::<Offer>()?;
    Ok(request)
}

fn latest(mine: &Mine, vault: Option<&str>) -> Result<Request, Problem> {
    let here = |request: &Request| vault.is_none_or(|vault| vault == request.vault);
    let mut open = mine.newest(&[Stage::Open]);
    open.retain(|id| mine.all().any(|(r, _)| r.id == *id && here(r)));
    let wanted = match open.as_slice() {
        [] => mine
            .all()
            .find(|(request, stage)| {
                let over = matches!(stage, Stage::Closing | Stage::Closed);
                over && request.purpose.is_open() && here(request)
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
