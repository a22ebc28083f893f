//! Why something cannot be sealed, opened or kept.

use std::{fmt, path::Path};

use crate::trust::TrustError;

/// Why something cannot be sealed, opened or kept. Never holds a secret or a part of one.
#[derive(Debug)]
pub enum VaultError {
    /// A signed document is not to be believed.
    Trust(TrustError),
    /// The shares are not what the standard wants, or do not belong together.
    Shares(twotap_shares::Error),
    /// A credential is not what `aws iam create-access-key` prints.
    Credential {
        /// What is wrong with it, in plain words.
        why: String,
    },
    /// Bytes are not what they claim to be.
    Malformed {
        /// What was being read, e.g. `vault.age`.
        what: String,
        /// What is wrong with it, in plain words.
        why: String,
    },
    /// An age file is sealed to other keys.
    NotForThisKey {
        /// Which file.
        what: String,
    },
    /// An age file was changed after it was written, or cut short.
    Tampered {
        /// Which file.
        what: String,
    },
    /// The token could not do its part.
    Token {
        /// Its reason.
        why: String,
    },
    /// A file is not the one that the manifest names.
    Digest {
        /// Path of the file inside the generation's folder.
        file: String,
        /// Whose share it is; none for `vault.age`.
        custodian: Option<String>,
        /// The generation.
        generation: u64,
    },
    /// A share's words are not those that were sealed.
    WrongShare {
        /// Whose share it is, or claims to be.
        custodian: String,
        /// The generation that was to be opened.
        generation: u64,
    },
    /// One custodian's share was given twice.
    SameShareTwice {
        /// Whose.
        custodian: String,
    },
    /// Fewer shares than the threshold.
    TooFewShares {
        /// How many different shares there are.
        given: usize,
        /// The threshold.
        needed: usize,
    },
    /// A group of custodians has given no share.
    TooFewGroups {
        /// How many groups have given one.
        given: usize,
        /// How many there are, all of which are needed.
        needed: usize,
    },
    /// What is sealed is another key than the manifest says.
    WrongCredential {
        /// The key id that the manifest names.
        expected: String,
    },
    /// A share came that was released for something else.
    OtherRequest {
        /// What it is bound to: `request` or `manifest`.
        what: &'static str,
    },
    /// What was just sealed did not open again; nothing was stored.
    SelfCheck {
        /// What went wrong.
        why: String,
    },
    /// A file or folder could not be read or written.
    Io {
        /// The file or folder.
        path: String,
        /// The system's reason.
        why: std::io::Error,
    },
    /// A generation (or roster version) is already there and is never overwritten.
    Exists {
        /// `generation` or `roster version`.
        what: &'static str,
        /// Its number.
        number: u64,
    },
    /// A generation (or roster version) is not there.
    Missing {
        /// `generation` or `roster version`.
        what: &'static str,
        /// Its number.
        number: u64,
    },
    /// The generation that is current may not be removed.
    IsCurrent {
        /// Its number.
        generation: u64,
    },
    /// A bundle does not fit a secret of AWS Secrets Manager.
    TooLarge {
        /// Its size in bytes.
        size: usize,
        /// How much of it are the rosters.
        rosters: usize,
        /// How many versions of the roster that is.
        versions: usize,
        /// The most that fits.
        most: usize,
    },
    /// Another process is changing this vault.
    Busy {
        /// The lock file.
        path: String,
    },
}

