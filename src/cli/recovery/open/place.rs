//! Where a credential or session goes: a new file in memory, or standard output. The worker writes there; this only opens the way.

use std::{
    fs::{self, File, OpenOptions},
    io::IsTerminal as _,
    os::{fd::AsFd as _, unix::fs::OpenOptionsExt as _},
    path::{Path, PathBuf},
    process::Stdio,
};

use super::super::super::files;
use crate::protocol::{Code, Problem};

/// `TMPFS_MAGIC` and `RAMFS_MAGIC` of Linux's `statfs(2)`.
const IN_MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58f6];

/// Where it goes.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Write it to this new file (0600), which has to lie in memory (tmpfs)
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    /// The file may lie on a disk, where deleted keys can be found again
    #[arg(long, requires = "to")]
    on_disk: bool,
    /// Write it to standard output even if that is a terminal
    #[arg(long, conflicts_with = "to")]
    show: bool,
}

impl Args {
    /// Where it goes, if it may go there. Nothing is made yet.
    pub(super) fn choose(&self, json: bool) -> Result<Place<'_>, Problem> {
        if let Some(file) = &self.to {
            files::must_be_new(file)?;
            self.in_memory(file)?;
            return Ok(Place {
                file: Some(file),
                made: false,
                kept: false,
            });
        }
        if json {
            return Err(Problem::new(
                Code::Usage,
                "with --json the result stands on standard output, and nothing else",
            )
            .hint("name a file for what is opened: --to FILE"));
        }
        if std::io::stdout().is_terminal() && !self.show {
            return Err(Problem::new(
                Code::Usage,
                "what is opened would be shown on this terminal, and stay in its scrollback",
            )
            .hint("name a file with --to, send it on with a pipe, or insist with --show"));
        }
        Ok(Place {
            file: None,
            made: false,
            kept: false,
        })
    }

    fn in_memory(&self, file: &Path) -> Result<(), Problem> {
        let folder = match file.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let kind = rustix::fs::statfs(folder)
            .map_err(|why| files::unreadable(folder, &why.into()))?
            .f_type as u64;
        if self.on_disk || IN_MEMORY.contains(&kind) {
            return Ok(());
        }
        Err(Problem::new(
            Code::Refused,
            format!(
                "{} would lie on a disk, where deleted keys can be found again",
                files::shown(file)
            ),
        )
        .hint("take a file under /dev/shm or /run/user, or insist with --on-disk"))
    }
}

/// The one place.
pub(super) struct Place<'a> {
    file: Option<&'a Path>,
    made: bool,
    kept: bool,
}

impl<'a> Place<'a> {
    /// Makes the file, if it is one; answers what the worker gets as its standard output.
    pub(super) fn open(&mut self) -> Result<Stdio, Problem> {
        let Some(path) = self.file else {
            let own = std::io::stdout()
                .as_fd()
                .try_clone_to_owned()
                .map_err(|why| Problem::new(Code::Internal, format!("standard output: {why}")))?;
            return Ok(Stdio::from(own));
        };
        let file: File = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(|why| files::unwritable(path, &why))?;
        self.made = true;
        Ok(Stdio::from(file))
    }

    /// What was asked for stands there.
    pub(super) fn keep(&mut self) {
        self.kept = true;
    }

    /// The file, if it is one.
    pub(super) fn file(&self) -> Option<&'a Path> {
        self.file
    }

    /// Whether it is standard output.
    pub(super) fn is_standard_output(&self) -> bool {
        self.file.is_none()
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        // An empty file would look like a key that was lost.
        if let (Some(path), true, false) = (self.file, self.made, self.kept) {
            let _ = fs::remove_file(path);
        }
    }
}
