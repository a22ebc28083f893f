//! Rosters, manifests and host keys that are forged, old or somebody else's, in the worker's own folder.

use std::{fs, os::unix::fs::symlink, path::Path, process::Stdio};

use ed25519_dalek::{Signer as _, SigningKey, pkcs8::DecodePrivateKey as _};
use rand_core::OsRng;
use twotap::{
    protocol::{
        Code, Problem,
        job::{FromWorker, Job, Standing, VaultFacts, Vote},
    },
    trust::{
        Digest, Document, Envelope, Head, PublicKey, Signer, Timestamp, Verified,
        manifest::Manifest,
        request::Offer,
        roster::{Roster, verify_chain},
        strict::Json,
    },
    vault::{AccessKey, Generation, SealInput, seal},
};

use crate::support::{Bench, SoftCustodian, ask};

/// A host's key, in the test's hands.
struct HostKey(SigningKey);

impl HostKey {
    fn of(bench: &Bench) -> Self {
        let pem = fs::read_to_string(bench.path("state/host.key")).expect("there");
        Self(SigningKey::from_pkcs8_pem(&pem).expect("a key"))
    }

    fn new() -> Self {
        Self(SigningKey::generate(&mut OsRng))
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

const VAULT: &str = "state/vaults/prod";

/// What the worker says of the vault.
pub(crate) fn look(bench: &Bench) -> Result<VaultFacts, Problem> {
    let mut worker = bench.worker();
    worker.send(&Job::Vault {
        vault: "prod".to_owned(),
    });
    match worker.next() {
        Some(FromWorker::Vault(facts)) => Ok(facts),
        Some(FromWorker::Failed(problem)) => Err(problem),
        other => panic!("{other:?}"),
    }
}

/// No job of this vault goes on; each says `code` and `words`. AWS is not asked, and nothing is changed.
pub(crate) fn refuses_everything(bench: &Bench, code: Code, words: &str) {
    bench.world.proxy().clear_calls();
    let problem = look(bench).expect_err("not to be believed");
    assert_eq!(
        (problem.code, problem.error.contains(words)),
        (code, true),
        "{problem}"
    );
    assert!(problem.hint.is_some(), "{problem}");
    match bench.try_ask("dana", ask()).1 {
        Some(FromWorker::Failed(problem)) => assert_eq!(problem.code, code, "{problem}"),
        other => panic!("{other:?}"),
    }
    let sealing = bench.seal().expect_err("nothing is sealed upon it");
    assert!(sealing.contains(words), "{sealing}");
    assert!(bench.world.proxy().calls().is_empty());
}

fn chain(bench: &Bench) -> Vec<Envelope> {
    look(bench).expect("a good vault").roster_chain
}

fn roster(bench: &Bench) -> Verified<Roster> {
    verify_chain(&chain(bench))
        .expect("good")
        .pop()
        .expect("one")
}

/// A generation that is good in itself: sealed by the listed host, with shares that the real custodians can open.
fn sealed_by_host(bench: &Bench, number: u64, previous: Option<Digest>) -> Generation {
    let host = HostKey::of(bench);
    let mut printed: serde_json::Value =
        serde_json::from_str(bench.world.first_key_json()).expect("json");
    printed["AccessKey"]["AccessKeyId"] = "AKIASTRANGERSTRANGER".into();
    let key = AccessKey::parse(printed.to_string().as_bytes()).expect("a key");
    let input = SealInput {
        vault: "prod",
        generation: number,
        credential: &key,
        roster: &roster(bench),
        previous,
        audit: Head::EMPTY,
        created_at: Timestamp::now(),
        host_key_id: host.public().id(),
    };
    seal(&input, &host, &mut OsRng).expect("sealed")
}

/// Puts a generation where the worker looks, and makes it the one that counts. Nothing of it is checked here.
fn put(bench: &Bench, number: u64, generation: &Generation) {
    let vault = bench.path(VAULT);
    let folder = vault.join(format!("generations/{number}"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(folder.join("shares")).expect("made");
    let write = |name: &str, bytes: &[u8]| fs::write(folder.join(name), bytes).expect("written");
    write(
        "manifest.dsse.json",
        generation.manifest.to_json().as_bytes(),
    );
    write("vault.age", &generation.vault_age);
    for (custodian, share) in &generation.shares {
        write(&format!("shares/{custodian}.age"), share);
    }
    point_to(&vault, number);
}

fn point_to(vault: &Path, number: u64) {
    let _ = fs::remove_file(vault.join("current"));
    symlink(format!("generations/{number}"), vault.join("current")).expect("a link");
}

/// Copies a folder with the links in it.
fn copy_folder(from: &Path, to: &Path) {
    let done = std::process::Command::new("cp")
        .arg("-a")
        .arg(from)
        .arg(to)
        .status();
    assert!(done.expect("cp").success());
}

#[test]
fn a_forged_generation_is_refused_though_its_shares_are_for_the_real_custodians() {
    let bench = Bench::sealed();
    let real = look(&bench).expect("good").manifest.expect("sealed");
    let good = sealed_by_host(&bench, 3, Some(real.digest()));
    let stranger = HostKey::new();
    let manifest: Manifest = good.manifest.unverified().expect("ours");

    let mut unsigned = good.manifest.clone();
    unsigned.signatures.clear();
    let mut strangers = unsigned.clone();
    strangers.sign(&stranger);
    let mut mislabelled = strangers.clone();
    mislabelled.signatures[0].keyid = HostKey::of(&bench).public().id();
    let mut custodians = unsigned.clone();
    custodians.sign(&bench.custodians[0]);
    let own_name = Manifest {
        host: stranger.public().id(),
        ..manifest.clone()
    };
    let own_name = Envelope::signed(&own_name, &stranger).expect("signed");
    let renamed = Manifest {
        host: stranger.public().id(),
        ..manifest.clone()
    };
    let renamed = Envelope::signed(&renamed, &HostKey::of(&bench)).expect("signed");
    // The listed host did sign these bytes, but as something else.
    let mut carried = good.manifest.repurposed::<Offer>();
    carried.sign(&HostKey::of(&bench));
    Manifest::PAYLOAD_TYPE.clone_into(&mut carried.payload_type);
    let other_vault = Manifest {
        vault: "test".to_owned(),
        ..manifest.clone()
    };
    let other_vault = Envelope::signed(&other_vault, &HostKey::of(&bench)).expect("signed");
    let other_roster = Manifest {
        roster_sha256: real.digest(),
        ..manifest
    };
    let other_roster = Envelope::signed(&other_roster, &HostKey::of(&bench)).expect("signed");

    for forged in [
        unsigned,
        strangers,
        mislabelled,
        custodians,
        own_name,
        renamed,
        carried,
        other_vault,
        other_roster,
    ] {
        let generation = Generation {
            manifest: forged,
            ..good.clone()
        };
        put(&bench, 3, &generation);
        refuses_everything(&bench, Code::Tampering, "generations/3/manifest.dsse.json");
    }
    // With the real one back in its place the vault works.
    point_to(&bench.path(VAULT), 2);
    assert_eq!(look(&bench).expect("good").manifest, Some(real));
}

#[test]
fn a_forged_generation_that_appears_while_a_request_waits_opens_nothing() {
    let bench = Bench::sealed();
    let real = look(&bench).expect("good").manifest.expect("sealed");
    let (mut worker, made) = bench.ask();
    let mut forged = sealed_by_host(&bench, 3, Some(real.digest()));
    forged.manifest.signatures.clear();
    forged.manifest.sign(&HostKey::new());
    put(&bench, 3, &forged);
    bench.world.proxy().clear_calls();
    for i in [0, 1] {
        assert!(matches!(
            worker.vote(bench.custodians[i].approve(&made)),
            Vote::Counted { .. }
        ));
    }
    let (session, end) = worker.finish();
    assert!(session.is_none());
    assert_eq!(end.expect_err("forged").code, Code::Tampering);
    assert!(bench.world.proxy().calls().is_empty());
}

#[test]
fn an_older_generation_than_seen_is_refused_and_so_is_another_of_the_same_number() {
    let bench = Bench::sealed();
    let before = bench.path("before");
    copy_folder(&bench.path(VAULT), &before);
    let (mut worker, made) = bench.ask();
    for i in [0, 1] {
        worker.vote(bench.custodians[i].approve(&made));
    }
    worker.rest().1.expect("opened and rotated");
    let after = bench.path("after");
    copy_folder(&bench.path(VAULT), &after);
    let manifest = look(&bench).expect("good").manifest.expect("sealed");

    // The whole folder as it was before the ceremony: good signatures, an old key.
    let restore = |from: &Path| {
        fs::remove_dir_all(bench.path(VAULT)).expect("removed");
        copy_folder(from, &bench.path(VAULT));
    };
    restore(&before);
    refuses_everything(&bench, Code::Tampering, "generation 2 is older than 3");
    // Nothing sealed at all, where something was.
    fs::remove_file(bench.path(VAULT).join("current")).expect("removed");
    refuses_everything(&bench, Code::Tampering, "the sealed generation is gone");
    // Another third generation, signed by the listed host itself.
    restore(&after);
    put(
        &bench,
        3,
        &sealed_by_host(
            &bench,
            3,
            manifest.unverified::<Manifest>().expect("ours").previous,
        ),
    );
    refuses_everything(
        &bench,
        Code::Tampering,
        "another manifest of the same generation",
    );
    // A generation under another number than its manifest says.
    restore(&after);
    let vault = bench.path(VAULT);
    fs::rename(vault.join("generations/3"), vault.join("generations/4")).expect("moved");
    point_to(&vault, 4);
    refuses_everything(&bench, Code::Tampering, "generations/4/manifest.dsse.json");
    // Pointed at something that is no generation, or is not there.
    for (target, words) in [
        ("../../elsewhere", "current"),
        ("generations/9", "no generation 9"),
    ] {
        fs::remove_file(vault.join("current")).expect("removed");
        symlink(target, vault.join("current")).expect("a link");
        refuses_everything(&bench, Code::Tampering, words);
    }
    restore(&after);
    assert_eq!(look(&bench).expect("good").manifest, Some(manifest));
}

#[test]
fn a_roster_that_is_older_than_seen_or_was_never_agreed_is_refused() {
    let bench = Bench::new();
    let rosters = bench.path(VAULT).join("rosters");
    let write = |version: u64, envelope: &Envelope| {
        fs::write(rosters.join(format!("{version}.json")), envelope.to_json()).expect("written");
    };
    let first = chain(&bench).remove(0);
    let second = |change: fn(&mut Roster)| {
        let mut next: Roster = first.unverified().expect("ours");
        (next.version, next.previous) = (2, Some(first.digest()));
        change(&mut next);
        Envelope::new(&next).expect("a good roster")
    };
    let widen: fn(&mut Roster) = |r| r.access[0].max_seconds = 11 * 3600 - 1;

    // Signed by one custodian alone, by nobody, by keys of the forger's own choosing.
    let mut short = second(widen);
    short.sign(&bench.custodians[0]);
    let mut strangers = second(widen);
    for serial in [1, 2, 3] {
        strangers.sign(&SoftCustodian::new("alice", serial));
    }
    for forged in [short, second(widen), strangers] {
        write(2, &forged);
        refuses_everything(&bench, Code::Tampering, "does not carry a valid signature");
    }
    // A version 1 of the forger's own: the same people by name, other tokens, all signatures good.
    fs::remove_file(rosters.join("2.json")).expect("removed");
    let tokens = ["alice", "bob", "carol"].map(|name| SoftCustodian::new(name, 7));
    let mut swapped: Roster = first.unverified().expect("ours");
    for (token, forged) in swapped.tokens.iter_mut().zip(&tokens) {
        let serial = token.serial;
        *token = forged.token();
        token.serial = serial;
    }
    let mut swapped = Envelope::new(&swapped).expect("good");
    for token in &tokens {
        swapped.sign(token);
    }
    verify_chain(std::slice::from_ref(&swapped)).expect("good in itself");
    write(1, &swapped);
    refuses_everything(&bench, Code::Tampering, "that this machine has seen");
    // Nor does installing it again help.
    let file = bench.path("swapped.json");
    fs::write(&file, swapped.to_json()).expect("written");
    let installed = std::process::Command::new(env!("CARGO_BIN_EXE_twotap-worker"))
        .arg("--config")
        .arg(bench.path("worker.toml"))
        .arg("install")
        .arg(&file)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("it starts");
    assert_eq!(installed.code(), Some(3));

    // A good second version is followed, and from then on the first alone is not.
    write(1, &first);
    let mut agreed = second(widen);
    for custodian in &bench.custodians[1..] {
        agreed.sign(custodian);
    }
    write(2, &agreed);
    assert_eq!(chain(&bench).len(), 2);
    fs::remove_file(rosters.join("2.json")).expect("removed");
    refuses_everything(&bench, Code::Tampering, "roster version 1 is older than 2");
    write(3, &agreed);
    refuses_everything(&bench, Code::Tampering, "no roster version 2");
}

#[test]
fn a_roster_or_a_policy_that_is_swapped_while_a_request_waits_opens_nothing() {
    let bench = Bench::sealed();
    let (mut worker, made) = bench.ask();
    let path = bench.path(VAULT).join("rosters/1.json");
    let mut roster: Roster = made.roster_chain[0].unverified().expect("ours");
    roster.access[0].policy = Json(serde_json::json!({
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
    }));
    let mut swapped = Envelope::new(&roster).expect("good");
    swapped.signatures = made.roster_chain[0].signatures.clone();
    fs::write(&path, swapped.to_json()).expect("written");
    bench.world.proxy().clear_calls();
    for i in [0, 1] {
        worker.vote(bench.custodians[i].approve(&made));
    }
    let (session, end) = worker.finish();
    assert!(session.is_none());
    let problem = end.expect_err("another policy");
    assert_eq!(problem.code, Code::Tampering, "{problem}");
    assert!(bench.world.proxy().calls().is_empty());
    refuses_everything(&bench, Code::Tampering, "rosters");
}

#[test]
fn the_policy_that_sts_gets_is_the_one_whose_digest_was_signed() {
    let bench = Bench::sealed();
    let (mut worker, made) = bench.ask();
    let request = made.offer.unverified::<Offer>().expect("ours").0;
    assert_eq!(Digest::of(made.policy.as_bytes()), request.policy_sha256);
    bench.world.proxy().clear_calls();
    for (i, standing) in [(0, Standing::Waiting), (1, Standing::Approved)] {
        match worker.vote(bench.custodians[i].approve(&made)) {
            Vote::Counted { standing: s, .. } => assert_eq!(s, standing),
            other => panic!("{other:?}"),
        }
    }
    worker.rest().1.expect("opened");
    let minted: Vec<_> = bench
        .world
        .proxy()
        .calls_of("sts:AssumeRole")
        .into_iter()
        .filter(|call| call.param("RoleArn") == Some(&request.role))
        .filter(|call| call.param("RoleSessionName") == Some("dana"))
        .collect();
    assert_eq!(minted.len(), 1);
    let policy = minted[0].param("Policy").expect("a policy");
    assert_eq!(Digest::of(policy.as_bytes()), request.policy_sha256);
}

#[test]
fn a_host_key_that_is_not_listed_seals_and_opens_nothing() {
    let bench = Bench::sealed();
    let key = bench.path("state/host.key");
    let real = fs::read(&key).expect("there");
    // Lost, so that the worker makes a new one at its next start.
    fs::remove_file(&key).expect("removed");
    refuses_everything(
        &bench,
        Code::Refused,
        "this host's key is not in the roster",
    );
    fs::write(&key, real).expect("restored");
    look(&bench).expect("good");
}

#[test]
fn a_memory_that_is_lost_or_changed_is_not_made_up_for() {
    let bench = Bench::sealed();
    let path = bench.path("state/seen.json");
    let real = fs::read_to_string(&path).expect("there");
    for (changed, words) in [
        ("{}".to_owned(), "not pinned"),
        ("{".to_owned(), "seen"),
        (real.replacen("\"prod\"", "\"test\"", 1), "not pinned"),
        (
            real.replacen("\"number\"", "\"extra\": 1, \"number\"", 1),
            "seen",
        ),
    ] {
        fs::write(&path, changed).expect("written");
        refuses_everything(&bench, Code::Tampering, words);
    }
    fs::remove_file(&path).expect("removed");
    refuses_everything(&bench, Code::Tampering, "not pinned");
    fs::write(&path, real).expect("restored");
    look(&bench).expect("good");
}
