//! What is committed.

use std::{fs, path::Path, process::Command};

use twotap::audit::event::{Event, EventType as E};
use twotap_rig::tools;

use crate::{Bench, git, log, read};

/// The lines of one request among all.
fn lines_of(all: &[u8], request: &str) -> Vec<u8> {
    let named = format!("\"correlation_id\":\"{request}\"");
    let lines = all.split_inclusive(|b| *b == b'\n');
    let of = lines.filter(|l| String::from_utf8_lossy(l).contains(&named));
    of.flatten().copied().collect()
}

#[test]
fn an_incident_is_one_commit_with_its_evidence_and_what_comes_later_one_more() {
    let bench = Bench::new();
    let remote = bench.remote("remote.git");
    let sinks = bench.run("remote = 'remote.git'", true);
    bench.incident("r-aaaaaaaaaaaaa");
    bench.checkpoint();
    // Two at the same time, of which one goes on.
    bench.on_record(bench.of(E::BreakGlassRequested, "dana", "r-ccccccccccccc"));
    bench.incident("r-bbbbbbbbbbbbb");
    bench.checkpoint();
    bench.holds_all(&sinks);
    assert_eq!(
        log(&remote, "evidence/bg-1"),
        [
            "INC-42: evidence of r-bbbbbbbbbbbbb",
            "INC-42: evidence of r-aaaaaaaaaaaaa"
        ]
    );

    let checkout = bench.checkout(&remote, "evidence/bg-1", "one");
    let folder = checkout.join("incidents/INC-42/r-aaaaaaaaaaaaa");
    let all = bench.lines();
    assert_eq!(
        read(folder.join("events.jsonl")),
        lines_of(&all, "r-aaaaaaaaaaaaa")
    );
    let note = read(folder.join("checkpoint.note"));
    assert!(note.starts_with(b"twotap audit checkpoint v1\n"));
    let offer = fs::read_dir(folder.join("envelopes"))
        .expect("envelopes")
        .next();
    let offer = offer.expect("one").expect("read").path();
    assert_eq!(read(offer), br#"{"offer":"r-aaaaaaaaaaaaa"}"#);
    let page = String::from_utf8(read(folder.join("summary.md"))).expect("text");
    for part in [
        "# INC-42: r-aaaaaaaaaaaaa",
        "| asked by | dana at",
        "| approved by | alice at",
        "&lt;b&gt;",
        "\\|",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains("<b>"), "{page}");
    assert!(!checkout.join("incidents/INC-42/r-ccccccccccccc").exists());

    // The whole record beside it, with what is not over.
    let whole = bench.checkout(&remote, "record/bg-1", "two");
    assert_eq!(read(whole.join("record/000000000001.jsonl")), all);
    assert_eq!(
        read(whole.join("open/r-ccccccccccccc.jsonl")),
        lines_of(&all, "r-ccccccccccccc")
    );
    assert!(!whole.join("open/r-aaaaaaaaaaaaa.jsonl").exists());
    let newest = bench.checkout(&remote, "evidence/bg-1", "newest");
    assert_eq!(
        read(whole.join("checkpoint.note")),
        read(newest.join("incidents/INC-42/r-bbbbbbbbbbbbb/checkpoint.note"))
    );

    bench.on_record(bench.of(E::ReviewSigned, "sofia", "r-aaaaaaaaaaaaa"));
    bench.checkpoint();
    bench.holds_all(&sinks);
    let commits = log(&remote, "evidence/bg-1");
    assert_eq!(commits[0], "INC-42: what came later of r-aaaaaaaaaaaaa");
    assert_eq!(commits.len(), 3);
    let later = bench.checkout(&remote, "evidence/bg-1", "later");
    let path = later.join("incidents/INC-42/r-aaaaaaaaaaaaa/events.jsonl");
    assert_eq!(read(path), lines_of(&bench.lines(), "r-aaaaaaaaaaaaa"));
}

#[test]
fn the_record_in_git_verifies_with_nothing_but_itself() {
    let bench = Bench::new();
    let remote = bench.remote("remote.git");
    let sinks = bench.run("remote = 'remote.git'", false);
    bench.incident("r-aaaaaaaaaaaaa");
    bench.checkpoint();
    bench.holds_all(&sinks);
    let whole = bench.checkout(&remote, "record/bg-1", "whole");
    assert!(!whole.join("envelopes").exists(), "nobody asked for them");
    let verify = |file: &Path| {
        Command::new(env!("CARGO_BIN_EXE_twotap"))
            .args(["audit", "verify", "--export"])
            .arg(file)
            .env("HOME", bench.path("home"))
            .output()
            .expect("twotap")
    };
    let events = whole.join("events.jsonl");
    let mut lines = read(whole.join("record/000000000001.jsonl"));
    fs::write(&events, &lines).expect("written");
    let done = verify(&events);
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    // And a changed one does not.
    let at = lines.windows(5).position(|w| w == b"alice").expect("there");
    lines[at] = b'm';
    fs::write(&events, &lines).expect("written");
    assert!(!verify(&events).status.success());
}

#[test]
fn a_thousand_events_a_file_and_none_twice_whatever_is_handed_over_again() {
    let bench = Bench::new();
    for n in 0..2300_u32 {
        bench.on_record(
            bench
                .of(E::RecordingStored, "dana", "r-aaaaaaaaaaaaa")
                .detail("n", n),
        );
    }
    let mut sink = bench.open("");
    let head = sink
        .resume(twotap::audit::chain::Head::default())
        .expect("resumed");
    assert_eq!(head.seq, 0);
    let all = bench.deliveries(1);
    sink.send(&all[..900]).expect("held");
    sink.send(&all[500..1200]).expect("held");
    sink.send(&all[1200..]).expect("held");
    sink.send(&all[2000..]).expect("held");
    assert_eq!(sink.resume(head).expect("resumed"), bench.head());
    drop(sink);
    // Another process goes on where it was.
    let mut sink = bench.open("");
    assert_eq!(sink.resume(head).expect("resumed"), bench.head());
    let repository = bench.path("git/evidence");
    let whole = bench.checkout(&repository, "record/bg-1", "whole");
    let mut lines = Vec::new();
    for first in ["000000000001", "000000001001", "000000002001"] {
        lines.extend(read(whole.join(format!("record/{first}.jsonl"))));
    }
    assert_eq!(lines, bench.lines());
    assert_eq!(
        log(&repository, "record/bg-1").len(),
        3,
        "what was held made no commit"
    );
    git(&repository, &["fsck", "--strict", "--full"]);
}

#[test]
fn commits_are_signed_where_a_key_is_named() {
    let bench = Bench::new();
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"])
        .arg(bench.path("sign"))
        .status()
        .expect("ssh-keygen");
    assert!(made.success());
    let sinks = bench.run("signing_key = 'sign'", false);
    bench.incident("r-aaaaaaaaaaaaa");
    bench.checkpoint();
    bench.holds_all(&sinks);
    let public = String::from_utf8(read(bench.path("sign.pub"))).expect("text");
    fs::write(bench.path("signers"), format!("twotap@bg-1 {public}")).expect("written");
    let signers = format!(
        "gpg.ssh.allowedSignersFile={}",
        bench.path("signers").display()
    );
    let repository = bench.path("git/evidence");
    for branch in ["record/bg-1", "evidence/bg-1"] {
        git(&repository, &["-c", &signers, "verify-commit", branch]);
        let who = git(
            &repository,
            &["log", "-1", "--format=%an <%ae> %aI", branch],
        );
        assert_eq!(
            who.trim(),
            "twotap on bg-1 <twotap@bg-1> 2026-01-06T10:00:00Z"
        );
    }
}

/// A program that says that it ran.
fn trap(path: &Path, marker: &Path) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    let text = format!("#!/bin/sh\ntouch {}\nexit 0\n", marker.display());
    tools::install_text(&text, path).expect("a program");
}

