//! The wire does what it wants, the bucket lies, AWS is down or slow or in another time: nothing is lost, written twice or out of order.

use std::time::Duration;

use serde_json::json;
use time::OffsetDateTime;
use twotap_rig::proxy::{Fault, Gate, Keep, Rule, When};

use crate::record_at_aws::{Bench, PREFIX, SOON, WRITER};

/// What can happen to one call.
fn faults() -> Vec<(&'static str, Fault)> {
    let slow_down = Fault::Refuse(
        503,
        "SlowDown".into(),
        "Please reduce your request rate.".into(),
    );
    vec![
        ("lost", Fault::LoseReply),
        ("never arrived", Fault::Unreachable),
        ("refused", Fault::Refused(Duration::from_millis(300))),
        ("late", Fault::Delay(Duration::from_millis(500))),
        ("repeated, first reply", Fault::Repeat(Keep::First)),
        ("repeated, second reply", Fault::Repeat(Keep::Second)),
        ("cut", Fault::CutBody),
        ("throttled", slow_down),
        ("failed", Fault::failed()),
        ("failed after", Fault::failed_after()),
        ("overtaken", Fault::Overtaken),
        ("denied", Fault::denied()),
        (
            "not an answer",
            Fault::Answer(200, "<html>sign in to the wireless network</html>".into()),
        ),
    ]
}

/// Each fault for so many calls in a row: one is met by a repeat of the call, more by the sink's own.
fn survives(action: &str, calls: u32) {
    let bench = Bench::new();
    let sinks = bench.run(bench.sink());
    let mut recorded = 0;
    for (name, fault) in faults() {
        bench
            .proxy
            .add(Rule::new(action, When::First(calls), fault));
        bench.record(2);
        recorded += 2;
        bench.wait_held(&sinks, recorded);
        assert_eq!(bench.held(), bench.lines(), "{action} {name}");
        if !matches!(name, "late" | "cut") {
            assert_eq!(bench.proxy.idle_rules(), [""; 0], "{action} {name}");
        }
        bench.proxy.clear_rules();
    }
    assert!(sinks.shutdown(SOON));
    // No object was written over: each has one version.
    let versions = bench.s3.list_object_versions().bucket(&bench.bucket);
    let versions = bench.wait(versions.send()).expect("a list");
    assert_eq!(versions.versions().len(), bench.keys().len());
    assert!(
        bench.proxy.broken().is_empty(),
        "{:?}",
        bench.proxy.broken()
    );
}

#[test]
fn each_fault_of_writing_once() {
    survives("s3:PUT *", 1);
}

#[test]
fn each_fault_of_writing_until_the_sink_begins_anew() {
    survives("s3:PUT *", 4);
}

#[test]
fn each_fault_of_reading_back() {
    survives("s3:GET *", 4);
}

/// A connection that stands, a call that was taken, and no answer: neither the sink nor whoever waits for it hangs.
#[test]
fn aws_that_takes_the_call_and_says_nothing_is_given_up_in_time() {
    let bench = Bench::new();
    bench.record(1);
    let sinks = bench.run(bench.sink().bounded_by(Duration::from_secs(1)));
    bench.wait_held(&sinks, 1);
    for (held, action) in [(1, "s3:PUT *"), (2, "s3:GET *")] {
        let gate = Gate::new();
        let silent = Rule::new(action, When::Always, Fault::HoldReply(gate.clone()));
        bench.proxy.add(silent);
        bench.record(1);
        gate.wait_arrived(1, SOON).expect("a call");
        let why = bench.failure(&sinks).to_string();
        assert!(why.contains("did not answer within 1 s"), "{action}: {why}");
        assert_eq!(sinks.status().expect("a status")[0].acknowledged, held);
        bench.proxy.clear_rules();
        // What was taken without a word is found there, and not written again.
        bench.wait_held(&sinks, held + 1);
        gate.open();
    }
    assert_eq!(bench.held(), bench.lines());
    assert!(sinks.shutdown(SOON));
    let versions = bench.s3.list_object_versions().bucket(&bench.bucket);
    let versions = bench.wait(versions.send()).expect("a list");
    assert_eq!(versions.versions().len(), bench.keys().len());
}

