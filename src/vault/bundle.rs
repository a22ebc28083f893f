//! A bundle: one generation with the rosters that vouch for it, as one JSON document. Ciphertext only.
//!
//! It is what is copied to other places with each commit, what `vault export` writes and what recovery starts from.

use serde::{Deserialize, Serialize};

use super::{Generation, VaultError};
use crate::trust::{
    Bytes, Envelope, Verified,
    manifest::Manifest,
    roster::{Roster, verify_chain},
};

/// The largest bundle that is read, in bytes of JSON.
pub const MAX_BUNDLE: usize = 4 * 1024 * 1024;

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
        }
    }

    /// Reads a bundle. Unknown and duplicate fields are refused, as is anything over [`MAX_BUNDLE`].
    pub fn parse(json: &[u8]) -> Result<Self, VaultError> {
        if json.len() > MAX_BUNDLE {
            return Err(VaultError::malformed("the bundle", "it is over 4 MiB"));
        }
        serde_json::from_slice(json).map_err(|why| VaultError::malformed("the bundle", why))
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

#[cfg(test)]
mod tests;
