//! Remotes that are away, lose what they had, have something else, or never answer.

use std::{
    fs,
    time::{Duration, Instant},
};

use twotap::audit::{
    chain::Head,
    sinks::{BOUND, SinkError, Sinks},
};

use crate::{
    Bench, git, log,
    outside_support::{Does, Receiver},
};

fn end(sinks: Sinks) {
    assert!(sinks.shutdown(Duration::from_secs(60)));
}

#[test]
fn while_the_remote_is_away_commits_are_made_here_and_pushed_later() {
    let bench = Bench::new();
    let table = "remote = 'remote.git'";
    let repository = bench.path("git/evidence");
    let mut sink = bench.open(table);
    for (n, request) in ["r-aaaaaaaaaaaaa", "r-bbbbbbbbbbbbb"]
        .into_iter()
        .enumerate()
    {
        bench.incident(request);
        bench.checkpoint();
        // As the runner does it: what is not pushed is not held, and comes again with what is new.
        let held = sink
            .resume(Head::default())
            .expect("it is met when it is pushed to");
        assert_eq!(held, Head::default());
        let why = sink
            .send(&bench.deliveries(1))
            .expect_err("nobody is there");
        assert!(
            matches!(&why, SinkError::Unavailable(w) if w.contains("remote.git")),
            "{why}"
        );
        assert_eq!(
            log(&repository, "evidence/bg-1").len(),
            n + 1,
            "it is committed here"
        );
    }
    drop(sink);
    // The host is restarted, and the remote comes back.
    let remote = bench.remote("remote.git");
    let sinks = bench.run(table, false);
    bench.holds_all(&sinks);
    assert_eq!(
        log(&remote, "evidence/bg-1"),
        log(&repository, "evidence/bg-1")
    );
    assert_eq!(log(&remote, "record/bg-1"), log(&repository, "record/bg-1"));
    bench.until(&sinks, "it works", |s| s.error.is_none() && s.lag == 0);
}

#[test]
fn a_remote_that_is_away_shows_as_failing_and_lagging() {
    let bench = Bench::new();
    let sinks = bench.run("remote = 'remote.git'", false);
    bench.incident("r-aaaaaaaaaaaaa");
    let failing = bench.until(&sinks, "it fails", |s| s.error.is_some());
    assert_eq!((failing.acknowledged, failing.lag), (0, 8));
    bench.remote("remote.git");
    bench.holds_all(&sinks);
    bench.until(&sinks, "it works", |s| s.error.is_none());
}

#[test]
fn a_repository_that_is_lost_is_taken_back_from_the_remote() {
    let bench = Bench::new();
    let remote = bench.remote("remote.git");
    let table = "remote = 'remote.git'";
    let sinks = bench.run(table, false);
    bench.incident("r-aaaaaaaaaaaaa");
    bench.checkpoint();
    bench.holds_all(&sinks);
    end(sinks);
    fs::remove_dir_all(bench.path("git")).expect("removed");
    let before = log(&remote, "record/bg-1");
    let sinks = bench.run(table, false);
    bench.incident("r-bbbbbbbbbbbbb");
    bench.checkpoint();
    bench.holds_all(&sinks);
    let after = log(&remote, "record/bg-1");
    assert!(
        after.ends_with(&before) && after.len() > before.len(),
        "{after:?}"
    );
    assert_eq!(log(&remote, "evidence/bg-1").len(), 2);
}

#[test]
fn without_a_remote_a_lost_repository_is_made_anew_from_the_record() {
    let bench = Bench::new();
    let sinks = bench.run("", false);
    bench.incident("r-aaaaaaaaaaaaa");
    bench.checkpoint();
    bench.holds_all(&sinks);
    end(sinks);
    fs::remove_dir_all(bench.path("git")).expect("removed");
    let sinks = bench.run("", false);
    bench.holds_all(&sinks);
    let repository = bench.path("git/evidence");
    bench.until(&sinks, "it is there again", |_| {
        repository.join("refs/heads/evidence/bg-1").exists()
    });
    assert_eq!(
        log(&repository, "evidence/bg-1"),
        ["INC-42: evidence of r-aaaaaaaaaaaaa"]
    );
}

