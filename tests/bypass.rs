//! What AWS tells people on its own: governance bypassed, the break-glass user or a role of twotap's used, a revocation taken away. Each is
//! done for real, and its alert has to arrive with who, where and what in plain text, while no agent runs at all.

#[path = "bypass/governance.rs"]
mod governance;
#[path = "bypass/identities.rs"]
mod identities;
#[path = "bypass/simulate.rs"]
mod simulate;

use std::time::Duration;

use serde_json::Value;
use twotap_rig::{World, alerts::Alerts};

/// How long an alert may take, on a busy machine.
const SOON: Duration = Duration::from_secs(60);

/// An account with its alerts.
fn standing() -> (World, Alerts) {
    let world = World::new().expect("a world");
    let alerts = Alerts::stand(&world).expect("alerts");
    (world, alerts)
}

/// An alert's fields; it is JSON that people read as it is.
fn fields(alert: &str) -> Value {
    serde_json::from_str(alert).unwrap_or_else(|why| panic!("{why}: {alert}"))
}

/// Who, where and what stand in plain text, and what to do next.
fn tells(alert: &str, who: &str, what: &[&str]) {
    let said = fields(alert);
    assert_eq!(said["actor_arn"], who, "{alert}");
    assert_eq!(said["source_ip"], "127.0.0.1", "{alert}");
    let parameters = said["request_parameters"].to_string();
    for part in what {
        assert!(parameters.contains(part), "{part}: {alert}");
    }
    for field in ["event", "time", "region", "account", "severity"] {
        assert!(
            said[field].as_str().is_some_and(|text| !text.is_empty()),
            "{field}: {alert}"
        );
    }
    assert!(
        said["next"].to_string().contains("within 5 minutes"),
        "{alert}"
    );
}

/// Alerts of one kind, by how they begin.
fn of<'a>(alerts: &'a [String], kind: &str) -> Vec<&'a String> {
    alerts
        .iter()
        .filter(|alert| {
            fields(alert)["alert"]
                .as_str()
                .is_some_and(|text| text.starts_with(kind))
        })
        .collect()
}
