//! Each way in which trail and record may not fit, one change at a time.

mod forms;
mod theft;

use serde_json::{Value, json};

use super::*;
use crate::audit::event::Record;

const USER: &str = "arn:aws:iam::111122223333:user/twotap/break-glass";
const ADMIN: &str = "arn:aws:iam::111122223333:role/twotap/op-admin";
const STEWARD: &str = "arn:aws:iam::111122223333:role/twotap/steward";
const REQUEST: &str = "r-abcdefghijklm";

fn ledger() -> Ledger {
    let mut ledger = Ledger::new(Principals {
        users: [USER.to_owned()].into(),
        roles: [ADMIN.to_owned(), STEWARD.to_owned()].into(),
        helpers: [STEWARD.to_owned()].into(),
        ..Principals::default()
    });
    let steps = [
        (
            "BREAK_GLASS_REQUESTED",
            "10:00:00",
            "dana",
            json!({"vault": "prod"}),
        ),
        (
            "MINT_INTENT",
            "10:05:00",
            "agent",
            json!({"journal": 1, "role": ADMIN, "not_after": "2026-01-06T14:00:00Z"}),
        ),
        (
            "BREAK_GLASS_ACCESS",
            "10:05:01",
            "agent",
            json!({"journal": 2, "role": ADMIN, "not_after": "2026-01-06T14:00:00Z",
                "aws": [{"call": "minted", "request_id": "q-mint", "date": "2026-01-06T10:05:01Z"}]}),
        ),
        (
            "ROTATION_STEP",
            "10:05:02",
            "agent",
            json!({"journal": 3, "access_key_id": "AKIAOLD"}),
        ),
        (
            "ROTATION_STEP",
            "10:05:03",
            "agent",
            json!({"journal": 4, "access_key_id": "AKIANEW",
                "aws": [{"call": "key_created", "request_id": "q-key", "date": "2026-01-06T10:05:03Z"}]}),
        ),
        (
            "SESSION_REVOKED",
            "12:00:00",
            "agent",
            json!({"journal": 5, "aws": [{"call": "revoked", "request_id": null, "date": null}]}),
        ),
    ];
    for (n, (kind, at, actor, what)) in (1u64..).zip(steps) {
        ledger.add(&event(n, kind, at, actor, what));
    }
    ledger
}

fn event(seq: u64, kind: &str, at: &str, actor: &str, mut what: Value) -> Record {
    let at = format!("2026-01-06T{at}.000Z");
    if what["journal"].is_number() {
        what["vault"] = "prod".into();
        what["at"] = at.clone().into();
    }
    serde_json::from_value(json!({
        "v": 1, "seq": seq, "prev": "0".repeat(64), "event_type": kind, "correlation_id": REQUEST,
        "incident_id": "INC-42", "actor": actor, "action": "x", "justification": null,
        "timestamp": at, "who": null, "where": {"host": null, "region": null, "ip": null}, "what": what,
    }))
    .expect("a line")
}

fn call(id: &str, at: &str, name: &str, identity: Value, more: Value) -> Value {
    let service = match name {
        "ListBuckets" => "s3",
        _ if name.contains("AccessKey") || name.contains("User") => "iam",
        _ => "sts",
    };
    let mut record = json!({
        "eventID": id, "eventTime": format!("2026-01-06T{at}Z"), "eventSource": format!("{service}.amazonaws.com"),
        "eventName": name, "requestID": format!("q-{id}"), "sourceIPAddress": "198.51.100.7", "userIdentity": identity,
        "requestParameters": null, "responseElements": null,
    });
    let fields = record.as_object_mut().expect("an object");
    fields.extend(more.as_object().expect("an object").clone());
    record
}

fn user(key: &str) -> Value {
    json!({"type": "IAMUser", "arn": USER, "accessKeyId": key})
}

fn session(role: &str, key: &str, begun: &str) -> Value {
    json!({
        "type": "AssumedRole", "arn": "arn:aws:sts::111122223333:assumed-role/op-admin/dana", "accessKeyId": key,
        "sessionContext": {
            "sessionIssuer": {"arn": role}, "sourceIdentity": "dana",
            "attributes": {"creationDate": format!("2026-01-06T{begun}Z")},
        },
    })
}

fn takes(id: &str, at: &str, by: Value, role: &str, tag: &str, operator: &str, key: &str) -> Value {
    call(
        id,
        at,
        "AssumeRole",
        by,
        json!({
            "requestParameters": {"roleArn": role, "sourceIdentity": operator, "tags": [{"key": "twotap", "value": tag}]},
            "responseElements": {"credentials": {"accessKeyId": key}},
        }),
    )
}

