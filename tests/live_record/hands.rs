//! Each way to lay a hand on the record, under the agent's feet and while none runs.

use std::{fs, io::Write as _, os::unix::fs::PermissionsExt as _};

use rusqlite::Connection;

use crate::{
    agent_support::{DANA, Host, SOFIA, until},
    bench::{file, finds, host, kept, prepared, said, signed, what, written},
};

/// The kernel tells of these; looks at a gap would come too late.
const SELDOM: &str = "look_seconds = 60";

#[test]
fn a_file_that_is_deleted_is_found_and_written_anew() {
    let host = host(SELDOM);
    let found = finds(&host, |file| fs::remove_file(file).expect("removed"));
    assert_eq!(said(&found), ("removed", Some(1)));
    assert!(what(&found, "kept").is_null());
    let degraded = host.status(DANA).degraded;
    assert!(
        degraded
            .iter()
            .any(|l| l.contains("the record on this host: found at") && l.contains("is gone")),
        "{degraded:?}"
    );
}

#[test]
fn a_file_that_is_cut_is_found_and_what_was_left_is_kept() {
    let host = host(SELDOM);
    let text = fs::read_to_string(file(&host)).expect("there");
    let left = text.lines().next().expect("a line").len() + 1;
    let found = finds(&host, |file| {
        let file = fs::File::options().write(true).open(file).expect("opened");
        file.set_len(left as u64).expect("cut");
    });
    assert_eq!(said(&found), ("cut", Some(2)));
    assert_eq!(kept(&found), text.as_bytes()[..left]);
}

#[test]
fn a_file_that_is_replaced_or_edited_is_found_and_kept() {
    let host = host(SELDOM);
    let text = fs::read_to_string(file(&host)).expect("there");
    // As an editor writes: another file in its place.
    let forged = text.replacen("host-1", "host-2", 1);
    let found = finds(&host, |file| {
        let beside = file.with_file_name("beside");
        fs::write(&beside, &forged).expect("written");
        fs::rename(&beside, file).expect("renamed");
    });
    assert_eq!(said(&found), ("replaced", Some(1)));
    assert_eq!(kept(&found), forged.as_bytes());

    // In place: the inode stays, and the length.
    let text = fs::read_to_string(file(&host)).expect("there");
    let line = text.lines().position(|l| l.contains("CUSTODIAN_ENROLLED"));
    let line = line.expect("somebody was enrolled") as u64 + 1;
    let forged = text.replacen("\"actor\":\"alice\"", "\"actor\":\"malic\"", 1);
    let changed = text.lines().zip(forged.lines()).position(|(a, b)| a != b);
    let changed = changed.expect("changed") as u64 + 1;
    assert!(changed >= line);
    let found = finds(&host, |file| {
        let mut file = fs::File::options().write(true).open(file).expect("opened");
        file.write_all(forged.as_bytes()).expect("written");
    });
    assert_eq!(said(&found), ("changed", Some(changed)));
    assert_eq!(kept(&found), forged.as_bytes());
}

