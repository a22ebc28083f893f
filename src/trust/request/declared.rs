//! What an operator declares beside incident and reason, and what programs found before custodians were asked.

use serde::{Deserialize, Serialize};

use super::{Request, is_request_id};
use crate::trust::{
    TrustError,
    roster::{Declared, MAX_CHECKS},
    text::{check_name, check_text},
};

/// The longest output of a check, in characters.
pub const MAX_OUTPUT: usize = 400;
/// The longest subject, in bytes.
pub const MAX_SUBJECT: usize = 128;

/// What a vault is never opened for. Where a request names a scenario the operator confirms of each that it is not that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BannedUse {
    /// A change that could go the usual way.
    RoutineChange,
    /// It would merely be quicker.
    Expediency,
    /// To get around somebody's review.
    AvoidingReview,
}

impl BannedUse {
    /// All of them, in the order in which they are asked.
    pub const ALL: [Self; 3] = [Self::RoutineChange, Self::Expediency, Self::AvoidingReview];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::RoutineChange => "routine-change",
            Self::Expediency => "expediency",
            Self::AvoidingReview => "avoiding-review",
        }
    }

    /// What the operator confirms by it.
    pub fn denial(self) -> &'static str {
        match self {
            Self::RoutineChange => "this is no routine change",
            Self::Expediency => "this is not done because it would be quicker",
            Self::AvoidingReview => "this gets around nobody's review",
        }
    }
}

/// What a check came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckResult {
    /// Its name in the scenario.
    pub name: String,
    /// Whether the request is refused where it does not pass.
    pub required: bool,
    /// Whether it passed.
    pub passed: bool,
    /// What it printed, on one line of plain text: no control or text-direction characters, at most [`MAX_OUTPUT`] characters; may be empty.
    pub output: String,
}

impl CheckResult {
    /// Whether it can stand in a request.
    pub fn check(&self) -> Result<(), TrustError> {
        check_name("check's name", &self.name)?;
        if self.output.is_empty() {
            return Ok(());
        }
        if self.output.chars().count() > MAX_OUTPUT {
            return Err(TrustError::malformed(
                "check's output",
                "it has over 400 characters",
            ));
        }
        check_text("check's output", &self.output, 4 * MAX_OUTPUT)
    }
}

impl Request {
    /// What is declared for a session.
    pub fn declared(&self) -> Declared<'_> {
        Declared {
            operator: &self.operator,
            access: &self.access,
            scenario: self.scenario.as_deref(),
            subject: self.subject.as_deref(),
            commander: self.commander_claimed.as_deref(),
            incident: &self.incident,
            reason: &self.reason,
            confirmed: &self.confirmed,
        }
    }

    /// Whether what is declared is well-formed; whether it is enough is the roster's to say.
    pub(super) fn check_declared(&self) -> Result<(), TrustError> {
        let bad = |why: &str| Err(TrustError::malformed("request", why));
        if let Some(scenario) = &self.scenario {
            check_name("scenario's name", scenario)?;
        }
        if let Some(subject) = &self.subject {
            check_subject(subject)?;
        }
        if self.follows.as_deref().is_some_and(|id| !is_request_id(id)) {
            return bad("what it continues is no request");
        }
        if self.confirmed.len() > BannedUse::ALL.len() {
            return bad("it confirms something twice");
        }
        if self.checks.len() > MAX_CHECKS {
            return bad("it has over 8 checks");
        }
        self.checks.iter().try_for_each(CheckResult::check)
    }
}

/// Whom or what a request is about: 1 to 128 of `A-Za-z0-9_.@+=,-`, so that it can stand in a policy and mean nothing there but itself.
pub fn check_subject(subject: &str) -> Result<(), TrustError> {
    let good = (1..=MAX_SUBJECT).contains(&subject.len())
        && subject
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_.@+=,-".contains(&b));
    if good {
        Ok(())
    } else {
        Err(TrustError::malformed(
            "subject",
            "a subject has 1 to 128 of A-Z, a-z, 0-9 and _ . @ + = , -",
        ))
    }
}
