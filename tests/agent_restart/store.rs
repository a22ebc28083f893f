//! The agent's store: held by another process, and damaged.

use std::fs;

use rusqlite::Connection;
use twotap::{
    audit::store::Store,
    ceremony::Stage,
    protocol::{Code, socket::RequestView},
};

use crate::agent_support::{DANA, Host, until};

/// Another process that writes to the store, and does not come to an end.
fn hold(host: &Host) -> Connection {
    let other = Connection::open(host.path("state/state.db")).expect("the store");
    other.execute_batch("BEGIN IMMEDIATE").expect("the lock");
    other
}

fn let_go(other: Connection) {
    other.execute_batch("ROLLBACK").expect("let go");
}

#[test]
fn a_store_that_is_held_refuses_what_cannot_be_recorded_and_goes_on_by_itself() {
    let host = Host::start();
    let view = host.open();
    until("the rotation is recorded", || {
        host.events_of(&view.id)
            .contains(&"CREDENTIAL_ROTATED".to_owned())
    });
    let other = hold(&host);
    // Nothing happens unrecorded: no session is handed out, none is asked for, and who asks is told why.
    for refused in [
        host.credentials(DANA, &view.id),
        host.try_ask(DANA),
        host.close(DANA, &view.id, false),
    ] {
        let problem = refused.problem();
        assert_eq!(problem.code, Code::Internal, "{problem}");
        assert!(
            problem.error.contains("held by another process"),
            "{problem}"
        );
        assert!(problem.hint.is_some_and(|h| h.contains("another twotapd")));
    }
    // What is only read is answered meanwhile.
    assert_eq!(host.get(DANA, "/v1/status").status, 200);
    assert_eq!(host.request(&view.id).stage, Stage::Open);
    let_go(other);
    assert_eq!(host.credentials(DANA, &view.id).status, 200);
    host.close(DANA, &view.id, false).json::<RequestView>();
    host.reach(&view.id, Stage::Closed);
    assert_eq!(host.events_named("SESSION_CLOSED").len(), 1);
    assert_eq!(host.events_named("SESSION_REVOKED").len(), 1);
}

#[test]
fn a_closing_goes_on_while_the_store_is_held_and_is_on_record_afterwards() {
    let host = Host::start();
    host.worker.told(|s| s.close_fails = 1);
    let view = host.open();
    until("the rotation is recorded", || {
        host.events_of(&view.id)
            .contains(&"CREDENTIAL_ROTATED".to_owned())
    });
    host.close(DANA, &view.id, false).json::<RequestView>();
    until("a try was made", || host.worker.jobs("close") > 0);
    let other = hold(&host);
    // The worker does not wait for the record: its own journal has it.
    until("the worker has closed", || {
        host.worker
            .journal()
            .iter()
            .any(|e| matches!(e.step, twotap::protocol::job::Step::Revoked { .. }))
    });
    let_go(other);
    host.reach(&view.id, Stage::Closed);
    assert_eq!(host.events_named("SESSION_REVOKED").len(), 1);
}

#[test]
fn a_damaged_page_is_told_as_such_and_the_worker_closes_from_its_own_journal() {
    let mut host = Host::start();
    let view = host.open();
    host.kill_agent();
    let state = host.path("state/state.db");
    // What stands in the log is written to the file itself, so that its pages are the ones that are read.
    drop(Store::open(&state).expect("a whole store"));
    let good = fs::read(&state).expect("there");
    let mut bad = good.clone();
    for page in bad.chunks_mut(4096).skip(1) {
        page[..64].fill(0xA5);
    }
    fs::write(&state, &bad).expect("written");
    for journal in ["state/state.db-wal", "state/state.db-shm"] {
        let _ = fs::remove_file(host.path(journal));
    }
    let ended = host.command().output().expect("it runs");
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(11), "{said}");
    assert!(said.contains("the state database is damaged"), "{said}");
    assert!(said.contains("restore the state from a backup"), "{said}");
    // Nothing was half-written: it is as damaged as before.
    assert!(fs::read(&state).expect("there") == bad);

    // With a new database the agent takes up everything from the worker's journal, and closes.
    fs::remove_file(&state).expect("removed");
    host.start_agent();
    until("the session is known", || {
        host.events_of(&view.id)
            .contains(&"BREAK_GLASS_ACCESS".to_owned())
    });
    // Nobody could close it by its request, which stood in the lost rows: the agent does, and nobody has it open without being seen.
    until("it is revoked", || {
        host.events_of(&view.id)
            .contains(&"SESSION_REVOKED".to_owned())
    });
    let closed = host.events_named("SESSION_CLOSED");
    assert_eq!(closed.len(), 1);
    let why = closed[0].what["why"].as_str().expect("a reason");
    assert!(why.contains("not in this record"), "{why}");
    let unknown = |lines: &[String]| lines.iter().any(|line| line.contains(&view.id));
    until("nothing of it is degraded", || {
        !unknown(&host.status(DANA).degraded)
    });
    // A restart finds nothing left to do.
    let jobs = host.worker.jobs("close");
    host.kill_agent();
    host.start_agent();
    until("it answers", || host.get(DANA, "/v1/status").status == 200);
    assert_eq!(host.worker.jobs("close"), jobs);
    assert_eq!(host.events_named("SESSION_REVOKED").len(), 1);
}
