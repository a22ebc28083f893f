//! What went wrong, as it travels and as it ends a process: one table.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The kinds of failure that a script may want to tell apart; each has its own exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// A fault of ours or of the machine.
    Internal,
    /// The command line or the input is wrong.
    Usage,
    /// Policy or permission says no.
    Refused,
    /// Not enough approvals, or the request was denied or ran out.
    Approvals,
    /// The PIN was wrong or is blocked.
    Pin,
    /// Nobody touched the token in time.
    Touch,
    /// No token, the wrong token, or a reader that does not answer.
    Token,
    /// The agent or its worker cannot be reached.
    Agent,
    /// AWS answered, and the answer was no.
    AwsRefused,
    /// AWS did not answer.
    AwsUnreachable,
    /// A signature, digest or version does not hold.
    Tampering,
    /// A prompt was needed and there is no terminal.
    NoTerminal,
}

impl Code {
    /// Every code with its exit status and meaning, as the manual prints it.
    pub const TABLE: [(Self, u8, &'static str); 12] = [
        (Self::Internal, 1, "a fault inside twotap or on the machine"),
        (Self::Usage, 2, "the command line or an input file is wrong"),
        (Self::Refused, 3, "refused by policy or permission"),
        (
            Self::Approvals,
            4,
            "not enough approvals, denied, or expired",
        ),
        (Self::Pin, 5, "the PIN was wrong or is blocked"),
        (Self::Touch, 6, "the token was not touched in time"),
        (
            Self::Token,
            7,
            "no token, the wrong token, or the reader is held elsewhere",
        ),
        (Self::Agent, 8, "the agent or its worker cannot be reached"),
        (Self::AwsRefused, 9, "AWS refused"),
        (Self::AwsUnreachable, 10, "AWS cannot be reached"),
        (
            Self::Tampering,
            11,
            "a signature, digest or version does not hold",
        ),
        (
            Self::NoTerminal,
            12,
            "a prompt was needed and there is no terminal",
        ),
    ];

    /// The exit status.
    pub fn exit_status(self) -> u8 {
        Self::TABLE
            .iter()
            .find(|(code, ..)| *code == self)
            .map_or(1, |(_, status, _)| *status)
    }
}

/// A failure in words: what is wrong, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Problem {
    /// Which kind.
    pub code: Code,
    /// What is wrong: one lower-case line.
    pub error: String,
    /// What to do about it, where there is something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Problem {
    /// A problem without a hint.
    pub fn new(code: Code, error: impl fmt::Display) -> Self {
        Self {
            code,
            error: error.to_string(),
            hint: None,
        }
    }

    /// Adds what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    /// Adds what to do, where there is something.
    #[must_use]
    pub fn hint_if(self, hint: Option<impl fmt::Display>) -> Self {
        match hint {
            Some(hint) => self.hint(hint),
            None => self,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.error)
    }
}

impl std::error::Error for Problem {}

impl From<crate::trust::standing::Refusal> for Problem {
    fn from(why: crate::trust::standing::Refusal) -> Self {
        Self::new(Code::Refused, &why).hint(why.hint())
    }
}

impl From<crate::trust::roster::NotOnTheseTerms> for Problem {
    fn from(why: crate::trust::roster::NotOnTheseTerms) -> Self {
        use crate::trust::roster::NotOnTheseTerms as N;
        let code = match &why {
            // Misspelt or left out; everything else is a no.
            N::Access { .. } | N::NoScenario { .. } | N::Scenario { .. } | N::BadSubject => {
                Code::Usage
            }
            N::OtherChecks { .. } => Code::Tampering,
            _ => Code::Refused,
        };
        Self::new(code, &why).hint(why.hint())
    }
}

impl From<crate::trust::power::Refusal> for Problem {
    fn from(why: crate::trust::power::Refusal) -> Self {
        Self::new(Code::Refused, &why).hint_if(why.hint())
    }
}

impl From<crate::trust::TrustError> for Problem {
    fn from(why: crate::trust::TrustError) -> Self {
        use crate::trust::TrustError as T;
        let code = match &why {
            T::Malformed { .. } | T::WrongType { .. } => Code::Usage,
            T::Unsigned { .. } | T::Mismatch { .. } | T::Rollback { .. } => Code::Tampering,
            T::Io { .. } => Code::Internal,
        };
        Self::new(code, &why).hint(why.hint())
    }
}
