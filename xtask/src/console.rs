//! Where xtask's words go: steps for a person on standard output, or on standard error when that belongs to one
//! JSON object; and failures, worded as everywhere in twotap.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::path::Path;
use std::process::{Command, Stdio};

/// The channel for steps.
#[derive(Clone, Copy)]
pub(crate) struct Console {
    json: bool,
}

/// Why a verb ended: what is wrong, and what to do where that is known.
#[derive(Debug)]
pub(crate) struct Failure {
    what: String,
    hint: Option<String>,
}

impl Console {
    /// With `json`, nothing but that object may reach standard output.
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Says what happens now.
    pub(crate) fn step(self, text: &str) {
        if self.json {
            eprintln!("{text}");
        } else {
            println!("{text}");
        }
    }
}

impl Failure {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            hint: None,
        }
    }

    pub(crate) fn with_hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.what)?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

/// Runs a command with its output in `log`; when it fails the last lines of that are part of the failure.
pub(crate) fn run_logged(command: &mut Command, what: &str, log: &Path) -> Result<(), Failure> {
    let open =
        || -> std::io::Result<File> { OpenOptions::new().create(true).append(true).open(log) };
    let (out, err) = (open(), open());
    let (Ok(out), Ok(err)) = (out, err) else {
        return Err(Failure::new(format!("{} cannot be written", log.display())));
    };
    let status = command
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err)
        .status()
        .map_err(|error| Failure::new(format!("{what}: {error}")))?;
    if status.success() {
        return Ok(());
    }
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let end = lines[lines.len().saturating_sub(15)..].join("\n");
    Err(Failure::new(format!(
        "{what} failed ({status}); the end of {}:\n{end}",
        log.display()
    )))
}
