//! A bundle: one generation with the rosters that vouch for it, as one JSON document. Ciphertext and signed papers only.
//!
//! It is what is copied to other places with each commit, what `vault export` writes and what recovery starts from. It has one
//! spelling: the same generation under the same rosters is the same bytes, so that copies are compared by their digests.

use serde::{Deserialize, Serialize};

use super::{Generation, VaultError};
use crate::trust::{
    Bytes, Digest, Envelope, KeyId, Timestamp, Verified,
    manifest::Manifest,
    roster::{PlaceKind, Roster, verify_chain},
};

/// The largest bundle that is read, in bytes of JSON.
pub const MAX_BUNDLE: usize = 4 * 1024 * 1024;

/// The largest value that a secret of AWS Secrets Manager takes, in bytes. Source: AWS Secrets Manager User Guide, 'Quotas'.
pub const MAX_SECRET: usize = 64 * 1024;

/// What a claim adds to a bundle at most, in bytes of JSON; kept free, because a bundle that fits only without one could never be
/// claimed.
pub const CLAIM: usize = 256;

/// One generation and its roster chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    /// The generation's manifest.
    pub manifest: Envelope,
    /// `vault.age`.
    pub vault_age: Bytes,
    /// The share files, in the manifest's order.
    pub shares: Vec<BundledShare>,
    /// Every roster version from the first on.
    pub roster_chain: Vec<Envelope>,
    /// Who is about to replace this generation; only ever at a place that holds the claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<Claim>,
}

/// Who is about to replace a generation. Unsigned: whoever can write the place could take the claim as well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// Key id of the host.
    pub host: KeyId,
    /// The request that is served; absent for a sealing.
    pub request: Option<String>,
    /// When it was taken, by that host's clock. For people: what counts is AWS's own date of the version.
    pub at: Timestamp,
}

/// One custodian's share file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundledShare {
    /// Whose.
    pub custodian: String,
    /// `shares/NAME.age`.
    pub age: Bytes,
}

impl Bundle {
    /// A bundle of a generation and the chain of rosters.
    pub fn new(generation: &Generation, roster_chain: Vec<Envelope>) -> Self {
        Self {
            manifest: generation.manifest.clone(),
            vault_age: Bytes(generation.vault_age.clone()),
            shares: generation
                .shares
                .iter()
                .map(|(custodian, file)| BundledShare {
                    custodian: custodian.clone(),
                    age: Bytes(file.clone()),
                })
                .collect(),
            roster_chain,
            claim: None,
        }
    }

    /// The same under a claim, or under none.
    #[must_use]
    pub fn claimed(mut self, claim: Option<Claim>) -> Self {
        self.claim = claim;
        self
    }

    /// Reads a bundle. Unknown and duplicate fields are refused, as is anything over [`MAX_BUNDLE`].
    pub fn parse(json: &[u8]) -> Result<Self, VaultError> {
        if json.len() > MAX_BUNDLE {
            return Err(VaultError::malformed("the bundle", "it is over 4 MiB"));
        }
        let bundle: Self =
            serde_json::from_slice(json).map_err(|why| VaultError::malformed("the bundle", why))?;
        // Other spacing, order or a second newline would be the same bundle under another digest.
        if bundle.to_json().as_bytes() == json {
            Ok(bundle)
        } else {
            Err(VaultError::malformed(
                "the bundle",
                "it is not spelt as bundles are written",
            ))
        }
    }

    /// Digest of [`Self::to_json`].
    pub fn digest(&self) -> Digest {
        Digest::of(self.to_json().as_bytes())
    }

    /// The bundle as one line of JSON with a newline.
    pub fn to_json(&self) -> String {
        // Strings, numbers and byte vectors have no failing serialisation.
        let mut json = serde_json::to_string(self).unwrap_or_default();
        json.push('\n');
        json
    }

    /// Checks the chain, the manifest and every file. Whether the chain is the right one is the caller's question (its pin, or
    /// its own token's signature).
    pub fn verify(&self) -> Result<(Vec<Verified<Roster>>, Verified<Manifest>), VaultError> {
        let chain = verify_chain(&self.roster_chain)?;
        let manifest = self.generation().verify(&chain)?;
        Ok((chain, manifest))
    }

    /// Whether it fits a secret, with room for a claim.
    ///
    /// # Errors
    /// [`VaultError::TooLarge`] with the sizes of its parts.
    pub fn fits_a_secret(&self) -> Result<(), VaultError> {
        let size = self.to_json().len();
        if size + CLAIM <= MAX_SECRET {
            return Ok(());
        }
        let rosters = self.roster_chain.iter().map(|r| r.to_json().len()).sum();
        Err(VaultError::TooLarge {
            size,
            rosters,
            versions: self.roster_chain.len(),
            most: MAX_SECRET - CLAIM,
        })
    }

    /// The generation in it, unchecked.
    pub fn generation(&self) -> Generation {
        Generation {
            manifest: self.manifest.clone(),
            vault_age: self.vault_age.0.clone(),
            shares: self
                .shares
                .iter()
                .map(|s| (s.custodian.clone(), s.age.0.clone()))
                .collect(),
        }
    }
}

/// Whether bundles under a chain of rosters will fit the secrets that its newest version names, before anything is sealed: what
/// `vault create` and `roster sign` ask.
///
/// # Errors
/// [`VaultError::TooLarge`] with the size that the next bundle will have, within a few bytes.
pub fn will_fit(chain: &[Envelope]) -> Result<(), VaultError> {
    let Some(newest) = chain.last() else {
        return Ok(());
    };
    let roster: Roster = newest.unverified()?;
    let secret = |p: &crate::trust::roster::Place| matches!(p.kind, PlaceKind::Secret { .. });
    if !roster.places.iter().any(secret) {
        return Ok(());
    }
    // While it is being signed, the signatures that are still to come count.
    let unsigned = roster.tokens.len().saturating_sub(newest.signatures.len());
    let rosters = chain.iter().map(|r| r.to_json().len()).sum::<usize>() + unsigned * SIGNATURE;
    let size = rosters + sealed_size(&roster);
    if size + CLAIM <= MAX_SECRET {
        return Ok(());
    }
    Err(VaultError::TooLarge {
        size,
        rosters,
        versions: chain.len(),
        most: MAX_SECRET - CLAIM,
    })
}

/// A signature in an envelope, in bytes of JSON.
const SIGNATURE: usize = 190;

/// What manifest, `vault.age` and shares come to in a bundle, in bytes of JSON; a little more than they will be.
fn sealed_size(roster: &Roster) -> usize {
    let base64 = |bytes: usize| bytes.div_ceil(3) * 4;
    // age: version line, one stanza a recipient, MAC, nonce, payload with its tag.
    let age = |stanza: usize, recipients: usize, payload: usize| {
        base64(22 + stanza * recipients + 48 + 16 + payload + 16)
    };
    let people = roster.custodians().count();
    let shares: usize = roster
        .custodians()
        .map(|p| {
            let tokens = roster.tokens_of(&p.name).count();
            // 33 words of at most 8 letters.
            48 + p.name.len() + age(128, tokens, 33 * 9)
        })
        .sum();
    let vault = age(100, 1 + usize::from(roster.recovery.is_some()), 320);
    let manifest = base64(1024 + people * 256) + 512;
    shares + vault + manifest + 128
}

#[cfg(test)]
mod tests;
