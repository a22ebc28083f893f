//! What can go wrong with the store, told apart by what somebody has to do about it.

use std::fmt;

use crate::audit::checkpoint::CheckpointError;
use crate::audit::event::EventError;

/// Why the store refused. Nothing was written.
#[derive(Debug)]
pub enum StoreError {
    /// The record inside does not fit together.
    Tampered {
        /// The event concerned.
        seq: u64,
        /// What does not fit.
        why: String,
    },
    /// The file is no database, or SQLite found it damaged.
    Corrupt(String),
    /// Another program's database.
    Foreign,
    /// Written by a newer version.
    Newer {
        /// Its schema version.
        found: i64,
        /// The newest known here.
        known: i64,
    },
    /// Another process holds the database.
    Busy,
    /// No space left.
    DiskFull,
    /// Reading, writing or opening failed.
    Io(String),
    /// The event cannot be written.
    Event(EventError),
    /// The checkpoint cannot be signed.
    Checkpoint(CheckpointError),
    /// A state row is not what was asked for.
    Record {
        /// Its table.
        table: &'static str,
        /// Its id.
        id: String,
        /// What is wrong.
        why: String,
    },
}

impl StoreError {
    /// What to do about it, where something helps.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Tampered { .. } => Some(
                "keep this file as evidence and compare it with a sink's copy: twotap audit verify",
            ),
            Self::Corrupt(_) => Some("keep the file, then restore the state from a backup"),
            Self::Newer { .. } => Some("run the version that wrote it, or a newer one"),
            Self::Busy => Some("is another twotapd running on the same state?"),
            Self::DiskFull => Some("free space on the disk that holds the state"),
            Self::Io(_) => Some("see that the agent can write its state folder, then try again"),
            _ => None,
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tampered { seq, why } => write!(
                f,
                "the audit record does not fit together at event {seq}: {why}"
            ),
            Self::Corrupt(why) => write!(f, "the state database is damaged: {why}"),
            Self::Foreign => f.write_str("the file is another program's database"),
            Self::Newer { found, known } => {
                write!(
                    f,
                    "the state database has version {found}, this program knows {known}"
                )
            }
            Self::Busy => f.write_str("the state database is held by another process"),
            Self::DiskFull => f.write_str("no space left for the state database"),
            Self::Io(why) => write!(f, "the state database cannot be used: {why}"),
            Self::Event(error) => error.fmt(f),
            Self::Checkpoint(error) => error.fmt(f),
            Self::Record { table, id, why } => {
                write!(f, "the state of {table} {id} cannot be read: {why}")
            }
        }
    }
}

impl std::error::Error for StoreError {}

impl From<EventError> for StoreError {
    fn from(error: EventError) -> Self {
        Self::Event(error)
    }
}

impl From<CheckpointError> for StoreError {
    fn from(error: CheckpointError) -> Self {
        Self::Checkpoint(error)
    }
}

impl From<std::io::Error> for StoreError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Self::DiskFull,
            _ => Self::Io(error.to_string()),
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
            Some(ErrorCode::DiskFull) => Self::DiskFull,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Corrupt(error.to_string())
            }
            _ => Self::Io(error.to_string()),
        }
    }
}
