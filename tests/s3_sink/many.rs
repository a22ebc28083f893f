//! `twotap audit verify --s3` of a record of some hundred objects: one run of `aws` copies them, whatever was done to some of them is found all the
//! same, and what cannot be copied is read one by one.

use std::fs;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::ObjectLockMode;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::datetime;
use twotap::audit::chain::{Hash, Head};
use twotap::audit::event::{Actor, Event, EventType};
use twotap::audit::sinks::s3::names::{self, EventsName};
use twotap_rig::tools;

use crate::record_at_aws::{Bench, PREFIX};
use crate::verify::{self, delete, retain_until, version};

/// A record of so many objects with two events each, written as the sink writes them, and so many envelopes that its first events name.
fn filled(objects: u64, envelopes: u64) -> Bench {
    let bench = Bench::new();
    let envelope = |n: u64| format!("{{\"envelope\":{n}}}").into_bytes();
    let done = bench.store.commit(|tx| {
        for n in 1..=objects * 2 {
            let mut event = Event::new(EventType::BreakGlassAction, Actor::agent());
            if n <= envelopes {
                event = event.envelope("report", envelope(n));
            }
            tx.append(&event, datetime!(2026-01-06 10:00 UTC))?;
        }
        Ok(())
    });
    done.expect("recorded");
    let lines: Vec<_> = bench.store.lines().map(|l| l.expect("a line")).collect();
    for pair in lines.chunks(2) {
        let (first, last) = (pair[0].seq, &pair[1]);
        let end = Head {
            seq: last.seq,
            hash: last.hash,
        };
        let bytes: Vec<u8> = pair
            .iter()
            .flat_map(|e| [&e.line[..], b"\n"].concat())
            .collect();
        put_locked(&bench, &EventsName::of(first, &end).key(PREFIX), bytes);
    }
    for n in 1..=envelopes {
        let bytes = envelope(n);
        put_locked(&bench, &names::envelope(PREFIX, &Hash::of(&bytes)), bytes);
    }
    bench
}

fn put_locked(bench: &Bench, key: &str, bytes: Vec<u8>) {
    let until = OffsetDateTime::now_utc().unix_timestamp() + 8 * 24 * 3600;
    let put = bench.s3.put_object().bucket(&bench.bucket).key(key);
    let put = put
        .object_lock_mode(ObjectLockMode::Governance)
        .object_lock_retain_until_date(DateTime::from_secs(until))
        .body(ByteStream::from(bytes));
    bench.wait(put.send()).expect("put");
}

/// An `aws` that notes each of its runs; before it is the real one it does what `script` says.
fn watched(bench: &Bench, script: &str) -> String {
    let bin = bench.dir.path().join("bin");
    let real = tools::script("aws").expect("the AWS CLI");
    fs::create_dir_all(&bin).expect("a folder");
    let _ = fs::remove_file(bench.dir.path().join("runs"));
    let text = format!(
        "#!/bin/sh\necho \"$1 $2\" >> '{}/runs'\n{script}\nexec '{}' \"$@\"\n",
        bench.dir.path().display(),
        real.display()
    );
    tools::install_text(&text, &bin.join("aws")).expect("a program");
    bin.display().to_string()
}

