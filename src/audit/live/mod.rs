//! The live record on this host: the file sink's folder and the store, looked at so that a hand laid on either is seen within seconds.
//!
//! What the sink writes is compared with the store, line by line: new lines as they come, all of them where a file was touched by
//! something that does not append, and all of them at a stated gap, so that nothing rests on what the kernel tells. What was found
//! is moved aside and kept; the sink then writes the file anew from the store.

mod compare;
mod kept;
mod listed;
mod notice;
mod written;

use std::{
    fs, io,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

pub use self::kept::{KEPT, kept_folders};
pub use self::notice::Notice;
pub use self::written::Written;

use self::listed::{Listed, ids};

use super::{
    chain::{Head, Links},
    folder,
    store::{Store, StoreError},
};

/// How often a look is begun anew because the files moved on meanwhile.
const TRIES: usize = 4;

/// What was done to the live record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// A file of it is gone.
    Removed,
    /// Another file stands in its place.
    Replaced,
    /// It was cut off.
    Cut,
    /// Lines in it were changed, or added.
    Changed,
    /// Others than its owner may use it now.
    Rights,
    /// The folder is gone, or another stands in its place.
    FolderMoved,
    /// The agent's own store was changed, not through the agent.
    StoreChanged,
}

impl How {
    /// As it stands in the record.
    pub fn name(self) -> &'static str {
        match self {
            Self::Removed => "removed",
            Self::Replaced => "replaced",
            Self::Cut => "cut",
            Self::Changed => "changed",
            Self::Rights => "rights",
            Self::FolderMoved => "folder_moved",
            Self::StoreChanged => "store_changed",
        }
    }
}

/// A hand that was laid on the live record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was done.
    pub how: How,
    /// To which file or folder.
    pub file: PathBuf,
    /// The first event concerned; absent where no event is.
    pub from: Option<u64>,
    /// In plain words.
    pub why: String,
}

/// The file sink's folder as it was seen last.
pub struct LiveRecord {
    dir: PathBuf,
    store: Store,
    /// The folder's identity and rights.
    folder: Option<Stat>,
    /// The files, in the record's order; the one that is written to is the last.
    known: Vec<Known>,
    /// Up to where the sink has written.
    written: Written,
}

/// A file that was compared.
#[derive(Clone, Debug)]
struct Known {
    path: PathBuf,
    stat: Stat,
    /// The number of its first line.
    first: u64,
    /// How far it was compared, in bytes: whole lines.
    checked: u64,
    /// The last line that was compared.
    head: Head,
}

/// Device and inode; and since when it is there, because an inode is used again.
type Id = (u64, u64, Option<std::time::SystemTime>);

/// What the file system says of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    id: Id,
    size: u64,
    times: (i64, i64, i64, i64),
    mode: u32,
    uid: u32,
}

impl Stat {
    fn of(meta: &fs::Metadata) -> Self {
        Self {
            id: (meta.dev(), meta.ino(), meta.created().ok()),
            size: meta.len(),
            times: (
                meta.mtime(),
                meta.mtime_nsec(),
                meta.ctime(),
                meta.ctime_nsec(),
            ),
            mode: meta.permissions().mode() & 0o7777,
            uid: meta.uid(),
        }
    }

    /// Whether more accounts may use it than before.
    fn widened_since(&self, before: &Self) -> bool {
        self.uid != before.uid || self.mode & !before.mode & 0o077 != 0
    }
}

impl LiveRecord {
    /// The live record in `dir`, whose sink tells how far it has `written`. Nothing is looked at yet.
    pub fn new(dir: &Path, store: &Store, written: &Written) -> Self {
        Self {
            dir: dir.to_owned(),
            store: store.clone(),
            folder: None,
            known: Vec::new(),
            written: written.clone(),
        }
    }

