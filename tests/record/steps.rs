//! Every step that a worker's journal may hold becomes a line that the schema describes. Most of them only come up when something goes wrong,
//! so here a worker says that it has.

use serde_json::{Value, json};
use twotap::protocol::job::Step;

use super::{
    agent_support::{Host, Paper, until},
    lines::validate,
};

/// A step as it stands in a journal, and the event and action that it becomes.
const STEPS: &[(&str, &str, &str)] = &[
    (
        r#"{"step":"stray_found","access_key_id":"AKIAEXAMPLEEXAMPLE01","whose":"ours","active":true}"#,
        "ROTATION_STEP",
        "stray_found",
    ),
    (
        r#"{"step":"stray_found","access_key_id":"AKIAEXAMPLEEXAMPLE02","whose":"stranger","active":false,"created":"2026-01-06T10:00:00Z"}"#,
        "STRANGER_KEY_FOUND",
        "find_stranger",
    ),
    (
        r#"{"step":"stranger_disabled","access_key_id":"AKIAEXAMPLEEXAMPLE02"}"#,
        "ROTATION_STEP",
        "stranger_disabled",
    ),
    (
        r#"{"step":"stranger_deleted","access_key_id":"AKIAEXAMPLEEXAMPLE02"}"#,
        "ROTATION_STEP",
        "stranger_deleted",
    ),
    (
        r#"{"step":"create_failed","why":"LimitExceeded"}"#,
        "ROTATION_STEP",
        "create_failed",
    ),
    (
        r#"{"step":"claim_taken","place":"nas","generation":2,"from":"DIGEST"}"#,
        "ROTATION_STEP",
        "claim_taken",
    ),
    (
        r#"{"step":"copy_written","place":"nas","generation":2,"bundle_sha256":"DIGEST"}"#,
        "ROTATION_STEP",
        "copy_written",
    ),
    (
        r#"{"step":"copy_lags","place":"nas","generation":2,"required":true,"why":"no route"}"#,
        "ROTATION_STEP",
        "copy_lags",
    ),
    (
        r#"{"step":"place_unread","place":"nas","why":"no route"}"#,
        "ROTATION_STEP",
        "place_unread",
    ),
    (
        r#"{"step":"generation_adopted","place":"nas","generation":2,"manifest_sha256":"DIGEST","access_key_id":"AKIAEXAMPLEEXAMPLE03"}"#,
        "ROTATION_STEP",
        "generation_adopted",
    ),
    (
        r#"{"step":"target_failed","role":"arn:aws:iam::123456789012:role/twotap/op-admin","why":"AccessDenied"}"#,
        "BREAK_GLASS_TARGET_FAILED",
        "fail_target",
    ),
    (
        r#"{"step":"close_pending","why":"no route","role":"","tries":3,"next_attempt":"2026-01-06T10:00:00Z"}"#,
        "REVOCATION_STEP",
        "close_pending",
    ),
    (
        r#"{"step":"secret","secret":"SECRET","did":{"did":"staged","version":"v-2"}}"#,
        "SECRET_ROTATION_STEP",
        "secret_staged",
    ),
    (
        r#"{"step":"secret","secret":"SECRET","did":{"did":"set","version":"v-2"}}"#,
        "SECRET_ROTATION_STEP",
        "secret_set",
    ),
    (
        r#"{"step":"secret","secret":"SECRET","did":{"did":"tested","version":"v-2"}}"#,
        "SECRET_ROTATION_STEP",
        "secret_tested",
    ),
    (
        r#"{"step":"secret","secret":"SECRET","did":{"did":"withdrawn","version":"v-2"}}"#,
        "SECRET_ROTATION_STEP",
        "secret_withdrawn",
    ),
];

#[test]
fn every_step_of_a_journal_becomes_a_line_that_is_described() {
    let mut host = Host::prepare(Paper::new());
    for (step, ..) in STEPS {
        let text = step.replace("DIGEST", &"0f".repeat(32)).replace(
            "SECRET",
            "arn:aws:secretsmanager:eu-central-1:123456789012:secret:db",
        );
        let step: Step = serde_json::from_str(&text).unwrap_or_else(|why| panic!("{why}: {text}"));
        host.worker.writes(step);
    }
    host.start_agent();
    let written = |host: &Host, event: &str, action: &str| {
        let events = host.events_named(event).into_iter();
        events.filter(|e| e.action == action).collect::<Vec<_>>()
    };
    let (_, event, action) = STEPS[STEPS.len() - 1];
    until("the journal is taken up", || {
        !written(&host, event, action).is_empty()
    });
    let mut texts = Vec::new();
    for (_, event, action) in STEPS {
        let lines = written(&host, event, action);
        assert_eq!(lines.len(), 1, "{event} {action}");
        texts.extend(
            lines
                .iter()
                .map(|l| serde_json::to_string(l).expect("json")),
        );
    }
    for (said, text) in validate(texts.iter()).iter().zip(&texts) {
        assert_eq!(said, "ok", "{text}");
    }
    let stranger: Value = serde_json::from_str(&texts[1]).expect("json");
    assert_eq!(stranger["what"]["ours"], json!(false));
    host.stop_agent();
}
