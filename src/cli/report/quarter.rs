//! Every access of a quarter, for the access review: whatever was asked for, whatever became of it, and whether somebody looked at it.

use serde::Serialize;

use crate::{
    cli::{
        client::Agent,
        span, status,
        ui::{columns, plain},
    },
    protocol::{
        Code, Problem,
        review::{AccessRow, Quarter},
    },
    trust::{Day, Timestamp, request::Purpose},
};

/// A quarter's accesses.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Quarterly {
    quarter: String,
    /// Its first day.
    from: Day,
    /// The first day after it.
    until: Day,
    made: Timestamp,
    totals: Totals,
    requests: Vec<AccessRow>,
}

/// The quarter in figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
struct Totals {
    /// Everything that was asked for, drills and changes of the roster included.
    requests: usize,
    /// Those of which a session came.
    sessions: usize,
    /// How long they were open, together, in seconds.
    seconds: i64,
    /// Reviewed in time.
    reviewed: usize,
    /// Reviewed, and too late.
    late: usize,
    /// Not reviewed, and it is too late.
    overdue: usize,
    /// Not reviewed yet, and there is time.
    waiting: usize,
    /// Which a review found not to have been authorised.
    unauthorised: usize,
}

/// Asks for it.
pub(super) fn of(agent: &Agent, text: &str) -> Result<Quarterly, Problem> {
    let quarter = Quarter::parse(text);
    let days = quarter.and_then(|q| Some((q.to_string(), q.first()?, q.end()?)));
    let (name, from, until) = days.ok_or_else(|| {
        Problem::new(Code::Usage, format!("'{}' is not a quarter", plain(text)))
            .hint("write it like 2026Q4")
    })?;
    let requests: Vec<AccessRow> = agent.ask(&format!("/v1/reviews?from={from}&until={until}"))?;
    let made = Timestamp::now();
    Ok(Quarterly {
        quarter: name,
        from,
        until,
        made,
        totals: totals(&requests, made),
        requests,
    })
}

fn totals(rows: &[AccessRow], now: Timestamp) -> Totals {
    let mut totals = Totals::default();
    for row in rows {
        totals.requests += 1;
        if let Some(seconds) = row.seconds(now) {
            totals.sessions += 1;
            totals.seconds += seconds;
        }
        match row.review.as_ref().map(|r| (r.due, r.signed.as_ref())) {
            Some((due, Some(signed))) => {
                match signed.at <= due {
                    true => totals.reviewed += 1,
                    false => totals.late += 1,
                }
                totals.unauthorised += usize::from(!signed.authorised);
            }
            Some((due, None)) if due < now => totals.overdue += 1,
            Some((_, None)) => totals.waiting += 1,
            None => {}
        }
    }
    totals
}

/// As people read it.
pub(super) fn text(all: &Quarterly) -> String {
    let totals = &all.totals;
    let mut out = format!(
        "ACCESS REVIEW {}: asked from {} until before {}, UTC\n\n{}",
        all.quarter,
        all.from,
        all.until,
        columns(&[
            ("made", span::at(all.made)),
            ("requests", totals.requests.to_string()),
            (
                "sessions",
                format!(
                    "{}, open for {} together",
                    totals.sessions,
                    span::show(totals.seconds)
                ),
            ),
            (
                "reviewed",
                format!(
                    "{} in time, {} late, {} overdue, {} not due yet",
                    totals.reviewed, totals.late, totals.overdue, totals.waiting
                ),
            ),
            (
                "not authorised",
                format!("{} by their reviews", totals.unauthorised),
            ),
        ])
    );
    for row in &all.requests {
        out.push_str(&format!(
            "\n{}\n{}",
            plain(&row.request),
            columns(&rows(row, all.made))
        ));
    }
    out
}

fn rows(row: &AccessRow, now: Timestamp) -> Vec<(&'static str, String)> {
    let purpose = match &row.purpose {
        Purpose::Open => format!("access {}", plain(&row.access)),
        Purpose::CloseOnly { .. } => "closes, and opens nothing".to_owned(),
        Purpose::Drill => "a drill".to_owned(),
        Purpose::Roster { version, .. } => format!("takes up roster version {version}"),
    };
    let mut rows = vec![
        ("asked", span::at(row.asked)),
        ("incident", plain(&row.incident)),
        ("reason", plain(&row.reason)),
        ("who", plain(&row.operator)),
        ("what", purpose),
    ];
    if row.purpose.is_open() {
        rows.push(("roles", plain(&row.roles.join(", "))));
    }
    let mut add = |name, text: &Option<String>| {
        rows.extend(text.as_deref().map(|text| (name, plain(text))));
    };
    add("scenario", &row.scenario);
    add("subject", &row.subject);
    add("goes on from", &row.follows);
    if let Some(commander) = &row.commander {
        let word = match commander.confirmed_at {
            Some(at) => format!("confirmed {}", span::at(at)),
            None => format!("says {}", plain(&row.operator)),
        };
        rows.push(("commander", format!("{}, {word}", plain(&commander.name))));
    }
    rows.push(("approved by", names(&row.approved_by)));
    if !row.denied_by.is_empty() {
        rows.push(("denied by", names(&row.denied_by)));
    }
    let length = match (row.seconds(now), row.closed) {
        (Some(seconds), Some(_)) => span::show(seconds),
        (Some(seconds), None) => format!("{} so far", span::show(seconds)),
        (None, _) => "never open".to_owned(),
    };
    rows.push(("open for", length));
    let outcome = row
        .outcome
        .as_deref()
        .map_or(String::new(), |o| format!(": {}", plain(o)));
    rows.push(("state", format!("{}{outcome}", status::stage(row.stage))));
    rows.extend(reviewed(row, now).map(|text| ("reviewed", text)));
    rows
}

fn names(names: &[String]) -> String {
    match names {
        [] => "nobody".to_owned(),
        names => plain(&names.join(", ")),
    }
}

fn reviewed(row: &AccessRow, now: Timestamp) -> Option<String> {
    let review = row.review.as_ref()?;
    let Some(signed) = &review.signed else {
        return Some(match review.due < now {
            true => format!("NO, and overdue since {}", span::at(review.due)),
            false => format!("not yet; due {}", span::at(review.due)),
        });
    };
    let late = if signed.at > review.due { ", LATE" } else { "" };
    let authorised = if signed.authorised {
        "authorised"
    } else {
        "NOT authorised"
    };
    Some(format!(
        "by {} {}{late}: {authorised}, {} deviations",
        plain(&signed.by),
        span::at(signed.at),
        signed.deviations
    ))
}
