//! The scenarios of these tests, and the people and access profiles that they need.

use serde_json::json;
use twotap::trust::{
    request::{BannedUse, CheckResult},
    roster::{Access, Check, Needed, Role, Roster, Scenario},
    strict::Json,
};

use crate::support::person;

/// A reason that is long enough for every scenario.
pub(crate) const REASON: &str = "the database is down and nobody can sign in";
pub(crate) const NOT_FOR: &str = "routine-change,expediency,avoiding-review";
/// A request for one person's data, whole.
pub(crate) const PII: [&str; 10] = [
    "--scenario",
    "pii-access",
    "--subject",
    "u-4711",
    "--incident",
    "SUP-7",
    "--reason",
    REASON,
    "--not-for",
    NOT_FOR,
];

/// Adds two scenarios, a commander, and an access profile that is about one subject.
pub(crate) fn with_scenarios(roster: &mut Roster) {
    roster
        .people
        .push(person("ivan", Role::Commander, Vec::new()));
    let about_one = Access {
        name: "one-user".to_owned(),
        policy: Json(json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow",
            "Action": ["s3:GetObject"],
            "Resource": "arn:aws:s3:::people/${subject}/*",
        }]})),
        subject: Some("u-[0-9]+".to_owned()),
        max_seconds: 3600,
        default_seconds: 1800,
        ..roster.access[0].clone()
    };
    roster.access.push(about_one);
    let outage = Scenario {
        name: "outage".to_owned(),
        access: vec!["admin".to_owned()],
        default_seconds: 2 * 3600,
        max_seconds: 4 * 3600,
        review_hours: 24,
        needs: vec![Needed::Commander, Needed::Ticket],
        ticket: Some("INC-[0-9]+".to_owned()),
        min_reason: 20,
        checks: vec![
            Check {
                name: "down".to_owned(),
                required: true,
            },
            Check {
                name: "merged".to_owned(),
                required: false,
            },
        ],
        sinks: Vec::new(),
    };
    let lookup = Scenario {
        name: "pii-access".to_owned(),
        access: vec!["one-user".to_owned()],
        needs: vec![Needed::Subject],
        ticket: None,
        max_seconds: 2 * 3600,
        checks: Vec::new(),
        ..outage.clone()
    };
    roster.scenarios = vec![outage, lookup];
}

/// What the checks of `outage` came to; the advisory one did not pass.
pub(crate) fn results() -> Vec<CheckResult> {
    let result = |name: &str, passed: bool, output: &str| CheckResult {
        name: name.to_owned(),
        required: passed,
        passed,
        output: output.to_owned(),
    };
    vec![
        result("down", true, "the control plane does not answer"),
        result("merged", false, "there is no pull request"),
    ]
}

/// Everything that is to be confirmed.
pub(crate) fn confirmed() -> Vec<BannedUse> {
    BannedUse::ALL.to_vec()
}
