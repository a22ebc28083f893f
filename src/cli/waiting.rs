//! Which request is meant when none is named: the only one that waits for this person, or one of a list.

use crate::{
    protocol::{
        Code, Problem,
        socket::{RequestView, Stage, Status},
    },
    trust::{
        Timestamp,
        request::{Offer, Purpose, is_request_id},
    },
};

use super::{
    Door,
    client::Agent,
    people, span,
    ui::{columns, plain},
};

/// The request that waits for this person; of several, the one that is chosen at the terminal.
pub(super) fn choose(agent: &Agent, door: &Door) -> Result<String, Problem> {
    let status: Status = agent.ask("/v1/status")?;
    let me = &status.you.name;
    let waits = |r: &&RequestView| r.stage == Stage::Requested && is_request_id(&r.id);
    let mine: Vec<&RequestView> = status
        .requests
        .iter()
        .filter(waits)
        .filter(|r| !r.approved_by.contains(me) && r.denied_by.iter().all(|(who, _)| who != me))
        .collect();
    let ids: Vec<&str> = mine.iter().map(|r| r.id.as_str()).collect();
    match &ids[..] {
        [only] => Ok((*only).to_owned()),
        [] => Err(none(status.requests.iter().filter(waits).count())),
        several if door.ui.has_terminal() => {
            let now = Timestamp::now();
            let list: String = mine
                .iter()
                .enumerate()
                .map(|(at, view)| listed(at + 1, view, now))
                .collect();
            door.ui
                .screen(&format!("\nseveral requests wait for you\n{list}"), true)?;
            let chosen = door.ui.choose("which one? (number or id)", several)?;
            chosen.map(|at| several[at].to_owned()).ok_or_else(|| {
                Problem::new(Code::Refused, "none of them was chosen; nothing was signed")
                    .hint("name one: twotap approve REQUEST")
            })
        }
        several => Err(Problem::new(
            Code::Usage,
            format!(
                "several requests wait for you: {}",
                plain(&several.join(", "))
            ),
        )
        .hint("name one: twotap approve REQUEST; twotap status shows who asks for what")),
    }
}

fn none(others: usize) -> Problem {
    let problem = Problem::new(Code::Usage, "no request waits for you");
    if others == 0 {
        problem.hint("see twotap status")
    } else {
        problem.hint("you have voted on all that wait; to take an approval back: twotap approval withdraw REQUEST")
    }
}

/// One of the list. For choosing alone: the one that is chosen is checked before it is shown again, in full.
fn listed(number: usize, view: &RequestView, now: Timestamp) -> String {
    let mut rows = vec![("request", format!("{number}  {}", plain(&view.id)))];
    if let Ok(Offer(request)) = view.offer.unverified::<Offer>() {
        let what = match request.purpose {
            Purpose::Open => format!("access {}", request.access),
            Purpose::Drill => "A DRILL".to_owned(),
            Purpose::CloseOnly { .. } => "closing alone".to_owned(),
            Purpose::Roster { version, .. } => format!("roster version {version}"),
        };
        rows.push(("asks", format!("{}, {what}", request.operator)));
        rows.extend(people::rows(view));
        rows.push((
            "reason",
            format!("{} ({})", request.reason, request.incident),
        ));
        rows.push(("until", span::when(request.approve_before, now)));
    }
    let by = if view.approved_by.is_empty() {
        "nobody".to_owned()
    } else {
        plain(&view.approved_by.join(", "))
    };
    rows.push(("approved", format!("{}, by {by}", view.tally())));
    format!("\n{}", columns(&rows))
}
