//! `twotap audit verify --s3` with the stock AWS CLI: what was done to a bucket is found, and named.

use std::process::{Command, Output};

use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::{ObjectLockRetention, ObjectLockRetentionMode};
use serde_json::Value;
use time::OffsetDateTime;
use time::macros::datetime;
use twotap::audit::chain::Head;
use twotap::audit::checkpoint::CheckpointKey;
use twotap::audit::epoch;
use twotap::audit::event::Place;
use twotap::audit::sinks::s3::names::EventsName;
use twotap::trust::{PublicKey, Signer as _};
use twotap_rig::tools;

use crate::paper::Paper;
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
    let bin = tools::script("aws").expect("the AWS CLI");
    let bin = bin.parent().expect("a folder").display().to_string();
    verify_with(bench, &bin, prefix, days, more)
}

/// With the `aws` that is in a folder.
pub(crate) fn verify_with(
    bench: &Bench,
    bin: &str,
    prefix: &str,
    days: &str,
    more: &[&str],
) -> Output {
    let mut command = command(bench, bin, prefix, days, more);
    command.output().expect("run")
}

/// The same, still to be run.
pub(crate) fn command(
    bench: &Bench,
    bin: &str,
    prefix: &str,
    days: &str,
    more: &[&str],
) -> Command {
    let place = format!("s3://{}/{prefix}", bench.bucket);
    let temporary = bench.dir.path().join("tmp");
    std::fs::create_dir_all(&temporary).expect("a folder");
    let mut command = Command::new("env");
    command
        // Whoever runs the tests in the background may have told them to ignore these.
        .args([
            "--default-signal=HUP,INT,TERM",
            env!("CARGO_BIN_EXE_twotap"),
        ])
        .args(["audit", "verify", "--s3", &place, "--retention-days", days])
        .args(more)
        .env_clear()
        .env("HOME", bench.dir.path())
        .env("TMPDIR", &temporary)
        .env("PATH", format!("{bin}:/usr/bin:/bin"))
        .env("AWS_ENDPOINT_URL", &bench.direct)
        .env("AWS_ACCESS_KEY_ID", &bench.account)
        .env("AWS_SECRET_ACCESS_KEY", "not-checked")
        .env("AWS_DEFAULT_REGION", REGION)
        .env("AWS_EC2_METADATA_DISABLED", "true");
    command
}

/// What it says first, and everything else that it says; it ends with the code for tampering.
fn found(bench: &Bench) -> (String, String) {
    let output = verify(bench, PREFIX, "7", &[]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(11), "{said}");
    let first = said.lines().find(|line| line.starts_with("error:"));
    (first.expect("an error").to_owned(), said)
}

pub(crate) fn version(bench: &Bench, key: &str) -> String {
    let versions = bench.s3.list_object_versions().bucket(&bench.bucket);
    let versions = bench.wait(versions.prefix(key).send()).expect("a list");
    versions.versions()[0]
        .version_id()
        .expect("an id")
        .to_owned()
}

/// As the root: past every lock that is not COMPLIANCE.
pub(crate) fn delete(bench: &Bench, key: &str, version: Option<String>) {
    let bypass = version.is_some().then_some(true);
    let gone = bench.s3.delete_object().bucket(&bench.bucket).key(key);
    let gone = gone
        .set_version_id(version)
        .set_bypass_governance_retention(bypass);
    bench.wait(gone.send()).expect("deleted");
}

/// As the root: a lock that ends so many seconds from now, whatever it was.
pub(crate) fn retain_until(bench: &Bench, key: &str, seconds: i64) {
    let until = OffsetDateTime::now_utc().unix_timestamp() + seconds;
    let retention = ObjectLockRetention::builder()
        .mode(ObjectLockRetentionMode::Governance)
        .retain_until_date(DateTime::from_secs(until))
        .build();
    let kept = bench.s3.put_object_retention().bucket(&bench.bucket);
    let kept = kept
        .key(key)
        .bypass_governance_retention(true)
        .retention(retention);
    bench.wait(kept.send()).expect("a lock");
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
    retain_until(&bench, &key, 24 * 3600);
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
    assert!(
        said.contains(" has another event 3 than this record"),
        "{said}"
    );
    // What is not what its name says is not believed.
    let bench = filled();
    let name = EventsName::of(7, &end).key(PREFIX);
    bench.put(&name.replace("00004-", "00008-"), &bytes);
    let (_, said) = found(&bench);
    assert!(said.contains("does not hold what its name says"), "{said}");
}

/// Puts an object where the sink would, locked for eight days.
fn locked(bench: &Bench, key: &str, bytes: &[u8]) {
    bench.put(key, bytes);
    retain_until(bench, key, 8 * 24 * 3600);
}

/// After a store was put back the bucket holds both histories: the new one is verified, and the old one is what its epoch says was lost.
#[test]
fn a_record_that_went_on_from_a_backup_is_verified_and_what_was_lost_is_there() {
    let bench = filled();
    let key = CheckpointKey::open_or_create(&bench.dir.path().join("key"), "host-1");
    let key = key.unwrap_or_else(|why| panic!("{why}"));
    let public = PublicKey::Ed25519(*key.public().key());
    let paper = Paper::of(&["alice", "bob"], |roster, _| {
        roster.hosts[0].checkpoint_key = public;
    });
    let roster = bench.dir.path().join("roster.json");
    std::fs::write(&roster, paper.chain[0].to_json()).expect("written");
    let origin = paper.host.public().id().to_string();

    let store = bench.fresh_store("restored");
    record(&store, 3, "für alle");
    let reset = epoch::Reset {
        lost_from: Some(4),
        held: bench.head(),
        by: "sink worm".into(),
        why: "it holds more".into(),
        taken_back: None,
    };
    let now = datetime!(2026-01-06 11:00 UTC);
    let begun =
        store.commit(|tx| epoch::begin(tx, &reset, &Place::default(), (&key, &origin), now));
    begun.expect("an epoch");
    record(&store, 4, "nach der Rückkehr");
    let end = store.head().expect("a head");
    let put = |from: u64, to: u64| {
        let lines = store.events(from, usize::try_from(to - from + 1).expect("small"));
        let lines = lines.expect("events");
        let last = lines.last().expect("one");
        let (seq, hash) = (last.seq, last.hash);
        let key = EventsName::of(from, &Head { seq, hash }).key(PREFIX);
        let bytes: Vec<u8> = lines
            .iter()
            .flat_map(|entry| [&entry.line[..], b"\n"].concat())
            .collect();
        locked(&bench, &key, &bytes);
    };
    put(4, 7);
    put(8, end.seq);
    let roster = roster.to_str().expect("text");
    let output = verify(&bench, PREFIX, "7", &["--roster", roster, "--json"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(
        said.contains("begins epoch 2 of the record, signed by host-1"),
        "{said}"
    );
    let object: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(object["head"]["hash"], end.hash.to_string());
    assert_eq!(object["copies"][0]["lost"], 3);
    assert_eq!(object["copies"][0]["holds_lost_of"], serde_json::json!([2]));

    // A third history is of no epoch.
    let other = bench.fresh_store("other");
    record(&other, 6, "for somebody");
    let line = other.events(6, 1).expect("an event").remove(0);
    let name = EventsName::of(6, &other.head().expect("a head"));
    locked(
        &bench,
        &name.key(PREFIX),
        &[line.line, vec![b'\n']].concat(),
    );
    let output = verify(&bench, PREFIX, "7", &["--roster", roster]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(11), "{said}");
    assert!(
        said.contains(" has another event 6 than this record"),
        "{said}"
    );
}
