//! Everything in the record that is about one request, as lines; reports are made of it.

use std::sync::Arc;

use super::{
    Agent,
    handlers::Answered,
    record::Record,
    routes::{Answer, Call},
};
use crate::{
    audit::event::{EventType, Record as Line},
    protocol::{Code, Problem},
    trust::Timestamp,
};

/// How many events are read at once.
const BATCH: usize = 512;
/// The largest answer, in bytes: some ten thousand lines. What has more is not answered: a part of it would pass for all.
const MOST: usize = 16 * 1024 * 1024;

/// What is made of the whole record, or of all requests, is made one at a time: many who ask at once wait, and take no memory meanwhile.
pub(super) static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

pub(super) async fn trail(call: Call) -> Answered {
    let _turn = ONE_AT_A_TIME.lock().await;
    let record = Arc::clone(call.record()?);
    let lines = call.agent.trail(record).await?;
    Ok(Answer::text("application/x-ndjson", lines))
}

impl Agent {
    /// The lines of a request, oldest first, and those about its vault and this agent from its beginning to its end.
    async fn trail(self: &Arc<Self>, record: Arc<Record>) -> Result<Vec<u8>, Problem> {
        let mut lines = Vec::new();
        // What the request carries is the head before its own first event.
        let mut next = record.request.audit.seq + 1;
        loop {
            if lines.len() > MOST {
                return Err(Problem::new(
                    Code::Refused,
                    format!(
                        "request {} has over {} MiB of events",
                        record.id(),
                        MOST >> 20
                    ),
                )
                .hint("they stand in the record: twotap audit export -o DIR"));
            }
            let from = next;
            let entries = self
                .book
                .read(move |store| store.events(from, BATCH))
                .await?;
            let Some(last) = entries.last() else {
                break;
            };
            next = last.seq + 1;
            for entry in &entries {
                if Line::parse(&entry.line).is_ok_and(|line| is_about(&line, &record)) {
                    lines.extend_from_slice(&entry.line);
                    lines.push(b'\n');
                }
            }
        }
        Ok(lines)
    }
}

/// Its own; and, while it lasted, what happened to the vault outside any request, the agent's restarts, and what became of the record itself.
fn is_about(line: &Line, record: &Record) -> bool {
    if let Some(id) = &line.correlation_id {
        return id == record.id();
    }
    let closed = record.review.as_ref().map(|review| review.closed);
    let during = closed
        .or(record.ended_at)
        .is_none_or(|end| line.timestamp <= millis(end));
    let vault = line.what.get("vault").and_then(|v| v.as_str());
    match line.known_type() {
        Some(
            EventType::AgentStarted
            | EventType::DegradedEvidence
            | EventType::EvidenceRestored
            | EventType::EvidenceFlawed
            | EventType::AuditTampered
            | EventType::TamperingAcknowledged
            | EventType::StoreReset,
        ) => during,
        Some(EventType::Checkpoint) | None => false,
        Some(_) => during && vault == Some(record.request.vault.as_str()),
    }
}

/// The end of a second as it compares with the times of lines.
fn millis(at: Timestamp) -> String {
    let seconds = at.to_string();
    format!("{}.999Z", seconds.trim_end_matches('Z'))
}
