//! Why a document is not believed.

use std::fmt;

/// A document or a signature that is not to be believed, and why.
#[derive(Debug)]
pub enum TrustError {
    /// The bytes are not what they claim to be (JSON, base64, a key, a field out of range).
    Malformed {
        /// What was being read, e.g. `roster`.
        what: &'static str,
        /// What is wrong with it, in plain words.
        why: String,
    },
    /// An envelope of another purpose was presented.
    WrongType {
        /// The payload type that was required.
        expected: &'static str,
        /// The payload type that was found.
        found: String,
    },
    /// The signatures that are required are not all there.
    Unsigned {
        /// What is not signed as it must be.
        what: &'static str,
        /// Whose signature is missing or wrong.
        by: String,
    },
    /// A value differs from the one that a signed document names.
    Mismatch {
        /// Which value.
        what: &'static str,
        /// What differs, in plain words.
        why: String,
    },
    /// Something older than what this machine has already seen.
    Rollback {
        /// Which document.
        what: &'static str,
        /// The version, generation or sequence number presented.
        presented: u64,
        /// The highest one seen.
        seen: u64,
    },
    /// A file of the trust state could not be read or written.
    Io {
        /// The file.
        path: String,
        /// The system's reason.
        why: std::io::Error,
    },
}

impl TrustError {
    /// A [`TrustError::Malformed`].
    pub fn malformed(what: &'static str, why: impl fmt::Display) -> Self {
        Self::Malformed {
            what,
            why: why.to_string(),
        }
    }

    /// A [`TrustError::Mismatch`].
    pub fn mismatch(what: &'static str, why: impl fmt::Display) -> Self {
        Self::Mismatch {
            what,
            why: why.to_string(),
        }
    }

    /// A [`TrustError::Io`] about `path`.
    pub fn io(path: &std::path::Path, why: std::io::Error) -> Self {
        Self::Io {
            path: path.display().to_string(),
            why,
        }
    }

    /// What the reader can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "ask the sender for the file again; do not edit signed files",
            Self::WrongType { .. } => {
                "this file serves another purpose; check that it is the one you meant"
            }
            Self::Unsigned { .. } => {
                "do not go on; compare the verification words with the others on a call"
            }
            Self::Mismatch { .. } => "do not go on; tell the security officer",
            Self::Rollback { .. } => {
                "an old copy was presented; tell the security officer, it may be an attack"
            }
            Self::Io { .. } => "check that the file exists and that its owner is you",
        }
    }
}

impl fmt::Display for TrustError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { what, why } => write!(f, "the {what} cannot be read: {why}"),
            Self::WrongType { expected, found } => {
                write!(f, "expected a document of type {expected}, found {found:?}")
            }
            Self::Unsigned { what, by } => {
                write!(f, "the {what} does not carry a valid signature by {by}")
            }
            Self::Mismatch { what, why } => write!(f, "the {what} does not match: {why}"),
            Self::Rollback {
                what,
                presented,
                seen,
            } => write!(
                f,
                "the {what} {presented} is older than {seen}, which was seen before"
            ),
            Self::Io { path, why } => write!(f, "{path}: {why}"),
        }
    }
}

impl std::error::Error for TrustError {}
