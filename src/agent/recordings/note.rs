//! What the operator wants on record, in the own words.

use super::super::{
    Agent,
    handlers::Answered,
    people::{self, Listed},
    record::Record,
    routes::{Answer, Call},
};
use crate::{
    audit::event::EventType,
    ceremony::Stage,
    protocol::{
        Code, Problem,
        recording::{MAX_NOTE, Note, Noted},
    },
    trust::text::check_text,
};
use std::sync::Arc;

/// What a note is among a request's steps.
const STEP: &str = "note";
/// The most notes of one request: all stand in its row, which is written whole with each change.
const MOST_NOTES: usize = 200;

/// `POST /v1/requests/{id}/notes`.
pub(in crate::agent) async fn note(call: Call) -> Answered {
    let Note { text } = call.body()?;
    let noted = call.agent.note(call.record()?, text, &call.caller).await?;
    Answer::json(&noted)
}

impl Agent {
    async fn note(
        self: &Arc<Self>,
        record: &Record,
        text: String,
        caller: &Listed,
    ) -> Result<Noted, Problem> {
        check_text("note", &text, 4 * MAX_NOTE)?;
        if text.chars().count() > MAX_NOTE {
            return Err(Problem::new(
                Code::Usage,
                format!("a note has at most {MAX_NOTE} characters"),
            )
            .hint("write it as several notes"));
        }
        let (id, by) = (record.id().to_owned(), caller.clone());
        self.book
            .commit(move |change| {
                let mut record = change.known(&id)?;
                if !matches!(record.stage, Stage::Open | Stage::Closing) {
                    return Err(Problem::new(
                        Code::Refused,
                        format!("the request is {}: notes belong to a session", record.stage),
                    ));
                }
                let before = record.progress.iter().filter(|p| p.step == STEP);
                if before.count() >= MOST_NOTES {
                    return Err(Problem::new(
                        Code::Refused,
                        format!("the request has {MOST_NOTES} notes already"),
                    )
                    .hint("keep the rest in the incident's own log"));
                }
                let at = change.now();
                let event = record
                    .event(
                        EventType::BreakGlassAction,
                        people::actor(&by.name)?,
                        change.place,
                    )
                    .action("note")
                    .justification(&record.request.reason)
                    .who(by.who.as_str())
                    .detail("note", text.as_str());
                let seq = change.event(&event)?.seq;
                record.step(at, STEP, format!("{}: {text}", by.name));
                change.put(record)?;
                Ok(Noted { seq, at })
            })
            .await
    }
}
