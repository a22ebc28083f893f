//! A shell and single commands, recorded and played again.

use std::process::Command;

use twotap::{protocol::recording::RecordingState, trust::roster::Recording};
use twotap_rig::tools;

use crate::{
    agent_support::until,
    bench::{Bench, text},
};

#[test]
fn a_shell_is_recorded_for_the_officers_alone() {
    let bench = Bench::new(Recording::Wanted);
    let mut shell = bench.shell();
    assert!(shell.seen().contains("this is recorded, sealed for sofia"));
    // Just under an hour.
    shell.until("1h00m left] ");
    shell.press("echo sum-$((40+2)); tty; echo $AWS_PROFILE:$TWOTAP_SESSION.\r");
    shell.until("sum-42");
    shell.until("/dev/pts/");
    shell.until(&format!("break-glass:{}.", bench.id));
    // It is a terminal of its own: keys interrupt what runs on it, and it has the size of ours.
    shell.press("sleep 1000 || echo was-$((1+1))-interrupted\r");
    shell.until("sleep 1000 ||");
    shell.press("\u{3}");
    shell.press("echo still-$((1+2)); stty size; exit 3\r");
    shell.until("still-3");
    shell.until("24 80");
    let (code, seen) = shell.end();
    assert_eq!(code, Some(3), "{seen}");

    assert_eq!(
        bench.recording_events(),
        ["RECORDING_STARTED", "RECORDING_ENDED"]
    );
    let ended = &bench.host.events_named("RECORDING_ENDED")[0];
    assert_eq!(ended.actor, "dana");
    assert_eq!(ended.what["exit"], 3);
    assert_eq!(ended.what["readers"], serde_json::json!(["sofia"]));
    let view = bench.view();
    let [recording] = &view.recordings[..] else {
        panic!("{:?}", view.recordings);
    };
    assert!(matches!(
        recording.state,
        RecordingState::Ended { exit: 3, .. }
    ));
    assert_eq!(ended.what["chunks"], recording.chunks);

    // The agent keeps ciphertext alone.
    let kept = std::fs::read(bench.file(1)).expect("kept");
    for plain in [&b"sum-42"[..], b"asciicast", b"\"version\""] {
        assert!(!kept.windows(plain.len()).any(|w| w == plain));
    }

    // Nobody else gets even that; sofia needs her key; and with it she sees what dana saw.
    let other = age::x25519::Identity::generate();
    let other = age::secrecy::ExposeSecret::expose_secret(&other.to_string()).to_owned();
    for who in ["alice", "dana", "sofia"] {
        let uid = match who {
            "alice" => crate::agent_support::ALICE,
            "dana" => crate::agent_support::DANA,
            _ => crate::agent_support::SOFIA,
        };
        crate::bench::write_for(uid, &bench.home(&format!("{who}/other")), other.as_bytes());
        let args = [
            "replay",
            &bench.id,
            "--identity",
            "other",
            "--export",
            "x.cast",
        ];
        let output = bench.run(who, &args);
        let expected = if who == "sofia" { 2 } else { 3 };
        assert_eq!(
            output.status.code(),
            Some(expected),
            "{}",
            text(&output.stderr)
        );
        assert!(!bench.home(&format!("{who}/x.cast")).exists());
    }
    let cast = bench.exported(1);
    let output = cast.output();
    for seen in ["sum-42", "still-3", "24 80", "[prod/admin "] {
        assert!(output.contains(seen), "{output}");
    }
    assert!(!output.contains("was-2-interrupted"), "{output}");
    assert_eq!(
        (&cast.header["width"], &cast.header["height"]),
        (&80.into(), &24.into())
    );

    // Played on a terminal it is the same.
    let args = ["replay", &bench.id, "--identity", "key", "--speed", "1000"];
    let (code, played) = bench.at_terminal("sofia", &args).end();
    assert_eq!(code, Some(0), "{played}");
    assert!(
        played.contains("sum-42") && played.contains("still-3"),
        "{played}"
    );
    // Who has read it stands on record as well.
    let read = bench.host.events_named("RECORDING_READ");
    assert!(read.iter().all(|e| e.actor == "sofia"), "{read:?}");
    assert_eq!(read.len(), 3);
}

#[test]
fn what_was_seen_is_kept_when_everything_is_killed_in_mid_line() {
    let mut bench = Bench::new(Recording::Wanted);
    let mut shell = bench.shell();
    // In what is typed neither name stands whole.
    shell.press("printf '%s-%s.' parent $PPID self $$\r");
    let mut number = |before: &str| -> Option<u32> {
        shell.until(before);
        shell.until(".");
        let after = shell.seen().rsplit(before).next()?;
        after.split('.').next()?.parse().ok()
    };
    let (parent, own) = (number("parent-"), number("self-"));
    shell.press("printf half-a-%s line; sleep 1000\r");
    shell.until("half-a-line");

    // Both ends at once, in the middle of a line.
    let pid = |n: Option<u32>| {
        let raw = i32::try_from(n.expect("a number")).expect("a pid");
        rustix::process::Pid::from_raw(raw).expect("a pid")
    };
    rustix::process::kill_process(pid(parent), rustix::process::Signal::KILL).expect("killed");
    bench.host.kill_agent();
    until("the shell ends with its terminal", || {
        // One that nobody waits for has no program any more, though its number stays.
        std::fs::read_link(format!("/proc/{}/exe", own.expect("a number"))).is_err()
    });
    bench.host.start_agent();
    let output = bench.exported(1).output();
    assert!(output.ends_with("half-a-line"), "{output}");

    // What was on disk and not yet on record is put there, and that it broke off.
    until("the record says that it broke off", || {
        bench
            .recording_events()
            .last()
            .is_some_and(|e| e == "RECORDING_FAILED")
    });
    let failed = &bench.host.events_named("RECORDING_FAILED")[0];
    assert_eq!(failed.actor, "agent");
    let view = bench.view();
    assert_eq!(failed.what["chunks"], view.recordings[0].chunks);
    assert!(view.recordings[0].chunks > 1);
    assert_eq!(bench.exported(1).output(), output);
}

