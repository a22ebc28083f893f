//! Where a session went another way than the procedure has it, as far as the record shows. What no record can show is the review's.

use crate::{
    audit::event::{EventType, Record},
    protocol::socket::RequestView,
    trust::{
        request::{Clock, Request},
        roster::{Recording, Roster},
    },
};

use super::deadlines::{Deadline, Kept};

/// All of them, in plain words; none where it went by the book.
pub(super) fn of(
    view: &RequestView,
    request: &Request,
    roster: Option<&Roster>,
    events: &[Record],
    deadlines: &[Deadline],
) -> Vec<String> {
    let mut found = before(view, request);
    found.extend(events.iter().filter_map(|event| told(event, request)));
    let wanted = roster
        .and_then(|roster| roster.access(&request.access))
        .is_some_and(|access| access.recording != Recording::Off);
    let opened = events
        .iter()
        .any(|e| e.known_type() == Some(EventType::CredentialsDelivered));
    if wanted && opened && view.recordings.is_empty() {
        found.push("credentials were handed out, and nothing was recorded".to_owned());
    }
    found.extend(deadlines.iter().filter_map(|deadline| {
        let due = deadline.due?;
        match (deadline.kept, deadline.done) {
            (Kept::Late, Some(done)) => Some(format!("{} at {done}, due at {due}", deadline.what)),
            (Kept::Missed, _) => Some(format!("not {}: it was due at {due}", deadline.what)),
            _ => None,
        }
    }));
    found
}

/// What was so when custodians were asked.
fn before(view: &RequestView, request: &Request) -> Vec<String> {
    let mut found = Vec::new();
    match &view.commander {
        None if request.purpose.is_open() => {
            found.push("no incident commander was named".to_owned());
        }
        Some(commander) if commander.confirmed_at.is_none() => found.push(format!(
            "that {} authorised it is the word of {} alone: it was never confirmed",
            commander.name, request.operator
        )),
        _ => {}
    }
    for check in request.checks.iter().filter(|check| !check.passed) {
        found.push(format!(
            "check {} did not pass: {}",
            check.name, check.output
        ));
    }
    if request.clock == Clock::Host {
        found.push("AWS could not be asked for the time: all times are the host's".to_owned());
    }
    for (name, why) in &view.denied_by {
        found.push(format!("{name} said no: {why}"));
    }
    found
}

/// What one event says went another way.
fn told(event: &Record, request: &Request) -> Option<String> {
    use EventType as E;
    let text = |name: &str| event.what.get(name).and_then(|value| value.as_str());
    let is = |name: &str, value: bool| {
        event.what.get(name).and_then(serde_json::Value::as_bool) == Some(value)
    };
    let at = &event.timestamp;
    let why = text("why").unwrap_or("the record does not say why");
    match event.known_type()? {
        E::BreakGlassRequested if text("isolation") == Some("none") => {
            Some("the worker ran under the agent's own account".to_owned())
        }
        E::BreakGlassApproved => {
            let list = event.what.get("advisories")?.as_array()?;
            let known: Vec<&str> = list.iter().filter_map(|id| id.as_str()).collect();
            (!known.is_empty()).then(|| {
                format!(
                    "{} approved with a token about which {} is known",
                    event.actor,
                    known.join(", ")
                )
            })
        }
        E::ApprovalRefused => Some(format!("a vote at {at} did not count: {why}")),
        E::BreakGlassWithdrawn => Some(format!("{} took the approval back at {at}", event.actor)),
        E::TargetFailed => Some(format!("a role was not opened: {why}")),
        E::RequestFailed => Some(format!("it failed: {why}")),
        E::CredentialRotationPending => {
            Some(format!("the sealed key was not replaced at once: {why}"))
        }
        E::StrangerKeyFound => Some(format!(
            "at {at} the break-glass user had a key that nobody here made: {}",
            text("access_key_id").unwrap_or("unnamed")
        )),
        E::CredentialMisused => Some(format!(
            "at {at} the sealed key was used outside a ceremony"
        )),
        E::SessionClosed if is("forced", true) => Some(format!(
            "{} closed it, and not {}",
            event.actor, request.operator
        )),
        E::SessionClosed if event.actor == crate::audit::event::AGENT => Some(why.to_owned()),
        E::SessionExpired if is("observed", false) => {
            Some("its time ran out, and nothing observed that it was refused then".to_owned())
        }
        E::SessionExpired => Some("its time ran out: nobody closed it".to_owned()),
        E::RevocationStep if event.action == "close_pending" => {
            Some(format!("closing was held up at {at}: {why}"))
        }
        E::RevocationStep if matches!(&*event.action, "not_observed" | "not_kept") => Some(
            "it was denied by its tag, and nothing was kept that could observe the refusal"
                .to_owned(),
        ),
        E::SecretRotationFailed => Some(format!(
            "secret {} was not rotated at {at}: {why}",
            text("secret").unwrap_or("unnamed")
        )),
        E::RecordingFailed => Some(format!("a recording broke off at {at}: {why}")),
        E::AgentStarted => Some(format!("the agent was restarted at {at}")),
        E::RecoveryUsed => Some(format!("at {at} the vault was opened without this agent")),
        E::DegradedEvidence => Some(format!(
            "at {at} sink {} did not hold the record: {why}",
            text("sink").unwrap_or("unnamed")
        )),
        E::EvidenceRestored => Some(format!(
            "at {at} sink {} held the record again: it had not since {}",
            text("sink").unwrap_or("unnamed"),
            text("since").unwrap_or("a time that the record does not say"),
        )),
        E::EvidenceFlawed => Some(format!(
            "at {at} sink {} said of what it holds: {why}",
            text("sink").unwrap_or("unnamed")
        )),
        E::AuditTampered => Some(format!(
            "at {at} the live record on the host was found tampered with: {why}"
        )),
        E::StoreReset => Some(format!("at {at} the record began a new epoch: {why}")),
        E::ReviewOverdue => Some("nobody reviewed it in time".to_owned()),
        E::RotationOverdue => Some(format!(
            "the sealed key was not replaced in time, which was until {}",
            text("due").unwrap_or("an hour after the session")
        )),
        _ => None,
    }
}
