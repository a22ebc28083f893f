//! How versions follow each other, and who has signed them.

use std::collections::BTreeSet;

use super::{By, Lacking, MAX_CHAIN, MAX_VERSIONS, Roster, Token};
use crate::trust::{Envelope, TrustError, Verified};

/// Reads a file with one version or with a chain of them, oldest first; nothing is verified.
pub fn parse_chain(json: &[u8]) -> Result<Vec<Envelope>, TrustError> {
    if !json.trim_ascii_start().starts_with(b"[") {
        return Envelope::parse(json).map(|one| vec![one]);
    }
    if json.len() > MAX_CHAIN {
        return Err(TrustError::malformed("roster", "the chain is over 4 MiB"));
    }
    serde_json::from_slice(json).map_err(|why| TrustError::malformed("roster", why))
}

/// Checks a chain of versions from the first on and returns them all, newest last.
pub fn verify_chain(chain: &[Envelope]) -> Result<Vec<Verified<Roster>>, TrustError> {
    if chain.is_empty() || chain.len() > MAX_VERSIONS {
        return Err(TrustError::malformed(
            "roster",
            "the chain is empty or too long",
        ));
    }
    let mut versions: Vec<Verified<Roster>> = Vec::with_capacity(chain.len());
    for envelope in chain {
        let next = match versions.last() {
            None => verify_first(envelope)?,
            Some(before) => verify_next(before, envelope)?,
        };
        versions.push(next);
    }
    Ok(versions)
}

/// Which tokens have signed `envelope` and which still must, by person and serial: what `roster sign` shows.
pub fn signatures(envelope: &Envelope) -> Result<(Vec<Token>, Vec<Token>), TrustError> {
    let roster: Roster = envelope.unverified()?;
    let keys = roster.approve_keys();
    let signers = envelope.signers(&keys);
    Ok(roster
        .tokens
        .into_iter()
        .partition(|t| signers.contains(&&t.approve.key)))
}

/// What a version still lacks before it holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Missing {
    /// How many more people of the version before have to sign.
    pub people: usize,
    /// The same by group, where that version has groups.
    pub groups: Vec<Lacking>,
    /// Who of them has not signed yet.
    pub of: Vec<String>,
    /// Tokens that have to sign for themselves: all of the first version, those that are new in a later one.
    pub tokens: Vec<Token>,
    /// Whether a quorum of the recovery shares has to sign, and has not.
    pub recovery: bool,
}

impl Missing {
    /// Whether nothing is missing.
    pub fn is_nothing(&self) -> bool {
        self.people == 0 && self.tokens.is_empty() && !self.recovery
    }
}

/// Whose signatures `envelope` still lacks as the version after `before` (as the first, where there is none before).
pub fn missing(
    before: Option<&Verified<Roster>>,
    envelope: &Envelope,
) -> Result<Missing, TrustError> {
    let roster: Roster = envelope.unverified()?;
    let unsigned = |tokens: Vec<&Token>| -> Vec<Token> {
        tokens
            .into_iter()
            .filter(|t| !has_signed(envelope, t))
            .cloned()
            .collect()
    };
    let Some(before) = before else {
        return Ok(Missing {
            people: 0,
            groups: Vec::new(),
            of: Vec::new(),
            tokens: unsigned(roster.tokens.iter().collect()),
            recovery: false,
        });
    };
    if roster.by == Some(By::Recovery) {
        return Ok(Missing {
            people: 0,
            groups: Vec::new(),
            of: Vec::new(),
            tokens: unsigned(new_tokens(before, &roster).collect()),
            recovery: !paper_signed(before, envelope),
        });
    }
    let signed = people(before, envelope);
    let lacking = before.lacking(signed.iter().copied());
    Ok(Missing {
        people: lacking.iter().map(|l| l.people).sum(),
        groups: lacking.into_iter().filter(|l| l.group.is_some()).collect(),
        of: before
            .custodians()
            .map(|p| p.name.clone())
            .filter(|name| !signed.contains(name.as_str()))
            .collect(),
        tokens: unsigned(new_tokens(before, &roster).collect()),
        recovery: false,
    })
}

