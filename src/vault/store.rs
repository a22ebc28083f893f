//! Generations and rosters on disk.
//!
//! ```text
//! prod/                                  one folder a vault, mode 0700
//!   lock                                 held (flock) by the one process that changes anything
//!   rosters/1.json, 2.json, ...
//!   generations/1/manifest.dsse.json     files have mode 0600
//!   generations/1/vault.age
//!   generations/1/shares/alice.age
//!   current -> generations/1
//! ```
//!
//! A generation is written beside (its name begins with a dot), every file and folder is synced, then it is renamed: it is there
//! whole or not at all. It does not count until [`Writer::commit`] moves `current`, which is one rename as well. Whatever a crash left
//! half-written is removed by the next writer; readers never see it.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read as _},
    ops::Deref,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, symlink},
    path::{Path, PathBuf},
};

use super::{Generation, VaultError, age_file::MAX_AGE_FILE, seal::share_path};
use crate::trust::{
    Envelope, Verified,
    dsse::MAX_ENVELOPE,
    file::{self, sync_folder, write_atomic, write_new},
    manifest::Manifest,
    roster::{MAX_VERSIONS, Roster, verify_chain},
};

const MANIFEST: &str = "manifest.dsse.json";
/// Names that begin with this are not there yet, or no longer.
const HALF: &str = ".half-";

/// The folder of one vault, to be read.
#[derive(Debug)]
pub struct Generations {
    folder: PathBuf,
}

/// The folder of one vault, to be changed: the lock is held as long as this lives.
#[derive(Debug)]
pub struct Writer {
    store: Generations,
    lock: File,
}