#[test]
fn nothing_of_the_host_is_run() {
    let bench = Bench::new();
    let remote = bench.remote("remote.git");
    let sinks = bench.run("remote = 'remote.git'", false);
    bench.on_record(Event::new(
        E::AgentStarted,
        twotap::audit::event::Actor::agent(),
    ));
    bench.holds_all(&sinks);
    // Whoever can write to the repositories plants what git would run.
    let marker = bench.path("ran");
    let repository = bench.path("git/evidence");
    let evil = bench.path("evil");
    for folder in [&repository.join("hooks"), &remote.join("hooks"), &evil] {
        for hook in [
            "pre-push",
            "reference-transaction",
            "post-index-change",
            "pre-receive",
            "update",
            "post-receive",
            "post-update",
            "pre-auto-gc",
            "pre-commit",
            "post-commit",
            "push-to-checkout",
            "proc-receive",
        ] {
            trap(&folder.join(hook), &marker);
        }
    }
    trap(&bench.path("program"), &marker);
    let program = bench.path("program").display().to_string();
    for place in [&repository, &remote] {
        git(
            place,
            &["config", "core.hooksPath", &evil.display().to_string()],
        );
        for key in [
            "core.fsmonitor",
            "core.alternateRefsCommand",
            "core.sshCommand",
            "credential.helper",
            "gpg.program",
        ] {
            git(place, &["config", key, &program]);
        }
    }
    bench.incident("r-aaaaaaaaaaaaa");
    bench.checkpoint();
    bench.holds_all(&sinks);
    assert!(!marker.exists(), "something of the host was run");
    assert_eq!(log(&remote, "evidence/bg-1").len(), 1);
    // The traps are good: git as anybody has it runs them.
    let whole = bench.checkout(&remote, "record/bg-1", "whole");
    fs::write(whole.join("x"), "x").expect("written");
    git(&whole, &["add", "x"]);
    git(&whole, &["commit", "--quiet", "-m", "x"]);
    git(&whole, &["push", "--quiet", "origin", "HEAD:refs/heads/x"]);
    assert!(marker.exists());
}

