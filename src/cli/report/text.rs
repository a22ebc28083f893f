//! A report as people read and hand it in: plain text, one heading a section, nothing in it that moves a cursor.

use crate::{
    cli::{
        span,
        ui::{columns, plain},
    },
    protocol::review::ReviewView,
    trust::request::Clock,
};

use super::{
    build::{Line, Report},
    deadlines::{Deadline, Kept},
};

/// The whole of it.
pub(super) fn text(report: &Report) -> String {
    let mut out = format!(
        "REPORT OF A BREAK-GLASS ACCESS\n\n{}",
        columns(&head(report))
    );
    let mut section = |title: &str, body: String| {
        out.push_str(&format!("\n{title}\n{body}"));
    };
    section("1. Incident", columns(&incident(report)));
    section("2. Access", columns(&access(report)));
    section("3. People", columns(&people(report)));
    if !report.checks.is_empty() {
        let rows = report.checks.iter().map(|check| {
            let passed = if check.passed {
                "passed"
            } else {
                "DID NOT PASS"
            };
            format!("{}: {passed}: {}", check.name, check.output)
        });
        section("   Checks", list(rows, ""));
    }
    section(
        "4. Actions and notes",
        list(
            report.actions.iter().map(said),
            "the operator noted none; AWS's own record has every call, see 9",
        ),
    );
    section(
        "5. Deliveries of credentials",
        list(report.deliveries.iter().map(said), "none"),
    );
    let recordings = report.recordings.iter().map(|r| {
        format!(
            "{}, began {}, digest {}",
            r.in_words(),
            span::at(r.began),
            r.head
        )
    });
    section("6. Recordings", list(recordings, "none"));
    section(
        "7. Deviations from the procedure",
        list(report.deviations.iter().cloned(), "none on record"),
    );
    section(
        "8. Deadlines",
        list(report.deadlines.iter().map(deadline), ""),
    );
    section("9. What may outlive the session", outlives(report));
    section("10. Review", review(report));
    section(
        "11. Every event",
        list(report.timeline.iter().map(in_full), "none"),
    );
    section("12. Evidence", columns(&evidence(report)));
    out
}

