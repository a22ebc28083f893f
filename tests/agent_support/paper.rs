//! Signed documents with keys in software: roster, manifest, offer, votes, receipts.

use ed25519_dalek::Signer as _;
use p256::ecdsa::signature::hazmat::PrehashSigner as _;
use rand_core::{OsRng, RngCore as _};
use twotap::{
    protocol::{
        job::{Ask, RosterWish},
        socket::DrillBundle,
    },
    trust::{
        Bytes, Digest, Document, Envelope, Head, KeyId, PublicKey, Signer, Timestamp, Verified,
        drill::Drill,
        manifest::{Manifest, ShareDigest},
        receipt::{Outcome, Receipt},
        request::{
            Approval, Clock, Denial, NOTHING_ALLOWED, Offer, Purpose, ROSTER_CHANGE, Request,
            SealOffer, request_id,
        },
        roster::{
            Access, Account, AwsBinding, Host, Person, Recovery, Role, Roster, SlotKey, Token,
            verify_chain,
        },
        strict::Json,
    },
};

use twotap_rig::people::{ALICE, BOB, CAROL, DANA, SOFIA};

/// A token's key without the token.
pub struct SoftToken(p256::ecdsa::SigningKey);

impl Signer for SoftToken {
    fn public(&self) -> PublicKey {
        PublicKey::P256(*self.0.verifying_key())
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let sig: p256::ecdsa::Signature = self
            .0
            .sign_prehash(&Digest::of(message).0)
            .expect("32 bytes");
        let low = sig.normalize_s().unwrap_or(sig);
        low.to_der().as_bytes().to_vec()
    }
}

pub struct HostKey(ed25519_dalek::SigningKey);

impl Signer for HostKey {
    fn public(&self) -> PublicKey {
        PublicKey::Ed25519(self.0.verifying_key())
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.0.sign(message).to_bytes().to_vec()
    }
}

/// The keys of a host and its custodians, and the roster that they signed.
pub struct Paper {
    pub host: HostKey,
    /// What a quorum of its recovery shares signs with.
    pub recovery: HostKey,
    tokens: Vec<(String, SoftToken)>,
    pub chain: Vec<Envelope>,
    pub roster: Verified<Roster>,
}

impl Paper {
    /// Alice and Bob hold tokens, Dana acts, Sofia oversees; two must approve.
    pub fn new() -> Self {
        Self::of(&["alice", "bob"], |_, _| {})
    }

    /// The same with these custodians, under a roster that the case changes; it is given the host's key id.
    pub fn of(custodians: &[&str], change: impl FnOnce(&mut Roster, KeyId)) -> Self {
        let host = HostKey(ed25519_dalek::SigningKey::generate(&mut OsRng));
        let checkpoint = HostKey(ed25519_dalek::SigningKey::generate(&mut OsRng));
        let recovery = HostKey(ed25519_dalek::SigningKey::generate(&mut OsRng));
        let tokens: Vec<(String, SoftToken)> = custodians
            .iter()
            .map(|name| ((*name).to_owned(), token()))
            .collect();
        let person = |name: &str, roles: &[Role], uid| Person {
            name: name.to_owned(),
            roles: roles.to_vec(),
            accounts: vec![Account {
                host: host.public().id(),
                uid,
            }],
            recipient: None,
            member_of: Vec::new(),
        };
        let mut roster = Roster {
            v: 1,
            vault: "prod".into(),
            version: 1,
            previous: None,
            by: None,
            created_at: Timestamp::now(),
            threshold: 2,
            groups: Vec::new(),
            scenarios: Vec::new(),
            may_coincide: Vec::new(),
            people: vec![
                person("alice", &[Role::Custodian], ALICE),
                person("bob", &[Role::Custodian], BOB),
                person("dana", &[Role::Operator], DANA),
                person("sofia", &[Role::Officer], SOFIA),
            ],
            tokens: tokens
                .iter()
                .enumerate()
                .map(|(i, (name, key))| Token {
                    person: name.clone(),
                    serial: 1000 + u32::try_from(i).expect("two"),
                    // The second is of the kind that rosters take only on purpose.
                    firmware: if i == 1 { "5.4.3" } else { "5.7.4" }.into(),
                    approve: SlotKey {
                        slot: 0x82,
                        key: key.public(),
                    },
                    unseal: SlotKey {
                        slot: 0x83,
                        key: token().public(),
                    },
                    attestation: None,
                })
                .collect(),
            hosts: vec![Host {
                name: "host-1".into(),
                key: host.public(),
                checkpoint_key: checkpoint.public(),
            }],
            aws: AwsBinding {
                user_arn: "arn:aws:iam::123456789012:user/twotap/break-glass".into(),
                steward_role_arn: "arn:aws:iam::123456789012:role/twotap/steward".into(),
                external_id: "prod".into(),
            },
            access: vec![Access {
                name: "admin".into(),
                account: "123456789012".into(),
                role_arn: "arn:aws:iam::123456789012:role/twotap/op-admin".into(),
                policy: Json(serde_json::json!({})),
                regions: vec!["eu-central-1".into()],
                probe: "ec2:DescribeRegions".into(),
                default_seconds: 14400,
                max_seconds: 39600,
                also: Vec::new(),
                secrets: Vec::new(),
                broad: false,
                persistence: false,
                subject: None,
                recording: Default::default(),
            }],
            recovery: Some(Recovery {
                recipient: age::x25519::Identity::generate().to_public().to_string(),
                signer: recovery.public(),
                made: Timestamp::now().into(),
                days: None,
            }),
            places: Vec::new(),
            attestation_roots: Vec::new(),
            accept_risk: vec!["YSA-2024-03".into()],
            accept_unattested: vec![1000, 1001],
        };
        for name in custodians
            .iter()
            .filter(|n| !matches!(**n, "alice" | "bob"))
        {
            roster.people.push(person(name, &[Role::Custodian], CAROL));
            roster.accept_unattested.push(1002);
        }
        change(&mut roster, host.public().id());
        let mut envelope = Envelope::new(&roster).expect("a good roster");
        for (_, token) in &tokens {
            envelope.sign(token);
        }
        let chain = vec![envelope];
        let roster = verify_chain(&chain).expect("signed by all").remove(0);
        Self {
            host,
            recovery,
            tokens,
            chain,
            roster,
        }
    }