/// Requests come and go by the hundred in a test of alarms, or in an attack: a batch of them costs no process of git each, nor does each batch after it,
/// however many stay open.
#[test]
fn a_thousand_requests_are_committed_by_a_few_calls_of_git() {
    let bench = Bench::new();
    let now = crate::NOW;
    let done = bench.store.commit(|tx| {
        for n in 0..1_000 {
            let request = format!("r-{n:013}");
            let asked = bench.of(E::BreakGlassRequested, "dana", &request);
            tx.append(&asked, now)?;
            if n % 10 == 0 {
                let over = Event::new(E::RequestExpired, twotap::audit::event::Actor::agent());
                tx.append(&over.correlation(&request).incident("INC-42"), now)?;
            }
        }
        Ok(())
    });
    done.expect("on record");
    bench.checkpoint();
    let mut sink = bench.open("");
    sink.resume(twotap::audit::chain::Head::default())
        .expect("it is empty");
    let all = bench.deliveries(1);
    let (first, rest) = all.split_at(1_024);
    let mut took = Vec::new();
    let mut send = |batch: &[_]| {
        let begun = std::time::Instant::now();
        // A machine that does much else may need longer than a try has; the runner tries again, too.
        let outcomes = (0..5).map(|_| sink.send(batch));
        let mut failed = outcomes.take_while(Result::is_err).collect::<Vec<_>>();
        assert!(failed.len() < 5, "{:?}", failed.pop());
        took.push(begun.elapsed());
    };
    send(first);
    send(rest);
    // One event more, with nine hundred requests open.
    bench.on_record(bench.of(E::BreakGlassApproved, "alice", "r-0000000000001"));
    bench.checkpoint();
    send(&bench.deliveries(all.len() as u64 + 1));
    println!("a thousand requests: {took:.1?}");

    let repository = bench.path("git/evidence");
    // Each file that is kept by a call of its own is an object of its own.
    let loose = git(&repository, &["count-objects"]);
    let loose: u32 = loose
        .split(' ')
        .next()
        .and_then(|n| n.parse().ok())
        .expect("a number");
    assert!(loose < 100, "{loose}");
    assert_eq!(log(&repository, "evidence/bg-1").len(), 100);
    let whole = bench.checkout(&repository, "record/bg-1", "whole");
    let open = fs::read_dir(whole.join("open")).expect("open requests");
    assert_eq!(open.count(), 900);
    assert_eq!(
        read(whole.join("open/r-0000000000001.jsonl")),
        lines_of(&bench.lines(), "r-0000000000001")
    );
}
