//! What this machine has seen, so that nothing older is believed again.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    Digest, Head, Timestamp, TrustError, Verified, file::write_atomic, manifest::Manifest,
    roster::Roster,
};

/// The newest versions met so far, one entry a vault; kept in `seen.json` (mode 0600).
#[derive(Debug)]
pub struct Seen {
    path: PathBuf,
    vaults: BTreeMap<String, Entry>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    roster: Mark,
    manifest: Option<Mark>,
    audit: Option<HeadAt>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    epochs: Vec<Head>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeadAt {
    head: Head,
    at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mark {
    number: u64,
    sha256: Digest,
}

impl Seen {
    /// Reads the file; a missing file is an empty memory, a broken one an error.
    pub fn open(path: &Path) -> Result<Self, TrustError> {
        let vaults = match fs::read(path) {
            Ok(json) => serde_json::from_slice(&json)
                .map_err(|why| TrustError::malformed("memory of what was seen", why))?,
            Err(why) if why.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(why) => return Err(TrustError::io(path, why)),
        };
        Ok(Self {
            path: path.to_owned(),
            vaults,
        })
    }

    /// The digest of the newest roster seen for a vault.
    pub fn roster(&self, vault: &str) -> Option<Digest> {
        self.vaults.get(vault).map(|e| e.roster.sha256)
    }

    /// The newest generation seen for a vault.
    pub fn generation(&self, vault: &str) -> Option<u64> {
        self.vaults.get(vault)?.manifest.map(|m| m.number)
    }

    /// The newest head of the record seen for a vault, and the time of the document that carries it.
    pub fn head(&self, vault: &str) -> Option<(Head, Timestamp)> {
        let seen = self.vaults.get(vault)?.audit?;
        Some((seen.head, seen.at))
    }

    /// The epochs of the record met so far: the head at the event that begins each.
    pub fn epochs(&self, vault: &str) -> &[Head] {
        self.vaults.get(vault).map_or(&[], |e| &e.epochs)
    }

    /// Remembers epochs, so that none of them explains the loss of a head that is seen from now on.
    pub fn met_epochs(&mut self, vault: &str, met: &[Head]) -> Result<(), TrustError> {
        let Some(entry) = self.vaults.get_mut(vault) else {
            return Ok(());
        };
        let before = entry.epochs.len();
        for epoch in met {
            if !entry.epochs.contains(epoch) {
                entry.epochs.push(*epoch);
            }
        }
        match entry.epochs.len() == before {
            true => Ok(()),
            false => self.save(),
        }
    }

    /// Pins a vault to a roster that was checked by other means (installation, an own token's signature).
    pub fn pin(&mut self, roster: &Verified<Roster>) -> Result<(), TrustError> {
        let mark = Mark {
            number: roster.version,
            sha256: roster.digest(),
        };
        self.vaults
            .entry(roster.vault.clone())
            .and_modify(|e| e.roster = mark)
            .or_insert(Entry {
                roster: mark,
                manifest: None,
                audit: None,
                epochs: Vec::new(),
            });
        self.save()
    }

    /// Accepts a verified chain if it contains the pinned version, and remembers its newest. Returns that newest version.
    pub fn accept_chain(
        &mut self,
        chain: Vec<Verified<Roster>>,
    ) -> Result<Verified<Roster>, TrustError> {
        let newest = chain
            .last()
            .ok_or_else(|| TrustError::malformed("roster", "the chain is empty"))?;
        let vault = newest.vault.clone();
        let entry = self
            .vaults
            .get_mut(&vault)
            .ok_or_else(|| TrustError::mismatch("roster", "this machine is not pinned to it"))?;
        if newest.version < entry.roster.number {
            return Err(TrustError::Rollback {
                what: "roster version",
                presented: newest.version,
                seen: entry.roster.number,
            });
        }
        if !chain.iter().any(|r| r.digest() == entry.roster.sha256) {
            return Err(TrustError::mismatch(
                "roster",
                "it does not contain the version that this machine has seen",
            ));
        }
        let mark = Mark {
            number: newest.version,
            sha256: newest.digest(),
        };
        if entry.roster != mark {
            entry.roster = mark;
            self.save()?;
        }
        chain
            .into_iter()
            .last()
            .ok_or_else(|| TrustError::malformed("roster", "the chain is empty"))
    }

    /// Accepts a manifest unless a newer, or another of the same number, was seen; remembers it.
    pub fn accept_manifest(&mut self, manifest: &Verified<Manifest>) -> Result<(), TrustError> {
        let entry = self.entry(&manifest.vault, "manifest")?;
        let mark = Mark {
            number: manifest.generation,
            sha256: manifest.digest(),
        };
        match entry.manifest {
            Some(seen) if mark.number < seen.number => Err(TrustError::Rollback {
                what: "generation",
                presented: mark.number,
                seen: seen.number,
            }),
            Some(seen) if mark.number == seen.number && mark != seen => Err(TrustError::mismatch(
                "manifest",
                "another manifest of the same generation was seen before",
            )),
            Some(seen) if mark == seen => Ok(()),
            _ => {
                entry.manifest = Some(mark);
                self.save()
            }
        }
    }

    /// Accepts the head of the record that a document of time `at` carries, and remembers it.
    ///
    /// Refused: a later document with a lower head (the record was cut), and another hash under the same number (it was
    /// rewritten). An earlier document, such as a request that waited longer, may carry a lower head.
    pub fn accept_head(
        &mut self,
        vault: &str,
        head: Head,
        at: Timestamp,
    ) -> Result<(), TrustError> {
        let entry = self.entry(vault, "record")?;
        match entry.audit {
            Some(seen) if head.seq < seen.head.seq && at > seen.at => Err(TrustError::Rollback {
                what: "audit head",
                presented: head.seq,
                seen: seen.head.seq,
            }),
            Some(seen) if head.seq == seen.head.seq && head != seen.head => {
                Err(TrustError::mismatch(
                    "record",
                    "another event with the same number was seen before",
                ))
            }
            Some(seen) if head.seq <= seen.head.seq => Ok(()),
            _ => {
                entry.audit = Some(HeadAt { head, at });
                self.save()
            }
        }
    }

    /// Forgets a head for an earlier one: a signed epoch says that what was seen was lost. The caller has checked it.
    pub fn put_back_head(
        &mut self,
        vault: &str,
        head: Head,
        at: Timestamp,
    ) -> Result<(), TrustError> {
        let entry = self.entry(vault, "record")?;
        entry.audit = Some(HeadAt { head, at });
        self.save()
    }

    /// What was seen of a vault, for a document of this kind to be held against.
    fn entry(&mut self, vault: &str, what: &'static str) -> Result<&mut Entry, TrustError> {
        let entry = self.vaults.get_mut(vault);
        entry.ok_or_else(|| TrustError::mismatch(what, "this machine is not pinned to its vault"))
    }

    fn save(&self) -> Result<(), TrustError> {
        let json = serde_json::to_vec_pretty(&self.vaults)
            .map_err(|why| TrustError::malformed("memory of what was seen", why))?;
        write_atomic(&self.path, &json, 0o600).map_err(|why| TrustError::io(&self.path, why))
    }
}
