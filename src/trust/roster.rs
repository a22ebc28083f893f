//! The roster: people, tokens, threshold, hosts, access profiles, recovery recipient; signed by the custodians themselves.
//!
//! Versions follow the rules of [TUF](https://theupdateframework.github.io/specification/latest/) for root metadata: version 1
//! is signed by every token in it; version n + 1 by a threshold of the people of version n and by every token that is new;
//! versions count up by exactly one and each names the digest of the one before.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{
    Bytes, Digest, Document, Envelope, KeyId, PublicKey, Timestamp, TrustError, Verified,
    strict::Json,
    text::{check_name, check_text},
};

/// The longest chain of roster versions that is read.
pub const MAX_VERSIONS: usize = 1000;

/// One version of the roster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Roster {
    /// Format version, 1.
    pub v: u8,
    /// The vault that this roster is for, e.g. `prod`.
    pub vault: String,
    /// 1 for the first, then exactly one more each time.
    pub version: u64,
    /// Digest of the version before; absent in version 1.
    pub previous: Option<Digest>,
    /// When it was drawn up.
    pub created_at: Timestamp,
    /// How many people must approve, at least 2.
    pub threshold: u8,
    /// Everybody who may act.
    pub people: Vec<Person>,
    /// The custodians' tokens.
    pub tokens: Vec<Token>,
    /// The hosts whose workers may seal and open.
    pub hosts: Vec<Host>,
    /// The break-glass user and the roles around it.
    pub aws: AwsBinding,
    /// What a request can ask for.
    pub access: Vec<Access>,
    /// The age recipient of the recovery identity (`age1...`), once there is one.
    pub recovery: Option<String>,
}

/// A named person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// Short name, e.g. `alice`.
    pub name: String,
    /// What this person may be in a request.
    pub roles: Vec<Role>,
    /// The accounts that are this person's.
    pub accounts: Vec<Account>,
}

/// What a person may be in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Acts with the session.
    Operator,
    /// Approves with a token.
    Custodian,
    /// Authorises.
    Commander,
    /// Oversees and reviews; may seal and close.
    Officer,
}

/// An account of the operating system on one of the hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// The host's key id.
    pub host: KeyId,
    /// Numeric user id on that host; never 0.
    pub uid: u32,
}

/// A custodian's token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// Whose it is.
    pub person: String,
    /// Serial number, as printed on the case.
    pub serial: u32,
    /// Firmware, `major.minor.patch`.
    pub firmware: String,
    /// The key that signs approvals (ECDSA P-256).
    pub approve: SlotKey,
    /// The key that shares are sealed to (ECDH P-256).
    pub unseal: SlotKey,
    /// What the token says about itself, signed by its maker.
    pub attestation: Option<Attestation>,
}

/// A key in a PIV slot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlotKey {
    /// PIV key reference, e.g. 0x82 = 130.
    pub slot: u8,
    /// The public half.
    pub key: PublicKey,
}

/// Attestation certificates, DER (see Yubico, "PIV attestation").
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attestation {
    /// For the approve key.
    pub approve: Bytes,
    /// For the unseal key.
    pub unseal: Bytes,
    /// The token's own attestation certificate (slot F9), which signed the two.
    pub f9: Bytes,
}

/// A host whose worker may seal and open.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// Short name.
    pub name: String,
    /// The worker's Ed25519 key.
    pub key: PublicKey,
    /// The agent's Ed25519 key for checkpoints of the record.
    pub checkpoint_key: PublicKey,
}

/// The IAM user whose key is sealed, and what stands around it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AwsBinding {
    /// ARN of the break-glass user; a key of any other user is not sealed.
    pub user_arn: String,
    /// ARN of the steward role, which may only close.
    pub steward_role_arn: String,
    /// The external id that the trust policies demand.
    pub external_id: String,
}

/// What a request can ask for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Access {
    /// Short name, e.g. `admin`.
    pub name: String,
    /// AWS account number, 12 digits.
    pub account: String,
    /// The operator role that is assumed.
    pub role_arn: String,
    /// The session policy's template.
    pub policy: Json,
    /// Regions in which a revocation is observed; the first is where the probe was seen to work.
    pub regions: Vec<String>,
    /// The AWS action that proves refusal, e.g. `ec2:DescribeRegions`.
    pub probe: String,
    /// Session length where the request names none, in seconds.
    pub default_seconds: u32,
    /// Longest session, in seconds.
    pub max_seconds: u32,
}

impl Document for Roster {
    const PAYLOAD_TYPE: &'static str = "application/vnd.twotap.roster.v1+json";
    const WHAT: &'static str = "roster";

