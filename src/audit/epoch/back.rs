//! What the file on this host has beyond the store, and taking it back.

use std::{
    fs::File,
    io::{self, BufReader},
    path::{Path, PathBuf},
};

use time::{Duration, OffsetDateTime};

use crate::audit::{
    chain::{self, Hash, Head, Links, Walk},
    checkpoint::Checkpoint,
    event::{Envelope, Record, read_time},
    folder::{self, Folder},
    live,
    note::NoteKey,
    sinks::note_of,
    store::{Store, StoreError, Tx},
    verify,
};

/// Where files of an epoch that is over are kept, beside those that are written.
const OVER: &str = "over";
/// So many events at most come after a host's newest checkpoint: a number beyond is not that host's.
pub const REACH: u64 = 10_000;
/// So long after a host's newest checkpoint it may still have written: what says that it is younger may be made up.
const AFTER: Duration = Duration::DAY;
/// How many events of the store are held at once.
const BATCH: usize = 256;
const NOT_ONE: &str = "its lines are not one chain";

/// What a folder has beyond the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Beyond {
    /// Nothing.
    Nothing,
    /// Lines that follow the store's head in one chain, up to this one.
    Follows(Head),
    /// Lines that do not.
    Other {
        /// The last whole line.
        held: Head,
        /// The first event on which folder and store differ.
        from: u64,
        /// How, in words.
        why: String,
    },
}

/// Looks what the folder has beyond the store. Lines that follow have to be whole, in one chain, and every checkpoint among them signed by
/// `key`: what is taken back is what this agent wrote. Lines of which no checkpoint by `key` knows more than the store does are nothing that the
/// store has lost: anybody may have put them there, which is for [`LiveRecord`](crate::audit::live::LiveRecord) to find.
pub fn beyond(store: &Store, dir: &Path, key: &NoteKey) -> io::Result<Beyond> {
    let head = store.head().map_err(io_error)?;
    let paths = match folder::files(dir) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(Beyond::Nothing),
        paths => paths?,
    };
    let Some(live) = paths.last() else {
        return Ok(Beyond::Nothing);
    };
    match live::last_line(live)? {
        Some(tail) if tail.seq <= head.seq => Ok(Beyond::Nothing),
        // A last line that is none hides nothing of what stands before it.
        tail => compare(store, head, &paths, key, tail.unwrap_or_default()),
    }
}

fn compare(
    store: &Store,
    head: Head,
    paths: &[PathBuf],
    key: &NoteKey,
    tail: Head,
) -> io::Result<Beyond> {
    let Some(signed_to) = vouched(store, paths, key)? else {
        return Ok(Beyond::Nothing);
    };
    // People have seen what came after the last checkpoint, too; a number that is far off is made up.
    let near = signed_to.seq..=signed_to.seq.saturating_add(REACH);
    let held = if near.contains(&tail.seq) {
        tail
    } else {
        signed_to
    };
    let other = |from: u64, why: &str| {
        Ok(Beyond::Other {
            held,
            from,
            why: why.to_owned(),
        })
    };
    let mut walk = Walk::after(Head::default());
    let mut stored = Vec::new().into_iter();
    let mut lines = Lines::of(paths);
    while let Some(line) = lines.next() {
        let line = line?;
        let before = walk.head();
        let seq = before.seq + 1;
        let looked = chain::examine(&line);
        if !walk.step(&looked) {
            let from = seq.min(head.seq + 1);
            return other(from, NOT_ONE);
        }
        if seq <= head.seq {
            if stored.len() == 0 {
                stored = store.events(seq, BATCH).map_err(io_error)?.into_iter();
            }
            let own = stored.next().map(|e| e.hash);
            if own != Some(looked.hash) {
                // Where the file itself goes on from the store's line, it is that line of the file that was changed.
                let next = lines.next().transpose()?;
                let next = next.and_then(|line| Links::parse(&line).ok());
                if next.is_some_and(|links| Some(links.prev) == own) {
                    return other(head.seq + 1, NOT_ONE);
                }
                return other(seq, "it has another event of this number");
            }
        } else if let Some(note) = note_of(&line)
            && signed(&note, key).map(|(head, _)| head) != Some(before)
        {
            return other(head.seq + 1, "a checkpoint in it is not one of this agent");
        }
    }
    Ok(Beyond::Follows(walk.head()))
}

/// The newest line that a checkpoint of `key` over a head that the store has lost stands for: the checkpoint's own, or what follows it in one chain.
fn vouched(store: &Store, paths: &[PathBuf], key: &NoteKey) -> io::Result<Option<Head>> {
    let mut newest: Option<Head> = None;
    for line in Lines::of(paths) {
        let line = line?;
        let Ok(Links { seq, prev }) = Links::parse(&line) else {
            continue;
        };
        let before = Head {
            seq: seq.saturating_sub(1),
            hash: prev,
        };
        let follows = newest == Some(before);
        let later = newest.is_none_or(|newest| before.seq > newest.seq);
        let signs = || note_of(&line).and_then(|note| signed(&note, key));
        let lost = |(head, at): (Head, Option<OffsetDateTime>)| {
            Ok::<_, io::Error>(head == before && !is_known(store, &head, at).map_err(io_error)?)
        };
        if follows || (later && signs().map(lost).transpose()? == Some(true)) {
            newest = Some(before.after(&line));
        }
    }
    Ok(newest)
}