#[test]
fn rights_that_were_widened_and_a_folder_that_was_moved_are_found() {
    let host = host(SELDOM);
    let found = finds(&host, |file| {
        fs::set_permissions(file, fs::Permissions::from_mode(0o666)).expect("mode");
    });
    assert_eq!(said(&found), ("rights", None));
    let mode = fs::metadata(file(&host))
        .expect("there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600, "they are taken back");

    let away = host.path("away");
    let found = finds(&host, |_| {
        fs::rename(host.path("audit"), &away).expect("moved");
        // The agent may make no folder there; somebody put an empty one.
        fs::create_dir(host.path("audit")).expect("made");
        std::os::unix::fs::chown(host.path("audit"), Some(61001), Some(61001)).expect("owner");
    });
    assert_eq!(said(&found), ("folder_moved", Some(1)));
    assert!(away.join("events.jsonl").exists());

    // The kernel is asked about the folder that stands there now.
    let before = host.events_named("AUDIT_TAMPERED").len();
    fs::remove_file(file(&host)).expect("removed");
    until("it is found", || {
        host.events_named("AUDIT_TAMPERED").len() > before
    });
}

/// What was found and cannot be moved aside stays where it is, and every look finds it.
#[test]
fn evidence_that_cannot_be_kept_is_told_once_and_kept_once_it_can_be() {
    let host = host("look_seconds = 1");
    // Where it would be kept there is something else.
    let kept_at = host.path("audit/tampered");
    fs::write(&kept_at, "not a folder").expect("written");
    let text = fs::read_to_string(file(&host)).expect("there");
    let forged = text.replacen("host-1", "host-2", 1);
    let mut open = fs::File::options()
        .write(true)
        .open(file(&host))
        .expect("opened");
    open.write_all(forged.as_bytes()).expect("written");
    drop(open);
    until("it is found", || {
        host.events_named("AUDIT_TAMPERED").len() == 1
    });
    let found = host.events_named("AUDIT_TAMPERED").pop().expect("one");
    assert_eq!(said(&found), ("changed", Some(1)));
    assert!(what(&found, "kept").is_null());
    assert!(what(&found, "not_kept").is_string());
    let says = |host: &Host| {
        let degraded = host.status(DANA).degraded;
        degraded.iter().any(|l| l.contains("cannot be looked at"))
    };
    until("it is said", || says(&host));
    let began = std::time::Instant::now();
    until("there was time for looks", || {
        began.elapsed().as_secs() >= 3
    });
    assert_eq!(host.events_named("AUDIT_TAMPERED").len(), 1);
    // An acknowledgement does not silence what is wrong still.
    let said = serde_json::json!({ "reason": "seen, and to be mended" });
    let answer = host.call(SOFIA, "POST", "/v1/audit/acknowledgement", &said);
    assert_eq!(answer.status, 200);
    until("it is told again", || {
        host.events_named("AUDIT_TAMPERED").len() == 2
    });
    fs::remove_file(&kept_at).expect("removed");
    until("it is kept", || {
        host.events_named("AUDIT_TAMPERED").len() == 3
    });
    written(&host);
    let found = host.events_named("AUDIT_TAMPERED").pop().expect("three");
    assert!(kept(&found).starts_with(forged.as_bytes()));
    until("it is said no more", || !says(&host));
}

#[test]
fn what_the_kernel_does_not_tell_is_found_at_the_stated_gap() {
    let host = prepared("look_seconds = 1");
    let path = host.path("agent.toml");
    let text = fs::read_to_string(&path).expect("there");
    fs::write(
        &path,
        text.replace("file = 'audit'", "file = 'run/there/audit'"),
    )
    .expect("written");
    let mut host = host;
    host.start_agent();
    let live = host.path("run/there/audit/events.jsonl");
    until("it is written", || live.exists());
    until("it was looked at", || {
        fs::read(&live).is_ok_and(|w| w == host.get(DANA, "/v1/audit/events").body)
    });
    // Of a parent that is moved the kernel tells nobody.
    fs::rename(host.path("run/there"), host.path("run/away")).expect("moved");
    until("it is found", || {
        host.events_named("AUDIT_TAMPERED").len() == 1
    });
    let found = host.events_named("AUDIT_TAMPERED").pop().expect("one");
    assert_eq!(said(&found), ("folder_moved", Some(1)));
    until("it is written anew", || {
        fs::read(&live).is_ok_and(|w| w == host.get(DANA, "/v1/audit/events").body)
    });
}

#[test]
fn what_happened_while_no_agent_ran_is_found_at_the_next_start() {
    let mut host = host(SELDOM);
    host.stop_agent();
    let text = fs::read_to_string(file(&host)).expect("there");
    // The last line is there, and one before it is another.
    let forged = text.replacen("host-1", "host-2", 1);
    fs::write(file(&host), &forged).expect("written");
    host.start_agent();
    until("it is found", || {
        host.events_named("AUDIT_TAMPERED").len() == 1
    });
    written(&host);
    let found = host.events_named("AUDIT_TAMPERED").pop().expect("one");
    assert_eq!(said(&found), ("changed", Some(1)));
    assert!(kept(&found).starts_with(forged.as_bytes()));

    host.stop_agent();
    fs::remove_file(file(&host)).expect("removed");
    host.start_agent();
    until("it is found", || {
        host.events_named("AUDIT_TAMPERED").len() == 2
    });
    written(&host);
    let found = host.events_named("AUDIT_TAMPERED").pop().expect("one");
    assert_eq!(said(&found), ("removed", Some(1)));
    // What was found stays said until somebody acknowledges it.
    let degraded = host.status(DANA).degraded;
    assert!(
        degraded.iter().any(|l| l.contains("and 1 more before")),
        "{degraded:?}"
    );
}

#[test]
fn evidence_that_no_event_names_is_told_at_the_next_start() {
    let mut host = host(SELDOM);
    host.stop_agent();
    // As it stands where the agent was killed after it had moved the file, and the sink has written it anew.
    let text = fs::read_to_string(file(&host)).expect("there");
    let forged = text.replacen("host-1", "host-2", 1);
    let folder = host.path("audit/tampered/1");
    fs::create_dir_all(&folder).expect("made");
    fs::write(folder.join("events.jsonl"), &forged).expect("written");
    for path in [
        "audit/tampered",
        "audit/tampered/1",
        "audit/tampered/1/events.jsonl",
    ] {
        std::os::unix::fs::chown(host.path(path), Some(61001), Some(61001)).expect("owner");
    }
    for _ in 0..2 {
        host.start_agent();
        let found = host.events_named("AUDIT_TAMPERED");
        assert_eq!(found.len(), 1, "it is told, and once");
        assert_eq!(said(&found[0]), ("changed", Some(1)));
        assert_eq!(kept(&found[0]), forged.as_bytes());
        host.stop_agent();
    }
}

#[test]
fn a_folder_that_the_configuration_names_anew_is_no_tampering() {
    let mut host = prepared(SELDOM);
    host.start_agent();
    written(&host);
    host.stop_agent();
    let path = host.path("agent.toml");
    let text = fs::read_to_string(&path).expect("there");
    fs::write(&path, text.replace("file = 'audit'", "file = 'run/audit'")).expect("written");
    host.start_agent();
    until("it is written there", || {
        let record = host.get(DANA, "/v1/audit/events");
        fs::read(host.path("run/audit/events.jsonl")).is_ok_and(|w| w == record.body)
    });
    assert!(host.events_named("AUDIT_TAMPERED").is_empty());
}

#[test]
fn a_store_that_is_changed_under_the_agents_feet_is_found_when_it_is_read_again() {
    let host = host("reread_seconds = 1");
    let change = |seq: u64| {
        let other = Connection::open(host.path("state/state.db")).expect("the store");
        let done = other.execute_batch(&format!(
            "DROP TRIGGER IF EXISTS events_are_not_changed;
             UPDATE events SET line = CAST(replace(CAST(line AS TEXT), 'host-1', 'host-2') AS BLOB) WHERE seq = {seq};",
        ));
        done.expect("changed");
    };
    change(2);
    until("it is found", || {
        host.events_named("AUDIT_TAMPERED").len() == 1
    });
    let found = host.events_named("AUDIT_TAMPERED").pop().expect("one");
    assert_eq!(said(&found), ("store_changed", Some(2)));
    // The file has the line as it was written, and is not blamed; and it is told once, however often it is read.
    let text = fs::read_to_string(file(&host)).expect("there");
    assert!(text.lines().nth(1).expect("two").contains("host-1"));
    signed(&host);
    let before = host.events().len();
    let began = std::time::Instant::now();
    until("there was time for looks", || {
        began.elapsed().as_secs() >= 3
    });
    assert_eq!(host.events().len(), before);
    // Once it has been found whole, the same hand is told again.
    let other = Connection::open(host.path("state/state.db")).expect("the store");
    let swap = |from: &str, to: &str| {
        let sql = format!(
            "UPDATE events SET line = CAST(replace(CAST(line AS TEXT), '{from}', '{to}') AS BLOB) WHERE seq = 2"
        );
        other.execute_batch(&sql).expect("changed");
    };
    swap("host-2", "host-1");
    until("it is found whole", || {
        let sql = "SELECT json FROM records WHERE kind = 'setting' AND id = 'tampering'";
        let row: String = other.query_row(sql, [], |r| r.get(0)).expect("a row");
        row.contains("\"told\":[]")
    });
    swap("host-1", "host-2");
    until("it is found again", || {
        host.events_named("AUDIT_TAMPERED").len() == 2
    });
}