    fn check(&self) -> Result<(), TrustError> {
        ensure(self.v == 1, "its format version is not 1")?;
        ensure(self.version >= 1, "versions count from 1")?;
        ensure(
            self.previous.is_some() == (self.version > 1),
            "every version but the first names the one before",
        )?;
        check_name("vault name", &self.vault)?;
        self.check_people()?;
        self.check_tokens()?;
        self.check_hosts()?;
        self.check_access()?;
        let recovery = self
            .recovery
            .as_deref()
            .map(str::parse::<age::x25519::Recipient>);
        ensure(
            recovery.is_none_or(|r| r.is_ok()),
            "the recovery recipient is not an age X25519 recipient (age1...)",
        )
    }
}

impl Roster {
    /// The person with this name.
    pub fn person(&self, name: &str) -> Option<&Person> {
        self.people.iter().find(|p| p.name == name)
    }

    /// Who uses account `uid` on the host with key `host`.
    pub fn person_at(&self, host: KeyId, uid: u32) -> Option<&Person> {
        self.people
            .iter()
            .find(|p| p.accounts.contains(&Account { host, uid }))
    }

    /// The custodians, in roster order.
    pub fn custodians(&self) -> impl Iterator<Item = &Person> {
        self.people
            .iter()
            .filter(|p| p.roles.contains(&Role::Custodian))
    }

    /// The tokens of one person.
    pub fn tokens_of<'r>(&'r self, person: &'r str) -> impl Iterator<Item = &'r Token> {
        self.tokens.iter().filter(move |t| t.person == person)
    }

    /// The token with this approve key.
    pub fn token_by_approve_key(&self, key: &PublicKey) -> Option<&Token> {
        self.tokens.iter().find(|t| t.approve.key == *key)
    }

    /// The access profile with this name.
    pub fn access(&self, name: &str) -> Option<&Access> {
        self.access.iter().find(|a| a.name == name)
    }

    /// All approve keys.
    pub fn approve_keys(&self) -> Vec<PublicKey> {
        self.tokens.iter().map(|t| t.approve.key.clone()).collect()
    }

    /// All host keys.
    pub fn host_keys(&self) -> Vec<PublicKey> {
        self.hosts.iter().map(|h| h.key.clone()).collect()
    }

    /// The host with this key id.
    pub fn host(&self, id: KeyId) -> Option<&Host> {
        self.hosts.iter().find(|h| h.key.id() == id)
    }

    fn check_people(&self) -> Result<(), TrustError> {
        let mut names = BTreeSet::new();
        let mut accounts = BTreeSet::new();
        for person in &self.people {
            check_name("person's name", &person.name)?;
            ensure(names.insert(&person.name), "a person stands in it twice")?;
            for account in &person.accounts {
                ensure(
                    account.uid != 0 && account.uid != u32::MAX && account.uid != 65534,
                    "root and nobody are not people",
                )?;
                ensure(
                    accounts.insert((account.host, account.uid)),
                    "an account belongs to two people",
                )?;
                ensure(
                    self.host(account.host).is_some(),
                    "an account is on a host that is not listed",
                )?;
            }
        }
        let custodians = self.custodians().count();
        ensure(self.threshold >= 2, "the threshold is below 2")?;
        ensure(
            usize::from(self.threshold) <= custodians && custodians <= 16,
            "there must be as many custodians as the threshold, and at most 16",
        )
    }

    fn check_tokens(&self) -> Result<(), TrustError> {
        let mut serials = BTreeSet::new();
        let mut keys = BTreeSet::new();
        for token in &self.tokens {
            let owner = self.person(&token.person);
            ensure(
                owner.is_some_and(|p| p.roles.contains(&Role::Custodian)),
                "a token belongs to somebody who is not a custodian",
            )?;
            ensure(serials.insert(token.serial), "a token stands in it twice")?;
            for slot in [&token.approve, &token.unseal] {
                ensure(slot.key.p256().is_some(), "a token's key is not P-256")?;
                ensure(keys.insert(slot.key.id()), "a key stands in it twice")?;
            }
        }
        ensure(
            self.custodians()
                .all(|p| self.tokens_of(&p.name).next().is_some()),
            "a custodian has no token",
        )
    }

    fn check_hosts(&self) -> Result<(), TrustError> {
        let mut names = BTreeSet::new();
        let mut keys = BTreeSet::new();
        ensure(!self.hosts.is_empty(), "it lists no host")?;
        for host in &self.hosts {
            check_name("host name", &host.name)?;
            ensure(names.insert(&host.name), "a host stands in it twice")?;
            for key in [&host.key, &host.checkpoint_key] {
                ensure(
                    matches!(key, PublicKey::Ed25519(_)),
                    "a host's key is not Ed25519",
                )?;
                ensure(keys.insert(key.id()), "a host's key stands in it twice")?;
            }
        }
        Ok(())
    }

