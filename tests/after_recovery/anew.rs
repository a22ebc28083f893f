//! As many tokens as the threshold are lost: recovery shares stand for new ones, and what they opened is sealed for them.

use std::{fs, process::Command};

use twotap::{
    protocol::{
        Code, Problem,
        job::{Entry, FromWorker, Job, Step, ToWorker, Vote},
    },
    trust::{
        Bytes, Envelope, Head,
        manifest::Manifest,
        request::SealOffer,
        roster::{By, LastSealed, Roster, verify_chain},
    },
    vault::seal_to,
};
use twotap_rig::world;

use crate::{
    Paper, newest, next,
    support::{Bench, SoftCustodian, names, nonce},
    vault_age, with, works,
};

/// Alice and Bob with new tokens; Carol has lost hers as well, and is no custodian any more.
fn new_tokens() -> [SoftCustodian; 2] {
    [
        SoftCustodian::new("alice", 11),
        SoftCustodian::new("bob", 12),
    ]
}

fn lost(new: &[SoftCustodian]) -> impl FnOnce(&mut Roster) + use<> {
    let tokens: Vec<_> = new.iter().map(SoftCustodian::token).collect();
    move |roster| {
        roster.by = Some(By::Recovery { after: None });
        roster.people.retain(|p| p.name != "carol");
        roster.accept_unattested = tokens.iter().map(|t| t.serial).collect();
        roster.tokens = tokens;
    }
}

/// The version for which the sheets stand, with each new token's own signature.
fn by_paper(bench: &Bench, paper: &Paper, new: &[SoftCustodian; 2]) -> Envelope {
    let mut version = next(bench, lost(new), &[&new[0], &new[1]]);
    version.sign(&paper.signer());
    version
}

/// What `vault seal --roster` has a worker do.
fn seal_anew(bench: &Bench, next: &Envelope, credential: &[u8]) -> Result<Vec<Entry>, Problem> {
    let mut worker = bench.worker();
    worker.send(&Job::SealAnew {
        vault: "prod".to_owned(),
        next: next.clone(),
        audit: Head::EMPTY,
        nonce: nonce(),
    });
    let offer = match worker.next() {
        Some(FromWorker::SealOffer { offer }) => offer,
        Some(FromWorker::Failed(problem)) => return Err(problem),
        other => panic!("no offer: {other:?}"),
    };
    let offer: SealOffer = offer.unverified().expect("an offer to seal");
    assert_eq!(offer.roster_sha256, next.digest());
    let sealed = seal_to(&offer.worker_key, credential).expect("a recipient");
    worker.send(&ToWorker::Credential {
        sealed: Bytes(sealed),
    });
    worker.finish().1
}

#[test]
fn new_tokens_open_the_vault_after_all_old_ones_were_lost() {
    let paper = Paper::new();
    let bench = with(&paper);
    let copy = vault_age(&bench);
    let recovered = paper.open(&copy).expect("paper opens it");
    assert!(works(&bench, &recovered));

    let new = new_tokens();
    let version = by_paper(&bench, &paper, &new);
    let entries = seal_anew(&bench, &version, &recovered).expect("sealed");
    assert_eq!(names(&entries).last().map(String::as_str), Some("rotated"));
    let roster = newest(&bench);
    assert_eq!((roster.version, roster.digest()), (3, version.digest()));
    assert!(roster.by.is_some());

    // What people held in their hands is dead: the recovered key, and what old shares and old sheets can open.
    assert!(!works(&bench, &recovered));
    assert_eq!(bench.world.list_keys(world::USER).expect("a list").len(), 1);

    // An old token counts for nothing, the new ones open.
    let (mut worker, made) = bench.ask();
    let mut by_old = new[0].approve(&made);
    by_old.approval = bench.custodians[0].yes(&made);
    assert!(matches!(worker.vote(by_old), Vote::Refused(_)));
    for custodian in &new {
        let vote = worker.vote(custodian.approve(&made));
        assert!(matches!(vote, Vote::Counted { .. }), "{vote:?}");
    }
    let (session, end) = worker.rest();
    end.expect("opened");
    assert!(session.is_some());

    // And custodians stand for the version after it again.
    let after = next(&bench, |r| r.accept_unattested.sort(), &[&new[0], &new[1]]);
    assert!(twotap::trust::roster::verify_next(&newest(&bench), &after).is_ok());
    let mut again = next(&bench, |r| r.by = None, &[&bench.custodians[0]]);
    again.sign(&paper.signer());
    assert!(twotap::trust::roster::verify_next(&newest(&bench), &again).is_err());
}