impl Generations {
    /// Opens the folder of one vault, `.../vaults/NAME`; makes it (mode 0700) where it is missing.
    pub fn open(folder: &Path) -> Result<Self, VaultError> {
        let store = Self {
            folder: folder.to_owned(),
        };
        for made in [
            store.folder.clone(),
            store.generations(),
            store.rosters_folder(),
        ] {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&made)
                .map_err(|why| VaultError::io(&made, why))?;
        }
        Ok(store)
    }

    /// Takes the lock, and removes what a crash left half-written.
    ///
    /// # Errors
    /// [`VaultError::Busy`] at once when another process (or another [`Writer`] of this one) holds it.
    pub fn lock(self) -> Result<Writer, VaultError> {
        let path = self.folder.join("lock");
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|why| VaultError::io(&path, why))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(VaultError::Busy {
                    path: path.display().to_string(),
                });
            }
            Err(TryLockError::Error(why)) => return Err(VaultError::io(&path, why)),
        }
        self.remove_half_written()?;
        Ok(Writer { store: self, lock })
    }

    /// The generation that counts; none before the first commit.
    pub fn current(&self) -> Result<Option<u64>, VaultError> {
        let path = self.current_path();
        let target = match fs::read_link(&path) {
            Ok(target) => target,
            Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(why) => return Err(VaultError::io(&path, why)),
        };
        let number = target
            .to_str()
            .and_then(|t| t.strip_prefix("generations/"))
            .and_then(number)
            .ok_or_else(|| {
                VaultError::malformed(
                    path.display().to_string(),
                    "it does not point to a generation",
                )
            })?;
        if self.folder_of(number).is_dir() {
            Ok(Some(number))
        } else {
            Err(VaultError::Missing {
                what: "generation",
                number,
            })
        }
    }

    /// The numbers of all generations on disk, committed or not, ascending.
    pub fn numbers(&self) -> Result<Vec<u64>, VaultError> {
        let mut found: Vec<u64> = names(&self.generations())?
            .iter()
            .filter_map(|n| number(n))
            .collect();
        found.sort_unstable();
        Ok(found)
    }

    /// Generations that were written and never committed: those above the current one. They protect nothing yet.
    pub fn uncommitted(&self) -> Result<Vec<u64>, VaultError> {
        let current = self.current()?.unwrap_or(0);
        Ok(self
            .numbers()?
            .into_iter()
            .filter(|&n| n > current)
            .collect())
    }

    /// Generations before the current one, whose keys are dead or dying.
    pub fn superseded(&self) -> Result<Vec<u64>, VaultError> {
        let current = self.current()?.unwrap_or(0);
        Ok(self
            .numbers()?
            .into_iter()
            .filter(|&n| n < current)
            .collect())
    }

    /// Reads generation `n`; every file is compared with its manifest. Who signed that is for [`Generation::verify`].
    ///
    /// # Errors
    /// [`VaultError::Digest`] names the file and the custodian whose share was changed or is missing.
    pub fn read(&self, n: u64) -> Result<Generation, VaultError> {
        self.files(n, self.manifest(n)?)
    }

    /// The manifest of generation `n`, as signed; its signature and its files are yet to be checked.
    pub fn manifest(&self, n: u64) -> Result<Envelope, VaultError> {
        let folder = self.folder_of(n);
        if !folder.is_dir() {
            return Err(VaultError::Missing {
                what: "generation",
                number: n,
            });
        }
        let envelope = Envelope::parse(&read_file(&folder.join(MANIFEST), MAX_ENVELOPE)?)?;
        let manifest: Manifest = envelope.unverified()?;
        if manifest.generation != n {
            return Err(VaultError::malformed(
                format!("generations/{n}/{MANIFEST}"),
                format!("it is of generation {}", manifest.generation),
            ));
        }
        Ok(envelope)
    }

    /// The files of generation `n`, compared with this manifest of it. Whoever checks its signature first blames the right file.
    pub fn files(&self, n: u64, envelope: Envelope) -> Result<Generation, VaultError> {
        let folder = self.folder_of(n);
        let manifest: Manifest = envelope.unverified()?;
        let vault_age = read_or_empty(&folder.join("vault.age"))?;
        let mut shares = Vec::with_capacity(manifest.shares.len());
        for share in &manifest.shares {
            let file = read_or_empty(&folder.join(share_path(&share.custodian)))?;
            shares.push((share.custodian.clone(), file));
        }
        let generation = Generation {
            manifest: envelope,
            vault_age,
            shares,
        };
        generation.check_digests(&manifest)?;
        Ok(generation)
    }

    /// The roster versions, from the first on; their signatures are for [`verify_chain`].
    pub fn rosters(&self) -> Result<Vec<Envelope>, VaultError> {
        let mut chain = Vec::new();
        for version in 1..=MAX_VERSIONS as u64 {
            let path = self.roster_path(version);
            match read_file(&path, MAX_ENVELOPE) {
                Ok(json) => chain.push(Envelope::parse(&json)?),
                Err(VaultError::Io { why, .. }) if why.kind() == io::ErrorKind::NotFound => break,
                Err(why) => return Err(why),
            }
        }
        // A version that is gone must not make those after it vanish without a word.
        let newest = names(&self.rosters_folder())?
            .iter()
            .filter_map(|n| number(n.strip_suffix(".json")?))
            .max()
            .unwrap_or(0);
        if newest > chain.len() as u64 {
            return Err(VaultError::Missing {
                what: "roster version",
                number: chain.len() as u64 + 1,
            });
        }
        Ok(chain)
    }

    fn remove_half_written(&self) -> Result<(), VaultError> {
        for folder in [
            self.folder.clone(),
            self.generations(),
            self.rosters_folder(),
        ] {
            for name in names(&folder)? {
                // `.N.json.PID.tmp` is what `write_atomic` leaves behind.
                if !(name.starts_with(HALF) || name.starts_with('.') && name.ends_with(".tmp")) {
                    continue;
                }
                let path = folder.join(name);
                let removed = match path.symlink_metadata() {
                    Ok(found) if found.is_dir() => file::remove_folder(&path),
                    _ => file::remove(&path),
                };
                removed.map_err(|why| VaultError::io(&path, why))?;
            }
        }
        Ok(())
    }

    fn generations(&self) -> PathBuf {
        self.folder.join("generations")
    }

    fn folder_of(&self, n: u64) -> PathBuf {
        self.generations().join(n.to_string())
    }

    fn rosters_folder(&self) -> PathBuf {
        self.folder.join("rosters")
    }

    fn roster_path(&self, version: u64) -> PathBuf {
        self.rosters_folder().join(format!("{version}.json"))
    }

    fn current_path(&self) -> PathBuf {
        self.folder.join("current")
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Closing is not enough: a child that was forked a moment ago holds the same lock until it executes something.
        let _ = self.lock.unlock();
    }
}

impl Deref for Writer {
    type Target = Generations;

    fn deref(&self) -> &Generations {
        &self.store
    }
}

impl Writer {
    /// Stores a generation whole; returns its number. It is not current yet.
    ///
    /// # Errors
    /// [`VaultError::Exists`] when that number is taken: nothing is ever overwritten.
    pub fn write(&self, generation: &Generation) -> Result<u64, VaultError> {
        let manifest: Manifest = generation.manifest.unverified()?;
        generation.check_digests(&manifest)?;
        let n = manifest.generation;
        let whole = self.folder_of(n);
        if whole.symlink_metadata().is_ok() {
            return Err(VaultError::Exists {
                what: "generation",
                number: n,
            });
        }
        let half = self.half_path(n);
        let written = write_files(&half, generation)
            .and_then(|()| file::rename(&half, &whole))
            .and_then(|()| sync_folder(&self.generations()));
        written.map_err(|why| {
            // What is half-written is ours alone; if it stays, the next writer removes it.
            let _ = file::remove_folder(&half);
            VaultError::io(&whole, why)
        })?;
        Ok(n)
    }

