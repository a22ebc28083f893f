//! What keeps others from a process's memory: no core, and no reading by its own account.

use std::{
    fs,
    os::unix::process::ExitStatusExt as _,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use twotap_rig::{
    Site, people,
    site::{Options, Running},
};

const BOUND: Duration = Duration::from_secs(30);

/// A token that waits for its finger for as long as anything here may take.
fn patient() -> Options {
    Options {
        touch_timeout_ms: 60_000,
        ..Options::default()
    }
}

#[test]
fn nobody_of_the_same_account_reads_the_memory_of_agent_worker_or_custodian() {
    let site = Site::ready(patient()).expect("a site");
    let request = site.request("INC-1", "to be looked at").expect("asked");
    let approve = waiting_for_a_finger(&site, &request);
    // The request's own; one that looked something up goes by itself.
    let begun = Instant::now();
    while site.door().pids().len() > 1 && begun.elapsed() < BOUND {
        std::thread::park_timeout(Duration::from_millis(20));
    }
    let worker = site.door().pids();
    assert_eq!(worker.len(), 1, "{worker:?}");
    let agent = site.agent_pid().expect("it runs");
    for (who, uid, pid) in [
        ("the agent", people::AGENT, agent),
        ("the worker", people::WORKER, worker[0]),
        ("twotap approve", people::ALICE, approve.id()),
    ] {
        let peek = |pid: u32| -> bool {
            let look = ["environ", "maps", "mem"].map(|file| {
                let dd = format!("dd if=/proc/{pid}/{file} of=/dev/null count=0 2>/dev/null");
                let look = people::as_uid(uid, "sh")
                    .expect("root")
                    .args(["-c", &dd])
                    .status();
                look.expect("sh").success()
            });
            look.contains(&true)
        };
        assert!(!peek(pid), "{who} can be read by uid {uid}");
        // The same look at a program that does not guard itself sees it.
        let mut plain = people::as_uid(uid, "cat")
            .expect("root")
            .stdin(Stdio::piped())
            .spawn()
            .expect("cat");
        until("cat runs", || {
            let name = fs::read_to_string(format!("/proc/{}/comm", plain.id()));
            name.is_ok_and(|name| name.trim() == "cat")
        });
        assert!(peek(plain.id()), "uid {uid} cannot even read its own");
        drop(plain.stdin.take());
        plain.wait().expect("it ends");
    }
}

#[test]
fn a_crash_leaves_no_core_even_where_the_limit_does_not_count() {
    let mut site = Site::ready(patient()).expect("a site");
    let request = site.request("INC-1", "to crash").expect("asked");
    let folder = site.stage().home("alice");

    // The kernel here does write cores, of a program that does not guard itself.
    let mut plain = people::as_uid(people::ALICE, "cat").expect("root");
    let plain = plain.current_dir(&folder).stdin(Stdio::piped());
    let plain = plain.spawn().expect("cat");
    until("cat runs", || {
        let name = fs::read_to_string(format!("/proc/{}/comm", plain.id()));
        name.is_ok_and(|name| name.trim() == "cat")
    });
    assert!(
        crashes_with_a_core(plain, people::ALICE),
        "no core of a plain program: see core(5), /proc/sys/kernel/core_pattern"
    );

    let finger = site.finger("alice");
    let approve = site.approving("alice", &request).expect("alice");
    let mut approve = approve.into_command();
    let mut approve = approve
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let pin = site.options().pin.clone();
    let stdin = approve.stdin.as_mut().expect("piped");
    std::io::Write::write_all(stdin, format!("{pin}\n").as_bytes()).expect("written");
    assert!(
        finger
            .expect("a finger")
            .wait_for_touch(BOUND)
            .expect("an answer")
    );
    assert!(
        !crashes_with_a_core(approve, people::ALICE),
        "twotap approve left a core"
    );

    site.stop_agent();
    let agent = site
        .run(
            "agent",
            site.program("twotapd"),
            &["--config", "agent.toml"],
        )
        .expect("the agent");
    let agent = agent.into_command().spawn().expect("it starts");
    until("twotapd answers", || {
        std::os::unix::net::UnixStream::connect(site.socket()).is_ok()
    });
    assert!(
        !crashes_with_a_core(agent, people::AGENT),
        "twotapd left a core"
    );
}

/// Lifts the limit from outside (the kernel ignores it where cores go to a program), and lets the process crash.
fn crashes_with_a_core(mut child: Child, uid: u32) -> bool {
    let pid = Pid::from_child(&child);
    let lifted = Rlimit {
        current: None,
        maximum: None,
    };
    if prlimit(Some(pid), Resource::Core, lifted).is_err() {
        // Root without CAP_SYS_RESOURCE, as in many containers: the account itself may go up to its hard limit, if that is not 0.
        let mut lift = people::as_uid(uid, "sh").expect("root");
        lift.args([
            "-c",
            r#"prlimit --pid $0 --core=$(prlimit --pid $0 --core --noheadings --output HARD):"#,
            &pid.as_raw_nonzero().to_string(),
        ]);
        let lifted = lift.stderr(Stdio::null()).status().expect("sh");
        let limits = fs::read_to_string(format!("/proc/{}/limits", child.id())).expect("it runs");
        let core = limits.lines().find(|l| l.starts_with("Max core file size"));
        let hard = core.and_then(|l| l.split_ascii_whitespace().nth(5));
        assert!(lifted.success() || hard == Some("0"), "{core:?}");
    }
    kill_process(pid, Signal::ABORT).expect("it runs");
    let status = child.wait().expect("it ends");
    assert_eq!(status.signal(), Some(Signal::ABORT.as_raw()), "{status:?}");
    status.core_dumped()
}

fn waiting_for_a_finger(site: &Site, request: &twotap_rig::site::Requested) -> Running {
    let approve = site.approving("alice", request).expect("alice").start();
    let approve = approve.expect("it starts");
    let mut finger = site.finger("alice").expect("a finger");
    assert!(finger.wait_for_touch(BOUND).expect("an answer"));
    approve
}

fn until(what: &str, mut there: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !there() {
        assert!(begun.elapsed() < BOUND, "{what}: not within {BOUND:?}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}