    /// Whether the folder still ends where the sink has left it (`held`), or beyond; for the first look, while no sink writes.
    pub fn left_at(&self, held: Head) -> io::Result<Option<Finding>> {
        if held.seq == 0 {
            return Ok(None);
        }
        let files = match folder::files(&self.dir) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => Vec::new(),
            files => files?,
        };
        let live = folder::live(&self.dir);
        if !files.contains(&live) {
            return Ok(Some(Finding {
                how: How::Removed,
                why: format!(
                    "{} was there up to event {} and is gone since the agent last ran",
                    live.display(),
                    held.seq
                ),
                file: live,
                from: Some(1),
            }));
        }
        let (tail, cut) = compare::last_line(&live)?;
        let tail = tail.map(|tail| tail.seq);
        match tail {
            Some(tail) if tail >= held.seq => Ok(None),
            tail => Ok(Some(Finding {
                how: if cut { How::Changed } else { How::Cut },
                why: format!(
                    "{} ends at event {} and held {} when the agent last ran",
                    live.display(),
                    tail.unwrap_or(0),
                    held.seq
                ),
                file: live,
                from: Some(tail.unwrap_or(0) + 1),
            })),
        }
    }

    /// What was done to the files since the last look, the first of it. `deep` compares every line anew.
    pub fn look(&mut self, deep: bool) -> io::Result<Option<Finding>> {
        let now = match fs::metadata(&self.dir) {
            Ok(meta) => Some(Stat::of(&meta)),
            Err(why) if why.kind() == io::ErrorKind::NotFound => None,
            Err(why) => return Err(why),
        };
        if let Some(finding) = self.folder_changed(now) {
            return Ok(Some(finding));
        }
        let Some(now) = now else {
            // Moved away before anybody had looked: its sink knows that it was there.
            return Ok((self.written.through() > 0).then(|| self.folder_gone()));
        };
        self.folder = Some(now);
        // Asked before the files are: the sink may go on meanwhile.
        let written = self.written.through();
        for _ in 0..TRIES {
            let found = self.list()?;
            let finding = self.examine(&found, deep, written)?;
            // Where the sink has begun another file meanwhile, one list is not what stands there: it is looked at once more.
            if finding.is_none() || ids(&found) == ids(&self.list()?) {
                return Ok(finding);
            }
        }
        let found = self.list()?;
        self.examine(&found, deep, written)
    }

    /// The files as they stand there now, held open: whatever they are called later, these are looked at.
    fn list(&self) -> io::Result<Vec<Listed>> {
        let mut found = Vec::new();
        for path in folder::files(&self.dir)? {
            match Listed::open(path) {
                Ok(listed) => found.push(listed),
                // It was just moved on to another name.
                Err(why) if why.kind() == io::ErrorKind::NotFound => {}
                Err(why) => return Err(why),
            }
        }
        Ok(found)
    }

    fn examine(
        &mut self,
        found: &[Listed],
        deep: bool,
        written: u64,
    ) -> io::Result<Option<Finding>> {
        for known in &self.known {
            if let Some(finding) = gone_or_open(known, found) {
                return Ok(Some(finding));
            }
        }
        let finding = self.compare_all(found, deep)?;
        let live = folder::live(&self.dir);
        let ends = self.known.last().filter(|known| known.path == live);
        Ok(finding.or_else(|| {
            // Nobody has looked since those lines were written, so what is known of the file does not tell.
            let cut_off = ends.filter(|known| known.head.seq < written)?;
            Some(cut(cut_off, written))
        }))
    }

    fn folder_changed(&self, now: Option<Stat>) -> Option<Finding> {
        let before = self.folder?;
        let finding = |how, from, why| Some(self.of_the_folder(how, from, why));
        let dir = self.dir.display();
        match now {
            None => Some(self.folder_gone()),
            Some(now) if now.id != before.id => finding(
                How::FolderMoved,
                Some(1),
                format!("another folder stands at {dir}"),
            ),
            Some(now) if now.widened_since(&before) => finding(
                How::Rights,
                None,
                format!("the folder {dir} {}", rights(&before, &now)),
            ),
            Some(_) => None,
        }
    }

    fn folder_gone(&self) -> Finding {
        let why = format!("the folder {} is gone", self.dir.display());
        self.of_the_folder(How::FolderMoved, Some(1), why)
    }

    fn of_the_folder(&self, how: How, from: Option<u64>, why: String) -> Finding {
        Finding {
            how,
            file: self.dir.clone(),
            from,
            why,
        }
    }

    fn compare_all(&mut self, found: &[Listed], deep: bool) -> io::Result<Option<Finding>> {
        let mut seen: Vec<Known> = Vec::with_capacity(found.len());
        for Listed { path, stat, file } in found {
            let (path, stat) = (path.clone(), *stat);
            let begin = match self.known.iter().find(|k| k.stat.id == stat.id) {
                // Appending alone makes a file longer; whatever else touches one leaves it as long as it was, or shorter.
                Some(known)
                    if !deep
                        && stat.size >= known.checked
                        && (stat.size > known.stat.size || stat.times == known.stat.times) =>
                {
                    Known {
                        path,
                        stat,
                        ..known.clone()
                    }
                }
                known => {
                    let before = seen.last().map(|k: &Known| k.head);
                    let first = known.map(|k| k.first);
                    compare::begin(path, stat, file.as_ref(), first, before)?
                }
            };
            let was = self.known.iter().find(|k| k.stat.id == stat.id).cloned();
            match compare::follow(&self.store, file.as_ref(), begin)? {
                Ok(known) => {
                    if let Some(was) = was
                        && known.head.seq < was.head.seq
                    {
                        return Ok(Some(cut(&known, was.head.seq)));
                    }
                    seen.push(known);
                }
                Err(finding) => return Ok(Some(finding)),
            }
        }
        self.known = seen;
        Ok(None)
    }

    /// What a removal is that the kernel told of and no look has found: the file was removed before it was looked at.
    pub fn removed_unseen(&self) -> Finding {
        let file = folder::live(&self.dir);
        let from = self.known.iter().rfind(|k| k.path != file);
        Finding {
            how: How::Removed,
            from: Some(from.map_or(1, |k| k.head.seq + 1)),
            why: format!("{} was removed as soon as it was written", file.display()),
            file,
        }
    }

    /// Whether the store is still the one that was opened, and all of its chain holds.
    pub fn reread_store(&self) -> Result<Option<Finding>, StoreError> {
        let (seq, why) = match self.store.reread() {
            Ok(_) => return Ok(None),
            Err(StoreError::Tampered { seq, why }) => (seq, why),
            Err(StoreError::Corrupt(why)) => (0, why),
            Err(other) => return Err(other),
        };
        Ok(Some(Finding {
            how: How::StoreChanged,
            file: self.store.path().to_owned(),
            from: (seq > 0).then_some(seq),
            why,
        }))
    }

    /// Moves what is concerned into a folder of its own beside the live file, so that the sink begins it anew; where it is kept,
    /// or nothing where there was nothing to keep. A file whose rights alone were changed gets them back and stays.
    pub fn set_aside(&mut self, finding: &Finding) -> io::Result<Option<PathBuf>> {
        match finding.how {
            How::StoreChanged => return Ok(None),
            How::Rights => {
                let shut = match self.folder {
                    Some(before) if finding.file == self.dir => before.mode,
                    _ => 0o600,
                };
                return fs::set_permissions(&finding.file, fs::Permissions::from_mode(shut))
                    .map(|()| None);
            }
            How::FolderMoved => {
                self.written.unknown();
                (self.folder, self.known) = (None, Vec::new());
                return Ok(None);
            }
            How::Removed | How::Replaced | How::Cut | How::Changed => {}
        }
        // The sink finds its file gone, and begins it anew.
        self.written.unknown();
        let files = folder::files(&self.dir)?;
        // What was removed may be a file before others: they cannot stay behind a hole.
        let first = self
            .known
            .iter()
            .position(|k| k.path == finding.file)
            .or_else(|| files.iter().position(|f| *f == finding.file))
            .unwrap_or(0);
        let stay: Vec<PathBuf> = self
            .known
            .iter()
            .take(first)
            .map(|k| k.path.clone())
            .collect();
        let aside: Vec<&PathBuf> = files.iter().filter(|f| !stay.contains(f)).collect();
        self.known.truncate(first);
        if aside.is_empty() {
            return Ok(None);
        }
        folder::move_aside(&self.dir, KEPT, aside).map(Some)
    }
}

