//! The roster: people, tokens, threshold, hosts, access profiles, recovery recipient; signed by the custodians themselves.
//!
//! Versions follow the rules of [TUF](https://theupdateframework.github.io/specification/latest/) for root metadata: version 1
//! is signed by every token in it; version n + 1 by a threshold of the people of version n and by every token that is new;
//! versions count up by exactly one and each names the digest of the one before.

mod chain;
mod change;
mod check;
mod groups;
mod readers;
mod scenario;
mod terms;

use serde::{Deserialize, Serialize};

use super::{Bytes, Day, Digest, KeyId, PublicKey, Timestamp, strict::Json};

/// The longest chain of roster versions that is read.
pub const MAX_VERSIONS: usize = 1000;
/// After how many days new recovery sheets are asked for, where the roster says nothing.
pub const RENEW_DAYS: u16 = 365;
/// The largest file with a chain that is read, in bytes of JSON.
pub const MAX_CHAIN: usize = 4 * 1024 * 1024;

pub use chain::{Missing, missing, parse_chain, signatures, verify_chain, verify_next};
pub use change::{Change, changes, follows};
pub use groups::{Group, Lacking, lacking};
pub use readers::is_recipient;
pub use scenario::{Check, MAX_CHECKS, MAX_SCENARIOS, Needed, REVIEW_HOURS, Scenario};
pub use terms::{Declared, NotOnTheseTerms, Terms};

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
    /// Who stands for it; absent where the people of the version before do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<By>,
    /// When it was drawn up.
    pub created_at: Timestamp,
    /// How many people must approve, at least 2.
    pub threshold: u8,
    /// Which of them: how many of each group. Empty where any will do; else their thresholds add up to [`Self::threshold`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<Group>,
    /// For what it may be opened. Empty: requests name no scenario; else every request for a session names one of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scenarios: Vec<Scenario>,
    /// Pairs of roles that one person may have in one request; by default all of them are different people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub may_coincide: Vec<[Role; 2]>,
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
    /// The recovery identity, once there is one.
    pub recovery: Option<Recovery>,
    /// Where sealed bundles are copied to with each generation, besides the host itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<Place>,
    /// Roots besides the maker's own under which a token's attestation counts; shown wherever it is relied on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attestation_roots: Vec<AttestationRoot>,
    /// Advisories that are accepted, e.g. `YSA-2024-03`; each stands in every approval's event.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accept_risk: Vec<String>,
    /// Serial numbers of tokens that are accepted without an attestation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accept_unattested: Vec<u32>,
}

/// Who stands for a version in the place of the people of the version before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "who", rename_all = "lowercase", deny_unknown_fields)]
pub enum By {
    /// A quorum of the recovery shares that the version before names: as many tokens as the threshold were lost at once.
    Recovery {
        /// The newest generation that those who drew it up had at hand. What a fresh host seals is numbered above it, because
        /// everybody who has seen that generation takes a lower one for a vault that was put back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<LastSealed>,
    },
}

/// A generation by number and manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LastSealed {
    /// Its number.
    pub generation: u64,
    /// Digest of its manifest.
    pub manifest_sha256: Digest,
}

/// The recovery identity by its public halves. The identity itself exists on paper alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recovery {
    /// Its age recipient (`age1...`), to which every generation is sealed as well.
    pub recipient: String,
    /// The Ed25519 key that a quorum of its shares can sign with: the record of a recovery, or the next roster.
    pub signer: PublicKey,
    /// The day on which its sheets were made.
    pub made: Day,
    /// After how many days new sheets are asked for; [`RENEW_DAYS`] where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<u16>,
}

impl Recovery {
    /// What stands on every sheet of its set, so that nobody can put another recipient or signer in the place of those that were printed.
    pub fn fingerprint(&self) -> String {
        super::recovery::fingerprint(&self.recipient, &self.signer)
    }

    /// After how many days new sheets are asked for.
    pub fn renew_days(&self) -> u16 {
        self.days.unwrap_or(RENEW_DAYS)
    }
}

/// A place that keeps a copy of each sealed bundle. What it is reached by (a path) stands in the host's `worker.toml` under its name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Short name, e.g. `vault-bucket`.
    pub name: String,
    /// Whether the old key may be deactivated only once this place has acknowledged the new generation.
    pub required: bool,
    /// What it is.
    pub kind: PlaceKind,
}