    /// The version after the last of a chain, signed by all who could have to.
    pub fn version_after(&self, chain: &[Envelope], change: impl FnOnce(&mut Roster)) -> Envelope {
        let before = chain.last().expect("not empty");
        let mut roster: Roster = before.unverified().expect("a roster");
        roster.version += 1;
        roster.previous = Some(before.digest());
        change(&mut roster);
        let mut envelope = Envelope::new(&roster).expect("a good roster");
        for signer in self.signers() {
            envelope.sign(signer);
        }
        envelope.sign(&self.recovery);
        envelope
    }

    /// What the custodians sign with, in the roster's order.
    pub fn signers(&self) -> Vec<&dyn Signer> {
        let tokens = self.tokens.iter();
        tokens.map(|(_, token)| token as &dyn Signer).collect()
    }

    pub fn manifest(&self, generation: u64, key: &str, audit: Head) -> Envelope {
        let share = |name: &str| ShareDigest {
            custodian: name.to_owned(),
            file_sha256: Digest::of(name.as_bytes()),
            mnemonic_sha256: Digest::of(name.as_bytes()),
        };
        let manifest = Manifest {
            v: 1,
            vault: "prod".into(),
            generation,
            created_at: Timestamp::now(),
            host: self.host.public().id(),
            roster_sha256: self.roster.digest(),
            access_key_id: key.to_owned(),
            vault_sha256: Digest::of(b"vault"),
            threshold: 2,
            shares: self.tokens.iter().map(|(name, _)| share(name)).collect(),
            previous: (generation > 1).then(|| Digest::of(b"before")),
            audit,
        };
        Envelope::signed(&manifest, &self.host).expect("a good manifest")
    }

    pub fn offer(
        &self,
        ask: &Ask,
        operator: &str,
        audit: Head,
        times: Times,
        manifest: &Envelope,
    ) -> Envelope {
        let access = &self.roster.access[0];
        let now = Timestamp::now();
        let not_after = now.plus(times.session);
        let request = Request {
            v: 1,
            id: fresh_id(),
            vault: ask.vault.clone(),
            generation: 1,
            operator: operator.to_owned(),
            host: self.host.public().id(),
            account: access.account.clone(),
            also: Vec::new(),
            secrets: Vec::new(),
            purpose: Purpose::Open,
            role: access.role_arn.clone(),
            access: ask.access.clone(),
            policy_sha256: Digest::of(b"{}"),
            regions: access.regions.clone(),
            not_before: now,
            approve_before: now.plus(times.approve).min(not_after),
            not_after,
            clock: Clock::Host,
            incident: ask.incident.clone(),
            reason: ask.reason.clone(),
            commander_claimed: ask.commander.clone(),
            scenario: ask.scenario.clone(),
            subject: ask.subject.clone(),
            confirmed: ask.confirmed.clone(),
            follows: ask.follows.clone(),
            checks: Vec::new(),
            roster_sha256: self.roster.digest(),
            manifest_sha256: manifest.digest(),
            audit,
            worker_key: "age1worker".into(),
            nonce: nonce(),
            operator_nonce: ask.nonce.clone(),
        };
        Envelope::signed(&Offer(request), &self.host).expect("a good offer")
    }

