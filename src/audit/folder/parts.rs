//! The files of a folder that hold the lines, one after the other: `events.jsonl` is written to, and what it was goes on as
//! `events-<number of its first event>.jsonl`, so that names sort as events do.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::audit::files::{private_folder, sync_folder};

/// The file that is written to.
pub(super) const EVENTS: &str = "events.jsonl";

/// The file that is written to.
pub fn live(dir: &Path) -> PathBuf {
    dir.join(EVENTS)
}

/// Where the file goes whose first event has this number, once another is written to.
pub(super) fn numbered(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("events-{first:012}.jsonl"))
}

/// Whether a file of this name holds lines of the record.
pub fn is_record_file(name: &str) -> bool {
    name == EVENTS || first_of(name).is_some()
}

/// The number in a file's name.
fn first_of(name: &str) -> Option<u64> {
    let number = name.strip_prefix("events-")?.strip_suffix(".jsonl")?;
    let digits = number.len() >= 12 && number.bytes().all(|b| b.is_ascii_digit());
    number.parse().ok().filter(|_| digits)
}

/// The files that hold the lines, in their order: the one that is written to is the last.
pub fn files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut written = None;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name == EVENTS {
            written = Some(entry.path());
        } else if let Some(first) = first_of(&name) {
            found.push((first, entry.path()));
        }
    }
    found.sort();
    let mut files: Vec<PathBuf> = found.into_iter().map(|(_, path)| path).collect();
    if let Some(written) = written {
        // For an instant, or since a crash in it, the same file has both names.
        if let Some(newest) = files.last()
            && same(newest, &written)?
        {
            files.pop();
        }
        files.push(written);
    }
    Ok(files)
}

/// Moves files of a folder into a new one of its own, numbered, under `under` in it (0700), so that the record is written anew beside
/// them; where they are. Where one cannot be moved no empty folder is left behind, and the error says where the others are that were.
pub fn move_aside<P: AsRef<Path>>(
    dir: &Path,
    under: &str,
    moved: impl IntoIterator<Item = P>,
) -> io::Result<PathBuf> {
    let kept = new_folder(&dir.join(under))?;
    let moved = move_into(dir, &kept, moved);
    moved.map_err(|why| match fs::remove_dir(&kept) {
        Err(not) if not.kind() == io::ErrorKind::DirectoryNotEmpty => io::Error::new(
            why.kind(),
            format!("{why}; what was moved before lies in {}", kept.display()),
        ),
        _ => why,
    })?;
    Ok(kept)
}

/// Moves files of a folder into another in it, which is made (0700) where it is missing. What was moved before stays where it is.
pub fn move_into<P: AsRef<Path>>(
    dir: &Path,
    kept: &Path,
    moved: impl IntoIterator<Item = P>,
) -> io::Result<()> {
    private_folder(kept)?;
    for file in moved {
        let file = file.as_ref();
        if let Some(name) = file.file_name() {
            fs::rename(file, kept.join(name))?;
        }
    }
    sync_folder(kept)?;
    sync_folder(dir)
}

/// A folder of a new number under `parent` (0700).
pub fn new_folder(parent: &Path) -> io::Result<PathBuf> {
    private_folder(parent)?;
    for n in 1_u32.. {
        let path = parent.join(n.to_string());
        match fs::create_dir(&path) {
            Ok(()) => {
                fs::set_permissions(&path, fs::Permissions::from_mode(0o700))?;
                sync_folder(parent)?;
                return Ok(path);
            }
            Err(why) if why.kind() == io::ErrorKind::AlreadyExists => {}
            Err(why) => return Err(why),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Whether two paths are one file; what is gone is none.
pub(super) fn same(one: &Path, other: &Path) -> io::Result<bool> {
    let of = |path: &Path| match fs::symlink_metadata(path) {
        Ok(meta) => Ok(Some((meta.dev(), meta.ino()))),
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(why) => Err(why),
    };
    let one = of(one)?;
    Ok(one.is_some() && one == of(other)?)
}

/// The lines of several files as if they were one.
#[derive(Debug)]
pub struct Parts {
    left: VecDeque<File>,
}

impl Parts {
    pub(super) fn new(files: impl IntoIterator<Item = File>) -> Self {
        Self {
            left: files.into_iter().collect(),
        }
    }
}

impl Read for Parts {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(file) = self.left.front_mut() {
            match file.read(buffer)? {
                0 if !buffer.is_empty() => self.left.pop_front(),
                n => return Ok(n),
            };
        }
        Ok(0)
    }
}
