//! Recordings that cannot be begun or break off: by what the roster says, the session goes on without or not at all.

use std::fs;

use twotap::{
    protocol::recording::{RecordingNoted, RecordingPart},
    trust::roster::Recording,
};

use crate::{
    agent_support::DANA,
    bench::{Bench, text},
};

/// Nobody can write recordings below the agent's state.
fn spoil(bench: &Bench) {
    fs::write(bench.host.path("state/recordings"), b"in the way").expect("written");
}

/// What the operator's program says of itself when it cannot go on.
fn break_off(bench: &Bench) {
    let part = RecordingPart::Fail {
        recording: Some(1),
        why: "somebody pulled the plug".to_owned(),
    };
    let path = format!("/v1/requests/{}/recording", bench.id);
    let noted: RecordingNoted = bench.host.call(DANA, "POST", &path, &part).json();
    assert_eq!(noted.recording, 1);
}

#[test]
fn where_it_is_wanted_the_session_goes_on_without_and_the_record_says_so() {
    let bench = Bench::new(Recording::Wanted);
    let mut shell = bench.shell();
    break_off(&bench);
    shell.press("echo on-$((1+1))\r");
    shell.until("the session goes on without");
    shell.until("on-2");
    shell.press("exit\r");
    assert_eq!(shell.end().0, Some(0));
    assert!(!bench.exported(1).output().contains("on-2"));

    spoil_and_begin(&bench);
    let failed = bench.host.events_named("RECORDING_FAILED");
    let whys: Vec<&str> = failed
        .iter()
        .filter_map(|e| e.what["why"].as_str())
        .collect();
    assert_eq!(whys.len(), 3, "{whys:?}");
    assert_eq!(whys[0], "somebody pulled the plug");
    assert!(whys[1].contains("cannot keep"), "{whys:?}");
}

/// A recording that cannot be begun.
fn spoil_and_begin(bench: &Bench) {
    let folder = bench.host.path("state/recordings");
    fs::rename(&folder, bench.host.path("state/recordings-before")).expect("moved");
    spoil(bench);
    let output = bench.run("dana", &["exec", "--record", "--", "echo", "done"]);
    assert_eq!(output.stdout, b"done\n");
    assert!(
        text(&output.stderr).contains("this is not recorded"),
        "{}",
        text(&output.stderr)
    );
    fs::remove_file(&folder).expect("removed");
    fs::rename(bench.host.path("state/recordings-before"), &folder).expect("moved back");
}

#[test]
fn where_nobody_can_read_it_nothing_is_recorded_and_the_record_says_so() {
    let bench = Bench::with(Recording::Wanted, |roster| {
        for person in &mut roster.people {
            person.recipient = None;
        }
    });
    let output = bench.run("dana", &["exec", "--record", "--", "echo", "done"]);
    assert_eq!(output.stdout, b"done\n");
    assert!(text(&output.stderr).contains("no officer has a recipient"));
    let failed = &bench.host.events_named("RECORDING_FAILED")[0];
    assert_eq!(failed.actor, "dana");
    assert_eq!(
        failed.what["why"],
        "no officer has a recipient for recordings"
    );
}

#[test]
fn where_it_is_required_there_is_no_access_without() {
    let bench = Bench::new(Recording::Required);
    // Neither by the profile that the AWS tools use, nor by the wire.
    let output = bench.run("dana", &["credentials"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(
        text(&output.stderr).contains("has to be recorded"),
        "{}",
        text(&output.stderr)
    );
    assert_eq!(bench.host.credentials(DANA, &bench.id).status, 403);

    // A command records by itself, and has access meanwhile.
    let output = bench.run(
        "dana",
        &[
            "exec",
            "--",
            "sh",
            "-c",
            "$0 credentials | grep -c AccessKeyId",
            bench.host.path("twotap").to_str().expect("plain"),
        ],
    );
    assert_eq!(text(&output.stdout), "1\n", "{}", text(&output.stderr));
    assert!(bench.exported(1).output().contains('1'));
    assert_eq!(bench.host.credentials(DANA, &bench.id).status, 403);

    // One that cannot be recorded is not run.
    let folder = bench.host.path("state/recordings");
    fs::rename(&folder, bench.host.path("state/recordings-before")).expect("moved");
    spoil(&bench);
    let output = bench.run("dana", &["exec", "--", "touch", "was-run"]);
    assert_eq!(output.status.code(), Some(125));
    assert!(
        text(&output.stderr).contains("has to be recorded"),
        "{}",
        text(&output.stderr)
    );
    assert!(!bench.home("dana/was-run").exists());
    assert!(!bench.host.events_named("RECORDING_FAILED").is_empty());
}

#[test]
fn where_it_is_required_and_breaks_off_the_command_ends_unseen() {
    let bench = Bench::new(Recording::Required);
    let mut shell = bench.shell();
    break_off(&bench);
    shell.press("echo unseen-$((1+1))\r");
    shell.until("this has to be recorded");
    let (code, seen) = shell.end();
    assert_ne!(code, Some(0), "{seen}");
    assert!(!seen.contains("unseen-2"), "{seen}");
    assert_eq!(bench.host.credentials(DANA, &bench.id).status, 403);
}

#[test]
fn what_is_not_to_be_recorded_is_not() {
    let bench = Bench::new(Recording::Off);
    let output = bench.run("dana", &["exec", "--record", "--", "touch", "was-run"]);
    assert_eq!(output.status.code(), Some(125));
    assert!(text(&output.stderr).contains("is not recorded"));
    assert!(!bench.home("dana/was-run").exists());
    let mut shell = bench.shell();
    assert!(!shell.seen().contains("recorded"), "{}", shell.seen());
    shell.press("exit 4\r");
    assert_eq!(shell.end().0, Some(4));
    assert_eq!(bench.recording_events(), [""; 0]);
}

#[test]
fn a_recording_that_was_changed_is_found_with_its_place() {
    let bench = Bench::new(Recording::Wanted);
    let output = bench.run(
        "dana",
        &[
            "exec",
            "--record",
            "--",
            "sh",
            "-c",
            "for i in 1 2 3; do echo $i; sleep 0.1; done",
        ],
    );
    assert!(output.status.success());
    let file = bench.file(1);
    let good = fs::read(&file).expect("kept");
    let length =
        |at: usize| u32::from_be_bytes(good[at..at + 4].try_into().expect("four")) as usize;
    let first = 4 + length(0);
    let second = first + 4 + length(first);
    let replayed = || {
        let args = [
            "replay",
            &bench.id,
            "--identity",
            "key",
            "--export",
            "x.cast",
        ];
        let output = bench.run("sofia", &args);
        assert!(!bench.home("sofia/x.cast").exists());
        (output.status.code(), text(&output.stderr))
    };
    let mut flipped = good.clone();
    flipped[first + 100] ^= 1;
    let swapped = [&good[first..second], &good[..first], &good[second..]].concat();
    let left_out = [&good[..first], &good[second..]].concat();
    for (bad, said) in [
        (flipped, "is not the one that stands on record"),
        (swapped, "is not the one that stands on record"),
        (left_out, "stand on record, and"),
        (good[..first].to_vec(), "stand on record, and 1 are there"),
        (Vec::new(), "stand on record, and 0 are there"),
    ] {
        fs::write(&file, bad).expect("written");
        let (code, stderr) = replayed();
        assert_eq!(code, Some(11), "{stderr}");
        assert!(stderr.contains(said), "{stderr}");
    }
    fs::write(&file, &good).expect("written");
    assert!(bench.exported(1).output().contains("1\r\n2\r\n3\r\n"));
}
