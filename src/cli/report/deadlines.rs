//! What has to be done after a session, by when, and when it was.

use serde::Serialize;

use crate::{
    audit::event::{EventType, Record},
    protocol::{
        review::{BOARD_SECONDS, REPORT_SECONDS, ROTATION_SECONDS, ReviewView, With},
        secrets::SecretState,
        socket::RequestView,
    },
    trust::Timestamp,
};

/// One thing that is to be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Deadline {
    /// What.
    pub(super) what: String,
    /// By when; absent while the session is not over.
    pub(super) due: Option<Timestamp>,
    /// When it was done.
    pub(super) done: Option<Timestamp>,
    /// How that compares.
    pub(super) kept: Kept,
    /// By whom, under which reference, or what holds it up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) note: Option<String>,
}

/// Whether a deadline was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kept {
    /// Done in time.
    InTime,
    /// Done, and too late.
    Late,
    /// Not done, and its time is over.
    Missed,
    /// Not done, and there is time.
    Ahead,
}

impl Deadline {
    fn new(
        what: impl Into<String>,
        due: Option<Timestamp>,
        done: Option<Timestamp>,
        now: Timestamp,
    ) -> Self {
        let kept = match (due, done) {
            (Some(due), Some(done)) if done > due => Kept::Late,
            (_, Some(_)) => Kept::InTime,
            (Some(due), None) if now > due => Kept::Missed,
            (_, None) => Kept::Ahead,
        };
        Self {
            what: what.into(),
            due,
            done,
            kept,
            note: None,
        }
    }

    fn note(mut self, note: Option<String>) -> Self {
        self.note = note;
        self
    }
}

/// Whom a report is handed to, as people read it.
pub(super) fn whom(with: With) -> &'static str {
    match with {
        With::Report => "whoever keeps the reports",
        With::Board => "the change board",
    }
}

/// All of a session's, in the order in which they fall due.
pub(super) fn of(view: &RequestView, events: &[Record], now: Timestamp) -> Vec<Deadline> {
    let review = view.review.as_ref();
    let closed = review.map(|review| review.closed);
    let after = |seconds: i64| closed.map(|at| at.plus(seconds));
    // The session has to be ended within the hour after somebody said so, or its time was over.
    let begun = newest(events, |e| e == EventType::SessionClosed);
    let ended_by = begun.or(closed).map(|at| at.plus(ROTATION_SECONDS));
    let rotated = newest(events, |e| e == EventType::CredentialRotated);
    let mut all = vec![
        Deadline::new("access ended", ended_by, closed, now).note(view.outcome.clone()),
        Deadline::new(
            "sealed key replaced, the old one dead",
            after(ROTATION_SECONDS),
            rotated,
            now,
        ),
    ];
    for secret in &view.secrets {
        let (done, note) = match &secret.state {
            SecretState::Rotated => (secret_rotated(events, &secret.secret), None),
            SecretState::Due => (None, None),
            SecretState::Pending { why } => (None, Some(format!("tried again by itself: {why}"))),
            SecretState::Owed { why } => (None, Some(format!("owed: {why}"))),
        };
        let what = format!("secret {} rotated", secret.secret);
        all.push(Deadline::new(what, after(ROTATION_SECONDS), done, now).note(note));
    }
    all.extend(papers(review, closed, now));
    all
}

/// Report, review and change board.
fn papers(review: Option<&ReviewView>, closed: Option<Timestamp>, now: Timestamp) -> Vec<Deadline> {
    let filed = |with| review.and_then(|review| review.filed_with(with));
    let paper = |what: &str, with: With, seconds: i64| {
        let filed = filed(with);
        let note = filed.map(|f| format!("as {}, by {}", f.reference, f.by));
        let due = closed.map(|at| at.plus(seconds));
        Deadline::new(what, due, filed.map(|f| f.at), now).note(note)
    };
    let signed = review.and_then(|review| review.signed.as_ref());
    let mut all = vec![
        paper("report handed in", With::Report, REPORT_SECONDS),
        Deadline::new(
            "reviewed by an officer",
            review.map(|review| review.due),
            signed.map(|signed| signed.at),
            now,
        )
        .note(signed.map(|signed| format!("by {}", signed.by))),
        paper("before the change board", With::Board, BOARD_SECONDS),
    ];
    all.sort_by_key(|deadline| deadline.due);
    all
}

/// When an event of this kind came last.
fn newest(events: &[Record], is: impl Fn(EventType) -> bool) -> Option<Timestamp> {
    let found = events
        .iter()
        .rev()
        .find(|e| e.correlation_id.is_some() && e.known_type().is_some_and(&is))?;
    when(found)
}

fn secret_rotated(events: &[Record], arn: &str) -> Option<Timestamp> {
    let found = events.iter().rev().find(|e| {
        e.known_type() == Some(EventType::SecretRotated)
            && e.what.get("secret").and_then(|s| s.as_str()) == Some(arn)
    })?;
    when(found)
}

/// An event's time in whole seconds.
pub(super) fn when(event: &Record) -> Option<Timestamp> {
    let (seconds, _) = event.timestamp.split_once('.')?;
    Timestamp::parse(&format!("{seconds}Z"))
}
