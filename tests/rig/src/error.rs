//! The rig's one error type.

use std::fmt;

/// Why a part of the rig could not be set up or asked. It is never what a test is about: a test that meets one
/// fails with this text.
#[derive(Debug)]
pub struct RigError {
    what: String,
    hint: Option<String>,
}

impl RigError {
    /// An error that says `what` is wrong, in plain lower-case English.
    pub fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            hint: None,
        }
    }

    /// The same error with a line that says what to do.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What to do about it, where the rig knows.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for RigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if let Some(hint) = &self.hint {
            write!(f, "\nhint: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for RigError {}
