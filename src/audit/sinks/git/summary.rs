//! An incident on one page, made of its events alone: for whoever opens the repository and has nothing else at hand.

use std::fmt::Write as _;

use crate::audit::{
    alert::{alert, clean},
    event::{EventType as E, Record},
};

/// The page, as Markdown. `branch` is where the whole record lies.
pub(super) fn summary(request: &str, events: &[Record], branch: &str) -> String {
    let incident = events.iter().find_map(|r| r.incident_id.as_deref());
    let mut page = format!(
        "# {}: {}\n\n| | |\n| --- | --- |\n",
        cell(incident.unwrap_or("no incident")),
        cell(request)
    );
    let mut row = |name: &str, text: String| {
        if !text.is_empty() {
            let _ = writeln!(page, "| {name} | {text} |");
        }
    };
    let of = |kind: E| events.iter().filter(move |r| r.known_type() == Some(kind));
    let asked = of(E::BreakGlassRequested).next();
    let word = |name: &str| {
        asked
            .and_then(|r| r.what.get(name))
            .and_then(|value| value.as_str())
            .map(cell)
            .unwrap_or_default()
    };
    row("asked by", people(of(E::BreakGlassRequested)));
    row(
        "reason",
        asked
            .and_then(|r| r.justification.as_deref())
            .map(cell)
            .unwrap_or_default(),
    );
    for name in [
        "vault",
        "scenario",
        "access",
        "account",
        "role",
        "not_after",
    ] {
        row(&name.replace('_', " "), word(name));
    }
    row("authorised by", people(of(E::BreakGlassAuthorised)));
    row("approved by", people(of(E::BreakGlassApproved)));
    row("denied by", people(of(E::BreakGlassDenied)));
    row("session opened", times(of(E::BreakGlassAccess)));
    row("key replaced", times(of(E::CredentialRotated)));
    row(
        "closing began",
        people(of(E::SessionClosed).chain(of(E::SessionExpired))),
    );
    row("seen refused", times(of(E::SessionRevoked)));
    row("secrets replaced", times(of(E::SecretRotated)));
    row("reviewed by", people(of(E::ReviewSigned)));
    row("report filed by", people(of(E::ReportFiled)));

    page.push_str("\n## What happened\n\n| event | time | what | who | details |\n| --- | --- | --- | --- | --- |\n");
    for record in events {
        let who = match &record.who {
            Some(key) => format!("{} ({})", cell(&record.actor), cell(key)),
            None => cell(&record.actor),
        };
        let what = alert(record).map(|a| cell(&a.what)).unwrap_or_default();
        let _ = writeln!(
            page,
            "| {} | {} | {} | {who} | {what} |",
            record.seq,
            cell(&record.timestamp),
            cell(&record.event_type),
        );
    }
    let _ = write!(
        page,
        "\n## How to check it\n\n\
         `events.jsonl` has these events, byte for byte; `checkpoint.note` is the host's signed statement of the record's head \
         once it was over. The whole record, in which each line names the one before by its SHA-256, is on branch `{branch}`:\n\n\
         ```\ngit checkout {branch}\ncat record/*.jsonl > events.jsonl\ntwotap audit verify --export events.jsonl\n```\n"
    );
    page
}

fn people<'r>(events: impl Iterator<Item = &'r Record>) -> String {
    let all: Vec<String> = events
        .map(|r| format!("{} at {}", cell(&r.actor), cell(&r.timestamp)))
        .collect();
    all.join(", ")
}

fn times<'r>(events: impl Iterator<Item = &'r Record>) -> String {
    let all: Vec<String> = events.map(|r| cell(&r.timestamp)).collect();
    all.join(", ")
}

/// Text as one cell of a table: nothing in it is markup.
fn cell(text: &str) -> String {
    let mut out = String::new();
    for c in clean(text).chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '!' | '#' | '~' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}
