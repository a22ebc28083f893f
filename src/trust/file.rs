//! Writing a file so that after a crash there is the old one or the new one, never half.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use crate::fail;

/// Replaces `path` with `bytes` (mode `mode`): written beside, fsynced, renamed, folder fsynced.
pub fn write_atomic(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut beside = std::ffi::OsString::from(".");
    beside.push(name);
    beside.push(format!(".{}.tmp", std::process::id()));
    let beside = folder.join(beside);

    fail::write(path, || "before")?;
    let written = write(&beside, bytes, mode).and_then(|()| {
        fail::file(path, || "beside");
        fs::rename(&beside, path)
    });
    if let Err(why) = written {
        // The half-written file is ours alone; the old one still stands.
        let _ = fs::remove_file(&beside);
        return Err(why);
    }
    sync_folder(folder)?;
    fail::file(path, || "after");
    Ok(())
}

/// [`fs::rename`].
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fail::write(to, || "before")?;
    fs::rename(from, to)?;
    fail::file(to, || "renamed");
    Ok(())
}

/// [`fs::remove_file`].
pub fn remove(path: &Path) -> io::Result<()> {
    fail::write(path, || "before-remove")?;
    fs::remove_file(path)?;
    fail::file(path, || "removed");
    Ok(())
}

/// [`fs::remove_dir_all`].
pub fn remove_folder(path: &Path) -> io::Result<()> {
    fail::write(path, || "before-remove")?;
    fs::remove_dir_all(path)?;
    fail::file(path, || "removed");
    Ok(())
}

/// Makes entries of `folder` (renames, new files) durable.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    File::open(folder)?.sync_all()
}

/// Writes and fsyncs a file that must not exist yet.
pub fn write_new(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    fail::write(path, || "before")?;
    write(path, bytes, mode)?;
    fail::file(path, || "after");
    Ok(())
}

fn write(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_whole_and_leaves_nothing_beside() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("seen.json");
        write_atomic(&path, b"one", 0o600).expect("first");
        write_atomic(&path, b"two", 0o600).expect("second");
        assert_eq!(fs::read(&path).expect("there"), b"two");
        assert_eq!(fs::read_dir(dir.path()).expect("folder").count(), 1);
    }

    #[test]
    fn a_failed_write_leaves_the_old_file() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("taken");
        fs::create_dir(&path).expect("a folder in the way");
        assert!(write_atomic(&path, b"x", 0o600).is_err());
        assert_eq!(fs::read_dir(dir.path()).expect("folder").count(), 1);
    }
}