    /// What a worker asks custodians for when the next version is handed in.
    pub fn roster_change(
        &self,
        wish: &RosterWish,
        operator: &str,
        audit: Head,
        times: Times,
        manifest: &Envelope,
    ) -> Request {
        let like = Ask {
            incident: wish.incident.clone(),
            reason: wish.reason.clone(),
            commander: None,
            nonce: wish.nonce.clone(),
            ..ask()
        };
        let offer = self.offer(&like, operator, audit, times, manifest);
        let Offer(request) = offer.unverified().expect("an offer");
        let steward = self.roster.aws.steward_role_arn.clone();
        Request {
            purpose: Purpose::Roster {
                version: 2,
                roster_sha256: wish.next.digest(),
            },
            access: ROSTER_CHANGE.to_owned(),
            role: steward,
            regions: Vec::new(),
            policy_sha256: Digest::of(NOTHING_ALLOWED.as_bytes()),
            ..request
        }
    }

    pub fn seal_offer(&self, nonce: Bytes) -> Envelope {
        let offer = SealOffer {
            v: 1,
            vault: "prod".into(),
            roster_sha256: self.roster.digest(),
            host: self.host.public().id(),
            worker_key: "age1worker".into(),
            nonce,
        };
        Envelope::signed(&offer, &self.host).expect("a good offer")
    }

    pub fn approval(&self, offer: &Envelope, who: &str) -> Envelope {
        let mut approval = offer.repurposed::<Approval>();
        match self.tokens.iter().find(|(name, _)| name == who) {
            Some((_, token)) => approval.sign(token),
            // Somebody whose token the roster does not list.
            None => approval.sign(&token()),
        }
        approval
    }

    pub fn denial(&self, offer: &Envelope, who: &str) -> Envelope {
        let denial = Denial {
            v: 1,
            request_sha256: offer.digest(),
            reason: "call me first".into(),
        };
        let (_, token) = self
            .tokens
            .iter()
            .find(|(name, _)| name == who)
            .expect("a custodian");
        Envelope::signed(&denial, token).expect("a good denial")
    }

    /// A document of a custodian's own.
    pub fn signed(&self, document: &impl Document, who: &str) -> Envelope {
        let mut named = self.tokens.iter();
        let (_, token) = named.find(|(name, _)| name == who).expect("a custodian");
        Envelope::signed(document, token).expect("a good document")
    }

    /// The receipt of a drill on what the agent gave, changed before `who`'s token signs it.
    pub fn drill(
        &self,
        bundle: &DrillBundle,
        who: &str,
        change: impl FnOnce(&mut Drill),
    ) -> Envelope {
        let manifest: Manifest = bundle.manifest.unverified().expect("a manifest");
        let listed = self.roster.tokens_of(who).next().expect("a custodian");
        let mut drill = Drill {
            v: 1,
            vault: "prod".into(),
            generation: manifest.generation,
            manifest_sha256: bundle.manifest.digest(),
            custodian: who.to_owned(),
            serial: listed.serial,
            share_sha256: manifest.share(who).expect("a share").mnemonic_sha256,
            at: Timestamp::now(),
            nonce: bundle.nonce.clone(),
        };
        change(&mut drill);
        let mut named = self.tokens.iter();
        let (_, token) = named.find(|(name, _)| name == who).expect("a token");
        Envelope::signed(&drill, token).expect("a good receipt")
    }

    pub fn receipt(&self, request: Option<&str>, outcome: Outcome) -> Envelope {
        let receipt = Receipt {
            v: 1,
            vault: "prod".into(),
            request: request.map(str::to_owned),
            host: self.host.public().id(),
            outcome,
            steps: vec![],
        };
        Envelope::signed(&receipt, &self.host).expect("a good receipt")
    }
}

/// How long, in seconds.
#[derive(Clone, Copy)]
pub struct Times {
    pub approve: i64,
    pub session: i64,
}

pub fn ask() -> Ask {
    Ask {
        vault: "prod".into(),
        access: "admin".into(),
        incident: "INC-42".into(),
        reason: "the login is down for everybody".into(),
        duration_seconds: None,
        commander: Some("ivan".into()),
        nonce: nonce(),
        close_only: None,
        drill: false,
        scenario: None,
        subject: None,
        confirmed: Vec::new(),
        follows: None,
    }
}

pub fn nonce() -> Bytes {
    let mut bytes = vec![0; 16];
    OsRng.fill_bytes(&mut bytes);
    Bytes(bytes)
}

pub fn fresh_id() -> String {
    let mut bytes = [0; 16];
    OsRng.fill_bytes(&mut bytes);
    request_id(u128::from_le_bytes(bytes))
}

fn token() -> SoftToken {
    SoftToken(p256::ecdsa::SigningKey::random(&mut OsRng))
}