#[test]
fn what_is_refused_changes_nothing() {
    let paper = Paper::new();
    let bench = with(&paper);
    let recovered = paper.open(&vault_age(&bench)).expect("paper opens it");
    let new = new_tokens();
    let counts = (newest(&bench).digest(), vault_age(&bench));
    let refused = |what: &str, version: &Envelope, code: Code| {
        let problem = seal_anew(&bench, version, &recovered).expect_err(what);
        assert_eq!(problem.code, code, "{what}: {problem}");
        assert_eq!(newest(&bench).digest(), counts.0, "{what}");
        assert_eq!(vault_age(&bench), counts.1, "{what}");
        assert!(works(&bench, &recovered), "{what}");
    };

    let unsigned = next(&bench, lost(&new), &[&new[0], &new[1]]);
    refused("without the sheets", &unsigned, Code::Tampering);
    let mut strange = unsigned.clone();
    strange.sign(&Paper::new().signer());
    refused("by other sheets", &strange, Code::Tampering);
    let mut one = next(&bench, lost(&new), &[&new[0]]);
    one.sign(&paper.signer());
    refused("a new token has not signed", &one, Code::Tampering);
    let mut skipped = next(
        &bench,
        |r| {
            lost(&new)(r);
            r.version += 1;
        },
        &[&new[0], &new[1]],
    );
    skipped.sign(&paper.signer());
    refused("a version is left out", &skipped, Code::Tampering);
    let mut wider = next(
        &bench,
        |r| {
            lost(&new)(r);
            r.access[0].probe = "s3:ListAllMyBuckets".to_owned();
        },
        &[&new[0], &new[1]],
    );
    wider.sign(&paper.signer());
    refused("what can be asked for is changed", &wider, Code::Tampering);
    let mut unattested = next(
        &bench,
        |r| {
            lost(&new)(r);
            r.accept_unattested.clear();
        },
        &[&new[0], &new[1]],
    );
    unattested.sign(&paper.signer());
    refused("nobody attests the tokens", &unattested, Code::Refused);
    let by = [&bench.custodians[0], &bench.custodians[1]];
    let theirs = next(&bench, |r| r.threshold = 3, &by);
    refused("custodians stand for it", &theirs, Code::Refused);

    // The vault opens as it did.
    let version = by_paper(&bench, &paper, &new);
    seal_anew(&bench, &version, &recovered).expect("the right one is taken");
    let again = seal_anew(&bench, &version, &recovered).expect_err("once");
    assert_eq!(again.code, Code::Tampering, "{again}");
}

#[test]
fn a_credential_that_does_not_work_leaves_the_roster_as_it_was() {
    let paper = Paper::new();
    let bench = with(&paper);
    let copy = vault_age(&bench);
    // Meanwhile the key was replaced by a ceremony: what the bundle holds is dead.
    let (mut worker, made) = bench.ask();
    for custodian in &bench.custodians[..2] {
        assert!(matches!(
            worker.vote(custodian.approve(&made)),
            Vote::Counted { .. }
        ));
    }
    worker.rest().1.expect("opened");
    let dead = paper.open(&copy).expect("it opens");
    assert!(!works(&bench, &dead));

    // A key that nobody knows may be so new that AWS has not heard of it: waited for no longer than this.
    let toml = bench.path("worker.toml");
    let config = fs::read_to_string(&toml).expect("there") + "\n[limits]\nrotation_seconds = 2\n";
    fs::write(&toml, config).expect("written");
    let before = (newest(&bench).digest(), vault_age(&bench));
    let version = by_paper(&bench, &paper, &new_tokens());
    for bad in [&b"not a credential"[..], &dead] {
        assert!(seal_anew(&bench, &version, bad).is_err());
        assert_eq!(before, (newest(&bench).digest(), vault_age(&bench)));
    }
    // The newest bundle's is the one to take.
    let alive = paper.open(&vault_age(&bench)).expect("it opens");
    assert!(works(&bench, &alive));
}

