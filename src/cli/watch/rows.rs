//! What a live view says, as rows that know no terminal: what people are waited for first, then what runs, then what to see to.

use crate::{
    protocol::{
        recording::RecordingState,
        review::ReviewOpen,
        socket::{RequestView, SinkView, Stage, Status, VaultStatus},
    },
    trust::{
        Timestamp,
        request::{Offer, Purpose, Request},
    },
};

use super::super::{people, sinks, span, status, ui::plain};

/// How something is to be seen; the words say it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Good,
    /// Somebody has to do something.
    Look,
    Bad,
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Row {
    /// Begins a part.
    Heading(String),
    /// Names a thing; `right` stands at the other edge.
    Title {
        left: String,
        right: String,
        tone: Tone,
    },
    /// Says something about it, broken into lines where it is long.
    Fact {
        name: &'static str,
        text: String,
        tone: Tone,
    },
    /// Says something that is known already, in one line and cut where it is longer.
    Line { name: &'static str, text: String },
    /// How much of a whole.
    Bar {
        name: &'static str,
        done: u64,
        of: u64,
        text: String,
        tone: Tone,
    },
}

/// How many of a closing's steps are shown.
const STEPS: usize = 8;
/// Below so many seconds time left is something to look at.
const SOON: i64 = 15 * 60;

/// Everything, in the order of what matters now.
pub(super) fn rows(status: &Status, now: Timestamp) -> Vec<Row> {
    let mut rows = Vec::new();
    let stages = |stages: &[Stage]| -> Vec<&RequestView> {
        let all = status.requests.iter();
        all.filter(|r| stages.contains(&r.stage)).collect()
    };
    let waiting = stages(&[Stage::Requested]);
    let sessions = stages(&[Stage::Approved, Stage::Open]);
    let closing = stages(&[Stage::Closing]);
    part(&mut rows, "waiting for approvals", &waiting, now, requested);
    part(&mut rows, "sessions", &sessions, now, session);
    part(&mut rows, "closing", &closing, now, being_closed);
    if waiting.is_empty() && sessions.is_empty() && closing.is_empty() {
        rows.push(Row::Heading("no request is open".to_owned()));
    }
    if !status.reviews.is_empty() {
        rows.push(Row::Heading(format!(
            "to be reviewed ({})",
            status.reviews.len()
        )));
        rows.extend(status.reviews.iter().map(|r| review(r, now)));
    }
    if !status.degraded.is_empty() {
        rows.push(Row::Heading(format!(
            "degraded ({})",
            status.degraded.len()
        )));
        let lines = status.degraded.iter();
        rows.extend(lines.map(|line| fact("!", plain(line), Tone::Bad)));
    }
    if !status.vaults.is_empty() {
        rows.push(Row::Heading("vaults".to_owned()));
        rows.extend(status.vaults.iter().flat_map(vault));
    }
    if !status.sinks.is_empty() {
        rows.push(Row::Heading("record goes to".to_owned()));
        rows.extend(status.sinks.iter().flat_map(|s| sink(s, now)));
    }
    let over = stages(&[Stage::Closed, Stage::Denied, Stage::Expired, Stage::Failed]);
    part(&mut rows, "ended within a day", &over, now, ended);
    rows
}

fn part(
    rows: &mut Vec<Row>,
    heading: &str,
    views: &[&RequestView],
    now: Timestamp,
    of: fn(&RequestView, Timestamp) -> Vec<Row>,
) {
    if views.is_empty() {
        return;
    }
    rows.push(Row::Heading(format!("{heading} ({})", views.len())));
    rows.extend(views.iter().flat_map(|view| of(view, now)));
}

fn requested(view: &RequestView, now: Timestamp) -> Vec<Row> {
    let request = request(view);
    let right = request.as_ref().map_or(String::new(), |r| {
        format!("{} left", clock(now.until(r.approve_before)))
    });
    let mut rows = vec![title(view, request.as_ref(), right, Tone::Look)];
    rows.push(taps(view, Tone::Look));
    rows.extend(denials(view));
    rows.extend(
        request
            .as_ref()
            .map_or_else(Vec::new, |r| declared(view, r)),
    );
    rows
}

fn session(view: &RequestView, now: Timestamp) -> Vec<Row> {
    let request = request(view);
    let mut rows = vec![title(
        view,
        request.as_ref(),
        status::stage(view.stage).to_owned(),
        Tone::Good,
    )];
    if let Some(request) = request.as_ref().filter(|_| view.stage == Stage::Open) {
        let left = now.until(request.not_after).max(0);
        let whole = request.not_before.until(request.not_after).max(1);
        let tone = if left < SOON { Tone::Look } else { Tone::Good };
        rows.push(Row::Bar {
            name: "left",
            done: left.unsigned_abs(),
            of: whole.unsigned_abs(),
            text: format!("{}, until {}", clock(left), span::at(request.not_after)),
            tone,
        });
    }
    rows.push(delivered(view, now));
    rows.push(taps(view, Tone::Plain));
    rows.extend(recorded(view));
    rows.extend(targets(view, now));
    if let Some(last) = view.progress.last().filter(|_| view.stage != Stage::Open) {
        rows.push(fact(
            "step",
            step_text(&last.text, last.at, now),
            Tone::Plain,
        ));
    }
    rows.extend(request.as_ref().map(|request| Row::Line {
        name: "reason",
        text: plain(&request.reason),
    }));
    rows
}

fn being_closed(view: &RequestView, now: Timestamp) -> Vec<Row> {
    let request = request(view);
    let right = view.progress.last().map_or(String::new(), |last| {
        format!("last step {}", span::from_now(last.at, now))
    });
    let mut rows = vec![title(view, request.as_ref(), right, Tone::Look)];
    let steps = status::closing_steps(view);
    let hidden = steps.len().saturating_sub(STEPS);
    if hidden > 0 {
        rows.push(fact("", format!("({hidden} steps before)"), Tone::Plain));
    }
    // The last one stands apart elsewhere; here it is one of them.
    let shown = steps[hidden..].iter().chain(view.progress.last());
    rows.extend(shown.map(|step| {
        let text = format!("{}  {}", time_of_day(step.at), plain(&step.text));
        fact("step", text, Tone::Plain)
    }));
    let all = status::target_rows(view, now).into_iter();
    rows.extend(all.map(|(name, text)| match name {
        "account" => fact("role", text, Tone::Plain),
        _ => fact("held up", text, Tone::Bad),
    }));
    let lapses = view.evidence.iter();
    rows.extend(lapses.map(|lapse| {
        let tone = if lapse.restored.is_some() {
            Tone::Plain
        } else {
            Tone::Bad
        };
        fact("evidence", plain(&lapse.in_words()), tone)
    }));
    if let Some(setback) = &view.setback {
        rows.push(fact("held up", status::held_up(setback, now), Tone::Bad));
    }
    rows.push(delivered(view, now));
    rows.extend(recorded(view));
    rows
}

fn ended(view: &RequestView, _: Timestamp) -> Vec<Row> {
    let request = request(view);
    let tone = match view.stage {
        Stage::Failed => Tone::Bad,
        _ => Tone::Plain,
    };
    let stage = status::stage(view.stage).to_owned();
    let mut rows = vec![title(view, request.as_ref(), stage, tone)];
    if let Some(outcome) = &view.outcome {
        rows.push(fact("outcome", plain(outcome), tone));
    }
    rows.extend(denials(view));
    rows
}

fn vault(vault: &VaultStatus) -> Vec<Row> {
    let generation = match vault.generation {
        Some(n) => format!("generation {n}"),
        None => "nothing sealed".to_owned(),
    };
    let loud = |quiet: bool| if quiet { Tone::Plain } else { Tone::Bad };
    let ready = match vault.readiness.degraded.len() {
        0 => "ready as the policy asks".to_owned(),
        1 => "1 thing to see to".to_owned(),
        n => format!("{n} things to see to"),
    };
    let copies = vault.copies.iter();
    let newest = copies.filter(|c| c.generation == vault.generation).count();
    let copies = match vault.copies.len() {
        0 => "no copy elsewhere".to_owned(),
        all => format!("{newest} of {all} copies current"),
    };
    vec![
        Row::Title {
            left: format!("{}  {generation}", plain(&vault.vault)),
            right: format!(
                "{} of {} must approve",
                vault.threshold,
                vault.custodians.len()
            ),
            tone: Tone::Plain,
        },
        fact(
            "ready",
            format!("{ready}; {copies}"),
            loud(vault.readiness.degraded.is_empty() && newest == vault.copies.len()),
        ),
        fact(
            "key",
            format!(
                "rotation {}; uses: {}",
                plain(&vault.rotation),
                plain(&vault.watch)
            ),
            loud(!vault.rotation.starts_with("pending") && !vault.rotation.starts_with("owed")),
        ),
    ]
}

/// One that holds everything in one line; what another one lacks and why, in the words of `status`.
fn sink(sink: &SinkView, now: Timestamp) -> Vec<Row> {
    let tone = match (sink.failing_seconds, sink.lag, &sink.complaint) {
        (Some(_), _, _) => Tone::Bad,
        (None, 0, None) => Tone::Plain,
        _ => Tone::Look,
    };
    let asked = sinks::asked(sink).map_or(String::new(), |asked| format!("  {asked}"));
    let title = |right| Row::Title {
        left: format!("{}  event {}{asked}", plain(&sink.name), sink.acknowledged),
        right,
        tone,
    };
    let state = sinks::state(sink, now);
    match tone {
        Tone::Plain => vec![title(state)],
        _ => vec![title(String::new()), fact("state", state, tone)],
    }
}

fn request(view: &RequestView) -> Option<Request> {
    // For display alone: whoever acts upon a request checks it first.
    let offer = view.offer.unverified::<Offer>().ok();
    offer.map(|Offer(request)| request)
}

fn title(view: &RequestView, request: Option<&Request>, right: String, tone: Tone) -> Row {
    let mut left = plain(&view.id);
    if let Some(request) = request {
        let what = match &request.purpose {
            Purpose::Open => request.access.clone(),
            Purpose::Drill => "a drill".to_owned(),
            Purpose::CloseOnly { .. } => "closing alone".to_owned(),
            Purpose::Roster { version, .. } => format!("roster version {version}"),
        };
        let whole = format!(
            "  {}  {}: {what}, {}",
            request.vault, request.operator, request.incident
        );
        left.push_str(&plain(&whole));
    }
    Row::Title { left, right, tone }
}

fn taps(view: &RequestView, tone: Tone) -> Row {
    let by = match view.approved_by.is_empty() {
        true => "nobody yet".to_owned(),
        false => view.approved_by.join(", "),
    };
    Row::Bar {
        name: "taps",
        done: u64::try_from(view.approved_by.len()).unwrap_or(u64::MAX),
        of: u64::from(view.threshold),
        text: plain(&format!("{}: {by}", view.tally())),
        tone,
    }
}

fn denials(view: &RequestView) -> impl Iterator<Item = Row> {
    view.denied_by
        .iter()
        .map(|(who, why)| fact("denied", plain(&format!("{who}: {why}")), Tone::Bad))
}

/// What the operator says it is for, who stands for that, and what was checked of it.
fn declared(view: &RequestView, request: &Request) -> Vec<Row> {
    let mut rows = vec![fact("reason", plain(&request.reason), Tone::Plain)];
    let scenario = request.scenario.as_deref();
    let subject = request.subject.as_deref().map(|s| format!("about {s}"));
    let follows = request.follows.as_deref().map(|f| format!("after {f}"));
    let parts = [scenario.map(str::to_owned), subject, follows];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if !parts.is_empty() {
        rows.push(fact("scenario", plain(&parts.join(", ")), Tone::Plain));
    }
    rows.extend(people::authorised(view).map(|by| fact("by", by, Tone::Plain)));
    rows.extend(request.checks.iter().map(|check| {
        let (word, tone) = match (check.passed, check.required) {
            (true, _) => ("passed", Tone::Plain),
            (false, true) => ("FAILED", Tone::Bad),
            (false, false) => ("FAILED (advisory)", Tone::Bad),
        };
        let output = match check.output.is_empty() {
            true => String::new(),
            false => format!(": {}", check.output),
        };
        let text = format!("{} {word}{output}", check.name);
        fact("check", plain(&text), tone)
    }));
    rows
}

fn recorded(view: &RequestView) -> impl Iterator<Item = Row> {
    view.recordings.iter().map(|recording| {
        let tone = match recording.state {
            RecordingState::Failed { .. } => Tone::Bad,
            RecordingState::Running | RecordingState::Ended { .. } => Tone::Plain,
        };
        fact("recorded", plain(&recording.in_words()), tone)
    })
}

fn review(review: &ReviewOpen, now: Timestamp) -> Row {
    let (tone, right) = match review.overdue {
        true => (
            Tone::Bad,
            format!("OVERDUE, was due {}", span::from_now(review.due, now)),
        ),
        false => (
            Tone::Look,
            format!("due {}", span::from_now(review.due, now)),
        ),
    };
    let left = format!(
        "{}  {}  {}, {}",
        review.request, review.vault, review.operator, review.incident
    );
    Row::Title {
        left: plain(&left),
        right,
        tone,
    }
}

fn delivered(view: &RequestView, now: Timestamp) -> Row {
    let text = match &view.delivered {
        None => "nothing handed out yet".to_owned(),
        Some(delivered) => status::delivered(delivered, view, now),
    };
    fact("given", text, Tone::Plain)
}

/// Of several roles each, of one nothing: it is the session.
fn targets(view: &RequestView, now: Timestamp) -> Vec<Row> {
    if view.targets.len() < 2 {
        return Vec::new();
    }
    let all = status::target_rows(view, now).into_iter();
    all.map(|(name, text)| match name {
        "account" => fact("role", text, Tone::Plain),
        _ => fact("held up", text, Tone::Bad),
    })
    .collect()
}

fn fact(name: &'static str, text: String, tone: Tone) -> Row {
    Row::Fact { name, text, tone }
}

fn step_text(text: &str, at: Timestamp, now: Timestamp) -> String {
    format!("{} ({})", plain(text), span::from_now(at, now))
}

/// `3:12:05`, `28:04`: what counts down.
pub(super) fn clock(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match h {
        0 => format!("{m:02}:{s:02}"),
        _ => format!("{h}:{m:02}:{s:02}"),
    }
}

/// `10:00:05`, in UTC.
pub(super) fn time_of_day(time: Timestamp) -> String {
    let at = span::at(time);
    at.split(' ').nth(1).unwrap_or_default().to_owned()
}
