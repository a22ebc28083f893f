//! The files as they stand in the folder at one moment.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use super::{Id, Stat, compare};

/// A file that stands there.
pub(super) struct Listed {
    pub(super) path: PathBuf,
    pub(super) stat: Stat,
    /// Absent where it is no file that is read: a link.
    pub(super) file: Option<File>,
}

impl Listed {
    pub(super) fn open(path: PathBuf) -> io::Result<Self> {
        let meta = fs::symlink_metadata(&path)?;
        if meta.is_symlink() {
            let (stat, file) = (Stat::of(&meta), None);
            return Ok(Self { path, stat, file });
        }
        let file = compare::open(&path)?;
        let stat = Stat::of(&file.metadata()?);
        Ok(Self {
            path,
            stat,
            file: Some(file),
        })
    }
}

/// Files by place and identity.
pub(super) fn ids(found: &[Listed]) -> Vec<(&Path, Id)> {
    let ids = found.iter().map(|f| (f.path.as_path(), f.stat.id));
    ids.collect()
}
