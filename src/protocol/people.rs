//! People in a request: who did what from which account and with which key, and the commander's word.

use serde::{Deserialize, Serialize};

use crate::trust::{Digest, KeyId, Timestamp, TrustError, text::check_text};

/// The caller, as the roster knows the account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Short name.
    pub name: String,
    /// Roles, e.g. `operator`.
    pub roles: Vec<String>,
    /// The account: `uid:UID@HOST-KEY-ID`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Groups of the organisation that the roster says this person belongs to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub member_of: Vec<String>,
}

/// The longest part of a commander's statement, in bytes.
pub const MAX_STATEMENT: usize = 1024;

/// Who authorised a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commander {
    /// Short name.
    pub name: String,
    /// When that person confirmed it; absent while it is nothing but the operator's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed_at: Option<Timestamp>,
    /// The account that confirmed it: `uid:UID@HOST-KEY-ID`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
    /// What was said with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement: Option<Statement>,
}

/// What a commander puts on record with an authorisation, each part where it was given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// The nature of the incident.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nature: Option<String>,
    /// The impact that is expected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub impact: Option<String>,
    /// Why standard procedures do not do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl Statement {
    /// Each part that was given, by its name in the record.
    pub fn parts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("nature", &self.nature),
            ("impact", &self.impact),
            ("why_not_standard", &self.why),
        ]
        .into_iter()
        .filter_map(|(name, text)| Some((name, text.as_deref()?)))
    }

    /// Whether each part is text that people can be shown.
    pub fn check(&self) -> Result<(), TrustError> {
        for (name, text) in self.parts() {
            check_text(name, text, MAX_STATEMENT)?;
        }
        Ok(())
    }
}

/// A commander's word that exactly this request is authorised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confirm {
    /// Digest of the offer that the commander has read.
    pub request_sha256: Digest,
    /// What is put on record with it.
    #[serde(default)]
    pub statement: Statement,
}

/// Something that a person did in a request, with the account and the key that it was done with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hand {
    /// What.
    pub did: Did,
    /// Who, by the name in the roster.
    pub name: String,
    /// The account that it came from: `uid:UID@HOST-KEY-ID`. Of a vote: the account that brought it, which may be another person's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The key that signed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyId>,
    /// Serial number of the token with that key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<u32>,
    /// When.
    pub at: Timestamp,
}

/// What somebody did in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Did {
    /// Asked for it.
    Asked,
    /// Authorised it, as its commander.
    Confirmed,
    /// Approved it with a token.
    Approved,
    /// Denied it with a token.
    Denied,
    /// Closed its session.
    Closed,
}

impl Did {
    /// In one word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Confirmed => "confirmed",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Closed => "closed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_a_name_and_nothing_else_on_the_wire() {
        let claim = Commander {
            name: "ivan".to_owned(),
            confirmed_at: None,
            who: None,
            statement: None,
        };
        let json = serde_json::to_string(&claim).expect("json");
        assert_eq!(json, r#"{"name":"ivan"}"#);
        assert_eq!(
            serde_json::from_str::<Commander>(&json).expect("read"),
            claim
        );
    }

    #[test]
    fn a_statement_is_text_that_can_be_shown() {
        let statement = |why: &str| Statement {
            why: Some(why.to_owned()),
            ..Statement::default()
        };
        assert!(statement("sign-in is down as well").check().is_ok());
        for bad in ["", "a\nb", "a\u{202e}b", &"x".repeat(MAX_STATEMENT + 1)] {
            assert!(statement(bad).check().is_err(), "{bad:?}");
        }
        assert!(Statement::default().check().is_ok());
    }
}
