//! What the agents of the tests have written: the lines of each are kept when it ends, so that `tests/record.rs` can hold all of them to the
//! shipped schema.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{LazyLock, Mutex, PoisonError},
};

use crate::RigError;

/// How many records each test has left so far, in this process.
static LEFT: LazyLock<Mutex<HashMap<String, u32>>> = LazyLock::new(Mutex::default);

/// Where they are: `target/records/PROGRAM/TEST.N.jsonl`, written anew by each run.
pub fn folder() -> Result<PathBuf, RigError> {
    let built = crate::tools::build_folder()?;
    Ok(built.with_file_name("records"))
}

/// Keeps the lines that the file sink in `audit` has written. Called when a case ends, so it fails silently: what is missing then,
/// `tests/record.rs` misses.
pub fn keep(audit: &Path) {
    let _ = copy(audit);
}

fn copy(audit: &Path) -> io::Result<()> {
    let mut files: Vec<PathBuf> = fs::read_dir(audit)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "jsonl"))
        .collect();
    files.sort();
    let mut lines = Vec::new();
    for file in files {
        lines.extend(fs::read(file)?);
    }
    if lines.is_empty() {
        return Ok(());
    }
    let folder = folder().map_err(io::Error::other)?.join(program()?);
    fs::create_dir_all(&folder)?;
    let test = std::thread::current()
        .name()
        .unwrap_or("main")
        .replace("::", ".");
    let mut left = LEFT.lock().unwrap_or_else(PoisonError::into_inner);
    let n = left.entry(test.clone()).or_default();
    *n += 1;
    fs::write(folder.join(format!("{test}.{n}.jsonl")), lines)
}

/// The test program's name, without the compiler's hash.
fn program() -> io::Result<String> {
    let own = std::env::current_exe()?;
    let name = own.file_stem().unwrap_or_default().to_string_lossy();
    let name = name.rsplit_once('-').map_or(&*name, |(name, _)| name);
    Ok(name.to_owned())
}
