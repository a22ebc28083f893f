//! A folder of this user alone, gone at the end.

use std::{
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use rand_core::{OsRng, RngCore as _};

use crate::protocol::{Code, Problem};

use super::files;

/// A folder of this user alone; gone when dropped.
pub(super) struct Private(PathBuf);

impl Private {
    /// One in memory, where there is such a place: for a little.
    pub(super) fn new() -> Result<Self, Problem> {
        let runtime = std::env::var_os("XDG_RUNTIME_DIR")
            .map(PathBuf::from)
            .filter(|path| path.is_absolute() && path.is_dir());
        let memory = PathBuf::from("/dev/shm");
        let places = runtime.into_iter().chain([memory, std::env::temp_dir()]);
        Self::at_first_of(places)
    }

    /// One where temporary files go (`TMPDIR`): for much, and nothing secret.
    pub(super) fn roomy() -> Result<Self, Problem> {
        Self::at_first_of([std::env::temp_dir()])
    }

    fn at_first_of(places: impl IntoIterator<Item = PathBuf>) -> Result<Self, Problem> {
        let name = format!("twotap-{}-{:016x}", std::process::id(), OsRng.next_u64());
        let mut last = None;
        for place in places {
            let folder = place.join(&name);
            match std::fs::DirBuilder::new().mode(0o700).create(&folder) {
                Ok(()) => return Ok(Self(folder)),
                Err(why) => last = Some(files::unwritable(&folder, &why)),
            }
        }
        Err(last.unwrap_or_else(|| Problem::new(Code::Internal, "no place for a private folder")))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_private_folder_is_private_and_goes() {
        use std::os::unix::fs::PermissionsExt as _;
        for folder in [Private::new(), Private::roomy()] {
            let folder = folder.expect("a folder");
            let path = folder.path().to_owned();
            let mode = std::fs::metadata(&path)
                .expect("there")
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o700);
            std::fs::write(path.join("file"), "x").expect("written");
            drop(folder);
            assert!(!path.exists());
        }
    }
}
