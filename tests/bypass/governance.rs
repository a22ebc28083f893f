//! Object Lock's governance mode bypassed by a real S3 call: every call that can, in both of CloudTrail's forms, done and refused.

use serde_json::{Value, json};
use twotap_rig::{
    Credentials, World,
    alerts::{Alerts, s3, somebody},
    trail::BypassForm,
};

use super::{SOON, fields, of, standing, tells};

const KIND: &str = "GOVERNANCE BYPASS";

fn calls(world: &World, key: &Credentials, calls: Value) -> Vec<Value> {
    s3(&world.endpoint(), key, &calls).expect("python")
}

/// Locked objects, one for each call that goes around their lock; with their versions.
fn locked(world: &World, alerts: &Alerts, key: &Credentials) -> Vec<(String, String)> {
    let names = ["deleted", "among-several", "shortened", "held"];
    let put = names.map(|name| {
        json!({"call": "put_object", "with": {"Bucket": alerts.bucket(), "Key": name, "Body": "a line of the record"}})
    });
    let put = calls(world, key, json!(put));
    let versions = put.iter().map(|one| {
        let version = one["answer"]["VersionId"].as_str();
        version.unwrap_or_else(|| panic!("{put:?}")).to_owned()
    });
    names.map(str::to_owned).into_iter().zip(versions).collect()
}

/// The calls that can bypass, each on an object of its own.
fn bypasses(bucket: &str, objects: &[(String, String)]) -> Value {
    let of = |n: usize| json!({"Key": objects[n].0, "VersionId": objects[n].1});
    let with = |n: usize, more: Value| {
        let mut with = json!({"Bucket": bucket, "Key": objects[n].0, "VersionId": objects[n].1});
        let own = with.as_object_mut().expect("an object");
        own.extend(more.as_object().expect("an object").clone());
        with
    };
    json!([
        {"call": "delete_object", "with": with(0, json!({"BypassGovernanceRetention": true}))},
        {"call": "delete_objects", "with": {
            "Bucket": bucket, "BypassGovernanceRetention": true, "Delete": {"Objects": [of(1)]},
        }},
        {"call": "put_object_retention", "with": with(2, json!({
            "BypassGovernanceRetention": true,
            "Retention": {"Mode": "GOVERNANCE", "RetainUntilDate": "2030-01-01T00:00:00Z"},
        }))},
        // No SDK sends the header with this one; who knows what they do writes it by hand.
        {"call": "put_object_legal_hold", "with": with(3, json!({"LegalHold": {"Status": "OFF"}})),
         "headers": {"x-amz-bypass-governance-retention": "true"}},
    ])
}

const EVENTS: [&str; 4] = [
    "DeleteObject",
    "DeleteObjects",
    "PutObjectRetention",
    "PutObjectLegalHold",
];

