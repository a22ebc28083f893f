//! The worker's own state on disk, checked as it is read.

use std::{
    fs::{File, OpenOptions, TryLockError},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use super::{
    config::Config,
    host_key::HostKey,
    journal::Journal,
    problems::{Explain as _, of_own_file},
    runtime::Runtime,
    slot::Slot,
};
use crate::{
    protocol::{
        Code, Problem,
        job::{HostFacts, Isolation, Sealed, ShareFile, Step, VaultFacts},
    },
    trust::{
        Bytes, Digest, Envelope, KeyId, Signer, Verified,
        manifest::Manifest,
        power,
        roster::{By, LastSealed, Roster, verify_chain, verify_next},
        seen::Seen,
        standing::judge_change,
        text::check_name,
    },
    vault::{Generation, Generations, store::Writer},
};

/// The worker's folder: host key, pins, vaults.
pub(super) struct Home {
    state: PathBuf,
    key: HostKey,
    runtime: Runtime,
}

/// A vault as it stands on this host: everything verified against the pin.
pub(super) struct Vault {
    pub(super) name: String,
    pub(super) chain: Vec<Envelope>,
    pub(super) roster: Verified<Roster>,
    pub(super) current: Option<Current>,
    host: KeyId,
}

/// The generation that counts.
pub(super) struct Current {
    pub(super) manifest: Verified<Manifest>,
    pub(super) files: Generation,
}

impl Current {
    /// Each custodian's share, as sealed.
    pub(super) fn share_files(&self) -> Vec<ShareFile> {
        let file = |(custodian, age): &(String, Vec<u8>)| ShareFile {
            custodian: custodian.clone(),
            age: Bytes(age.clone()),
        };
        self.files.shares.iter().map(file).collect()
    }
}

impl Home {
    /// Opens the state folder; makes the host key at the first start.
    pub(super) fn open(config: &Config) -> Result<Self, Problem> {
        make_folder(&config.state)?;
        Ok(Self {
            key: HostKey::open(&config.state.join("host.key"))?,
            runtime: Runtime::open(&config.runtime)?,
            state: config.state.clone(),
        })
    }

    /// The host key.
    pub(super) fn key(&self) -> &HostKey {
        &self.key
    }

    /// Its id.
    pub(super) fn key_id(&self) -> KeyId {
        self.key.public().id()
    }

    /// Sessions kept while they are open.
    pub(super) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// This host, for the agent.
    pub(super) fn host_facts(&self, isolation: Isolation) -> HostFacts {
        HostFacts {
            key: self.key.public(),
            isolation,
        }
    }

    /// The memory of what was seen.
    pub(super) fn seen(&self) -> Result<Seen, Problem> {
        Seen::open(&self.state.join("seen.json"))
            .map_err(|why| of_own_file("seen.json", why.into()))
    }

    /// A place among the offers that may wait at once, given back when it is dropped.
    ///
    /// The agent has a limit of its own; this one is the worker's, because whoever could have offers made without bound could look for two
    /// that share their verification words.
    pub(super) fn offer_slot(&self) -> Result<Slot, Problem> {
        Slot::take(&self.state.join("offers"))
    }

    /// A vault's generations and rosters on disk.
    pub(super) fn generations(&self, vault: &str) -> Result<Generations, Problem> {
        Generations::open(&self.folder(vault)?).explain()
    }

    /// Whether this host was ever told of a vault.
    pub(super) fn has(&self, vault: &str) -> Result<bool, Problem> {
        Ok(self.folder(vault)?.is_dir())
    }

    /// The lock of the one worker of this host that has its turn at a vault; `None` where another has it. It is let go when the
    /// file is dropped, or its process ends.
    pub(super) fn alone(&self, vault: &str) -> Result<Option<File>, Problem> {
        try_hold(&self.folder(vault)?.join("turn"))
    }

    /// A vault's journal.
    pub(super) fn journal(&self, vault: &str) -> Result<Journal, Problem> {
        let folder = self.folder(vault)?;
        if !folder.is_dir() {
            return Err(unknown(vault));
        }
        Ok(Journal::at(&folder.join("journal")))
    }

    /// Forgets the sessions of requests whose end stands in the journal: whoever closed them died before it could, and nobody asks to close
    /// them again.
    pub(super) fn forget_closed(&self, vault: &str) -> Result<(), Problem> {
        let kept = self.runtime.requests();
        if kept.is_empty() {
            return Ok(());
        }
        let journal = self.journal(vault)?.since(0)?;
        let over = |id: &String| {
            let of_it = journal.iter().filter(|e| e.request.as_ref() == Some(id));
            of_it
                .into_iter()
                .any(|e| matches!(e.step, Step::Revoked { .. } | Step::Expired { .. }))
        };
        for id in kept.iter().filter(|id| over(id)) {
            // Whoever is at it this moment forgets by itself.
            if let Ok(Some(_alone)) = self.runtime.claim(id) {
                self.runtime.forget(id)?;
            }
        }
        Ok(())
    }

    /// Reads a vault and checks it: chain of rosters against the pin, this host listed, manifest, digests, nothing older than seen.
    pub(super) fn vault(&self, name: &str) -> Result<Vault, Problem> {
        if !self.folder(name)?.is_dir() {
            return Err(unknown(name));
        }
        let store = self.generations(name)?;
        let mut seen = self.seen()?;
        let rosters = |why| of_own_file("rosters", why);
        let mut chain = store.rosters().map_err(rosters)?;
        let mut versions = verify_chain(&chain).map_err(|why| rosters(why.into()))?;
        let number = store.current().map_err(|why| of_own_file("current", why))?;
        if let Some(n) = number
            && let Ok(manifest) = store.manifest(n)
        {
            // The version that the generation was sealed under is the one that counts. One after it was written by a ceremony that never
            // came to its commit.
            let sealed_under: Manifest = manifest.unverified()?;
            if let Some(at) = versions
                .iter()
                .position(|r| r.digest() == sealed_under.roster_sha256)
                && at + 2 == versions.len()
            {
                versions.truncate(at + 1);
                chain.truncate(at + 1);
            }
        }
        let roster = seen.accept_chain(versions)?;
        if roster.vault != name {
            return Err(Problem::new(
                Code::Tampering,
                format!("the roster is not for vault {name}"),
            ));
        }
        if roster.host(self.key_id()).is_none() {
            return Err(
                Problem::new(Code::Refused, "this host's key is not in the roster")
                    .hint("the custodians have to sign a roster that lists it"),
            );
        }
        let current = match number {
            None if seen.generation(name).is_some() => {
                return Err(
                    Problem::new(Code::Tampering, "the sealed generation is gone")
                        .hint("restore it from a copy; do not seal again before you know why"),
                );
            }
            None => None,
            Some(n) => {
                let name = format!("generations/{n}/manifest.dsse.json");
                let changed = |why| of_own_file(&name, why);
                // The signature first: in a manifest that was changed the digests are not worth comparing.
                let envelope = store.manifest(n).map_err(changed)?;
                let manifest =
                    Manifest::verify(&envelope, &roster).map_err(|why| changed(why.into()))?;
                let files = store.files(n, envelope).map_err(changed)?;
                seen.accept_manifest(&manifest)?;
                Some(Current { manifest, files })
            }
        };
        Ok(Vault {
            name: name.to_owned(),
            chain,
            roster,
            current,
            host: self.key_id(),
        })
    }

    fn folder(&self, vault: &str) -> Result<PathBuf, Problem> {
        // The name becomes a folder's: checked before it touches a path.
        check_name("vault name", vault)?;
        Ok(self.state.join("vaults").join(vault))
    }
}

impl Vault {
    /// Public facts, for the agent.
    pub(super) fn facts(&self, isolation: Isolation) -> VaultFacts {
        VaultFacts {
            host: self.host,
            isolation,
            roster_chain: self.chain.clone(),
            manifest: self.current.as_ref().map(|c| c.files.manifest.clone()),
        }
    }

    /// The generation that counts, to be kept elsewhere.
    pub(super) fn to_sealed(&self) -> Result<Sealed, Problem> {
        let current = self.sealed()?;
        Ok(Sealed {
            manifest: current.files.manifest.clone(),
            vault_age: Bytes(current.files.vault_age.clone()),
            shares: current.share_files(),
            roster_chain: self.chain.clone(),
        })
    }

    /// The version after this one, if `envelope` is it: signed by all who must, for this vault, with this host still in it, and for the same
    /// user in AWS while one of its keys is sealed.
    pub(super) fn next_version(&self, envelope: &Envelope) -> Result<Verified<Roster>, Problem> {
        let next = verify_next(&self.roster, envelope)?;
        judge_change(&self.roster, &next)?;
        power::judge_change(&self.roster, &next)?;
        if next.host(self.host).is_none() {
            return Err(Problem::new(
                Code::Refused,
                "that version strikes out this host, which would take it up",
            )
            .hint("hand it in on another host of the roster"));
        }
        if self.current.is_some() && next.aws.user_arn != self.roster.aws.user_arn {
            return Err(Problem::new(
                Code::Refused,
                "that version names another break-glass user, and a key of this one is sealed",
            )
            .hint("another user is another vault: twotap vault create"));
        }
        Ok(next)
    }

    /// Writes the next version, where there is one, beside those that count. It counts from the commit of a generation that is sealed under it.
    pub(super) fn take_up(
        &mut self,
        next: Option<&Verified<Roster>>,
        writer: &Writer,
    ) -> Result<(), Problem> {
        let Some(next) = next else { return Ok(()) };
        let next = verify_next(&self.roster, next.envelope())?;
        writer.put_roster(&next).explain()?;
        self.chain.push(next.envelope().clone());
        self.roster = next;
        Ok(())
    }

    /// The generation that counts, or an error that says what to do.
    pub(super) fn sealed(&self) -> Result<&Current, Problem> {
        self.current.as_ref().ok_or_else(|| {
            Problem::new(
                Code::Refused,
                format!("nothing is sealed in vault {} yet", self.name),
            )
            .hint("an officer seals with: twotap vault seal")
        })
    }

    /// The newest generation that counts here, or that a roster counts on from: one of a host that was lost.
    pub(super) fn newest_known(&self) -> Option<LastSealed> {
        let here = self.current.as_ref().map(|current| LastSealed {
            generation: current.manifest.generation,
            manifest_sha256: current.manifest.digest(),
        });
        let rosters = self.chain.iter().filter_map(|version| {
            // Each was verified when the chain was.
            let By::Recovery { after } = version.unverified::<Roster>().ok()?.by?;
            after
        });
        here.into_iter()
            .chain(rosters)
            .max_by_key(|sealed| sealed.generation)
    }

    /// Digest of the current manifest, for the next one to name.
    pub(super) fn manifest_digest(&self) -> Option<Digest> {
        self.current.as_ref().map(|c| c.manifest.digest())
    }
}

/// Makes a file that stands for something that one process at a time may have, and locks it; `None` where another has it.
pub(super) fn try_hold(path: &Path) -> Result<Option<File>, Problem> {
    let failed =
        |why: std::io::Error| Problem::new(Code::Internal, format!("{}: {why}", path.display()));
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(why)) => Err(failed(why)),
    }
}

/// Makes a folder (0700) where it is missing.
pub(super) fn make_folder(path: &Path) -> Result<(), Problem> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|why| Problem::new(Code::Internal, format!("{}: {why}", path.display())))
}

fn unknown(vault: &str) -> Problem {
    Problem::new(Code::Usage, format!("this host has no vault {vault}"))
        .hint("pin it with: twotap-worker install roster.json")
}
