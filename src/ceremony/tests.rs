//! Properties of the vote: whatever is cast in whatever order.

use p256::ecdsa::{SigningKey, signature::hazmat::PrehashSigner as _};
use proptest::prelude::*;
use rand_core::OsRng;

mod groups;

use super::*;
use crate::trust::{
    Bytes, Digest, Envelope, Head, PublicKey, Signer, Timestamp, Verified,
    request::{Approval, Clock, Denial, Offer, Purpose, Request},
    roster::{self, Access, Account, AwsBinding, Host, Person, Role, Roster, SlotKey, Token},
    strict::Json,
};

struct Soft(SigningKey);

impl Signer for Soft {
    fn public(&self) -> PublicKey {
        PublicKey::P256(*self.0.verifying_key())
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let sig: p256::ecdsa::Signature = self
            .0
            .sign_prehash(&Digest::of(message).0)
            .expect("a digest of 32 bytes");
        sig.normalize_s()
            .unwrap_or(sig)
            .to_der()
            .as_bytes()
            .to_vec()
    }
}

struct HostSigner(ed25519_dalek::SigningKey);

impl Signer for HostSigner {
    fn public(&self) -> PublicKey {
        PublicKey::Ed25519(self.0.verifying_key())
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        use ed25519_dalek::Signer as _;
        self.0.sign(message).to_bytes().to_vec()
    }
}

/// A roster of `n` custodians, two tokens each, and an operator who may be the first custodian.
struct World {
    tokens: Vec<(String, Soft)>,
    roster: Verified<Roster>,
    host: HostSigner,
}

const NOW: Timestamp = Timestamp(1_800_000_000);

fn world(custodians: usize, threshold: u8) -> World {
    grouped(custodians, threshold, Vec::new())
}

/// The same where custodians stand in groups.
fn grouped(custodians: usize, threshold: u8, groups: Vec<roster::Group>) -> World {
    let host = HostSigner(ed25519_dalek::SigningKey::generate(&mut OsRng));
    let checkpoint = HostSigner(ed25519_dalek::SigningKey::generate(&mut OsRng));
    let names: Vec<String> = (0..custodians).map(|i| format!("custodian{i}")).collect();
    let mut people: Vec<Person> = names
        .iter()
        .map(|name| Person {
            name: name.clone(),
            roles: vec![Role::Custodian, Role::Operator],
            accounts: vec![],
            recipient: None,
            member_of: Vec::new(),
        })
        .collect();
    people.push(Person {
        name: "dana".into(),
        roles: vec![Role::Operator],
        accounts: vec![Account {
            host: host.public().id(),
            uid: 61010,
        }],
        recipient: None,
        member_of: Vec::new(),
    });
    let mut tokens = Vec::new();
    let mut entries = Vec::new();
    for (i, name) in names.iter().enumerate() {
        for j in 0..2 {
            let approve = Soft(SigningKey::random(&mut OsRng));
            let unseal = Soft(SigningKey::random(&mut OsRng));
            entries.push(Token {
                person: name.clone(),
                serial: (1000 + 10 * i + j) as u32,
                firmware: "5.7.4".into(),
                approve: SlotKey {
                    slot: 0x82,
                    key: approve.public(),
                },
                unseal: SlotKey {
                    slot: 0x83,
                    key: unseal.public(),
                },
                attestation: None,
            });
            tokens.push((name.clone(), approve));
        }
    }
    let roster = Roster {
        v: 1,
        vault: "prod".into(),
        version: 1,
        previous: None,
        by: None,
        created_at: NOW,
        threshold,
        groups,
        scenarios: Vec::new(),
        may_coincide: Vec::new(),
        people,
        tokens: entries,
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
        recovery: None,
        places: Vec::new(),
        attestation_roots: Vec::new(),
        accept_risk: Vec::new(),
        accept_unattested: Vec::new(),
    };
    let mut envelope = Envelope::new(&roster).expect("a good roster");
    for (_, token) in &tokens {
        envelope.sign(token);
    }
    let roster = roster::verify_chain(&[envelope])
        .expect("signed by all")
        .remove(0);
    World {
        tokens,
        roster,
        host,
    }
}

fn offer(world: &World, operator: &str) -> Envelope {
    let access = &world.roster.access[0];
    let request = Request {
        v: 1,
        id: crate::trust::request::request_id(7),
        vault: "prod".into(),
        generation: 1,
        operator: operator.into(),
        host: world.host.public().id(),
        account: access.account.clone(),
        role: access.role_arn.clone(),
        access: "admin".into(),
        also: Vec::new(),
        secrets: Vec::new(),
        purpose: Purpose::Open,
        policy_sha256: Digest::of(b"policy"),
        regions: access.regions.clone(),
        not_before: NOW,
        approve_before: NOW.plus(1800),
        not_after: NOW.plus(14400),
        clock: Clock::Aws,
        incident: "INC-42".into(),
        reason: "database is down".into(),
        commander_claimed: None,
        scenario: None,
        subject: None,
        confirmed: Vec::new(),
        follows: None,
        checks: Vec::new(),
        roster_sha256: world.roster.digest(),
        manifest_sha256: Digest::of(b"manifest"),
        audit: Head::EMPTY,
        worker_key: "age1x".into(),
        nonce: Bytes(vec![1; 16]),
        operator_nonce: Bytes(vec![2; 16]),
    };
    Envelope::signed(&Offer(request), &world.host).expect("a good offer")
}

fn approval(offer: &Envelope, token: &Soft) -> Envelope {
    let mut envelope = offer.repurposed::<Approval>();
    envelope.sign(token);
    envelope
}