#[test]
fn a_bucket_that_gives_back_something_else_holds_nothing() {
    let bench = Bench::new();
    let sinks = bench.run(bench.sink());
    bench.record(1);
    bench.wait_held(&sinks, 1);
    let object = format!("s3:GET /{}/{PREFIX}events/*", bench.bucket);
    let lie = Fault::Answer(200, "{\"v\":1,\"seq\":2}".into());
    bench.proxy.add(Rule::new(&object, When::Always, lie));
    bench.record(1);
    let why = bench.failure(&sinks).to_string();
    assert!(why.contains("is not what was written"), "{why}");
    assert_eq!(sinks.status().expect("a status")[0].acknowledged, 1);
    bench.proxy.clear_rules();
    bench.wait_held(&sinks, 2);
    assert_eq!(bench.held(), bench.lines());
    assert!(sinks.shutdown(SOON));
}

#[test]
fn back_after_a_while_it_takes_up_all_that_came_meanwhile() {
    let bench = Bench::new();
    bench.record(1);
    let sinks = bench.run(bench.sink());
    bench.wait_held(&sinks, 1);
    bench
        .proxy
        .add(Rule::new("*", When::Always, Fault::Unreachable));
    bench.record(1);
    bench.failure(&sinks);
    bench.record(3_000);
    bench.proxy.clear_rules();
    bench.wait_held(&sinks, 3_002);
    assert_eq!(bench.held(), bench.lines());
    // Many events an object: what stands for years is not thousands of crumbs.
    assert!(bench.keys().len() <= 5, "{:?}", bench.keys());
    assert!(sinks.shutdown(SOON));
}

#[test]
fn a_host_whose_clock_is_wrong_writes_and_locks_by_awss() {
    let bench = Bench::new();
    // What the emulator still takes, and more than is left alone.
    let ahead = 600;
    bench.proxy.set_clock_offset(ahead);
    let skewed = "The difference between the request time and the current time is too large.";
    bench.proxy.add(Rule::new(
        "s3:*",
        When::First(1),
        Fault::Refuse(403, "RequestTimeTooSkewed".into(), skewed.into()),
    ));
    bench.record(1);
    let sinks = bench.run(bench.sink());
    bench.wait_held(&sinks, 1);
    assert!(sinks.shutdown(SOON));
    assert_eq!(bench.proxy.idle_rules(), [""; 0]);
    let key = bench.keys().remove(0);
    let kept = bench.s3.get_object_retention().bucket(&bench.bucket);
    let kept = bench.wait(kept.key(key).send()).expect("a lock");
    let until = kept.retention().and_then(|r| r.retain_until_date());
    let due = OffsetDateTime::now_utc().unix_timestamp() + ahead + 7 * 24 * 3600;
    assert!((until.expect("a date").secs() - due).abs() < 120);
}

#[test]
fn a_key_that_was_replaced_is_taken_up_without_a_restart() {
    let bench = Bench::new();
    bench.record(1);
    let sinks = bench.run(bench.sink());
    bench.wait_held(&sinks, 1);
    let old = bench.iam("ListAccessKeys", &[("UserName", WRITER)]);
    let old = old.text("AccessKeyId").expect("a key");
    bench.iam(
        "DeleteAccessKey",
        &[("UserName", WRITER), ("AccessKeyId", &old)],
    );
    bench.record(1);
    let why = bench.failure(&sinks).to_string();
    assert!(
        why.contains("InvalidAccessKeyId") || why.contains("InvalidClientTokenId"),
        "{why}"
    );
    let new = bench.iam("CreateAccessKey", &[("UserName", WRITER)]);
    let new = new.credentials().expect("a key");
    bench.write_key(&new.access_key_id, &new.secret_access_key);
    bench.wait_held(&sinks, 2);
    assert!(sinks.shutdown(SOON));
}

#[test]
fn while_iam_is_down_the_record_is_written_and_it_is_said_what_could_not_be_asked() {
    let bench = Bench::new();
    bench
        .proxy
        .add(Rule::new("iam:*", When::Always, Fault::failed()));
    bench.record(2);
    let sinks = bench.run(bench.sink());
    bench.wait_held(&sinks, 2);
    let said = bench.complaint(&sinks);
    assert!(said.contains("could not be asked"), "{said}");
    let status = sinks.status().expect("a status");
    assert_eq!(status[0].flaws, [], "what is not known is no flaw");
    assert!(sinks.shutdown(SOON));
    assert_eq!(bench.held(), bench.lines());
}

#[test]
fn a_right_that_the_key_is_given_later_is_found_when_it_is_looked_at_again() {
    let bench = Bench::new();
    bench.record(1);
    let sinks = bench.run(bench.sink().checking_every(Duration::from_millis(200)));
    bench.wait_held(&sinks, 1);
    bench.allow(&json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Action": "*", "Resource": "*" }
    ]}));
    let why = bench.failure(&sinks).to_string();
    assert!(why.contains("may lift its own locks"), "{why}");
    drop(sinks);
}