/// A file that is gone, stands under another name, or that more may use than before.
fn gone_or_open(known: &Known, found: &[Listed]) -> Option<Finding> {
    let finding = |how, from, why: String| {
        Some(Finding {
            how,
            file: known.path.clone(),
            from,
            why,
        })
    };
    let same = found.iter().find(|f| f.stat.id == known.stat.id);
    let path = known.path.display();
    let Some(Listed { stat: now, .. }) = same else {
        let taken = found.iter().any(|f| f.path == known.path);
        return if taken {
            let why = format!("another file stands at {path}");
            finding(How::Replaced, Some(known.first), why)
        } else {
            finding(How::Removed, Some(known.first), format!("{path} is gone"))
        };
    };
    if now.widened_since(&known.stat) {
        let why = format!("{path} {}", rights(&known.stat, now));
        return finding(How::Rights, None, why);
    }
    None
}

/// A file that ends before an event which stood in it.
fn cut(now: &Known, held: u64) -> Finding {
    Finding {
        how: How::Cut,
        file: now.path.clone(),
        from: Some(now.head.seq + 1),
        why: format!(
            "{} ends at event {} and held {held} before",
            now.path.display(),
            now.head.seq
        ),
    }
}

fn rights(before: &Stat, now: &Stat) -> String {
    if now.uid == before.uid {
        format!("had mode {:04o} and has {:04o}", before.mode, now.mode)
    } else {
        format!("belonged to uid {} and belongs to {}", before.uid, now.uid)
    }
}

/// Where a file of the record ends; nothing where it has no whole line, or ends in something else.
pub(super) fn last_line(path: &Path) -> io::Result<Option<Head>> {
    Ok(compare::last_line(path)?.0)
}

/// The number of a line, if it is one.
fn seq_of(line: &[u8]) -> Option<u64> {
    Links::parse(line).ok().map(|links| links.seq)
}

#[cfg(test)]
mod tests;
