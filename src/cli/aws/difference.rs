//! A difference between what is needed and what stands: what, the risk, and the commands that mend it.

use serde::Serialize;
use serde_json::Value;

use crate::cli::ui::plain;

/// One difference.
#[derive(Debug, Serialize)]
pub(super) struct Difference {
    /// What it is about, e.g. `rule twotap-bypass`.
    pub(super) thing: String,
    /// How it differs.
    pub(super) what: String,
    /// What may happen while it does.
    pub(super) risk: String,
    /// Commands for a shell, one after another.
    pub(super) mend: Vec<String>,
}

impl Difference {
    /// A difference; what AWS said in it is made plain for a terminal.
    pub(super) fn new(
        thing: impl AsRef<str>,
        what: impl AsRef<str>,
        risk: impl Into<String>,
    ) -> Self {
        Self {
            thing: plain(thing.as_ref()),
            what: plain(what.as_ref()),
            risk: risk.into(),
            mend: Vec::new(),
        }
    }

    /// The same with one more command.
    pub(super) fn mend(mut self, command: String) -> Self {
        self.mend.push(command);
        self
    }
}

/// `aws ARGUMENTS` as a shell takes it.
pub(super) fn aws(arguments: &[&str]) -> String {
    let words = arguments.iter().map(|word| quoted(word));
    std::iter::once("aws".to_owned())
        .chain(words)
        .collect::<Vec<_>>()
        .join(" ")
}

/// A document in one argument.
pub(super) fn document(value: &Value) -> String {
    value.to_string()
}

fn quoted(word: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@+%".contains(c);
    if !word.is_empty() && word.chars().all(bare) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}
