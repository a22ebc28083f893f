//! `twotap exec`: what it says about the end of a session, signals, exit codes.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use twotap::ceremony::Stage;
use twotap_rig::tools;

use crate::{
    agent_support::{BOUND, SOFIA, until},
    bench::{Desk, Running, done, err, out},
};

/// What a tool may take to say that a session has ended: a process that starts on a busy machine takes long as well, and what it must not wait
/// for takes ten minutes.
const AT_ONCE: Duration = BOUND;

#[test]
fn a_command_that_outlives_its_session_is_told_so_and_goes_on() {
    let desk = Desk::for_seconds(15);
    let id = desk.view.id.clone();
    let mut running = Running::start(desk.twotap(&["exec", &id, "--", "sh", "-c", "cat; exit 5"]));
    let ahead = running.until("warning: access ends in");
    assert!(ahead.contains("is not renewed"), "{ahead}");
    let over = running.until("is over");
    assert!(over.contains(&id), "{over}");
    assert!(over.contains("twotap request"), "what to do: {over}");

    // It still runs: what it does without AWS is not taken from it. Whatever asks for the session hears at once that there is none.
    assert!(running.child.try_wait().expect("waited").is_none());
    let asked = Instant::now();
    let credentials = done(desk.twotap(&["credentials", &id]));
    assert!(asked.elapsed() < AT_ONCE, "{:?}", asked.elapsed());
    assert_eq!(credentials.status.code(), Some(3), "{}", err(&credentials));
    let said = err(&credentials);
    assert!(
        said.contains("time is over") || said.contains("expired"),
        "{said}"
    );
    assert!(said.contains("hint: ask for a new one"), "{said}");
    assert!(credentials.stdout.is_empty());

    let (code, said) = running.end();
    assert_eq!(code, Some(5), "the command's own: {said:?}");
    let last = said.last().expect("something");
    assert!(
        last.starts_with(&format!("note: session {id} ended while")),
        "{said:?}"
    );
    // Each is said once.
    assert_eq!(
        said.iter().filter(|l| l.contains("access ends in")).count(),
        1
    );
    assert_eq!(said.iter().filter(|l| l.contains("is over:")).count(), 1);

    // And nothing new begins in it once the agent has seen to it.
    desk.host.reach(&id, Stage::Closed);
    let late = done(desk.twotap(&["exec", &id, "--", "true"]));
    assert_eq!(late.status.code(), Some(125), "{}", err(&late));
}

#[test]
fn a_session_that_an_officer_closed_explains_a_commands_failure() {
    let desk = Desk::new();
    let id = desk.view.id.clone();
    let run =
        |end: &str| desk.twotap(&["exec", "--", "sh", "-c", &format!("echo ready; cat; {end}")]);
    let mut running = Running::start(run("exit 1"));
    running.read("ready\n");
    let mut fine = Running::start(run("exit 0"));
    fine.read("ready\n");
    assert_eq!(desk.host.close(SOFIA, &id, true).status, 200);
    desk.host.reach(&id, Stage::Closed);
    let (code, said) = running.end();
    assert_eq!(code, Some(1));
    let last = said.last().expect("something");
    assert!(
        last.contains("ended while the command ran (revoked"),
        "{said:?}"
    );
    assert!(last.contains("twotap request"), "{said:?}");
    // One that was done before it needed AWS again has nothing to explain.
    let (code, said) = fine.end();
    assert_eq!(code, Some(0));
    assert!(
        !said.iter().any(|line| line.starts_with("note: session")),
        "{said:?}"
    );
}

