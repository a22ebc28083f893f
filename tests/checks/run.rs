//! Runs a shipped check as the agent does: no environment, one argument, the request on standard input.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::{Value, json};

/// A shipped check with files of its own.
pub(crate) struct Check {
    program: PathBuf,
    folder: tempfile::TempDir,
}

impl Check {
    /// The shipped program with this name.
    pub(crate) fn shipped(name: &str) -> Self {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/checks");
        Self {
            program: program.join(name),
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    /// A file that the check's configuration names.
    pub(crate) fn file(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("mode");
        path
    }

    /// Exit code and words.
    pub(crate) fn run(&self, config: &str, request: &Value) -> (i32, String) {
        let config = self.file("config.toml", config, 0o644);
        let mut child = Command::new(&self.program)
            .arg(config)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        // One that has ended before it read says so by its exit code.
        let _ = stdin.write_all(request.to_string().as_bytes());
        drop(stdin);
        let done = child.wait_with_output().expect("it ends");
        assert_eq!(String::from_utf8_lossy(&done.stderr), "");
        let said = String::from_utf8(done.stdout).expect("text");
        (
            done.status.code().expect("a code"),
            said.trim_end().to_owned(),
        )
    }
}

/// What dana asks for, as a check reads it.
pub(crate) fn request(subject: Option<&str>) -> Value {
    json!({
        "v": 1, "check": "example", "vault": "prod", "operator": "dana", "access": "pii",
        "scenario": "pii-access", "subject": subject, "incident": "SUP-1234",
        "reason": "the export of this user hangs", "commander": "ivan",
        "duration_seconds": 3600, "follows": null,
    })
}

/// The `n`th configuration that README.md shows.
pub(crate) fn shown(n: usize) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/checks/README.md");
    let text = fs::read_to_string(path).expect("shipped");
    let block = text.split("```toml\n").nth(n).expect("a block");
    block.split("```").next().expect("its end").to_owned()
}
