//! How far the bucket goes on where nobody has acknowledged it.

use time::OffsetDateTime;

use super::names::{self, EventsName};
use super::{MOST, Store};
use crate::audit::chain::{Head, Links};
use crate::audit::epoch::written_at;
use crate::audit::sinks::amazon::failed;
use crate::audit::sinks::{SinkError, note_of};
use crate::aws::s3::Marker;
use crate::aws::{Aws, Credentials};

/// How many objects that nobody acknowledged are gone through at a start.
const FURTHER: usize = 64;

/// What the bucket has after what is known.
pub(super) struct Further {
    pub(super) held: Head,
    /// When the last of these lines was written.
    pub(super) at: Option<OffsetDateTime>,
    /// The newest checkpoint among these lines.
    pub(super) note: Option<String>,
    /// An object of another history in the same place.
    pub(super) other: Option<String>,
}

impl Store {
    /// How far the bucket goes on after `held`.
    pub(super) async fn further(
        &self,
        aws: &Aws,
        key: &Credentials,
        held: Head,
    ) -> Result<Further, SinkError> {
        let folder = names::events(&self.prefix);
        let mut from = Some(Marker::after(&names::after(&self.prefix, held.seq)));
        let mut found = Further {
            held,
            at: None,
            note: None,
            other: None,
        };
        let mut read = 0;
        while let Some(marker) = from.take() {
            let page = aws
                .object_versions(key, &self.bucket, &folder, Some(&marker))
                .await
                .map_err(|why| failed(&why))?
                .value;
            for version in page.versions.iter().filter(|v| !v.delete_marker) {
                let Some(name) = EventsName::parse(&self.prefix, &version.key) else {
                    continue;
                };
                if name.last <= found.held.seq {
                    continue;
                }
                // A gap: what follows it is sent again, from here on.
                if name.first > found.held.seq + 1 || read == FURTHER {
                    return Ok(found);
                }
                read += 1;
                let object = aws
                    .object(key, &self.bucket, &version.key, Some(&version.id), MOST)
                    .await
                    .map_err(|why| failed(&why))?
                    .value;
                let follows = object
                    .filter(|object| self.is_locked(object))
                    .and_then(|object| follow(&found.held, &name, &object.bytes));
                match follows {
                    Some(followed) => {
                        found.held = followed.end;
                        found.at = followed.at;
                        found.note = followed.note.or(found.note);
                    }
                    None => found.other = Some(version.key.clone()),
                }
            }
            from = page.next;
        }
        Ok(found)
    }
}

/// The lines of an object.
pub(super) struct Followed {
    /// Where the record stands after them.
    pub(super) end: Head,
    /// When the last of them was written.
    at: Option<OffsetDateTime>,
    /// The newest checkpoint among them.
    note: Option<String>,
}

/// The lines of an object, if they follow `held` and are what its name says.
pub(super) fn follow(held: &Head, name: &EventsName, bytes: &[u8]) -> Option<Followed> {
    let (mut head, mut at, mut note) = (*held, None, None);
    for line in bytes.strip_suffix(b"\n")?.split(|b| *b == b'\n') {
        let links = Links::parse(line).ok()?;
        // An object may begin before: what is held already is passed over.
        if links.seq <= held.seq {
            continue;
        }
        if links.seq != head.seq + 1 || links.prev != head.hash {
            return None;
        }
        head = head.after(line);
        at = written_at(line);
        note = note_of(line).or(note);
    }
    name.ends_at(&head).then_some(Followed {
        end: head,
        at,
        note,
    })
}
