//! `twotap audit verify --s3` with the stock AWS CLI: what was done to a bucket is found, and named.

use std::process::{Command, Output};

use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::{ObjectLockRetention, ObjectLockRetentionMode};
use serde_json::Value;
use time::OffsetDateTime;
use twotap::audit::chain::Head;
use twotap::audit::sinks::s3::names::EventsName;
use twotap_rig::tools;

use crate::record_at_aws::{Bench, PREFIX, REGION, SOON, record};

/// Six events in three objects.
fn filled() -> Bench {
    let bench = Bench::new();
    for n in [2, 2, 2] {
        bench.record(n);
        let sinks = bench.run(bench.sink());
        bench.wait_held(&sinks, bench.head().seq);
        assert!(sinks.shutdown(SOON));
    }
    assert_eq!(bench.keys().len(), 3);
    bench
}

fn verify(bench: &Bench, prefix: &str, days: &str, more: &[&str]) -> Output {
    let place = format!("s3://{}/{prefix}", bench.bucket);
    let bin = tools::script("aws").expect("the AWS CLI");
    let bin = bin.parent().expect("a folder");
    Command::new(env!("CARGO_BIN_EXE_twotap"))
        .args(["audit", "verify", "--s3", &place, "--retention-days", days])
        .args(more)
        .env_clear()
        .env("HOME", bench.dir.path())
        .env("PATH", format!("{}:/usr/bin:/bin", bin.display()))
        .env("AWS_ENDPOINT_URL", &bench.direct)
        .env("AWS_ACCESS_KEY_ID", &bench.account)
        .env("AWS_SECRET_ACCESS_KEY", "not-checked")
        .env("AWS_DEFAULT_REGION", REGION)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .output()
        .expect("run")
}

/// What it says first, and everything else that it says; it ends with the code for tampering.
fn found(bench: &Bench) -> (String, String) {
    let output = verify(bench, PREFIX, "7", &[]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(11), "{said}");
    let first = said.lines().find(|line| line.starts_with("error:"));
    (first.expect("an error").to_owned(), said)
}

fn version(bench: &Bench, key: &str) -> String {
    let versions = bench.s3.list_object_versions().bucket(&bench.bucket);
    let versions = bench.wait(versions.prefix(key).send()).expect("a list");
    versions.versions()[0]
        .version_id()
        .expect("an id")
        .to_owned()
}

/// As the root: past every lock that is not COMPLIANCE.
fn delete(bench: &Bench, key: &str, version: Option<String>) {
    let bypass = version.is_some().then_some(true);
    let gone = bench.s3.delete_object().bucket(&bench.bucket).key(key);
    let gone = gone
        .set_version_id(version)
        .set_bypass_governance_retention(bypass);
    bench.wait(gone.send()).expect("deleted");
}

#[test]
fn a_bucket_to_which_nothing_was_done_is_good() {
    let bench = filled();
    let output = verify(&bench, PREFIX, "7", &["--json"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    let object: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(object["events"], 6);
    assert_eq!(object["bucket"]["objects"], 3);
    assert_eq!(
        object["bucket"]["lock_modes"],
        serde_json::json!(["GOVERNANCE"])
    );
    assert_eq!(object["head"]["hash"], bench.head().hash.to_string());
    // Locked for a week, and for a year they should be.
    let output = verify(&bench, PREFIX, "365", &[]);
    assert_ne!(output.status.code(), Some(0));
    // Another prefix has no record.
    let output = verify(&bench, "nothing/", "7", &[]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[test]
fn events_that_were_removed_for_good_leave_a_gap() {
    let bench = filled();
    let key = bench.keys().remove(1);
    let version = version(&bench, &key);
    delete(&bench, &key, Some(version));
    let (first, said) = found(&bench);
    assert!(
        first.contains("events 3 to 4 are missing in the bucket"),
        "{said}"
    );
}

#[test]
fn a_delete_marker_is_found_and_what_it_hides_is_read() {
    let bench = filled();
    let key = bench.keys().remove(1);
    delete(&bench, &key, None);
    assert_eq!(bench.keys().len(), 2);
    let (first, said) = found(&bench);
    assert!(first.contains(&format!("{key} was deleted at")), "{said}");
    assert!(first.contains("still there"), "{said}");
    assert!(!said.contains("missing"), "{said}");
}

#[test]
fn a_lock_that_was_shortened_is_found() {
    let bench = filled();
    let key = bench.keys().remove(2);
    let tomorrow = OffsetDateTime::now_utc().unix_timestamp() + 24 * 3600;
    let retention = ObjectLockRetention::builder()
        .mode(ObjectLockRetentionMode::Governance)
        .retain_until_date(DateTime::from_secs(tomorrow))
        .build();
    let shorter = bench.s3.put_object_retention().bucket(&bench.bucket);
    let shorter = shorter
        .key(&key)
        .bypass_governance_retention(true)
        .retention(retention);
    bench.wait(shorter.send()).expect("shortened");
    let (first, said) = found(&bench);
    assert!(
        first.contains(&format!("the lock of {key} was shortened")),
        "{said}"
    );
}

#[test]
fn what_was_written_over_or_put_beside_is_found() {
    let bench = filled();
    let key = bench.keys().remove(0);
    bench.put(&key, b"{}\n");
    bench.put(&format!("{PREFIX}events/notes.txt"), b"hello");
    let (_, said) = found(&bench);
    for words in [
        &format!("{key} was written over: it has 2 versions"),
        &format!("{PREFIX}events/notes.txt was not written by the sink"),
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[test]
fn another_history_and_an_object_without_a_lock_are_found() {
    let bench = filled();
    // Somebody has a record of their own, with a good chain, and puts it where it belongs.
    let store = bench.fresh_store("other");
    record(&store, 2, "für alle");
    record(&store, 2, "for somebody");
    let line = |n: u64| store.events(n, 1).expect("an event").remove(0);
    let end = Head {
        seq: 4,
        hash: line(4).hash,
    };
    let bytes = [3, 4]
        .map(|n| [line(n).line, vec![b'\n']].concat())
        .concat();
    let key = EventsName::of(3, &end).key(PREFIX);
    bench.put(&key, &bytes);
    let (_, said) = found(&bench);
    assert!(said.contains(&format!("{key} is not locked")), "{said}");
    assert!(said.contains("there are two histories"), "{said}");
    // What is not what its name says is not believed.
    let bench = filled();
    let name = EventsName::of(7, &end).key(PREFIX);
    bench.put(&name.replace("00004-", "00008-"), &bytes);
    let (_, said) = found(&bench);
    assert!(said.contains("does not hold what its name says"), "{said}");
}