/// What a ceremony, its session and its closing leave in the trail.
fn whole() -> Vec<Value> {
    vec![
        call(
            "other",
            "09:00:00",
            "ListBuckets",
            json!({"arn": "arn:aws:iam::1:user/x"}),
            json!({}),
        ),
        takes(
            "steward",
            "10:05:00",
            user("AKIAOLD"),
            STEWARD,
            REQUEST,
            "dana",
            "ASIAS",
        ),
        takes(
            "mint",
            "10:05:01",
            user("AKIAOLD"),
            ADMIN,
            REQUEST,
            "dana",
            "ASIAD",
        ),
        call(
            "list",
            "10:05:02",
            "ListAccessKeys",
            user("AKIAOLD"),
            json!({}),
        ),
        call(
            "key",
            "10:05:03",
            "CreateAccessKey",
            user("AKIAOLD"),
            json!({"responseElements": {"accessKey": {"accessKeyId": "AKIANEW"}}}),
        ),
        call(
            "work",
            "11:00:00",
            "ListBuckets",
            session(ADMIN, "ASIAD", "10:05:01"),
            json!({}),
        ),
        call(
            "deny",
            "11:59:00",
            "PutUserPolicy",
            session(STEWARD, "ASIAS", "10:05:00"),
            json!({}),
        ),
        call(
            "probe",
            "12:30:00",
            "ListBuckets",
            session(ADMIN, "ASIAD", "10:05:01"),
            json!({"errorCode": "AccessDenied"}),
        ),
        call(
            "late",
            "18:00:00",
            "ListBuckets",
            json!({"arn": "arn:aws:iam::1:user/x"}),
            json!({}),
        ),
    ]
}

fn result(records: &[Value]) -> Reconciled {
    let file = json!({ "Records": records }).to_string();
    reconcile(read(file.as_bytes()).expect("an export"), &ledger())
}

#[test]
fn everything_is_accounted_for_session_by_session() {
    let all = result(&whole());
    assert!(all.is_whole(), "{all:#?}");
    assert_eq!((all.uses, all.others, all.uncovered), (7, 2, 0));
    let [work] = &all.works[..] else {
        panic!("{all:#?}");
    };
    assert_eq!(work.operator.as_deref(), Some("dana"));
    assert_eq!(work.worker["sts:AssumeRole"], 2);
    let keys: Vec<(&str, u64, u64)> = work
        .sessions
        .iter()
        .map(|s| (s.key.as_str(), s.calls.values().sum(), s.refused))
        .collect();
    assert_eq!(keys, [("ASIAS", 1, 0), ("ASIAD", 2, 1)]);
}

#[test]
fn twice_exported_or_out_of_order_is_the_same() {
    let mut records = whole();
    records.extend(whole());
    records.reverse();
    assert_eq!(result(&records), result(&whole()));
}

#[test]
fn what_the_record_does_not_know_is_unmatched_and_why() {
    let late = "13:30:00";
    let cases = [
        (
            takes(
                "x",
                "10:05:05",
                user("AKIAOLD"),
                ADMIN,
                "r-zzzzzzzzzzzzz",
                "dana",
                "ASIAX",
            ),
            "no request 'r-zzzzzzzzzzzzz'",
        ),
        (
            takes("x", "10:05:05", user("AKIAOLD"), ADMIN, "", "dana", "ASIAX"),
            "no request ''",
        ),
        (
            takes(
                "x",
                late,
                user("AKIANEW"),
                STEWARD,
                REQUEST,
                "dana",
                "ASIAX",
            ),
            "no worker was at work for",
        ),
        (
            takes(
                "x",
                "10:05:05",
                user("AKIAOLD"),
                ADMIN,
                REQUEST,
                "stranger",
                "ASIAX",
            ),
            "by whom the session names",
        ),
        (
            takes(
                "x",
                "10:05:05",
                user("AKIAOLD"),
                "arn:aws:iam::111122223333:role/twotap/op-db",
                REQUEST,
                "dana",
                "ASIAX",
            ),
            "does not name this role",
        ),
        (
            takes(
                "x",
                "10:05:05",
                user("AKIAOLD"),
                ADMIN,
                REQUEST,
                "dana",
                "ASIAX",
            ),
            "another session of this role",
        ),
        (
            takes(
                "x",
                "10:05:05",
                json!({"arn": "arn:aws:iam::1:user/m"}),
                ADMIN,
                REQUEST,
                "dana",
                "ASIAX",
            ),
            "somebody other than the break-glass user",
        ),
        (
            call(
                "x",
                "10:05:05",
                "ListAccessKeys",
                user("AKIASTRANGE"),
                json!({}),
            ),
            "names the key AKIASTRANGE",
        ),
        (
            call("x", late, "GetCallerIdentity", user("AKIANEW"), json!({})),
            "no worker was at work then",
        ),
        (
            call("x", "10:05:05", "CreateUser", user("AKIAOLD"), json!({})),
            "no such call",
        ),
        (
            call(
                "x",
                "10:05:05",
                "CreateAccessKey",
                user("AKIAOLD"),
                json!({"responseElements": {"accessKey": {"accessKeyId": "AKIATHIEF"}}}),
            ),
            "made the key AKIATHIEF",
        ),
        (
            call(
                "x",
                "11:00:00",
                "ListBuckets",
                session(ADMIN, "ASIAX", "10:05:01"),
                json!({}),
            ),
            "does not show by whom",
        ),
        (
            call(
                "x",
                "11:00:00",
                "ListBuckets",
                session(ADMIN, "ASIAX", "08:00:00"),
                json!({}),
            ),
            "no request took this session",
        ),
        (
            call(
                "x",
                "13:00:00",
                "ListBuckets",
                session(ADMIN, "ASIAD", "10:05:01"),
                json!({}),
            ),
            "it was seen refused",
        ),
        (
            call(
                "x",
                "15:00:00",
                "ListBuckets",
                session(ADMIN, "ASIAD", "10:05:01"),
                json!({}),
            ),
            "its time was over",
        ),
    ];
    for (record, why) in cases {
        let mut records = whole();
        records.push(record);
        let all = result(&records);
        let [one] = &all.unmatched[..] else {
            panic!("{why}: {all:#?}");
        };
        assert!(one.why.contains(why), "{why}: {one:?}");
        assert_eq!(
            (one.event_id.as_str(), one.ip.as_str()),
            ("x", "198.51.100.7")
        );
        assert!(all.missing.is_empty(), "{all:#?}");
    }
}

