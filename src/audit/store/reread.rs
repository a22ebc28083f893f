//! The store read again from its file: what other connections keep in memory says nothing of what lies on the disk.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rusqlite::params;

use super::{Store, StoreError, entry, fitting_head, schema, to_sql};
use crate::audit::chain::{self, Hash, Head, Walk};

/// How many events are held at once.
const BATCH: i64 = 512;

/// Device and inode of a file.
pub(super) fn id_of(path: &Path) -> io::Result<(u64, u64)> {
    let meta = fs::symlink_metadata(path)?;
    Ok((meta.dev(), meta.ino()))
}

impl Store {
    /// Where the database lies.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Reads the whole chain from the file, past what is kept in memory, up to the head of this moment. [`StoreError::Tampered`] where it
    /// does not hold, or where the file is not the one that was opened any more.
    pub fn reread(&self) -> Result<Head, StoreError> {
        let tampered = |seq, why: &str| StoreError::Tampered {
            seq,
            why: why.to_owned(),
        };
        match id_of(&self.inner.path) {
            Ok(id) if id == self.inner.id => {}
            Ok(_) => return Err(tampered(0, "another file stands in the place of the store")),
            Err(why) if why.kind() == io::ErrorKind::NotFound => {
                return Err(tampered(0, "the file of the store is gone"));
            }
            Err(why) => return Err(why.into()),
        }
        let db = schema::open_reader(&self.inner.path)?;
        let head = fitting_head(&db)?;
        let mut query =
            db.prepare("SELECT seq, hash, line FROM events WHERE seq > ?1 ORDER BY seq LIMIT ?2")?;
        let mut walk = Walk::after(Head::default());
        while walk.head().seq < head.seq {
            let before = walk.head().seq;
            let rows = query.query_map(params![to_sql(before), BATCH], entry)?;
            for row in rows {
                let found = row?;
                if found.seq > head.seq {
                    break;
                }
                let line = chain::examine(&found.line);
                if Hash::of(&found.line) != found.hash {
                    let why = format!(
                        "its line is not the one that was written (it hashes to {})",
                        Hash::of(&found.line)
                    );
                    return Err(tampered(found.seq, &why));
                }
                if !walk.step(&line) {
                    let fault = walk.diagnose(&line, [], |_| None);
                    let why = format!("{fault} (its line hashes to {})", found.hash);
                    return Err(tampered(fault.seq, &why));
                }
            }
            if walk.head().seq == before {
                return Err(tampered(before + 1, "events up to the head are missing"));
            }
        }
        match walk.head() == head {
            true => Ok(head),
            false => Err(tampered(
                head.seq,
                "the last event is not the one that the head names",
            )),
        }
    }
}
