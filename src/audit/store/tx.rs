//! One transaction: state rows and events, all or nothing.

use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;
use serde::de::DeserializeOwned;
use time::OffsetDateTime;

use super::{StoreError, Table, stored_head, to_sql};
use crate::audit::chain::{Head, Links};
use crate::audit::checkpoint::CheckpointKey;
use crate::audit::event::{Actor, Envelope, Event, EventType};

/// What a closure of [`Store::commit`](super::Store::commit) works on. It sees its own writes.
pub struct Tx<'c> {
    db: &'c Connection,
    began: Head,
    head: Head,
}

impl<'c> Tx<'c> {
    pub(super) fn new(db: &'c Connection) -> Result<Self, StoreError> {
        let head = stored_head(db)?;
        Ok(Self {
            db,
            began: head,
            head,
        })
    }

    /// Writes the head if events came; the head to announce.
    pub(super) fn finish(self) -> Result<Head, StoreError> {
        if self.head != self.began {
            self.db
                .prepare_cached("UPDATE head SET seq = ?1, hash = ?2")?
                .execute(params![to_sql(self.head.seq), self.head.hash.as_bytes()])?;
        }
        Ok(self.head)
    }

    /// Where the record stands in this transaction.
    pub fn head(&self) -> Head {
        self.head
    }

    /// Appends an event, dated `now`, with its envelopes; the new head.
    pub fn append(&mut self, event: &Event, now: OffsetDateTime) -> Result<Head, StoreError> {
        let line = event.line_after(&self.head, now)?;
        self.insert(&line, event.envelopes())
    }

    /// Appends a line that was written before, byte for byte, with its envelopes as far as they are there; the new head. It has to follow.
    pub fn put_back(&mut self, line: &[u8], envelopes: &[Envelope]) -> Result<Head, StoreError> {
        let follows = Links::parse(line)
            .is_ok_and(|l| l.seq == self.head.seq + 1 && l.prev == self.head.hash);
        if !follows {
            return Err(StoreError::Tampered {
                seq: self.head.seq + 1,
                why: "a line that is to be taken back does not follow".to_owned(),
            });
        }
        self.insert(line, envelopes)
    }

    fn insert(&mut self, line: &[u8], envelopes: &[Envelope]) -> Result<Head, StoreError> {
        let head = self.head.after(line);
        self.db
            .prepare_cached("INSERT INTO events (seq, hash, line) VALUES (?1, ?2, ?3)")?
            .execute(params![to_sql(head.seq), head.hash.as_bytes(), line])?;
        for envelope in envelopes {
            // The same envelope may belong to several events; it is kept once.
            self.db
                .prepare_cached("INSERT OR IGNORE INTO envelopes (sha256, kind, seq, body) VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![envelope.sha256().as_bytes(), envelope.kind, to_sql(head.seq), envelope.body])?;
        }
        self.head = head;
        Ok(head)
    }

    /// Signs the head as it stands and appends the note as a `CHECKPOINT` event; the note. `origin` is the host key id.
    pub fn checkpoint(
        &mut self,
        key: &CheckpointKey,
        origin: &str,
        now: OffsetDateTime,
    ) -> Result<String, StoreError> {
        let note = key.sign(origin, &self.head, now)?;
        let event = Event::new(EventType::Checkpoint, Actor::agent())
            .who(key.public().name())
            .detail("seq", self.head.seq)
            .detail("hash", self.head.hash.to_string())
            .detail("note", note.as_str());
        self.append(&event, now)?;
        Ok(note)
    }

    /// Puts a state row, new or in place of the old one. `json` is the caller's.
    pub fn put_record(&mut self, table: Table, id: &str, json: &str) -> Result<(), StoreError> {
        self.db
            .prepare_cached("INSERT OR REPLACE INTO records (kind, id, json) VALUES (?1, ?2, ?3)")?
            .execute(params![table.name(), id, json])?;
        Ok(())
    }

    /// Puts a state row from a value.
    pub fn put<T: Serialize + ?Sized>(
        &mut self,
        table: Table,
        id: &str,
        value: &T,
    ) -> Result<(), StoreError> {
        let json = serde_json::to_string(value).map_err(|e| bad(table, id, &e))?;
        self.put_record(table, id, &json)
    }

    /// Removes a state row; whether there was one.
    pub fn remove(&mut self, table: Table, id: &str) -> Result<bool, StoreError> {
        let removed = self
            .db
            .prepare_cached("DELETE FROM records WHERE kind = ?1 AND id = ?2")?
            .execute(params![table.name(), id])?;
        Ok(removed > 0)
    }

    /// The JSON of a state row.
    pub fn record(&self, table: Table, id: &str) -> Result<Option<String>, StoreError> {
        record(self.db, table, id)
    }

    /// A state row, typed.
    pub fn record_as<T: DeserializeOwned>(
        &self,
        table: Table,
        id: &str,
    ) -> Result<Option<T>, StoreError> {
        self.record(table, id)?
            .map(|json| typed(table, id, &json))
            .transpose()
    }

    /// All rows of a table as (id, JSON), by id.
    pub fn records(&self, table: Table) -> Result<Vec<(String, String)>, StoreError> {
        records(self.db, table)
    }

    /// All rows of a table, typed.
    pub fn records_as<T: DeserializeOwned>(
        &self,
        table: Table,
    ) -> Result<Vec<(String, T)>, StoreError> {
        typed_all(table, self.records(table)?)
    }
}

pub(super) fn record(
    db: &Connection,
    table: Table,
    id: &str,
) -> Result<Option<String>, StoreError> {
    let mut query = db.prepare_cached("SELECT json FROM records WHERE kind = ?1 AND id = ?2")?;
    Ok(query
        .query_row(params![table.name(), id], |row| row.get(0))
        .optional()?)
}

pub(super) fn records(db: &Connection, table: Table) -> Result<Vec<(String, String)>, StoreError> {
    let mut query =
        db.prepare_cached("SELECT id, json FROM records WHERE kind = ?1 ORDER BY id")?;
    let rows = query.query_map([table.name()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn typed<T: DeserializeOwned>(
    table: Table,
    id: &str,
    json: &str,
) -> Result<T, StoreError> {
    serde_json::from_str(json).map_err(|e| bad(table, id, &e))
}

pub(super) fn typed_all<T: DeserializeOwned>(
    table: Table,
    rows: Vec<(String, String)>,
) -> Result<Vec<(String, T)>, StoreError> {
    rows.into_iter()
        .map(|(id, json)| typed(table, &id, &json).map(|value| (id, value)))
        .collect()
}

fn bad(table: Table, id: &str, error: &serde_json::Error) -> StoreError {
    StoreError::Record {
        table: table.name(),
        id: id.to_owned(),
        why: error.to_string(),
    }
}