#[test]
fn what_the_trail_does_not_show_is_missing_unless_it_does_not_cover_that_time() {
    let without = |id: &str| -> Vec<Value> {
        let all = whole().into_iter();
        all.filter(|record| record["eventID"] != id).collect()
    };
    let all = result(&without("key"));
    let [one] = &all.missing[..] else {
        panic!("{all:#?}");
    };
    assert_eq!(
        (one.seq, one.call.as_str(), one.request_id.as_str()),
        (5, "key_created", "q-key")
    );
    assert!(all.unmatched.is_empty());

    let only = |from: &str| -> Vec<Value> {
        let all = whole().into_iter();
        all.filter(|record| record["eventTime"].as_str() >= Some(from))
            .collect()
    };
    let all = result(&only("2026-01-06T11:00:00Z"));
    assert!(all.is_whole(), "{all:#?}");
    // The sessions are known by when they began.
    assert_eq!((all.uncovered, all.works[0].sessions.len()), (2, 2));
    assert!(all.works[0].sessions.iter().all(|s| s.taken.is_none()));
}

#[test]
fn what_is_done_in_a_session_that_nobody_asked_for_is_unmatched_too() {
    let mut records = whole();
    records.push(takes(
        "x1",
        "10:05:05",
        user("AKIAOLD"),
        ADMIN,
        "r-zzzzzzzzzzzzz",
        "dana",
        "ASIAX",
    ));
    records.push(call(
        "x2",
        "10:06:00",
        "ListBuckets",
        session(ADMIN, "ASIAX", "10:05:05"),
        json!({}),
    ));
    let all = result(&records);
    let found: Vec<&str> = all
        .unmatched
        .iter()
        .map(|one| one.event_id.as_str())
        .collect();
    assert_eq!(found, ["x1", "x2"], "{all:#?}");
    assert!(all.unmatched[1].why.contains("how this session was taken"));
}

#[test]
fn how_workers_see_that_a_key_works_needs_no_request() {
    let proof = |at: &str| {
        let mut proof = takes(
            "x",
            at,
            user("AKIANEW"),
            ADMIN,
            "r-aaaaaaaaaaaaa",
            "twotap-proof",
            "ASIAP",
        );
        proof["requestParameters"]["policy"] =
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}"#.into();
        proof
    };
    let with = |record: Value| {
        let mut records = whole();
        records.push(record);
        result(&records)
    };
    assert!(with(proof("10:05:04")).is_whole());
    assert_eq!(with(proof("13:30:00")).unmatched.len(), 1);
    let mut refused = call(
        "x",
        "10:05:04",
        "AssumeRole",
        user("AKIANEW"),
        json!({"errorCode": "AccessDenied"}),
    );
    assert!(with(refused.clone()).is_whole());
    refused["eventTime"] = "2026-01-06T13:30:00Z".into();
    assert_eq!(with(refused).unmatched.len(), 1);
    // One that may do something is no proof.
    let mut open = proof("10:05:04");
    open["requestParameters"]["policy"] =
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#
            .into();
    assert_eq!(with(open).unmatched.len(), 1);
}
