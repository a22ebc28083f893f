//! What the agent has to say about a request: beside what is signed, and shown as its word alone.

use std::sync::Arc;

use super::{Agent, record::Record, record::VaultRotation};
use crate::{ceremony::Stage, protocol::Problem, trust::request::Request};

/// What custodians should know of a request, by the agent's own record and state.
pub(super) async fn of(agent: &Arc<Agent>, record: &Record) -> Result<Vec<String>, Problem> {
    let request = &record.request;
    let requests = agent.book.requests();
    let before: Vec<&Request> = requests
        .iter()
        .filter(|r| r.id() != record.id() && r.request.vault == request.vault)
        .map(|r| &r.request)
        .collect();
    let mut said = unusual(request, &before);
    said.extend(authorised(record));
    let yes = record.votes.iter().filter(|v| v.denial.is_none());
    let yes: Vec<&str> = yes.map(|v| v.person.as_str()).collect();
    if !yes.is_empty() {
        let so_far = format!("approved so far by {}", yes.join(", "));
        let needed: Vec<String> = record.groups_lacking(&yes);
        said.push(match needed.as_slice() {
            [] => so_far,
            _ => format!("{so_far}; still needed: {}", needed.join(", ")),
        });
    }
    said.extend(
        requests
            .iter()
            .filter(|r| r.stage == Stage::Requested && r.id() != record.id())
            .map(|r| {
                format!(
                    "{} asks for something at this moment as well ({})",
                    r.request.operator,
                    r.id()
                )
            }),
    );
    if let VaultRotation::Pending(why) = agent.book.vault(&request.vault).await?.rotation {
        said.push(format!(
            "the key of an earlier opening is not replaced yet: {why}"
        ));
    }
    said.extend(agent.evidence.lines());
    said.extend(agent.alarms.lines());
    Ok(said)
}

/// Whether the commander who is named has said so too.
fn authorised(record: &Record) -> Option<String> {
    let commander = record.commander()?;
    Some(match (commander.confirmed_at, commander.who) {
        (Some(at), Some(who)) => {
            format!("{} authorised it at {at} from {who}", commander.name)
        }
        _ => format!("{} has not confirmed that it is authorised", commander.name),
    })
}

/// Against the requests that stand in the record, as far as the agent keeps them at hand.
fn unusual(request: &Request, before: &[&Request]) -> Vec<String> {
    let mut said = Vec::new();
    if before.iter().all(|r| r.operator != request.operator) {
        said.push(format!(
            "no request by {} is among the last ones of the record",
            request.operator
        ));
    }
    let length = |r: &Request| r.not_before.until(r.not_after);
    let longest = before
        .iter()
        .filter(|r| r.access == request.access)
        .map(|r| length(r))
        .max();
    if longest.is_some_and(|longest| length(request) > longest) {
        said.push(format!(
            "none of the last requests for access {} asked for this long",
            request.access
        ));
    }
    said
}
