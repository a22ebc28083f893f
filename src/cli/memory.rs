//! What this person has seen (`seen.json`), and believing a roster chain because of it.

use std::{
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use crate::{
    protocol::{Code, Problem},
    trust::{
        Digest, Envelope, Head, PublicKey, Timestamp, Verified,
        roster::{self, Roster},
        seen::Seen,
    },
};

use super::{files, ui::Ui};

/// Where a chain comes from that this person meets for the first time.
pub(super) enum FirstMeeting<'k> {
    /// An operator or officer: believed, and said so.
    SaySo,
    /// A custodian: believed if this token's key has signed it.
    SignedBy(&'k PublicKey),
}

/// The newest rosters, generations and heads that this person has met.
pub(super) struct Memory {
    seen: Seen,
}

impl Memory {
    /// Opens the file, making its folder (0700) where there is none.
    pub(super) fn open() -> Result<Self, Problem> {
        let folder = folder()?;
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(|why| files::unwritable(&folder, &why))?;
        Self::open_in(&folder)
    }

    /// Opens the file in a folder that exists.
    pub(super) fn open_in(folder: &Path) -> Result<Self, Problem> {
        check_private(folder)?;
        Ok(Self {
            seen: Seen::open(&folder.join("seen.json"))?,
        })
    }

    /// Whether this vault was met before.
    pub(super) fn knows(&self, vault: &str) -> bool {
        self.seen.roster(vault).is_some()
    }

    /// The digest of the newest roster that was met.
    pub(super) fn digest(&self, vault: &str) -> Option<Digest> {
        self.seen.roster(vault)
    }

    /// The newest head of the record that was met, and of what time the document was that carries it.
    pub(super) fn head(&self, vault: &str) -> Option<(Head, Timestamp)> {
        self.seen.head(vault)
    }

    /// Checks a chain for `vault` and answers its newest roster: every version signed as it must be, nothing rolled back.
    pub(super) fn roster(
        &mut self,
        vault: &str,
        chain: &[Envelope],
        first: &FirstMeeting<'_>,
        ui: &Ui,
    ) -> Result<Verified<Roster>, Problem> {
        let versions = roster::verify_chain(chain)?;
        // Chains do not change their vault, so the first tells for all.
        if versions.first().is_none_or(|r| r.vault != vault) {
            return Err(
                Problem::new(Code::Tampering, "the roster is for another vault")
                    .hint("do not go on; tell the security officer"),
            );
        }
        if !self.knows(vault) {
            let pin = match first {
                FirstMeeting::SaySo => {
                    let newest = versions.last();
                    if let Some(newest) = newest {
                        ui.note(format!(
                            "first meeting with vault {vault}: roster version {} with digest {} is believed from now on; compare it with a custodian's 'twotap roster show {vault}'",
                            newest.version,
                            newest.digest()
                        ));
                    }
                    newest
                }
                FirstMeeting::SignedBy(key) => Some(
                    versions
                        .iter()
                        .rev()
                        .find(|r| !r.envelope().signers(std::slice::from_ref(*key)).is_empty())
                        .ok_or_else(not_signed_by_you)?,
                ),
            };
            if let Some(pin) = pin {
                self.seen.pin(pin)?;
            }
        }
        Ok(self.seen.accept_chain(versions)?)
    }

    /// The memory itself, for manifests and heads.
    pub(super) fn seen(&mut self) -> &mut Seen {
        &mut self.seen
    }
}

/// The folder of the own state: `$XDG_STATE_HOME/twotap`, else `~/.local/state/twotap` (XDG base directory specification).
pub(super) fn folder() -> Result<PathBuf, Problem> {
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
        .map(|state| state.join("twotap"))
        .ok_or_else(|| {
            Problem::new(
                Code::Internal,
                "there is no place for the own state: neither HOME nor XDG_STATE_HOME is set",
            )
            .hint("set HOME to your home folder")
        })
}

/// The memory must be this person's alone: who can write it can roll it back.
pub(super) fn check_private(folder: &Path) -> Result<(), Problem> {
    let me = rustix::process::getuid().as_raw();
    for path in [folder.to_owned(), folder.join("seen.json")] {
        let meta = match std::fs::symlink_metadata(&path) {
            Ok(meta) => meta,
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => continue,
            Err(why) => return Err(files::unreadable(&path, &why)),
        };
        if meta.uid() != me || meta.mode() & 0o022 != 0 || meta.is_symlink() {
            return Err(Problem::new(
                Code::Refused,
                format!("{} can be changed by others", files::shown(&path)),
            )
            .hint("it keeps you from being shown old documents: make it yours alone, mode 0700 and 0600"));
        }
    }
    Ok(())
}

fn not_signed_by_you() -> Problem {
    Problem::new(
        Code::Tampering,
        "this token has never signed the roster that the agent shows",
    )
    .hint("do not go on; compare the roster's words with the other custodians on a call")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::Signer as _;
    use crate::trust::tests::people::{self, SoftToken};
    use std::os::unix::fs::PermissionsExt as _;

    fn memory() -> (tempfile::TempDir, Memory) {
        let dir = tempfile::tempdir().expect("a folder");
        let memory = Memory::open_in(dir.path()).expect("empty");
        (dir, memory)
    }

    fn chain(custodians: &[&SoftToken]) -> Vec<Envelope> {
        vec![people::signed(&people::roster(2, custodians), custodians)]
    }

    #[test]
    fn a_custodian_believes_a_roster_that_the_own_token_signed_and_no_other() {
        let [alice, bob, carol] = ["alice", "bob", "carol"].map(SoftToken::new);
        let ui = Ui::new(false);
        let (_dir, mut memory) = memory();
        let chain = chain(&[&alice, &bob]);
        let stranger = FirstMeeting::SignedBy(&carol.public());
        let Err(problem) = memory.roster("prod", &chain, &stranger, &ui) else {
            panic!("carol has not signed it");
        };
        assert_eq!(problem.code, Code::Tampering);
        assert!(!memory.knows("prod"));
        let own = FirstMeeting::SignedBy(&alice.public());
        assert!(memory.roster("prod", &chain, &own, &ui).is_ok());
        assert!(memory.knows("prod"));
    }

    #[test]
    fn after_the_first_meeting_another_roster_is_refused() {
        let [alice, bob, carol] = ["alice", "bob", "carol"].map(SoftToken::new);
        let ui = Ui::new(false);
        let (dir, mut memory) = memory();
        let first = chain(&[&alice, &bob]);
        assert!(
            memory
                .roster("prod", &first, &FirstMeeting::SaySo, &ui)
                .is_ok()
        );
        // Read again from the file: what was seen outlives the process.
        let mut memory = Memory::open_in(dir.path()).expect("readable");
        let other = chain(&[&alice, &carol]);
        for first in [FirstMeeting::SaySo, FirstMeeting::SignedBy(&alice.public())] {
            let problem = memory.roster("prod", &other, &first, &ui).err();
            assert_eq!(problem.map(|p| p.code), Some(Code::Tampering));
        }
        let problem = memory
            .roster("test", &first, &FirstMeeting::SaySo, &ui)
            .err();
        assert_eq!(problem.map(|p| p.code), Some(Code::Tampering));
        let unsigned = vec![people::signed(
            &people::roster(2, &[&alice, &bob]),
            &[&alice],
        )];
        let problem = memory
            .roster("prod", &unsigned, &FirstMeeting::SaySo, &ui)
            .err();
        assert_eq!(problem.map(|p| p.code), Some(Code::Tampering));
    }

    #[test]
    fn a_memory_that_others_can_change_is_not_used() {
        let (dir, memory) = memory();
        drop(memory);
        let file = dir.path().join("seen.json");
        std::fs::write(&file, "{}").expect("written");
        for (path, mode) in [(file.as_path(), 0o666), (dir.path(), 0o770)] {
            let before = std::fs::metadata(path).expect("there").permissions();
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("set");
            let problem = Memory::open_in(dir.path()).err();
            assert_eq!(problem.map(|p| p.code), Some(Code::Refused), "{mode:o}");
            std::fs::set_permissions(path, before).expect("set back");
        }
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("set");
        assert!(Memory::open_in(dir.path()).is_ok());
        std::fs::write(&file, "{").expect("written");
        assert!(Memory::open_in(dir.path()).is_err());
    }
}