fn verify_first(envelope: &Envelope) -> Result<Verified<Roster>, TrustError> {
    let roster: Roster = envelope.unverified()?;
    if roster.version != 1 {
        return Err(TrustError::mismatch(
            "roster",
            "the chain does not begin with version 1",
        ));
    }
    require_tokens(envelope, roster.tokens.iter())?;
    Ok(Verified::new(roster, envelope.clone()))
}

/// Checks the version after `before`.
pub fn verify_next(
    before: &Verified<Roster>,
    envelope: &Envelope,
) -> Result<Verified<Roster>, TrustError> {
    let roster: Roster = envelope.unverified()?;
    if roster.vault != before.vault {
        return Err(TrustError::mismatch("roster", "it is for another vault"));
    }
    if roster.version != before.version + 1 {
        return Err(TrustError::mismatch(
            "roster",
            "a version was skipped or repeated",
        ));
    }
    if roster.previous != Some(before.digest()) {
        return Err(TrustError::mismatch(
            "roster",
            "it does not follow the version before it",
        ));
    }
    match roster.by {
        None if !before.is_quorum(people(before, envelope)) => {
            return Err(TrustError::Unsigned {
                what: "roster",
                by: format!("{} of version {}", before.quorum_in_words(), before.version),
            });
        }
        None => {}
        Some(By::Recovery) => by_paper(before, &roster, envelope)?,
    }
    require_tokens(envelope, new_tokens(before, &roster))?;
    Ok(Verified::new(roster, envelope.clone()))
}

/// What a quorum of recovery shares may stand for: new custodians, tokens and hosts, and other sheets. What a session can do, and where copies
/// go, stays what custodians have signed.
fn by_paper(before: &Roster, roster: &Roster, envelope: &Envelope) -> Result<(), TrustError> {
    if !paper_signed(before, envelope) {
        return Err(TrustError::Unsigned {
            what: "roster",
            by: format!("the recovery shares that version {} names", before.version),
        });
    }
    if roster.aws != before.aws || roster.access != before.access || roster.places != before.places
    {
        return Err(TrustError::mismatch(
            "roster",
            "recovery shares stand for people, tokens and hosts, and it changes what can be asked for",
        ));
    }
    Ok(())
}

fn paper_signed(before: &Roster, envelope: &Envelope) -> bool {
    before
        .recovery
        .as_ref()
        .is_some_and(|r| !envelope.signers(std::slice::from_ref(&r.signer)).is_empty())
}

/// Who of the version before has signed: people are counted, not keys.
fn people<'b>(before: &'b Roster, envelope: &Envelope) -> BTreeSet<&'b str> {
    envelope
        .signers(&before.approve_keys())
        .into_iter()
        .filter_map(|key| before.token_by_approve_key(key))
        .map(|token| token.person.as_str())
        .collect()
}

/// A token that changes hands or gets another unseal key is as new as one that was never there.
fn new_tokens<'t>(before: &'t Roster, roster: &'t Roster) -> impl Iterator<Item = &'t Token> {
    roster.tokens.iter().filter(|t| {
        !before.tokens.iter().any(|b| {
            b.approve.key == t.approve.key && b.unseal.key == t.unseal.key && b.person == t.person
        })
    })
}

fn has_signed(envelope: &Envelope, token: &Token) -> bool {
    !envelope
        .signers(std::slice::from_ref(&token.approve.key))
        .is_empty()
}

fn require_tokens<'t>(
    envelope: &Envelope,
    tokens: impl Iterator<Item = &'t Token>,
) -> Result<(), TrustError> {
    for token in tokens {
        if !has_signed(envelope, token) {
            return Err(TrustError::Unsigned {
                what: "roster",
                by: format!("{} (token {})", token.person, token.serial),
            });
        }
    }
    Ok(())
}
