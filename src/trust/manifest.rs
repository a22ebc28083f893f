//! The manifest of one generation: which bytes were sealed, for whom, with which key, on top of what.

use serde::{Deserialize, Serialize};

use super::{
    Digest, Document, Envelope, Head, KeyId, Timestamp, TrustError, Verified, roster::Roster,
    text::check_name,
};

/// One sealing of a vault; signed by the worker's host key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Format version, 1.
    pub v: u8,
    /// The vault.
    pub vault: String,
    /// 1 for the first sealing, then exactly one more each time.
    pub generation: u64,
    /// When it was sealed.
    pub created_at: Timestamp,
    /// The host whose worker sealed it.
    pub host: KeyId,
    /// Digest of the roster version that it was sealed under.
    pub roster_sha256: Digest,
    /// The sealed key's id (not secret).
    pub access_key_id: String,
    /// SHA-256 of `vault.age`.
    pub vault_sha256: Digest,
    /// How many shares open it.
    pub threshold: u8,
    /// One share a custodian, in roster order.
    pub shares: Vec<ShareDigest>,
    /// Digest of the generation's manifest before this; absent in generation 1.
    pub previous: Option<Digest>,
    /// Head of the record when it was sealed.
    pub audit: Head,
}

/// A share's two digests: of the file, and of the words inside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShareDigest {
    /// Whose share.
    pub custodian: String,
    /// SHA-256 of `shares/NAME.age`.
    pub file_sha256: Digest,
    /// SHA-256 of the mnemonic: lower case, single spaces, no newline.
    pub mnemonic_sha256: Digest,
}

impl Document for Manifest {
    const PAYLOAD_TYPE: &'static str = "application/vnd.twotap.manifest.v1+json";
    const WHAT: &'static str = "manifest";

    fn check(&self) -> Result<(), TrustError> {
        check_name("vault name", &self.vault)?;
        let mut names: Vec<&str> = Vec::new();
        for share in &self.shares {
            check_name("custodian's name", &share.custodian)?;
            if names.contains(&share.custodian.as_str()) {
                return Err(TrustError::malformed(
                    "manifest",
                    "a custodian stands in it twice",
                ));
            }
            names.push(&share.custodian);
        }
        let good = self.v == 1
            && self.generation >= 1
            && self.previous.is_some() == (self.generation > 1)
            && self.threshold >= 2
            && usize::from(self.threshold) <= self.shares.len()
            && (16..=128).contains(&self.access_key_id.len())
            && self
                .access_key_id
                .bytes()
                .all(|b| b.is_ascii_alphanumeric());
        if good {
            Ok(())
        } else {
            Err(TrustError::malformed(
                "manifest",
                "a field is out of its range",
            ))
        }
    }
}

impl Manifest {
    /// The share of one custodian.
    pub fn share(&self, custodian: &str) -> Option<&ShareDigest> {
        self.shares.iter().find(|s| s.custodian == custodian)
    }

    /// Checks an envelope against a roster: signed by a listed host, the one that it names, for this vault and this roster.
    pub fn verify(
        envelope: &Envelope,
        roster: &Verified<Roster>,
    ) -> Result<Verified<Self>, TrustError> {
        let keys = roster.host_keys();
        let (manifest, signer) = envelope.verify::<Self>(&keys, "a listed host")?;
        if manifest.host != signer.id() {
            return Err(TrustError::mismatch(
                "manifest",
                "it names another host than signed it",
            ));
        }
        // One signature under its own label and nothing beside it: no byte of a stored manifest can change unseen.
        if envelope.signatures.len() != 1 || envelope.signatures[0].keyid != signer.id() {
            return Err(TrustError::mismatch(
                "manifest",
                "it carries more than the one signature of its host",
            ));
        }
        if manifest.vault != roster.vault {
            return Err(TrustError::mismatch("manifest", "it is for another vault"));
        }
        if manifest.roster_sha256 != roster.digest() {
            return Err(TrustError::mismatch(
                "manifest",
                "it was sealed under another roster",
            ));
        }
        Ok(manifest)
    }
}
