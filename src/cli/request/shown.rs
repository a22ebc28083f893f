//! A request and its session as the operator sees them.

use crate::{
    cli::{
        roster, screen, span, status,
        ui::{columns, plain},
    },
    protocol::socket::RequestView,
    trust::{
        Digest, Timestamp,
        request::{Purpose, Request},
        roster::REVIEW_HOURS,
    },
};

/// The request that was just made, with the words for the call.
pub(super) fn asked(request: &Request, words: &[&str; 6], view: &RequestView) -> String {
    let now = Timestamp::now();
    let mut rows = match &request.purpose {
        Purpose::Open => {
            let mut rows = vec![("access", format!("{} as {}", request.access, request.role))];
            let also = request.also.iter();
            rows.extend(also.map(|t| ("and as", t.role_arn.clone())));
            rows.extend(request.scenario.clone().map(|s| ("scenario", s)));
            rows.extend(request.subject.clone().map(|s| ("subject", s)));
            rows.extend(screen::checks(request).into_iter().map(|c| ("check", c)));
            rows.extend(request.follows.clone().map(|id| ("continues", id)));
            rows
        }
        Purpose::Drill => vec![
            (
                "drill",
                format!("of {} as {}", request.access, request.role),
            ),
            (
                "opens",
                "nothing; the sealed key is replaced for real".to_owned(),
            ),
        ],
        Purpose::CloseOnly { requests } if requests.is_empty() => {
            vec![("closes", "nothing; the sealed key is replaced".to_owned())]
        }
        Purpose::CloseOnly { requests } => {
            let mut rows = vec![("closes", requests.join(", "))];
            rows.extend(request.secrets.iter().map(|s| ("rotates", s.clone())));
            rows
        }
        Purpose::Roster { version, .. } => vec![("takes up", format!("roster version {version}"))],
    };
    rows.push((
        "needs",
        format!("{}, {} so far", quorum(view), view.approved_by.len()),
    ));
    rows.push(("until", span::when(request.approve_before, now)));
    let next = if request.purpose.is_open() {
        rows.push((
            "access ends",
            format!(
                "{} ({} in all)",
                span::at(request.not_after),
                span::show(request.not_before.until(request.not_after))
            ),
        ));
        let id = &request.id;
        format!("\nthen: twotap shell {id}, or twotap exec {id} -- COMMAND")
    } else {
        String::new()
    };
    format!(
        "request {}\n{}{}\nread the words to the custodians on a call; they must see the same\nnext: twotap status --watch{next}",
        request.id,
        columns(&rows),
        screen::words_line(words),
    )
}

/// The session that was opened, or what became of a request that opens none.
pub(super) fn session(request: &Request, view: &RequestView, now: Timestamp) -> String {
    if !request.purpose.is_open() {
        return view.outcome.as_deref().map_or(String::new(), plain);
    }
    let mut rows = vec![("access", format!("{} as {}", request.access, request.role))];
    let also = request.also.iter();
    rows.extend(also.map(|t| ("and as", t.role_arn.clone())));
    rows.extend(request.scenario.clone().map(|s| ("scenario", s)));
    rows.extend(request.subject.clone().map(|s| ("subject", s)));
    rows.push(("incident", request.incident.clone()));
    rows.push(("approved by", plain(&view.approved_by.join(", "))));
    rows.push(("ends", span::when(request.not_after, now)));
    rows.push((
        "review",
        format!("due {} h after its end", review_hours(request, view)),
    ));
    let mut text = format!("session {} is open\n{}", request.id, columns(&rows));
    if view.targets.len() > 1 {
        text.push_str(&status::targets(view, now));
        text.push('\n');
    }
    let id = &request.id;
    text.push_str(&columns(&[
        ("next", format!("twotap shell {id}")),
        ("or", format!("twotap exec {id} -- COMMAND")),
        ("when done", format!("twotap close {id}")),
    ]));
    text
}

/// By when the session is reviewed, by the roster that the request was made under; for display alone.
fn review_hours(request: &Request, view: &RequestView) -> u16 {
    let roster = roster::shown(&view.roster_chain);
    let scenario = match (&roster, &request.scenario) {
        (Ok(roster), Some(name)) => roster.scenario(name),
        _ => None,
    };
    scenario.map_or(REVIEW_HOURS, |s| s.review_hours)
}

/// What the request needs, by the roster that was checked with it.
fn quorum(view: &RequestView) -> String {
    match roster::shown(&view.roster_chain) {
        Ok(roster) => roster.quorum_in_words(),
        Err(_) => format!("{} custodians", view.threshold),
    }
}

/// The same for programs.
pub(super) fn json(
    request: &Request,
    words: &[&str; 6],
    digest: &Digest,
    view: &RequestView,
) -> serde_json::Value {
    serde_json::json!({
        "request": request.id,
        "vault": request.vault,
        "generation": request.generation,
        "stage": view.stage,
        "words": words,
        "request_sha256": digest,
        "threshold": view.threshold,
        "approved_by": view.approved_by,
        "approve_before": request.approve_before,
        "not_after": request.not_after,
        "account": request.account,
        "role": request.role,
        "also": request.also,
        "scenario": request.scenario,
        "subject": request.subject,
        "checks": request.checks,
        "purpose": request.purpose,
        "follows": request.follows,
        "targets": view.targets,
        "outcome": view.outcome,
    })
}
