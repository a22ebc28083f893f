//! What the signed envelopes of a record prove, with rosters and public keys alone.
//!
//! Each envelope is checked against the rosters and against the line that names it; the heads inside are witnesses. What a record lacks
//! without being changed (a session whose approvals it does not have) is a [`Doubt`]: to be shown, not a proof of anything.

mod checker;
mod openings;
mod receipts;
mod tokens;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, BufRead};

pub use self::checker::{Checker, head};
pub use self::openings::Doubt;
pub use self::tokens::{Listed, listed};

use super::hosts::{HostKeys, Hosts};
use super::note::NoteKey;
use super::verify::{Copy, Evidence, FindEnvelope, Problem, Report, Witness, verify};
use crate::trust::{
    Digest, Envelope, PublicKey, TrustError, Verified,
    roster::{Roster, Token, verify_chain},
};

/// Roster chains by vault, oldest version first.
pub type Chains = BTreeMap<String, Vec<Envelope>>;

/// What is brought beside a record and its rosters.
#[derive(Default)]
pub struct Brought<'a> {
    /// Signed checkpoints held elsewhere.
    pub checkpoints: &'a [String],
    /// Heads held elsewhere.
    pub held: &'a [Witness],
    /// Copies that others hold.
    pub copies: &'a [Copy],
    /// Finds an envelope's bytes by digest.
    pub envelopes: Option<FindEnvelope<'a>>,
}

/// What was found of a record with its signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The record itself.
    pub report: Report,
    /// What it does not show, and should.
    pub doubts: Vec<Doubt>,
}

/// Verifies a whole record, JSON lines from event 1 on, with every signature in it. An error is a failure to read.
pub fn verify_signed(
    lines: impl BufRead,
    rosters: &Rosters,
    brought: &Brought<'_>,
) -> io::Result<Checked> {
    let (keys, hosts) = (rosters.checkpoint_keys(), rosters.hosts());
    let checker = RefCell::new(Checker::new(rosters));
    let evidence = Evidence {
        keys: &keys,
        hosts: Some(&hosts),
        checkpoints: brought.checkpoints,
        held: brought.held,
        envelopes: brought.envelopes,
        copies: brought.copies,
        opens: Some(&|record, missing| checker.borrow_mut().opens(record, missing)),
    };
    let mut report = verify(lines, &evidence, &mut |view| {
        checker.borrow_mut().check_event(view)
    })?;
    let bad = tokens::bad(rosters).map(|why| Problem::Roster { why });
    report.problems.splice(..0, bad);
    let doubts = checker.into_inner().doubts();
    Ok(Checked { report, doubts })
}

/// All versions of all rosters, each verified.
pub struct Rosters {
    versions: Vec<Verified<Roster>>,
}

impl Rosters {
    /// Checks every chain.
    pub fn verify(chains: &Chains) -> Result<Self, TrustError> {
        let mut versions = Vec::new();
        for (vault, chain) in chains {
            let chain = verify_chain(chain)?;
            if chain.iter().any(|r| r.vault != *vault) {
                return Err(TrustError::mismatch(
                    "roster",
                    format!("the one beside vault {vault} is for another vault"),
                ));
            }
            versions.extend(chain);
        }
        Ok(Self { versions })
    }

    /// All versions of all vaults.
    pub fn all(&self) -> impl Iterator<Item = &Verified<Roster>> {
        self.versions.iter()
    }

    /// The newest version of each vault.
    pub fn newest(&self) -> impl Iterator<Item = &Verified<Roster>> {
        self.versions.iter().filter(|r| {
            self.versions
                .iter()
                .all(|other| other.vault != r.vault || other.version <= r.version)
        })
    }

    /// Whether a version has this digest.
    pub fn contains(&self, digest: &Digest) -> bool {
        self.version(digest).is_some()
    }

    fn version(&self, digest: &Digest) -> Option<&Verified<Roster>> {
        self.versions.iter().find(|r| r.digest() == *digest)
    }

    /// Which host has which key, in each version.
    pub fn hosts(&self) -> Hosts {
        let mut hosts = Hosts::default();
        for version in &self.versions {
            hosts.add(&version.vault, host_keys(version));
        }
        hosts
    }

    /// The keys whose checkpoints count. The name in a note is a label; agents use the host's name or its key id.
    pub fn checkpoint_keys(&self) -> Vec<NoteKey> {
        let mut keys: Vec<NoteKey> = Vec::new();
        for host in self.versions.iter().flat_map(|r| host_keys(r)) {
            for name in [&host.name, &host.id] {
                match NoteKey::new(name, host.key) {
                    Ok(key) if !keys.contains(&key) => keys.push(key),
                    _ => {}
                }
            }
        }
        keys
    }

    fn all_approve_keys(&self) -> Vec<PublicKey> {
        self.versions
            .iter()
            .flat_map(|r| r.approve_keys())
            .collect()
    }

    fn all_host_keys(&self) -> Vec<PublicKey> {
        self.versions.iter().flat_map(|r| r.host_keys()).collect()
    }

    /// The approve keys of the version with this digest; none where it was not given.
    pub fn approve_keys_of(&self, digest: &Digest) -> Vec<PublicKey> {
        self.version(digest)
            .map_or_else(Vec::new, |r| r.approve_keys())
    }

    /// Whose approve key this is, with the token's number.
    pub fn owner(&self, key: &PublicKey) -> String {
        self.versions
            .iter()
            .find_map(|r| r.token_by_approve_key(key))
            .map_or_else(|| "a custodian".to_owned(), owner)
    }
}

fn host_keys(roster: &Roster) -> Vec<HostKeys> {
    let hosts = roster.hosts.iter().filter_map(|host| {
        let PublicKey::Ed25519(key) = &host.checkpoint_key else {
            return None;
        };
        Some(HostKeys {
            name: host.name.clone(),
            id: host.key.id().to_string(),
            key: *key,
        })
    });
    hosts.collect()
}

fn owner(token: &Token) -> String {
    format!("{} (token {})", token.person, token.serial)
}

/// Somebody else's text in a message of ours.
fn plain(text: &str) -> String {
    crate::trust::text::plain(text, 200)
}
