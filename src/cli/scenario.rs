//! A scenario in plain words: in the request's questions and in a roster.

use super::{span, ui::plain};
use crate::trust::roster::{Needed, Scenario};

/// A scenario's terms, a line or two.
pub(super) fn in_words(scenario: &Scenario) -> Vec<String> {
    let mut lines = vec![format!(
        "access {}; {}, at most {}; review {} h after its end",
        scenario.access.join(", "),
        span::show(scenario.default_seconds.into()),
        span::show(scenario.max_seconds.into()),
        scenario.review_hours
    )];
    let mut needs: Vec<String> = Vec::new();
    for needed in &scenario.needs {
        needs.push(match (needed, &scenario.ticket) {
            (Needed::Ticket, Some(ticket)) => format!("a ticket like {}", plain(ticket)),
            (needed, _) => format!("a {}", needed.name()),
        });
    }
    if scenario.min_reason > 0 {
        needs.push(format!("a reason of {} characters", scenario.min_reason));
    }
    if !needs.is_empty() {
        lines.push(format!("needs {}", needs.join(", ")));
    }
    if !scenario.checks.is_empty() {
        let checks: Vec<String> = scenario
            .checks
            .iter()
            .map(|c| match c.required {
                true => c.name.clone(),
                false => format!("{} (advisory)", c.name),
            })
            .collect();
        lines.push(format!("checks {}", checks.join(", ")));
    }
    if !scenario.sinks.is_empty() {
        let sinks = scenario.sinks.join(", ");
        lines.push(format!(
            "acknowledged by {sinks} before custodians are asked"
        ));
    }
    lines
}