#[test]
fn every_call_that_bypasses_governance_is_told_with_who_where_and_what_in_both_forms() {
    let (world, alerts) = standing();
    let admin = somebody(&world, "administrator", &["s3:*"]).expect("a user");
    let who = format!("arn:aws:iam::{}:user/administrator", world.account());
    for (form, shown) in [
        (
            BypassForm::Header,
            r#""x-amz-bypass-governance-retention":"true""#,
        ),
        (BypassForm::Boolean, r#""bypassGovernanceRetention":true"#),
    ] {
        world.proxy().set_bypass_form(form);
        let objects = locked(&world, &alerts, &admin);
        let done = calls(&world, &admin, bypasses(alerts.bucket(), &objects));
        assert!(done.iter().all(|one| one["ok"] == true), "{done:?}");

        let came = alerts
            .wait(SOON, |came| of(came, KIND).len() >= EVENTS.len())
            .expect("the alerts");
        let came = of(&came, KIND);
        for (event, (name, _)) in EVENTS.iter().zip(&objects) {
            let alert = came.iter().find(|alert| fields(alert)["event"] == *event);
            let alert = alert.unwrap_or_else(|| panic!("{event}: {came:?}"));
            // What is deleted among several stands in the body alone, which CloudTrail leaves out.
            let key = if *event == "DeleteObjects" {
                "delete"
            } else {
                name
            };
            tells(alert, &who, &[alerts.bucket(), shown, key]);
            assert_eq!(fields(alert)["error"], "", "{alert}");
        }
        assert_eq!(came.len(), EVENTS.len(), "{came:#?}");
    }
    // As the permission is called; no CloudTrail was seen to write it, and the rule takes it.
    let records = world.proxy().trail();
    let mut named = records
        .iter()
        .find(|record| record["eventName"] == "DeleteObject")
        .expect("recorded")
        .clone();
    named["eventName"] = "DeleteObjectVersion".into();
    let entry = json!({"Entries": [{
        "Source": "cloudtrail:aws.s3", "DetailType": "AWS API Call via CloudTrail", "Detail": named.to_string(),
    }]});
    let put = alerts.home().json("events", "AWSEvents.PutEvents", &entry);
    put.expect("an answer").expect_ok("put").expect("taken");
    let came = alerts.wait(SOON, |came| !of(came, KIND).is_empty());
    let came = came.expect("the alert");
    assert_eq!(fields(of(&came, KIND)[0])["event"], "DeleteObjectVersion");
    assert_eq!(world.proxy().broken(), [""; 0]);
}

#[test]
fn a_bypass_that_is_refused_is_told_as_well() {
    let (world, alerts) = standing();
    let admin = somebody(&world, "archivist", &["s3:*"]).expect("a user");
    let objects = locked(&world, &alerts, &admin);
    let thief = somebody(
        &world,
        "administrator",
        &[
            "s3:DeleteObject",
            "s3:DeleteObjectVersion",
            "s3:PutObjectRetention",
        ],
    )
    .expect("a user");
    let done = calls(&world, &thief, bypasses(alerts.bucket(), &objects));
    assert_eq!(done[0]["code"], "AccessDenied", "{done:?}");
    let came = alerts.wait(SOON, |came| !of(came, KIND).is_empty());
    let came = came.expect("the alert");
    let alert = of(&came, KIND)[0];
    let who = format!("arn:aws:iam::{}:user/administrator", world.account());
    tells(alert, &who, &[alerts.bucket()]);
    assert_eq!(fields(alert)["error"], "AccessDenied", "{alert}");
}

#[test]
fn what_is_no_bypass_is_not_told_as_one_and_removals_without_it_are_told_too() {
    let (world, alerts) = standing();
    let admin = somebody(&world, "archivist", &["s3:*"]).expect("a user");
    let objects = locked(&world, &alerts, &admin);
    let (name, version) = &objects[0];
    let bucket = alerts.bucket();
    let done = calls(
        &world,
        &admin,
        json!([
            {"call": "get_object", "with": {"Bucket": bucket, "Key": name}},
            {"call": "list_object_versions", "with": {"Bucket": bucket}},
            // The lock holds, and nobody went around it.
            {"call": "delete_object", "with": {"Bucket": bucket, "Key": name, "VersionId": version}},
            // A marker hides the object; the version stays.
            {"call": "delete_object", "with": {"Bucket": bucket, "Key": name}},
        ]),
    );
    let ok: Vec<bool> = done.iter().map(|one| one["ok"] == true).collect();
    assert_eq!(ok, [true, true, false, true], "{done:?}");
    let came = alerts.wait(SOON, |came| came.len() >= 2).expect("alerts");
    assert!(of(&came, KIND).is_empty(), "{came:#?}");
    for alert in &came {
        assert_eq!(fields(alert)["event"], "DeleteObject", "{alert}");
    }
    assert_eq!(came.len(), 2, "{came:#?}");
    assert!(alerts.take().expect("the queue").is_empty());
}