/// The head that a note signs and when it was signed, if it is one by `key`.
pub fn signed(note: &str, key: &NoteKey) -> Option<(Head, Option<OffsetDateTime>)> {
    let opened = Checkpoint::open(note, std::slice::from_ref(key)).ok();
    opened.map(|(checkpoint, _)| (checkpoint.head, read_time(&checkpoint.time)))
}

/// Up to when what was lost was written, as far as it is believed: `said` is when its newest line was, as whoever has it says, and `signed` when its
/// newest checkpoint by this host's key was signed.
pub fn until(
    said: Option<OffsetDateTime>,
    signed: Option<OffsetDateTime>,
) -> Option<OffsetDateTime> {
    let signed = signed?;
    let latest = signed.checked_add(AFTER).unwrap_or(signed);
    Some(said.map_or(signed, |said| said.min(latest)))
}

/// [`until`] of what the folder has up to `held`.
pub fn lost_at(dir: &Path, held: &Head, key: &NoteKey) -> io::Result<Option<OffsetDateTime>> {
    let (mut said, mut vouched) = (None, None);
    for line in Lines::of(&folder::files(dir)?) {
        let line = line?;
        let note = note_of(&line).and_then(|note| signed(&note, key));
        vouched = note.and_then(|(_, at)| at).max(vouched);
        let is_held = Links::parse(&line).is_ok_and(|links| links.seq == held.seq);
        if is_held && Hash::of(&line) == held.hash {
            said = super::written_at(&line);
        }
    }
    Ok(until(said, vouched))
}

/// Whether a head is one of this chain, or, written or seen at `at`, of what an epoch says was lost.
pub fn is_known(
    store: &Store,
    head: &Head,
    at: Option<OffsetDateTime>,
) -> Result<bool, StoreError> {
    let found = store.events(head.seq, 1)?;
    let own = found
        .first()
        .is_some_and(|e| e.seq == head.seq && e.hash == head.hash);
    Ok(own || super::all(store)?.iter().any(|e| e.covers(head, at)))
}

/// Puts the lines that follow the store's head back, with their envelopes where the folder has them; each line that was put back goes to
/// `seen`.
pub fn put_back(
    tx: &mut Tx<'_>,
    dir: &Path,
    mut seen: impl FnMut(&Record),
) -> Result<(), StoreError> {
    let from = tx.head().seq;
    let folder = Folder::open(dir).map_err(|why| StoreError::Io(why.to_string()))?;
    let mut seq = 0;
    for line in Lines::of(&folder::files(dir)?) {
        let line = line?;
        seq += 1;
        if seq <= from {
            continue;
        }
        let record = Record::parse(&line)?;
        let mut envelopes = Vec::new();
        for named in &record.envelopes {
            let found = folder.envelope(&named.sha256).ok().flatten();
            let envelope = found.map(|body| Envelope {
                kind: named.kind.clone(),
                body,
            });
            envelopes.extend(envelope.filter(|e| e.sha256() == named.sha256));
        }
        tx.put_back(&line, &envelopes)?;
        seen(&record);
    }
    Ok(())
}

/// A new folder beside the files, for those of an epoch that is over.
pub fn over(dir: &Path) -> io::Result<PathBuf> {
    folder::new_folder(&dir.join(OVER))
}

/// Moves the files of an epoch that is over into that folder, so that the sink begins anew. What was moved before stays where it is.
pub fn set_aside(dir: &Path, kept: &Path) -> io::Result<()> {
    folder::move_into(dir, kept, &folder::files(dir)?)
}

/// The whole lines of several files, one after the other. One that is cut off at the end is no line.
struct Lines<'p> {
    paths: std::slice::Iter<'p, PathBuf>,
    file: Option<verify::Lines<BufReader<File>>>,
}

impl<'p> Lines<'p> {
    fn of(paths: &'p [PathBuf]) -> Self {
        Self {
            paths: paths.iter(),
            file: None,
        }
    }

    fn read(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            let Some(file) = &mut self.file else {
                let Some(path) = self.paths.next() else {
                    return Ok(None);
                };
                self.file = Some(verify::Lines::of(BufReader::new(File::open(path)?)));
                continue;
            };
            match file.line()? {
                Some(line) if !line.torn => return Ok(Some(line.bytes)),
                _ => self.file = None,
            }
        }
    }
}

impl Iterator for Lines<'_> {
    type Item = io::Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

fn io_error(why: StoreError) -> io::Error {
    io::Error::other(why.to_string())
}
