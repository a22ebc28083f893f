//! Tests and demo run programs of this checkout as other people, who must be able to come to them. A checkout in
//! root's home, or in a folder that `mktemp -d` made, is closed to them. There the programs run in a mount namespace
//! of their own, in which each closed folder is covered by an open one that holds the same entries under the same
//! names, with the entries' own modes. Nothing changes outside, and all of it ends with the last process.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use twotap_rig::people;

use crate::console::Failure;
use crate::setup;

/// Covers the folders before `--`, then becomes the command behind it.
const COVER: &str = r#"
set -eu
while [ "$1" != -- ]; do
    folder=$1; shift
    old=$(mktemp -d /run/twotap-reach-XXXXXX)
    mount --rbind "$folder" "$old"
    mount -t tmpfs -o mode=0755 twotap-reach "$folder"
    for entry in "$old"/* "$old"/.[!.]* "$old"/..?*; do
        name=${entry##*/}
        if [ -L "$entry" ]; then cp -P "$entry" "$folder/$name"
        elif [ -d "$entry" ]; then mkdir "$folder/$name"; mount --rbind "$entry" "$folder/$name"
        elif [ -e "$entry" ]; then : > "$folder/$name"; mount --bind "$entry" "$folder/$name"
        fi
    done
    umount -l "$old"; rmdir "$old"
done
shift
cd "$PWD"
exec "$@"
"#;

/// The command, run so that everybody can come to the programs and tools of this checkout. Arguments may still be
/// added. Without root nobody else runs anything, and the command stays as it is.
pub(crate) fn for_everybody(command: Command) -> Result<Command, Failure> {
    let target = setup::workspace().join("target");
    let closed = closed_folders(&[
        &target.join("debug"),
        &target.join("failpoints"),
        &target.join("tools/venv/bin"),
    ]);
    if closed.is_empty() || !people::is_root() {
        return Ok(command);
    }
    let may_mount = Command::new("unshare")
        .args(["--mount", "true"])
        .stderr(Stdio::null())
        .status();
    if !may_mount.is_ok_and(|status| status.success()) {
        return Err(Failure::new(format!("other people cannot come to this checkout: {} is closed", closed[0].display()))
            .with_hint("move the checkout to where everybody may enter, such as /srv, or run where mounts are allowed"));
    }
    let mut covered = Command::new("unshare");
    covered
        .args([
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-c",
            COVER,
            "sh",
        ])
        .args(closed)
        .arg("--");
    Ok(crate::inside::run(covered, &command))
}

/// The folders on the ways to `paths` that other people may not pass through, outermost first.
fn closed_folders(paths: &[&Path]) -> Vec<PathBuf> {
    let mut closed: Vec<PathBuf> = paths
        .iter()
        .flat_map(|path| path.ancestors())
        .filter(|folder| {
            std::fs::metadata(folder).is_ok_and(|found| found.permissions().mode() & 0o001 == 0)
        })
        .map(Path::to_owned)
        .collect();
    closed.sort();
    closed.dedup();
    closed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closed_folders_are_named_outermost_first() {
        let base = std::env::temp_dir().join(format!("twotap-closed-{}", std::process::id()));
        let deep = base.join("open/closed");
        std::fs::create_dir_all(&deep).unwrap();
        let chmod = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap()
        };
        chmod(&base, 0o700);
        chmod(&base.join("open"), 0o755);
        chmod(&deep, 0o750);
        let found = closed_folders(&[&deep, &deep]);
        std::fs::remove_dir_all(&base).unwrap();
        assert_eq!(
            found
                .into_iter()
                .filter(|folder| folder.starts_with(&base))
                .collect::<Vec<_>>(),
            [base, deep]
        );
    }
}