#[test]
fn a_fresh_host_takes_up_the_chain_and_seals_what_paper_opened() {
    let paper = Paper::new();
    let bench = with(&paper);
    let recovered = paper.open(&vault_age(&bench)).expect("paper opens it");
    let new = new_tokens();

    // The old host has burnt: another takes its place, in the same version.
    let toml = fs::read_to_string(bench.path("worker.toml")).expect("there");
    let toml = toml
        .replace("/state\"", "/state-2\"")
        .replace("/runtime\"", "/runtime-2\"");
    fs::write(bench.path("worker-2.toml"), toml).expect("written");
    let worker = |args: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_twotap-worker"))
            .arg("--config")
            .arg(bench.path("worker-2.toml"))
            .args(args)
            .output()
            .expect("the worker starts")
    };
    let spki = data_encoding::BASE64
        .decode(worker(&["key"]).stdout.trim_ascii())
        .expect("base64");
    let fresh = twotap::trust::PublicKey::from_spki(&spki).expect("a key");
    let mut chain = bench.chain();
    let manifest = fs::read(bench.path("state/vaults/prod/current/manifest.dsse.json"));
    let manifest = Envelope::parse(&manifest.expect("there")).expect("a manifest");
    let burnt: Manifest = manifest.unverified().expect("a manifest");
    let after = LastSealed {
        generation: burnt.generation,
        manifest_sha256: manifest.digest(),
    };
    let mut version = next(
        &bench,
        |roster| {
            lost(&new)(roster);
            roster.by = Some(By::Recovery { after: Some(after) });
            for account in roster.people.iter_mut().flat_map(|p| &mut p.accounts) {
                account.host = fresh.id();
            }
            roster.hosts[0].name = "host-2".to_owned();
            roster.hosts[0].key = fresh.clone();
        },
        &[&new[0], &new[1]],
    );
    version.sign(&paper.signer());
    chain.push(version);
    verify_chain(&chain).expect("it holds");
    let path = bench.path("chain.json");
    fs::write(&path, serde_json::to_string(&chain).expect("JSON")).expect("written");
    let installed = worker(&["install", path.to_str().expect("plain")]);
    assert!(installed.status.success(), "{installed:?}");

    let mut sealing = bench.worker_of("worker-2.toml");
    sealing.send(&Job::Seal {
        vault: "prod".to_owned(),
        audit: Head::EMPTY,
        nonce: nonce(),
    });
    let Some(FromWorker::SealOffer { offer }) = sealing.next() else {
        panic!("no offer");
    };
    let offer: SealOffer = offer.unverified().expect("an offer to seal");
    sealing.send(&ToWorker::Credential {
        sealed: Bytes(seal_to(&offer.worker_key, &recovered).expect("a recipient")),
    });
    let entries = sealing.finish().1.expect("sealed");
    assert_eq!(names(&entries).last().map(String::as_str), Some("rotated"));
    // Whoever has seen the burnt host's generations takes none of these for older.
    let numbers: Vec<u64> = entries
        .iter()
        .filter_map(|e| match &e.step {
            Step::GenerationCommitted { generation, .. } => Some(*generation),
            _ => None,
        })
        .collect();
    assert_eq!(numbers, [burnt.generation + 1, burnt.generation + 2]);
    // What the burnt host held, and whoever found its disk holds, is dead.
    assert!(!works(&bench, &recovered));
    let on_fresh = fs::read(bench.path("state-2/vaults/prod/current/vault.age")).expect("there");
    assert!(works(&bench, &paper.open(&on_fresh).expect("it opens")));
}
