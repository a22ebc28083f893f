//! Programs that this host runs for us: whose they are, and how they are run.

mod run;

use std::{
    fs::{self, Metadata},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

pub use run::{Program, Without};

/// Whether a program and every folder on the way to it belong to root alone: whoever can change it acts for us. The error says in plain words
/// which path does not.
pub fn only_roots(program: &Path) -> Result<(), String> {
    let real = fs::canonicalize(program).map_err(|why| format!("{}: {why}", program.display()))?;
    let wrong = |path: &Path, what: &str| Err(format!("{}: {what}", path.display()));
    let mut on_the_way: Vec<PathBuf> = real.ancestors().map(Path::to_owned).collect();
    // The name itself may be a link, in folders of its own.
    on_the_way.extend(program.ancestors().skip(1).map(Path::to_owned));
    for path in on_the_way {
        let meta = fs::metadata(&path).map_err(|why| format!("{}: {why}", path.display()))?;
        if meta.uid() != 0 {
            return wrong(&path, "it does not belong to root");
        }
        if writable(&meta) {
            return wrong(&path, "others than root may write it");
        }
    }
    let meta = fs::metadata(&real).map_err(|why| format!("{}: {why}", real.display()))?;
    if !meta.is_file() || meta.mode() & 0o111 == 0 {
        return wrong(program, "it is not a program");
    }
    Ok(())
}

/// In a folder with the sticky bit others may add entries, and not change root's.
fn writable(meta: &Metadata) -> bool {
    let sticky = meta.is_dir() && meta.mode() & 0o1000 != 0;
    meta.mode() & 0o022 != 0 && !sticky
}
