//! What follows a recovery: its record, what is owed until key and sheets are new, new sheets taken up, and a roster that recovery shares
//! stand for because as many tokens as the threshold were lost.

mod agent_support;
mod support;

#[path = "after_recovery/anew.rs"]
mod anew;
#[path = "after_recovery/command.rs"]
mod command;
#[path = "after_recovery/recipient.rs"]
mod recipient;
#[path = "after_recovery/record.rs"]
mod record;
#[path = "after_recovery/site.rs"]
mod site;

use rand_core::OsRng;
use support::{Bench, SoftCustodian};
use twotap::{
    protocol::job::{Entry, FromWorker, Vote},
    trust::{
        Envelope, Timestamp, Verified,
        roster::{Roster, verify_chain},
    },
    vault::{
        VaultIdentity,
        recovery::{Made, RecoverySigner, Wanted, make},
    },
};
use twotap_rig::Credentials;
use twotap_shares::{Group, Mnemonic, Scheme, combine};

/// A recovery set on paper: two of three sheets.
struct Paper(Made);

impl Paper {
    fn new() -> Self {
        let scheme = Scheme {
            extendable: true,
            iteration_exponent: 0,
            group_threshold: 1,
            groups: vec![Group {
                threshold: 2,
                count: 3,
            }],
        };
        let wanted = Wanted {
            vault: "prod",
            made: "2026-11-22",
            scheme: &scheme,
            names: &[],
            passphrase: b"",
        };
        Self(make(&wanted, &mut OsRng).expect("a set"))
    }

    /// Names it in a roster.
    fn named(&self) -> impl FnOnce(&mut Roster) + use<> {
        let entry = self.0.set.entry().expect("a good set");
        move |roster| roster.recovery = Some(entry)
    }

    /// What two of its sheets give.
    fn identity(&self) -> VaultIdentity {
        let two: Vec<Mnemonic> = self.0.shares[0][1..]
            .iter()
            .map(|share| Mnemonic::parse(share.expose()).expect("words"))
            .collect();
        let secret = combine(&two, b"").expect("a quorum");
        VaultIdentity::from_secret(&secret).expect("32 bytes")
    }

    fn signer(&self) -> RecoverySigner {
        RecoverySigner::of(&self.identity()).expect("a signer")
    }

    /// Opens a `vault.age`, as stock tools would; `None` where it does not open.
    fn open(&self, vault_age: &[u8]) -> Option<Vec<u8>> {
        let text = self.identity().expose_text().expect("text");
        let identity: age::x25519::Identity = text.parse().expect("an identity");
        twotap::vault::age_file::decrypt("vault.age", vault_age, &identity)
            .ok()
            .map(|plain| plain.to_vec())
    }
}

/// The version that counts.
fn newest(bench: &Bench) -> Verified<Roster> {
    verify_chain(&bench.chain())
        .expect("a good chain")
        .pop()
        .expect("not empty")
}

/// The next version: what counts, changed, and signed by these.
fn next(bench: &Bench, change: impl FnOnce(&mut Roster), by: &[&SoftCustodian]) -> Envelope {
    let before = newest(bench);
    let mut roster = Roster::clone(&before);
    roster.version += 1;
    roster.previous = Some(before.digest());
    roster.by = None;
    roster.created_at = Timestamp::now();
    change(&mut roster);
    let mut envelope = Envelope::new(&roster).expect("a sensible roster");
    for custodian in by {
        envelope.sign(*custodian);
    }
    envelope
}

/// Hands a version in and has it approved by the first two custodians.
fn take_up(bench: &Bench, next: &Envelope) -> Vec<Entry> {
    let (mut worker, answer) = bench.hand_in(next);
    let Some(FromWorker::Offer(made)) = answer else {
        panic!("no offer: {answer:?}");
    };
    for custodian in &bench.custodians[..2] {
        let vote = worker.vote(custodian.approve(&made));
        assert!(matches!(vote, Vote::Counted { .. }), "{vote:?}");
    }
    worker.rest().1.expect("taken up")
}

/// A sealed host whose roster names these sheets.
fn with(paper: &Paper) -> Bench {
    let bench = Bench::sealed();
    let version = next(
        &bench,
        paper.named(),
        &[&bench.custodians[0], &bench.custodians[1]],
    );
    take_up(&bench, &version);
    bench
}

/// The sealed credential's file as it lies on the host now.
fn vault_age(bench: &Bench) -> Vec<u8> {
    std::fs::read(bench.path("state/vaults/prod/current/vault.age")).expect("there")
}

/// The key in what a vault held.
fn key(credential: &[u8]) -> Credentials {
    let json: serde_json::Value = serde_json::from_slice(credential).expect("JSON");
    let text = |name: &str| json["AccessKey"][name].as_str().expect("text").to_owned();
    Credentials {
        access_key_id: text("AccessKeyId"),
        secret_access_key: text("SecretAccessKey"),
        session_token: None,
    }
}

fn works(bench: &Bench, credential: &[u8]) -> bool {
    bench.world.key_works(&key(credential)).expect("an answer")
}
