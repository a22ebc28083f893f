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

const SETTER: &str = "arn:aws:iam::111122223333:role/twotap/setter";

fn secret(name: &str) -> String {
    format!("arn:aws:secretsmanager:eu-central-1:111122223333:secret:prod/{name}")
}

/// A vault with a setter for two secrets.
fn ledger_with_setter() -> Ledger {
    let mut ledger = ledger();
    ledger.principals.helpers.insert(SETTER.to_owned());
    let sets = [secret("db"), secret("mail")].into();
    ledger.principals.setters.insert(SETTER.to_owned(), sets);
    ledger
}

fn takes_with(id: &str, at: &str, role: &str, policy: Option<String>) -> Value {
    let key = format!("ASIA{id}");
    let mut taken = takes(id, at, user("AKIAOLD"), role, REQUEST, "dana", &key);
    taken["requestParameters"]["policy"] = policy.into();
    taken
}

#[test]
fn a_request_has_one_session_of_each_helper() {
    let works = |id: &str, at, begun| {
        let key = format!("ASIA{id}");
        call(
            id,
            at,
            "PutRolePolicy",
            session(STEWARD, &key, begun),
            json!({}),
        )
    };
    // Near the mint and near the closing, under the very tag of the request.
    for at in ["10:05:30", "12:00:10"] {
        let mut calls = vec![
            takes_with("x1", at, STEWARD, None),
            works("x1", "12:00:20", at),
        ];
        calls[1]["eventID"] = "x2".into();
        let found = unmatched(&ledger(), calls);
        assert_eq!(ids(&found), ["x1", "x2"], "{at}");
        assert!(found[0].1.contains("another session of this role"));
    }
    // One that was narrowed is none of a worker's, even the first.
    let narrow = takes_with("x", "10:04:59", STEWARD, Some("{}".to_owned()));
    let found = unmatched(&ledger(), vec![narrow]);
    assert!(found[0].1.contains("no such session"), "{found:?}");
}

#[test]
fn a_setters_session_is_for_one_secret_and_each_secret_has_one() {
    let narrow = |name: &str| Some(crate::aws::secrets::one_secret_policy(&secret(name)));
    let own = || {
        vec![
            takes_with("db", "10:05:04", SETTER, narrow("db")),
            takes_with("mail", "10:05:04", SETTER, narrow("mail")),
        ]
    };
    assert_eq!(unmatched(&ledger_with_setter(), own()), []);
    for (policy, said) in [
        (narrow("db"), "another session of this role"),
        (narrow("payroll"), "no such session"),
        (None, "no such session"),
        (Some("not json".to_owned()), "no such session"),
    ] {
        let mut calls = own();
        calls.push(takes_with("x", "10:05:09", SETTER, policy));
        let found = unmatched(&ledger_with_setter(), calls);
        assert_eq!(ids(&found), ["x"], "{said}");
        assert!(found[0].1.contains(said), "{found:?}");
    }
}

/// A session that was taken before the trail begins counts too, and what cannot be one of the request's any more is none.
#[test]
fn a_helper_of_an_earlier_time_is_bounded_too() {
    let before = |id: &str, at: &str| {
        let key = format!("ASIA{id}");
        call(
            id,
            at,
            "PutRolePolicy",
            session(STEWARD, &key, "10:00:00"),
            json!({}),
        )
    };
    let calls = vec![before("x", "11:10:00")];
    let mut records: Vec<Value> = whole();
    records.retain(|one| one["eventTime"].as_str() >= Some("2026-01-06T11:00:00Z"));
    records.extend(calls);
    let file = json!({ "Records": records }).to_string();
    let all = reconcile(read(file.as_bytes()).expect("an export"), &ledger());
    // Two stewards of one request: only one of them can be the worker's.
    let stewards = all.works[0].sessions.iter().filter(|s| s.role == STEWARD);
    assert_eq!((stewards.count(), all.unmatched.len()), (1, 1), "{all:#?}");

    // Its time was over at 14:00; twelve hours on nothing of it lives.
    let mut late = call(
        "x",
        "11:00:00",
        "PutRolePolicy",
        session(STEWARD, "ASIAS", "10:05:00"),
        json!({}),
    );
    for (at, expected) in [
        ("2026-01-07T01:59:00Z", &[][..]),
        ("2026-01-07T02:03:00Z", &["x"]),
    ] {
        late["eventTime"] = at.into();
        let found = unmatched(&ledger(), vec![late.clone()]);
        assert_eq!(ids(&found), expected, "{at}");
    }
    let step = json!({"journal": 6, "access_key_id": "AKIANEW"});
    let ledger = ledger_with(&[("ROTATION_STEP", "16:00:00", step)]);
    let found = unmatched(&ledger, vec![takes_with("x", "16:00:00", STEWARD, None)]);
    assert_eq!(ids(&found), ["x"]);
    assert!(found[0].1.contains("was over"), "{found:?}");
}
