//! Tests that type at prompts need pseudo-terminals. A chroot may have none: its `/dev` came without `/dev/pts`. There the
//! command runs in a mount namespace of its own, with a `/dev/pts` that nobody else sees.

use std::path::Path;
use std::process::Command;

use twotap_rig::people;

/// `DEVPTS_SUPER_MAGIC` of Linux's `statfs(2)`.
const DEVPTS: i64 = 0x1cd1;

/// `/` need not be a mount point in a chroot, so only `/dev` is made private before something is mounted on it.
const MOUNT: &str = r#"
set -eu
mountpoint -q /dev || mount --bind /dev /dev
mount --make-rprivate /dev
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts /dev/pts
exec "$@"
"#;

/// The command, run where there are terminals. Arguments may still be added.
pub(crate) fn for_tests(command: Command) -> Command {
    let there = rustix::fs::statfs(Path::new("/dev/pts")).is_ok_and(|found| found.f_type == DEVPTS);
    if there || !people::is_root() {
        return command;
    }
    let mut inside = Command::new("unshare");
    inside
        .args(["--mount", "--propagation", "unchanged"])
        .args(["sh", "-c", MOUNT, "sh"]);
    crate::inside::run(inside, &command)
}
