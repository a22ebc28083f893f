//! A store that was put back from a backup: what it writes then goes to branches of their own, beside what was lost.

use std::time::Duration;

use time::OffsetDateTime;
use twotap::audit::{
    chain::Head,
    epoch::{self, Epoch, Reset},
    event::{EventType as E, Place},
    sinks::{SinkError, Sinks},
    store::Store,
};

use crate::{Bench, NOW, git, log, read};

const TABLE: &str = "remote = 'remote.git'";

fn end(sinks: Sinks) {
    assert!(sinks.shutdown(Duration::from_secs(60)));
}

impl Bench {
    /// A copy of the store, as a backup has it.
    fn backup(&self) {
        let live = rusqlite::Connection::open(self.path("state.db")).expect("opened");
        let to = self.path("backup.db");
        live.execute("VACUUM INTO ?1", [to.to_str().expect("text")])
            .expect("copied");
    }

    /// The copy in the store's place.
    fn put_back(&mut self) {
        self.store = Store::open(&self.path("backup.db")).expect("opened");
    }

    /// An epoch that says what was lost.
    fn epoch(&self, agreed: Head, held: Head) -> Epoch {
        let reset = Reset {
            lost_from: Some(agreed.seq + 1),
            held,
            by: "sink evidence".into(),
            why: "it holds more".into(),
            taken_back: None,
        };
        let sign = (&self.key, "host-key-id");
        let now: OffsetDateTime = NOW;
        let begun = self
            .store
            .commit(|tx| epoch::begin(tx, &reset, &Place::default(), sign, now));
        begun.expect("begun").0
    }
}

#[test]
fn after_a_reset_every_event_is_in_branches_of_its_epoch_and_what_was_lost_stays() {
    let mut bench = Bench::new();
    let remote = bench.remote("remote.git");
    let sinks = bench.run(TABLE, false);
    bench.incident("r-aaaaaaaaaaaaa");
    bench.checkpoint();
    bench.holds_all(&sinks);
    end(sinks);
    let agreed = bench.head();
    bench.backup();
    let sinks = bench.run(TABLE, false);
    // The review of the first is lost too.
    bench.on_record(bench.of(E::ReviewSigned, "sofia", "r-aaaaaaaaaaaaa"));
    bench.incident("r-bbbbbbbbbbbbb");
    bench.checkpoint();
    bench.holds_all(&sinks);
    end(sinks);
    let (held, lost) = (bench.head(), bench.lines());
    let before = log(&remote, "record/bg-1");

    bench.put_back();
    bench.on_record(bench.of(E::BreakGlassRequested, "dana", "r-ccccccccccccc"));
    let sinks = bench.run(TABLE, false);
    bench.until(
        &sinks,
        "it says so",
        |s| matches!(&s.error, Some(SinkError::Diverged { seq, .. }) if *seq == held.seq),
    );
    assert_eq!(sinks.ahead()[0].held, held);
    let asked = bench.head().seq;
    bench.epoch(agreed, held);
    bench.holds_all(&sinks);
    // Held is what is in the remote: the request, and the reset.
    let whole = bench.checkout(&remote, "record/bg-1.e2", "two");
    let lines = read(whole.join("record/000000000001.jsonl"));
    assert_eq!(lines, bench.lines());
    assert!(bench.head().seq < held.seq && asked < bench.head().seq);
    assert!(whole.join("open/r-ccccccccccccc.jsonl").exists());
    assert!(!whole.join("open/r-bbbbbbbbbbbbb.jsonl").exists());

    // It goes on past the number at which the old one ended, and after a restart.
    end(sinks);
    let sinks = bench.run(TABLE, false);
    bench.on_record(bench.of(E::ReviewOverdue, "sofia", "r-aaaaaaaaaaaaa"));
    bench.incident("r-ddddddddddddd");
    bench.checkpoint();
    bench.holds_all(&sinks);
    assert!(bench.head().seq > held.seq);
    bench.until(&sinks, "it works", |s| s.error.is_none() && s.lag == 0);
    let whole = bench.checkout(&remote, "record/bg-1.e2", "three");
    assert_eq!(read(whole.join("record/000000000001.jsonl")), bench.lines());
    let evidence = bench.checkout(&remote, "evidence/bg-1.e2", "four");
    let first = evidence.join("incidents/INC-42/r-aaaaaaaaaaaaa/events.jsonl");
    let first = String::from_utf8(read(first)).expect("text");
    assert!(first.contains("REVIEW_OVERDUE"), "{first}");
    assert!(!first.contains("REVIEW_SIGNED"), "it was lost: {first}");

    // What was lost stands where it stood.
    assert_eq!(log(&remote, "record/bg-1"), before);
    let old = bench.checkout(&remote, "record/bg-1", "old");
    assert_eq!(read(old.join("record/000000000001.jsonl")), lost);
    git(&remote, &["fsck", "--strict", "--full"]);
}