fn run(bench: &Bench, script: &str) -> (Output, String, Vec<String>) {
    let path = watched(bench, script);
    let output = verify::verify_with(bench, &path, PREFIX, "7", &["--json"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let runs = fs::read_to_string(bench.dir.path().join("runs")).expect("it ran");
    (output, said, runs.lines().map(str::to_owned).collect())
}

#[test]
fn some_hundred_objects_are_read_by_three_runs_of_aws() {
    let bench = filled(300, 0);
    let (output, said, runs) = run(&bench, "");
    assert_eq!(output.status.code(), Some(0), "{said}");
    let object: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(object["events"], 600);
    assert_eq!(object["head"]["hash"], bench.head().hash.to_string());
    assert_eq!(
        object["bucket"],
        json!({ "objects": 300, "envelopes": 0, "lock_modes": ["GOVERNANCE"] })
    );
    // Listed once more after the copy: what stands there by then shows whether it can be believed.
    let list = "s3api list-object-versions";
    assert_eq!(runs, [list, "s3 cp", list], "{said}");
    // Nothing is left where temporary files go.
    let left = fs::read_dir(bench.dir.path().join("tmp")).expect("a folder");
    assert_eq!(left.count(), 0);
}

#[test]
fn what_was_done_to_some_of_many_is_found_and_only_these_are_read_one_by_one() {
    let bench = filled(60, 20);
    let keys = bench.keys();
    let events: Vec<&String> = keys.iter().filter(|k| k.contains("/events/")).collect();
    let envelope = keys
        .iter()
        .find(|k| k.contains("/envelopes/"))
        .expect("one");
    delete(&bench, events[10], None);
    delete(&bench, events[20], Some(version(&bench, events[20])));
    retain_until(&bench, events[30], 24 * 3600);
    bench.put(events[40], b"{}\n");
    // Too large to be copied, and put over what the sink wrote.
    bench.put(events[45], &vec![b'x'; 9 << 20]);
    retain_until(&bench, envelope, 24 * 3600);
    bench.put(&format!("{PREFIX}events/notes.txt"), b"hello");
    let (output, said, mut runs) = run(&bench, "");
    assert_eq!(output.status.code(), Some(11), "{said}");
    for words in [
        format!("{} was deleted at", events[10]),
        "events 41 to 42 are missing in the bucket".into(),
        format!("the lock of {} was shortened", events[30]),
        format!("{} was written over: it has 2 versions", events[40]),
        format!("{} was written over: it has 2 versions", events[45]),
        format!("the lock of {envelope} was shortened"),
        format!("{PREFIX}events/notes.txt was not written by the sink"),
    ] {
        let found =
            String::from_utf8_lossy(&output.stdout).contains(&words) || said.contains(&words);
        assert!(found, "{words}: {said}");
    }
    // Of each the version that the sink wrote is read, with its own lock.
    assert!(!said.contains("is not locked"), "{said}");
    assert!(!said.contains("does not hold"), "{said}");
    runs.sort();
    assert_eq!(
        runs,
        [
            "s3 cp",
            "s3api get-object",
            "s3api get-object",
            "s3api get-object",
            "s3api list-object-versions",
            "s3api list-object-versions"
        ],
        "{said}"
    );
}

/// Whoever may read versions alone, or has an `aws` that says something else: it takes longer, and comes to the same.
#[test]
fn what_cannot_be_copied_together_is_read_one_by_one() {
    let bench = filled(9, 0);
    for script in [
        "[ \"$1\" = s3 ] && exit 1",
        // Copied, and nothing told of versions and locks.
        "[ \"$1\" = s3 ] && { \"$REAL\" \"$@\" 2>/dev/null; exit 0; }",
    ] {
        let real = tools::script("aws").expect("the AWS CLI");
        let script = format!("REAL='{}'\n{script}", real.display());
        let (output, said, runs) = run(&bench, &script);
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert!(said.contains("9 objects are read one by one"), "{said}");
        let single = runs.iter().filter(|r| *r == "s3api get-object").count();
        assert_eq!(single, 9, "{runs:?}");
        let object: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(object["bucket"]["lock_modes"], json!(["GOVERNANCE"]));
    }
}

/// To whom S3 does not show locks it shows objects without: that is not the bucket's fault, and is not called good either.
#[test]
fn locks_that_may_not_be_seen_are_not_taken_for_missing_ones() {
    let bench = filled(9, 0);
    let real = tools::script("aws").expect("the AWS CLI");
    let refused = "An error occurred (AccessDenied) when calling the GetObjectRetention operation: User: \
         arn:aws:iam::1:user/sofia is not authorized to perform: s3:GetObjectRetention on resource: x";
    let script = format!(
        "case \"$2\" in get-object-retention) echo '{refused}' >&2; exit 254;; esac\n\
         case \"$1\" in s3) '{real}' \"$@\" 2>&1 | sed \"s/, 'x-amz-object-lock-[a-z-]*': '[^']*'//g\" >&2; exit 0;; esac",
        real = real.display()
    );
    let (output, said, runs) = run(&bench, &script);
    assert_eq!(output.status.code(), Some(9), "{said}");
    let all = format!("{}{said}", String::from_utf8_lossy(&output.stdout));
    for words in [
        "whether they are locked cannot be seen of 9 objects",
        "use a profile that may s3:GetObjectRetention",
    ] {
        assert!(all.contains(words), "{words}: {all}");
    }
    assert!(!all.contains("is not locked"), "{all}");
    let asked = runs.iter().filter(|run| run.contains("retention")).count();
    assert_eq!(asked, 1, "{runs:?}");
    // What was done to the bucket is found all the same.
    let key = bench.keys().remove(4);
    delete(&bench, &key, None);
    let (output, said, _) = run(&bench, &script);
    assert_eq!(output.status.code(), Some(11), "{said}");
    let all = format!("{}{said}", String::from_utf8_lossy(&output.stdout));
    assert!(all.contains(&format!("{key} was deleted at")), "{all}");
    assert!(all.contains("cannot be seen of "), "{all}");
}

/// Whoever writes to the bucket while it is copied does not fill this disk.
#[test]
fn what_comes_into_the_bucket_meanwhile_is_not_copied_without_bound() {
    let bench = filled(9, 0);
    let real = tools::script("aws").expect("the AWS CLI");
    let line = forged("put-since", 1 << 30);
    let script = format!(
        "[ \"$1\" = s3 ] && {{ '{}' \"$@\"; echo \"{line}\" >&2; exit 0; }}",
        real.display()
    );
    let (output, said, runs) = run(&bench, &script);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(
        said.contains("more came into the bucket than was listed"),
        "{said}"
    );
    assert_eq!(runs[0], "s3api list-object-versions");
}

/// The copy of the record does not stay behind where the verb is told to end, whatever it does just then.
#[test]
fn nothing_is_left_behind_by_a_verb_that_is_told_to_end() {
    let bench = filled(9, 0);
    let tmp = bench.dir.path().join("tmp");
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        // A copy that does not end.
        let begun = bench.dir.path().join("begun");
        let script = format!(
            "[ \"$1\" = s3 ] && {{ echo x > '{0}'; exec sleep 600; }}",
            begun.display()
        );
        let path = watched(&bench, &script);
        let _ = fs::remove_file(&begun);
        let mut child = verify::command(&bench, &path, PREFIX, "7", &[])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it runs");
        let until = Instant::now() + Duration::from_secs(60);
        while !begun.exists() {
            assert!(child.try_wait().expect("asked").is_none(), "it ended");
            assert!(Instant::now() < until, "it does not begin to copy");
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(fs::read_dir(&tmp).expect("a folder").count(), 1);
        let pid = Pid::from_child(&child);
        kill_process(pid, signal).expect("told");
        let output = child.wait_with_output().expect("ended");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{signal:?}: {said}");
        assert!(said.contains("broken off"), "{said}");
        assert_eq!(
            fs::read_dir(&tmp).expect("a folder").count(),
            0,
            "{signal:?}"
        );
    }
}

/// Headers as `aws --debug` tells of them, of a version that never came.
fn forged(version: &str, length: usize) -> String {
    format!(
        "2026-11-23 00:16:40,743 - ThreadPoolExecutor-0_3 - botocore.parsers - DEBUG - Response headers: \
         {{'x-amz-version-id': '{version}', 'content-length': '{length}', 'x-amz-object-lock-mode': 'COMPLIANCE', \
         'x-amz-object-lock-retain-until-date': '2099-01-01T00:00:00Z'}}"
    )
}

/// Whoever may put objects, as a thief with the sink's key, says nothing of the locks of others.
#[test]
fn a_key_that_makes_lines_of_its_own_makes_up_no_lock() {
    let bench = filled(9, 0);
    let key = bench.keys().remove(4);
    let (version, bytes) = (version(&bench, &key), bench.object(&key));
    retain_until(&bench, &key, 24 * 3600);
    // The same bytes over it: what is copied is another version, whose lock is good.
    put_locked(&bench, &key, bytes.clone());
    let line = forged(&version, bytes.len());
    bench.put(&format!("{PREFIX}x\n{line}\n"), b"hello");
    let (output, said, _) = run(&bench, "");
    let all = format!("{}{said}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(output.status.code(), Some(11), "{all}");
    assert!(
        all.contains(&format!("the lock of {key} was shortened")),
        "{all}"
    );
    assert!(all.contains("9 objects are read one by one"), "{all}");
}

/// The same, said while objects are copied: by a key that is gone by then, or in headers that cannot be read.
#[test]
fn answers_that_are_more_than_objects_or_unreadable_do_not_count() {
    let bench = filled(9, 0);
    let real = tools::script("aws").expect("the AWS CLI");
    let key = bench.keys().remove(4);
    let (version, length) = (version(&bench, &key), bench.object(&key).len());
    retain_until(&bench, &key, 24 * 3600);
    let unread = "2026-11-23 00:16:40,743 - MainThread - botocore.parsers - DEBUG - Response headers: {'a': 3}";
    for line in [forged("made-up", length), unread.to_owned()] {
        let forged = forged(&version, length);
        let script = format!(
            "[ \"$1\" = s3 ] && {{ '{}' \"$@\" 2>&1 | grep -v '{version}' >&2; echo \"{forged}\" >&2; echo \"{line}\" >&2; exit 0; }}",
            real.display()
        );
        let (output, said, runs) = run(&bench, &script);
        let all = format!("{}{said}", String::from_utf8_lossy(&output.stdout));
        assert!(
            all.contains(&format!("the lock of {key} was shortened")),
            "{all}"
        );
        let single = runs.iter().filter(|r| *r == "s3api get-object").count();
        assert_eq!(single, 9, "{all}");
    }
}
