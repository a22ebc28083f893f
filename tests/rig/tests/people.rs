//! People are uids, homes are private, and the worker's door starts one process per connection.

use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use twotap_rig::people::{self, AGENT, ALICE, DANA, WORKER};
use twotap_rig::{Stage, WorkerDoor};

/// Waits until `holds`, at most half a minute.
fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::yield_now();
    }
}

#[test]
fn a_person_is_a_uid_without_groups_and_reads_no_other_home() {
    let stage = Stage::new().expect("a stage");
    let out = stage
        .command("dana", "id")
        .unwrap()
        .output()
        .expect("id runs");
    let said = String::from_utf8(out.stdout).unwrap();
    assert!(
        said.contains(&format!("uid={DANA}")) && said.contains(&format!("gid={DANA}")),
        "{said}"
    );
    assert!(
        said.trim_end().ends_with(&format!("groups={DANA}")),
        "{said}"
    );

    stage.write("alice", "note", b"hers", 0o600).unwrap();
    let own = stage
        .command("alice", "cat")
        .unwrap()
        .arg("note")
        .output()
        .unwrap();
    assert_eq!(own.stdout, b"hers");
    let other = stage
        .command("dana", "cat")
        .unwrap()
        .arg(stage.home("alice").join("note"))
        .output()
        .unwrap();
    assert!(!other.status.success() && other.stdout.is_empty());
    assert_eq!(std::fs::metadata(stage.home("alice")).unwrap().uid(), ALICE);
    assert_eq!(
        std::fs::metadata(stage.home("alice")).unwrap().mode() & 0o7777,
        0o700
    );

    let path = stage.path().to_owned();
    drop(stage);
    assert!(!path.exists());
}

#[test]
fn everybody_can_come_to_the_tools() {
    let stage = Stage::new().expect("a stage");
    let python = twotap_rig::tools::python().expect("the Python environment");
    let out = stage
        .command("dana", python)
        .unwrap()
        .args(["-c", "import botocore, os; print(os.getuid())"])
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&out.stdout).trim(),
        DANA.to_string(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
}

#[test]
fn the_door_starts_the_worker_as_its_own_uid_on_the_connection() {
    let stage = Stage::new().expect("a stage");
    let socket = stage.run().join("worker.sock");
    let command = [
        "sh",
        "-c",
        "id -u >&0; read line; echo said $line >&0; echo noise >&2",
    ]
    .map(String::from);
    let door = WorkerDoor::start(&socket, AGENT, WORKER, command.to_vec()).expect("a door");
    let metadata = std::fs::metadata(&socket).unwrap();
    assert_eq!((metadata.uid(), metadata.mode() & 0o777), (AGENT, 0o600));

    let mut connection = UnixStream::connect(&socket).unwrap();
    connection.write_all(b"hello\n").unwrap();
    let mut said = String::new();
    connection.read_to_string(&mut said).unwrap();
    assert_eq!(said, format!("{WORKER}\nsaid hello\n"));
    wait_until("the worker is reaped", || door.pids().is_empty());
    assert_eq!((door.started(), door.failures().len()), (1, 0));
    assert_eq!(door.log(), "noise\n");

    let refused = stage
        .command("dana", "/usr/bin/python3")
        .unwrap()
        .args([
            "-c",
            "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])",
        ])
        .arg(&socket)
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("PermissionError"));
}

#[test]
fn a_worker_outlives_its_caller_and_ends_with_the_door() {
    let stage = Stage::new().expect("a stage");
    let socket = stage.run().join("worker.sock");
    let command = ["sh", "-c", "sleep 600 & sleep 600"].map(String::from);
    let door = WorkerDoor::start(&socket, AGENT, WORKER, command.to_vec()).expect("a door");
    drop(UnixStream::connect(&socket).unwrap());
    wait_until("the worker runs", || door.pids().len() == 1);
    let group = door.pids()[0];
    let members = || {
        let found = people::as_uid(0, "pgrep")
            .unwrap()
            .args(["-g", &group.to_string()])
            .output()
            .unwrap();
        String::from_utf8(found.stdout).unwrap().lines().count()
    };
    wait_until("shell and both sleeps run", || members() == 3);
    drop(door);
    wait_until("the whole group is gone", || members() == 0);
    assert!(!socket.exists());
}