    /// Makes generation `n` the current one: one rename.
    pub fn commit(&self, n: u64) -> Result<(), VaultError> {
        // Read it again: what is about to count must be whole on disk.
        self.read(n)?;
        let path = self.current_path();
        let beside = self.folder.join(format!("{HALF}current"));
        let moved = remove_if_there(&beside)
            .and_then(|()| symlink(format!("generations/{n}"), &beside))
            .and_then(|()| file::rename(&beside, &path))
            .and_then(|()| sync_folder(&self.folder));
        moved.map_err(|why| VaultError::io(&path, why))
    }

    /// Removes generation `n`, which must not be the current one; a number that is not there is no error.
    pub fn remove(&self, n: u64) -> Result<(), VaultError> {
        if self.current()? == Some(n) {
            return Err(VaultError::IsCurrent { generation: n });
        }
        let whole = self.folder_of(n);
        if !whole.is_dir() {
            return Ok(());
        }
        // Renamed first, so that a crash leaves no generation with half its files.
        let half = self.half_path(n);
        let removed = file::rename(&whole, &half)
            .and_then(|()| sync_folder(&self.generations()))
            .and_then(|()| file::remove_folder(&half))
            .and_then(|()| sync_folder(&self.generations()));
        removed.map_err(|why| VaultError::io(&whole, why))
    }

    /// Stores the next roster version, if the chain that it ends verifies. Returns it.
    pub fn add_roster(&self, envelope: &Envelope) -> Result<Verified<Roster>, VaultError> {
        let mut chain = self.rosters()?;
        let version = chain.len() as u64 + 1;
        let claimed: Roster = envelope.unverified()?;
        if claimed.version < version {
            return Err(VaultError::Exists {
                what: "roster version",
                number: claimed.version,
            });
        }
        chain.push(envelope.clone());
        let newest = verify_chain(&chain)?.pop();
        let newest = newest.ok_or(VaultError::Missing {
            what: "roster version",
            number: version,
        })?;
        let path = self.roster_path(version);
        write_atomic(&path, envelope.to_json().as_bytes(), 0o600)
            .map_err(|why| VaultError::io(&path, why))?;
        Ok(newest)
    }

    /// Writes a roster version, in the place of one with the same number that never came to count. Which one counts is said by the
    /// manifest of the current generation.
    pub fn put_roster(&self, roster: &Verified<Roster>) -> Result<(), VaultError> {
        let path = self.roster_path(roster.version);
        write_atomic(&path, roster.envelope().to_json().as_bytes(), 0o600)
            .map_err(|why| VaultError::io(&path, why))
    }

    fn half_path(&self, n: u64) -> PathBuf {
        self.generations().join(format!("{HALF}{n}"))
    }
}

fn write_files(folder: &Path, generation: &Generation) -> io::Result<()> {
    let shares = folder.join("shares");
    for made in [folder, &shares] {
        DirBuilder::new().mode(0o700).create(made)?;
    }
    write_new(
        &folder.join(MANIFEST),
        generation.manifest.to_json().as_bytes(),
        0o600,
    )?;
    write_new(&folder.join("vault.age"), &generation.vault_age, 0o600)?;
    for (custodian, file) in &generation.shares {
        write_new(&folder.join(share_path(custodian)), file, 0o600)?;
    }
    sync_folder(&shares)?;
    sync_folder(folder)
}

fn read_file(path: &Path, max: usize) -> Result<Vec<u8>, VaultError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|f| f.take(max as u64 + 1).read_to_end(&mut bytes))
        .map_err(|why| VaultError::io(path, why))?;
    if bytes.len() > max {
        return Err(VaultError::malformed(
            path.display().to_string(),
            "it is too large",
        ));
    }
    Ok(bytes)
}

/// A missing file reads as an empty one: its digest is wrong, and the error names it and its custodian.
fn read_or_empty(path: &Path) -> Result<Vec<u8>, VaultError> {
    let mut bytes = Vec::new();
    match File::open(path).and_then(|f| f.take(MAX_AGE_FILE as u64 + 1).read_to_end(&mut bytes)) {
        Ok(_) => Ok(bytes),
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(why) => Err(VaultError::io(path, why)),
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match file::remove(path) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => Err(why),
        _ => Ok(()),
    }
}

/// Names in a folder that are UTF-8; ours all are.
fn names(folder: &Path) -> Result<Vec<String>, VaultError> {
    let failed = |why| VaultError::io(folder, why);
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        names.extend(entry.map_err(failed)?.file_name().into_string());
    }
    Ok(names)
}

/// A number from 1 on in its one spelling.
fn number(text: &str) -> Option<u64> {
    let n: u64 = text.parse().ok()?;
    (n >= 1 && n.to_string() == text).then_some(n)
}

#[cfg(test)]
mod tests;