    fn check_access(&self) -> Result<(), TrustError> {
        let mut names = BTreeSet::new();
        ensure(!self.access.is_empty(), "it lists no access profile")?;
        for arn in [&self.aws.user_arn, &self.aws.steward_role_arn] {
            check_arn(arn)?;
        }
        check_text("external id", &self.aws.external_id, 1224)?;
        for access in &self.access {
            check_name("access profile's name", &access.name)?;
            ensure(
                names.insert(&access.name),
                "an access profile stands in it twice",
            )?;
            ensure(
                access.account.len() == 12 && access.account.bytes().all(|b| b.is_ascii_digit()),
                "an account number has 12 digits",
            )?;
            check_arn(&access.role_arn)?;
            ensure(
                !access.regions.is_empty(),
                "an access profile names no Region",
            )?;
            for region in &access.regions {
                check_name("Region", region)?;
            }
            check_text("probe", &access.probe, 128)?;
            ensure(
                (60..=11 * 3600).contains(&access.max_seconds)
                    && (60..=access.max_seconds).contains(&access.default_seconds),
                "a session lasts 1 minute to 11 hours",
            )?;
        }
        Ok(())
    }
}

/// Checks a chain of versions from the first on and returns them all, newest last.
pub fn verify_chain(chain: &[Envelope]) -> Result<Vec<Verified<Roster>>, TrustError> {
    if chain.is_empty() || chain.len() > MAX_VERSIONS {
        return Err(TrustError::malformed(
            "roster",
            "the chain is empty or too long",
        ));
    }
    let mut versions: Vec<Verified<Roster>> = Vec::with_capacity(chain.len());
    for envelope in chain {
        let next = match versions.last() {
            None => verify_first(envelope)?,
            Some(before) => verify_next(before, envelope)?,
        };
        versions.push(next);
    }
    Ok(versions)
}

/// Which tokens have signed `envelope` and which still must, by person and serial: what `roster sign` shows.
pub fn signatures(envelope: &Envelope) -> Result<(Vec<Token>, Vec<Token>), TrustError> {
    let roster: Roster = envelope.unverified()?;
    let keys = roster.approve_keys();
    let signers = envelope.signers(&keys);
    Ok(roster
        .tokens
        .into_iter()
        .partition(|t| signers.contains(&&t.approve.key)))
}

fn verify_first(envelope: &Envelope) -> Result<Verified<Roster>, TrustError> {
    let roster: Roster = envelope.unverified()?;
    if roster.version != 1 {
        return Err(TrustError::mismatch(
            "roster",
            "the chain does not begin with version 1",
        ));
    }
    require_tokens(envelope, roster.tokens.iter())?;
    Ok(Verified::new(roster, envelope.clone()))
}

fn verify_next(
    before: &Verified<Roster>,
    envelope: &Envelope,
) -> Result<Verified<Roster>, TrustError> {
    let roster: Roster = envelope.unverified()?;
    if roster.vault != before.vault {
        return Err(TrustError::mismatch("roster", "it is for another vault"));
    }
    if roster.version != before.version + 1 {
        return Err(TrustError::mismatch(
            "roster",
            "a version was skipped or repeated",
        ));
    }
    if roster.previous != Some(before.digest()) {
        return Err(TrustError::mismatch(
            "roster",
            "it does not follow the version before it",
        ));
    }
    // A threshold of people of the version before: people are counted, not keys.
    let old_keys = before.approve_keys();
    let people: BTreeSet<&str> = envelope
        .signers(&old_keys)
        .into_iter()
        .filter_map(|key| before.token_by_approve_key(key))
        .map(|token| token.person.as_str())
        .collect();
    if people.len() < usize::from(before.threshold) {
        return Err(TrustError::Unsigned {
            what: "roster",
            by: format!(
                "{} custodians of version {}",
                before.threshold, before.version
            ),
        });
    }
    // A token that changes hands or gets another unseal key is as new as one that was never there.
    let new = roster.tokens.iter().filter(|t| {
        !before.tokens.iter().any(|b| {
            b.approve.key == t.approve.key && b.unseal.key == t.unseal.key && b.person == t.person
        })
    });
    require_tokens(envelope, new)?;
    Ok(Verified::new(roster, envelope.clone()))
}

fn require_tokens<'t>(
    envelope: &Envelope,
    tokens: impl Iterator<Item = &'t Token>,
) -> Result<(), TrustError> {
    for token in tokens {
        if envelope
            .signers(std::slice::from_ref(&token.approve.key))
            .is_empty()
        {
            return Err(TrustError::Unsigned {
                what: "roster",
                by: format!("{} (token {})", token.person, token.serial),
            });
        }
    }
    Ok(())
}

fn check_arn(arn: &str) -> Result<(), TrustError> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let good = arn.is_ascii()
        && arn.len() <= 2048
        && parts.len() == 6
        && parts[0] == "arn"
        && parts[2] == "iam"
        && !parts[5].is_empty()
        && !arn
            .bytes()
            .any(|b| b.is_ascii_whitespace() || b.is_ascii_control());
    ensure(
        good,
        "an IAM ARN is arn:PARTITION:iam::ACCOUNT:user/... or role/...",
    )
}

fn ensure(holds: bool, why: &str) -> Result<(), TrustError> {
    if holds {
        Ok(())
    } else {
        Err(TrustError::malformed("roster", why))
    }
}
