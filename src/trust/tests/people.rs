//! Alice, Bob and Carol with tokens in software, a host, and the documents that they sign.

use ed25519_dalek::Signer as _;
use p256::ecdsa::{Signature, signature::hazmat::PrehashSigner as _};
use serde_json::json;

use crate::trust::{
    Bytes, Day, Digest, Envelope, Head, PublicKey, Signer, Timestamp, Verified,
    manifest::{Manifest, ShareDigest},
    request::{Clock, Purpose, Request},
    roster::{
        Access, Account, AwsBinding, Host, Person, Recovery, Role, Roster, SlotKey, Token,
        verify_chain,
    },
    strict::Json,
};

/// A host's key, the same for the same name.
pub(crate) struct HostKey(ed25519_dalek::SigningKey);

impl HostKey {
    pub(crate) fn new(name: &str) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(
            &Digest::of(name.as_bytes()).0,
        ))
    }
}

impl Signer for HostKey {
    fn public(&self) -> PublicKey {
        PublicKey::Ed25519(self.0.verifying_key())
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.0.sign(message).to_bytes().to_vec()
    }
}

/// A token: its two keys, the same for the same name.
pub(crate) struct SoftToken {
    pub(crate) person: String,
    pub(crate) serial: u32,
    pub(crate) approve: p256::ecdsa::SigningKey,
    pub(crate) unseal: p256::SecretKey,
}

impl SoftToken {
    /// `label` is the owner's name, with `/2` and so on for further tokens.
    pub(crate) fn new(label: &str) -> Self {
        let key = |slot: &str| {
            p256::SecretKey::from_slice(&Digest::of(format!("{label} {slot}").as_bytes()).0)
                .expect("a scalar")
        };
        let serial = Digest::of(label.as_bytes()).0;
        Self {
            person: label.split('/').next().unwrap_or(label).to_owned(),
            serial: u32::from_be_bytes([0, serial[0], serial[1], serial[2]]),
            approve: key("approve").into(),
            unseal: key("unseal"),
        }
    }

    pub(crate) fn listed(&self) -> Token {
        Token {
            person: self.person.clone(),
            serial: self.serial,
            firmware: "5.7.4".into(),
            approve: SlotKey {
                slot: 0x82,
                key: self.public(),
            },
            unseal: SlotKey {
                slot: 0x83,
                key: self.unseal.public_key().into(),
            },
            attestation: None,
        }
    }
}

impl Signer for SoftToken {
    fn public(&self) -> PublicKey {
        PublicKey::P256(*self.approve.verifying_key())
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        low_s(&self.approve, message).to_der().as_bytes().to_vec()
    }
}

/// ECDSA over SHA-256 in the one form that verifiers take.
pub(crate) fn low_s(key: &p256::ecdsa::SigningKey, message: &[u8]) -> Signature {
    let signature: Signature = key
        .sign_prehash(&Digest::of(message).0)
        .expect("a signature");
    signature.normalize_s().unwrap_or(signature)
}

/// The host that everybody knows.
pub(crate) fn host() -> HostKey {
    HostKey::new("vault-1")
}

/// Version 1 for these custodians, unsigned.
pub(crate) fn roster(threshold: u8, tokens: &[&SoftToken]) -> Roster {
    let person = |name: &str, roles: Vec<Role>, uid: Option<u32>| Person {
        name: name.into(),
        roles,
        accounts: uid
            .map(|uid| Account {
                host: host().public().id(),
                uid,
            })
            .into_iter()
            .collect(),
        recipient: None,
        member_of: Vec::new(),
    };
    let mut people: Vec<Person> = Vec::new();
    for token in tokens {
        if !people.iter().any(|p| p.name == token.person) {
            people.push(person(&token.person, vec![Role::Custodian], None));
        }
    }
    people.push(person("dana", vec![Role::Operator], Some(1004)));
    people.push(person("sofia", vec![Role::Officer], Some(1005)));
    Roster {
        v: 1,
        vault: "prod".into(),
        version: 1,
        previous: None,
        by: None,
        created_at: at("2026-01-06T10:00:00Z"),
        threshold,
        groups: Vec::new(),
        scenarios: Vec::new(),
        may_coincide: Vec::new(),
        people,
        tokens: tokens.iter().map(|t| t.listed()).collect(),
        hosts: vec![Host {
            name: "vault-1".into(),
            key: host().public(),
            checkpoint_key: HostKey::new("vault-1 checkpoint").public(),
        }],
        aws: AwsBinding {
            user_arn: "arn:aws:iam::111122223333:user/break-glass".into(),
            steward_role_arn: "arn:aws:iam::111122223333:role/steward".into(),
            external_id: "twotap-prod".into(),
        },
        access: vec![Access {
            name: "admin".into(),
            account: "111122223333".into(),
            role_arn: "arn:aws:iam::111122223333:role/op-admin".into(),
            policy: Json(json!({"Version": "2012-10-17", "Statement": []})),
            regions: vec!["eu-central-1".into()],
            probe: "ec2:DescribeRegions".into(),
            default_seconds: 4 * 3600,
            max_seconds: 8 * 3600,
            also: Vec::new(),
            secrets: Vec::new(),
            broad: false,
            persistence: false,
            subject: None,
            recording: Default::default(),
        }],
        recovery: None,
        places: Vec::new(),
        attestation_roots: Vec::new(),
        accept_risk: Vec::new(),
        accept_unattested: Vec::new(),
    }
}