/// What a place is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum PlaceKind {
    /// A folder that the worker can write, e.g. on another machine's disk.
    Folder,
    /// A versioned secret of AWS Secrets Manager. At most one such place holds the claim: a label that moves by compare-and-swap before
    /// anything is done to keys, so that of two hosts one goes on.
    Secret {
        /// ARN of the secret.
        secret_arn: String,
        /// ARN of the role that may read, write and label it and nothing else.
        role_arn: String,
        /// Whether it holds the claim.
        claim: bool,
    },
}

/// A root certificate under which attestations count.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttestationRoot {
    /// Short name, shown in every listing.
    pub name: String,
    /// The certificate, DER.
    pub certificate: Bytes,
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
    /// An age X25519 recipient (`age1...`) of an officer: what operators' terminals show is sealed to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient: Option<String>,
    /// The groups of the organisation that this person belongs to, e.g. `Support-L2`: shown wherever a request of theirs is, and no power by itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub member_of: Vec<String>,
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
    /// Further operator roles that a request for it opens, one session each, with the same policy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<Target>,
    /// Secrets of AWS Secrets Manager that are rotated when such a session is closed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<NamedSecret>,
    /// Whether it may allow kinds of actions wholesale on whatever there is; shown in red to whoever approves.
    #[serde(default, skip_serializing_if = "is_false")]
    pub broad: bool,
    /// Whether it may hand out power that outlives the session: users, keys, roles, policies; shown in red as well.
    #[serde(default, skip_serializing_if = "is_false")]
    pub persistence: bool,
    /// What a request's subject looks like ([`super::pattern`]), where the template asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Whether what the operator's terminal shows is recorded.
    #[serde(default, skip_serializing_if = "Recording::is_usual")]
    pub recording: Recording,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

/// Whether what an operator's terminal shows is recorded, sealed to the officers' recipients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Recording {
    /// `shell` records, and `exec` where it is asked to; where it cannot be, the session goes on and the record says so.
    #[default]
    Wanted,
    /// Credentials are handed out only while a recording runs.
    Required,
    /// Nothing is recorded.
    Off,
}

impl Recording {
    /// Whether it is what holds where a profile says nothing.
    pub fn is_usual(&self) -> bool {
        *self == Self::Wanted
    }

    /// As it is written in `access.toml`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Wanted => "wanted",
            Self::Required => "required",
            Self::Off => "off",
        }
    }
}

/// A further operator role, in the same or another account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// AWS account number, 12 digits.
    pub account: String,
    /// The operator role that is assumed.
    pub role_arn: String,
    /// The steward role of that account, which closes.
    pub steward_role_arn: String,
}

/// A secret that closing rotates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedSecret {
    /// ARN of the secret.
    pub arn: String,
    /// How it is set where it has no rotation function of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setter: Option<Setter>,
}

impl NamedSecret {
    /// Number of the account that it is in: `arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME`.
    pub fn account(&self) -> &str {
        self.arn.split(':').nth(4).unwrap_or_default()
    }
}

/// How a secret without a rotation function gets a new value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setter {
    /// Name of the executable in the host's `worker.toml`.
    pub name: String,
    /// ARN of the role that is assumed for this secret alone.
    pub role_arn: String,
    /// The field of the secret's JSON that is replaced; the whole value where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Length of the new value in characters, 16 to 128.
    pub length: u16,
    /// What its characters are drawn from; at least one of each class is in it.
    pub classes: Vec<CharacterClass>,
}

/// A class of characters of a generated value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CharacterClass {
    /// `a` to `z`.
    Lower,
    /// `A` to `Z`.
    Upper,
    /// `0` to `9`.
    Digits,
    /// Punctuation that no shell, URL or quoting rule makes trouble with: `-_.~+=@%`.
    Symbols,
}

impl Role {
    /// As it is written in `people.toml`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Custodian => "custodian",
            Self::Commander => "commander",
            Self::Officer => "officer",
        }
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

    /// Every steward role that it names.
    pub fn steward_roles(&self) -> Vec<&str> {
        let further = self.access.iter().flat_map(|a| &a.also);
        std::iter::once(self.aws.steward_role_arn.as_str())
            .chain(further.map(|t| t.steward_role_arn.as_str()))
            .collect()
    }

    /// A secret that an access profile names; where several do, as the first of them has it.
    pub fn secret(&self, arn: &str) -> Option<&NamedSecret> {
        let mut all = self.access.iter().flat_map(|a| &a.secrets);
        all.find(|s| s.arn == arn)
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
}