type Rows = Vec<(&'static str, String)>;

fn head(report: &Report) -> Rows {
    vec![
        ("request", plain(&report.request)),
        ("vault", plain(&report.vault)),
        ("state", crate::cli::status::stage(report.stage).to_owned()),
        (
            "outcome",
            report.outcome.as_deref().map_or("open".to_owned(), plain),
        ),
        (
            "made",
            format!("{} for {}", span::at(report.made), plain(&report.made_for)),
        ),
    ]
}

fn incident(report: &Report) -> Rows {
    let incident = &report.incident;
    let mut rows = vec![("incident", plain(&incident.id))];
    let mut add = |name, text: Option<&str>| {
        rows.extend(text.map(|text| (name, plain(text))));
    };
    add("scenario", incident.scenario.as_deref());
    let statement = incident
        .commander
        .as_ref()
        .and_then(|c| c.statement.as_ref());
    add("nature", statement.and_then(|s| s.nature.as_deref()));
    add("impact", statement.and_then(|s| s.impact.as_deref()));
    add(
        "why not the usual way",
        statement.and_then(|s| s.why.as_deref()),
    );
    add("reason, in the operator's words", Some(&incident.reason));
    add("subject", incident.subject.as_deref());
    let confirmed = incident.confirmed.join("; ");
    add(
        "confirmed",
        (!confirmed.is_empty()).then_some(confirmed.as_str()),
    );
    add("goes on from", incident.follows.as_deref());
    rows
}

fn access(report: &Report) -> Rows {
    let access = &report.access;
    let clock = match access.clock {
        Clock::Aws => "AWS's clock",
        Clock::Host => "the host's clock: AWS could not be asked",
    };
    let mut rows = vec![
        ("profile", plain(&access.profile)),
        ("roles", plain(&access.roles.join(", "))),
        ("Regions", plain(&access.regions.join(", "))),
        ("asked", format!("{} ({clock})", span::at(access.asked))),
    ];
    match (access.opened, access.closed) {
        (Some(opened), Some(closed)) => {
            rows.push(("opened", span::at(opened)));
            rows.push((
                "over",
                format!(
                    "{}, after {}",
                    span::at(closed),
                    span::show(opened.until(closed))
                ),
            ));
        }
        (Some(opened), None) => rows.push(("opened", span::at(opened))),
        (None, _) => rows.push(("opened", "never".to_owned())),
    }
    rows.push(("time box", format!("until {}", span::at(access.not_after))));
    rows.push(("policy", plain(&access.policy)));
    rows
}

fn people(report: &Report) -> Rows {
    let mut rows: Rows = Vec::new();
    if let Some(commander) = &report.incident.commander {
        let word = match (commander.confirmed_at, &commander.who) {
            (Some(at), Some(who)) => format!("confirmed {} from {}", span::at(at), plain(who)),
            _ => format!("says {}", plain(&report.access.operator)),
        };
        rows.push(("commander", format!("{}, {word}", plain(&commander.name))));
    }
    for part in &report.people {
        let mut said = format!("{}, {}", plain(&part.name), plain(&part.at));
        match part.serial {
            Some(serial) => {
                let key = part.who.as_deref().map_or(String::new(), plain);
                said.push_str(&format!(", token {serial}, key {key}"));
            }
            None => said.extend(part.who.as_deref().map(|w| format!(", from {}", plain(w)))),
        }
        let by = part.handed_in_by.as_deref();
        said.extend(by.map(|by| format!(", handed in from {}", plain(by))));
        said.extend(part.why.as_deref().map(|why| format!(": {}", plain(why))));
        rows.push((part.did, said));
    }
    rows
}

fn list(items: impl Iterator<Item = String>, none: &str) -> String {
    let lines: Vec<String> = items
        .map(|item| format!("  - {}\n", plain(&item)))
        .collect();
    if lines.is_empty() {
        return format!("  {none}\n");
    }
    lines.concat()
}

fn said(line: &Line) -> String {
    format!("{}  {}: {}", line.at, line.actor, line.text)
}

fn in_full(line: &Line) -> String {
    let who = line
        .who
        .as_deref()
        .map_or(String::new(), |w| format!(" ({w})"));
    let text = match line.text.is_empty() {
        true => String::new(),
        false => format!(": {}", line.text),
    };
    format!(
        "{:>6}  {}  {}  {}{who}{text}",
        line.seq, line.at, line.event, line.actor
    )
}

fn deadline(deadline: &Deadline) -> String {
    let due = match deadline.due {
        Some(at) => format!("due {at}"),
        None => "due once the session is over".to_owned(),
    };
    let done = match (deadline.kept, deadline.done) {
        (Kept::InTime, Some(at)) => format!("done {at}, in time"),
        (Kept::Late, Some(at)) => format!("done {at}, LATE"),
        (Kept::Missed, _) => "NOT DONE, and overdue".to_owned(),
        _ => "not done yet".to_owned(),
    };
    let note = deadline
        .note
        .as_deref()
        .map_or(String::new(), |n| format!(" ({n})"));
    format!("{}: {done}; {due}{note}", deadline.what)
}

fn outlives(report: &Report) -> String {
    let mut out = list(
        report.created.noted.iter().map(|n| format!("noted: {n}")),
        "the operator noted nothing that was made",
    );
    if let Some(until) = report.identity_until {
        out.push_str(&format!(
            "  systems that know identity alone (EKS) let it in until {}\n",
            span::at(until)
        ));
    }
    if !report.created.look_up.is_empty() {
        out.push_str(
            "  this host does not see what is done with a session; AWS's own record of it, in each account:\n",
        );
        for line in &report.created.look_up {
            out.push_str(&format!("    {}\n", plain(line)));
        }
    }
    out
}

fn review(report: &Report) -> String {
    let Some(ReviewView { due, signed, .. }) = &report.review else {
        return "  there is nothing to review yet\n".to_owned();
    };
    let Some(signed) = signed else {
        return format!("  not reviewed yet; due {}\n", span::at(*due));
    };
    let yes = |yes: bool| if yes { "yes" } else { "no" };
    let mut out = columns(&[
        (
            "by",
            format!("{}, {}", plain(&signed.by), span::at(signed.at)),
        ),
        ("authorised", yes(signed.authorised).to_owned()),
        (
            "every action accounted for",
            yes(signed.accounted).to_owned(),
        ),
        (
            "could have been resolved without",
            yes(signed.avoidable).to_owned(),
        ),
        ("findings", format!("sha256 {}", signed.findings_sha256)),
    ]);
    for line in report.findings.as_deref().unwrap_or_default().lines() {
        out.push_str(&format!("    {}\n", plain(line)));
    }
    out
}

fn evidence(report: &Report) -> Rows {
    let evidence = &report.evidence;
    let events = match (evidence.first, evidence.last) {
        (Some(first), Some(last)) => format!("{first} to {last}"),
        _ => "none".to_owned(),
    };
    vec![
        ("host", evidence.host.to_string()),
        ("offer", format!("sha256 {}", evidence.offer_sha256)),
        ("policy", format!("sha256 {}", report.access.policy_sha256)),
        ("roster", format!("sha256 {}", evidence.roster_sha256)),
        ("manifest", format!("sha256 {}", evidence.manifest_sha256)),
        ("events", events),
        (
            "head of the record",
            format!("{} {}", evidence.head.seq, evidence.head.hash),
        ),
        (
            "proof",
            "twotap audit export -o DIR, then twotap audit verify --export DIR".to_owned(),
        ),
    ]
}
