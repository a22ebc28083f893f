//! Files that must be private, whole or absent, and on disk when we say so.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use zeroize::Zeroizing;

/// Secrets kept in files here are short text.
const MAX_SECRET: u64 = 4096;

/// Options that create with 0600 and do not follow a link in the last place.
pub(super) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options
        .mode(0o600)
        .custom_flags((OFlags::NOFOLLOW | OFlags::CLOEXEC).bits() as i32);
    options
}

/// Makes the folder (0700) where it is missing.
pub(super) fn private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Puts `bytes` at `path`, whole or not at all: written beside, synced, renamed, folder synced.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = write_beside(path, bytes)?;
    fs::rename(&beside, path)?;
    sync_parent(path)
}

/// The secret in the file at `path`; where there is none, `make` makes it and it is stored (0600) before it is used. A file that
/// others can read, or that is larger than 4 KiB, is refused.
pub(super) fn secret_file(
    path: &Path,
    make: impl FnOnce() -> io::Result<Zeroizing<Vec<u8>>>,
) -> io::Result<Zeroizing<Vec<u8>>> {
    match read_secret(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        found => return found,
    }
    let beside = write_beside(path, &make()?)?;
    // A link does not replace: of two who start at once one makes the secret and both use it.
    let linked = fs::hard_link(&beside, path);
    fs::remove_file(&beside)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => sync_parent(path)?,
    }
    read_secret(path)
}

/// The secret in a file that is there already. One that others can read, that is another account's, a link, no plain file (a pipe would
/// be waited for), or larger than 4 KiB is refused.
pub(super) fn read_secret(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let refused = |kind, why: String| Err(io::Error::new(kind, why));
    let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let mut file = File::options()
        .read(true)
        .custom_flags(flags.bits() as i32)
        .open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() || meta.len() > MAX_SECRET {
        let why = "it is not a file of at most 4 KiB";
        return refused(io::ErrorKind::InvalidData, why.to_owned());
    }
    if meta.permissions().mode() & 0o077 != 0 {
        let why = "others than its owner can use it (chmod 600)";
        return refused(io::ErrorKind::PermissionDenied, why.to_owned());
    }
    if meta.uid() != rustix::process::geteuid().as_raw() {
        let why = format!("it belongs to uid {} (chown it)", meta.uid());
        return refused(io::ErrorKind::PermissionDenied, why);
    }
    // Sized once, so that growing leaves no copy in freed memory.
    let mut secret = Zeroizing::new(vec![0; meta.len() as usize]);
    file.read_exact(&mut secret)?;
    Ok(secret)
}

fn write_beside(path: &Path, bytes: &[u8]) -> io::Result<std::path::PathBuf> {
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut beside = std::ffi::OsString::from(".");
    beside.push(name);
    beside.push(format!(
        ".{:x}.new",
        rand_core::RngCore::next_u64(&mut rand_core::OsRng)
    ));
    let beside = path.with_file_name(beside);
    let written = private()
        .write(true)
        .create_new(true)
        .open(&beside)
        .and_then(|mut f| f.write_all(bytes).and_then(|()| f.sync_all()));
    if let Err(error) = written {
        let _ = fs::remove_file(&beside);
        return Err(error);
    }
    Ok(beside)
}

/// Syncs the folder that holds `path`, so that a new name survives a crash.
pub(super) fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_folder(parent),
        _ => sync_folder(Path::new(".")),
    }
}

/// Syncs a folder, so that the names in it survive a crash.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> io::Result<Zeroizing<Vec<u8>>> {
        Ok(Zeroizing::new(text.into()))
    }

    #[test]
    fn a_secret_is_made_once_private_and_leaves_nothing_beside() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        assert_eq!(
            secret_file(&path, || secret("one")).unwrap().as_slice(),
            b"one"
        );
        assert_eq!(
            secret_file(&path, || panic!("made twice"))
                .unwrap()
                .as_slice(),
            b"one"
        );
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_secret_that_others_can_read_or_a_link_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        fs::write(&path, "x").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = secret_file(&path, || secret("y")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(fs::read(&path).unwrap(), b"x");

        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(secret_file(&link, || secret("y")).is_err());
    }

    #[test]
    fn a_secret_of_another_account_and_a_pipe_are_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        fs::write(&path, "x").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(read_secret(&path).unwrap().as_slice(), b"x");
        // Only root can give a file away.
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(61012), None).unwrap();
            let error = read_secret(&path).unwrap_err();
            assert!(error.to_string().contains("uid 61012"), "{error}");
        }

        let pipe = dir.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::from(0o600)).unwrap();
        let (done, seen) = std::sync::mpsc::channel();
        // On a thread of its own: one that waits for a writer would wait for ever.
        std::thread::spawn(move || done.send(read_secret(&pipe).unwrap_err().kind()));
        let kind = seen.recv_timeout(std::time::Duration::from_secs(20));
        assert_eq!(kind, Ok(io::ErrorKind::InvalidData));
    }

    #[test]
    fn replacing_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        replace(&path, b"one").unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
