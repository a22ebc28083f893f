//! A terminal of a given size, held by a tmux of its own.

use std::{
    path::Path,
    process::{Command, Output},
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// Longer than anything that is waited for here.
const BOUND: Duration = Duration::from_secs(60);
const CONFIG: &str =
    "set -g status off\nset -g default-terminal tmux-256color\nset -g escape-time 0\n";

/// A terminal with a program in it; both end with this value.
pub(crate) struct Screen {
    folder: TempDir,
}

impl Screen {
    /// Runs a line of shell at a terminal of this size, with the variables that are named and few others.
    pub(crate) fn run(columns: u16, rows: u16, variables: &[(&str, &str)], line: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("tmux.conf"), CONFIG).expect("written");
        let screen = Self { folder };
        let (columns, rows) = (columns.to_string(), rows.to_string());
        let mut start = screen.tmux();
        start
            .args(["new-session", "-d", "-x", &columns, "-y", &rows])
            .arg(line)
            .envs(variables.iter().copied());
        succeeded(start.output());
        screen
    }

    /// A folder of its own, gone with it.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn tmux(&self) -> Command {
        let mut command = Command::new("tmux");
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.folder.path())
            .env("LANG", "C.UTF-8")
            .env("LC_ALL", "C.UTF-8")
            .env("SHELL", "/bin/sh")
            .arg("-S")
            .arg(self.folder.path().join("socket"))
            .arg("-f")
            .arg(self.folder.path().join("tmux.conf"));
        command
    }

    fn told(&self, args: &[&str]) -> String {
        succeeded(self.tmux().args(args).output())
    }

    /// What stands on it now, without trailing blanks.
    pub(crate) fn shown(&self) -> String {
        let text = self.told(&["capture-pane", "-p"]);
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        format!("{}\n", lines.join("\n").trim_end())
    }

    /// The same with its colours, as escape sequences.
    pub(crate) fn coloured(&self) -> String {
        self.told(&["capture-pane", "-p", "-e"])
    }

    /// One of tmux's variables about it.
    pub(crate) fn is(&self, variable: &str) -> String {
        let answer = self.told(&["display-message", "-p", &format!("#{{{variable}}}")]);
        answer.trim().to_owned()
    }

    /// Waits until this stands on it; answers all of it.
    #[track_caller]
    pub(crate) fn until(&self, text: &str) -> String {
        self.until_it(text, |shown| shown.contains(text))
    }

    /// Waits until it is as it should be.
    #[track_caller]
    pub(crate) fn until_it(&self, what: &str, is: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + BOUND;
        loop {
            let shown = self.shown();
            if is(&shown) {
                return shown;
            }
            assert!(
                Instant::now() < deadline,
                "'{what}' does not come:\n{shown}"
            );
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }

    /// Presses keys by tmux's names.
    pub(crate) fn press(&self, keys: &[&str]) {
        self.told(&[&["send-keys"], keys].concat());
    }

    /// Types a text as it is.
    pub(crate) fn types(&self, text: &str) {
        self.told(&["send-keys", "-l", text]);
    }

    /// Gives it another size.
    pub(crate) fn resize(&self, columns: u16, rows: u16) {
        let (columns, rows) = (columns.to_string(), rows.to_string());
        self.told(&["resize-window", "-x", &columns, "-y", &rows]);
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.tmux().arg("kill-server").output();
    }
}

#[track_caller]
fn succeeded(output: std::io::Result<Output>) -> String {
    let output = output.expect("tmux is installed");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "tmux: {said}");
    String::from_utf8(output.stdout).expect("text")
}
