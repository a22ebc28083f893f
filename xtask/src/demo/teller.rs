//! The narrator: headings, what a person types, what that person then sees.

use std::io::IsTerminal as _;

use twotap_rig::RigError;
use twotap_rig::site::{Done, Invocation};

use super::Manner;

/// Tells the story on standard output, or nothing at all with `--json`.
pub(crate) struct Teller {
    silent: bool,
    bold: bool,
}

impl Teller {
    pub(crate) fn new(manner: Manner) -> Self {
        Self {
            silent: manner.json,
            bold: std::io::stdout().is_terminal(),
        }
    }

    /// A new part of the story.
    pub(crate) fn part(&self, title: &str) {
        if self.silent {
            return;
        }
        if self.bold {
            println!("\n\x1b[1m{title}\x1b[0m");
        } else {
            println!("\n{title}");
        }
    }

    /// A sentence.
    pub(crate) fn say(&self, sentence: &str) {
        if !self.silent {
            println!("  {sentence}");
        }
    }

    /// Runs a verb and shows what was typed and what was seen, whatever came of it.
    pub(crate) fn run(&self, invocation: Invocation) -> Result<Done, RigError> {
        let typed = invocation.shown().to_owned();
        let done = invocation.go()?;
        self.show(&typed, &done);
        Ok(done)
    }

    /// The same for a verb that must succeed.
    pub(crate) fn run_ok(&self, invocation: Invocation) -> Result<Done, RigError> {
        let typed = invocation.shown().to_owned();
        let done = self.run(invocation)?;
        if done.status == Some(0) {
            Ok(done)
        } else {
            Err(RigError::new(format!(
                "{typed}\n{}{}",
                done.stdout, done.stderr
            )))
        }
    }

    /// What was typed and seen.
    pub(crate) fn show(&self, typed: &str, done: &Done) {
        if self.silent {
            return;
        }
        println!("\n  {typed}");
        for line in done.stderr.lines().chain(done.stdout.lines()) {
            println!("  │ {line}");
        }
        if let Some(status) = done.status.filter(|status| *status != 0) {
            println!("  │ (exit status {status})");
        }
    }
}
