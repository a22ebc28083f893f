//! The sealed key and what a worker finds: not replaced, overdue, a stranger's, used by somebody.

use rusqlite::Connection;
use twotap::{
    ceremony::Stage,
    protocol::job::{KeyUse, Step, Whose},
    protocol::secrets::SecretStep,
    trust::Timestamp,
};

use crate::{
    Alerted,
    agent_support::{DANA, Host, paper::Paper, until},
    degraded,
};

const HOUR: i64 = 3600;

/// Puts a request's end, and the review's deadline, back by hours, as if they had passed.
fn pass(host: &Host, id: &str, hours: i64) {
    let past = Timestamp::now().plus(-hours * HOUR).to_string();
    let store = Connection::open(host.path("state/state.db")).expect("the store");
    let changed = store
        .execute(
            "UPDATE records SET json = json_set(json, '$.ended_at', ?1, '$.review.due', ?1) WHERE kind = 'request' AND id = ?2",
            (past, id),
        )
        .expect("changed");
    assert_eq!(changed, 1);
}

fn overdue(alerted: &Alerted) -> Vec<String> {
    let lines = degraded(alerted).into_iter();
    lines
        .filter(|l| l.contains("should have been replaced by"))
        .collect()
}

#[test]
fn a_rotation_that_is_pending_and_then_overdue_is_told_once_and_shown_until_it_is_done() {
    let mut alerted = Alerted::start();
    alerted
        .host
        .worker
        .told(|script| script.rotation_fails = true);
    let view = alerted.host.open();
    alerted.recorded("CREDENTIAL_ROTATION_PENDING");
    assert_eq!(alerted.host.close(DANA, &view.id, false).status, 200);
    alerted.host.reach(&view.id, Stage::Closed);
    until("the agent has settled it", || {
        !alerted.host.events_named("REVIEW_DUE").is_empty()
    });
    assert_eq!(overdue(&alerted), [""; 0]);

    // Not yet: 59 minutes are no hour.
    alerted.host.stop_agent();
    let store = Connection::open(alerted.host.path("state/state.db")).expect("the store");
    let at = Timestamp::now().plus(-59 * 60).to_string();
    store
        .execute(
            "UPDATE records SET json = json_set(json, '$.ended_at', ?1) WHERE kind = 'request'",
            [at],
        )
        .expect("changed");
    drop(store);
    alerted.host.start_agent();
    alerted.host.status(DANA);
    assert!(alerted.host.events_named("ROTATION_OVERDUE").is_empty());

    alerted.host.stop_agent();
    pass(&alerted.host, &view.id, 2);
    alerted.host.start_agent();
    alerted.told_of(&[
        "CREDENTIAL_ROTATION_PENDING",
        "ROTATION_OVERDUE",
        "REVIEW_OVERDUE",
    ]);
    let event = alerted.host.events_named("ROTATION_OVERDUE").remove(0);
    assert_eq!(event.correlation_id.as_deref(), Some(view.id.as_str()));
    assert!(
        event.what["why"]
            .as_str()
            .is_some_and(|w| w.contains("IAM cannot be reached"))
    );
    let lines = overdue(&alerted);
    assert!(
        matches!(&lines[..], [line] if line.contains(&view.id) && line.contains("--close-only")),
        "{lines:?}"
    );

    // Once, also after another start.
    alerted.host.stop_agent();
    alerted.host.start_agent();
    assert_eq!(overdue(&alerted).len(), 1);
    assert_eq!(alerted.host.events_named("ROTATION_OVERDUE").len(), 1);

    // The next ceremony replaces the key: it is shown no more.
    alerted
        .host
        .worker
        .told(|script| script.rotation_fails = false);
    alerted.host.open();
    alerted.recorded("CREDENTIAL_ROTATED");
    until("it is shown no more", || overdue(&alerted).is_empty());
    assert_eq!(alerted.host.events_named("ROTATION_OVERDUE").len(), 1);
}

#[test]
fn a_key_that_another_ceremony_has_replaced_is_not_overdue() {
    let mut alerted = Alerted::start();
    alerted
        .host
        .worker
        .told(|script| script.rotation_fails = true);
    let view = alerted.host.open();
    alerted.recorded("CREDENTIAL_ROTATION_PENDING");
    assert_eq!(alerted.host.close(DANA, &view.id, false).status, 200);
    alerted.host.reach(&view.id, Stage::Closed);
    alerted
        .host
        .worker
        .told(|script| script.rotation_fails = false);
    alerted.host.open();
    alerted.recorded("CREDENTIAL_ROTATED");
    alerted.host.stop_agent();
    pass(&alerted.host, &view.id, 2);
    alerted.host.start_agent();
    // The review's deadline has passed as well, and that is on record.
    alerted.recorded("REVIEW_OVERDUE");
    alerted.host.status(DANA);
    assert!(alerted.host.events_named("ROTATION_OVERDUE").is_empty());
    assert_eq!(overdue(&alerted), [""; 0]);
}

#[test]
fn what_a_worker_finds_is_told() {
    let mut alerted = Alerted::prepare(Paper::new());
    let worker = &alerted.host.worker;
    let role = "arn:aws:iam::123456789012:role/twotap/op-admin".to_owned();
    let why = "AccessDenied".to_owned();
    worker.writes(Step::StrayFound {
        access_key_id: "AKIAEXAMPLEEXAMPLE00".into(),
        whose: Whose::Stranger,
        active: true,
        created: Some(Timestamp::now()),
    });
    worker.writes(Step::Misused {
        access_key_id: "AKIAEXAMPLEEXAMPLE01".into(),
        used: KeyUse {
            at: Timestamp::now(),
            region: "eu-central-1".into(),
            service: "sts".into(),
        },
    });
    worker.writes(Step::TargetFailed {
        role: role.clone(),
        why: why.clone(),
    });
    worker.writes(Step::ClosePending {
        why: why.clone(),
        role,
        tries: 1,
        next_attempt: None,
    });
    worker.writes(Step::Secret {
        secret: "arn:aws:secretsmanager:eu-central-1:123456789012:secret:db".into(),
        did: SecretStep::Failed { why, again: false },
    });
    alerted.host.start_agent();
    alerted.told_of(&[
        "STRANGER_KEY_FOUND",
        "CREDENTIAL_MISUSED",
        "BREAK_GLASS_TARGET_FAILED",
        "REVOCATION_STEP",
        "SECRET_ROTATION_FAILED",
    ]);
    let taken = alerted.receiver.taken();
    let misused = taken
        .iter()
        .find(|g| g.body["data"]["event_type"] == "CREDENTIAL_MISUSED");
    let data = &misused.expect("told").body["data"];
    assert_eq!(
        (&data["severity"], &data["region"]),
        (&"P0".into(), &"eu-central-1".into())
    );
    let target = taken
        .iter()
        .find(|g| g.body["data"]["event_type"] == "BREAK_GLASS_TARGET_FAILED");
    assert_eq!(
        target.expect("told").body["data"]["account"],
        "123456789012"
    );
}
