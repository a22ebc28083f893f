//! Sealing: from a credential and a roster to one generation. Needs public keys alone.

use rand_core::CryptoRngCore;
use subtle::ConstantTimeEq as _;
use twotap_shares::{Mnemonic, Secret, combine, split};

use super::{
    AccessKey, SealedShare, VaultError, VaultIdentity, age_file, identity, piv_p256, quorum,
};
use crate::trust::{
    Digest, Envelope, Head, KeyId, Signer, Timestamp, Verified,
    manifest::{Manifest, ShareDigest},
    roster::Roster,
};

/// What a sealing is made of.
pub struct SealInput<'i> {
    /// The vault.
    pub vault: &'i str,
    /// The new generation's number: 1, or one more than the last.
    pub generation: u64,
    /// What is sealed.
    pub credential: &'i AccessKey,
    /// For whom, and how many of them must meet.
    pub roster: &'i Verified<Roster>,
    /// Digest of the manifest before; none for generation 1.
    pub previous: Option<Digest>,
    /// Head of the record.
    pub audit: Head,
    /// When.
    pub created_at: Timestamp,
    /// Key id of the host that seals: that of the signer's key.
    pub host_key_id: KeyId,
}

/// One sealing of a vault: public bytes only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generation {
    /// The signed manifest.
    pub manifest: Envelope,
    /// `vault.age`.
    pub vault_age: Vec<u8>,
    /// Custodian's name and `shares/NAME.age`, in the manifest's order.
    pub shares: Vec<(String, Vec<u8>)>,
}

/// Seals a credential under a fresh identity.
///
/// Before it returns, the shares were combined again (each of them at least once, in sets of the threshold's size) and the very
/// bytes of `vault.age` were opened with the result.
///
/// # Errors
/// [`VaultError::Trust`] for what the manifest cannot carry or the roster does not cover, [`VaultError::Malformed`] for a recovery
/// recipient that is none, [`VaultError::SelfCheck`] when what was sealed does not open.
pub fn seal(
    input: &SealInput<'_>,
    host: &dyn Signer,
    rng: &mut impl CryptoRngCore,
) -> Result<Generation, VaultError> {
    let vault_identity = VaultIdentity::generate(rng)?;
    let vault_age = seal_vault(input, &vault_identity)?;
    let mnemonics = split_identity(input.roster, &vault_identity, rng)?;
    let shares = seal_shares(input.roster, &mnemonics)?;

    recombine(input, &vault_identity, &mnemonics, &vault_age)?;

    let manifest = Manifest {
        v: 1,
        vault: input.vault.to_owned(),
        generation: input.generation,
        created_at: input.created_at,
        host: input.host_key_id,
        roster_sha256: input.roster.digest(),
        access_key_id: input.credential.id().to_owned(),
        vault_sha256: Digest::of(&vault_age),
        threshold: input.roster.threshold,
        shares: shares
            .iter()
            .zip(&mnemonics)
            .map(|((custodian, file), mnemonic)| ShareDigest {
                custodian: custodian.clone(),
                file_sha256: Digest::of(file),
                mnemonic_sha256: Digest::of(mnemonic.expose().as_bytes()),
            })
            .collect(),
        previous: input.previous,
        audit: input.audit,
    };
    let generation = Generation {
        manifest: Envelope::signed(&manifest, host)?,
        vault_age,
        shares,
    };
    // Refuses a host or vault that the roster does not list, now and not when somebody needs the key.
    generation.verify(std::slice::from_ref(input.roster))?;
    Ok(generation)
}

impl Generation {
    /// Checks the manifest's signature against the roster version of `chain` that it names, and every file against the manifest.
    pub fn verify(&self, chain: &[Verified<Roster>]) -> Result<Verified<Manifest>, VaultError> {
        let claimed: Manifest = self.manifest.unverified()?;
        let roster = chain
            .iter()
            .find(|r| r.digest() == claimed.roster_sha256)
            .ok_or_else(|| {
                crate::trust::TrustError::mismatch(
                    "manifest",
                    "it was sealed under a roster that is not known here",
                )
            })?;
        let manifest = Manifest::verify(&self.manifest, roster)?;
        self.check_digests(&manifest)?;
        Ok(manifest)
    }

    /// Checks every file against `manifest`; who signed that is not asked.
    pub fn check_digests(&self, manifest: &Manifest) -> Result<(), VaultError> {
        let generation = manifest.generation;
        if Digest::of(&self.vault_age) != manifest.vault_sha256 {
            return Err(VaultError::Digest {
                file: "vault.age".to_owned(),
                custodian: None,
                generation,
            });
        }
        for listed in &manifest.shares {
            let intact = self
                .share(&listed.custodian)
                .is_some_and(|f| Digest::of(f) == listed.file_sha256);
            if !intact {
                return Err(VaultError::Digest {
                    file: share_path(&listed.custodian),
                    custodian: Some(listed.custodian.clone()),
                    generation,
                });
            }
        }
        // A second file under a name that is listed would ride along unseen: by name, the first one is found.
        let again =
            |n: usize, name: &str| self.shares[..n].iter().any(|(before, _)| before == name);
        match self
            .shares
            .iter()
            .enumerate()
            .find(|(n, (name, _))| manifest.share(name).is_none() || again(*n, name))
        {
            Some((_, (name, _))) => Err(VaultError::Digest {
                file: share_path(name),
                custodian: Some(name.clone()),
                generation,
            }),
            None => Ok(()),
        }
    }