#[test]
fn a_remote_that_was_rolled_back_gets_all_again_and_it_is_said() {
    let bench = Bench::new();
    let remote = bench.remote("remote.git");
    let mut sink = bench.open("remote = 'remote.git'");
    sink.resume(Head::default()).expect("resumed");
    bench.incident("r-aaaaaaaaaaaaa");
    sink.send(&bench.deliveries(1)).expect("held");
    bench.checkpoint();
    sink.send(&bench.deliveries(1)).expect("held");
    let tip = git(&remote, &["rev-parse", "record/bg-1"]);
    sink.tend().expect("all is well");
    assert_eq!(sink.complaint(), None);

    git(
        &remote,
        &["update-ref", "refs/heads/record/bg-1", "record/bg-1~1"],
    );
    git(&remote, &["update-ref", "-d", "refs/heads/evidence/bg-1"]);
    sink.tend().expect("it is put right");
    assert_eq!(git(&remote, &["rev-parse", "record/bg-1"]), tip);
    assert_eq!(log(&remote, "evidence/bg-1").len(), 1);
    let said = sink.complaint().expect("a complaint");
    assert!(said.contains("had lost what was pushed"), "{said}");
    assert_eq!(sink.flaws().len(), 1, "it goes on record");
}

#[test]
fn a_remote_that_was_rewritten_is_said_and_never_written_over() {
    let bench = Bench::new();
    let remote = bench.remote("remote.git");
    let mut sink = bench.open("remote = 'remote.git'");
    sink.resume(Head::default()).expect("resumed");
    bench.incident("r-aaaaaaaaaaaaa");
    sink.send(&bench.deliveries(1)).expect("held");
    let seq = bench.head().seq;
    // Somebody makes another history there.
    let tree = git(&remote, &["rev-parse", "record/bg-1^{tree}"]);
    let message = git(&remote, &["log", "-1", "--format=%B", "record/bg-1"]);
    let forged = git(&remote, &["commit-tree", tree.trim(), "-m", &message]);
    git(
        &remote,
        &["update-ref", "refs/heads/record/bg-1", forged.trim()],
    );

    bench.checkpoint();
    let why = sink
        .send(&bench.deliveries(seq + 1))
        .expect_err("it is refused");
    assert!(
        matches!(&why, SinkError::Unavailable(w) if w.contains("did not take the push")),
        "{why}"
    );
    let why = sink.resume(bench.head()).expect_err("they differ");
    assert!(matches!(why, SinkError::Diverged { .. }), "{why}");
    assert_eq!(git(&remote, &["rev-parse", "record/bg-1"]), forged);
}

#[test]
fn another_line_in_the_place_of_one_that_is_held_is_found() {
    let bench = Bench::new();
    let mut sink = bench.open("");
    sink.resume(Head::default()).expect("resumed");
    bench.incident("r-aaaaaaaaaaaaa");
    sink.send(&bench.deliveries(1)).expect("held");
    let other = Bench::new();
    other.incident("r-bbbbbbbbbbbbb");
    let why = sink.send(&other.deliveries(1)).expect_err("it differs");
    assert!(matches!(why, SinkError::Diverged { seq: 1, .. }), "{why}");
}

#[test]
fn a_remote_that_never_answers_is_given_up_in_time_and_all_that_was_started_with_it() {
    let bench = Bench::new();
    let receiver = Receiver::start(Does::HangsBefore);
    let mut sink = bench.open(&format!(
        "remote = 'http://{}/evidence.git'",
        receiver.address()
    ));
    let begun = Instant::now();
    let held = sink
        .resume(Head::default())
        .expect("it is met when it is pushed to");
    assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());
    assert_eq!(held, Head::default());
    bench.incident("r-aaaaaaaaaaaaa");
    let begun = Instant::now();
    let why = sink.send(&bench.deliveries(1)).expect_err("nobody answers");
    assert!(why.to_string().contains("in time"), "{why}");
    assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());
    assert_eq!(
        log(&bench.path("git/evidence"), "record/bg-1").len(),
        1,
        "it is committed here"
    );
    // Neither git nor its helper is left. Whoever is killed is gone a moment later; left alone, the helper would wait for as long as nobody answers.
    let helper = format!("http://{}/evidence.git", receiver.address());
    let left = || {
        let entries = fs::read_dir("/proc").expect("proc").flatten();
        let mut lines = entries.map(|entry| {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).replace('\0', " ")
        });
        lines.find(|line| line.contains(&helper))
    };
    let begun = Instant::now();
    while let Some(line) = left() {
        assert!(begun.elapsed() < BOUND, "{line}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