fn denial(offer: &Envelope, token: &Soft) -> Envelope {
    let denial = Denial {
        v: 1,
        request_sha256: offer.digest(),
        reason: "not now".into(),
    };
    Envelope::signed(&denial, token).expect("a good denial")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Approved exactly when a threshold of distinct people, the operator not among them, said yes before too many said no.
    #[test]
    fn people_are_counted_not_votes(
        custodians in 2usize..5,
        threshold in 2u8..4,
        operator in 0usize..6,
        votes in proptest::collection::vec((0usize..10, any::<bool>(), -5i64..2000), 0..12),
    ) {
        prop_assume!(usize::from(threshold) <= custodians);
        let world = world(custodians, threshold);
        let operator = if operator < custodians { format!("custodian{operator}") } else { "dana".to_owned() };
        let offer = offer(&world, &operator);
        let mut requested = Requested::new(&offer, world.roster.clone()).expect("a good offer");

        let mut yes: Vec<&str> = Vec::new();
        let mut no: Vec<&str> = Vec::new();
        let electorate = custodians - usize::from(operator != "dana");
        for (who, says_yes, after) in votes {
            let (person, token) = &world.tokens[who % world.tokens.len()];
            let now = NOW.plus(after);
            let checked = if says_yes {
                requested.check_approval(&approval(&offer, token), now)
            } else {
                requested.check_denial(&denial(&offer, token), now)
            };
            let fresh = !yes.contains(&person.as_str()) && !no.contains(&person.as_str());
            let counts = fresh && *person != operator && after < 1800;
            prop_assert_eq!(checked.is_ok(), counts);
            let Ok(voter) = checked else { continue };
            if says_yes { yes.push(person) } else { no.push(person) }
            match requested.count(voter) {
                Settled::Waiting(still) => {
                    prop_assert!(yes.len() < usize::from(threshold));
                    prop_assert!(electorate - no.len() >= usize::from(threshold));
                    requested = still;
                }
                Settled::Approved(approved) => {
                    prop_assert_eq!(yes.len(), usize::from(threshold));
                    prop_assert!(!approved.people().contains(&operator));
                    return Ok(());
                }
                Settled::Denied => {
                    prop_assert!(electorate - no.len() < usize::from(threshold));
                    return Ok(());
                }
            }
        }
    }
}

#[test]
fn a_vote_on_another_request_does_not_count() {
    let world = world(2, 2);
    let mine = offer(&world, "dana");
    let mut other: Offer = mine.unverified().expect("an offer");
    other.0.incident = "INC-43".into();
    let other = Envelope::signed(&other, &world.host).expect("a good offer");
    let requested = Requested::new(&mine, world.roster.clone()).expect("a good offer");
    let token = &world.tokens[0].1;
    assert!(
        requested
            .check_approval(&approval(&other, token), NOW)
            .is_err()
    );
    assert!(requested.check_denial(&denial(&other, token), NOW).is_err());
    // The offer itself, signed by the host, is no approval; nor is an approval re-labelled.
    assert!(requested.check_approval(&mine, NOW).is_err());
    let mut relabelled = approval(&mine, token);
    relabelled.payload_type = "application/vnd.twotap.offer.v1+json".into();
    assert!(requested.check_approval(&relabelled, NOW).is_err());
    assert!(
        requested
            .check_approval(&approval(&mine, token), NOW)
            .is_ok()
    );
}

#[test]
fn final_stages_lead_nowhere() {
    for stage in Stage::ALL {
        assert!(!stage.may_become(stage));
        assert!(!stage.may_become(Stage::Requested));
    }
    for stage in [Stage::Closed, Stage::Denied, Stage::Expired, Stage::Failed] {
        assert!(stage.is_final());
    }
    for stage in [
        Stage::Requested,
        Stage::Approved,
        Stage::Open,
        Stage::Closing,
    ] {
        assert!(!stage.is_final());
    }
}

#[test]
fn closed_needs_an_observed_refusal_or_the_end_of_time() {
    use crate::trust::receipt::{Outcome, Receipt, RegionRefused, TargetRefused};
    let world = world(2, 2);
    let offer = offer(&world, "dana");
    let closing = || Closing::resume(&offer, &world.roster).expect("a good offer");
    let role = closing().request().role.clone();
    let receipt = |request: &str, regions: &[&str]| Receipt {
        v: 1,
        vault: "prod".into(),
        request: Some(request.into()),
        host: world.host.public().id(),
        outcome: Outcome::Revoked {
            policy: "twotap-revoke".into(),
            regions: regions.iter().map(|r| (*r).to_owned()).collect(),
            refused_since: NOW,
            refusals: 10,
            targets: vec![TargetRefused {
                account: "111122223333".into(),
                role: role.clone(),
                regions: regions
                    .iter()
                    .map(|r| RegionRefused {
                        region: (*r).to_owned(),
                        since: NOW,
                        refusals: 10,
                    })
                    .collect(),
            }],
            not_opened: vec![],
            identity_until: None,
        },
        steps: vec![],
    };
    let id = closing().request().id.clone();
    assert!(closing().revoked(&receipt(&id, &["eu-central-1"])).is_ok());
    assert!(closing().revoked(&receipt(&id, &["us-east-1"])).is_err());
    assert!(
        closing()
            .revoked(&receipt("r-aaaaaaaaaaaaa", &["eu-central-1"]))
            .is_err()
    );
    assert!(closing().expired(NOW).is_err());
    assert!(closing().expired(NOW.plus(14400)).is_ok());
}
