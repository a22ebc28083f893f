//! What is kept to rotate the named secrets with: one file a request, beside its session, from minting until nothing more can be done.

use std::{collections::BTreeMap, fs, io, path::PathBuf};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{
    aws::Credentials,
    protocol::{Code, Problem},
    trust::{
        Timestamp,
        file::{remove, write_atomic},
        roster::NamedSecret,
    },
};

use super::super::runtime::Runtime;

/// The sessions for a request's secrets, and what is to be done with each.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kept {
    /// When the last of these sessions has ended, at the latest.
    pub(super) until: Timestamp,
    /// The secrets as the roster had them when the session was minted.
    pub(super) secrets: Vec<NamedSecret>,
    /// Stewards by account: they start rotation functions.
    stewards: BTreeMap<String, Session>,
    /// Sessions for one secret alone, by its ARN.
    own: BTreeMap<String, Session>,
    /// Secrets whose own session could not be had, and why.
    missing: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Session {
    access_key_id: String,
    secret_access_key: Zeroizing<String>,
    session_token: Zeroizing<String>,
}

impl Kept {
    /// Nothing but the names.
    pub(super) fn new(secrets: Vec<NamedSecret>, until: Timestamp) -> Self {
        Self {
            until,
            secrets,
            stewards: BTreeMap::new(),
            own: BTreeMap::new(),
            missing: BTreeMap::new(),
        }
    }

    /// What is kept for a request; `None` where it names no secret, or all of them are settled.
    pub(super) fn read(runtime: &Runtime, request: &str) -> Result<Option<Self>, Problem> {
        match fs::read(path(runtime, request)?) {
            Ok(json) => serde_json::from_slice(&Zeroizing::new(json))
                .map(Some)
                .map_err(|_| internal("what is kept for the named secrets cannot be read")),
            Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(why) => Err(internal(why)),
        }
    }

    /// Whether anything is kept for a request's secrets.
    pub(super) fn is_there(runtime: &Runtime, request: &str) -> bool {
        path(runtime, request).is_ok_and(|path| path.exists())
    }

    /// Writes it.
    pub(super) fn keep(&self, runtime: &Runtime, request: &str) -> Result<(), Problem> {
        let json = Zeroizing::new(serde_json::to_vec(self).map_err(internal)?);
        write_atomic(&path(runtime, request)?, &json, 0o600)
            .map_err(|why| internal(format!("the secrets' sessions cannot be kept: {why}")))
    }

    /// Removes it. Who waits for the claim finds nothing kept any more.
    pub(super) fn forget(runtime: &Runtime, request: &str) -> Result<(), Problem> {
        let path = path(runtime, request)?;
        for path in [&path, &path.with_extension("lock")] {
            match remove(path) {
                Err(why) if why.kind() != io::ErrorKind::NotFound => {
                    return Err(internal(format!(
                        "the secrets' sessions cannot be removed: {why}"
                    )));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The right to rotate a request's secrets, for as long as the file is held; `None` while another worker has it.
    pub(super) fn claim(runtime: &Runtime, request: &str) -> Result<Option<fs::File>, Problem> {
        // A file of its own: the one with the sessions is replaced when it is written.
        let file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path(runtime, request)?.with_extension("lock"))
            .map_err(internal)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(why)) => Err(internal(why)),
        }
    }

    /// Adds the session of a steward.
    pub(super) fn add_steward(&mut self, account: &str, session: &Credentials) {
        self.stewards
            .insert(account.to_owned(), Session::of(session));
    }

    /// Adds the session for one secret.
    pub(super) fn add_own(&mut self, secret: &str, session: &Credentials) {
        self.own.insert(secret.to_owned(), Session::of(session));
    }

    /// Notes that a secret's own session could not be had.
    pub(super) fn add_missing(&mut self, secret: &str, why: String) {
        self.missing.insert(secret.to_owned(), why);
    }

    /// Notes why there is no steward in an account.
    pub(super) fn add_steward_missing(&mut self, account: &str, why: &str) {
        let mine = |s: &&NamedSecret| s.setter.is_none() && s.account() == account;
        for secret in self.secrets.iter().filter(mine) {
            self.missing.insert(secret.arn.clone(), why.to_owned());
        }
    }

    /// The session by which a secret is rotated: its own where it has a setter, else the steward of its account.
    pub(super) fn session(&self, secret: &NamedSecret) -> Result<Credentials, String> {
        let kept = match &secret.setter {
            Some(_) => self.own.get(&secret.arn),
            None => self.stewards.get(secret.account()),
        };
        kept.map(Session::credentials)
            .ok_or_else(|| match self.missing.get(&secret.arn) {
                Some(why) => format!("its session could not be had in the ceremony: {why}"),
                None => "no session for it was minted in the ceremony".to_owned(),
            })
    }
}

impl Session {
    fn of(session: &Credentials) -> Self {
        Self {
            access_key_id: session.access_key_id().to_owned(),
            secret_access_key: Zeroizing::new(session.secret_access_key().to_owned()),
            session_token: Zeroizing::new(session.session_token().unwrap_or_default().to_owned()),
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

fn path(runtime: &Runtime, request: &str) -> Result<PathBuf, Problem> {
    Ok(runtime.path(request)?.with_extension("secrets.json"))
}

fn internal(why: impl std::fmt::Display) -> Problem {
    Problem::new(Code::Internal, why)
}
