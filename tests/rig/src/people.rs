//! People as uids. What twotap decides by `SO_PEERCRED` is tested with real uids, fixed ones that no Debian
//! package uses; the accounts need not exist in `/etc/passwd`.

use std::ffi::OsStr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::RigError;

/// The agent's own account.
pub const AGENT: u32 = 61001;
/// The worker's own account.
pub const WORKER: u32 = 61002;
/// Dana, an operator.
pub const DANA: u32 = 61010;
/// Alice, a custodian.
pub const ALICE: u32 = 61011;
/// Bob, a custodian.
pub const BOB: u32 = 61012;
/// Sofia, the security officer.
pub const SOFIA: u32 = 61013;
/// Ivan, the incident commander.
pub const IVAN: u32 = 61014;

/// Carol, a custodian who comes later.
pub const CAROL: u32 = 61015;

/// Everybody whom a [`Stage`] prepares a home for: folder name and uid.
pub const EVERYBODY: [(&str, u32); 8] = [
    ("agent", AGENT),
    ("worker", WORKER),
    ("dana", DANA),
    ("alice", ALICE),
    ("bob", BOB),
    ("sofia", SOFIA),
    ("ivan", IVAN),
    ("carol", CAROL),
];

/// Whether this process may become other people.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Fails with the line that is missing unless this process may become other people.
pub fn require_root() -> Result<(), RigError> {
    if is_root() {
        return Ok(());
    }
    Err(RigError::new(
        "people are separate uids here, and only root can start a program as another uid",
    )
    .with_hint("run as root: sudo --preserve-env=PATH,HOME cargo xtask test"))
}

/// `program`, to be run as `uid` (and the group of the same number), with no supplementary group. Arguments,
/// environment and streams are the caller's to add; they reach the program itself.
pub fn as_uid(uid: u32, program: impl AsRef<OsStr>) -> Result<Command, RigError> {
    require_root()?;
    let mut command = Command::new("setpriv");
    command
        .arg(format!("--reuid={uid}"))
        .arg(format!("--regid={uid}"))
        .args(["--clear-groups", "--"])
        .arg(program);
    Ok(command)
}

/// A temporary folder in memory with a private home for everybody, removed on drop.
///
/// ```text
/// /run/twotap-stage-XXXXXX/      0755 root
///   agent/ worker/ dana/ ...     0700, each owned by that person
///   run/                         0755 agent: where the agent's socket stands
///   shared/                      1777: what goes between people, e.g. enrolments
/// ```
pub struct Stage {
    folder: TempDir,
}

impl Stage {
    /// A new stage under `/run`, or under `/dev/shm` where `/run` is not in memory. Needs root.
    pub fn new() -> Result<Self, RigError> {
        require_root()?;
        let folder = tempfile::Builder::new()
            .prefix("twotap-stage-")
            .tempdir_in(memory_folder()?)
            .map_err(|error| RigError::new(format!("the stage's folder: {error}")))?;
        let stage = Self { folder };
        mode(stage.path(), 0o755)?;
        for (name, uid) in EVERYBODY {
            stage.make(name, uid, 0o700)?;
        }
        stage.make("run", AGENT, 0o755)?;
        stage.make("shared", 0, 0o1777)?;
        Ok(stage)
    }

    /// The stage's folder, readable by everybody.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The private home of the person called `name` (see [`EVERYBODY`]).
    pub fn home(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// The folder in which the agent's socket stands.
    pub fn run(&self) -> PathBuf {
        self.path().join("run")
    }

    /// The folder through which people hand each other files.
    pub fn shared(&self) -> PathBuf {
        self.path().join("shared")
    }

    /// `program` run as the person called `name`: own uid, own home, and an environment that holds nothing else
    /// but `PATH`.
    pub fn command(&self, name: &str, program: impl AsRef<OsStr>) -> Result<Command, RigError> {
        let (name, uid) = person(name)?;
        let mut command = as_uid(uid, program)?;
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home(name))
            .env("LANG", "C.UTF-8")
            .current_dir(self.home(name));
        Ok(command)
    }

    /// Writes a file that `name` owns, with `mode`, at a path relative to that person's home.
    pub fn write(
        &self,
        name: &str,
        relative: &str,
        bytes: &[u8],
        file_mode: u32,
    ) -> Result<PathBuf, RigError> {
        let (name, uid) = person(name)?;
        let path = self.home(name).join(relative);
        std::fs::write(&path, bytes).map_err(|error| at(&path, &error))?;
        chown(&path, Some(uid), Some(uid)).map_err(|error| at(&path, &error))?;
        mode(&path, file_mode)?;
        Ok(path)
    }

    fn make(&self, name: &str, uid: u32, folder_mode: u32) -> Result<(), RigError> {
        let path = self.path().join(name);
        std::fs::create_dir(&path).map_err(|error| at(&path, &error))?;
        chown(&path, Some(uid), Some(uid)).map_err(|error| at(&path, &error))?;
        mode(&path, folder_mode)
    }
}

fn person(name: &str) -> Result<(&'static str, u32), RigError> {
    EVERYBODY
        .into_iter()
        .find(|(known, _)| *known == name)
        .ok_or_else(|| RigError::new(format!("nobody on the stage is called `{name}`")))
}

fn mode(path: &Path, mode: u32) -> Result<(), RigError> {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
        .map_err(|error| at(path, &error))
}

fn at(path: &Path, error: &std::io::Error) -> RigError {
    RigError::new(format!("{}: {error}", path.display()))
}

/// The first of `/run` and `/dev/shm` that is in memory, so that a test's secrets never reach a disk.
fn memory_folder() -> Result<&'static Path, RigError> {
    const TMPFS: i64 = 0x0102_1994;
    ["/run", "/dev/shm"]
        .into_iter()
        .map(Path::new)
        .find(|path| rustix::fs::statfs(*path).is_ok_and(|found| found.f_type == TMPFS))
        .ok_or_else(|| {
            RigError::new("neither /run nor /dev/shm is in memory, and a test's secrets must not reach a disk")
                .with_hint("mount one: mount -t tmpfs tmpfs /dev/shm")
        })
}
