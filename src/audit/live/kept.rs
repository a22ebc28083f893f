//! Folders in which evidence is kept.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{Finding, How, Listed, LiveRecord, compare};
use crate::audit::folder;

/// Where evidence is kept, beside the file that is written anew.
pub const KEPT: &str = "tampered";

impl LiveRecord {
    /// What stands in a folder of evidence that nobody was told of.
    pub fn untold(&self, kept: &Path) -> Finding {
        let from = || -> io::Result<Option<u64>> {
            let (mut before, mut from) = (None, None);
            for path in folder::files(kept)? {
                let Listed { path, stat, file } = Listed::open(path)?;
                let known = compare::begin(path, stat, file.as_ref(), None, before)?;
                match compare::follow(&self.store, file.as_ref(), known)? {
                    Ok(known) => before = Some(known.head),
                    Err(finding) => return Ok(finding.from),
                }
                from = before.map(|head| head.seq + 1);
            }
            Ok(from)
        };
        Finding {
            how: How::Changed,
            file: folder::live(&self.dir),
            // What cannot be read is evidence all the same.
            from: from().unwrap_or_default(),
            why: format!(
                "{} holds files that were taken out of the record before the agent ended, and no event says why",
                kept.display()
            ),
        }
    }
}

/// The folders of evidence beside the files in `dir` that hold files, by number.
pub fn kept_folders(dir: &Path) -> Vec<PathBuf> {
    let parent = dir.join(KEPT);
    let Ok(entries) = fs::read_dir(&parent) else {
        return Vec::new();
    };
    let names = entries.flatten().map(|entry| entry.file_name());
    let mut numbers: Vec<u32> = names
        .filter_map(|name| name.to_str().and_then(|name| name.parse().ok()))
        .collect();
    numbers.sort_unstable();
    let folders = numbers.into_iter().map(|n| parent.join(n.to_string()));
    folders
        .filter(|path| folder::files(path).is_ok_and(|files| !files.is_empty()))
        .collect()
}
