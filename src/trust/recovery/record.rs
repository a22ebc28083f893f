//! What a recovery leaves behind: who opened which generation without an agent, by what, and what they took out of it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::trust::{
    Bytes, Digest, Document, Envelope, Timestamp, TrustError, Verified,
    roster::Roster,
    text::{check_name, check_text},
};

/// A vault was opened by `recovery open`. Signed by the tokens that opened it, or by the recovery signer where paper did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Format version, 1.
    pub v: u8,
    /// The vault.
    pub vault: String,
    /// The generation that was opened.
    pub generation: u64,
    /// Digest of its manifest.
    pub manifest_sha256: Digest,
    /// Digest of the roster under which it was sealed.
    pub roster_sha256: Digest,
    /// What opened it.
    pub how: How,
    /// What left it.
    pub took: Took,
    /// When, by the clock of the machine on which it was opened.
    pub at: Timestamp,
    /// 16 random bytes, so that two recoveries never have the same record.
    pub nonce: Bytes,
}

/// What opened a vault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum How {
    /// Custodians' tokens.
    Tokens {
        /// The custodians, by name; each has signed.
        by: Vec<String>,
    },
    /// A quorum of recovery shares. Who held them, paper does not say.
    Paper,
}

/// What left a vault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Took {
    /// The sealed credential itself.
    Credential,
    /// One session, minted with it.
    Session {
        /// ARN of the role.
        role: String,
        /// When it ends.
        not_after: Timestamp,
    },
}

impl Record {
    /// The record in `envelope`, if those signed it whom it names, under the roster that counted for that generation: a threshold of custodians, each
    /// with the own token, or the roster's recovery signer.
    ///
    /// # Errors
    /// [`TrustError`]; nothing of an unsigned record may be believed.
    pub fn verify(
        envelope: &Envelope,
        roster: &Verified<Roster>,
    ) -> Result<Verified<Self>, TrustError> {
        let record: Self = envelope.unverified()?;
        if record.vault != roster.vault || record.roster_sha256 != roster.digest() {
            return Err(TrustError::mismatch(
                Self::WHAT,
                "it is about another vault or roster",
            ));
        }
        let unsigned = |by: String| {
            Err(TrustError::Unsigned {
                what: Self::WHAT,
                by,
            })
        };
        match &record.how {
            How::Paper => {
                let Some(recovery) = &roster.recovery else {
                    return Err(TrustError::mismatch(
                        Self::WHAT,
                        "that roster names no recovery shares",
                    ));
                };
                if envelope
                    .signers(std::slice::from_ref(&recovery.signer))
                    .is_empty()
                {
                    return unsigned("the recovery shares that the roster names".to_owned());
                }
            }
            How::Tokens { by } => {
                let keys = roster.approve_keys();
                let signed: BTreeSet<&str> = envelope
                    .signers(&keys)
                    .into_iter()
                    .filter_map(|key| roster.token_by_approve_key(key))
                    .map(|token| token.person.as_str())
                    .collect();
                if let Some(absent) = by.iter().find(|name| !signed.contains(name.as_str())) {
                    return unsigned(absent.clone());
                }
                if by.len() < usize::from(roster.threshold) {
                    return unsigned(format!("{} custodians", roster.threshold));
                }
            }
        }
        Ok(Verified::new(record, envelope.clone()))
    }
}

impl Document for Record {
    const PAYLOAD_TYPE: &'static str = "application/vnd.twotap.recovery.v1+json";
    const WHAT: &'static str = "recovery record";

    fn check(&self) -> Result<(), TrustError> {
        let bad = |why: &str| Err(TrustError::malformed(Self::WHAT, why));
        if self.v != 1 {
            return bad("its format version is not 1");
        }
        check_name("vault name", &self.vault)?;
        if self.generation == 0 {
            return bad("generations count from 1");
        }
        if self.nonce.0.len() != 16 {
            return bad("its nonce has not 16 bytes");
        }
        if let Took::Session { role, .. } = &self.took {
            check_text("role", role, 2048)?;
        }
        if let How::Tokens { by } = &self.how {
            for name in by {
                check_name("custodian's name", name)?;
            }
            if by.iter().collect::<BTreeSet<_>>().len() != by.len() || by.is_empty() {
                return bad("it names nobody, or somebody twice");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