/// A recovery identity's entry in a roster, and what its quorum signs with; the signer is the same for the same name.
pub(crate) fn recovery(name: &str) -> (Recovery, HostKey) {
    let signer = HostKey::new(name);
    let identity = age::x25519::Identity::generate();
    let entry = Recovery {
        recipient: identity.to_public().to_string(),
        signer: signer.public(),
        made: Day::parse("2026-01-05").expect("a day"),
        days: None,
    };
    (entry, signer)
}

/// The roster, signed by these.
pub(crate) fn signed(roster: &Roster, by: &[&SoftToken]) -> Envelope {
    let mut envelope = Envelope::new(roster).expect("a good roster");
    for token in by {
        envelope.sign(*token);
    }
    envelope
}

/// Version 1 for these custodians, signed by all.
pub(crate) fn verified(threshold: u8, tokens: &[&SoftToken]) -> Verified<Roster> {
    newest(&[signed(&roster(threshold, tokens), tokens)])
}

/// The last version of a chain that holds.
pub(crate) fn newest(chain: &[Envelope]) -> Verified<Roster> {
    verify_chain(chain)
        .expect("a good chain")
        .pop()
        .expect("not empty")
}

/// What comes after `before`, still the same but for version and digest.
pub(crate) fn next(before: &Verified<Roster>) -> Roster {
    let mut roster = Roster::clone(before);
    roster.version += 1;
    roster.previous = Some(before.digest());
    roster
}

/// A manifest under `roster`, its digests made up.
pub(crate) fn manifest(roster: &Verified<Roster>, generation: u64) -> Manifest {
    let digest = |what: &str| Digest::of(format!("{what} {generation}").as_bytes());
    Manifest {
        v: 1,
        vault: roster.vault.clone(),
        generation,
        created_at: at("2026-01-06T11:00:00Z"),
        host: host().public().id(),
        roster_sha256: roster.digest(),
        access_key_id: "AKIAIOSFODNN7EXAMPLE".into(),
        vault_sha256: digest("vault"),
        threshold: roster.threshold,
        shares: roster
            .custodians()
            .map(|p| ShareDigest {
                custodian: p.name.clone(),
                file_sha256: digest(&p.name),
                mnemonic_sha256: digest(&p.name),
            })
            .collect(),
        previous: (generation > 1).then(|| digest("before")),
        audit: Head::EMPTY,
    }
}

/// What Dana asks for.
pub(crate) fn request(roster: &Verified<Roster>) -> Request {
    let now = at("2026-01-06T12:00:00Z");
    Request {
        v: 1,
        id: crate::trust::request::request_id(0x1234_5678_9abc_def0),
        vault: roster.vault.clone(),
        generation: 1,
        operator: "dana".into(),
        host: host().public().id(),
        account: "111122223333".into(),
        role: "arn:aws:iam::111122223333:role/op-admin".into(),
        access: "admin".into(),
        also: Vec::new(),
        secrets: Vec::new(),
        purpose: Purpose::Open,
        policy_sha256: Digest::of(b"policy"),
        regions: vec!["eu-central-1".into()],
        not_before: now,
        approve_before: now.plus(1800),
        not_after: now.plus(4 * 3600),
        clock: Clock::Aws,
        incident: "INC-42".into(),
        reason: "the login service is down".into(),
        commander_claimed: Some("ivan".into()),
        scenario: None,
        subject: None,
        confirmed: Vec::new(),
        follows: None,
        checks: Vec::new(),
        roster_sha256: roster.digest(),
        manifest_sha256: Digest::of(b"manifest"),
        audit: Head::EMPTY,
        worker_key: "age1worker".into(),
        nonce: Bytes(vec![1; 16]),
        operator_nonce: Bytes(vec![2; 16]),
    }
}

pub(crate) fn at(time: &str) -> Timestamp {
    Timestamp::parse(time).expect("a time")
}