#[test]
fn a_recording_goes_on_while_the_agent_is_started_anew() {
    let mut bench = Bench::new(Recording::Wanted);
    let mut shell = bench.shell();
    shell.press("echo before-$((1+1))\r");
    shell.until("before-2");
    bench.host.kill_agent();
    shell.press("echo after-$((1+2))\r");
    bench.host.start_agent();
    shell.until("after-3");
    shell.press("exit\r");
    let (code, seen) = shell.end();
    assert_eq!(code, Some(0), "{seen}");
    let output = bench.exported(1).output();
    assert!(
        output.contains("before-2") && output.contains("after-3"),
        "{output}"
    );
    assert!(matches!(
        bench.view().recordings[0].state,
        RecordingState::Ended { exit: 0, .. }
    ));
}

#[test]
fn a_command_in_a_pipe_writes_what_it_wrote_and_is_recorded() {
    let bench = Bench::new(Recording::Wanted);
    let script =
        "printf 'a\\nb\\n\\377'; echo err >&2; head -c 200000 /dev/zero | tr '\\0' x; exit 7";
    let output = bench.run("dana", &["exec", "--record", "--", "sh", "-c", script]);
    assert_eq!(output.status.code(), Some(7), "{}", text(&output.stderr));
    assert!(output.stdout.starts_with(b"a\nb\n\xffxxx"));
    assert_eq!(output.stdout.len(), 200_005);
    assert!(text(&output.stderr).contains("err\n"));
    let cast = bench.exported(1).output();
    assert!(cast.contains("a\r\nb\r\n\u{fffd}"), "{}", &cast[..40]);
    assert!(cast.contains("err\r\n"));
    assert_eq!(cast.matches('x').count(), 200_000);
    let started = &bench.host.events_named("RECORDING_STARTED")[0];
    // The record names the program; what it was given stands in what only officers open.
    assert_eq!(started.what["title"], "sh");

    // A signal goes on to the command, and its end is ours.
    let trap = "trap 'echo got-it; exit 9' TERM; echo ready; while :; do sleep 0.05; done";
    let mut command = bench.twotap("dana", &["exec", "--record", "--", "sh", "-c", trap]);
    let mut child = command
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut out = std::io::BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    std::io::BufRead::read_line(&mut out, &mut line).expect("a line");
    assert_eq!(line, "ready\n");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("signalled");
    let status = child.wait().expect("ended");
    assert_eq!(status.code(), Some(9));
    assert!(bench.exported(2).output().ends_with("got-it\r\n"));
}

#[test]
fn a_recorded_command_that_aws_refused_is_explained_as_any_other() {
    let bench = Bench::new(Recording::Wanted);
    // By its name one whose errors are read for what AWS refused.
    let aws = bench.home("dana/aws");
    let script = "#!/bin/sh\necho 'An error occurred (AccessDenied) when calling the GetObject operation: User: \
arn:aws:sts::111122223333:assumed-role/op-admin/dana is not authorized to perform: s3:GetObject on resource: \
\"arn:aws:s3:::b/k\" with an explicit deny in a permissions boundary' >&2\nexit 254\n";
    tools::install_text(script, &aws).expect("a program");
    let aws = aws.to_str().expect("plain");
    let args = ["exec", "--record", "--", aws, "s3"];
    let output = bench.run("dana", &args);
    let (code, seen) = bench.at_terminal("dana", &args).end();
    for (code, said) in [(output.status.code(), text(&output.stderr)), (code, seen)] {
        assert_eq!(code, Some(254), "{said}");
        let why = "the role's permissions boundary keeps it out";
        assert!(said.contains(why), "{said}");
    }
}

#[test]
fn what_cannot_be_run_says_so_and_is_no_open_recording() {
    let bench = Bench::new(Recording::Wanted);
    let output = bench.run("dana", &["exec", "--record", "--", "/no/such/thing"]);
    assert_eq!(output.status.code(), Some(127));
    let (code, seen) = bench
        .at_terminal("dana", &["exec", "--record", "--", "/no/such/thing"])
        .end();
    assert_eq!(code, Some(127), "{seen}");
    assert!(seen.contains("cannot run /no/such/thing"), "{seen}");
    // Without a terminal there is no shell.
    let output = bench.run("dana", &["shell"]);
    assert_eq!(output.status.code(), Some(125));
    assert!(text(&output.stderr).contains("needs a terminal"));
    // The host's own stock tools agree with what we think of a terminal.
    assert!(Command::new("stty").arg("--version").output().is_ok());
}