    /// The share file of one custodian.
    pub fn share(&self, custodian: &str) -> Option<&[u8]> {
        self.shares
            .iter()
            .find(|(name, _)| name == custodian)
            .map(|(_, file)| file.as_slice())
    }
}

/// Path of a custodian's share inside a generation's folder.
pub(super) fn share_path(custodian: &str) -> String {
    format!("shares/{custodian}.age")
}

fn seal_vault(input: &SealInput<'_>, own: &VaultIdentity) -> Result<Vec<u8>, VaultError> {
    let own = own.age()?.to_public();
    let recovery = match &input.roster.recovery {
        Some(is) => Some(identity::recipient(
            "the recovery recipient",
            &is.recipient,
        )?),
        None => None,
    };
    let mut recipients: Vec<&dyn age::Recipient> = vec![&own];
    recipients.extend(recovery.as_ref().map(|r| r as &dyn age::Recipient));
    age_file::encrypt("vault.age", &recipients, &input.credential.to_json())
}

/// One share a custodian, in the roster's order.
fn split_identity(
    roster: &Roster,
    own: &VaultIdentity,
    rng: &mut impl CryptoRngCore,
) -> Result<Vec<Mnemonic>, VaultError> {
    let (scheme, places) = quorum::scheme(roster);
    let groups = split(&own.to_secret()?, b"", &scheme, rng)?;
    places
        .into_iter()
        .map(|(group, member)| {
            let share = groups.get(group).and_then(|g| g.get(member));
            let share = share.ok_or_else(|| VaultError::SelfCheck {
                why: "a custodian has no share".to_owned(),
            })?;
            // Those who hold one share together each get their own copy of it.
            Ok(Mnemonic::parse(share.expose())?)
        })
        .collect()
}

/// One file a custodian, readable by each of that person's tokens.
fn seal_shares(
    roster: &Roster,
    mnemonics: &[Mnemonic],
) -> Result<Vec<(String, Vec<u8>)>, VaultError> {
    let mut shares = Vec::with_capacity(mnemonics.len());
    for (person, mnemonic) in roster.custodians().zip(mnemonics) {
        let keys: Vec<p256::PublicKey> = roster
            .tokens_of(&person.name)
            .filter_map(|token| token.unseal.key.p256())
            .collect();
        let recipients: Vec<piv_p256::Recipient> =
            keys.iter().copied().map(piv_p256::Recipient::new).collect();
        let recipients: Vec<&dyn age::Recipient> = recipients
            .iter()
            .map(|r| r as &dyn age::Recipient)
            .collect();
        let file = age_file::encrypt(
            &share_path(&person.name),
            &recipients,
            mnemonic.expose().as_bytes(),
        )?;
        // The tokens are not here, so this is as far as the check can go: the file reads, and each of them is named in it.
        let sealed = SealedShare::parse(&file)?;
        for key in &keys {
            sealed.peer_point_for(key)?;
        }
        shares.push((person.name.clone(), file));
    }
    Ok(shares)
}

/// Opens what was sealed: every share takes part in at least one quorum.
fn recombine(
    input: &SealInput<'_>,
    own: &VaultIdentity,
    mnemonics: &[Mnemonic],
    vault_age: &[u8],
) -> Result<(), VaultError> {
    let failed = |why: &str| VaultError::SelfCheck {
        why: why.to_owned(),
    };
    let mut reread = Vec::with_capacity(mnemonics.len());
    for mnemonic in mnemonics {
        reread.push(
            Mnemonic::parse(mnemonic.expose()).map_err(|_| failed("a share does not read back"))?,
        );
    }
    let mut last: Option<Secret> = None;
    for quorum in quorum::quorums(input.roster, &reread)
        .ok_or_else(|| failed("there are fewer shares than the threshold"))?
    {
        let typed = quorum.iter().map(|share| Mnemonic::parse(share.expose()));
        let typed = typed.collect::<Result<Vec<_>, _>>()?;
        let secret = combine(&typed, b"").map_err(|_| failed("the shares do not combine"))?;
        if !bool::from(secret.expose().ct_eq(own.expose())) {
            return Err(failed("the shares combine to another identity"));
        }
        last = Some(secret);
    }
    let secret = last.ok_or_else(|| failed("there are fewer shares than the threshold"))?;
    let opened = age_file::decrypt(
        "vault.age",
        vault_age,
        &VaultIdentity::from_secret(&secret)?.age()?,
    )
    .map_err(|_| failed("vault.age does not open"))?;
    if bool::from(opened.ct_eq(&input.credential.to_json())) {
        Ok(())
    } else {
        Err(failed("vault.age holds something else"))
    }
}

#[cfg(test)]
mod tests;