#[test]
fn a_host_that_was_put_back_with_its_repository_goes_on_beside_what_the_remote_has() {
    let mut bench = Bench::new();
    let remote = bench.remote("remote.git");
    let sinks = bench.run(TABLE, false);
    bench.incident("r-aaaaaaaaaaaaa");
    bench.holds_all(&sinks);
    end(sinks);
    let agreed = bench.head();
    bench.backup();
    let copied = std::process::Command::new("cp")
        .args(["-r", "git", "git.old"])
        .current_dir(bench.folder.path())
        .status();
    assert!(copied.expect("cp").success());
    let sinks = bench.run(TABLE, false);
    bench.incident("r-bbbbbbbbbbbbb");
    bench.holds_all(&sinks);
    end(sinks);
    let held = bench.head();
    let before = git(&remote, &["rev-parse", "record/bg-1"]);

    bench.put_back();
    std::fs::remove_dir_all(bench.path("git")).expect("removed");
    std::fs::rename(bench.path("git.old"), bench.path("git")).expect("put back");
    let sinks = bench.run(TABLE, false);
    bench.until(&sinks, "it says so", |s| {
        matches!(&s.error, Some(SinkError::Diverged { .. }))
    });
    assert!(sinks.ahead().is_empty(), "a remote's word begins no epoch");
    // Somebody else knows what was lost.
    bench.epoch(agreed, held);
    bench.holds_all(&sinks);
    let whole = bench.checkout(&remote, "record/bg-1.e2", "two");
    assert_eq!(read(whole.join("record/000000000001.jsonl")), bench.lines());
    assert_eq!(git(&remote, &["rev-parse", "record/bg-1"]), before);
    let said = bench.until(&sinks, "it says so", |s| s.complaint.is_some());
    assert!(
        said.complaint.expect("said").contains("record/bg-1"),
        "which branch"
    );
}

#[test]
fn an_epoch_excuses_nothing_that_differs_after_it() {
    let bench = Bench::new();
    let mut sink = bench.open("");
    bench.incident("r-aaaaaaaaaaaaa");
    let (agreed, held) = (Head::default(), bench.head());
    let epoch = Bench::new();
    epoch.on_record(epoch.of(E::BreakGlassRequested, "dana", "r-bbbbbbbbbbbbb"));
    let begun = epoch.epoch(agreed, held);
    sink.resume(Head::default()).expect("resumed");
    sink.send(&bench.deliveries(1)).expect("held");
    sink.epochs(std::slice::from_ref(&begun));
    sink.resume(Head::default()).expect("resumed");
    sink.send(&epoch.deliveries(1)).expect("held");
    assert_eq!(sink.resume(epoch.head()).expect("resumed"), epoch.head());
    // A third history, in the numbers of what was lost.
    let third = Bench::new();
    third.on_record(third.of(E::BreakGlassRequested, "dana", "r-ccccccccccccc"));
    let why = sink.send(&third.deliveries(1)).expect_err("it differs");
    assert!(matches!(why, SinkError::Diverged { seq: 1, .. }), "{why}");
}