impl VaultError {
    /// What the reader can do about it, where there is something.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Trust(why) => why.hint(),
            Self::Shares(why) => return why.hint(),
            Self::Credential { .. } => {
                "give the output of `aws iam create-access-key` unchanged, as JSON"
            }
            Self::Malformed { .. } => "take the file from another copy of the vault",
            Self::NotForThisKey { .. } => {
                "take the token that was enrolled for this vault, or the file of this custodian"
            }
            Self::Tampered { .. } | Self::Digest { .. } => {
                "take the file from another copy of the vault, and tell the security officer"
            }
            Self::Token { .. } => "check the token and try again",
            Self::WrongShare { .. } => {
                "a share fits its own generation alone: take the share file of this generation"
            }
            Self::SameShareTwice { .. } => "ask another custodian",
            Self::TooFewShares { .. } => "ask more custodians",
            Self::TooFewGroups { .. } => "ask custodians of the groups that are missing",
            Self::WrongCredential { .. } => "do not use this key; tell the security officer",
            Self::OtherRequest { .. } => {
                "the share was released for another request; ask the custodian to approve this one"
            }
            Self::SelfCheck { .. } => {
                "nothing was stored and the old generation stands; try again, on another host if it happens twice"
            }
            Self::Io { .. } => {
                "check that the file exists, that its owner is right, and that the disk has room"
            }
            Self::Exists { .. } => "generations count up by one; take the next number",
            Self::Missing { .. } => "take it from another copy of the vault",
            Self::IsCurrent { .. } => "commit another generation first",
            Self::TooLarge { .. } => {
                "keep copies in a folder instead of a secret, or list fewer custodians and tokens: attestations and old versions of the roster take the room"
            }
            Self::Busy { .. } => "wait until the other process has finished",
        })
    }

    pub(super) fn malformed(what: impl Into<String>, why: impl fmt::Display) -> Self {
        Self::Malformed {
            what: what.into(),
            why: why.to_string(),
        }
    }

    pub(super) fn credential(why: impl fmt::Display) -> Self {
        Self::Credential {
            why: why.to_string(),
        }
    }

    pub(super) fn io(path: &Path, why: std::io::Error) -> Self {
        Self::Io {
            path: path.display().to_string(),
            why,
        }
    }
}

impl fmt::Display for VaultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trust(why) => why.fmt(f),
            Self::Shares(why) => why.fmt(f),
            Self::Credential { why } => write!(f, "this is not an access key: {why}"),
            Self::Malformed { what, why } => write!(f, "{what} cannot be read: {why}"),
            Self::NotForThisKey { what } => write!(f, "{what} is not sealed to this key"),
            Self::Tampered { what } => {
                write!(f, "{what} was changed after it was sealed, or is cut short")
            }
            Self::Token { why } => write!(f, "the token did not open the share: {why}"),
            Self::Digest {
                file,
                custodian: None,
                generation,
            } => {
                write!(
                    f,
                    "{file} is not the file that the manifest of generation {generation} names"
                )
            }
            Self::Digest {
                file,
                custodian: Some(name),
                generation,
            } => write!(
                f,
                "{file}, the share of {name}, is not the file that the manifest of generation {generation} names"
            ),
            Self::WrongShare {
                custodian,
                generation,
            } => write!(
                f,
                "the share of {custodian} is not the one that was sealed in generation {generation}"
            ),
            Self::SameShareTwice { custodian } => {
                write!(f, "the share of {custodian} was given twice")
            }
            Self::TooFewShares { given, needed } => {
                write!(f, "{needed} shares are needed, {given} given")
            }
            Self::TooFewGroups { given, needed } => {
                write!(f, "shares of {needed} groups are needed, of {given} given")
            }
            Self::WrongCredential { expected } => {
                write!(
                    f,
                    "the sealed key is not {expected}, which the manifest names"
                )
            }
            Self::OtherRequest { what } => {
                write!(f, "the share was released for another {what}")
            }
            Self::SelfCheck { why } => {
                write!(f, "what was sealed did not open again: {why}")
            }
            Self::Io { path, why } => write!(f, "{path}: {why}"),
            Self::Exists { what, number } => write!(f, "{what} {number} is already there"),
            Self::Missing { what, number } => write!(f, "there is no {what} {number}"),
            Self::IsCurrent { generation } => {
                write!(f, "generation {generation} is the current one")
            }
            Self::TooLarge {
                size,
                rosters,
                versions,
                most,
            } => write!(
                f,
                "the sealed bundle has {size} bytes, {rosters} of them in {versions} versions of the roster, and a secret takes {most}"
            ),
            Self::Busy { path } => {
                write!(
                    f,
                    "another process is changing this vault (it holds {path})"
                )
            }
        }
    }
}

impl std::error::Error for VaultError {}

impl From<TrustError> for VaultError {
    fn from(why: TrustError) -> Self {
        Self::Trust(why)
    }
}

impl From<twotap_shares::Error> for VaultError {
    fn from(why: twotap_shares::Error) -> Self {
        Self::Shares(why)
    }
}
