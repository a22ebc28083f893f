//! What somebody does who has the sealed key while a request runs, so that the record has steps around it.

use super::*;

/// The record of the ceremony, and these events after it.
fn ledger_with(events: &[(&str, &str, Value)]) -> Ledger {
    let mut ledger = ledger();
    for (n, (kind, at, what)) in (7u64..).zip(events) {
        ledger.add(&event(n, kind, at, "agent", what.clone()));
    }
    ledger
}

/// Why each of these calls, beside the whole ceremony, is accounted for by nothing.
fn unmatched(ledger: &Ledger, calls: Vec<Value>) -> Vec<(String, String)> {
    let mut records = whole();
    records.extend(calls);
    let file = json!({ "Records": records }).to_string();
    let all = reconcile(read(file.as_bytes()).expect("an export"), ledger);
    assert!(all.missing.is_empty(), "{all:#?}");
    let unmatched = all.unmatched.into_iter();
    unmatched.map(|one| (one.event_id, one.why)).collect()
}

fn ids(found: &[(String, String)]) -> Vec<&str> {
    found.iter().map(|(id, _)| id.as_str()).collect()
}

/// As a worker tells it that finds the key while it replaces the sealed one, and takes it away.
fn stranger_found(at: &str) -> Vec<(&'static str, &str, Value)> {
    let what = json!({"journal": 6, "access_key_id": "AKIATHIEF", "ours": false, "sure": true, "active": true});
    let taken_away = json!({"journal": 7, "access_key_id": "AKIATHIEF"});
    vec![
        ("STRANGER_KEY_FOUND", at, what),
        ("ROTATION_STEP", "10:06:01", taken_away),
    ]
}

#[test]
fn a_key_that_the_record_calls_a_strangers_is_no_workers() {
    let made = json!({"responseElements": {"accessKey": {"accessKeyId": "AKIATHIEF"}}});
    let by_it = |id, name| call(id, "10:05:30", name, user("AKIATHIEF"), json!({}));
    let calls = vec![
        call("x1", "10:05:20", "CreateAccessKey", user("AKIAOLD"), made),
        by_it("x2", "ListAccessKeys"),
        by_it("x3", "UpdateAccessKey"),
        by_it("x4", "DeleteAccessKey"),
        takes(
            "x5",
            "10:05:40",
            user("AKIATHIEF"),
            STEWARD,
            REQUEST,
            "dana",
            "ASIAX",
        ),
        call(
            "x6",
            "10:05:50",
            "ListBuckets",
            session(STEWARD, "ASIAX", "10:05:40"),
            json!({}),
        ),
        // What the worker does about it is its own.
        call(
            "deletes",
            "10:06:01",
            "DeleteAccessKey",
            user("AKIAOLD"),
            json!({}),
        ),
    ];
    let found = unmatched(&ledger_with(&stranger_found("10:06:00")), calls);
    assert_eq!(ids(&found), ["x1", "x2", "x3", "x4", "x5", "x6"]);
    assert!(found[0].1.contains("does not know as ours"), "{found:?}");
    for (_, why) in &found[1..5] {
        assert!(
            why.contains("somebody else made the key AKIATHIEF"),
            "{why}"
        );
    }
}

#[test]
fn what_somebody_else_did_is_no_step_of_a_workers() {
    for (kind, what) in [
        (
            "STRANGER_KEY_FOUND",
            json!({"journal": 6, "access_key_id": "AKIATHIEF"}),
        ),
        (
            "CREDENTIAL_MISUSED",
            json!({"journal": 6, "access_key_id": "AKIANEW"}),
        ),
    ] {
        let ledger = ledger_with(&[(kind, "15:00:00", what)]);
        let calls = vec![call(
            "x",
            "15:01:00",
            "ListAccessKeys",
            user("AKIANEW"),
            json!({}),
        )];
        let found = unmatched(&ledger, calls);
        assert_eq!(ids(&found), ["x"], "{kind}");
        assert!(found[0].1.contains("no worker was at work"), "{found:?}");
    }
}

/// A misused key alone does not vouch for itself; and what a worker made is ours, although one whose journal was lost does not know it.
#[test]
fn a_key_is_ours_by_a_step_of_ours() {
    let misused = json!({"journal": 6, "access_key_id": "AKIAODD"});
    let by = |key| {
        vec![call(
            "x",
            "10:05:30",
            "ListAccessKeys",
            user(key),
            json!({}),
        )]
    };
    let ledger = ledger_with(&[("CREDENTIAL_MISUSED", "10:06:00", misused)]);
    assert_eq!(ids(&unmatched(&ledger, by("AKIAODD"))), ["x"]);

    let forgotten = json!({"journal": 6, "access_key_id": "AKIANEW"});
    let ledger = ledger_with(&[("STRANGER_KEY_FOUND", "10:06:00", forgotten)]);
    assert_eq!(ids(&unmatched(&ledger, by("AKIANEW"))), [""; 0]);
}
