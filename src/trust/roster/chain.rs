//! How versions follow each other, and who has signed them.

use std::collections::BTreeSet;

use super::{MAX_VERSIONS, Roster, Token};
use crate::trust::{Envelope, TrustError, Verified};

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

fn verify_next(
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
    // A threshold of people of the version before: people are counted, not keys.
    let old_keys = before.approve_keys();
    let people: BTreeSet<&str> = envelope
        .signers(&old_keys)
        .into_iter()
        .filter_map(|key| before.token_by_approve_key(key))
        .map(|token| token.person.as_str())
        .collect();
    if people.len() < usize::from(before.threshold) {
        return Err(TrustError::Unsigned {
            what: "roster",
            by: format!(
                "{} custodians of version {}",
                before.threshold, before.version
            ),
        });
    }
    // A token that changes hands or gets another unseal key is as new as one that was never there.
    let new = roster.tokens.iter().filter(|t| {
        !before.tokens.iter().any(|b| {
            b.approve.key == t.approve.key && b.unseal.key == t.unseal.key && b.person == t.person
        })
    });
    require_tokens(envelope, new)?;
    Ok(Verified::new(roster, envelope.clone()))
}

fn require_tokens<'t>(
    envelope: &Envelope,
    tokens: impl Iterator<Item = &'t Token>,
) -> Result<(), TrustError> {
    for token in tokens {
        if envelope
            .signers(std::slice::from_ref(&token.approve.key))
            .is_empty()
        {
            return Err(TrustError::Unsigned {
                what: "roster",
                by: format!("{} (token {})", token.person, token.serial),
            });
        }
    }
    Ok(())
}
