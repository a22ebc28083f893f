//! Whoever else may push to the remote: what they put there is said, and never taken for ours.

use std::{fs, path::Path, time::Duration};

use twotap::audit::{chain::Head, sinks::SinkError};

use crate::{Bench, git, log, read};

const TABLE: &str = "remote = 'remote.git'";
const FILE: &str = "record/000000000001.jsonl";

/// Puts a commit on top of the record in the remote: the file with other bytes, under this trailer, or the one before.
fn put(bench: &Bench, remote: &Path, name: &str, bytes: &[u8], trailer: Option<&str>) {
    let whole = bench.checkout(remote, "record/bg-1", name);
    fs::write(whole.join(FILE), bytes).expect("written");
    let before = git(&whole, &["log", "-1", "--format=%B"]);
    let text = trailer.map_or(before, |t| format!("record: more\n\nTwotap-Head: {t}\n"));
    git(&whole, &["add", "."]);
    git(&whole, &["commit", "--quiet", "--allow-empty", "-m", &text]);
    git(&whole, &["push", "--quiet", "origin", "HEAD:record/bg-1"]);
}

/// A record in the remote, of which the sink holds all.
fn held(bench: &Bench) {
    let sinks = bench.run(TABLE, false);
    bench.incident("r-aaaaaaaaaaaaa");
    bench.checkpoint();
    bench.holds_all(&sinks);
    assert!(sinks.shutdown(Duration::from_secs(60)));
}

/// What somebody may put there: other bytes, and a trailer.
fn forgeries(bench: &Bench) -> Vec<(Vec<u8>, Option<String>)> {
    let all = bench.lines();
    let text = String::from_utf8(all.clone()).expect("text");
    let first = text.find('\n').expect("a line") + 1;
    let foreign = format!("{text}{{\"x\":1}}\n");
    let hex = "ab".repeat(32);
    vec![
        (text.replace("alice", "mallo").into_bytes(), None),
        (text.as_bytes()[first..].to_vec(), None),
        (foreign.into_bytes(), None),
        (Vec::new(), None),
        (all.clone(), Some(format!("999999 {hex}"))),
        (all.clone(), Some(format!("{} {hex}", u64::MAX))),
        (all, Some("nothing".to_owned())),
    ]
}

#[test]
fn what_somebody_adds_to_our_branch_is_not_taken_over() {
    let count = forgeries(&{
        let bench = Bench::new();
        bench.incident("r-aaaaaaaaaaaaa");
        bench
    })
    .len();
    for n in 0..count {
        let bench = Bench::new();
        let remote = bench.remote("remote.git");
        held(&bench);
        let (bytes, trailer) = forgeries(&bench).remove(n);
        put(&bench, &remote, "theirs", &bytes, trailer.as_deref());
        let there = git(&remote, &["rev-parse", "record/bg-1"]);
        let mut sink = bench.open(TABLE);
        let why = sink.resume(bench.head()).expect_err("it is said");
        assert!(
            matches!(&why, SinkError::Diverged { why, .. } if why.contains("did not make")),
            "{n}: {why}"
        );
        let ours = bench.path("git/evidence");
        assert_eq!(
            log(&ours, "record/bg-1").len() + 1,
            log(&remote, "record/bg-1").len()
        );
        assert_eq!(git(&remote, &["rev-parse", "record/bg-1"]), there);
    }
}

#[test]
fn what_is_taken_back_from_the_remote_is_compared_before_anything_is_built_on_it() {
    let count = 4;
    for n in 0..count {
        let bench = Bench::new();
        let remote = bench.remote("remote.git");
        held(&bench);
        let (bytes, trailer) = forgeries(&bench).remove(n);
        put(&bench, &remote, "theirs", &bytes, trailer.as_deref());
        let there = git(&remote, &["rev-parse", "record/bg-1"]);
        fs::remove_dir_all(bench.path("git")).expect("removed");
        bench.on_record(bench.of(
            twotap::audit::event::EventType::ReviewSigned,
            "sofia",
            "r-aaaaaaaaaaaaa",
        ));
        // Twice: what is not compared stays so over a restart.
        for _ in 0..2 {
            let mut sink = bench.open(TABLE);
            match sink.resume(bench.head()) {
                Err(SinkError::Diverged { .. }) => continue,
                other => assert_eq!(other, Ok(Head::default()), "{n}"),
            }
            let why = sink.send(&bench.deliveries(1)).expect_err("it differs");
            assert!(matches!(why, SinkError::Diverged { .. }), "{n}: {why}");
        }
        assert_eq!(git(&remote, &["rev-parse", "record/bg-1"]), there);
    }
}

#[test]
fn a_head_that_the_remote_alone_knows_is_not_believed() {
    let bench = Bench::new();
    let remote = bench.remote("remote.git");
    held(&bench);
    let trailer = format!("999999 {}", "ab".repeat(32));
    put(&bench, &remote, "theirs", &bench.lines(), Some(&trailer));
    fs::remove_dir_all(bench.path("git")).expect("removed");
    let sinks = bench.run(TABLE, false);
    let status = bench.until(&sinks, "it says so", |s| {
        s.complaint.is_some() && s.lag == 0
    });
    let said = status.complaint.expect("said");
    assert!(said.contains("up to event 999999"), "{said}");
    assert_eq!(status.flaws, [], "how far it is compared is no flaw");
    assert!(sinks.ahead().is_empty());
    // What is new has no place there, and is not held.
    bench.incident("r-bbbbbbbbbbbbb");
    let failing = bench.until(&sinks, "it fails", |s| s.error.is_some());
    assert!(failing.acknowledged <= 9, "{failing:?}");
    assert!(matches!(failing.error, Some(SinkError::Diverged { .. })));
    let whole = bench.checkout(&remote, "record/bg-1", "after");
    assert!(read(whole.join(FILE)).len() < bench.lines().len());
}