#[test]
fn signals_go_to_the_command_and_its_end_is_ours() {
    let desk = Desk::new();
    // A shell's trap runs while it waits for what it started.
    let script = "trap 'kill $!; exit 9' TERM HUP INT QUIT USR1 USR2; sleep 600 & dirname $AWS_CONFIG_FILE; wait";
    let signals = [
        Signal::TERM,
        Signal::HUP,
        Signal::INT,
        Signal::QUIT,
        Signal::USR1,
        Signal::USR2,
    ];
    for signal in signals {
        let mut running = Running::start(desk.twotap(&["exec", "--", "sh", "-c", script]));
        running.read("/");
        until("the private folder is there", || {
            !private_folders(&running).is_empty()
        });
        let folders = private_folders(&running);
        let pid = Pid::from_child(&running.child);
        kill_process(pid, signal).expect("signalled");
        let (code, said) = running.end();
        assert_eq!(code, Some(9), "{signal:?}: {said:?}");
        assert!(
            folders.iter().all(|f| !Path::new(f).exists()),
            "{folders:?}"
        );
    }

    // One that does not catch it ends by it, as a shell says so: 128 and its number.
    let mut running = Running::start(desk.twotap(&["exec", "--", "sleep", "600"]));
    let of_exec = Pid::from_child(&running.child);
    until("the command runs", || {
        children(of_exec).contains(&"sleep".to_owned())
    });
    kill_process(of_exec, Signal::TERM).expect("signalled");
    running.stdin = None;
    assert_eq!(running.end().0, Some(128 + 15));
}

/// The private folders of a running `exec`, in whichever place.
fn private_folders(running: &Running) -> Vec<String> {
    let ours = format!("twotap-{}-", running.child.id());
    let in_place = |place: &str| {
        let names = fs::read_dir(place).into_iter().flatten().flatten();
        let names = names.map(|entry| entry.path().display().to_string());
        names
            .filter(|path| path.contains(&ours))
            .collect::<Vec<_>>()
    };
    [in_place("/dev/shm"), in_place("/tmp")].concat()
}

fn children(pid: Pid) -> Vec<String> {
    let pid = pid.as_raw_nonzero();
    let of = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    of.split_whitespace()
        .filter_map(|pid| fs::read_to_string(format!("/proc/{pid}/comm")).ok())
        .map(|name| name.trim().to_owned())
        .collect()
}

#[test]
fn what_cannot_run_has_the_codes_of_shells() {
    let desk = Desk::new();
    let file = desk.home().join("no-program");
    fs::write(&file, "text").expect("written");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("mode");
    let code = |args: &[&str]| {
        let ran = done(desk.twotap(&[&["exec"], args].concat()));
        assert!(err(&ran).starts_with("error: "), "{}", err(&ran));
        (ran.status.code(), err(&ran).lines().count())
    };
    assert_eq!(code(&["--", "no-such-command"]).0, Some(127));
    assert_eq!(code(&["--", &file.display().to_string()]).0, Some(126));
    assert_eq!(code(&["r-aaaaaaaaaaaaa", "--", "true"]).0, Some(125));
}

#[test]
fn what_a_program_says_is_passed_on_whole() {
    let desk = Desk::new();
    // By its name one whose standard error is read for what AWS refused; its own children may keep it open.
    let aws = desk.home().join("aws");
    let script = "#!/bin/sh\nsleep 600 >/dev/null & echo $! >pid\nhead -c 200000 /dev/zero | tr '\\0' x >&2\necho end >&2\necho out\nexit 3\n";
    tools::install_text(script, &aws).expect("a program");
    let asked = Instant::now();
    let ran = done(desk.twotap(&["exec", "--", &aws.display().to_string(), "s3"]));
    assert!(asked.elapsed() < AT_ONCE, "{:?}", asked.elapsed());
    let pid = fs::read_to_string(desk.home().join("pid")).expect("written");
    let pid = Pid::from_raw(pid.trim().parse().expect("a number")).expect("a process");
    kill_process(pid, Signal::KILL).expect("it was left running");
    assert_eq!(ran.status.code(), Some(3));
    assert_eq!(out(&ran), "out\n");
    let said = err(&ran);
    assert_eq!(said.len(), 200_000 + "end\n".len());
    assert!(said.ends_with("xend\n"));
}
