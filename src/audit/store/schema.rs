//! Opening the database: its file, its settings, its tables, its version.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::StoreError;
use crate::audit::files;

/// The newest schema known here; in `PRAGMA user_version`.
pub(super) const VERSION: i64 = 1;

/// `twot`, in `PRAGMA application_id`.
const APPLICATION: i64 = 0x7477_6f74;

/// How long a writer waits for another process.
const BUSY: Duration = Duration::from_secs(5);

/// The triggers stop our own mistakes, not an attacker, who can drop them: the chain is there for that.
const TABLES: &str = "
    CREATE TABLE events (
        seq  INTEGER PRIMARY KEY,
        hash BLOB NOT NULL CHECK (length(hash) = 32),
        line BLOB NOT NULL
    ) STRICT;
    CREATE TRIGGER events_are_not_changed BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'events are only appended'); END;
    CREATE TRIGGER events_are_not_removed BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'events are only appended'); END;
    CREATE TABLE head (
        one  INTEGER PRIMARY KEY CHECK (one = 1),
        seq  INTEGER NOT NULL,
        hash BLOB NOT NULL CHECK (length(hash) = 32)
    ) STRICT;
    INSERT INTO head VALUES (1, 0, zeroblob(32));
    CREATE TABLE envelopes (
        sha256 BLOB PRIMARY KEY CHECK (length(sha256) = 32),
        kind   TEXT NOT NULL,
        seq    INTEGER NOT NULL REFERENCES events (seq),
        body   BLOB NOT NULL
    ) STRICT;
    CREATE TABLE records (
        kind TEXT NOT NULL,
        id   TEXT NOT NULL,
        json TEXT NOT NULL,
        PRIMARY KEY (kind, id)
    ) STRICT, WITHOUT ROWID;
";

/// The writing connection: file made (0600), version checked, settings made, tables made.
pub(super) fn open_writer(path: &Path) -> Result<Connection, StoreError> {
    private_file(path)?;
    let mut db = connect(path)?;
    let (version, application) = (pragma(&db, "user_version")?, pragma(&db, "application_id")?);
    if version > VERSION && application == APPLICATION {
        return Err(StoreError::Newer {
            found: version,
            known: VERSION,
        });
    }
    if application != APPLICATION && !is_empty(&db)? {
        return Err(StoreError::Foreign);
    }
    // Before the log is made, which takes over the file's mode.
    if fs::metadata(path)?.permissions().mode() & 0o777 != 0o600 {
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    }
    let mode: String = db.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        return Err(StoreError::Io(format!(
            "its file system allows no write-ahead log (journal mode {mode})"
        )));
    }
    db.execute_batch("PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 67108864;")?;
    create(&mut db)?;
    Ok(db)
}

/// A reading connection to a database that [`open_writer`] opened: readers never wait for the writer.
pub(super) fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    let db = connect(path)?;
    db.execute_batch("PRAGMA query_only = ON;")?;
    Ok(db)
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    let db = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    db.busy_timeout(BUSY)?;
    db.execute_batch(
        "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY;",
    )?;
    db.set_prepared_statement_cache_capacity(32);
    Ok(db)
}

fn create(db: &mut Connection) -> Result<(), StoreError> {
    // Two who open a new file at once: the second waits here and then finds the tables.
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if pragma(&tx, "user_version")? == 0 {
        tx.execute_batch(TABLES)?;
        tx.pragma_update(None, "application_id", APPLICATION)?;
        tx.pragma_update(None, "user_version", VERSION)?;
    }
    tx.commit()?;
    Ok(())
}

fn private_file(path: &Path) -> Result<(), StoreError> {
    // An existing file is never opened here: closing it would drop SQLite's locks on it in this process.
    match files::private().write(true).create_new(true).open(path) {
        Ok(file) => {
            file.sync_all()?;
            files::sync_parent(path)?;
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let meta = fs::symlink_metadata(path)?;
            if !meta.is_file() {
                return Err(StoreError::Io("it is not a regular file".to_owned()));
            }
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

fn pragma(db: &Connection, name: &str) -> Result<i64, StoreError> {
    Ok(db.pragma_query_value(None, name, |row| row.get(0))?)
}

fn is_empty(db: &Connection) -> Result<bool, StoreError> {
    Ok(
        db.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| {
            row.get(0)
        })?,
    )
}
