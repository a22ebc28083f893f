//! Sessions while they are open: one file a request, on a tmpfs, gone at closing.
//!
//! The steward's session (which can close) and the operator's (whose refusal closing observes, and which a restarted agent can ask
//! for). After a reboot they are gone, and the record says so.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::home::make_folder;
use crate::{
    aws::{Credentials, Minted},
    protocol::{
        Code, Problem,
        job::{NOT_KEPT, Session},
    },
    trust::{
        Envelope, Timestamp,
        file::{remove, write_atomic},
        request::is_request_id,
    },
};

/// The folder of open sessions.
pub(super) struct Runtime {
    folder: PathBuf,
}

/// What is kept of one request while its session is open.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kept {
    /// The signed request.
    pub(super) offer: Envelope,
    /// Name of the revocation policy.
    pub(super) revocation: String,
    /// When access ends.
    pub(super) not_after: Timestamp,
    steward: Secrets,
    operator: Option<Secrets>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Secrets {
    access_key_id: String,
    secret_access_key: Zeroizing<String>,
    session_token: Zeroizing<String>,
}

/// `TMPFS_MAGIC` and `RAMFS_MAGIC` of Linux's `statfs(2)`.
const IN_MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58f6];

impl Runtime {
    /// Opens the folder; refused where it would be written to a disk.
    pub(super) fn open(folder: &Path) -> Result<Self, Problem> {
        make_folder(folder)?;
        let kind = rustix::fs::statfs(folder)
            .map_err(|why| Problem::new(Code::Internal, format!("{}: {why}", folder.display())))?
            .f_type;
        if !IN_MEMORY.contains(&(kind as u64)) {
            return Err(Problem::new(
                Code::Usage,
                format!(
                    "{} is not on a tmpfs: sessions would be written to a disk",
                    folder.display()
                ),
            )
            .hint("set 'runtime' in worker.toml to a folder under /run or /dev/shm"));
        }
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    /// Keeps the steward's session, before the operator's is minted.
    pub(super) fn keep(&self, request: &str, kept: &Kept) -> Result<(), Problem> {
        let json = Zeroizing::new(
            serde_json::to_vec(kept).map_err(|why| Problem::new(Code::Internal, why))?,
        );
        write_atomic(&self.path(request)?, &json, 0o600).map_err(|why| {
            Problem::new(Code::Internal, format!("the session cannot be kept: {why}"))
        })
    }

    /// What is kept of a request.
    pub(super) fn read(&self, request: &str) -> Result<Kept, Problem> {
        let json = match fs::read(self.path(request)?) {
            Ok(json) => Zeroizing::new(json),
            Err(why) if why.kind() == io::ErrorKind::NotFound => {
                return Err(not_kept());
            }
            Err(why) => return Err(Problem::new(Code::Internal, why)),
        };
        serde_json::from_slice(&json)
            .map_err(|_| Problem::new(Code::Internal, "what is kept of the session cannot be read"))
    }

    /// The right to close a request's session, for as long as the file is held; `None` while another worker has it.
    pub(super) fn claim(&self, request: &str) -> Result<Option<fs::File>, Problem> {
        let file = match fs::File::open(self.path(request)?) {
            Ok(file) => file,
            Err(why) if why.kind() == io::ErrorKind::NotFound => return Err(not_kept()),
            Err(why) => return Err(Problem::new(Code::Internal, why)),
        };
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(why)) => Err(Problem::new(Code::Internal, why)),
        }
    }

    /// Forgets a request's sessions.
    pub(super) fn forget(&self, request: &str) -> Result<(), Problem> {
        match remove(&self.path(request)?) {
            Err(why) if why.kind() != io::ErrorKind::NotFound => Err(Problem::new(
                Code::Internal,
                format!("the session cannot be removed: {why}"),
            )),
            _ => Ok(()),
        }
    }

    fn path(&self, request: &str) -> Result<PathBuf, Problem> {
        if !is_request_id(request) {
            return Err(Problem::new(Code::Usage, "that is not a request's id"));
        }
        Ok(self.folder.join(format!("{request}.json")))
    }
}

fn not_kept() -> Problem {
    Problem::new(Code::Refused, NOT_KEPT)
        .hint("it was closed, or the host was rebooted; it ends with its time box")
}

impl Kept {
    /// What to keep once the steward's session is there.
    pub(super) fn new(
        offer: Envelope,
        revocation: String,
        not_after: Timestamp,
        steward: &Minted,
    ) -> Self {
        Self {
            offer,
            revocation,
            not_after,
            steward: Secrets::of(steward),
            operator: None,
        }
    }

    /// Adds the operator's session.
    pub(super) fn with_operator(mut self, minted: &Minted) -> Self {
        self.operator = Some(Secrets::of(minted));
        self
    }

    /// The steward's credentials.
    pub(super) fn steward(&self) -> Credentials {
        self.steward.credentials()
    }

    /// The operator's credentials, if they were minted.
    pub(super) fn operator(&self) -> Option<Credentials> {
        self.operator.as_ref().map(Secrets::credentials)
    }

    /// The operator's session as the agent hands it on.
    pub(super) fn session(self) -> Result<Session, Problem> {
        let request = self
            .offer
            .unverified::<crate::trust::request::Offer>()?
            .0
            .id;
        let secrets = self.operator.ok_or_else(|| {
            Problem::new(Code::Refused, "the operator's session was never minted")
        })?;
        Ok(Session {
            request,
            access_key_id: secrets.access_key_id,
            secret_access_key: secrets.secret_access_key,
            session_token: secrets.session_token,
            not_after: self.not_after,
        })
    }
}

impl Secrets {
    fn of(minted: &Minted) -> Self {
        let c = &minted.credentials;
        Self {
            access_key_id: c.access_key_id().to_owned(),
            secret_access_key: Zeroizing::new(c.secret_access_key().to_owned()),
            session_token: Zeroizing::new(c.session_token().unwrap_or_default().to_owned()),
        }
    }

    fn credentials(&self) -> Credentials {
        Credentials::new(
            self.access_key_id.clone(),
            self.secret_access_key.as_str(),
            Some(self.session_token.to_string()),
            None,
            "twotap",
        )
    }
}
