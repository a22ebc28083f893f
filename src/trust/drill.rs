//! A custodian's receipt that the own share still opens.

use serde::{Deserialize, Serialize};

use super::{
    Bytes, Digest, Document, Envelope, PublicKey, Timestamp, TrustError, Verified,
    manifest::Manifest,
    roster::{Roster, Token},
    text::check_name,
};

/// Says that a token has opened its share of a generation, and that it is the share that was sealed; signed by that token's approve key.
///
/// The token signs before it opens, so that one touch is enough for both; the receipt leaves the custodian's process only once the share
/// was opened and its words compared with the manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drill {
    /// Format version, 1.
    pub v: u8,
    /// The vault.
    pub vault: String,
    /// The generation that the share belongs to.
    pub generation: u64,
    /// Digest of its manifest.
    pub manifest_sha256: Digest,
    /// Whose share.
    pub custodian: String,
    /// The token that opened it.
    pub serial: u32,
    /// SHA-256 of the words that were found, which are those of the manifest.
    pub share_sha256: Digest,
    /// When, by the clock of the custodian's machine.
    pub at: Timestamp,
    /// The agent's 16 bytes, so that an old receipt proves nothing new.
    pub nonce: Bytes,
}

impl Document for Drill {
    const PAYLOAD_TYPE: &'static str = "application/vnd.twotap.drill.v1+json";
    const WHAT: &'static str = "drill receipt";

    fn check(&self) -> Result<(), TrustError> {
        check_name("vault name", &self.vault)?;
        check_name("custodian's name", &self.custodian)?;
        if self.v != 1 || self.generation == 0 || self.nonce.0.len() != 16 {
            return Err(TrustError::malformed(
                "drill receipt",
                "a field is out of its range",
            ));
        }
        Ok(())
    }
}

/// Checks a receipt: signed by the approve key of the listed token that it names, for that person's share of this manifest. Which nonce it
/// answers is the caller's to compare.
///
/// # Errors
/// [`TrustError`]; a receipt for another generation is a mismatch.
pub fn verify(
    envelope: &Envelope,
    manifest: &Verified<Manifest>,
    roster: &Verified<Roster>,
) -> Result<(Verified<Drill>, Token), TrustError> {
    let keys: Vec<PublicKey> = roster.approve_keys();
    let (drill, signer) = envelope.verify::<Drill>(&keys, "a custodian of the roster")?;
    let differs = |why: &str| Err(TrustError::mismatch("drill receipt", why));
    let Some(token) = roster.token_by_approve_key(signer).cloned() else {
        return differs("its key is not in the roster");
    };
    if drill.custodian != token.person || drill.serial != token.serial {
        return differs("it names another token than signed it");
    }
    if drill.vault != roster.vault || manifest.vault != roster.vault {
        return differs("it is for another vault");
    }
    if drill.generation != manifest.generation || drill.manifest_sha256 != manifest.digest() {
        return differs("it is for another generation");
    }
    let share = manifest.share(&token.person);
    if share.is_none_or(|share| share.mnemonic_sha256 != drill.share_sha256) {
        return differs("it names another share than was sealed");
    }
    Ok((drill, token))
}
