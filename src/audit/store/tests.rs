use super::*;
use crate::audit::event::{Actor, Event, EventError, EventType, MAX_LINE};
use crate::audit::samples::{NOW, event};
use serde::{Deserialize, Serialize};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use tempfile::TempDir;

struct Place {
    _dir: TempDir,
    path: PathBuf,
}

fn place() -> Place {
    let dir = tempfile::tempdir().unwrap();
    Place {
        path: dir.path().join("state.db"),
        _dir: dir,
    }
}

fn append(store: &Store, n: u64) -> Head {
    store.commit(|tx| tx.append(&event(n), NOW)).unwrap()
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Request {
    id: String,
    taps: u8,
}

#[test]
fn state_and_events_come_back_after_reopening() {
    let place = place();
    let store = Store::open(&place.path).unwrap();
    assert_eq!(store.head().unwrap(), Head::default());
    let request = Request {
        id: "r-1".into(),
        taps: 2,
    };
    let head = store
        .commit(|tx| {
            tx.put(Table::Request, "r-1", &request)?;
            tx.append(&event(3), NOW)
        })
        .unwrap();
    drop(store);
    let store = Store::open(&place.path).unwrap();
    assert_eq!(store.head().unwrap(), head);
    assert_eq!(
        store.record_as::<Request>(Table::Request, "r-1").unwrap(),
        Some(request)
    );
    assert_eq!(store.record(Table::Session, "r-1").unwrap(), None);
    assert_eq!(store.records(Table::Request).unwrap().len(), 1);
    let entries = store.events(1, 10).unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(
        entries[0].line,
        event(3).line_after(&Head::default(), NOW).unwrap()
    );
    let kept = store.envelope(&event(3).envelopes()[0].sha256()).unwrap();
    assert_eq!(kept.as_ref(), Some(&event(3).envelopes()[0]));
}

#[test]
fn a_failing_or_panicking_closure_leaves_neither_state_nor_event() {
    let place = place();
    let store = Store::open(&place.path).unwrap();
    let before = append(&store, 1);
    let failed: Result<(), StoreError> = store.commit(|tx| {
        tx.put_record(Table::Request, "r-1", "{}")?;
        tx.append(&event(3), NOW)?;
        assert_eq!(tx.record(Table::Request, "r-1")?.as_deref(), Some("{}"));
        tx.append(&event(2).detail("big", "x".repeat(MAX_LINE)), NOW)?;
        Ok(())
    });
    assert!(matches!(
        failed,
        Err(StoreError::Event(EventError::TooLarge { .. }))
    ));
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        store.commit(|tx| {
            tx.put_record(Table::Request, "r-1", "{}")?;
            tx.append(&event(3), NOW)?;
            if tx.head().seq == 2 {
                panic!("in the middle of a commit");
            }
            Ok(())
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(store.head().unwrap(), before);
    assert_eq!(store.record(Table::Request, "r-1").unwrap(), None);
    assert_eq!(store.events(1, 10).unwrap().len(), 1);
    assert_eq!(
        store.envelope(&event(3).envelopes()[0].sha256()).unwrap(),
        None
    );
    assert_eq!(append(&store, 2).seq, 2, "the store still works");
    assert_eq!(store.verify().unwrap().seq, 2);
}

#[derive(Debug)]
struct Refused;

impl From<StoreError> for Refused {
    fn from(_: StoreError) -> Self {
        Self
    }
}

#[test]
fn a_callers_own_error_rolls_back_too() {
    let place = place();
    let store = Store::open(&place.path).unwrap();
    let refused: Result<(), Refused> = store.commit_as(|tx| {
        tx.append(&event(1), NOW)?;
        Err(Refused)
    });
    assert!(refused.is_err());
    assert_eq!(store.head().unwrap(), Head::default());
}

#[test]
fn threads_that_append_at_once_make_one_chain() {
    let place = place();
    let store = Store::open(&place.path).unwrap();
    std::thread::scope(|scope| {
        for name in ["alice", "bob", "carol"] {
            let store = store.clone();
            scope.spawn(move || {
                for n in 0..20 {
                    let event =
                        Event::new(EventType::BreakGlassAction, Actor::person(name).unwrap());
                    store
                        .commit(|tx| {
                            tx.put(Table::Session, &format!("{name}-{n:02}"), &n)?;
                            tx.append(&event, NOW)
                        })
                        .unwrap();
                }
            });
        }
    });
    assert_eq!(store.verify().unwrap().seq, 60);
    assert_eq!(store.records_as::<u8>(Table::Session).unwrap().len(), 60);
    assert_eq!(store.lines().map(Result::unwrap).count(), 60);
}

#[test]
fn two_handles_on_one_file_make_one_chain() {
    let place = place();
    let (one, two) = (
        Store::open(&place.path).unwrap(),
        Store::open(&place.path).unwrap(),
    );
    for n in 1..=6 {
        append(if n % 2 == 0 { &one } else { &two }, n);
    }
    assert_eq!(one.verify().unwrap(), two.head().unwrap());
    assert_eq!(one.head().unwrap().seq, 6);
}

/// What a crash leaves is the database and some first part of its log. Whatever the part, state and event are both there or both
/// not.
#[test]
fn a_crash_at_any_byte_keeps_state_and_event_together() {
    let place = place();
    let store = Store::open(&place.path).unwrap();
    let commits = 6;
    for n in 1..=commits {
        store
            .commit(|tx| {
                tx.put(Table::Request, &format!("r-{n}"), &n)?;
                tx.append(&event(n), NOW)
            })
            .unwrap();
    }
    // Copied while the store is open, as a crash finds them.
    let database = fs::read(&place.path).unwrap();
    let log = fs::read(place.path.with_extension("db-wal")).unwrap();
    assert!(log.len() > 1000, "the commits are still in the log");
    let crashed = tempfile::tempdir().unwrap();
    let mut seen = std::collections::BTreeSet::new();
    // Every 1,021 bytes falls into headers and into pages.
    for (i, cut) in (0..=log.len()).step_by(1021).chain([log.len()]).enumerate() {
        let path = crashed.path().join(format!("{i}.db"));
        fs::write(&path, &database).unwrap();
        fs::write(path.with_extension("db-wal"), &log[..cut]).unwrap();
        let store = match Store::open(&path) {
            Ok(store) => store,
            Err(error) => panic!("cut at {cut}: {error}"),
        };
        let head = store.verify().unwrap();
        let rows = store.records_as::<u64>(Table::Request).unwrap();
        assert_eq!(rows.len() as u64, head.seq, "cut at {cut}");
        assert!((1..=head.seq).all(|n| rows.contains(&(format!("r-{n}"), n))));
        seen.insert(head.seq);
    }
    assert_eq!(
        seen,
        (0..=commits).collect(),
        "each number of commits was met"
    );
}

#[test]
fn the_file_is_private_and_so_are_its_companions() {
    let place = place();
    let store = Store::open(&place.path).unwrap();
    append(&store, 1);
    for extension in ["db", "db-wal", "db-shm"] {
        let mode = fs::metadata(place.path.with_extension(extension))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{extension}");
    }
    drop(store);
    fs::set_permissions(&place.path, fs::Permissions::from_mode(0o644)).unwrap();
    Store::open(&place.path).unwrap();
    assert_eq!(
        fs::metadata(&place.path).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

/// Changes the database behind the store's back.
fn tamper(place: &Place, sql: &str) -> StoreError {
    let db = Connection::open(&place.path).unwrap();
    db.execute_batch("DROP TRIGGER events_are_not_changed; DROP TRIGGER events_are_not_removed;")
        .unwrap();
    db.execute_batch(sql).unwrap();
    drop(db);
    match Store::open(&place.path) {
        Ok(store) => store.verify().unwrap_err(),
        Err(error) => error,
    }
}

#[test]
fn tampering_is_found_with_its_place() {
    for (sql, expected) in [
        ("DELETE FROM events WHERE seq = 5", 5),
        ("UPDATE events SET line = x'00' WHERE seq = 5", 5),
        ("UPDATE head SET seq = 4", 5),
        ("DELETE FROM head", 0),
        ("PRAGMA foreign_keys = OFF; DELETE FROM events", 5),
        // Not found by the cheap look at the end, but by reading it all.
        ("DELETE FROM events WHERE seq = 2", 2),
        (
            "UPDATE events SET line = CAST(replace(CAST(line AS TEXT), 'INC-42', 'INC-43') AS BLOB) WHERE seq = 2",
            2,
        ),
    ] {
        let place = place();
        let store = Store::open(&place.path).unwrap();
        for n in 1..=5 {
            append(&store, n);
        }
        drop(store);
        match tamper(&place, &format!("PRAGMA foreign_keys = OFF; {sql}")) {
            StoreError::Tampered { seq, why } => assert_eq!(seq, expected, "{sql}: {why}"),
            other => panic!("{sql}: {other}"),
        }
    }
}

#[test]
fn events_cannot_be_changed_or_removed_by_mistake() {
    let place = place();
    let store = Store::open(&place.path).unwrap();
    append(&store, 1);
    let db = Connection::open(&place.path).unwrap();
    assert!(db.execute("UPDATE events SET line = x'00'", []).is_err());
    assert!(db.execute("DELETE FROM events", []).is_err());
}

#[test]
fn newer_foreign_and_broken_files_are_refused_and_left_alone() {
    let newer = place();
    drop(Store::open(&newer.path).unwrap());
    Connection::open(&newer.path)
        .unwrap()
        .pragma_update(None, "user_version", 2)
        .unwrap();
    assert!(matches!(
        Store::open(&newer.path).err(),
        Some(StoreError::Newer { found: 2, known: 1 })
    ));

    let foreign = place();
    Connection::open(&foreign.path)
        .unwrap()
        .execute_batch("CREATE TABLE t (x)")
        .unwrap();
    assert!(matches!(
        Store::open(&foreign.path).err(),
        Some(StoreError::Foreign)
    ));

    let broken = place();
    fs::write(&broken.path, [7; 8192]).unwrap();
    assert!(matches!(
        Store::open(&broken.path).err(),
        Some(StoreError::Corrupt(_))
    ));
    assert_eq!(fs::read(&broken.path).unwrap(), [7; 8192]);

    let link = place();
    std::os::unix::fs::symlink(&newer.path, &link.path).unwrap();
    assert!(matches!(
        Store::open(&link.path).err(),
        Some(StoreError::Io(_))
    ));
    assert!(matches!(
        Store::open(&link.path.join("no/such/folder")).err(),
        Some(StoreError::Io(_))
    ));
}

#[test]
fn a_full_disk_is_told_apart_and_keeps_what_was_there() {
    let place = place();
    let store = Store::open(&place.path).unwrap();
    let before = append(&store, 1);
    // SQLite's own limit on the number of pages answers as a full disk does.
    let pages: i64 = lock(&store.inner.writer)
        .pragma_query_value(None, "page_count", |r| r.get(0))
        .unwrap();
    lock(&store.inner.writer)
        .pragma_update(None, "max_page_count", pages)
        .unwrap();
    let failed = store.commit(|tx| {
        tx.append(&event(2), NOW)?;
        tx.put_record(
            Table::Request,
            "r-1",
            &format!("\"{}\"", "x".repeat(100_000)),
        )
    });
    assert!(matches!(failed, Err(StoreError::DiskFull)), "{failed:?}");
    assert_eq!(store.head().unwrap(), before);
    lock(&store.inner.writer)
        .pragma_update(None, "max_page_count", 1_000_000)
        .unwrap();
    assert_eq!(append(&store, 2).seq, 2);
}

#[test]
fn a_row_of_another_shape_is_an_error_that_names_it() {
    let place = place();
    let store = Store::open(&place.path).unwrap();
    store
        .commit(|tx| tx.put_record(Table::Request, "r-1", r#"{"id":7}"#))
        .unwrap();
    let error = store
        .record_as::<Request>(Table::Request, "r-1")
        .unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("the state of request r-1 cannot be read: "),
        "{error}"
    );
    assert!(store.commit(|tx| tx.remove(Table::Request, "r-1")).unwrap());
    assert!(!store.commit(|tx| tx.remove(Table::Request, "r-1")).unwrap());
}

#[test]
fn waiting_ends_with_a_commit_or_with_time() {
    let place = place();
    let store = Store::open(&place.path).unwrap();
    assert!(!store.wait(Some(Duration::from_millis(1)), |newest| newest >= 1));
    std::thread::scope(|scope| {
        let waiter =
            scope.spawn(|| store.wait(Some(Duration::from_secs(60)), |newest| newest >= 1));
        append(&store, 1);
        assert!(waiter.join().unwrap());
    });
}
