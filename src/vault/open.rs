//! Opening: from shares to the credential; and the one-time key that shares are sealed to on their way.

use twotap_shares::{Mnemonic, combine};
use zeroize::Zeroizing;

use super::{AccessKey, VaultError, VaultIdentity, age_file, identity, quorum};
use crate::trust::{
    Digest, Verified,
    manifest::{Manifest, ShareDigest},
};

/// Opens a vault with at least threshold-many shares.
///
/// `vault.age` and each share are compared with the manifest before anything is combined, so that what is wrong has a name. The name
/// in [`VaultError::WrongShare`] is the one whose place the share claims; where the sender is known, ask [`check_share`] first.
pub fn open(
    vault_age: &[u8],
    manifest: &Verified<Manifest>,
    mnemonics: &[Mnemonic],
) -> Result<AccessKey, VaultError> {
    if Digest::of(vault_age) != manifest.vault_sha256 {
        return Err(VaultError::Digest {
            file: "vault.age".to_owned(),
            custodian: None,
            generation: manifest.generation,
        });
    }
    let mut seen: Vec<Digest> = Vec::new();
    for mnemonic in mnemonics {
        let digest = Digest::of(mnemonic.expose().as_bytes());
        let holders: Vec<&ShareDigest> = manifest
            .shares
            .iter()
            .filter(|s| s.mnemonic_sha256 == digest)
            .collect();
        let Some(listed) = holders.first() else {
            return Err(VaultError::WrongShare {
                custodian: claimed_by(mnemonic, manifest),
                generation: manifest.generation,
            });
        };
        // Those of a group of whom one is enough hold one share together.
        if seen.iter().filter(|d| **d == digest).count() >= holders.len() {
            return Err(VaultError::SameShareTwice {
                custodian: listed.custodian.clone(),
            });
        }
        seen.push(digest);
    }
    let needed = usize::from(manifest.threshold);
    if mnemonics.len() < needed {
        return Err(VaultError::TooFewShares {
            given: mnemonics.len(),
            needed,
        });
    }

    // The standard combines exactly as many shares as are needed.
    let secret = combine(&quorum::exactly(mnemonics)?, b"")?;
    let identity = VaultIdentity::from_secret(&secret)?;
    let plaintext = age_file::decrypt("vault.age", vault_age, &identity.age()?)?;
    let credential = AccessKey::parse(&plaintext)?;
    if credential.id() != manifest.access_key_id {
        return Err(VaultError::WrongCredential {
            expected: manifest.access_key_id.clone(),
        });
    }
    Ok(credential)
}

/// Checks the share that `custodian` sent against the manifest.
pub fn check_share(
    manifest: &Manifest,
    custodian: &str,
    mnemonic: &Mnemonic,
) -> Result<(), VaultError> {
    let digest = Digest::of(mnemonic.expose().as_bytes());
    if manifest
        .share(custodian)
        .is_some_and(|s| s.mnemonic_sha256 == digest)
    {
        Ok(())
    } else {
        Err(VaultError::WrongShare {
            custodian: custodian.to_owned(),
            generation: manifest.generation,
        })
    }
}

/// The name in whose place a share says that it stands: shares are numbered in the manifest's order. Where there are groups, that is theirs.
fn claimed_by(mnemonic: &Mnemonic, manifest: &Manifest) -> String {
    if mnemonic.share().group_count > 1 {
        return format!("group {}", mnemonic.share().group_index + 1);
    }
    manifest
        .shares
        .get(usize::from(mnemonic.share().member_index))
        .map_or_else(
            || "somebody who is not a custodian".to_owned(),
            |s| s.custodian.clone(),
        )
}

/// The worker's one-time key: an age X25519 identity that lives as long as its process.
///
/// ```compile_fail,E0277
/// # fn show(secret: twotap::vault::OneTime) {
/// println!("{secret:?}");
/// # }
/// ```
///
/// ```compile_fail,E0599
/// # fn copy(secret: twotap::vault::OneTime) {
/// let copy = secret.clone();
/// # }
/// ```
///
/// ```compile_fail,E0369
/// # fn compare(secret: twotap::vault::OneTime) {
/// assert!(secret == secret);
/// # }
/// ```
pub struct OneTime(age::x25519::Identity);

impl OneTime {
    /// A fresh one.
    pub fn generate() -> Self {
        Self(age::x25519::Identity::generate())
    }

    /// `age1...`, which a request or an offer to seal carries.
    pub fn recipient(&self) -> String {
        self.0.to_public().to_string()
    }

    /// Opens an age file that was sealed to it.
    pub fn open(&self, file: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        age_file::decrypt("what was sent", file, &self.0)
    }
}

/// Seals `plaintext` to a worker's one-time key (`age1...`).
pub fn seal_to(recipient: &str, plaintext: &[u8]) -> Result<Vec<u8>, VaultError> {
    let recipient = identity::recipient("the worker's key", recipient)?;
    age_file::encrypt("what is sent", &[&recipient], plaintext)
}

#[cfg(test)]
mod tests;
