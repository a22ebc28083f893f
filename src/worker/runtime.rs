//! What is kept of open sessions: one file a request, on a tmpfs, gone at closing.
//!
//! The stewards' sessions (which can close), one an account, and the operator's, one a role (whose refusal closing observes, and which a
//! restarted agent can ask for). After a reboot they are gone, and the record says so.

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
        job::{NOT_KEPT, Session, TargetSession},
    },
    trust::{
        Envelope, Timestamp,
        file::{remove, write_atomic},
        receipt::TargetNotOpened,
        request::is_request_id,
        roster::Target,
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
    /// The request's id.
    pub(super) request: String,
    /// The signed request; absent where only the journal was left of it, and a later ceremony has made stewards to close it.
    pub(super) offer: Option<Envelope>,
    /// Name of the revocation policy.
    pub(super) revocation: String,
    /// When access ends.
    pub(super) not_after: Timestamp,
    /// When the last of the operator's credentials ends by itself.
    pub(super) identity_until: Timestamp,
    /// Its roles, in the request's order.
    pub(super) targets: Vec<Target>,
    /// The roles that could not be opened.
    pub(super) not_opened: Vec<TargetNotOpened>,
    sessions: Vec<KeptSession>,
}

/// One session, with whose it is.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeptSession {
    whose: Whose,
    /// ARN of the role that was assumed.
    role: String,
    access_key_id: String,
    secret_access_key: Zeroizing<String>,
    session_token: Zeroizing<String>,
}

/// What a kept session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Whose {
    /// It closes.
    Steward,
    /// It is what the operator has.
    Operator,
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

    /// Keeps what there is: the steward's session before the operator's is minted.
    pub(super) fn keep(&self, kept: &Kept) -> Result<(), Problem> {
        let json = Zeroizing::new(
            serde_json::to_vec(kept).map_err(|why| Problem::new(Code::Internal, why))?,
        );
        write_atomic(&self.path(&kept.request)?, &json, 0o600).map_err(|why| {
            Problem::new(Code::Internal, format!("the session cannot be kept: {why}"))
        })
    }

    /// Whether anything is kept of a request.
    pub(super) fn has(&self, request: &str) -> bool {
        self.path(request).is_ok_and(|path| path.exists())
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

    /// The requests of which something is kept.
    pub(super) fn requests(&self) -> Vec<String> {
        let names = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        names
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter_map(|name| name.strip_suffix(".json").map(str::to_owned))
            .filter(|id| is_request_id(id))
            .collect()
    }

    pub(super) fn path(&self, request: &str) -> Result<PathBuf, Problem> {
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
    /// What is kept of a request before it has any session.
    pub(super) fn new(
        request: &str,
        offer: Option<Envelope>,
        revocation: String,
        not_after: Timestamp,
        targets: Vec<Target>,
    ) -> Self {
        Self {
            request: request.to_owned(),
            offer,
            revocation,
            not_after,
            identity_until: not_after,
            targets,
            not_opened: Vec::new(),
            sessions: Vec::new(),
        }
    }

    /// Adds a session in this role.
    pub(super) fn add(&mut self, whose: Whose, role: &str, minted: &Minted) {
        if whose == Whose::Operator {
            let end = Timestamp::from(minted.expires_at);
            self.identity_until = self.identity_until.max(end);
        }
        let c = &minted.credentials;
        self.sessions.push(KeptSession {
            whose,
            role: role.to_owned(),
            access_key_id: c.access_key_id().to_owned(),
            secret_access_key: Zeroizing::new(c.secret_access_key().to_owned()),
            session_token: Zeroizing::new(c.session_token().unwrap_or_default().to_owned()),
        });
    }

    /// Notes that a role could not be opened.
    pub(super) fn not_opened(&mut self, target: &Target, why: String) {
        self.not_opened.push(TargetNotOpened {
            account: target.account.clone(),
            role: target.role_arn.clone(),
            why,
        });
    }

    /// The credentials of a role's session, if it was minted.
    pub(super) fn credentials(&self, whose: Whose, role: &str) -> Option<Credentials> {
        self.find(whose, role).map(KeptSession::credentials)
    }

    /// Whether the operator has any session.
    pub(super) fn is_open(&self) -> bool {
        self.sessions.iter().any(|s| s.whose == Whose::Operator)
    }

    /// The operator's sessions as the agent hands them on.
    pub(super) fn session(&self) -> Result<Session, Problem> {
        if !self.is_open() {
            return Err(Problem::new(
                Code::Refused,
                "the operator's session was never minted",
            ));
        }
        let of = |target: &Target| {
            let session = self.find(Whose::Operator, &target.role_arn)?;
            Some(TargetSession {
                account: target.account.clone(),
                role: target.role_arn.clone(),
                access_key_id: session.access_key_id.clone(),
                secret_access_key: session.secret_access_key.clone(),
                session_token: session.session_token.clone(),
            })
        };
        Ok(Session {
            request: self.request.clone(),
            not_after: self.not_after,
            targets: self.targets.iter().filter_map(of).collect(),
        })
    }

    fn find(&self, whose: Whose, role: &str) -> Option<&KeptSession> {
        self.sessions
            .iter()
            .find(|s| s.whose == whose && s.role == role)
    }
}

impl KeptSession {
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
