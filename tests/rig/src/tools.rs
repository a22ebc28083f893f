//! Where the tools are that tests call: Python's virtual environment, Node's packages and `age-plugin-yubikey`.
//!
//! `cargo xtask test` installs them under `target/tools` and names the folder in [`TOOLS`]; a test that runs
//! without it fails with a line that says so, it never passes by skipping.

use std::{
    fmt::Display,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{RigError, Terminal};

/// The environment variable that names the tools' folder (`venv/bin/...`, `npm/node_modules`, `bin/age-plugin-yubikey`).
pub const TOOLS: &str = "TWOTAP_TOOLS";

/// The environment variable that names the virtual environment's interpreter.
pub const PYTHON: &str = "TWOTAP_PYTHON";

/// The tools' folder, absolute.
pub fn folder() -> Result<PathBuf, RigError> {
    from_environment(TOOLS)
}

/// The Python interpreter of the virtual environment.
pub fn python() -> Result<PathBuf, RigError> {
    existing(from_environment(PYTHON)?)
}

/// A script of the virtual environment, such as `aws`, `ykman` or `shamir`.
pub fn script(name: &str) -> Result<PathBuf, RigError> {
    existing(folder()?.join("venv/bin").join(name))
}

/// Node's packages, `.../node_modules`.
pub fn node_packages() -> Result<PathBuf, RigError> {
    existing(folder()?.join("npm/node_modules"))
}

/// A program that `cargo install` has put there, such as `age-plugin-yubikey`.
pub fn program(name: &str) -> Result<PathBuf, RigError> {
    existing(folder()?.join("bin").join(name))
}

/// PyPI's `shamir recover`, the words of each share typed, and the passphrase where there is one: the secret, in hex.
///
/// # Panics
/// If it asks for anything else, or says no secret.
#[track_caller]
pub fn shamir_recover<'w>(
    folder: &Path,
    shares: impl IntoIterator<Item = &'w str>,
    passphrase: Option<&str>,
) -> Result<String, RigError> {
    let mut shamir = Command::new(script("shamir")?);
    shamir
        .arg("recover")
        .current_dir(folder)
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("TERM", "dumb");
    if passphrase.is_some() {
        shamir.arg("--passphrase-prompt");
    }
    let mut terminal = Terminal::owned(&shamir)?;
    for words in shares {
        terminal.answer("Enter a recovery share", words);
    }
    if let Some(passphrase) = passphrase {
        terminal.secret("Enter passphrase", passphrase);
        terminal.secret("Repeat for confirmation", passphrase);
    }
    let screen = terminal.done();
    let said = screen.split_once("Your master secret is: ");
    let secret = said.and_then(|(_, after)| after.split_whitespace().next());
    secret
        .map(str::to_owned)
        .ok_or_else(|| RigError::new(format!("shamir says no secret: {screen}")))
}

/// Git as sofia has it, in this folder, whosever it is; what it printed.
///
/// # Panics
/// If it fails.
#[track_caller]
pub fn git(folder: &Path, args: &[&str]) -> String {
    let done = Command::new("git")
        .args(["-c", "safe.directory=*"])
        .args(["-c", "user.name=sofia"])
        .args(["-c", "user.email=sofia@example.com"])
        .args(args)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .expect("git: apt-get install git");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "git {args:?}: {said}");
    String::from_utf8_lossy(&done.stdout).into_owned()
}

fn from_environment(name: &str) -> Result<PathBuf, RigError> {
    match std::env::var_os(name) {
        Some(path) if !path.is_empty() => Ok(PathBuf::from(path)),
        _ => Err(RigError::new(format!("{name} is not set, so the test's tools cannot be found"))
            .with_hint("run `cargo xtask test`, which installs them and sets it; extra arguments go to `cargo test`")),
    }
}

fn existing(path: PathBuf) -> Result<PathBuf, RigError> {
    if path.exists() {
        Ok(path)
    } else {
        Err(RigError::new(format!("{} does not exist", path.display()))
            .with_hint("run `cargo xtask setup`, or `cargo xtask test`, which does it by itself"))
    }
}

/// The folder with the programs of this build: the one above the running program, or above its `deps`.
pub fn build_folder() -> Result<PathBuf, RigError> {
    let own = std::env::current_exe().map_err(|why| RigError::new(format!("where am I: {why}")))?;
    own.ancestors()
        .skip(1)
        .take(3)
        .find(|folder| folder.join("twotapd").is_file())
        .map(Into::into)
        .ok_or_else(|| {
            RigError::new("no twotapd beside this program").with_hint("run it by: cargo xtask test")
        })
}

/// Copies a program to where other people may run it, mode 0755.
///
/// By a program of its own: a file that this process writes may be held open by a child that another thread starts just then, and cannot be
/// run as long as it is ("text file busy").
pub fn install(from: &Path, to: &Path) -> Result<(), RigError> {
    let failed = |why: &dyn Display| {
        let from = from.display();
        RigError::new(format!("{from} cannot be installed: {why}"))
    };
    let status = installer(from, to).status().map_err(|why| failed(&why))?;
    match status.success() {
        true => Ok(()),
        false => Err(failed(&status)),
    }
}

/// Makes a program of this text, as [`install`] does of a file.
pub fn install_text(text: &str, to: &Path) -> Result<(), RigError> {
    let failed = |why: &dyn Display| {
        let to = to.display();
        RigError::new(format!("{to} cannot be written: {why}"))
    };
    let mut child = installer(Path::new("/dev/stdin"), to)
        .stdin(Stdio::piped())
        .spawn()
        .map_err(|why| failed(&why))?;
    let written = child
        .stdin
        .take()
        .map(|mut to| to.write_all(text.as_bytes()));
    let status = child.wait().map_err(|why| failed(&why))?;
    match (written, status.success()) {
        (Some(Ok(())), true) => Ok(()),
        (Some(Err(why)), _) => Err(failed(&why)),
        _ => Err(failed(&status)),
    }
}

fn installer(from: &Path, to: &Path) -> Command {
    let mut command = Command::new("install");
    command.args(["-m", "0755", "--"]).args([from, to]);
    command
}
